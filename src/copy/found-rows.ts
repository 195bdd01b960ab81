/** The rows of a metadata backup beside one shard's listing: what blobs named by an id must hash to, and what is missing. */
import type { DigestIndex } from '../layout/digests/digest-index.ts';
import { type RowFound, RowsAlong } from '../layout/digests/rows-along.ts';
import type { Classified } from '../layout/layout.ts';
import { blobIdIn, blobPathOf } from '../layout/msr.ts';
import type { Joined } from './join.ts';
import type { KeyRange, RowsResult } from './shard.ts';
import { isInRange } from './shard-range.ts';

const NAMED_MAX = 10;

export class FoundRows {
  readonly #along: RowsAlong;
  #pending = 0;
  #lacking = 0;
  readonly #pendingNamed: string[] = [];
  readonly #lackingNamed: string[] = [];

  constructor(index: DigestIndex, range: KeyRange) {
    this.#along = new RowsAlong(index, range);
  }

  get isEmpty(): boolean {
    return this.#pending + this.#lacking === 0;
  }

  /** Batches of a join in which every blob that is named by an id has what the rows say of it. */
  async *joined(batches: AsyncIterable<readonly Joined[]>): AsyncGenerator<readonly Joined[]> {
    for await (const batch of batches) yield await this.#withRows(batch);
  }

  async #withRows(batch: readonly Joined[]): Promise<readonly Joined[]> {
    const found: Joined[] = [];
    for (const joined of batch) {
      if (blobIdIn(joined.path) === undefined) {
        found.push(joined);
        continue;
      }
      const row = this.#along.find(joined.path);
      found.push({ ...joined, row: row instanceof Promise ? await row : row });
    }
    return found;
  }

  /**
   * Rows without an object that come before an object of the join. Of one that another thread has taken over it is told as
   * well: some of them may be in what is left of this shard.
   */
  passed({ row }: Joined, range: KeyRange): void {
    if (row) this.#lack(row.passed, range);
  }

  /** An object that this thread has looked at. @returns whether a row knows it, or none need. */
  seen({ path, row }: Joined): boolean {
    if (row === undefined || row.sha256 !== undefined) return true;
    this.#pending += 1;
    if (this.#pendingNamed.length < NAMED_MAX) this.#pendingNamed.push(blobIdIn(path) ?? path);
    return false;
  }

  /** What the join did not come to. @param range where the shard ended. */
  async rest(range: KeyRange): Promise<void> {
    for await (const ids of this.#along.rest(range.upTo)) this.#lack(ids, range);
  }

  #lack(ids: readonly string[], range: KeyRange): void {
    for (const id of ids) {
      const path = blobPathOf(id);
      if (!path.startsWith(range.prefix) || !isInRange(range, path)) continue;
      this.#lacking += 1;
      if (this.#lackingNamed.length < NAMED_MAX) this.#lackingNamed.push(id);
    }
  }

  result(): RowsResult {
    return {
      pending: { count: this.#pending, first: this.#pendingNamed },
      lacking: { count: this.#lacking, first: this.#lackingNamed },
    };
  }
}

/** With what the metadata says that the bytes must hash to. */
export function withRow(classified: Classified, row: RowFound | undefined): Classified {
  if (row?.sha256 === undefined) return classified;
  return {
    ...classified,
    contentDigest: { algorithm: 'sha256', hex: row.sha256 },
    digestFrom: 'backup',
  };
}
