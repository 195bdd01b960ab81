/** How Cloud Storage answers: refusals and checksums, as its two APIs write them. */
import { hash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

/** A refusal with its status; https://cloud.google.com/storage/docs/xml-api/reference-status names codes and statuses. */
export class Refused extends Error {
  readonly status: number;
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;
  constructor(status: number, code: string, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: Uint8Array | string;
}

/** "Error Response Format" of the XML reference. */
export function xmlRefusal({ status, code, message, headers }: Refused): Answer {
  const body = `<?xml version='1.0' encoding='UTF-8'?><Error><Code>${code}</Code><Message>${escapeXml(message)}</Message></Error>`;
  return { status, body, headers: { ...headers, 'content-type': 'application/xml; charset=UTF-8' } };
}

/** The same of the JSON API: https://cloud.google.com/storage/docs/json_api/v1/status-codes, "Error Response Format". */
export function jsonRefusal({ status, code, message, headers }: Refused): Answer {
  const errors = [{ domain: 'global', reason: code, message }];
  const body = JSON.stringify({ error: { code: status, message, errors } });
  return { status, body, headers: { ...headers, 'content-type': 'application/json; charset=UTF-8' } };
}

export function send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  const body = Buffer.from(answer.body ?? '');
  response.statusCode = answer.status;
  // Every answer of the service names the machine that took the request.
  response.setHeader('x-guploader-uploadid', 'fake');
  for (const [name, value] of Object.entries(answer.headers ?? {})) response.setHeader(name, value as string);
  if (!response.hasHeader('content-length')) response.setHeader('content-length', body.length);
  response.end(request.method === 'HEAD' ? undefined : body);
}

export function escapeXml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc >>> 0;
});

/**
 * On its own, so that a mistake in the program's is no mistake here.
 * @param crc of what came before. @returns unsigned.
 */
export function fakeCrc32c(bytes: Uint8Array, crc = 0): number {
  let c = ~crc;
  for (let at = 0; at < bytes.length; at += 1) c = (c >>> 8) ^ (TABLE[(c ^ (bytes[at] ?? 0)) & 255] ?? 0);
  return ~c >>> 0;
}

/** Big-endian, as x-goog-hash has it. */
export function crc32cBase64(bytes: Uint8Array): string {
  return base64OfCrc(fakeCrc32c(bytes));
}

export function base64OfCrc(crc: number): string {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc);
  return sum.toString('base64');
}

export function md5Base64(bytes: Uint8Array): string {
  return hash('md5', bytes, 'base64');
}

/**
 * https://cloud.google.com/storage/docs/xml-api/reference-headers#xgooghash and #contentmd5: what is sent is compared,
 * and refused with BadDigest where it differs, with InvalidDigest where it is no checksum.
 */
export function checkHashes(request: IncomingMessage, bytes: Uint8Array): void {
  const sent: (readonly [string, string])[] = String(request.headers['x-goog-hash'] ?? '')
    .split(',')
    .filter((one) => one.trim() !== '')
    .map((one) => [one.slice(0, one.indexOf('=')).trim(), one.slice(one.indexOf('=') + 1).trim()]);
  const contentMd5 = request.headers['content-md5'];
  if (typeof contentMd5 === 'string') sent.push(['md5', contentMd5]);
  for (const [name, value] of sent) {
    const size = name === 'crc32c' ? 4 : name === 'md5' ? 16 : -1;
    if (Buffer.from(value, 'base64').length !== size)
      throw new Refused(400, 'InvalidDigest', 'The Content-MD5 you specified was invalid.');
    const right = name === 'md5' ? md5Base64(bytes) : crc32cBase64(bytes);
    if (value !== right)
      throw new Refused(400, 'BadDigest', `The ${name} you specified did not match what we received.`);
  }
}
