/** https://docs.openstack.org/api-ref/object-store/: 1 to 1,024 bytes of UTF-8. */
const KEY_BYTES_MAX = 1024;

export function whyInvalidSwiftKey(key: string): string | undefined {
  if (!key.isWellFormed()) return 'its name has half a character in it, which no UTF-8 holds';
  if (key.includes('\0')) return 'its name has a NUL in it';
  const bytes = Buffer.byteLength(key);
  if (bytes > 0 && bytes <= KEY_BYTES_MAX) return undefined;
  return `its name has ${bytes} bytes, Swift takes 1 to ${KEY_BYTES_MAX}`;
}
