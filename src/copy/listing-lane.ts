/** A listing of a part of a range, one of several side by side: its pages wait here until they are taken. */
import { compareUtf8 } from '../core/byte-order.ts';
import type { ListPage } from '../drivers/driver.ts';
import { countUpTo } from './key-scale.ts';

interface LaneOptions {
  /** Where it begins. */
  readonly after: string | undefined;
  readonly border: string | undefined;
  /** Told how far each page got that has objects and does not meet the border; no key where the very first one did. */
  readonly onPage: (before: string | undefined, reached: string | undefined) => void;
}

export class ListingLane {
  readonly #pages: AsyncIterator<ListPage>;
  readonly #onPage: LaneOptions['onPage'];
  readonly #held: ListPage[] = [];
  #fetching: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;
  #hasEnded = false;
  #isFirst = true;
  #reached: string | undefined;
  #behind: string | undefined;
  /** Keys behind it are another lane's. It may be set to one behind `reached`. */
  border: string | undefined;

  constructor(pages: AsyncIterable<ListPage>, { after, border, onPage }: LaneOptions) {
    this.#pages = pages[Symbol.asyncIterator]();
    this.#reached = after;
    this.border = border;
    this.#onPage = onPage;
  }

  /** The last key that came, or where it began. */
  get reached(): string | undefined {
    return this.#reached;
  }

  /** The first key behind the border, if it came to one. */
  get behind(): string | undefined {
    return this.#behind;
  }

  /** The one under way counts, too. */
  get pagesHeld(): number {
    return this.#held.length + (this.#fetching ? 1 : 0);
  }

  get mayFetch(): boolean {
    return !this.#hasEnded && !this.#failure && !this.#fetching;
  }

  /** No more pages will come. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** And all were taken. */
  get isDone(): boolean {
    return this.#hasEnded && this.#held.length === 0;
  }

  /** @throws what broke the listing, once all that came before was taken. */
  take(): ListPage | undefined {
    const page = this.#held.shift();
    if (!page && this.#failure) throw this.#failure.error;
    return page;
  }

  /** Resolves when the next page is held, or why there is none is known. */
  fetch(): Promise<void> {
    this.#fetching ??= this.#fetch();
    return this.#fetching;
  }

  async close(): Promise<void> {
    await this.#pages.return?.().catch(() => undefined);
  }

  async #fetch(): Promise<void> {
    try {
      const step = await this.#pages.next();
      if (step.done) this.#hasEnded = true;
      else this.#add(step.value);
      if (this.#hasEnded) await this.close();
    } catch (error) {
      this.#failure = { error };
    } finally {
      this.#fetching = undefined;
    }
  }

  #add(page: ListPage): void {
    const { border } = this;
    const isFirst = this.#isFirst;
    this.#isFirst = false;
    const last = page.objects.at(-1);
    const isCut = last && border !== undefined && compareUtf8(last.key, border) > 0 && ascends(page);
    this.#hasEnded = isCut === true || page.isLast === true;
    const keys = isCut ? page.objects.map(({ key }) => key) : [];
    // A page out of order is given whole: whoever checks the order must see it. What ends here need not be all.
    const objects = isCut ? page.objects.slice(0, countUpTo(keys, border)) : page.objects;
    this.#behind = isCut ? keys[objects.length] : page.behind;
    this.#held.push(this.#hasEnded ? { ...page, objects, isLast: false } : page);
    if (isFirst && this.#hasEnded) this.#onPage(undefined, undefined);
    if (!last || this.#hasEnded) return;
    this.#onPage(this.#reached, last.key);
    if (this.#reached === undefined || compareUtf8(last.key, this.#reached) > 0) this.#reached = last.key;
  }
}

function ascends({ objects, isAscending }: ListPage): boolean {
  if (isAscending) return true;
  return objects.every(({ key }, index) => {
    const before = objects[index - 1];
    return before === undefined || compareUtf8(before.key, key) < 0;
  });
}
