/**
 * What the SDK's answers say, held to the same rules as those of the direct engine: the SDK itself takes whatever a
 * server leaves out for nothing. All throw StorageErrors of kind `corrupt`.
 */
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { type HttpCall, malformed } from '../http/call.ts';
import { md5OfETag } from '../http/etag.ts';
import { demandObject } from '../http/object-answer.ts';

export function sizeOf(call: HttpCall, contentLength: number | undefined): number {
  if (contentLength === undefined || !Number.isSafeInteger(contentLength) || contentLength < 0)
    throw malformed(call, 'no size came');
  return contentLength;
}

export function identityOf(etag: string | undefined): { version?: string; md5?: string } {
  const md5 = md5OfETag(etag);
  return { ...(etag === undefined ? {} : { version: etag }), ...(md5 === undefined ? {} : { md5 }) };
}

/**
 * Size of the whole object of which this answer carries bytes from `offset` on; undefined where only the end of the
 * body tells.
 */
export function totalOf(call: HttpCall, answer: GetObjectCommandOutput, offset: number): number | undefined {
  demandObject(call, answer.ETag);
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
