/** What the headers of an answer say of an object (https://cloud.google.com/storage/docs/xml-api/reference-headers). */
import type { HttpResponse } from '../../transport/http-types.ts';
import { encodePath } from '../../transport/sigv4.ts';
import type { CallContext } from '../driver.ts';
import { type HttpCall, malformed } from '../http/call.ts';
import { lengthOf } from '../http/object-answer.ts';
import type { Fields, ServiceClient } from '../http/service-client.ts';
import { type GcsHashes, hashesIn } from './gcs-hash.ts';

const DIGITS = /^\d+$/;
/** A cancelled run answers within 3 s, so its tidying up must be quicker. */
const REMOVE_MS = 1_500;

/**
 * Objects kept with `Content-Encoding: gzip` come unpacked unless this is said
 * (https://cloud.google.com/storage/docs/transcoding): other bytes than those that are stored.
 */
export const AS_STORED: Fields[number] = ['accept-encoding', 'gzip'];

export interface GcsObject extends GcsHashes {
  readonly etag: string | undefined;
  readonly sizeBytes: number;
  readonly version: string;
}

export function pathOf(key: string): string {
  return `/${encodePath(key)}`;
}

/** Every object has a generation; a page of whoever stands before the service has none, whatever its status. */
export function generationIn(call: HttpCall, { headers }: HttpResponse): string {
  const generation = headers.get('x-goog-generation') ?? '';
  if (!DIGITS.test(generation)) throw malformed(call, 'the answer has no generation, and so is no object');
  return generation;
}

/** Bytes as they are stored; undefined where the answer does not say. */
export function storedBytesIn({ headers }: HttpResponse): number | undefined {
  const stored = headers.get('x-goog-stored-content-length') ?? '';
  const sizeBytes = Number(stored);
  return DIGITS.test(stored) && Number.isSafeInteger(sizeBytes) ? sizeBytes : undefined;
}

/** By HEAD. */
export async function lookAt(
  client: ServiceClient<unknown>,
  ctx: CallContext,
  key: string,
): Promise<GcsObject> {
  const request = {
    method: 'HEAD',
    operation: 'stat',
    key,
    path: pathOf(key),
    headers: [AS_STORED],
  } as const;
  const response = await client.send(ctx, request);
  const call = client.call('stat', key);
  const sizeBytes = storedBytesIn(response) ?? lengthOf(call, response);
  const etag = response.headers.get('etag');
  return { sizeBytes, etag, version: generationIn(call, response), ...hashesIn(response.headers) };
}

/**
 * Removes this very generation, which the service itself says holds other bytes than it was sent: the next run would take
 * it for equal by its size. Goes through even when the run is being cancelled. What cannot be removed is told of all the
 * same, by the failure that led here.
 */
export async function removeWrong(
  client: ServiceClient<unknown>,
  key: string,
  version: string,
): Promise<void> {
  const request = {
    method: 'DELETE',
    operation: 'remove',
    key,
    path: pathOf(key),
    headers: [['x-goog-if-generation-match', version]],
    accepts: [404, 412],
  } as const;
  await client.send({ signal: AbortSignal.timeout(REMOVE_MS) }, request).catch(() => undefined);
}
