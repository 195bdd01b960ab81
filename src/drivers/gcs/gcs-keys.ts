import { StorageError } from '../../core/errors.ts';

const KEY_BYTES_MAX = 1024;

/** https://cloud.google.com/storage/docs/objects#naming: 1 to 1,024 bytes of UTF-8, and a few names that are not taken. */
export function whyInvalidGcsKey(key: string): string | undefined {
  if (!key.isWellFormed()) return 'its name has half a character in it, which no UTF-8 holds';
  if (/[\r\n]/.test(key)) return 'its name has a line break in it, which Cloud Storage does not take';
  if (key === '.' || key === '..') return `its name is "${key}", which Cloud Storage does not take`;
  if (key.startsWith('.well-known/acme-challenge/')) {
    return 'its name begins with ".well-known/acme-challenge/", which Cloud Storage does not take';
  }
  const bytes = Buffer.byteLength(key);
  if (bytes > 0 && bytes <= KEY_BYTES_MAX) return undefined;
  return `its name has ${bytes} bytes, Cloud Storage takes 1 to ${KEY_BYTES_MAX}`;
}

export function checkGcsKey(backend: string, operation: string, key: string): void {
  const why = whyInvalidGcsKey(key);
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
