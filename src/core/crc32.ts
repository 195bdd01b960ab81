/**
 * Joins CRC-32 checksums: the checksum of A followed by B from those of A and B and the length of B. A full-object
 * checksum is so made from those of the parts, without a second pass over the bytes.
 *
 * CRC-32 (reflected polynomial 0xEDB88320) is linear over GF(2): appending n zero bits to A multiplies its checksum by
 * x^n modulo the polynomial. x^(2^k) is found by repeated squaring, so a join costs at most 64 multiplications.
 */

const POLYNOMIAL = 0xedb88320;
/** The polynomial 1 in reflected order. */
const ONE = 0x80000000;
/** x^8: one byte. */
const ONE_BYTE = 0x00800000;

/** a × b modulo the polynomial, all in reflected bit order. */
function multiply(polynomial: number, a: number, b: number): number {
  let product = 0;
  let shifted = b;
  for (let bit = ONE; bit !== 0; bit >>>= 1) {
    if (a & bit) product ^= shifted;
    shifted = shifted & 1 ? (shifted >>> 1) ^ polynomial : shifted >>> 1;
  }
  return product >>> 0;
}

/** x^(8 × byteCount) modulo the polynomial. */
function powerOfBytes(polynomial: number, byteCount: number): number {
  let result = ONE;
  let square = ONE_BYTE;
  for (let rest = byteCount; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = multiply(polynomial, square, result);
    square = multiply(polynomial, square, square);
  }
  return result >>> 0;
}

/** The same for any CRC of 32 bits. @param polynomial reflected. */
export function joinCrc(polynomial: number, crcA: number, crcB: number, lengthB: number): number {
  if (lengthB === 0) return crcA >>> 0;
  return (multiply(polynomial, powerOfBytes(polynomial, lengthB), crcA >>> 0) ^ crcB) >>> 0;
}

/** @returns the unsigned CRC-32 of A‖B. `lengthB` in bytes, a safe integer. */
export function combineCrc32(crcA: number, crcB: number, lengthB: number): number {
  return joinCrc(POLYNOMIAL, crcA, crcB, lengthB);
}
