/**
 * How far a shard is settled for good. Now and then a cut is made in the order of the listing; once every object before
 * it is settled without an exception, it becomes the shard's cursor, together with the thread's counters as they would
 * be had nothing behind the cut been looked at. While a cut waits no other one is made, so all it takes is one count of
 * what is pending before it and one tally of what was counted behind it.
 */
import { compareUtf8 } from '../core/byte-order.ts';
import {
  allocateCounters,
  type CounterClass,
  CounterWriter,
  type ObjectState,
  type PlainCounter,
} from '../core/counters.ts';
import type { Tally } from './tally.ts';

const CUT_OBJECTS = 5_000;
const CUT_MS = 5_000;
const SKIPPED_PER_CLOCK = 64;

/** The objects between two cuts. */
export interface Segment {
  pending: number;
  isBlocked: boolean;
}

export interface CutOptions {
  readonly counters: CounterWriter;
  /** Where objects are counted. */
  readonly tally: Tally;
  /** A cut may be made after so many objects, or after 5 s. */
  readonly everyObjects?: number | undefined;
  /** Everything up to and including `after` is settled. No cut is made until `onSent` is called. */
  readonly onCursor: (after: string, values: Float64Array, onSent: () => void) => void;
}

export class Cuts {
  readonly #counters: CounterWriter;
  readonly #everyObjects: number;
  readonly #onCursor: CutOptions['onCursor'];
  readonly #tally: Tally;
  /** Objects in a row, all of one class, that are equal by their listing. */
  #skipped = { objectClass: 'other' as CounterClass, count: 0, bytes: 0 };
  /** Counted of objects behind the cut that waits. */
  readonly #ahead = new CounterWriter(allocateCounters(1));
  #open: Segment = { pending: 0, isBlocked: false };
  #waiting: { readonly segment: Segment; readonly after: string; joined: number } | undefined;
  #isOver = false;
  #isSending = false;
  #last: string | undefined;
  #cutAtMs = performance.now();
  #sinceCut = 0;
  #joined = 0;
  #listed = 0;
  /** Left-out folders that a listing has met and that no cursor has passed yet. */
  #folders = new Set<string>();

  constructor({ counters, tally, everyObjects, onCursor }: CutOptions) {
    this.#counters = counters;
    this.#tally = tally;
    this.#everyObjects = everyObjects ?? CUT_OBJECTS;
    this.#onCursor = onCursor;
  }

  /** The next object in the order of the listing; nothing of it may have been counted yet but that it is listed. */
  admit(path: string): Segment {
    this.#next(path);
    this.#open.pending += 1;
    return this.#open;
  }

  /** The same for an object that is equal by its listing, and is so settled at once. */
  skip(path: string, objectClass: CounterClass, bytes: number): void {
    this.#next(path);
    if (objectClass !== this.#skipped.objectClass) this.countSkipped();
    this.#skipped.objectClass = objectClass;
    this.#skipped.count += 1;
    this.#skipped.bytes += bytes;
  }

  /** What was skipped is counted together; call this now and then, and at the end. */
  countSkipped(): void {
    const { objectClass, count, bytes } = this.#skipped;
    if (count === 0) return;
    this.#skipped = { objectClass, count: 0, bytes: 0 };
    this.#tally.object('skipped', objectClass, bytes, count);
    // A cut counts first: all of this lies behind the last one.
    if (this.#waiting) this.#ahead.object('skipped', objectClass, bytes, count);
  }

  #next(path: string): void {
    if (this.#isDue()) {
      this.countSkipped();
      this.#cut();
    }
    this.#last = path;
    this.#joined += 1;
    this.#sinceCut += 1;
  }

  /** A batch of the listing was counted. */
  listed(count: number): void {
    this.#listed += count;
  }

  /** An object was counted; call it before `settle`. */
  object(segment: Segment, state: ObjectState, objectClass: CounterClass, bytes: number): void {
    if (this.#isAhead(segment)) this.#ahead.object(state, objectClass, bytes);
  }

  count(segment: Segment, name: PlainCounter): void {
    if (this.#isAhead(segment)) this.#ahead.count(name);
  }

  /** A listing comes to folders before the join does. @returns false for one that it has met before. */
  folder(path: string): boolean {
    if (this.#folders.has(path)) return false;
    this.#folders.add(path);
    return true;
  }

  settle(segment: Segment, isGood: boolean): void {
    segment.pending -= 1;
    if (!isGood) segment.isBlocked = true;
    if (segment.pending === 0 && segment === this.#waiting?.segment) this.#reach();
  }

  /** Another thread has taken the object over: it counts as if it had never been listed. */
  forget(segment: Segment): void {
    if (this.#waiting && !this.#isAhead(segment)) this.#waiting.joined -= 1;
    this.#joined -= 1;
    this.listed(-1);
    this.settle(segment, true);
  }

  /** No cursor may pass what comes from here on: what was found of it is only told at the shard's end. */
  block(): Segment {
    this.#open.isBlocked = true;
    return this.#open;
  }

  #isAhead(segment: Segment): boolean {
    return this.#waiting !== undefined && segment !== this.#waiting.segment;
  }

  #isDue(): boolean {
    if (this.#isOver || this.#isSending || this.#waiting || this.#sinceCut === 0) return false;
    if (this.#sinceCut >= this.#everyObjects) return true;
    // Thousands that are only skipped go by in a millisecond: the clock is not asked for each of them.
    if (this.#open.pending === 0 && this.#sinceCut % SKIPPED_PER_CLOCK !== 0) return false;
    return performance.now() - this.#cutAtMs >= CUT_MS;
  }

  #cut(): void {
    const segment = this.#open;
    const after = this.#last;
    if (after === undefined) return;
    this.#waiting = { segment, after, joined: this.#joined };
    this.#open = { pending: 0, isBlocked: false };
    this.#ahead.clear();
    this.#cutAtMs = performance.now();
    this.#sinceCut = 0;
    if (segment.pending === 0) this.#reach();
  }

  #reach(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (!waiting || waiting.segment.isBlocked) {
      this.#isOver = true;
      return;
    }
    const { after } = waiting;
    for (const folder of this.#folders) {
      if (compareUtf8(folder, after) > 0) this.#ahead.count('leftOut');
      else this.#folders.delete(folder);
    }
    this.#ahead.count('listedSource', this.#listed - waiting.joined);
    this.#isSending = true;
    this.#onCursor(after, this.#counters.values(this.#ahead), () => {
      this.#isSending = false;
    });
  }
}
