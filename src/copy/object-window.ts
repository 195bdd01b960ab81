/**
 * The objects of one shard that are being worked on: a p-limit for how many at once, and a bounded look-ahead before
 * it, because p-limit's own queue has no end. A repository's tags wait until everything of it that came before them is
 * settled, so that no name in the target lacks its bytes.
 */
import pLimit from 'p-limit';

/** Why the tags of a repository may not go: something before them failed, or is left to the next pass. */
export type Missing = 'failed' | 'unsettled';

/** Repositories that are remembered although nothing of them is pending. */
const GATES_MAX = 64;

interface Gate {
  pending: number;
  /** The worst of it. */
  missing: Missing | undefined;
  readonly waiting: (() => void)[];
}

/** Is told what its repository lacks, tags only; resolves to what the repository lacks because of it. */
export type ObjectTask = (lacking: Missing | undefined) => Promise<Missing | undefined>;

export class ObjectWindow {
  readonly #limit: ReturnType<typeof pLimit>;
  readonly #lookAheadMax: number;
  readonly #gates = new Map<string, Gate>();
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;
  #onRoom: (() => void) | undefined;
  readonly #onFailure: (error: unknown) => void;

  /** @param onFailure called once, with the first rejection, so that the others can be aborted. */
  constructor(concurrency: number, onFailure: (error: unknown) => void) {
    this.#limit = pLimit(concurrency);
    // Enough to refill every place while the next page is joined.
    this.#lookAheadMax = 4 * concurrency;
    this.#onFailure = onFailure;
  }

  /** Resolves when there is room for one more. @throws the first failure. */
  async room(): Promise<void> {
    while (!this.#failure && this.#running.size >= this.#lookAheadMax) {
      await new Promise<void>((resolve) => {
        this.#onRoom = resolve;
      });
    }
    if (this.#failure) throw this.#failure.error;
  }

  add(repository: string | undefined, isTag: boolean, task: ObjectTask): void {
    const gate = repository === undefined ? undefined : this.#gate(repository);
    const work = isTag && gate ? this.#behind(gate, task) : this.#through(gate, task);
    const running = work
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#running.delete(running);
        this.#onRoom?.();
        this.#onRoom = undefined;
      });
    this.#running.add(running);
  }

  /** Waits for everything, also for what is added meanwhile. @throws the first failure. */
  async drain(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
    if (this.#failure) throw this.#failure.error;
  }

  #gate(repository: string): Gate {
    let gate = this.#gates.get(repository);
    if (!gate) {
      gate = { pending: 0, missing: undefined, waiting: [] };
      // A listing goes through repositories one after the other: the settled ones before are done with. But it may tell
      // long before that a folder cannot be listed: what lacks something is remembered, and its number is bounded.
      for (const [name, old] of this.#gates) {
        if (this.#gates.size <= GATES_MAX) break;
        if (old.pending === 0 && old.waiting.length === 0 && !old.missing) this.#gates.delete(name);
      }
      this.#gates.set(repository, gate);
    }
    return gate;
  }

  async #through(gate: Gate | undefined, task: ObjectTask): Promise<void> {
    if (!gate) {
      await this.#limit(task, undefined);
      return;
    }
    gate.pending += 1;
    try {
      const missing = await this.#limit(task, undefined);
      if (gate.missing !== 'failed') gate.missing = missing ?? gate.missing;
    } finally {
      gate.pending -= 1;
      if (gate.pending === 0) for (const resume of gate.waiting.splice(0)) resume();
    }
  }

  async #behind(gate: Gate, task: ObjectTask): Promise<void> {
    if (gate.pending > 0) await new Promise<void>((resolve) => gate.waiting.push(resolve));
    await this.#limit(task, gate.missing);
  }

  #fail(error: unknown): void {
    if (this.#failure) return;
    this.#failure = { error };
    this.#onFailure(error);
  }
}
