/**
 * Finds out what an S3 server refuses, by sending it what it should: design rule "rely only on a check this target was
 * seen to make". Everything it may have accepted is removed again.
 */
import { hash, randomUUID } from 'node:crypto';
import { crc32 as crc32Of } from 'node:zlib';
import { isStorageError } from '../../core/errors.ts';
import { UNSIGNED_PAYLOAD } from '../../transport/sigv4.ts';
import { isRefusalOfBytes } from '../binding.ts';
import { bodyOfBytes } from '../body.ts';
import type { Binding, CallContext, PartReceipt, Upload } from '../driver.ts';
import type { S3Client } from './s3-client.ts';
import type { S3Multipart } from './s3-multipart.ts';
import type { S3ServerCopy } from './s3-server-copy.ts';

const BODY = Buffer.from('blobferry probes which checks this server makes\n');
/** A CRC-32 and a digest that belong to other bytes. */
const WRONG_CRC32 = 0x12345678;
const WRONG = Buffer.from('other bytes');
const TIDY_MS = 5_000;
const NO_CRC32 = { partCrc32: false, objectCrc32: false } as const;

/** What the requests are made with, as if everything were known to be checked. */
export interface Tried {
  readonly multipart: S3Multipart;
  /** Absent: copies inside the service are not asked about. */
  readonly serverCopy?: S3ServerCopy;
}

export async function probeBinding(
  ctx: CallContext,
  client: S3Client,
  { multipart, serverCopy }: Tried,
  { prefix, bucket }: { readonly prefix: string; readonly bucket: string },
): Promise<Binding> {
  const key = `${prefix}${randomUUID()}`;
  const put: Put = async (payloadHash, headers) => {
    const request = { method: 'PUT', operation: 'write a probe to', key, headers, payloadHash } as const;
    await client.send(ctx, { ...request, body: BODY, bodyBytes: BODY.length });
  };
  const right = hash('sha256', BODY, 'hex');
  const probe = async (): Promise<Binding> => {
    // First a right one: without permission to write, every wrong one would look refused.
    await put(right, []);
    const storesSha256 = await keepsSha256(ctx, client, key, right, put);
    const payloadSha256 = await isRefused(put(hash('sha256', WRONG, 'hex'), []));
    const wrongMd5 = hash('md5', WRONG, 'base64');
    const contentMd5 = await isRefused(put(right, [['content-md5', wrongMd5]]));
    const { partCrc32, objectCrc32 } = await probeMultipart(ctx, multipart, key);
    const binding = { payloadSha256, contentMd5, partCrc32, objectCrc32, storesSha256 };
    if (!serverCopy) return binding;
    const untold = () => put(UNSIGNED_PAYLOAD, [['content-md5', hash('md5', BODY, 'base64')]]);
    const copies = { serverCopy, from: { bucket, key }, untold, right };
    // What is kept is looked at later, so a sum that is not kept is of no use.
    return { ...binding, computesCopySha256: storesSha256 && (await computesSha256(ctx, copies)) };
  };
  return tidiedUp(ctx, probe, async (tidying, hasFailed) => {
    for (const one of serverCopy ? [key, copyOf(key)] : [key]) {
      const request = { operation: 'remove a probe from', key: one, accepts: [404] } as const;
      await client.send(tidying, { ...request, method: 'DELETE' });
    }
    if (!hasFailed) return;
    // One that was begun while the answer got lost has no other trace.
    for (const upload of await multipart.listUploads(tidying, key)) await multipart.abort(tidying, upload);
  });
}

/**
 * Removes what the probe made, also when the run is being cancelled. Of a failed probe the failure is what matters:
 * tidying up likely fails for the same reason.
 */
async function tidiedUp<T>(
  ctx: CallContext,
  probe: () => Promise<T>,
  tidy: (ctx: CallContext, hasFailed: boolean) => Promise<unknown>,
): Promise<T> {
  let result: T;
  try {
    result = await probe();
  } catch (error) {
    await tidy({ signal: AbortSignal.timeout(TIDY_MS) }, true).catch(() => undefined);
    throw error;
  }
  await tidy(ctx, false);
  return result;
}

type Put = (payloadHash: string, headers: readonly (readonly [string, string])[]) => Promise<void>;

async function keepsSha256(
  ctx: CallContext,
  client: S3Client,
  key: string,
  sha256: string,
  put: Put,
): Promise<boolean> {
  const putWith = (base64: string): Promise<void> =>
    put(sha256, [
      ['x-amz-checksum-sha256', base64],
      // Ceph 20 looks at the checksum only when the algorithm is named as well.
      ['x-amz-sdk-checksum-algorithm', 'SHA256'],
    ]);
  const right = Buffer.from(sha256, 'hex').toString('base64');
  try {
    await putWith(right);
  } catch (error) {
    if (isUnable(error)) return false;
    throw error;
  }
  const headers = [['x-amz-checksum-mode', 'ENABLED']] as const;
  const response = await client.send(ctx, { method: 'HEAD', operation: 'stat a probe in', key, headers });
  if (response.headers.get('x-amz-checksum-sha256') !== right) return false;
  // Some servers hand back whatever was sent. One that keeps a wrong value keeps nothing worth having.
  return isRefused(putWith(hash('sha256', WRONG, 'base64')));
}

function copyOf(key: string): string {
  return `${key}-copy`;
}

/**
 * Copies an object whose sha256 the server was never told, neither as a checksum nor by a signature: what it states of
 * the copy it can only have computed. One that copies checksums along has none here.
 */
async function computesSha256(
  ctx: CallContext,
  copies: {
    readonly serverCopy: S3ServerCopy;
    readonly from: { readonly bucket: string; readonly key: string };
    /** Writes it. */
    readonly untold: () => Promise<void>;
    readonly right: string;
  },
): Promise<boolean> {
  const { serverCopy, from, untold, right } = copies;
  try {
    await untold();
    const before = await serverCopy.look(ctx, from.key);
    if (before.hasSha256 || before.version === undefined) return false;
    const source = { ...from, sizeBytes: BODY.length, version: before.version };
    const { sha256 } = await serverCopy.copy(ctx, source, copyOf(from.key));
    if (sha256 !== right) return false;
    return (await serverCopy.look(ctx, copyOf(from.key))).sha256 === right;
  } catch (error) {
    // Whatever it does not do or allow, objects can still be streamed.
    if (isStorageError(error) && !error.details.isTransient && !ctx.signal.aborted) return false;
    throw error;
  }
}

async function probeMultipart(
  ctx: CallContext,
  multipart: S3Multipart,
  key: string,
): Promise<{ partCrc32: boolean; objectCrc32: boolean }> {
  const body = bodyOfBytes(BODY);
  const right = crc32Of(BODY);
  const put = (upload: Upload, crc32: number) =>
    multipart.putPart(ctx, upload, { number: 1, offset: 0, body, crc32 });
  const complete = (upload: Upload, part: PartReceipt, crc32: number) =>
    multipart.complete(ctx, upload, [part], { sizeBytes: BODY.length, crc32 });
  const inUpload = async <T>(work: (upload: Upload) => Promise<T>): Promise<T> => {
    const upload = await multipart.begin(ctx, key);
    return tidiedUp(
      ctx,
      () => work(upload),
      (tidying) => multipart.abort(tidying, upload),
    );
  };
  try {
    // First a right one: a server that takes no such uploads at all would seem to refuse every wrong one.
    await inUpload(async (upload) => complete(upload, await put(upload, right), right));
  } catch (error) {
    if (isUnable(error)) return NO_CRC32;
    throw error;
  }
  return inUpload(async (upload) => {
    if (!(await isRefused(put(upload, WRONG_CRC32)))) return NO_CRC32;
    const part = await put(upload, right);
    return { partCrc32: true, objectCrc32: await isRefused(complete(upload, part, WRONG_CRC32)) };
  });
}

/** Refused for what was wrong about it, after a right one was taken; any other failure is no finding and is passed on. */
async function isRefused(attempt: Promise<unknown>): Promise<boolean> {
  try {
    await attempt;
    return false;
  } catch (error) {
    if (isRefusalOfBytes(error) || isBadRequest(error)) return true;
    throw error;
  }
}

/** What was right was refused. A denial is the caller's matter, and so is whatever may pass. */
function isUnable(error: unknown): boolean {
  return isStorageError(error, 'unsupported', 'unexpected') || isRefusalOfBytes(error);
}

function isBadRequest(error: unknown): boolean {
  if (!isStorageError(error)) return false;
  const { kind, status, backendCode } = error.details;
  // A server may hash the body to check the signature over it: then a wrong hash is a wrong signature.
  if (backendCode === 'SignatureDoesNotMatch') return true;
  return (kind === 'unexpected' || kind === 'unsupported') && (status === 400 || status === 422);
}
