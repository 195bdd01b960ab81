/**
 * Listings that begin behind a key, for services that do not begin at one, or were not yet seen to. A container may have
 * millions of names in front of it. So where a few pages are not enough to come to the key, the folders beside it are
 * asked for, those before it left out, and those behind it listed one after the other.
 */
import { compareUtf8 } from '../../core/byte-order.ts';
import type { ListPage, ListQuery, ObjectInfo } from '../driver.ts';

/** Pages that are passed over before folders are looked at. */
const PASSED_MAX = 2;
/** A folder with more entries is passed through page by page: each folder in it would be a request at least. */
const ENTRIES_MAX = 2_000;
const REQUESTS_MAX = 32;

interface Lister {
  /** All that is wanted, in the order of UTF-8; pages without any of it are given as well. */
  pages(query: ListQuery): AsyncIterable<ListPage>;
  /** One page of a folder's own entries. */
  folder(
    prefix: string,
    marker: string | undefined,
  ): Promise<{ readonly page: ListPage; readonly next?: string }>;
  /** The listing, begun where it should; asked after the first page that is passed over. Undefined: that cannot be had. */
  begun?(): Promise<AsyncIterable<ListPage> | undefined>;
}

/** Everything behind `after`, for a service that lists in an order of bytes, without a delimiter. */
export async function* pagesBehind(lister: Lister, query: ListQuery): AsyncGenerator<ListPage> {
  let passed = 0;
  for await (const page of lister.pages(query)) {
    if (page.objects.length > 0) passed = Number.NEGATIVE_INFINITY;
    yield page;
    passed += 1;
    if (page.isLast) continue;
    const begun = passed === 1 ? await lister.begun?.() : undefined;
    if (begun) {
      yield* begun;
      return;
    }
    if (passed !== PASSED_MAX) continue;
    const folder = await entriesOf(lister, query.prefix);
    if (folder === undefined) continue;
    yield* folderBehind(lister, query, folder);
    return;
  }
}

/** Undefined where there are too many. */
async function entriesOf(lister: Lister, prefix: string): Promise<ListPage | undefined> {
  const objects: ObjectInfo[] = [];
  const prefixes: string[] = [];
  let marker: string | undefined;
  for (let request = 0; request < REQUESTS_MAX; request += 1) {
    const { page, next } = await lister.folder(prefix, marker);
    objects.push(...page.objects);
    prefixes.push(...page.prefixes);
    if (objects.length + prefixes.length > ENTRIES_MAX) return undefined;
    if (next === undefined) return { objects, prefixes };
    marker = next;
  }
  return undefined;
}

/** The folder that `after` lies in comes first: nothing else is behind the key and before the end of that folder. */
async function* folderBehind(
  lister: Lister,
  query: ListQuery,
  { objects, prefixes }: ListPage,
): AsyncGenerator<ListPage> {
  const { prefix, after = '', upTo } = query;
  const slash = after.startsWith(prefix) ? after.indexOf('/', prefix.length) : -1;
  const own = slash < 0 ? undefined : after.slice(0, slash + 1);
  if (own !== undefined && prefixes.includes(own))
    yield* unended(pagesBehind({ pages: lister.pages, folder: lister.folder }, { ...query, prefix: own }));
  const entries = [
    ...objects.map((object) => ({ name: object.key, object })),
    ...prefixes.filter((name) => name !== own).map((name) => ({ name, object: undefined })),
  ]
    .filter(({ name }) => compareUtf8(name, after) > 0)
    .toSorted((left, right) => compareUtf8(left.name, right.name));
  for (const { name, object } of entries) {
    if (upTo !== undefined && compareUtf8(name, upTo) > 0) return;
    if (object) yield { objects: [object], prefixes: [] };
    else yield* unended(lister.pages({ ...query, prefix: name }));
  }
}

/** The last page of a folder is not the last one of the listing. */
async function* unended(pages: AsyncIterable<ListPage>): AsyncGenerator<ListPage> {
  for await (const { objects, prefixes } of pages) yield { objects, prefixes };
}
