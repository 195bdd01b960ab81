/**
 * One listing in order, made of several that run side by side. A page of a listing cannot be asked for before the page
 * ahead of it is there, and a service may take 200 ms for each; so while whoever reads the pages waits for them, further
 * listings are begun behind keys that are about to come:
 *
 *     range   ├──────────────────────────────────────────────────────┤
 *     lanes   ├─ read now ──────┤├─ held ────┤├─ held ────┤  (begun once there is room)
 *                               border       border
 *
 * A border need not be a key that exists, so a bad guess costs time and never an object. For a server that has another
 * order something else may lie behind a border, so each lane must come to the key that the one before it ended at. Lanes are handed out one after
 * the other, and what is held is bounded in pages. Where nobody waits there is one lane, the listing as it always was.
 */
import { compareUtf8 } from '../core/byte-order.ts';
import type { CallContext, ListPage, ListQuery, StorageDriver } from '../drivers/driver.ts';
import { KeyScale } from './key-scale.ts';
import { ListingLane } from './listing-lane.ts';
import { ListingOutOfOrder } from './sorted-listing.ts';

export interface AheadOptions {
  /** Ascending keys that cut the range into pieces of about one size; those outside of it are of no use. */
  readonly borders: readonly string[];
  /** Default 6. */
  readonly lanesMax?: number;
  /** Held for whoever reads, or under way, besides the one that is asked for; default 8. */
  readonly pagesMax?: number;
  /** What was found out by the listings before this one, and is by this one for the next. */
  readonly pace?: AheadPace;
  /** Milliseconds. */
  readonly now?: () => number;
}

/** How many lanes one driver's listings are worth. */
export interface AheadPace {
  lanes: number;
}

const LANES_MAX = 6;
/** Of 1,000 keys each, about 250 kB: with those under way up to 8 MB in each thread. */
const PAGES_MAX = 8;
/** What a lane is meant to hold. Its last page reaches behind its border, which costs half a page on average. */
const PAGES_PER_LANE = 3;
/** What one lane may hold while it waits: a bad guess must not use up all the room. */
const LANE_PAGES_MAX = 2 * PAGES_PER_LANE;
/** Lanes begin no closer than this part of a piece: where keys are crowded at one place, all else would be listed bit by bit. */
const APART_MIN = 1 / 16;
/** A shorter wait is no reason to list more at once. */
const WAIT_MS_MIN = 4;
/** So many pages in a row that nobody waited for are a reason to list less at once. */
const READY_PAGES = 16;

/**
 * The same objects in the same order as of `driver.list`, for drivers that list in byte order.
 * @throws ListingOutOfOrder where lanes do not fit together, be it that a key came or went while they were listed.
 */
export async function* listAhead(
  ctx: CallContext,
  driver: StorageDriver,
  query: ListQuery,
  options: AheadOptions,
): AsyncGenerator<ListPage> {
  const stop = new AbortController();
  const signal = AbortSignal.any([ctx.signal, stop.signal]);
  const lanes = new Lanes((piece) => driver.list({ signal }, piece), query, options);
  try {
    for (let page = await lanes.next(); page; page = await lanes.next()) yield page;
  } finally {
    stop.abort();
    await lanes.close();
  }
}

class Lanes {
  readonly #list: (query: ListQuery) => AsyncIterable<ListPage>;
  readonly #query: ListQuery;
  readonly #scale: KeyScale;
  readonly #lanesMax: number;
  readonly #pagesMax: number;
  readonly #now: () => number;
  /** The first one is handed out now. */
  readonly #open: ListingLane[] = [];
  /** Where the next lane begins; undefined once the last one reaches to the end of the range. */
  #next: { readonly after: string | undefined } | undefined;
  readonly #pace: AheadPace;
  #readyPages = 0;
  #givenMs: number;
  /** How far pages got on the scale, to know how far apart lanes should begin. */
  #pages = 0;
  #distance = 0;
  /** Grows while lanes hold less than a page. */
  #stretch = 1;
  /** Where the lane before this one met its border: what comes next. */
  #expected: string | undefined;
  #isClosed = false;

  constructor(list: (query: ListQuery) => AsyncIterable<ListPage>, query: ListQuery, options: AheadOptions) {
    this.#list = list;
    this.#query = query;
    this.#scale = new KeyScale(options.borders, query);
    this.#lanesMax = options.lanesMax ?? LANES_MAX;
    this.#pagesMax = options.pagesMax ?? PAGES_MAX;
    this.#now = options.now ?? (() => performance.now());
    this.#pace = options.pace ?? { lanes: 1 };
    this.#next = { after: query.after };
    this.#givenMs = this.#now();
  }

  /** The next page of the whole range; undefined behind the last one. */
  async next(): Promise<ListPage | undefined> {
    const askedMs = this.#now();
    let hasWaited = false;
    for (;;) {
      this.#fill();
      const [lane] = this.#open;
      if (!lane) return undefined;
      const page = lane.take();
      if (page) {
        this.#meet(page);
        this.#adapt(hasWaited ? this.#now() - askedMs : 0, askedMs - this.#givenMs);
        this.#givenMs = this.#now();
        this.#fill();
        return page;
      }
      if (lane.isDone) {
        this.#leave(lane);
        this.#open.shift();
      } else {
        hasWaited = true;
        await lane.fetch();
      }
    }
  }

  #meet({ objects }: ListPage): void {
    const expected = this.#expected;
    if (expected !== undefined && objects.some(({ key }) => key === expected)) this.#expected = undefined;
  }

  #leave({ border, reached, behind }: ListingLane): void {
    const expected = this.#expected;
    if (expected !== undefined && (border === undefined || compareUtf8(expected, border) <= 0))
      throw new ListingOutOfOrder(border ?? reached ?? '', expected);
    const { upTo } = this.#query;
    const isOurs = behind !== undefined && (upTo === undefined || compareUtf8(behind, upTo) <= 0);
    if (border !== undefined && isOurs) this.#expected ??= behind;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#open.map((lane) => lane.close()));
  }

  /** More at once while the pages take longer than what is done with them, fewer when they are there in time. */
  #adapt(waitedMs: number, workedMs: number): void {
    if (waitedMs >= Math.max(WAIT_MS_MIN, workedMs / 4)) {
      this.#pace.lanes = Math.min(this.#lanesMax, 2 * this.#pace.lanes);
      this.#readyPages = 0;
      return;
    }
    this.#readyPages += 1;
    if (this.#readyPages < READY_PAGES) return;
    this.#readyPages = 0;
    this.#pace.lanes = Math.max(1, this.#pace.lanes - 1);
  }

  /** Begins lanes and pages for as many as are wanted and may be held. The lane that is read goes on when it is read. */
  #fill(): void {
    if (this.#isClosed) return;
    if (this.#open.length === 0) this.#begin();
    while (this.#open.length < this.#pace.lanes && this.#begin());
    let held = this.#open.reduce((sum, lane) => sum + lane.pagesHeld, 0);
    for (const lane of this.#open.slice(1)) {
      if (held >= this.#pagesMax) return;
      if (!lane.mayFetch || lane.pagesHeld >= LANE_PAGES_MAX) continue;
      held += 1;
      void lane.fetch().then(() => this.#fill());
    }
  }

  /** @returns whether there was anything left to begin, and a place to begin it at. */
  #begin(): boolean {
    const last = this.#open.at(-1);
    if (!this.#next && last) this.#next = this.#shortened(last);
    if (!this.#next) return false;
    const { after } = this.#next;
    // As long as one lane is enough, or nothing is known of how much there is, it goes to the end; it is made shorter
    // when others are to begin behind it.
    const isShort = this.#pace.lanes > 1 && this.#pages > 0;
    const border = isShort ? this.#borderBehind(after) : undefined;
    this.#next = border === undefined ? undefined : { after: border };
    const upTo = border ?? this.#query.upTo;
    const pages = this.#list({
      ...this.#query,
      ...(after === undefined ? {} : { after }),
      ...(upTo === undefined ? {} : { upTo }),
    });
    this.#open.push(
      new ListingLane(pages, { after, border, onPage: (before, reached) => this.#measure(before, reached) }),
    );
    return true;
  }

  /** Ends a lane that reaches to the end of the range at a border that it is far from yet. */
  #shortened(last: ListingLane): { readonly after: string } | undefined {
    // Without a page nothing is known of how far apart lanes should begin, nor whether there is more than that.
    const border = this.#pages === 0 || last.hasEnded ? undefined : this.#borderBehind(last.reached);
    if (border === undefined) return undefined;
    last.border = border;
    return { after: border };
  }

  /** About where a lane that begins behind this key should end; undefined: at the end of the range. */
  #borderBehind(key = this.#query.prefix): string | undefined {
    const wanted = (PAGES_PER_LANE * this.#distance) / Math.max(1, this.#pages);
    const apart = Math.max(APART_MIN, wanted) * this.#stretch;
    const border = this.#scale.keyAt(this.#scale.placeOf(key) + apart, key);
    return border !== undefined && compareUtf8(border, key) > 0 ? border : undefined;
  }

  /** @param reached undefined where the lane has no page of its own. */
  #measure(before: string | undefined, reached: string | undefined): void {
    if (reached === undefined) {
      this.#stretch *= 2;
      return;
    }
    this.#stretch = Math.max(1, this.#stretch / 2);
    this.#pages += 1;
    this.#distance += this.#scale.placeOf(reached) - this.#scale.placeOf(before ?? this.#query.prefix);
  }
}
