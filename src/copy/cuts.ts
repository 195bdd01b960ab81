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

const CUT_OBJECTS = 5_000;
const CUT_MS = 5_000;

/** The objects between two cuts. */
export interface Segment {
  pending: number;
  isBlocked: boolean;
}

export interface CutOptions {
  readonly counters: CounterWriter;
  /** A cut may be made after so many objects, or after 5 s. */
  readonly everyObjects?: number | undefined;
  /** Everything up to and including `after` is settled. No cut is made until `onSent` is called. */
  readonly onCursor: (after: string, values: Float64Array, onSent: () => void) => void;
}

export class Cuts {
  readonly #counters: CounterWriter;
  readonly #everyObjects: number;
  readonly #onCursor: CutOptions['onCursor'];
  /** Counted of objects behind the cut that waits. */
  readonly #ahead = new CounterWriter(allocateCounters(1));
  #open: Segment = { pending: 0, isBlocked: false };
  #waiting: { readonly segment: Segment; readonly after: string; readonly joined: number } | undefined;
  #isOver = false;
  #isSending = false;
  #last: string | undefined;
  #cutAtMs = performance.now();
  #sinceCut = 0;
  #joined = 0;
  #listed = 0;
  /** Left-out folders that a listing has met and that no cursor has passed yet. */
  #folders = new Set<string>();

  constructor({ counters, everyObjects, onCursor }: CutOptions) {
    this.#counters = counters;
    this.#everyObjects = everyObjects ?? CUT_OBJECTS;
    this.#onCursor = onCursor;
  }

  /** The next object in the order of the listing; nothing of it may have been counted yet but that it is listed. */
  admit(path: string): Segment {
    if (this.#isDue()) this.#cut();
    this.#last = path;
    this.#joined += 1;
    this.#sinceCut += 1;
    this.#open.pending += 1;
    return this.#open;
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
    return this.#sinceCut >= this.#everyObjects || performance.now() - this.#cutAtMs >= CUT_MS;
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
