/** ListObjectsV2 pages (https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html). */
import { compareUtf8 } from '../../core/byte-order.ts';
import type { ListPage, ListQuery, ObjectInfo } from '../driver.ts';
import { type HttpCall, malformed } from '../http/call.ts';
import { md5OfETag } from '../http/etag.ts';
import { checkDocument, eachElement, isTruncated, onlyTextOf, textOf, utf8Of } from '../http/xml.ts';
import { entriesIn, scanEntries } from './s3-page-scan.ts';
import { tierFields, USUAL_TIER } from './s3-tiers.ts';

export interface S3ListPage extends ListPage {
  readonly nextToken?: string;
}

/** The parts of a query that matter to how its pages are read. */
export type ListingOptions = Pick<ListQuery, 'upTo' | 'tellsTier'>;

const ENCODED = /[%+]/;
const DIGITS = /^\d+$/;
/** S3 takes 1,024 bytes; what is a little longer fails by itself, as one object. */
const NAME_UNITS_MAX = 16 * 1024;

/** What the entries of a page came to. */
interface Entries {
  readonly objects: readonly ObjectInfo[];
  readonly count: number;
  /** The first one behind the range. */
  readonly behind: string | undefined;
}

/**
 * @param options entries behind `upTo` are left out and no next page is named (see ListQuery), unless the page is out of
 *   order: then it is given whole, so that whoever checks the order sees it.
 * @throws RangeError where the text is not a listing, with what is wrong about it.
 */
export function parseListing(xml: string, { upTo, tellsTier }: ListingOptions = {}): S3ListPage {
  checkDocument(xml, 'ListBucketResult', 'a listing');
  const decode = nameDecoder(xml);
  let count = 0;
  const objects: ObjectInfo[] = [];
  let behind: string | undefined;
  let past: string | undefined;
  let isDisordered = false;
  eachElement(xml, 'Contents', (from, to) => {
    const one = xml.slice(from, to);
    const key = decode(onlyTextOf(one, 'Key'));
    count += 1;
    const isBehind = upTo !== undefined && compareUtf8(key, upTo) > 0;
    // What comes behind the range is still held against the order: it tells whether the range may end here.
    isDisordered = past !== undefined && compareUtf8(past, key) >= 0;
    if (isBehind) {
      past = key;
      behind ??= key;
    } else objects.push(tellsTier ? withTier(one, objectOf(one, key)) : objectOf(one, key));
    return !isDisordered;
  });
  if (isDisordered) return parseListing(xml, tellsTier ? { tellsTier } : {});
  return pageOf(xml, { objects, count, behind });
}

/** In a page without its entries one without content stands for them, so that nothing is taken to be around them. */
const PLACEHOLDER = '<Contents></Contents>';

/**
 * The same from bytes, sooner done. What is around the entries is read by the same rules.
 * @throws RangeError where the bytes are not a listing, with what is wrong about it.
 */
export function readListing(bytes: Buffer, options: ListingOptions = {}): S3ListPage {
  return readUsualListing(bytes, options) ?? parseListing(utf8Of(bytes), options);
}

/** @returns undefined where the page is not one of the usual kind, which may or may not be a listing. */
export function readUsualListing(
  bytes: Buffer,
  { upTo, tellsTier }: ListingOptions = {},
): S3ListPage | undefined {
  const place = entriesIn(bytes);
  if (!place) return undefined;
  const around = bytes.toString('latin1', 0, place.from) + PLACEHOLDER + bytes.toString('latin1', place.to);
  const isEncoded = textOf(around, 'EncodingType') === 'url';
  const tells = tellsTier === true;
  const entries = scanEntries(bytes, { ...place, isEncoded, upTo, tells, nameBytesMax: NAME_UNITS_MAX });
  if (!entries || around.indexOf('<Contents') !== around.lastIndexOf('<Contents')) return undefined;
  checkDocument(around, 'ListBucketResult', 'a listing');
  return { ...pageOf(around, entries), isAscending: true };
}

function nameDecoder(xml: string): (text: string | undefined) => string {
  const isEncoded = textOf(xml, 'EncodingType') === 'url';
  return (text) => {
    if (text === undefined) throw new RangeError('the listing has an entry without a name');
    if (text.length > NAME_UNITS_MAX)
      throw new RangeError(`the listing has a name of ${text.length} characters`);
    return isEncoded && ENCODED.test(text) ? decodeName(text) : text;
  };
}

/** @param xml the page, whose entries were read already and may be missing. */
function pageOf(xml: string, { objects, count, behind }: Entries): S3ListPage {
  const decode = nameDecoder(xml);
  const prefixes: string[] = [];
  eachElement(xml, 'CommonPrefixes', (from, to) => {
    prefixes.push(decode(onlyTextOf(xml.slice(from, to), 'Prefix')));
    return true;
  });
  checkCount(xml, count + prefixes.length);
  const isTruncatedHere = isTruncated(xml);
  if (behind !== undefined) return { objects, prefixes, behind };
  if (!isTruncatedHere) return { objects, prefixes };
  const nextToken = onlyTextOf(xml, 'NextContinuationToken');
  if (nextToken === undefined || nextToken === '')
    throw new RangeError('the listing goes on but does not say where');
  return { objects, prefixes, nextToken };
}

/** @throws StorageError of kind `corrupt` where the answer is no listing. */
export function listingOf(call: HttpCall, body: Buffer | undefined, options: ListingOptions): S3ListPage {
  try {
    return readListing(body ?? Buffer.alloc(0), options);
  } catch (error) {
    throw error instanceof RangeError ? malformed(call, error.message) : error;
  }
}

/** Some servers leave common prefixes out of their count; none may count an entry that then is not there. */
function checkCount(xml: string, found: number): void {
  if (!xml.includes('<KeyCount')) return;
  const said = onlyTextOf(xml, 'KeyCount') ?? '';
  if (!DIGITS.test(said)) throw new RangeError('the listing does not say how many entries it has');
  if (Number(said) > found)
    throw new RangeError(`the listing has ${found} entries and says that it has ${said.slice(0, 20)}`);
}

function objectOf(xml: string, key: string): ObjectInfo {
  const size = onlyTextOf(xml, 'Size') ?? '';
  const sizeBytes = Number(size);
  if (!DIGITS.test(size) || !Number.isSafeInteger(sizeBytes))
    throw new RangeError('the listing has an entry without a size');
  const version = onlyTextOf(xml, 'ETag');
  if (version === undefined) return { key, sizeBytes };
  const md5 = md5OfETag(version);
  return md5 === undefined ? { key, sizeBytes, version } : { key, sizeBytes, md5, version };
}

/** What RestoreStatus says is only there where it was asked for, and of objects that were restored at some time. */
function withTier(xml: string, object: ObjectInfo): ObjectInfo {
  const fields = tierFields(onlyTextOf(xml, 'StorageClass') ?? USUAL_TIER);
  const isRestored =
    onlyTextOf(xml, 'IsRestoreInProgress') === 'false' && onlyTextOf(xml, 'RestoreExpiryDate') !== undefined;
  return { ...object, ...(isRestored && fields.tier !== undefined ? { tier: fields.tier } : fields) };
}

/** @throws RangeError where the name is not UTF-8. */
function decodeName(text: string): string {
  try {
    // MinIO writes a space as `+`; a plus sign itself always comes as %2B.
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw new RangeError(`the listing has a name that is not UTF-8: ${JSON.stringify(text.slice(0, 100))}`);
  }
}
