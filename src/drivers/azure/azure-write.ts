/** What every write to Azure has in common: checksums and the attributes of the target's configuration. */
import { createHash, hash } from 'node:crypto';
import { crc64, crc64Base64, crc64Hex } from '../../core/crc64.ts';
import type { Binding, Body, CallContext } from '../driver.ts';
import type { Fields } from '../http/service-client.ts';
import { untilAborted } from '../or-aborted.ts';
import type { AzureSpec } from '../spec.ts';

export const CONTENT_TYPE = 'application/octet-stream';

/** Lower-case hex; at most one of them, as Azure takes only one with a body. */
export interface AzureSum {
  readonly md5?: string;
  readonly crc64?: string;
}

type SumName = keyof AzureSum | undefined;

/**
 * What a block is bound by: the CRC-64, which costs a seventh of an MD5, where it was seen to be checked. Azure compares a
 * body with its Content-MD5; before a probe that is believed of it.
 */
export function sumOfBlocks(binding: Binding | undefined): SumName {
  if (binding?.contentCrc64) return 'crc64';
  return (binding?.contentMd5 ?? true) ? 'md5' : undefined;
}

/** A whole blob has an MD5 in listings, by which it is known to be equal: ours, if the service makes none of its own. */
export function sumOfBlobs(binding: Binding | undefined): SumName {
  if (binding?.computesMd5) return sumOfBlocks(binding);
  return (binding?.contentMd5 ?? true) ? 'md5' : sumOfBlocks(binding);
}

/** Of blobs that become visible: tier and type. */
export function visibleAttributes({ accessTier }: AzureSpec): Fields {
  return [
    ...(accessTier === undefined ? [] : [['x-ms-access-tier', accessTier] as const]),
    ['x-ms-blob-content-type', CONTENT_TYPE],
  ];
}

/** Of every request that brings bytes. */
export function encryptionFields({ encryptionScope }: AzureSpec): Fields {
  return encryptionScope === undefined ? [] : [['x-ms-encryption-scope', encryptionScope]];
}

export function md5Field(md5Hex: string): readonly [string, string] {
  return ['content-md5', Buffer.from(md5Hex, 'hex').toString('base64')];
}

/** https://learn.microsoft.com/rest/api/storageservices/put-block: both in base64, the CRC-64 with its lowest byte first. */
export function sumFields({ md5, crc64: sum }: AzureSum): Fields {
  if (sum !== undefined) return [['x-ms-content-crc64', crc64Base64(BigInt(`0x${sum}`))]];
  return md5 === undefined ? [] : [md5Field(md5)];
}

/** At once where the bytes are held; else a body that stalls must not outlive the call, and is waited for as long as the signal lasts. */
export function sumOf(ctx: CallContext, body: Body, name: SumName): AzureSum | Promise<AzureSum> {
  if (name === undefined) return {};
  const { bytes } = body;
  if (bytes) return name === 'crc64' ? { crc64: crc64Hex(crc64(bytes)) } : { md5: hash('md5', bytes, 'hex') };
  return sumOfPieces(untilAborted(body.open(), ctx.signal), name);
}

async function sumOfPieces(pieces: AsyncIterable<Uint8Array>, name: NonNullable<SumName>): Promise<AzureSum> {
  if (name === 'crc64') {
    let sum = 0n;
    for await (const piece of pieces) sum = crc64(piece, sum);
    return { crc64: crc64Hex(sum) };
  }
  const hasher = createHash('md5');
  for await (const piece of pieces) hasher.update(piece);
  return { md5: hasher.digest('hex') };
}
