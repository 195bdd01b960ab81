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
    return Buffer.from(this.#hmac.hex(text), 'hex').toString('base64');
  }
}

/** Exported for tests. */
export function stringToSign(account: string, request: SignedRequest): string {
  const { method, headers, bodyBytes } = request;
  const given = new Map(headers);
  if (bodyBytes > 0) given.set('content-length', String(bodyBytes));
  const places = PLACES.map((name) => given.get(name) ?? '').join('\n');
  return `${method}\n${places}\n${canonicalHeaders(headers)}${canonicalResource(account, request)}`;
}

function canonicalHeaders(headers: Fields): string {
  return headers
    .filter(([name]) => name.startsWith('x-ms-'))
    .toSorted(byName)
    .map(([name, value]) => `${name}:${value.trim().replace(/\s+/g, ' ')}\n`)
    .join('');
}

/** Names in the order of their characters, which are all plain letters here; each query name is given once. */
function canonicalResource(account: string, { path, query }: SignedRequest): string {
  const values = query
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .toSorted(byName)
    .map(([name, value]) => `\n${name}:${value}`);
  return `/${account}${path}${values.join('')}`;
}

function byName([left]: readonly [string, string], [right]: readonly [string, string]): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
