/**
 * Walks both listings side by side, by logical path in byte order, and gives each source object with what the target
 * has under its path. Copying so starts with the first difference and not after a listing.
 */
import { compareUtf8 } from '../core/byte-order.ts';
import type { StorageError } from '../core/errors.ts';
import type { ListPage, ObjectInfo } from '../drivers/driver.ts';
import type { RowFound } from '../layout/digests/rows-along.ts';

export interface Joined {
  readonly path: string;
  readonly source: ObjectInfo;
  readonly target: ObjectInfo | undefined;
  /** Its size is unsure, and could not be had: there is no use in asking again. */
  readonly sizeError?: StorageError;
  /** Its size is unsure and is being asked for: what will be known of both sides. */
  readonly sizing?: Promise<Pick<Joined, 'source' | 'target'>>;
  /** Of a blob that is named by an id, where there is a backup of the metadata. */
  readonly row?: RowFound;
}

export interface Listing {
  /** Strictly ascending. */
  readonly pages: AsyncIterable<ListPage>;
  /** What every key begins with before its logical path. */
  readonly keyPrefix: string;
  /** The last path that belongs to the range. */
  readonly upTo: string | undefined;
}

/** One side's objects, a page at a time, cut off behind `upTo`. */
class Cursor {
  readonly #pages: AsyncIterator<ListPage>;
  readonly #skip: number;
  readonly #upTo: string | undefined;
  #objects: readonly ObjectInfo[] = [];
  #at = 0;
  #isDone = false;
  /** The page does not reach behind `upTo`: none of its objects need be looked at for that. */
  #isWithin = false;
  path = '';
  object: ObjectInfo | undefined;

  constructor(listing: Listing) {
    this.#pages = listing.pages[Symbol.asyncIterator]();
    this.#skip = listing.keyPrefix.length;
    this.#upTo = listing.upTo;
  }

  /** True when `object` is the next one; false when another page is needed first. */
  step(): boolean {
    const object = this.#objects[this.#at];
    this.object = undefined;
    if (!object) return this.#isDone;
    this.#at += 1;
    this.path = object.key.slice(this.#skip);
    if (!this.#isWithin && this.#isBehind(this.path)) {
      this.#isDone = true;
      this.#objects = [];
      return true;
    }
    this.object = object;
    return true;
  }

  #isBehind(path: string): boolean {
    return this.#upTo !== undefined && compareUtf8(path, this.#upTo) > 0;
  }

  async #load(): Promise<void> {
    const step = await this.#pages.next();
    this.#at = 0;
    this.#objects = step.done ? [] : step.value.objects;
    if (step.done) this.#isDone = true;
    const last = this.#objects.at(-1);
    this.#isWithin = last !== undefined && !this.#isBehind(last.key.slice(this.#skip));
  }

  async advance(): Promise<void> {
    while (!this.step()) await this.#load();
  }

  async close(): Promise<void> {
    await this.#pages.return?.();
  }
}

/** @param isBehind the source has been gone through: no object of it comes after this one. */
export type OnExtra = (path: string, object: ObjectInfo, isBehind: boolean) => void;

/** Tells of objects that only the target has; one that has its source's is stepped over when the next is asked for. */
class Others {
  readonly #onExtra: OnExtra | undefined;
  #paired: ObjectInfo | undefined;

  constructor(onExtra: OnExtra | undefined) {
    this.#onExtra = onExtra;
  }

  pair(object: ObjectInfo | undefined): ObjectInfo | undefined {
    this.#paired = object;
    return object;
  }

  passBy({ path, object }: Cursor, isBehind = false): void {
    if (object && object !== this.#paired) this.#onExtra?.(path, object, isBehind);
  }

  /** What the target has behind the source's last object is of use only to whoever asks for extras. */
  async rest(theirs: Cursor): Promise<void> {
    while (this.#onExtra && theirs.object) {
      this.passBy(theirs, true);
      if (!theirs.step()) await theirs.advance();
    }
  }
}

/**
 * Yields batches, as many objects as one page of the source has: a promise per object would cost more than the object.
 * @param onExtra told of each object that only the target has.
 */
export async function* joinListings(
  source: Listing,
  target: Listing,
  onExtra?: OnExtra,
): AsyncGenerator<readonly Joined[]> {
  const ours = new Cursor(source);
  const theirs = new Cursor(target);
  const others = new Others(onExtra);
  try {
    await Promise.all([ours.advance(), theirs.advance()]);
    while (ours.object) {
      const batch: Joined[] = [];
      while (ours.object) {
        let order = 1;
        while (theirs.object) {
          order = compareUtf8(theirs.path, ours.path);
          if (order >= 0) break;
          others.passBy(theirs);
          if (!theirs.step()) await theirs.advance();
        }
        const target = others.pair(order === 0 ? theirs.object : undefined);
        batch.push({ path: ours.path, source: ours.object, target });
        if (!ours.step()) break;
      }
      yield batch;
      if (!ours.object) await ours.advance();
    }
    await others.rest(theirs);
  } finally {
    await Promise.all([ours.close(), theirs.close()]);
  }
}
