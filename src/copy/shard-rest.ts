/**
 * How much of a shard is still to be looked at, and so can be given to another thread: what lies behind a border that
 * nothing has been looked at beyond. Everything that is decided here is decided at once, between two turns of the event
 * loop, so that no object can pass a border while it is drawn.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { compareUtf8 } from '../core/byte-order.ts';
import type { CallContext, ListPage } from '../drivers/driver.ts';
import { type BorderSearch, findBorder } from './find-border.ts';
import type { KeyRange, Shard } from './shard.ts';

/** A border that was passed while it was searched for is searched for again. */
const SEARCHES_MAX = 3;
/** A short shard has come to its end by then, without a listing to find that out. */
const TURNS_BEFORE_SEARCH = 5;

export class ShardRest {
  #range: KeyRange;
  readonly #borders: readonly string[];
  readonly #keepsPages: boolean;
  /** Where the join is. */
  #passed: string | undefined;
  /** The last path that something was told of before its turn. */
  #told: string | undefined;
  #pageEnd: string | undefined;
  #isListed = false;
  #isWhole = false;
  #isCut = false;
  readonly #hasBegun = Promise.withResolvers<void>();

  /** @param keepsPages what of a page is told at once, such as what only the target has, passes all of the page. */
  constructor({ range, borders = [] }: Shard, { keepsPages }: { readonly keepsPages: boolean }) {
    this.#range = range;
    this.#borders = borders;
    this.#keepsPages = keepsPages;
    this.#passed = range.after;
  }

  get range(): KeyRange {
    return this.#range;
  }

  /** The last path that was not given away, if anything was. */
  get border(): string | undefined {
    return this.#isCut ? this.#range.upTo : undefined;
  }

  /** Was the path given away? Ask before anything is done about it; what was not is passed by asking. */
  hasGiven(path: string): boolean {
    if (this.#isCut && this.#isBehindRange(path)) return true;
    this.#passed = path;
    return false;
  }

  /** Something was told of a path before its turn. */
  tell(path: string): void {
    this.#told = later(this.#told, path);
  }

  /** The listings must be seen whole, and so cannot be cut. */
  keepWhole(): void {
    this.#isWhole = true;
    this.#hasBegun.resolve();
  }

  /** The source's pages, which end where the range now ends. */
  async *ofSource(pages: AsyncIterable<ListPage>, keyPrefix: string): AsyncGenerator<ListPage> {
    this.#isListed = false;
    for await (const page of this.within(pages, keyPrefix)) {
      const last = page.objects.at(-1);
      if (last) this.#pageEnd = last.key.slice(keyPrefix.length);
      this.#hasBegun.resolve();
      yield page;
    }
    this.#isListed = true;
    this.#hasBegun.resolve();
  }

  async *within(pages: AsyncIterable<ListPage>, keyPrefix: string): AsyncGenerator<ListPage> {
    for await (const page of pages) {
      const last = page.objects.at(-1);
      const isBeyond = this.#isCut && last && this.#isBehindRange(last.key.slice(keyPrefix.length));
      if (!isBeyond) {
        yield page;
        continue;
      }
      const objects = page.objects.filter(({ key }) => !this.#isBehindRange(key.slice(keyPrefix.length)));
      if (objects.length > 0) yield { ...page, objects };
      return;
    }
  }

  /** Shortens the range. @returns where it ends now; undefined where it stays as it is. */
  async cut(ctx: CallContext, search: Omit<BorderSearch, 'range' | 'behind'>): Promise<string | undefined> {
    await this.#hasBegun.promise;
    for (let count = 0; count < TURNS_BEFORE_SEARCH; count += 1) await turn();
    for (let count = 0; count < SEARCHES_MAX; count += 1) {
      if (this.#isAtEnd) return undefined;
      const planned = this.#plannedBorder();
      const border =
        planned ?? (await findBorder(ctx, { ...search, range: this.#range, behind: this.#floor }));
      if (border === undefined) return undefined;
      if (this.#cutAt(border)) return border;
    }
    return undefined;
  }

  get #isAtEnd(): boolean {
    if (this.#isWhole) return true;
    if (!this.#isListed) return false;
    // Behind the last page everything that only the target has may have been told.
    return this.#keepsPages || this.#pageEnd === undefined || this.#isPassed(this.#pageEnd);
  }

  /** The middle one of those that are left. */
  #plannedBorder(): string | undefined {
    const left = this.#borders.filter((border) => this.#mayCutAt(border));
    return left[Math.floor(left.length / 2)];
  }

  /** Nothing up to there can be given away any more. */
  get #floor(): string | undefined {
    return later(later(this.#passed, this.#told), this.#keepsPages ? this.#pageEnd : undefined);
  }

  #mayCutAt(border: string): boolean {
    const floor = this.#floor;
    if (floor !== undefined && compareUtf8(border, floor) < 0) return false;
    // A folder whose name is the border is the next shard's, which would tell of it once more.
    if (border === this.#told) return false;
    return this.#range.upTo === undefined || compareUtf8(border, this.#range.upTo) < 0;
  }

  #cutAt(border: string): boolean {
    if (this.#isAtEnd || !this.#mayCutAt(border)) return false;
    this.#range = { ...this.#range, upTo: border };
    this.#isCut = true;
    return true;
  }

  #isPassed(path: string): boolean {
    return this.#passed !== undefined && compareUtf8(path, this.#passed) <= 0;
  }

  #isBehindRange(path: string): boolean {
    return this.#range.upTo !== undefined && compareUtf8(path, this.#range.upTo) > 0;
  }
}

function later(one: string | undefined, other: string | undefined): string | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return compareUtf8(one, other) > 0 ? one : other;
}
