/** Finds out which checksums Cloud Storage compares with what arrives, by sending it wrong ones. */
import { hash, randomUUID } from 'node:crypto';
import { crc32c } from '../../core/crc32c.ts';
import { isRefusalOfBytes } from '../binding.ts';
import type { Binding, CallContext, Upload } from '../driver.ts';
import type { Fields, ServiceClient } from '../http/service-client.ts';
import { hashHeader } from './gcs-hash.ts';
import type { GcsMultipart } from './gcs-multipart.ts';
import { pathOf } from './gcs-object.ts';

const BODY = Buffer.from('blobferry probes which checks this server makes\n');
const OTHER = Buffer.from('other bytes');
const RIGHT = { crc32c: crc32c(BODY), md5: hash('md5', BODY, 'hex') };
const WRONG_CRC32C = { crc32c: crc32c(OTHER) };
const WRONG_MD5 = { md5: hash('md5', OTHER, 'hex') };
const TIDY_MS = 5_000;

/** See `Binding` for the words. */
export async function probeGcsBinding(
  ctx: CallContext,
  client: ServiceClient<unknown>,
  multipart: GcsMultipart,
  prefix: string,
): Promise<Binding> {
  const key = `${prefix}${randomUUID()}`;
  const put = (headers: Fields, query: Fields = []): Promise<unknown> =>
    client.send(ctx, {
      method: 'PUT',
      operation: 'write a probe to',
      key,
      path: pathOf(key),
      query,
      headers,
      body: BODY,
      bodyBytes: BODY.length,
    });
  let upload: Upload | undefined;
  const tidy = async (tidying: CallContext): Promise<void> => {
    if (upload) await multipart.abort(tidying, upload);
    const request = {
      operation: 'remove a probe from',
      key,
      path: pathOf(key),
      accepts: [404],
      expects: 204,
    } as const;
    await client.send(tidying, { ...request, method: 'DELETE' });
  };
  let binding: Binding;
  try {
    // First a right one: without permission to write, every wrong one would look refused.
    await put(hashHeader(RIGHT));
    const ofBody = {
      md5: await isRefused(put(hashHeader(WRONG_MD5))),
      crc32c: await isRefused(put(hashHeader(WRONG_CRC32C))),
    };
    upload = await multipart.begin(ctx, key);
    const part: Fields = [
      ['partNumber', '1'],
      ['uploadId', upload.id],
    ];
    await put(hashHeader(RIGHT), part);
    const ofPart = {
      md5: await isRefused(put(hashHeader(WRONG_MD5), part)),
      crc32c: await isRefused(put(hashHeader(WRONG_CRC32C), part)),
    };
    binding = {
      payloadSha256: false,
      contentMd5: ofBody.md5 && ofPart.md5,
      partCrc32: false,
      objectCrc32: false,
      crc32c: ofBody.crc32c && ofPart.crc32c,
      storesSha256: false,
    };
  } catch (error) {
    await tidy({ signal: AbortSignal.timeout(TIDY_MS) }).catch(() => undefined);
    throw error;
  }
  await tidy(ctx);
  return binding;
}

/** Refused for what was wrong about it; any other failure is no finding and is passed on. */
async function isRefused(attempt: Promise<unknown>): Promise<boolean> {
  try {
    await attempt;
    return false;
  } catch (error) {
    if (isRefusalOfBytes(error)) return true;
    throw error;
  }
}
