/** ListObjectsV2 pages (https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html). */
import type { ListPage, ObjectInfo } from '../driver.ts';
import { eachElement, textOf } from './s3-xml.ts';

export interface S3ListPage extends ListPage {
  readonly nextToken?: string;
}

const MD5 = /^[0-9a-f]{32}$/;

/** The MD5 that an ETag is, if it looks like one: multipart ETags end in `-<parts>`. */
export function md5OfETag(etag: string | undefined): string | undefined {
  const bare = etag?.replace(/^"|"$/g, '').toLowerCase();
  return bare !== undefined && MD5.test(bare) ? bare : undefined;
}

/** @throws RangeError where the text is not a listing, with what is wrong about it. */
export function parseListing(xml: string): S3ListPage {
  if (!xml.includes('<ListBucketResult')) throw new RangeError('the answer is not a listing');
  const isEncoded = textOf(xml, 'EncodingType') === 'url';
  const decode = (text: string | undefined): string => {
    if (text === undefined) throw new RangeError('the listing has an entry without a name');
    // MinIO writes a space as `+`; a plus sign itself always comes as %2B.
    return isEncoded ? decodeURIComponent(text.replaceAll('+', ' ')) : text;
  };
  const objects: ObjectInfo[] = [];
  eachElement(xml, 'Contents', (from, to) => {
    const size = Number(textOf(xml, 'Size', from, to) ?? Number.NaN);
    if (!Number.isSafeInteger(size) || size < 0)
      throw new RangeError('the listing has an entry without a size');
    const etag = textOf(xml, 'ETag', from, to);
    const md5 = md5OfETag(etag);
    objects.push({
      key: decode(textOf(xml, 'Key', from, to)),
      sizeBytes: size,
      ...(md5 === undefined ? {} : { md5 }),
      ...(etag === undefined ? {} : { version: etag }),
    });
  });
  const prefixes: string[] = [];
  eachElement(xml, 'CommonPrefixes', (from, to) => {
    prefixes.push(decode(textOf(xml, 'Prefix', from, to)));
  });
  if (textOf(xml, 'IsTruncated') !== 'true') return { objects, prefixes };
  const nextToken = textOf(xml, 'NextContinuationToken');
  if (nextToken === undefined || nextToken === '')
    throw new RangeError('the listing goes on but does not say where');
  return { objects, prefixes, nextToken };
}
