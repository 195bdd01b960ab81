/**
 * CRC-32C (Castagnoli, reflected polynomial 0x82F63B78; RFC 3720 appendix B.4), which Cloud Storage checks and keeps.
 * Node computes the other CRC-32 only. Sixteen bytes at a time by sixteen tables takes less than half the time of MD5,
 * the one other checksum that Cloud Storage knows: 0.63 against 1.68 s/GiB on a busy core; with eight tables 0.84.
 */
import { joinCrc } from './crc32.ts';

const POLYNOMIAL = 0x82f63b78;
const ROWS = 16;
const BIG_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 0;

let tables: Int32Array | undefined;

/** Row `r` holds the checksum of each byte with `r` zero bytes behind it. */
function makeTables(): Int32Array {
  const made = new Int32Array(256 * ROWS);
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    made[byte] = crc;
  }
  for (let at = 256; at < made.length; at += 1) {
    const before = made[at - 256] ?? 0;
    made[at] = (before >>> 8) ^ (made[before & 255] ?? 0);
  }
  return made;
}

/** @param crc of what came before; @returns unsigned. */
export function crc32c(bytes: Uint8Array, crc = 0): number {
  tables ??= makeTables();
  // Words are read as they lie in memory: from a multiple of four, and only where the lowest byte comes first.
  const first = -bytes.byteOffset & 3;
  const wordCount = BIG_ENDIAN ? 0 : ((bytes.length - first) >> 4) << 2;
  if (wordCount <= 0) return ~byBytes(tables, bytes, ~crc) >>> 0;
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + first, wordCount);
  const head = byBytes(tables, bytes.subarray(0, first), ~crc);
  const middle = byWords(tables, words, head);
  return ~byBytes(tables, bytes.subarray(first + words.byteLength), middle) >>> 0;
}

function byBytes(t: Int32Array, bytes: Uint8Array, crc: number): number {
  let c = crc;
  for (let at = 0; at < bytes.length; at += 1) c = (c >>> 8) ^ at8(t, 0, c ^ (bytes[at] ?? 0));
  return c;
}

function byWords(t: Int32Array, words: Int32Array, crc: number): number {
  let c = crc;
  for (let at = 0; at < words.length; at += 4) {
    const first = (words[at] ?? 0) ^ c;
    const second = words[at + 1] ?? 0;
    const third = words[at + 2] ?? 0;
    const fourth = words[at + 3] ?? 0;
    c = at32(t, 12, first) ^ at32(t, 8, second) ^ at32(t, 4, third) ^ at32(t, 0, fourth);
  }
  return c;
}

/** The four bytes of a word, the lowest of which has the most bytes behind it. */
function at32(t: Int32Array, row: number, word: number): number {
  return (
    at8(t, row + 3, word) ^
    at8(t, row + 2, word >>> 8) ^
    at8(t, row + 1, word >>> 16) ^
    at8(t, row, word >>> 24)
  );
}

function at8(t: Int32Array, row: number, value: number): number {
  return t[(row << 8) | (value & 255)] ?? 0;
}

/** @returns the unsigned CRC-32C of A‖B. `lengthB` in bytes, a safe integer. */
export function combineCrc32c(crcA: number, crcB: number, lengthB: number): number {
  return joinCrc(POLYNOMIAL, crcA, crcB, lengthB);
}
