import { StorageError } from '../../core/errors.ts';

const KEY_BYTES_MAX = 1024;

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html: 1 to 1,024 bytes of UTF-8. */
export function checkKey(backend: string, operation: string, key: string): void {
  if (key !== '' && Buffer.byteLength(key) <= KEY_BYTES_MAX) return;
  throw new StorageError(
    `Cannot ${operation} an object in ${backend}: its name has ${Buffer.byteLength(key)} bytes, S3 takes 1 to ${KEY_BYTES_MAX}`,
    { kind: 'invalid-name', backend, operation, key, isTransient: false, scope: 'object' },
  );
}
