/** Merges sorted files of records into one: the next record of all is at the top of a heap of readers. */
import { RECORD_BYTES } from './digest-record.ts';
import { type RecordFile, RecordReader } from './record-file.ts';

export interface MergeOptions {
  /** Takes each record that stays; true: wait for `drain` before the next one. */
  readonly onRecord: (from: Buffer, at: number) => boolean;
  readonly drain: () => Promise<void>;
  /** A record came once more, which is left out. */
  readonly onRepeated: () => void;
  readonly signal: AbortSignal;
}

/** Records with the same id and different digests all stay. */
export async function mergeRecords(runs: readonly RecordFile[], options: MergeOptions): Promise<void> {
  const readers = runs.map((run) => new RecordReader(run));
  const heap = new Heap();
  const last = Buffer.alloc(RECORD_BYTES);
  let hasLast = false;
  try {
    for (const reader of readers) {
      await reader.advance();
      if (reader.at >= 0) heap.push(reader);
    }
    for (let reader = heap.top; reader !== undefined; reader = heap.top) {
      const { buffer, at } = reader;
      const isSame = hasLast && buffer.compare(last, 0, RECORD_BYTES, at, at + RECORD_BYTES) === 0;
      if (isSame) options.onRepeated();
      buffer.copy(last, 0, at, at + RECORD_BYTES);
      hasLast = true;
      if (!isSame && options.onRecord(buffer, at)) {
        options.signal.throwIfAborted();
        await options.drain();
      }
      if (!reader.step()) await reader.advance();
      heap.settleTop();
    }
  } finally {
    await Promise.all(readers.map((reader) => reader.close()));
  }
}

/** A binary heap of readers, the least record first; those at their end fall out. */
class Heap {
  readonly #readers: RecordReader[] = [];

  get top(): RecordReader | undefined {
    return this.#readers[0];
  }

  push(reader: RecordReader): void {
    const readers = this.#readers;
    let at = readers.length;
    readers.push(reader);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = readers[above];
      if (parent === undefined || compare(parent, reader) <= 0) break;
      readers[at] = parent;
      at = above;
    }
    readers[at] = reader;
  }

  /** The top one has moved on. */
  settleTop(): void {
    const readers = this.#readers;
    let moved = readers[0];
    if (moved === undefined) return;
    if (moved.at < 0) {
      const last = readers.pop();
      if (last === undefined || readers.length === 0) return;
      moved = last;
    }
    let at = 0;
    for (;;) {
      const left = readers[2 * at + 1];
      const right = readers[2 * at + 2];
      if (left === undefined) break;
      const isRight = right !== undefined && compare(right, left) < 0;
      const child = isRight ? right : left;
      if (compare(moved, child) <= 0) break;
      readers[at] = child;
      at = 2 * at + (isRight ? 2 : 1);
    }
    readers[at] = moved;
  }
}

function compare(one: RecordReader, other: RecordReader): number {
  return one.buffer.compare(other.buffer, other.at, other.at + RECORD_BYTES, one.at, one.at + RECORD_BYTES);
}
