import type { Body } from './driver.ts';

/** A body that lies in memory; the caller keeps the bytes unchanged while it is in use. */
export function bodyOfBytes(bytes: Uint8Array): Body {
  return {
    sizeBytes: bytes.length,
    bytes,
    async *open() {
      yield bytes;
    },
  };
}
