/** Listings of a container, whichever engine asks for its pages: in the order of UTF-8, behind a key, without marks. */
import { compareUtf8 } from '../../core/byte-order.ts';
import type { CallContext, DriverFacts, ListPage, ListQuery, ObjectInfo } from '../driver.ts';
import type { HttpCall } from '../http/call.ts';
import { prefetchedPages } from '../paging.ts';
import type { UploadMarks } from './azure-block-ids.ts';
import { type AzureListPage, narrowedPrefix } from './azure-listing.ts';
import { StartProof, startOf } from './azure-start.ts';
import { pagesBehind } from './azure-walk.ts';
import { ByteOrder, isSurelyBehind } from './byte-order.ts';

/** Azure gives 5,000: with 2,000, which are megabytes of XML, 50,000 small objects took 20 MiB and 2 s of CPU more. */
export const PAGE_NAMES_MAX = 500;

export interface AzureListerParts {
  /** How errors speak of a listing. */
  readonly call: HttpCall;
  readonly marks: UploadMarks;
  readonly listOrder: DriverFacts['listOrder'];
  /** One request: the names that begin with the prefix. */
  page(ctx: CallContext, query: ListQuery, from: PageBegin): Promise<AzureListPage>;
}

/** Both bound a page, which has what lies behind the one and not before the other. */
export interface PageBegin {
  readonly marker: string | undefined;
  /** A name; undefined for services that do not begin at one. */
  readonly start: string | undefined;
}

export class AzureLister {
  readonly #parts: AzureListerParts;
  readonly #starts = new StartProof();

  constructor(parts: AzureListerParts) {
    this.#parts = parts;
  }

  async *list(ctx: CallContext, query: ListQuery): AsyncGenerator<ListPage> {
    const { listOrder, marks } = this.#parts;
    const { after, delimiter } = query;
    const isBehind = listOrder === 'bytes' && after !== undefined && delimiter === undefined;
    const pages = isBehind ? this.#behind(ctx, { ...query, after }) : this.#ordered(ctx, query);
    for await (const page of pages) {
      const shown = {
        objects: page.objects.filter(({ key }) => !marks.hides(key)),
        prefixes: page.prefixes.filter((prefix) => !marks.hides(prefix)),
      };
      if (shown.objects.length + shown.prefixes.length > 0) yield { ...page, ...shown };
    }
  }

  /** Marks included, in the service's order. */
  everything(ctx: CallContext, query: ListQuery, start?: string): AsyncIterable<ListPage> {
    return prefetchedPages(query, this.#parts.call, (marker) => this.#page(ctx, query, { marker, start }));
  }

  #behind(ctx: CallContext, query: ListQuery & { readonly after: string }): AsyncIterable<ListPage> {
    const prefix = narrowedPrefix(query);
    const narrowed = { ...query, prefix };
    const start = startOf(prefix, query.after);
    if (start !== undefined && this.#starts.isKept) return this.#ordered(ctx, narrowed, start);
    const tier = query.tellsTier ? { tellsTier: query.tellsTier } : {};
    const page = (part: ListQuery, from: Partial<PageBegin>) =>
      this.#page(ctx, { ...tier, ...part }, { marker: undefined, start: undefined, ...from });
    const lister = {
      pages: (part: ListQuery) => this.#ordered(ctx, part),
      folder: (folder: string, marker: string | undefined) =>
        page({ prefix: folder, delimiter: '/' }, { marker }),
      begun: async () => {
        if (start === undefined) return undefined;
        const isKept = await this.#starts.look(
          prefix,
          async (from) => (await page({ prefix }, { start: from })).page,
        );
        return isKept ? this.#ordered(ctx, narrowed, start) : undefined;
      },
    };
    return pagesBehind(lister, narrowed);
  }

  async *#ordered(ctx: CallContext, query: ListQuery, start?: string): AsyncGenerator<ListPage> {
    const ofObjects = new ByteOrder<ObjectInfo>(({ key }) => key);
    const ofPrefixes = new ByteOrder<string>((prefix) => prefix);
    for await (const { objects, prefixes, ...page } of this.everything(ctx, query, start)) {
      const isLast = page.isLast === true;
      yield {
        ...page,
        objects: ofObjects.take(objects, isLast),
        prefixes: ofPrefixes.take(prefixes, isLast),
      };
    }
  }

  async #page(
    ctx: CallContext,
    query: ListQuery,
    from: PageBegin,
  ): Promise<{ page: ListPage; next?: string }> {
    const isSorted = this.#parts.listOrder === 'bytes';
    const { next, ...listed } = await this.#parts.page(ctx, query, from);
    const page = behind(listed, query.after);
    const last = listed.objects.at(-1)?.key;
    const { upTo } = query;
    const isPast = isSorted && last !== undefined && upTo !== undefined && isSurelyBehind(last, upTo);
    return next === undefined || isPast ? { page } : { page, next };
  }
}

/** A page may begin before the key. A group that `after` is in may have more keys behind it. */
function behind(page: ListPage, after: string | undefined): ListPage {
  if (after === undefined) return page;
  return {
    objects: page.objects.filter(({ key }) => compareUtf8(key, after) > 0),
    prefixes: page.prefixes.filter((prefix) => after.startsWith(prefix) || compareUtf8(prefix, after) > 0),
  };
}
