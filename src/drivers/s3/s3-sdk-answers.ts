/**
 * What the SDK's answers say, held to the same rules as those of the direct engine: the SDK itself takes whatever a
 * server leaves out for nothing. All throw StorageErrors of kind `corrupt`.
 */
import type { GetObjectCommandOutput, ListObjectsV2CommandOutput } from '@aws-sdk/client-s3';
import type { ListPage, ListQuery, ObjectInfo } from '../driver.ts';
import { isWithin, objectsBehind } from '../paging.ts';
import { malformed, type S3Call } from './s3-errors.ts';
import { decodeName, md5OfETag } from './s3-listing.ts';

export function sizeOf(call: S3Call, contentLength: number | undefined): number {
  if (contentLength === undefined || !Number.isSafeInteger(contentLength) || contentLength < 0)
    throw malformed(call, 'no size came');
  return contentLength;
}

export function identityOf(etag: string | undefined): { version?: string; md5?: string } {
  const md5 = md5OfETag(etag);
  return { ...(etag === undefined ? {} : { version: etag }), ...(md5 === undefined ? {} : { md5 }) };
}

/** @param token where this page was asked to begin. */
export function pageOf(
  call: S3Call,
  answer: ListObjectsV2CommandOutput,
  query: ListQuery,
  token: string | undefined,
): { readonly page: ListPage; readonly next?: string } {
  const isEncoded = answer.EncodingType === 'url';
  const decode = (text: string | undefined): string => {
    if (text === undefined) throw malformed(call, 'the listing has an entry without a name');
    try {
      return isEncoded ? decodeName(text) : text;
    } catch (error) {
      throw error instanceof RangeError ? malformed(call, error.message) : error;
    }
  };
  const objects: ObjectInfo[] = (answer.Contents ?? []).map(({ Key, Size, ETag }) => ({
    key: decode(Key),
    sizeBytes: sizeOf(call, Size),
    ...identityOf(ETag),
  }));
  const prefixes = (answer.CommonPrefixes ?? []).map((one) => decode(one.Prefix));
  if (!isWithin({ objects, prefixes }, query)) throw malformed(call, 'it names keys not asked for');
  const page = { objects: objectsBehind(objects, query.after), prefixes };
  if (!answer.IsTruncated) return { page };
  const next = answer.NextContinuationToken;
  if (!next) throw malformed(call, 'the listing goes on but does not say where');
  if (next === token) throw malformed(call, 'the listing goes on where it began');
  return { page, next };
}

/**
 * Size of the whole object of which this answer carries bytes from `offset` on; undefined where only the end of the
 * body tells.
 */
export function totalOf(call: S3Call, answer: GetObjectCommandOutput, offset: number): number | undefined {
  if (answer.ContentRange === undefined) {
    // Without a range it is the whole object, whatever was asked for.
    if (offset > 0) throw malformed(call, 'the answer does not say which range it is');
    return answer.ContentLength === undefined ? undefined : sizeOf(call, answer.ContentLength);
  }
  const range = /^bytes (\d+)-\d+\/(\d+)$/.exec(answer.ContentRange);
  if (!range || Number(range[1]) !== offset)
    throw malformed(call, 'the answer does not say which range it is');
  return Number(range[2]);
}
