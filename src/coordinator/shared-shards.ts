/** What shards that run still are, after what they gave away and what their dead threads had reached. */
import type { GivenAway, KeyRange, Shard } from '../copy/shard.ts';
import { compareUtf8 } from '../core/byte-order.ts';

interface Running {
  rest: Shard;
  /** A thread died that may have written something behind where it was known to be. */
  hasLost: boolean;
  given: number;
}

export class SharedShards {
  readonly #running = new Map<string, Running>();
  /** Given away by a shard that had lost a thread: what lies in them may have been written by that. */
  readonly #doubted = new Set<string>();

  begin(shard: Shard): void {
    this.#running.set(shard.id, { rest: shard, hasLost: this.#doubted.delete(shard.id), given: 0 });
  }

  rest(id: string): Shard | undefined {
    return this.#running.get(id)?.rest;
  }

  hasLost(id: string): boolean {
    return this.#running.get(id)?.hasLost === true;
  }

  /** Its thread died; everything up to `after` had been settled. */
  lost(id: string, after: string | undefined): void {
    const running = this.#running.get(id);
    if (!running) return;
    running.hasLost = true;
    const { rest } = running;
    if (after !== undefined) running.rest = { ...rest, range: { ...rest.range, after } };
  }

  end(id: string): void {
    this.#running.delete(id);
  }

  /** @returns new shards for what was not heard of before; the same may be told twice. */
  give(id: string, { upTo, objects }: GivenAway): readonly Shard[] {
    const running = this.#running.get(id);
    if (!running) return [];
    const known = running.rest.without ?? [];
    const news = objects.filter((path) => !known.includes(path));
    if (news.length > 0) running.rest = { ...running.rest, without: [...known, ...news] };
    const { phase, ...rest } = running.rest;
    const { range } = rest;
    const shards = news.map((path): Shard => ({ id: this.#newId(running), phase, range: rangeOf(path) }));
    if (upTo !== undefined && (range.upTo === undefined || compareUtf8(upTo, range.upTo) < 0)) {
      running.rest = { ...running.rest, range: { ...range, upTo } };
      shards.push({ ...rest, id: this.#newId(running), phase, range: { ...range, after: upTo } });
    }
    return shards;
  }

  #newId(running: Running): string {
    running.given += 1;
    const id = `${running.rest.id}.${running.given}`;
    if (running.hasLost) this.#doubted.add(id);
    return id;
  }
}

/** One object alone: nothing that begins with its path comes before it. */
function rangeOf(path: string): KeyRange {
  return { prefix: path, upTo: path };
}
