/** Finds out which checksums an Azure Blob service compares with what arrived, by sending wrong ones. */
import { hash, randomUUID } from 'node:crypto';
import { encodePath } from '../../transport/sigv4.ts';
import { isRefusalOfBytes } from '../binding.ts';
import type { Binding, CallContext } from '../driver.ts';
import type { ServiceClient } from '../http/service-client.ts';
import { md5Field } from './azure-write.ts';

const BODY = Buffer.from('blobferry probes which checks this server makes\n');
const WRONG_MD5 = md5Field(hash('md5', 'other bytes', 'hex'));
/** Of no body that is ever sent here: the right one of these bytes is another. */
const WRONG_CRC64 = ['x-ms-content-crc64', Buffer.alloc(8, 0x5a).toString('base64')] as const;
const TIDY_MS = 5_000;

/** See `Binding` for the words. */
export async function probeAzureBinding(
  ctx: CallContext,
  client: ServiceClient<unknown>,
  prefix: string,
): Promise<Binding> {
  const key = `${prefix}${randomUUID()}`;
  const path = `/${encodePath(key)}`;
  const put = (sum: readonly [string, string]): Promise<unknown> =>
    client.send(ctx, {
      method: 'PUT',
      operation: 'write a probe to',
      key,
      path,
      headers: [['x-ms-blob-type', 'BlockBlob'], sum],
      body: BODY,
      bodyBytes: BODY.length,
    });
  const refuses = (sum: readonly [string, string]): Promise<boolean> =>
    put(sum).then(
      () => false,
      (error: unknown) => {
        if (isRefusalOfBytes(error)) return true;
        throw error;
      },
    );
  const tidy = (signal: AbortSignal): Promise<unknown> =>
    client.send(
      { signal },
      { method: 'DELETE', operation: 'remove a probe from', key, path, accepts: [404], expects: 202 },
    );
  try {
    // First a right one: without permission to write, every wrong one would look refused.
    await put(md5Field(hash('md5', BODY, 'hex')));
    const contentMd5 = await refuses(WRONG_MD5);
    const contentCrc64 = await refuses(WRONG_CRC64);
    await tidy(ctx.signal);
    return {
      payloadSha256: false,
      contentMd5,
      contentCrc64,
      partCrc32: false,
      objectCrc32: false,
      storesSha256: false,
    };
  } catch (error) {
    await tidy(AbortSignal.timeout(TIDY_MS)).catch(() => undefined);
    throw error;
  }
}
