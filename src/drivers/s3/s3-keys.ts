import { StorageError } from '../../core/errors.ts';

const KEY_BYTES_MAX = 1024;

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html: 1 to 1,024 bytes of UTF-8. */
export function whyInvalidKey(key: string): string | undefined {
  if (!key.isWellFormed()) return 'its name has half a character in it, which no UTF-8 holds';
  // A UTF-16 unit never takes more than three bytes, so most keys need no count.
  if (key !== '' && key.length * 3 <= KEY_BYTES_MAX) return undefined;
  const bytes = Buffer.byteLength(key);
  if (bytes > 0 && bytes <= KEY_BYTES_MAX) return undefined;
  return `its name has ${bytes} bytes, S3 takes 1 to ${KEY_BYTES_MAX}`;
}

export function checkKey(backend: string, operation: string, key: string): void {
  const why = whyInvalidKey(key);
  if (why === undefined) return;
  throw new StorageError(`Cannot ${operation} an object in ${backend}: ${why}`, {
    kind: 'invalid-name',
    backend,
    operation,
    key,
    isTransient: false,
    scope: 'object',
  });
}
