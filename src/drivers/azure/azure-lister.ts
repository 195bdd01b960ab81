/** Listings of a container, whichever engine asks for its pages: in the order of UTF-8, behind a key, without marks. */
import { compareUtf8 } from '../../core/byte-order.ts';
import type { CallContext, DriverFacts, ListPage, ListQuery, ObjectInfo } from '../driver.ts';
import type { HttpCall } from '../http/call.ts';
import { prefetchedPages } from '../paging.ts';
import type { UploadMarks } from './azure-block-ids.ts';
import { type AzureListPage, narrowedPrefix } from './azure-listing.ts';
import { pagesBehind } from './azure-walk.ts';
import { ByteOrder, isSurelyBehind } from './byte-order.ts';

/** Azure gives 5,000: with 2,000, which are megabytes of XML, 50,000 small objects took 20 MiB and 2 s of CPU more. */
export const PAGE_NAMES_MAX = 500;

export interface AzureListerParts {
  /** How errors speak of a listing. */
  readonly call: HttpCall;
  readonly marks: UploadMarks;
  readonly listOrder: DriverFacts['listOrder'];
  /** One request: the names that begin with the prefix, from the marker on. */
  page(ctx: CallContext, query: ListQuery, marker: string | undefined): Promise<AzureListPage>;
}

export class AzureLister {
  readonly #parts: AzureListerParts;

  constructor(parts: AzureListerParts) {
    this.#parts = parts;
  }

  async *list(ctx: CallContext, query: ListQuery): AsyncGenerator<ListPage> {
    const { listOrder, marks } = this.#parts;
    const isWalked = listOrder === 'bytes' && query.after !== undefined && query.delimiter === undefined;
    const tier = query.tellsTier ? { tellsTier: query.tellsTier } : {};
    const pages = isWalked
      ? pagesBehind(
          {
            pages: (part) => this.#ordered(ctx, part),
            folder: (prefix, marker) => this.#page(ctx, { ...tier, prefix, delimiter: '/' }, marker),
          },
          { ...query, prefix: narrowedPrefix(query) },
        )
      : this.#ordered(ctx, query);
    for await (const page of pages) {
      const shown = {
        objects: page.objects.filter(({ key }) => !marks.hides(key)),
        prefixes: page.prefixes.filter((prefix) => !marks.hides(prefix)),
      };
      if (shown.objects.length + shown.prefixes.length > 0) yield { ...page, ...shown };
    }
  }

  /** Marks included, in the service's order. */
  everything(ctx: CallContext, query: ListQuery): AsyncIterable<ListPage> {
    return prefetchedPages(query, this.#parts.call, (marker) => this.#page(ctx, query, marker));
  }

  async *#ordered(ctx: CallContext, query: ListQuery): AsyncGenerator<ListPage> {
    const ofObjects = new ByteOrder<ObjectInfo>(({ key }) => key);
    const ofPrefixes = new ByteOrder<string>((prefix) => prefix);
    for await (const { objects, prefixes, ...page } of this.everything(ctx, query)) {
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
    marker: string | undefined,
  ): Promise<{ page: ListPage; next?: string }> {
    const isSorted = this.#parts.listOrder === 'bytes';
    const { next, ...listed } = await this.#parts.page(ctx, query, marker);
    const page = behind(listed, query.after);
    const last = listed.objects.at(-1)?.key;
    const { upTo } = query;
    const isPast = isSorted && last !== undefined && upTo !== undefined && isSurelyBehind(last, upTo);
    return next === undefined || isPast ? { page } : { page, next };
  }
}

/** No request can say where a listing begins. A group that `after` is in may have more keys behind it. */
function behind(page: ListPage, after: string | undefined): ListPage {
  if (after === undefined) return page;
  return {
    objects: page.objects.filter(({ key }) => compareUtf8(key, after) > 0),
    prefixes: page.prefixes.filter((prefix) => after.startsWith(prefix) || compareUtf8(prefix, after) > 0),
  };
}
