/**
 * The CRC-64 of Azure (reflected polynomial 0x9A6C9329AC4BC9B5), which is that of NVM Express too. Azure writes it with its
 * lowest byte first (https://learn.microsoft.com/rest/api/storageservices/put-block), S3 with its highest.
 */
import { ReflectedCrc } from './reflected-crc.ts';

const POLYNOMIAL = 0x9a6c9329ac4bc9b5n;
/** Found by looking for eight powers of x below x^2600 whose remainders add up to nothing. */
const MULTIPLE = [2519, 2283, 2087, 936, 454, 325, 172, 0];

let made: ReflectedCrc | undefined;

/** @param crc of what came before; @returns unsigned. */
export function crc64(bytes: Uint8Array, crc = 0n): bigint {
  made ??= new ReflectedCrc({ polynomial: POLYNOMIAL, bits: 64, multiple: MULTIPLE });
  return made.of(bytes, crc);
}

/** 16 digits. */
export function crc64Hex(crc: bigint): string {
  return crc.toString(16).padStart(16, '0');
}

/** As Azure's `x-ms-content-crc64` has it. */
export function crc64Base64(crc: bigint): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(crc);
  return bytes.toString('base64');
}
