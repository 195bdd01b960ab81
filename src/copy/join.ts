/**
 * Walks both listings side by side, by logical path in byte order, and gives each source object with what the target
 * has under its path. Copying so starts with the first difference and not after a listing.
 */
import { compareUtf8 } from '../core/byte-order.ts';
import type { ListPage, ObjectInfo } from '../drivers/driver.ts';

export interface Joined {
  readonly path: string;
  readonly source: ObjectInfo;
  readonly target: ObjectInfo | undefined;
}

export interface Listing {
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
    if (this.#upTo !== undefined && compareUtf8(this.path, this.#upTo) > 0) {
      this.#isDone = true;
      this.#objects = [];
      return true;
    }
    this.object = object;
    return true;
  }

  async #load(): Promise<void> {
    const step = await this.#pages.next();
    this.#at = 0;
    this.#objects = step.done ? [] : step.value.objects;
    if (step.done) this.#isDone = true;
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

  pair(theirs: Cursor, path: string): ObjectInfo | undefined {
    this.#paired = theirs.path === path ? theirs.object : undefined;
    return this.#paired;
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
        while (theirs.object && compareUtf8(theirs.path, ours.path) < 0) {
          others.passBy(theirs);
          if (!theirs.step()) await theirs.advance();
        }
        batch.push({ path: ours.path, source: ours.object, target: others.pair(theirs, ours.path) });
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
