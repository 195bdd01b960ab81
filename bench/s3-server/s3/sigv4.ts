/** AWS Signature Version 4 as the service checks it: strictly, over the bytes that came. */
import { createHmac, hash } from 'node:crypto';
import type { RequestHead } from '../http/request-head.ts';
import { isAscii, percentDecode, percentEncode } from '../http/uri.ts';
import { S3Error } from './s3-error.ts';

export interface Credential {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Temporary credentials: requests must bring this token. */
  readonly sessionToken?: string;
  /** Epoch milliseconds; later requests are refused with ExpiredToken. */
  readonly expiresAtMs?: number;
}

export interface AuthenticatorOptions {
  readonly credentials: readonly Credential[];
  /** The only region that signatures may name; undefined: any, as Ceph has it. */
  readonly region: string | undefined;
  /** Content-Type need not be signed. */
  readonly unsignedContentType?: boolean;
  readonly now: () => number;
}

/** What signed chunks and trailers are checked with. */
export interface ChunkSigning {
  readonly key: HmacKey;
  readonly amzDate: string;
  readonly scope: string;
  readonly seedSignature: string;
}

export interface Authentication {
  /** The value of `x-amz-content-sha256`, as signed. */
  readonly payloadHash: string;
  readonly signing: ChunkSigning;
}

/** Name and value pairs in the order they came, decoded. */
export type Query = readonly (readonly [string, string])[];

export const ALGORITHM = 'AWS4-HMAC-SHA256';
const SKEW_MS_MAX = 15 * 60 * 1000;
const PRESIGNED_SECONDS_MAX = 7 * 24 * 60 * 60;

interface SignatureInput {
  readonly accessKeyId: string;
  /** yyyymmdd */
  readonly day: string;
  readonly region: string;
  readonly amzDate: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  readonly isPresigned: boolean;
}

export class Authenticator {
  readonly #options: AuthenticatorOptions;
  /** Derived keys by secret, day and region; cleared when it grows, as days pass. */
  readonly #keys = new Map<string, HmacKey>();

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  authenticate(head: RequestHead, query: Query): Authentication {
    const input = readSignature(head, query);
    const credential = this.#credential(input, head, query);
    this.#checkRegion(input);
    this.#checkTime(input, query);
    const payloadHash = payloadHashOf(input, head);
    checkSignedHeaders(input, head, this.#options.unsignedContentType ?? false);
    const scope = `${input.day}/${input.region}/s3/aws4_request`;
    const canonical = canonicalRequest(head, query, input, payloadHash);
    const toSign = `${ALGORITHM}\n${input.amzDate}\n${scope}\n${sha256(canonical)}`;
    const key = this.#key(credential.secretAccessKey, input.day, input.region);
    const expected = key.sign(toSign).toString('hex');
    if (expected !== input.signature) {
      throw new S3Error(
        'SignatureDoesNotMatch',
        'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
        {
          fields: {
            AWSAccessKeyId: input.accessKeyId,
            StringToSign: toSign,
            SignatureProvided: input.signature,
            CanonicalRequest: canonical,
          },
        },
      );
    }
    return { payloadHash, signing: { key, amzDate: input.amzDate, scope, seedSignature: expected } };
  }

  #credential(input: SignatureInput, head: RequestHead, query: Query): Credential {
    const credential = this.#options.credentials.find((one) => one.accessKeyId === input.accessKeyId);
    if (!credential) {
      throw new S3Error('InvalidAccessKeyId', 'The AWS access key ID you provided does not exist', {
        fields: { AWSAccessKeyId: input.accessKeyId },
      });
    }
    const token = input.isPresigned
      ? find(query, 'X-Amz-Security-Token')
      : head.headers.get('x-amz-security-token');
    if (credential.sessionToken !== undefined && token !== credential.sessionToken) {
      throw new S3Error('InvalidToken', 'The provided token is malformed or otherwise invalid');
    }
    if (credential.expiresAtMs !== undefined && this.#options.now() >= credential.expiresAtMs) {
      throw new S3Error('ExpiredToken', 'The provided token has expired');
    }
    return credential;
  }

  #checkRegion(input: SignatureInput): void {
    const { region } = this.#options;
    if (region === undefined || region === input.region) return;
    throw new S3Error(
      'AuthorizationHeaderMalformed',
      `The authorization header is malformed; the region '${input.region}' is wrong; expecting '${region}'`,
      { fields: { Region: region }, headers: [['x-amz-bucket-region', region]] },
    );
  }

  #checkTime(input: SignatureInput, query: Query): void {
    const now = this.#options.now();
    const at = parseAmzDate(input.amzDate);
    if (at === undefined || !input.amzDate.startsWith(input.day)) {
      throw new S3Error(
        'AccessDenied',
        'The date of the request is missing, malformed or not that of its credential',
      );
    }
    const skew = at - now;
    const isEarly = skew > SKEW_MS_MAX;
    if (input.isPresigned) {
      const seconds = Number(find(query, 'X-Amz-Expires'));
      if (isEarly || now > at + seconds * 1000) {
        throw new S3Error('AccessDenied', isEarly ? 'Request is not yet valid' : 'Request has expired', {
          fields: { ServerTime: new Date(now).toISOString() },
        });
      }
    } else if (isEarly || skew < -SKEW_MS_MAX) {
      throw new S3Error(
        'RequestTimeTooSkewed',
        'The difference between the request time and the current time is too large',
        {
          fields: {
            RequestTime: input.amzDate,
            ServerTime: new Date(now).toISOString(),
            MaxAllowedSkewMilliseconds: SKEW_MS_MAX,
          },
        },
      );
    }
  }

  #key(secret: string, day: string, region: string): HmacKey {
    const name = `${day}/${region}/${secret}`;
    let key = this.#keys.get(name);
    if (!key) {
      if (this.#keys.size > 100) this.#keys.clear();
      const ofSecret = createHmac('sha256', `AWS4${secret}`).update(day, 'latin1').digest();
      key = [region, 's3', 'aws4_request'].reduce(
        (outer, name) => new HmacKey(outer.sign(name)),
        new HmacKey(ofSecret),
      );
      this.#keys.set(name, key);
    }
    return key;
  }
}

function readSignature(head: RequestHead, query: Query): SignatureInput {
  const authorization = head.headers.get('authorization');
  const isPresigned = find(query, 'X-Amz-Algorithm') !== undefined;
  if (authorization !== undefined) {
    if (isPresigned) {
      throw new S3Error('InvalidArgument', 'Only one auth mechanism allowed: a header or the query');
    }
    return readAuthorization(authorization, head);
  }
  if (isPresigned) return readPresigned(query);
  throw new S3Error('AccessDenied', 'Access Denied: the request is not signed');
}

const SIGNATURE_DIGITS = 64;
const AUTHORIZATION_START =
  /^AWS4-HMAC-SHA256 +Credential=([^,\s]+)\/(\d{8})\/([^/,\s]+)\/s3\/aws4_request, *SignedHeaders=([a-z0-9\-._;]+), *Signature=$/;

function readAuthorization(authorization: string, head: RequestHead): SignatureInput {
  if (!authorization.startsWith(ALGORITHM)) {
    throw new S3Error(
      'InvalidRequest',
      'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.',
    );
  }
  const signature = authorization.slice(-SIGNATURE_DIGITS);
  const start = readAuthorizationStart(authorization.slice(0, -SIGNATURE_DIGITS));
  if (!start || !/^[0-9a-f]{64}$/.test(signature)) {
    throw new S3Error('AuthorizationHeaderMalformed', 'The authorization header is malformed');
  }
  const amzDate = head.headers.get('x-amz-date') ?? amzDateOf(head.headers.get('date'));
  return { ...start, amzDate, signature, isPresigned: false };
}

type AuthorizationStart = Pick<SignatureInput, 'accessKeyId' | 'day' | 'region' | 'signedHeaders'>;

/** All but the signature: the same in many requests of one client on one day. */
const starts = new Map<string, AuthorizationStart>();
const STARTS_MAX = 1000;

function readAuthorizationStart(text: string): AuthorizationStart | undefined {
  const known = starts.get(text);
  if (known) return known;
  const match = AUTHORIZATION_START.exec(text);
  if (!match) return undefined;
  const [, accessKeyId = '', day = '', region = '', signed = ''] = match;
  const start = { accessKeyId, day, region, signedHeaders: signed.split(';') };
  if (starts.size >= STARTS_MAX) starts.clear();
  starts.set(text, start);
  return start;
}

function readPresigned(query: Query): SignatureInput {
  const [, accessKeyId, day, region] =
    /^(.+)\/(\d{8})\/([^/]+)\/s3\/aws4_request$/.exec(find(query, 'X-Amz-Credential') ?? '') ?? [];
  const seconds = find(query, 'X-Amz-Expires') ?? '';
  const signed = find(query, 'X-Amz-SignedHeaders');
  const signature = find(query, 'X-Amz-Signature');
  const isComplete =
    accessKeyId !== undefined &&
    day !== undefined &&
    region !== undefined &&
    signed !== undefined &&
    signature !== undefined &&
    find(query, 'X-Amz-Algorithm') === ALGORITHM &&
    /^\d{1,6}$/.test(seconds) &&
    Number(seconds) <= PRESIGNED_SECONDS_MAX;
  if (!isComplete) {
    throw new S3Error(
      'AuthorizationQueryParametersError',
      'A query parameter of the signature is missing, malformed or too large',
    );
  }
  const amzDate = find(query, 'X-Amz-Date') ?? '';
  const signedHeaders = signed.split(';');
  return { accessKeyId, day, region, amzDate, signedHeaders, signature, isPresigned: true };
}

function payloadHashOf(input: SignatureInput, head: RequestHead): string {
  const declared = head.headers.get('x-amz-content-sha256');
  if (declared !== undefined) return declared;
  if (input.isPresigned) return 'UNSIGNED-PAYLOAD';
  throw new S3Error('InvalidRequest', 'Missing required header for this request: x-amz-content-sha256');
}

/** An unsigned field could have been changed on its way, so none that S3 acts on may be. */
function checkSignedHeaders(input: SignatureInput, head: RequestHead, unsignedContentType: boolean): void {
  const { signedHeaders } = input;
  const missing: string[] = signedHeaders.includes('host') ? [] : ['host'];
  for (const name of head.headers.keys()) {
    // A presigned URL cannot sign the hash of a body that it does not know.
    if (input.isPresigned && name === 'x-amz-content-sha256') continue;
    const mustBeSigned = name.startsWith('x-amz-') || (name === 'content-type' && !unsignedContentType);
    if (mustBeSigned && !signedHeaders.includes(name)) missing.push(name);
  }
  if (missing.length > 0) {
    throw new S3Error('AccessDenied', 'There were headers present in the request which were not signed', {
      fields: { HeadersNotSigned: missing.join(', ') },
    });
  }
}

function canonicalRequest(
  head: RequestHead,
  query: Query,
  input: SignatureInput,
  payloadHash: string,
): string {
  let headers = '';
  for (const name of input.signedHeaders) {
    headers += `${name}:${(head.headers.get(name) ?? '').replace(/ {2,}/g, ' ')}\n`;
  }
  const path = percentEncode(percentDecode(head.rawPath, false), true);
  const names = input.signedHeaders.join(';');
  return `${head.method}\n${path}\n${canonicalQuery(query)}\n${headers}\n${names}\n${payloadHash}`;
}

function canonicalQuery(query: Query): string {
  if (query.length === 0) return '';
  return query
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => `${percentEncode(name, false)}=${percentEncode(value, false)}`)
    .map((pair) => [pair.slice(0, pair.indexOf('=')), pair] as const)
    .sort(([a, pairA], [b, pairB]) => compare(a, b) || compare(pairA, pairB))
    .map(([, pair]) => pair)
    .join('&');
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

export function find(query: Query, name: string): string | undefined {
  return query.find(([one]) => one === name)?.[1];
}

function amzDateOf(date: string | undefined): string {
  const at = date === undefined ? Number.NaN : Date.parse(date);
  return Number.isNaN(at) ? '' : new Date(at).toISOString().replace(/[-:]|\.\d{3}/g, '');
}

const parsed = { text: '', ms: Number.NaN };

/** The requests of one second say the same. */
function parseAmzDate(amzDate: string): number | undefined {
  if (amzDate !== parsed.text) {
    const [, year, month, day, hour, minute, second] =
      /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(amzDate) ?? [];
    parsed.text = amzDate;
    parsed.ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  }
  return Number.isNaN(parsed.ms) ? undefined : parsed.ms;
}

/** Hex of the hash of a binary string's bytes. */
export function sha256(binary: string): string {
  return isAscii(binary)
    ? hash('sha256', binary, 'hex')
    : hash('sha256', Buffer.from(binary, 'latin1'), 'hex');
}

const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;

/**
 * HMAC-SHA-256 with one key for many messages. Two hashes in one call each take a third of the time that an Hmac object
 * does, and every request needs one.
 */
export class HmacKey {
  #inner: Buffer;
  readonly #outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES, 0x5c);

  /** @param key of at most 64 bytes. */
  constructor(key: Buffer) {
    this.#inner = Buffer.alloc(4 * 1024, 0x36);
    for (const [at, byte] of key.entries()) {
      this.#inner[at] = byte ^ 0x36;
      this.#outer[at] = byte ^ 0x5c;
    }
  }

  sign(binary: string): Buffer {
    const end = BLOCK_BYTES + binary.length;
    if (end > this.#inner.length) {
      const larger = Buffer.alloc(end * 2);
      this.#inner.copy(larger, 0, 0, BLOCK_BYTES);
      this.#inner = larger;
    }
    this.#inner.write(binary, BLOCK_BYTES, 'latin1');
    this.#outer.set(hash('sha256', this.#inner.subarray(0, end), 'buffer'), BLOCK_BYTES);
    return hash('sha256', this.#outer, 'buffer');
  }
}
