/** ListObjects and ListObjectsV2: byte order, prefixes rolled up at a delimiter, pages of at most 1,000. */
import { hash } from 'node:crypto';
import { percentEncode } from '../http/uri.ts';
import { bucketOf, type OperationRequest, type Response, xmlResponse } from '../s3/operation.ts';
import { S3Error } from '../s3/s3-error.ts';
import { find, type Query } from '../s3/sigv4.ts';
import { element, escapeXml, S3_NAMESPACE } from '../s3/xml.ts';
import type { SortedMap } from '../store/sorted-map.ts';
import type { StoredObject } from '../store/store.ts';
import { restoreOf, storageClassOf } from './read.ts';
import { isoDate } from './write.ts';

const PAGE_MAX = 1000;

/** Sorts behind every key that begins with `prefix`; undefined when no string does. */
export function afterPrefix(prefix: string): string | undefined {
  for (let length = prefix.length; length > 0; length -= 1) {
    const last = prefix.charCodeAt(length - 1);
    if (last < 0xff) return prefix.slice(0, length - 1) + String.fromCharCode(last + 1);
  }
  return undefined;
}

/** The first possible key behind this one. */
export function behind(key: string): string {
  return `${key}\0`;
}

interface PageQuery {
  readonly prefix: string;
  readonly delimiter: string;
  /** The first key that may be listed. */
  readonly from: string;
  /** No page came before: `from` is at most what the request itself begins with. */
  readonly isFirst: boolean;
  readonly max: number;
}

type PageEntry<V> =
  | { readonly kind: 'key'; readonly key: string; readonly value: V }
  | { readonly kind: 'prefix'; readonly prefix: string };

interface Page<V> {
  readonly entries: readonly PageEntry<V>[];
  /** Where the next page begins; undefined on the last. */
  readonly next: string | undefined;
}

/** @param isHidden leaves an entry out as if it were not there. */
function pageOf<V>(map: SortedMap<V>, query: PageQuery, isHidden: (value: V) => boolean): Page<V> {
  const { prefix, delimiter, max } = query;
  const entries: PageEntry<V>[] = [];
  if (max === 0) return { entries, next: undefined };
  const start = query.from > prefix ? query.from : prefix;
  const cursor = map.entriesFrom(start);
  let step = cursor.next();
  while (!step.done) {
    const [key, value] = step.value;
    if (!key.startsWith(prefix)) break;
    if (isHidden(value)) {
      step = cursor.next();
      continue;
    }
    if (entries.length === max) return { entries, next: key };
    const cut = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    if (cut < 0) {
      entries.push({ kind: 'key', key, value });
      step = cursor.next();
      continue;
    }
    const common = key.slice(0, cut + delimiter.length);
    entries.push({ kind: 'prefix', prefix: common });
    const jump = afterPrefix(common);
    if (jump === undefined) break;
    step = cursor.next(jump);
  }
  return { entries, next: undefined };
}

/** A marker inside a common prefix stands behind all of it, as in Ceph: that prefix has been listed already. */
export function fromMarker(marker: string, prefix: string, delimiter: string): string {
  const cut = delimiter === '' || !marker.startsWith(prefix) ? -1 : marker.indexOf(delimiter, prefix.length);
  if (cut < 0) return behind(marker);
  return afterPrefix(marker.slice(0, cut + delimiter.length)) ?? behind(marker);
}

export function countParameter(query: Query, name: string): number {
  const text = find(query, name);
  if (text === undefined || text === '') return PAGE_MAX;
  if (!/^\d{1,10}$/.test(text) || Number(text) > 2147483647) {
    throw new S3Error('InvalidArgument', `Argument ${name} must be an integer between 0 and 2147483647`);
  }
  return Math.min(PAGE_MAX, Number(text));
}

/** How names are written: as they are, or percent-encoded where the client asked for it. */
export function nameEncoder(query: Query): (name: string) => string {
  const encoding = find(query, 'encoding-type');
  if (encoding === undefined || encoding === '') return escapeXml;
  if (encoding !== 'url')
    throw new S3Error('InvalidArgument', 'Invalid Encoding Method specified in Request');
  // Ceph escapes the slash as well, AWS does not; decoders take both.
  return (name) => percentEncode(name, false);
}

function encodingXml(query: Query): string {
  return find(query, 'encoding-type') === 'url' ? '<EncodingType>url</EncodingType>' : '';
}

function pageFor(request: OperationRequest, query: PageQuery): Page<StoredObject> {
  const since = request.listing.hideWrittenSinceMs;
  const isHidden = (object: StoredObject): boolean => object.modifiedMs >= since;
  const { objects } = bucketOf(request);
  return request.listing.unordered === 'listing'
    ? hashedPageOf(objects, query, isHidden)
    : pageOf(objects, query, isHidden);
}

/** All that the query is about, in the order of the hashes of its names; only another page begins elsewhere. */
function hashedPageOf<V>(
  map: SortedMap<V>,
  { isFirst, from, ...query }: PageQuery,
  isHidden: (value: V) => boolean,
): Page<V> {
  const whole = pageOf(map, { ...query, isFirst, from: '', max: Number.POSITIVE_INFINITY }, isHidden);
  const all = whole.entries.map((entry) => ({ entry, hash: hashOf(nameOf(entry)) }));
  all.sort((left, right) => (left.hash < right.hash ? -1 : 1));
  const start = isFirst ? '' : hashOf(from);
  const left = all.filter((one) => one.hash >= start);
  const next = left[query.max]?.entry;
  return {
    entries: left.slice(0, query.max).map(({ entry }) => entry),
    next: next === undefined ? undefined : nameOf(next),
  };
}

function hashOf(name: string): string {
  return hash('md5', Buffer.from(name, 'latin1'), 'hex');
}

function nameOf<V>(entry: PageEntry<V>): string {
  return entry.kind === 'key' ? entry.key : entry.prefix;
}

const OWNER = '<Owner><ID>owner</ID><DisplayName>owner</DisplayName></Owner>';

function entriesXml(
  request: OperationRequest,
  page: Page<StoredObject>,
  encode: (name: string) => string,
  hasOwner: boolean,
): string {
  const asked = request.head.headers.get('x-amz-optional-object-attributes') ?? '';
  const told: Told = {
    hasOwner,
    hasChecksums: request.settings.checksums,
    hasRestore: /RestoreStatus/i.test(asked),
  };
  let keys = '';
  let prefixes = '';
  const entries = request.listing.unordered === 'page' ? page.entries.toReversed() : page.entries;
  for (const entry of entries) {
    if (entry.kind === 'prefix') {
      prefixes += `<CommonPrefixes><Prefix>${encode(entry.prefix)}</Prefix></CommonPrefixes>`;
    } else {
      keys += objectXml(entry.key, entry.value, encode, told);
    }
  }
  return keys + prefixes;
}

interface Told {
  readonly hasOwner: boolean;
  readonly hasChecksums: boolean;
  /** Asked for with `x-amz-optional-object-attributes`. */
  readonly hasRestore: boolean;
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreStatus.html: of objects that were ever restored. */
function restoreXml(object: StoredObject): string {
  const restore = restoreOf(object);
  if (!restore) return '';
  const expiry =
    restore.expiry === undefined ? '' : element('RestoreExpiryDate', isoDate(Date.parse(restore.expiry)));
  return `<RestoreStatus>${element('IsRestoreInProgress', String(restore.isInProgress))}${expiry}</RestoreStatus>`;
}

function objectXml(
  key: string,
  object: StoredObject,
  encode: (name: string) => string,
  { hasOwner, hasChecksums, hasRestore }: Told,
): string {
  const checksum =
    hasChecksums && object.checksum
      ? `<ChecksumAlgorithm>${object.checksum.algorithm.toUpperCase()}</ChecksumAlgorithm><ChecksumType>${object.checksum.type}</ChecksumType>`
      : '';
  return `<Contents><Key>${encode(key)}</Key><LastModified>${isoDate(object.modifiedMs)}</LastModified><ETag>&quot;${object.etag}&quot;</ETag>${checksum}<Size>${object.content.sizeBytes}</Size>${hasOwner ? OWNER : ''}${hasRestore ? restoreXml(object) : ''}<StorageClass>${escapeXml(storageClassOf(object))}</StorageClass></Contents>`;
}

export function listObjectsV2(request: OperationRequest): Response {
  const { query, bucket } = request.route;
  const encode = nameEncoder(query);
  const prefix = find(query, 'prefix') ?? '';
  const delimiter = find(query, 'delimiter') ?? '';
  const startAfter = find(query, 'start-after');
  const token = find(query, 'continuation-token');
  const max = Math.min(countParameter(query, 'max-keys'), request.settings.pageKeysMax);
  const from =
    token === undefined
      ? startAfter === undefined || startAfter === ''
        ? ''
        : fromMarker(startAfter, prefix, delimiter)
      : tokenToKey(token);
  const page = pageFor(request, { prefix, delimiter, from, isFirst: token === undefined, max });
  const hasOwner = find(query, 'fetch-owner') === 'true';
  return xmlResponse(
    `<ListBucketResult${S3_NAMESPACE}>${element('Name', bucket)}<Prefix>${encode(prefix)}</Prefix>` +
      (delimiter === '' ? '' : `<Delimiter>${encode(delimiter)}</Delimiter>`) +
      `<MaxKeys>${max}</MaxKeys>${encodingXml(query)}<KeyCount>${page.entries.length}</KeyCount>` +
      `<IsTruncated>${page.next !== undefined}</IsTruncated>` +
      (token === undefined ? '' : element('ContinuationToken', token)) +
      (page.next === undefined
        ? ''
        : `<NextContinuationToken>${keyToToken(page.next)}</NextContinuationToken>`) +
      (startAfter === undefined ? '' : `<StartAfter>${encode(startAfter)}</StartAfter>`) +
      `${entriesXml(request, page, encode, hasOwner)}</ListBucketResult>`,
  );
}

/** Opaque to clients: the key that the next page begins at. */
function keyToToken(key: string): string {
  return Buffer.from(`1${key}`, 'latin1').toString('base64url');
}

function tokenToKey(token: string): string {
  const decoded = Buffer.from(token, 'base64url').toString('latin1');
  if (!decoded.startsWith('1'))
    throw new S3Error('InvalidArgument', 'The continuation token provided is incorrect');
  return decoded.slice(1);
}

export function listObjects(request: OperationRequest): Response {
  const { query, bucket } = request.route;
  const encode = nameEncoder(query);
  const prefix = find(query, 'prefix') ?? '';
  const delimiter = find(query, 'delimiter') ?? '';
  const marker = find(query, 'marker') ?? '';
  const max = Math.min(countParameter(query, 'max-keys'), request.settings.pageKeysMax);
  const from = marker === '' ? '' : fromMarker(marker, prefix, delimiter);
  const page = pageFor(request, { prefix, delimiter, from, isFirst: marker === '', max });
  const last = page.entries.at(-1);
  const nextMarker =
    page.next === undefined || !last ? undefined : last.kind === 'key' ? last.key : last.prefix;
  return xmlResponse(
    `<ListBucketResult${S3_NAMESPACE}>${element('Name', bucket)}<Prefix>${encode(prefix)}</Prefix>` +
      `<Marker>${encode(marker)}</Marker>` +
      (delimiter === '' ? '' : `<Delimiter>${encode(delimiter)}</Delimiter>`) +
      `<MaxKeys>${max}</MaxKeys>${encodingXml(query)}<IsTruncated>${page.next !== undefined}</IsTruncated>` +
      (nextMarker === undefined ? '' : `<NextMarker>${encode(nextMarker)}</NextMarker>`) +
      `${entriesXml(request, page, encode, true)}</ListBucketResult>`,
  );
}
