/** Bytes and choices that follow from a seed: the same on every machine, different for every name. */
import { createCipheriv, createHash } from 'node:crypto';

/** Incompressible bytes; `name` says what for. */
export function seededBytes(seed: string, name: string, sizeBytes: number): Buffer {
  const key = createHash('sha256').update(`${seed}/${name}`).digest();
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes));
}

/** A version 4 UUID. */
export function seededUuid(seed: string, name: string): string {
  const bytes = seededBytes(seed, `uuid/${name}`, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

export function sha256Hex(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}
