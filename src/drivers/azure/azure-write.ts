/** What every write to Azure has in common: checksums and the attributes of the target's configuration. */
import { createHash, hash } from 'node:crypto';
import type { Binding, Body, CallContext } from '../driver.ts';
import type { Fields } from '../http/service-client.ts';
import { untilAborted } from '../or-aborted.ts';
import type { AzureSpec } from '../spec.ts';

export const CONTENT_TYPE = 'application/octet-stream';

/** Azure compares a body with its Content-MD5; before a probe that is believed of it. */
export function checksMd5(binding: Binding | undefined): boolean {
  return binding?.contentMd5 ?? true;
}

/** Of blobs that become visible: tier and type. */
export function visibleAttributes({ accessTier }: AzureSpec): Fields {
  return [
    ['x-ms-blob-content-type', CONTENT_TYPE],
    ...(accessTier === undefined ? [] : [['x-ms-access-tier', accessTier] as const]),
  ];
}

/** Of every request that brings bytes. */
export function encryptionFields({ encryptionScope }: AzureSpec): Fields {
  return encryptionScope === undefined ? [] : [['x-ms-encryption-scope', encryptionScope]];
}

export function md5Field(md5Hex: string): readonly [string, string] {
  return ['content-md5', Buffer.from(md5Hex, 'hex').toString('base64')];
}

/** A body that stalls must not outlive the call, so each piece is waited for no longer than the signal lasts. */
export async function md5Of(ctx: CallContext, body: Body): Promise<string> {
  if (body.bytes) return hash('md5', body.bytes, 'hex');
  const hasher = createHash('md5');
  for await (const piece of untilAborted(body.open(), ctx.signal)) hasher.update(piece);
  return hasher.digest('hex');
}
