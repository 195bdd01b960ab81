/**
 * Pages of a bucket's listing, by the JSON API (https://cloud.google.com/storage/docs/json_api/v1/objects/list): it
 * ascends by UTF-8 bytes, begins at any name (`startOffset`), and gives each object's generation and true MD5. The XML
 * API lists ETags, which are an MD5 for some objects and look like one for others.
 */
import { compareUtf8 } from '../../core/byte-order.ts';
import type { ListPage, ListQuery, ObjectInfo } from '../driver.ts';
import { type HttpCall, malformed } from '../http/call.ts';

const DIGITS = /^\d{1,16}$/;
const GENERATION = /^\d{1,20}$/;
/** Nothing else is asked for: a page is a third as long. */
const FIELDS = 'items(name,size,md5Hash,generation,contentType),prefixes,nextPageToken';

export interface GcsListPage extends ListPage {
  readonly next?: string;
}

/** `startOffset` is itself part of what is listed; whoever pages cuts that one name off. */
export function listingQuery(
  query: ListQuery,
  token: string | undefined,
  pageNamesMax: number,
): readonly (readonly [string, string])[] {
  const parameters: [string, string][] = [
    ['prefix', query.prefix],
    ['maxResults', String(pageNamesMax)],
    ['fields', FIELDS],
  ];
  if (query.delimiter) parameters.push(['delimiter', query.delimiter]);
  if (query.after !== undefined) parameters.push(['startOffset', query.after]);
  if (token !== undefined) parameters.push(['pageToken', token]);
  return parameters;
}

/** @throws StorageError of kind `corrupt` where the answer is no listing. */
export function gcsListingOf(call: HttpCall, body: Buffer, upTo: string | undefined): GcsListPage {
  const { items, prefixes, nextPageToken } = pageIn(call, body);
  const all = listIn(call, items).map((item) => objectOf(call, item));
  const page = {
    objects: all,
    prefixes: listIn(call, prefixes).map((prefix) => nameOf(call, prefix)),
  };
  const isLast = nextPageToken === undefined || nextPageToken === '';
  if (!isLast && typeof nextPageToken !== 'string')
    throw malformed(call, 'the listing does not say where it goes on');
  const next = isLast ? {} : { next: nextPageToken as string };
  const isAscending = all.every(({ key }, at) => at === 0 || compareUtf8(all[at - 1]?.key ?? '', key) < 0);
  // A page out of order is given whole, so that whoever checks the order sees it.
  if (!isAscending) return { ...page, ...next };
  const cut = upTo === undefined ? -1 : all.findIndex(({ key }) => compareUtf8(key, upTo) > 0);
  if (cut < 0) return { ...page, ...next, isAscending };
  const { key: behind } = all[cut] ?? { key: '' };
  return { ...page, objects: all.slice(0, cut), behind, isAscending };
}

interface Page {
  readonly items?: unknown;
  readonly prefixes?: unknown;
  readonly nextPageToken?: unknown;
}

function pageIn(call: HttpCall, body: Buffer): Page {
  let page: unknown;
  try {
    page = JSON.parse(body.toString('utf8'));
  } catch {
    throw malformed(call, 'the listing is no JSON');
  }
  if (typeof page !== 'object' || page === null || Array.isArray(page))
    throw malformed(call, 'the answer is not a listing');
  // An empty listing is an empty object; an error in the place of one is not.
  if ('error' in page) throw malformed(call, 'an error came instead of a listing');
  return page;
}

function listIn(call: HttpCall, list: unknown): readonly unknown[] {
  if (list === undefined) return [];
  if (!Array.isArray(list)) throw malformed(call, 'the listing is no list');
  return list;
}

function nameOf(call: HttpCall, name: unknown): string {
  if (typeof name === 'string' && name !== '') return name;
  throw malformed(call, 'the listing has an entry without a name');
}

interface Item {
  readonly name?: unknown;
  readonly size?: unknown;
  readonly generation?: unknown;
  readonly md5Hash?: unknown;
  readonly contentType?: unknown;
}

/**
 * What the registry's driver leaves of an upload that it will go on with: up to 256 KiB of its bytes, and the address of a
 * session. It takes an object of this type for absent, wherever it lies.
 */
const UPLOAD_SESSION = 'application/x-docker-upload-session';

function objectOf(call: HttpCall, item: unknown): ObjectInfo {
  const { name, size, generation, md5Hash, contentType }: Item =
    typeof item === 'object' && item !== null ? item : {};
  const key = nameOf(call, name);
  const sizeBytes = Number(size);
  if (typeof size !== 'string' || !DIGITS.test(size) || !Number.isSafeInteger(sizeBytes))
    throw malformed(call, 'the listing has an entry without a size');
  if (typeof generation !== 'string' || !GENERATION.test(generation))
    throw malformed(call, 'the listing has an entry without a generation');
  const bytes = typeof md5Hash === 'string' ? Buffer.from(md5Hash, 'base64') : undefined;
  const object: ObjectInfo = { key, sizeBytes, version: generation };
  const told = bytes?.length === 16 ? { ...object, md5: bytes.toString('hex') } : object;
  return contentType === UPLOAD_SESSION ? { ...told, isPlaceholder: true } : told;
}
