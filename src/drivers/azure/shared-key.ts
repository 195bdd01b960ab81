/**
 * Authorization by an account's key (https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key), in
 * the form of versions from 2015-02-21 on: an empty body has an empty length.
 */
import { createHash } from 'node:crypto';
import { HmacSha256 } from '../../transport/hmac-sha256.ts';
import type { Fields } from '../http/service-client.ts';

const HMAC_BLOCK_BYTES = 64;

/** The headers that are signed by place; `content-length` comes from the body. */
const PLACES = [
  'content-encoding',
  'content-language',
  'content-length',
  'content-md5',
  'content-type',
  'date',
  'if-modified-since',
  'if-match',
  'if-none-match',
  'if-unmodified-since',
  'range',
] as const;
const PLACES_OF: ReadonlyMap<string, number> = new Map(PLACES.map((name, at) => [name, at]));
const LENGTH_PLACE = PLACES.indexOf('content-length');
const NO_OTHERS = '\n'.repeat(PLACES.length - 1 - LENGTH_PLACE);
/** Blanks at an end or one after the other, or such as are no space. */
const UNFOLDED = /^\s|\s$|\s\s|[^\S ]/;

export interface SignedRequest {
  readonly method: string;
  /** Path of the URL as it is sent, encoded. */
  readonly path: string;
  /** Not encoded. */
  readonly query: Fields;
  /** Lower-case names, all that are sent of those that Azure signs; `x-ms-date` among them. */
  readonly headers: Fields;
  readonly bodyBytes: number;
}

export class SharedKeySigner {
  readonly #account: string;
  readonly #hmac: HmacSha256;

  /** @param accountKey in base64. */
  constructor(account: string, accountKey: string) {
    this.#account = account;
    const key = Buffer.from(accountKey, 'base64');
    // RFC 2104, section 2: a key that is longer than a block stands for its hash.
    const isLong = key.length > HMAC_BLOCK_BYTES;
    this.#hmac = new HmacSha256(isLong ? createHash('sha256').update(key).digest() : key);
  }

  /** The value of the `authorization` header. */
  authorize(request: SignedRequest): string {
    return `SharedKey ${this.#account}:${this.sign(stringToSign(this.#account, request))}`;
  }

  /** In base64. */
  sign(text: string): string {
    return this.#hmac.base64(text);
  }
}

/** Exported for tests. */
export function stringToSign(account: string, request: SignedRequest): string {
  const { method, headers, bodyBytes } = request;
  const length = bodyBytes > 0 ? String(bodyBytes) : '';
  let places: string[] | undefined;
  const own: (readonly [string, string])[] = [];
  for (const field of headers) {
    const [name, value] = field;
    if (name.startsWith('x-ms-')) own.push(field);
    const place = PLACES_OF.get(name);
    if (place === undefined) continue;
    places ??= PLACES.map(() => '');
    places[place] = value;
  }
  if (places && length !== '') places[LENGTH_PLACE] = length;
  // Most requests have no other of these headers.
  const placed = places ? places.join('\n') : `\n\n${length}${NO_OTHERS}`;
  return `${method}\n${placed}\n${canonicalHeaders(own)}${canonicalResource(account, request)}`;
}

/** @param own is sorted here, if it is not yet. */
function canonicalHeaders(own: (readonly [string, string])[]): string {
  let lines = '';
  let last = '';
  for (const [name, value] of own) {
    if (name < last) return canonicalHeaders(own.sort(byName));
    last = name;
    lines += `${name}:${folded(value)}\n`;
  }
  return lines;
}

/** Most have no blanks that would have to be looked for. */
function folded(value: string): string {
  return UNFOLDED.test(value) ? value.trim().replace(/\s+/g, ' ') : value;
}

/** Names in the order of their characters, which are all plain letters here; each query name is given once. */
function canonicalResource(account: string, { path, query }: SignedRequest): string {
  if (query.length === 0) return `/${account}${path}`;
  const values = query
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .toSorted(byName)
    .map(([name, value]) => `\n${name}:${value}`);
  return `/${account}${path}${values.join('')}`;
}

function byName([left]: readonly [string, string], [right]: readonly [string, string]): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
