/**
 * CRCs that services check and Node does not compute, at the speed of memory: docs/decisions/0011-checksums-by-measurement.md.
 *
 * A CRC is what is left of the message, as a polynomial over GF(2), when it is divided by that of the checksum, P. Where P
 * divides x^a + x^b + … + 1, it divides x^(128a) + x^(128b) + … + 1 as well (squaring a polynomial doubles its exponents),
 * so 16 bytes of the message may be taken away if they are XORed into the places 16 × (a − b), … and 16 × a bytes behind
 * them. What is left of any message is then 16 × a bytes, which tables do. A sparse multiple of P of low degree so costs one
 * XOR for each of its terms and 16 bytes.
 */
import { type CrcModule, makeCrcModule, TABLE_ROWS, TABLES_BYTES } from './crc-module.ts';

const PAGE_BYTES = 64 * 1024;
/** Taken into the module's memory at a time: they should stay in a core's own cache. */
const CHUNK_BYTES = 64 * 1024;
const UNIT_BYTES = 16;

export interface CrcDefinition {
  /** Reflected: the lowest bit is the highest power. */
  readonly polynomial: bigint;
  /** 32 or 64; the register begins with so many ones, and is inverted in the end. */
  readonly bits: number;
  /** Exponents of a multiple of the polynomial, in descending order, 0 the last. */
  readonly multiple: readonly number[];
}

export class ReflectedCrc {
  readonly #module: CrcModule;
  readonly #memory: Uint8Array;
  readonly #ones: bigint;
  /** What is left when all else is folded away. */
  readonly #restBytes: number;
  /** In the module's memory: the tables, what came before the chunk, the chunk, the rest. */
  readonly #historyAt = TABLES_BYTES;
  readonly #chunkAt: number;
  readonly #restAt: number;

  constructor({ polynomial, bits, multiple }: CrcDefinition) {
    const [degree = 0, ...lower] = multiple;
    this.#restBytes = degree * UNIT_BYTES;
    this.#chunkAt = this.#historyAt + this.#restBytes;
    this.#restAt = this.#chunkAt + Math.max(CHUNK_BYTES, this.#restBytes);
    const pages = Math.ceil((this.#restAt + this.#restBytes) / PAGE_BYTES);
    // The history begins where the unit that is `degree` units back stands.
    this.#module = makeCrcModule(
      lower.map((exponent) => exponent * UNIT_BYTES),
      pages,
    );
    this.#memory = new Uint8Array(this.#module.memory.buffer);
    this.#ones = (1n << BigInt(bits)) - 1n;
    // WebAssembly has the lowest byte first, whatever the machine has.
    const view = new DataView(this.#module.memory.buffer);
    for (const [at, register] of tablesOf(polynomial).entries()) view.setBigUint64(8 * at, register, true);
  }

  /** @param crc of what came before; @returns unsigned. */
  of(bytes: Uint8Array, crc = 0n): bigint {
    const register = crc ^ this.#ones;
    // Below this the tables do as much work for what is left as they would for everything.
    const isLong = bytes.length >= 2 * this.#restBytes;
    return (isLong ? this.#folded(bytes, register) : this.#tabled(bytes, register)) ^ this.#ones;
  }

  #tabled(bytes: Uint8Array, before: bigint): bigint {
    let register = before;
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
      const chunk = bytes.subarray(at, at + CHUNK_BYTES);
      this.#memory.set(chunk, this.#chunkAt);
      register = this.#sum(register, this.#chunkAt, chunk.length);
    }
    return register;
  }

  #folded(bytes: Uint8Array, before: bigint): bigint {
    const foldedBytes = bytes.length - (bytes.length % UNIT_BYTES) - this.#restBytes;
    this.#memory.fill(0, this.#historyAt, this.#chunkAt);
    for (let at = 0; at < foldedBytes; at += CHUNK_BYTES) {
      const chunk = bytes.subarray(at, Math.min(at + CHUNK_BYTES, foldedBytes));
      this.#memory.set(chunk, this.#chunkAt);
      if (at === 0) this.#begin(before);
      const end = this.#chunkAt + chunk.length;
      this.#module.fold(this.#chunkAt, this.#historyAt, end);
      this.#memory.copyWithin(this.#historyAt, this.#historyAt + chunk.length, end);
    }
    const rest = bytes.subarray(foldedBytes, foldedBytes + this.#restBytes);
    this.#memory.set(rest, this.#restAt);
    // The rest takes what was folded into it, and nothing of the rest is folded away.
    this.#memory.fill(0, this.#chunkAt, this.#chunkAt + this.#restBytes);
    this.#module.fold(this.#restAt, this.#historyAt, this.#restAt + this.#restBytes);
    return this.#tabled(
      bytes.subarray(foldedBytes + this.#restBytes),
      this.#sum(0n, this.#restAt, this.#restBytes),
    );
  }

  /** What is in the register is the same as being in the first bytes. */
  #begin(register: bigint): void {
    const view = new DataView(this.#module.memory.buffer, this.#chunkAt, 8);
    view.setBigUint64(0, view.getBigUint64(0, true) ^ register, true);
  }

  #sum(register: bigint, from: number, sizeBytes: number): bigint {
    return BigInt.asUintN(64, this.#module.sum(register, from, from + sizeBytes));
  }
}

/** Row `r` holds the register behind each byte and `r` zero bytes. */
function tablesOf(polynomial: bigint): BigUint64Array {
  const tables = new BigUint64Array(TABLE_ROWS * 256);
  for (let byte = 0; byte < 256; byte += 1) {
    let register = BigInt(byte);
    for (let bit = 0; bit < 8; bit += 1) {
      register = register & 1n ? (register >> 1n) ^ polynomial : register >> 1n;
    }
    tables[byte] = register;
  }
  for (let at = 256; at < tables.length; at += 1) {
    const before = tables[at - 256] ?? 0n;
    tables[at] = (before >> 8n) ^ (tables[Number(before & 255n)] ?? 0n);
  }
  return tables;
}
