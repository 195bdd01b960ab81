/**
 * Finds out what an S3 server refuses, by sending it what it should: design rule "rely only on a check this target was
 * seen to make". Everything it may have accepted is removed again.
 */
import { hash, randomUUID } from 'node:crypto';
import { crc32 as crc32Of } from 'node:zlib';
import { isStorageError } from '../../core/errors.ts';
import { bodyOfBytes } from '../body.ts';
import type { Binding, CallContext, Upload } from '../driver.ts';
import type { S3Client } from './s3-client.ts';
import type { S3Multipart } from './s3-multipart.ts';

const BODY = Buffer.from('blobferry probes which checks this server makes\n');
/** A CRC-32 and a digest that belong to other bytes. */
const WRONG_CRC32 = 0x12345678;
const WRONG = Buffer.from('other bytes');

export async function probeBinding(
  ctx: CallContext,
  client: S3Client,
  multipart: S3Multipart,
  prefix: string,
): Promise<Binding> {
  const key = `${prefix}${randomUUID()}`;
  const put = async (payloadHash: string, headers: readonly (readonly [string, string])[]): Promise<void> => {
    const request = { method: 'PUT', operation: 'write a probe to', key, headers, payloadHash } as const;
    await client.send(ctx, { ...request, body: BODY, bodyBytes: BODY.length });
  };
  const right = hash('sha256', BODY, 'hex');
  try {
    // First a right one: without permission to write, every wrong one would look refused.
    await put(right, [
      ['x-amz-checksum-sha256', Buffer.from(right, 'hex').toString('base64')],
      ['x-amz-sdk-checksum-algorithm', 'SHA256'],
    ]);
    const storesSha256 = await keepsSha256(ctx, client, key, right);
    const payloadSha256 = await isRefused(put(hash('sha256', WRONG, 'hex'), []));
    const wrongMd5 = hash('md5', WRONG, 'base64');
    const contentMd5 = await isRefused(put(right, [['content-md5', wrongMd5]]));
    const { partCrc32, objectCrc32 } = await probeMultipart(ctx, multipart, key);
    return { payloadSha256, contentMd5, partCrc32, objectCrc32, storesSha256 };
  } finally {
    await client.send(ctx, { method: 'DELETE', operation: 'remove a probe from', key, accepts: [404] });
  }
}

async function keepsSha256(
  ctx: CallContext,
  client: S3Client,
  key: string,
  sha256: string,
): Promise<boolean> {
  const headers = [['x-amz-checksum-mode', 'ENABLED']] as const;
  const response = await client.send(ctx, { method: 'HEAD', operation: 'stat a probe in', key, headers });
  const kept = response.headers.get('x-amz-checksum-sha256');
  if (kept !== Buffer.from(sha256, 'hex').toString('base64')) return false;
  // Some servers hand back whatever was sent. One that keeps a wrong value keeps nothing worth having.
  return isRefused(
    client.send(ctx, {
      method: 'PUT',
      operation: 'write a probe to',
      key,
      headers: [
        ['x-amz-checksum-sha256', hash('sha256', WRONG, 'base64')],
        ['x-amz-sdk-checksum-algorithm', 'SHA256'],
      ],
      payloadHash: sha256,
      body: BODY,
      bodyBytes: BODY.length,
    }),
  );
}

async function probeMultipart(
  ctx: CallContext,
  multipart: S3Multipart,
  key: string,
): Promise<{ partCrc32: boolean; objectCrc32: boolean }> {
  const nothing = { partCrc32: false, objectCrc32: false };
  let upload: Upload;
  try {
    upload = await multipart.begin(ctx, key);
  } catch (error) {
    // A server that knows no checksums may refuse the headers that ask for them; a denial is the caller's matter.
    if (isStorageError(error, 'unsupported', 'unexpected')) return nothing;
    throw error;
  }
  try {
    const wrong = { number: 1, offset: 0, body: bodyOfBytes(BODY), crc32: WRONG_CRC32 };
    if (!(await isRefused(multipart.putPart(ctx, upload, wrong)))) return nothing;
    const crc32 = crc32Of(BODY);
    const part = await multipart.putPart(ctx, upload, { ...wrong, crc32 });
    const whole = { sizeBytes: BODY.length, crc32: WRONG_CRC32 };
    const objectCrc32 = await isRefused(multipart.complete(ctx, upload, [part], whole));
    return { partCrc32: true, objectCrc32 };
  } finally {
    await multipart.abort(ctx, upload);
  }
}

/** Refused for what was wrong about it; any other failure is no finding and is passed on. */
async function isRefused(attempt: Promise<unknown>): Promise<boolean> {
  try {
    await attempt;
    return false;
  } catch (error) {
    if (isStorageError(error, 'corrupt') && error.details.status !== undefined) return true;
    if (isStorageError(error, 'unexpected', 'unsupported') && error.details.status === 400) return true;
    throw error;
  }
}
