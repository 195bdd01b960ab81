/** What an answer to a GET or HEAD says of an object: the parts of HTTP (RFC 9110 section 14) that are the same for all. */
import type { HttpResponse } from '../../transport/http-types.ts';
import { type HttpCall, malformed } from './call.ts';

const CONTENT_RANGE = /^bytes (\d+)-\d+\/(\d+)$/;
const DIGITS = /^\d+$/;

/** @throws StorageError where an answer without a body does not say how large the object is. */
export function lengthOf(call: HttpCall, { headers }: HttpResponse): number {
  const length = headers.get('content-length') ?? '';
  const sizeBytes = Number(length);
  if (!DIGITS.test(length) || !Number.isSafeInteger(sizeBytes)) throw malformed(call, 'no size came');
  return sizeBytes;
}

/**
 * Every object has an ETag. A page or an error of whoever stands before the storage has none, and its status may well be
 * 200: copied, it would be an object with wrong bytes that nothing but a digest finds.
 * @throws StorageError of kind `corrupt`.
 */
export function demandObject(call: HttpCall, etag: string | undefined): void {
  if (etag === undefined) throw malformed(call, 'the answer has no ETag, and so is no object');
}

/** Do the bytes of this answer begin at the offset? A 200 carries the whole object, whatever was asked for. */
export function isRange({ status, headers }: HttpResponse, offset: number): boolean {
  if (status === 200) return offset === 0;
  const range = CONTENT_RANGE.exec(headers.get('content-range') ?? '');
  return status === 206 && range !== null && Number(range[1]) === offset;
}

/** Size of the whole object; undefined where the answer does not tell. */
export function totalOf(response: HttpResponse): number | undefined {
  const { status, headers } = response;
  if (status === 206) return Number(CONTENT_RANGE.exec(headers.get('content-range') ?? '')?.[2]);
  const length = headers.get('content-length');
  if (length !== undefined) return Number(length);
  // A connection that ends is all there is of the end of such a body: the object may have more.
  const hasEnd = headers.has('transfer-encoding') && !response.isOverflow;
  return hasEnd ? response.intoBytes : undefined;
}

/** Of an answer 416: how long the object is, where it says so. */
export function totalOfUnsatisfied({ headers }: HttpResponse): number | undefined {
  const total = /\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1];
  return total === undefined ? undefined : Number(total);
}
