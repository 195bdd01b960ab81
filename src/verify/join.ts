/** Merge-join of two ascending listings by logical path; holds one page of each side. */
import { compareUtf8 } from '../core/byte-order.ts';
import type { ListedObject } from './listing.ts';

/** At least one side is there. */
export type JoinedPair =
  | { readonly path: string; readonly source: ListedObject; readonly target: ListedObject }
  | { readonly path: string; readonly source: ListedObject; readonly target?: undefined }
  | { readonly path: string; readonly source?: undefined; readonly target: ListedObject };

/** Both inputs must ascend strictly (`listPaths` sees to it). */
export async function* joinListings(
  source: AsyncIterable<readonly ListedObject[]>,
  target: AsyncIterable<readonly ListedObject[]>,
): AsyncGenerator<JoinedPair> {
  const left = new Cursor(source);
  const right = new Cursor(target);
  try {
    await Promise.all([left.fill(), right.fill()]);
    while (left.head !== undefined || right.head !== undefined) {
      const order = comparePaths(left.head, right.head);
      yield pairOf(order <= 0 ? left.take() : undefined, order >= 0 ? right.take() : undefined);
      if (left.isDrained) await left.fill();
      if (right.isDrained) await right.fill();
    }
  } finally {
    await Promise.all([left.close(), right.close()]);
  }
}

function comparePaths(left: ListedObject | undefined, right: ListedObject | undefined): number {
  if (left === undefined) return 1;
  if (right === undefined) return -1;
  return compareUtf8(left.path, right.path);
}

function pairOf(source: ListedObject | undefined, target: ListedObject | undefined): JoinedPair {
  if (source !== undefined && target !== undefined) return { path: source.path, source, target };
  if (source !== undefined) return { path: source.path, source };
  if (target !== undefined) return { path: target.path, target };
  throw new RangeError('A pair needs at least one side');
}

/** Walks batches one object at a time without a promise per object. The next page is fetched while this one is used. */
class Cursor {
  readonly #batches: AsyncIterator<readonly ListedObject[]>;
  #batch: readonly ListedObject[] = [];
  #next: Promise<IteratorResult<readonly ListedObject[]>> | undefined;
  #at = 0;
  #hasEnded = false;

  constructor(batches: AsyncIterable<readonly ListedObject[]>) {
    this.#batches = batches[Symbol.asyncIterator]();
  }

  get head(): ListedObject | undefined {
    return this.#batch[this.#at];
  }

  get isDrained(): boolean {
    return this.#at >= this.#batch.length && !this.#hasEnded;
  }

  take(): ListedObject | undefined {
    const object = this.#batch[this.#at];
    this.#at += 1;
    return object;
  }

  async fill(): Promise<void> {
    while (this.isDrained) {
      const result = await (this.#next ?? this.#batches.next());
      this.#next = undefined;
      if (result.done) {
        this.#hasEnded = true;
        this.#batch = [];
      } else {
        this.#batch = result.value;
        this.#next = this.#batches.next();
        // It is awaited above when its turn comes; until then a failure must not count as unhandled.
        this.#next.catch(() => undefined);
      }
      this.#at = 0;
    }
  }

  async close(): Promise<void> {
    await this.#next?.catch(() => undefined);
    await this.#batches.return?.();
  }
}
