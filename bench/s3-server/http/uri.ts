/**
 * Percent-coding over binary strings. Everything that comes from the wire is kept as a string with one byte per UTF-16
 * unit, so that `<` compares as bytes do, nothing is lost where bytes are not valid UTF-8, and V8 stores one byte each.
 */
import { S3Error } from '../s3/s3-error.ts';

const UNRESERVED = /^[A-Za-z0-9\-._~]*$/;
const UNRESERVED_OR_SLASH = /^[A-Za-z0-9\-._~/]*$/;

const ENCODED: readonly string[] = Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  return UNRESERVED.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
});

/** RFC 3986 with upper-case hex, as SigV4 wants it. */
export function percentEncode(binary: string, keepsSlash: boolean): string {
  if ((keepsSlash ? UNRESERVED_OR_SLASH : UNRESERVED).test(binary)) return binary;
  let encoded = '';
  for (let at = 0; at < binary.length; at += 1) {
    const unit = binary.charCodeAt(at);
    encoded += keepsSlash && unit === 0x2f ? '/' : ENCODED[unit & 0xff];
  }
  return encoded;
}

/** @param plusIsSpace true in queries, where forms write a space so. */
export function percentDecode(text: string, plusIsSpace: boolean): string {
  const spaced = plusIsSpace && text.includes('+') ? text.replaceAll('+', ' ') : text;
  if (!spaced.includes('%')) return spaced;
  return spaced.replace(/%(..?)?/gs, (sequence, digits: string | undefined) => {
    if (digits === undefined || !/^[0-9A-Fa-f]{2}$/.test(digits)) {
      throw new S3Error('InvalidURI', `Could not parse the specified URI: ${sequence} is not an escape`);
    }
    return String.fromCharCode(Number.parseInt(digits, 16));
  });
}

export function toBinary(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

export function fromBinary(binary: string): string {
  return Buffer.from(binary, 'latin1').toString('utf8');
}

export function isAscii(binary: string): boolean {
  return !/[\x80-\xff]/.test(binary);
}

export function isUtf8(binary: string): boolean {
  return isAscii(binary) || fromBinaryStrict(binary);
}

function fromBinaryStrict(binary: string): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(binary, 'latin1'));
    return true;
  } catch {
    // The decoder's only way to say no.
    return false;
  }
}
