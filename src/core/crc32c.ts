/**
 * CRC-32C (Castagnoli, reflected polynomial 0x82F63B78; RFC 3720 appendix B.4), which Cloud Storage checks and keeps.
 * Node computes the other CRC-32 only.
 */
import { joinCrc } from './crc32.ts';
import { ReflectedCrc } from './reflected-crc.ts';

const POLYNOMIAL = 0x82f63b78;
/** The lowest multiple with six terms; none of fewer has a degree below 5,275. */
const MULTIPLE = [209, 144, 54, 39, 14, 0];

let made: ReflectedCrc | undefined;

/** @param crc of what came before; @returns unsigned. */
export function crc32c(bytes: Uint8Array, crc = 0): number {
  made ??= new ReflectedCrc({ polynomial: BigInt(POLYNOMIAL), bits: 32, multiple: MULTIPLE });
  return Number(made.of(bytes, BigInt(crc)));
}

/** @returns the unsigned CRC-32C of A‖B. `lengthB` in bytes, a safe integer. */
export function combineCrc32c(crcA: number, crcB: number, lengthB: number): number {
  return joinCrc(POLYNOMIAL, crcA, crcB, lengthB);
}
