/**
 * Reflected CRCs that Node does not bring along, eight bytes at a time, and the combination of CRCs of adjoining pieces.
 * Written apart from the product's own, which this server checks.
 */

/** CRC-32C (Castagnoli), polynomial 0x1EDC6F41 reflected. */
const CRC32C_POLY = 0x82f63b78;
/** CRC-64/NVME, polynomial 0xAD93D23594C93659 reflected, in halves. */
const CRC64_POLY_HIGH = 0x9a6c9329;
const CRC64_POLY_LOW = 0xac4bc9b5;

/** Table k gives the CRC of a byte followed by k zero bytes. */
function tables32(poly: number): readonly Int32Array[] {
  const tables = Array.from({ length: 8 }, () => new Int32Array(256));
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ poly : crc >>> 1;
    for (const table of tables) {
      table[byte] = crc;
      for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ poly : crc >>> 1;
    }
  }
  return tables;
}

const [C0, C1, C2, C3, C4, C5, C6, C7] = tables32(CRC32C_POLY) as [
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
];

/** @param crc value of what went before; 0 at the start. @returns unsigned. */
export function crc32c(data: Uint8Array, crc = 0): number {
  let value = ~crc;
  let at = 0;
  const whole = data.length - (data.length % 8);
  for (; at < whole; at += 8) {
    value ^= word(data, at);
    const next = word(data, at + 4);
    value =
      entry(C7, value) ^
      entry(C6, value >>> 8) ^
      entry(C5, value >>> 16) ^
      entry(C4, value >>> 24) ^
      entry(C3, next) ^
      entry(C2, next >>> 8) ^
      entry(C1, next >>> 16) ^
      entry(C0, next >>> 24);
  }
  for (; at < data.length; at += 1) value = entry(C0, value ^ (data[at] ?? 0)) ^ (value >>> 8);
  return ~value >>> 0;
}

function word(data: Uint8Array, at: number): number {
  return (
    (data[at] ?? 0) | ((data[at + 1] ?? 0) << 8) | ((data[at + 2] ?? 0) << 16) | ((data[at + 3] ?? 0) << 24)
  );
}

function entry(table: Int32Array, index: number): number {
  return table[index & 0xff] ?? 0;
}

/** Halves of the 64-bit tables; index is table * 256 + byte. */
const HIGH = new Int32Array(8 * 256);
const LOW = new Int32Array(8 * 256);
for (let byte = 0; byte < 256; byte += 1) {
  let high = 0;
  let low = byte;
  for (let table = 0; table < 8; table += 1) {
    for (let bit = 0; bit < 8; bit += 1) {
      const carry = low & 1;
      low = (low >>> 1) | (high << 31);
      high >>>= 1;
      if (carry) {
        high ^= CRC64_POLY_HIGH;
        low ^= CRC64_POLY_LOW;
      }
    }
    HIGH[table * 256 + byte] = high;
    LOW[table * 256 + byte] = low;
  }
}

export class Crc64Nvme {
  #high = -1;
  #low = -1;

  update(data: Uint8Array): void {
    let high = this.#high;
    let low = this.#low;
    let at = 0;
    const whole = data.length - (data.length % 8);
    for (; at < whole; at += 8) {
      const a = low ^ word(data, at);
      const b = high ^ word(data, at + 4);
      const i7 = 1792 + (a & 0xff);
      const i6 = 1536 + ((a >>> 8) & 0xff);
      const i5 = 1280 + ((a >>> 16) & 0xff);
      const i4 = 1024 + (a >>> 24);
      const i3 = 768 + (b & 0xff);
      const i2 = 512 + ((b >>> 8) & 0xff);
      const i1 = 256 + ((b >>> 16) & 0xff);
      const i0 = b >>> 24;
      high = xor8(HIGH, i7, i6, i5, i4) ^ xor8(HIGH, i3, i2, i1, i0);
      low = xor8(LOW, i7, i6, i5, i4) ^ xor8(LOW, i3, i2, i1, i0);
    }
    for (; at < data.length; at += 1) {
      const index = (low ^ (data[at] ?? 0)) & 0xff;
      low = ((low >>> 8) | (high << 24)) ^ (LOW[index] ?? 0);
      high = (high >>> 8) ^ (HIGH[index] ?? 0);
    }
    this.#high = high;
    this.#low = low;
  }

  digest(): Buffer {
    const out = Buffer.alloc(8);
    out.writeInt32BE(~this.#high, 0);
    out.writeInt32BE(~this.#low, 4);
    return out;
  }
}

function xor8(table: Int32Array, a: number, b: number, c: number, d: number): number {
  return (table[a] ?? 0) ^ (table[b] ?? 0) ^ (table[c] ?? 0) ^ (table[d] ?? 0);
}

interface CrcField {
  readonly width: bigint;
  readonly poly: bigint;
}

const FIELDS: Readonly<Record<'crc32' | 'crc32c' | 'crc64nvme', CrcField>> = {
  crc32: { width: 32n, poly: 0xedb88320n },
  crc32c: { width: 32n, poly: 0x82f63b78n },
  crc64nvme: { width: 64n, poly: 0x9a6c9329ac4bc9b5n },
};

/** Product of two polynomials modulo the CRC's; the highest bit is the coefficient of x^0. */
function multiply(field: CrcField, a: bigint, b: bigint): bigint {
  let product = 0n;
  let shifted = b;
  for (let bit = 1n << (field.width - 1n); bit > 0n; bit >>= 1n) {
    if (a & bit) product ^= shifted;
    shifted = shifted & 1n ? (shifted >> 1n) ^ field.poly : shifted >> 1n;
  }
  return product;
}

/** x to the power of 8 × bytes: what appending that many bytes multiplies a CRC by. Parts mostly have one size. */
const shiftCache = new Map<string, bigint>();

function shiftBy(name: keyof typeof FIELDS, bytes: number): bigint {
  const cacheKey = `${name}/${bytes}`;
  const known = shiftCache.get(cacheKey);
  if (known !== undefined) return known;
  const field = FIELDS[name];
  let result = 1n << (field.width - 1n);
  // x^8 has its only coefficient eight places below x^0.
  let square = 1n << (field.width - 9n);
  for (let rest = BigInt(bytes); rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = multiply(field, result, square);
    square = multiply(field, square, square);
  }
  if (shiftCache.size > 1000) shiftCache.clear();
  shiftCache.set(cacheKey, result);
  return result;
}

/** CRC of A followed by B, from the CRCs of both and the length of B; big-endian bytes in and out. */
export function combineCrc(name: keyof typeof FIELDS, a: Buffer, b: Buffer, bytesOfB: number): Buffer {
  const field = FIELDS[name];
  const combined =
    multiply(field, shiftBy(name, bytesOfB), BigInt(`0x${a.toString('hex')}`)) ^
    BigInt(`0x${b.toString('hex')}`);
  return Buffer.from(combined.toString(16).padStart(Number(field.width / 4n), '0'), 'hex');
}
