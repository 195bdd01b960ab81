import { StorageError } from '../../core/errors.ts';

const KEY_BYTES_MAX = 1024;

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html: 1 to 1,024 bytes of UTF-8. */
export function checkKey(backend: string, operation: string, key: string): void {
  const sizeBytes = Buffer.byteLength(key);
  if (sizeBytes > 0 && sizeBytes <= KEY_BYTES_MAX && key.isWellFormed()) return;
  const why = key.isWellFormed()
    ? `has ${sizeBytes} bytes, S3 takes 1 to ${KEY_BYTES_MAX}`
    : 'has half a character in it, which no UTF-8 holds';
  throw new StorageError(`Cannot ${operation} an object in ${backend}: its name ${why}`, {
    kind: 'invalid-name',
    backend,
    operation,
    key,
    isTransient: false,
    scope: 'object',
  });
}
