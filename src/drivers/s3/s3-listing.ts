/** ListObjectsV2 pages (https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html). */
import { compareUtf8 } from '../../core/byte-order.ts';
import type { ListPage, ObjectInfo } from '../driver.ts';
import { eachElement, textOf } from './s3-xml.ts';

export interface S3ListPage extends ListPage {
  readonly nextToken?: string;
}

const MD5 = /^[0-9a-f]{32}$/;
const ENCODED = /[%+]/;
const DIGITS = /^\d+$/;

/** The MD5 that an ETag is, if it looks like one: multipart ETags end in `-<parts>`. */
export function md5OfETag(etag: string | undefined): string | undefined {
  const bare = etag?.replaceAll('"', '').toLowerCase();
  return bare !== undefined && MD5.test(bare) ? bare : undefined;
}

/**
 * @param upTo entries behind this key are left out and no next page is named (see ListQuery), unless the page is out of
 *   order: then it is given whole, so that whoever checks the order sees it.
 * @throws RangeError where the text is not a listing, with what is wrong about it.
 */
export function parseListing(xml: string, upTo?: string): S3ListPage {
  if (!xml.includes('<ListBucketResult')) throw new RangeError('the answer is not a listing');
  // A body whose end is only the end of its connection may have been cut where an entry ends.
  if (!xml.trimEnd().endsWith('</ListBucketResult>')) throw new RangeError('the listing is not whole');
  const isEncoded = textOf(xml, 'EncodingType') === 'url';
  const decode = (text: string | undefined): string => {
    if (text === undefined) throw new RangeError('the listing has an entry without a name');
    return isEncoded && ENCODED.test(text) ? decodeName(text) : text;
  };
  const objects: ObjectInfo[] = [];
  let past: string | undefined;
  let isDisordered = false;
  eachElement(xml, 'Contents', (from, to) => {
    const one = xml.slice(from, to);
    const key = decode(textOf(one, 'Key'));
    const isBehind = upTo !== undefined && compareUtf8(key, upTo) > 0;
    // What comes behind the range is still held against the order: it tells whether the range may end here.
    isDisordered = past !== undefined && compareUtf8(past, key) >= 0;
    if (isBehind) past = key;
    else objects.push(objectOf(one, key));
    return !isDisordered;
  });
  if (isDisordered) return parseListing(xml);
  const prefixes: string[] = [];
  eachElement(xml, 'CommonPrefixes', (from, to) => {
    prefixes.push(decode(textOf(xml.slice(from, to), 'Prefix')));
    return true;
  });
  if (past !== undefined || textOf(xml, 'IsTruncated') !== 'true') return { objects, prefixes };
  const nextToken = textOf(xml, 'NextContinuationToken');
  if (nextToken === undefined || nextToken === '')
    throw new RangeError('the listing goes on but does not say where');
  return { objects, prefixes, nextToken };
}

function objectOf(xml: string, key: string): ObjectInfo {
  const size = textOf(xml, 'Size') ?? '';
  const sizeBytes = Number(size);
  if (!DIGITS.test(size) || !Number.isSafeInteger(sizeBytes))
    throw new RangeError('the listing has an entry without a size');
  const version = textOf(xml, 'ETag');
  if (version === undefined) return { key, sizeBytes };
  const md5 = md5OfETag(version);
  return md5 === undefined ? { key, sizeBytes, version } : { key, sizeBytes, md5, version };
}

/** @throws RangeError where the name is not UTF-8. */
export function decodeName(text: string): string {
  try {
    // MinIO writes a space as `+`; a plus sign itself always comes as %2B.
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw new RangeError(`the listing has a name that is not UTF-8: "${text}"`);
  }
}
