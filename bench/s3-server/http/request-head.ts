/** The head of an HTTP/1.1 request: request line and fields, strictly as RFC 9112 has them. */
import { S3Error } from '../s3/s3-error.ts';

/** AWS allows 8 KB of headers; keys of 1,024 escaped bytes in two places and long signatures make more here. */
export const HEAD_BYTES_MAX = 16 * 1024;
const FIELDS_MAX = 100;

export interface RequestHead {
  readonly method: string;
  /** As it came: escaped, without query. */
  readonly rawPath: string;
  /** As it came, without the question mark. */
  readonly rawQuery: string;
  /** Names in lower case; repeated fields joined with a comma. */
  readonly headers: ReadonlyMap<string, string>;
  readonly keepsAlive: boolean;
}

/** How the body is delimited. */
export type BodyFraming =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'chunked' };

const REQUEST_LINE = /^([A-Z]{1,16}) (\S+) HTTP\/1\.([01])$/;
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the bytes that a field value may not hold.
const FORBIDDEN_IN_VALUE = /[\x00-\x08\x0a-\x1f\x7f]/;

/** @param text the head as a binary string, without the empty line that ends it. */
export function parseRequestHead(text: string): RequestHead {
  const lines = text.split('\r\n');
  const match = REQUEST_LINE.exec(lines[0] ?? '');
  if (!match) throw malformed('the request line is not HTTP/1.1');
  const [, method = '', target = '', minor] = match;
  if (lines.length - 1 > FIELDS_MAX) throw tooLarge();
  const headers = parseFields(lines, 1);
  const { rawPath, rawQuery } = splitTarget(target);
  const connection = headers.get('connection')?.toLowerCase();
  const keepsAlive = minor === '1' ? connection !== 'close' : connection === 'keep-alive';
  if (minor === '1' && !headers.has('host')) throw malformed('the Host field is missing');
  return { method, rawPath, rawQuery, headers, keepsAlive };
}

export function parseFields(lines: readonly string[], from: number): Map<string, string> {
  const headers = new Map<string, string>();
  for (let at = from; at < lines.length; at += 1) {
    const line = lines[at] ?? '';
    const colon = line.indexOf(':');
    const lower = fieldName(line.slice(0, Math.max(colon, 0)));
    const value = line.slice(colon + 1).trim();
    if (FORBIDDEN_IN_VALUE.test(value)) throw malformed(`the field ${lower} holds a control character`);
    const before = headers.get(lower);
    headers.set(lower, before === undefined ? value : `${before},${value}`);
  }
  return headers;
}

/** Names in lower case, by how clients write them: there are few, and they come in every request. */
const fieldNames = new Map<string, string>();
const FIELD_NAMES_MAX = 1000;

function fieldName(written: string): string {
  const known = fieldNames.get(written);
  if (known !== undefined) return known;
  if (!FIELD_NAME.test(written)) throw malformed('a field name is not a token');
  const lower = written.toLowerCase();
  if (fieldNames.size < FIELD_NAMES_MAX) fieldNames.set(written, lower);
  return lower;
}

function splitTarget(target: string): { rawPath: string; rawQuery: string } {
  // Proxies are spoken to in absolute form; the path is what counts here.
  const absolute = /^https?:\/\/[^/?]+/i.exec(target);
  const local = absolute ? target.slice(absolute[0].length) || '/' : target;
  if (!local.startsWith('/')) throw malformed('the request target is not a path');
  const question = local.indexOf('?');
  return question < 0
    ? { rawPath: local, rawQuery: '' }
    : { rawPath: local.slice(0, question), rawQuery: local.slice(question + 1) };
}

/** Contradicting or repeated lengths are how requests get smuggled, so they end the connection. */
export function bodyFraming(headers: ReadonlyMap<string, string>): BodyFraming {
  const length = headers.get('content-length');
  const encoding = headers.get('transfer-encoding');
  if (encoding !== undefined) {
    if (encoding.toLowerCase() !== 'chunked') throw malformed('the transfer encoding is not chunked');
    if (length !== undefined) throw malformed('a length and a transfer encoding contradict each other');
    return { kind: 'chunked' };
  }
  if (length === undefined) return { kind: 'none' };
  if (!/^\d{1,15}$/.test(length)) throw malformed('the Content-Length is not a number');
  const bytes = Number(length);
  return bytes === 0 ? { kind: 'none' } : { kind: 'length', bytes };
}

function malformed(what: string): S3Error {
  return new S3Error('BadRequest', `An error occurred when parsing the HTTP request: ${what}`, {
    closesConnection: true,
  });
}

export function tooLarge(): S3Error {
  return new S3Error(
    'RequestHeaderSectionTooLarge',
    'Your request header and query parameters exceed the maximum allowed size',
    {
      fields: { MaxSizeAllowed: HEAD_BYTES_MAX },
      closesConnection: true,
    },
  );
}
