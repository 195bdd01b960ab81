/**
 * AWS Signature Version 4 for S3, header form
 * (https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html). The signing key is derived once per
 * day and credentials, so a request costs one sha256 and one HMAC over a few hundred bytes.
 */
import { createHmac, hash } from 'node:crypto';

export interface SigningCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';
export const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

export interface SignInput {
  readonly method: string;
  /** The path as sent. */
  readonly path: string;
  /** The query as sent: names and values encoded, sorted by name; without `?`. */
  readonly query: string;
  readonly host: string;
  readonly payloadHash: string;
  /** Further headers to sign, lower-case names. */
  readonly headers: readonly (readonly [string, string])[];
}

export class Signer {
  readonly #region: string;
  #credentials: SigningCredentials;
  /** Server's clock less ours, in milliseconds; learnt from a `Date` header. */
  clockOffsetMs = 0;
  #second = 0;
  #timestamp = '';
  #keyDate = '';
  #key: Buffer = Buffer.alloc(0);

  constructor(region: string, credentials: SigningCredentials) {
    this.#region = region;
    this.#credentials = credentials;
  }

  get credentials(): SigningCredentials {
    return this.#credentials;
  }

  set credentials(credentials: SigningCredentials) {
    this.#credentials = credentials;
    this.#keyDate = '';
  }

  /** The header lines of the signed request, each ending in CRLF. */
  sign(input: SignInput): string {
    this.#updateClock();
    const { sessionToken } = this.#credentials;
    const signed: (readonly [string, string])[] = [
      ['host', input.host],
      ['x-amz-content-sha256', input.payloadHash],
      ['x-amz-date', this.#timestamp],
    ];
    if (input.headers.length > 0 || sessionToken !== undefined) {
      signed.push(...input.headers);
      if (sessionToken !== undefined) signed.push(['x-amz-security-token', sessionToken]);
      signed.sort((a, b) => (a[0] < b[0] ? -1 : 1));
    }
    let names = '';
    let canonicalHeaders = '';
    let lines = '';
    for (const [name, value] of signed) {
      names += names === '' ? name : `;${name}`;
      canonicalHeaders += `${name}:${value}\n`;
      lines += `${name}: ${value}\r\n`;
    }
    const canonical = `${input.method}\n${input.path}\n${input.query}\n${canonicalHeaders}\n${names}\n${input.payloadHash}`;
    const scope = `${this.#keyDate}/${this.#region}/s3/aws4_request`;
    const toSign = `AWS4-HMAC-SHA256\n${this.#timestamp}\n${scope}\n${hash('sha256', canonical, 'hex')}`;
    const signature = createHmac('sha256', this.#key).update(toSign).digest('hex');
    const credential = `${this.#credentials.accessKeyId}/${scope}`;
    return `${lines}authorization: AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${names}, Signature=${signature}\r\n`;
  }

  #updateClock(): void {
    const second = Math.floor((Date.now() + this.clockOffsetMs) / 1000);
    if (second !== this.#second || this.#keyDate === '') {
      this.#second = second;
      this.#timestamp = `${new Date(second * 1000).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`;
      const date = this.#timestamp.slice(0, 8);
      if (date !== this.#keyDate) {
        this.#keyDate = date;
        this.#key = signingKey(this.#credentials.secretAccessKey, date, this.#region);
      }
    }
  }
}

function signingKey(secret: string, date: string, region: string): Buffer {
  let key: Buffer = createHmac('sha256', `AWS4${secret}`).update(date).digest();
  for (const step of [region, 's3', 'aws4_request']) key = createHmac('sha256', key).update(step).digest();
  return key;
}

/** Percent-encodes as SigV4 wants it: everything but `A-Z a-z 0-9 - _ . ~`. */
export function encodeUri(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

const PLAIN_PATH = /^[A-Za-z0-9\-_.~/]*$/;

/** A key as a path: `/` stays, everything else is encoded once. */
export function encodePath(key: string): string {
  return PLAIN_PATH.test(key) ? key : encodeUri(key).replaceAll('%2F', '/');
}
