/**
 * The answer to Complete may be lost on its way; asked again, the server knows of no such upload. The object that is
 * there is then taken for this one only if what the server keeps of it proves that: its size, and either the CRC-32 of
 * the whole or an ETag made from the tags of these very parts.
 */
import { hash } from 'node:crypto';
import { isStorageError } from '../../core/errors.ts';
import type { CallContext, CompleteOptions, PartReceipt } from '../driver.ts';
import { md5OfETag } from '../http/etag.ts';
import type { S3Client } from './s3-client.ts';

export interface Expected extends CompleteOptions {
  readonly key: string;
  readonly parts: readonly PartReceipt[];
}

/** The version of the object, if it is the one; undefined if there is none, or it may be another. */
export async function completedVersion(
  client: S3Client,
  ctx: CallContext,
  expected: Expected,
): Promise<string | undefined> {
  const { key, parts, sizeBytes, crc32 } = expected;
  try {
    const headers: [string, string][] = [['x-amz-checksum-mode', 'ENABLED']];
    const response = await client.send(ctx, { method: 'HEAD', operation: 'stat', key, headers });
    const version = response.headers.get('etag');
    if (response.headers.get('content-length') !== String(sizeBytes)) return undefined;
    const isWhole = response.headers.get('x-amz-checksum-type') === 'FULL_OBJECT';
    const sum = isWhole ? response.headers.get('x-amz-checksum-crc32') : undefined;
    const bySum = sum !== undefined && crc32 !== undefined && sum === crc32Base64(crc32);
    return bySum || (version !== undefined && version === tagOfParts(parts)) ? version : undefined;
  } catch (error) {
    if (isStorageError(error, 'not-found')) return undefined;
    throw error;
  }
}

export function crc32Base64(crc32: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32 >>> 0);
  return bytes.toString('base64');
}

/** The MD5 of the MD5s of the parts, and their number; undefined where a part's tag is no MD5. */
function tagOfParts(parts: readonly PartReceipt[]): string | undefined {
  const sums = parts.map(({ tag }) => md5OfETag(tag));
  if (sums.includes(undefined)) return undefined;
  return `"${hash('md5', Buffer.from(sums.join(''), 'hex'), 'hex')}-${parts.length}"`;
}
