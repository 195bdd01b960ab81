/** One request to a service of the bench, its body and the checksums that came with it, and what is answered. */
import { createHash, randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { Crc64Nvme, crc32c } from '../s3-server/s3/crc.ts';
import type { Container, StoredObject } from './object-store.ts';

/** A larger body without an MD5 is not hashed: the service's own CPU is none of the copier's, but they share the cores. */
const HASHED_BYTES_MAX = 64 * 1024;

export interface Exchange {
  readonly method: string;
  /** Decoded; undefined for requests on the container. */
  readonly key: string | undefined;
  readonly container: Container;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: readonly Buffer[];
  readonly bodyBytes: number;
}

export interface Answer {
  /** Of the request, for counting. */
  readonly operation: string;
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** A range of pieces, or text. */
  readonly body?:
    | string
    | { readonly pieces: readonly Buffer[]; readonly start: number; readonly end: number };
  /** Of a refusal, for counting. */
  readonly code?: string;
}

/** One service's way of speaking. */
export interface Dialect {
  /** Requests that are about no container: tokens. Undefined: not one of them. */
  outside(
    path: string,
    headers: IncomingHttpHeaders,
    body: readonly Buffer[],
    port: number,
  ): Answer | undefined;
  /** Container and the still encoded key in a path. */
  placeOf(path: string): { readonly container: string; readonly rawKey: string | undefined } | undefined;
  isAllowed(headers: IncomingHttpHeaders): boolean;
  answer(exchange: Exchange): Answer;
}

/** Lower-case hex or numbers; what is not there was not sent. */
export interface Sums {
  readonly md5?: string | undefined;
  readonly crc32c?: number | undefined;
  /** In base64, lowest byte first. */
  readonly crc64?: string | undefined;
}

/** The name of a checksum that is not that of the body; undefined where all are right. */
export function wrongSum(
  { body }: Pick<Exchange, 'body'>,
  sums: Sums,
): 'md5' | 'crc32c' | 'crc64' | undefined {
  if (sums.md5 !== undefined && md5Of(body) !== sums.md5) return 'md5';
  if (sums.crc32c !== undefined && body.reduce((sum, piece) => crc32c(piece, sum), 0) !== sums.crc32c)
    return 'crc32c';
  if (sums.crc64 !== undefined && crc64Of(body) !== sums.crc64) return 'crc64';
  return undefined;
}

export function stored({ body, bodyBytes }: Exchange, sums: Sums): StoredObject {
  const isHashed = sums.md5 !== undefined || bodyBytes <= HASHED_BYTES_MAX;
  return {
    pieces: body,
    sizeBytes: bodyBytes,
    md5: sums.md5 ?? (isHashed ? md5Of(body) : randomBytes(16).toString('hex')),
    hasTrueMd5: isHashed,
    crc32c: sums.crc32c,
    version: newVersion(),
  };
}

let versions = 0;

/** Digits, as Cloud Storage has them. */
export function newVersion(): string {
  versions += 1;
  return String(1_700_000_000_000_000 + versions);
}

function md5Of(body: readonly Buffer[]): string {
  const digest = createHash('md5');
  for (const piece of body) digest.update(piece);
  return digest.digest('hex');
}

function crc64Of(body: readonly Buffer[]): string {
  const crc = new Crc64Nvme();
  for (const piece of body) crc.update(piece);
  return crc.digest().reverse().toString('base64');
}

export function base64ToHex(text: string | undefined): string | undefined {
  return text === undefined ? undefined : Buffer.from(text, 'base64').toString('hex');
}

export function hexToBase64(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64');
}

export function one(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.[0];
}

/** A whole object, or the range that is asked for; 416 behind its end. */
export function readAnswer(
  { method, headers }: Exchange,
  { pieces, sizeBytes }: Pick<StoredObject, 'pieces' | 'sizeBytes'>,
  said: Readonly<Record<string, string>>,
): Answer {
  if (method === 'HEAD')
    return { operation: 'Head', status: 200, headers: { ...said, 'content-length': String(sizeBytes) } };
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '') ?? [];
  if (first === undefined)
    return { operation: 'Get', status: 200, headers: said, body: { pieces, start: 0, end: sizeBytes } };
  const start = Number(first);
  if (start >= sizeBytes)
    return { operation: 'Get', status: 416, headers: { 'content-range': `bytes */${sizeBytes}` } };
  const end = Math.min(sizeBytes, last === '' || last === undefined ? sizeBytes : Number(last) + 1);
  const range = { 'content-range': `bytes ${start}-${end - 1}/${sizeBytes}` };
  return { operation: 'Get', status: 206, headers: { ...said, ...range }, body: { pieces, start, end } };
}

export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
