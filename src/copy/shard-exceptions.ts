/** What of one shard did not end as copied or equal, within bounds. */
import { BlobferryError, type ErrorRecord, toErrorRecord } from '../core/errors.ts';
import type { CopyException } from '../core/job.ts';
import type { CopyOutcome } from './context.ts';
import { EXCEPTIONS_MAX } from './shard.ts';

const VANISHED_NAMED_MAX = 1_000;

export class ShardExceptions {
  readonly #all: CopyException[] = [];
  #failures = 0;
  #vanished = 0;

  get all(): readonly CopyException[] {
    return this.#all;
  }

  get isFull(): boolean {
    return this.#failures >= EXCEPTIONS_MAX;
  }

  clear(): void {
    this.#all.length = 0;
    this.#failures = 0;
    this.#vanished = 0;
  }

  /** @throws BlobferryError at the last one that there may be. */
  add(
    path: string,
    { state, error }: Exclude<CopyOutcome, { readonly state: 'copied' | 'skipped' }>,
    isFrozen: boolean,
  ): void {
    const exception = { state, path, error: toErrorRecord(error) };
    if (state === 'vanished' && !isFrozen) {
      // Garbage collection under a live pass: no failure, however many, so only the list is kept short.
      this.#vanished += 1;
      if (this.#vanished <= VANISHED_NAMED_MAX) this.#all.push(exception);
      return;
    }
    this.#all.push(exception);
    this.#failures += 1;
    if (this.isFull) {
      throw new BlobferryError(
        `${EXCEPTIONS_MAX} objects of one shard failed, the last one: ${error.message}`,
        { hint: 'Something general is wrong: mend it, then run again' },
      );
    }
  }

  /** A folder that cannot be listed. */
  addFolder(path: string, error: ErrorRecord): void {
    this.#all.push({ state: 'failed', path, error });
    this.#failures += 1;
  }
}
