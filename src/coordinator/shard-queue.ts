/**
 * The shards of a phase: those that wait, and those that run, which are asked to give some of themselves away when a
 * thread would have nothing to do. Who has been asked least is asked first, and of those who began last, as it is likely
 * to have most left. Who gives nothing has nothing that is worth it, and is not asked again.
 */
import type { Shard } from '../copy/shard.ts';

interface Running {
  /** A thread hears what it is asked: one that still starts, or was still to take the shard, would not. */
  hears: boolean;
  asked: number;
  isAsked: boolean;
  isWhole: boolean;
}

export class ShardQueue {
  readonly #waiting: Shard[];
  /** In the order in which they began. */
  readonly #running = new Map<string, Running>();
  readonly #ask: (shard: string) => void;
  #idle: (() => void)[] = [];

  constructor(shards: readonly Shard[], ask: (shard: string) => void) {
    this.#waiting = [...shards];
    this.#ask = ask;
  }

  /** @returns the next shard, as soon as there is one; undefined where there is none and none can come. */
  async next(): Promise<Shard | undefined> {
    for (;;) {
      const shard = this.#waiting.shift();
      if (shard) {
        this.#running.set(shard.id, { hears: false, asked: 0, isAsked: false, isWhole: false });
        return shard;
      }
      if (this.#running.size === 0) return undefined;
      const woken = new Promise<void>((resolve) => this.#idle.push(resolve));
      this.#askForMore();
      await woken;
    }
  }

  /** A shard answered: with these it gave away, or with none. */
  answered(id: string, given: readonly Shard[]): void {
    this.#waiting.push(...given);
    const running = this.#running.get(id);
    if (running) {
      running.isAsked = false;
      running.isWhole = given.length === 0;
    }
    this.#wake();
  }

  /** A thread has told that it is at it. */
  begun(id: string): void {
    const running = this.#running.get(id);
    if (!running || running.hears) return;
    running.hears = true;
    this.#wake();
  }

  /** Another thread is to go on with it: whoever was asked is gone. */
  interrupted(id: string): void {
    const running = this.#running.get(id);
    if (!running) return;
    running.hears = false;
    running.isAsked = false;
  }

  ended(id: string): void {
    this.#running.delete(id);
    this.#wake();
  }

  /** As many are asked as threads wait. */
  #askForMore(): void {
    const all = [...this.#running].reverse();
    const asked = all.filter(([, { isAsked }]) => isAsked).length;
    const mayBeAsked = all.filter(([, { hears, isAsked, isWhole }]) => hears && !isAsked && !isWhole);
    mayBeAsked.sort(([, left], [, right]) => left.asked - right.asked);
    for (const [id, running] of mayBeAsked.slice(0, Math.max(0, this.#idle.length - asked))) {
      running.isAsked = true;
      running.asked += 1;
      this.#ask(id);
    }
  }

  #wake(): void {
    const idle = this.#idle;
    this.#idle = [];
    for (const resume of idle) resume();
  }
}
