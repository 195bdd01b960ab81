/** What follows from what a target was seen to refuse. */
import { isStorageError } from '../core/errors.ts';
import type { Binding } from './driver.ts';
import type { DriverSpec } from './spec.ts';

/**
 * Was nothing that comes with each body seen to be compared with it? Then everything is read back. Only services can be
 * asked and have a binding; a file system's is its fsync.
 */
export function mustReadBack(
  binding: Binding | undefined,
  { kind, engine }: { readonly kind: string; readonly engine: DriverSpec['engine'] },
): boolean {
  if (!binding) return false;
  // The AWS SDK signs each body's sha256; an MD5 it sends of none.
  if (kind === 's3' && engine === 'sdk') return !binding.payloadSha256;
  // Azure's is told to send MD5s, and no CRC-64.
  if (kind === 'azure' && engine === 'sdk') return !binding.contentMd5;
  const { payloadSha256, contentMd5, contentCrc64 = false, crc32c = false } = binding;
  return !(payloadSha256 || contentMd5 || contentCrc64 || crc32c);
}

/**
 * Did the service find that the body is not the one its checksum is of? That a body broke off has the same kind, and so
 * has an answer that makes no sense; neither says anything of a checksum.
 */
export function isRefusalOfBytes(error: unknown): boolean {
  if (!isStorageError(error, 'corrupt')) return false;
  const { status = 0, backendCode } = error.details;
  return status >= 400 && status < 500 && backendCode !== 'IncompleteBody';
}
