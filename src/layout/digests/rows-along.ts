/**
 * The rows of a digest index beside a listing of blobs: the third stream of a join. For each path of the listing it says
 * what its content must hash to, and which rows came before it without any path.
 */
import { compareUtf8 } from '../../core/byte-order.ts';
import { blobPathOf } from '../msr.ts';
import type { DigestIndex } from './digest-index.ts';
import { RECORD_BYTES, readRecord } from './digest-record.ts';

const PIECE_RECORDS = 512;

/** What the index says of one path. */
export interface RowFound {
  /** 64 lower-case hex digits; undefined where no row has this id. */
  readonly sha256: string | undefined;
  /** Ids of rows between the path asked for before and this one. */
  readonly passed: readonly string[];
}

/** Rows whose blobs would lie in a range of logical paths; as in a shard's range. */
export interface RowRange {
  readonly prefix?: string;
  readonly after?: string;
}

const NONE: readonly string[] = [];

/** One way through the rows, in order. */
export class RowsAlong {
  readonly #index: DigestIndex;
  readonly #range: RowRange;
  #piece: Buffer = Buffer.alloc(0);
  #at = 0;
  #next = -1;
  /** Of the row at hand; undefined before the first and behind the last. */
  #path: string | undefined;
  #id = '';

  constructor(index: DigestIndex, range: RowRange = {}) {
    this.#index = index;
    this.#range = range;
  }

  /**
   * Asked for ascending paths of blobs that are named by an id (`blobIdIn`). A promise only where more of the file must
   * be read, to be awaited before the next is asked for.
   */
  find(path: string): RowFound | Promise<RowFound> {
    const passed: string[] = [];
    return this.#goTo(path, passed) ? this.#answer(path, passed) : this.#findFurther(path, passed);
  }

  /** Ids of all rows that are left, up to and with a path; in batches. */
  async *rest(upTo?: string): AsyncGenerator<readonly string[]> {
    for (;;) {
      const passed: string[] = [];
      const hasEnded = this.#goTo(upTo === undefined ? undefined : `${upTo}\0`, passed);
      if (passed.length > 0) yield passed;
      if (hasEnded || !(await this.#load())) return;
    }
  }

  async #findFurther(path: string, passed: string[]): Promise<RowFound> {
    do {
      if (!(await this.#load())) break;
    } while (!this.#goTo(path, passed));
    return this.#answer(path, passed);
  }

  #answer(path: string, passed: readonly string[]): RowFound {
    if (this.#path !== path) return { sha256: undefined, passed: passed.length === 0 ? NONE : passed };
    const { sha256 } = readRecord(this.#piece, this.#at);
    this.#step();
    return { sha256, passed: passed.length === 0 ? NONE : passed };
  }

  /** Passes rows by until one does not come before the path; false where the piece ends before that. */
  #goTo(path: string | undefined, passed: string[]): boolean {
    while (this.#path !== undefined) {
      if (path !== undefined && compareUtf8(this.#path, path) >= 0) return true;
      passed.push(this.#id);
      this.#step();
    }
    return false;
  }

  #step(): void {
    this.#at += RECORD_BYTES;
    this.#show();
  }

  #show(): void {
    if (this.#at >= this.#piece.length) {
      this.#path = undefined;
      return;
    }
    this.#id = readRecord(this.#piece, this.#at).id;
    this.#path = blobPathOf(this.#id);
  }

  async #load(): Promise<boolean> {
    if (this.#next < 0) this.#next = await this.#first();
    this.#piece = await this.#index.read(this.#next, PIECE_RECORDS);
    this.#next += this.#piece.length / RECORD_BYTES;
    this.#at = 0;
    this.#show();
    return this.#path !== undefined;
  }

  /** Number of the first row in the range. */
  async #first(): Promise<number> {
    const { prefix = '', after } = this.#range;
    let low = 0;
    let high = this.#index.records;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const path = blobPathOf(readRecord(await this.#index.read(middle, 1), 0).id);
      const isBefore =
        compareUtf8(path, prefix) < 0 || (after !== undefined && compareUtf8(path, after) <= 0);
      if (isBefore) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
