/** Finds out whether a Swift cluster compares the ETag of a PUT with what arrived, by sending a wrong one. */
import { hash, randomUUID } from 'node:crypto';
import { encodePath } from '../../transport/sigv4.ts';
import { isRefusalOfBytes } from '../binding.ts';
import type { Binding, CallContext } from '../driver.ts';
import type { ServiceClient } from '../http/service-client.ts';

const BODY = Buffer.from('blobferry probes which checks this server makes\n');
const WRONG_MD5 = hash('md5', 'other bytes', 'hex');
const TIDY_MS = 5_000;

/** Swift has no other check of a body than its ETag; see `Binding` for the words. */
export async function probeSwiftBinding(
  ctx: CallContext,
  client: ServiceClient<unknown>,
  prefix: string,
): Promise<Binding> {
  const key = `${prefix}${randomUUID()}`;
  const path = `/${encodePath(key)}`;
  const put = (md5: string): Promise<unknown> =>
    client.send(ctx, {
      method: 'PUT',
      operation: 'write a probe to',
      key,
      path,
      headers: [['etag', md5]],
      body: BODY,
      bodyBytes: BODY.length,
    });
  const tidy = (signal: AbortSignal): Promise<unknown> =>
    client.send(
      { signal },
      { method: 'DELETE', operation: 'remove a probe from', key, path, accepts: [404], expects: 204 },
    );
  let contentMd5 = false;
  try {
    // First a right one: without permission to write, every wrong one would look refused.
    await put(hash('md5', BODY, 'hex'));
    contentMd5 = await put(WRONG_MD5).then(
      () => false,
      (error: unknown) => {
        if (isRefusalOfBytes(error)) return true;
        throw error;
      },
    );
  } catch (error) {
    await tidy(AbortSignal.timeout(TIDY_MS)).catch(() => undefined);
    throw error;
  }
  await tidy(ctx.signal);
  return {
    payloadSha256: false,
    contentMd5,
    partCrc32: false,
    objectCrc32: false,
    storesSha256: false,
  };
}
