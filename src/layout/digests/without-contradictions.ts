/** Of sorted records those whose id has one digest only: an id with two of them proves nothing. */
import { compareIds, RECORD_BYTES, readRecord } from './digest-record.ts';

const NAMED_MAX = 10;

export class WithoutContradictions {
  readonly #pass: (from: Buffer, at: number) => boolean;
  /** One record is held back until the next one shows whether it stands alone. */
  readonly #waiting = Buffer.alloc(RECORD_BYTES);
  #waits = false;
  #isContradicted = false;
  /** Ids that had several digests, and the first ten of them. */
  count = 0;
  readonly ids: string[] = [];

  /** @param pass takes a record that stays; what it says is said by `take` and `finish`. */
  constructor(pass: (from: Buffer, at: number) => boolean) {
    this.#pass = pass;
  }

  /** @param from a record that is not the one before it once more. */
  take(from: Buffer, at: number): boolean {
    if (this.#waits && compareIds(from, at, this.#waiting, 0) === 0) {
      if (!this.#isContradicted) this.#note(from, at);
      this.#isContradicted = true;
      return false;
    }
    const isFull = this.finish();
    from.copy(this.#waiting, 0, at, at + RECORD_BYTES);
    this.#waits = true;
    this.#isContradicted = false;
    return isFull;
  }

  /** Lets the last one go. */
  finish(): boolean {
    const isFull = this.#waits && !this.#isContradicted && this.#pass(this.#waiting, 0);
    this.#waits = false;
    return isFull;
  }

  #note(from: Buffer, at: number): void {
    this.count += 1;
    if (this.ids.length < NAMED_MAX) this.ids.push(readRecord(from, at).id);
  }
}
