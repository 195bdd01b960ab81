/** Merges sorted runs into one sequence in which every key comes once: that of the latest run. */
import { compareUtf8 } from '../core/byte-order.ts';
import type { ObjectInfo } from '../drivers/driver.ts';
import { type Run, RunCursor } from './run-file.ts';

const BATCH_OBJECTS = 1_000;

interface Head {
  readonly key: string;
  readonly age: number;
  readonly cursor: RunCursor;
}

/** @param runs oldest first; each ascends strictly. */
export async function* mergeRuns(runs: readonly Run[]): AsyncGenerator<readonly ObjectInfo[]> {
  const cursors = runs.map((run) => new RunCursor(run));
  const heap = new Heap();
  try {
    for (const [age, cursor] of cursors.entries()) {
      await cursor.advance();
      if (cursor.object !== undefined) heap.push({ key: cursor.object.key, age, cursor });
    }
    let batch: ObjectInfo[] = [];
    for (let head = heap.pop(); head !== undefined; head = heap.pop()) {
      const { object } = head.cursor;
      // Of equal keys the heap gives the oldest first, so the youngest is the one with another key behind it.
      if (object !== undefined && heap.firstKey !== head.key) batch.push(object);
      if (batch.length >= BATCH_OBJECTS) {
        yield batch;
        batch = [];
      }
      if (!head.cursor.step()) await head.cursor.advance();
      if (head.cursor.object !== undefined) heap.push({ ...head, key: head.cursor.object.key });
    }
    if (batch.length > 0) yield batch;
  } finally {
    await Promise.all(cursors.map((cursor) => cursor.close()));
  }
}

/** A binary heap: the least key first, and of equal keys the oldest. */
class Heap {
  readonly #heads: Head[] = [];

  get firstKey(): string | undefined {
    return this.#heads[0]?.key;
  }

  push(head: Head): void {
    const heads = this.#heads;
    let at = heads.length;
    heads.push(head);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heads[above];
      if (parent === undefined || isBefore(parent, head)) break;
      heads[at] = parent;
      at = above;
    }
    heads[at] = head;
  }

  pop(): Head | undefined {
    const heads = this.#heads;
    const first = heads[0];
    const last = heads.pop();
    if (last === undefined || heads.length === 0) return first;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const leftHead = heads[left];
      const rightHead = heads[left + 1];
      if (leftHead === undefined) break;
      const below = rightHead !== undefined && isBefore(rightHead, leftHead) ? left + 1 : left;
      const child = heads[below];
      if (child === undefined || isBefore(last, child)) break;
      heads[at] = child;
      at = below;
    }
    heads[at] = last;
    return first;
  }
}

function isBefore(left: Head, right: Head): boolean {
  return (compareUtf8(left.key, right.key) || left.age - right.age) < 0;
}
