/**
 * AWS Signature Version 4 for S3, header form
 * (https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html). The signing key is derived once per
 * day and credentials, so a request costs one sha256 and one HMAC over a few hundred bytes.
 */
import { createHmac, hash } from 'node:crypto';
import { HmacSha256 } from './hmac-sha256.ts';

export interface SigningCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';
export const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

type Header = readonly [name: string, value: string];

export interface SignInput {
  readonly method: string;
  /** The path as sent. */
  readonly path: string;
  /** The query as sent: names and values encoded, sorted by name; without `?`. */
  readonly query: string;
  readonly host: string;
  readonly payloadHash: string;
  /** Further headers to sign, lower-case names. */
  readonly headers: readonly Header[];
  /** More of them, in an array that is the same one for many requests and never changes. */
  readonly fixedHeaders?: readonly Header[] | undefined;
}

/** Everything of a signed head that stays the same within a second, with gaps for what does not. */
interface Template {
  /** By identity: whoever sends many requests keeps one array for them. */
  readonly fixed: readonly Header[] | undefined;
  readonly names: readonly string[];
  /** Which value goes into each gap: an index of `headers`, or -1 for the payload's hash. */
  readonly gaps: readonly number[];
  /** One more than there are gaps. */
  readonly canonical: readonly string[];
  readonly lines: readonly string[];
}

/** A process sends requests of fewer shapes than this. */
const TEMPLATES_MAX = 16;

export class Signer {
  readonly #region: string;
  #credentials: SigningCredentials;
  /** Server's clock less ours, in milliseconds; learnt from a `Date` header. */
  clockOffsetMs = 0;
  #second = 0;
  #timestamp = '';
  #keyDate = '';
  #key = new HmacSha256(Buffer.alloc(0));
  /** What is signed in front of the canonical request's hash. */
  #prologue = '';
  #host = '';
  #templates: Template[] = [];

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
    if (input.host !== this.#host) {
      this.#host = input.host;
      this.#templates = [];
    }
    const template = this.#templateFor(input);
    const canonicalHeaders = filled(template.canonical, template.gaps, input);
    const canonical = `${input.method}\n${input.path}\n${input.query}\n${canonicalHeaders}${input.payloadHash}`;
    const signature = this.#key.hex(this.#prologue + hash('sha256', canonical, 'hex'));
    return `${filled(template.lines, template.gaps, input)}${signature}\r\n`;
  }

  #templateFor(input: SignInput): Template {
    for (const template of this.#templates) if (isFor(template, input)) return template;
    if (this.#templates.length >= TEMPLATES_MAX) this.#templates = [];
    const template = this.#newTemplate(input);
    this.#templates.push(template);
    return template;
  }

  #newTemplate({ host, headers, fixedHeaders }: SignInput): Template {
    const { sessionToken, accessKeyId } = this.#credentials;
    const all: { readonly name: string; readonly value: string; readonly gap?: number }[] = [
      { name: 'host', value: host },
      { name: 'x-amz-content-sha256', value: '', gap: -1 },
      { name: 'x-amz-date', value: this.#timestamp },
      ...(fixedHeaders ?? []).map(([name, value]) => ({ name, value })),
      ...headers.map(([name], gap) => ({ name, value: '', gap })),
      ...(sessionToken === undefined ? [] : [{ name: 'x-amz-security-token', value: sessionToken }]),
    ];
    all.sort((a, b) => (a.name < b.name ? -1 : 1));
    const canonical = [''];
    const lines = [''];
    const gaps: number[] = [];
    const last = (texts: string[], text: string): void => {
      texts[texts.length - 1] += text;
    };
    for (const { name, value, gap } of all) {
      last(canonical, `${name}:${value}`);
      last(lines, `${name}: ${value}`);
      if (gap !== undefined) {
        gaps.push(gap);
        canonical.push('');
        lines.push('');
      }
      last(canonical, '\n');
      last(lines, '\r\n');
    }
    const signed = all.map(({ name }) => name).join(';');
    last(canonical, `\n${signed}\n`);
    const credential = `${accessKeyId}/${this.#scope}`;
    last(
      lines,
      `authorization: AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${signed}, Signature=`,
    );
    return { fixed: fixedHeaders, names: headers.map(([name]) => name), gaps, canonical, lines };
  }

  get #scope(): string {
    return `${this.#keyDate}/${this.#region}/s3/aws4_request`;
  }

  #updateClock(): void {
    const second = Math.floor((Date.now() + this.clockOffsetMs) / 1000);
    if (second === this.#second && this.#keyDate !== '') return;
    this.#second = second;
    this.#timestamp = timestampOf(second * 1000);
    const date = this.#timestamp.slice(0, 8);
    if (date !== this.#keyDate) {
      this.#keyDate = date;
      this.#key = new HmacSha256(signingKey(this.#credentials.secretAccessKey, date, this.#region));
    }
    this.#prologue = `AWS4-HMAC-SHA256\n${this.#timestamp}\n${this.#scope}\n`;
    this.#templates = [];
  }
}

function isFor({ fixed, names }: Template, { fixedHeaders, headers }: SignInput): boolean {
  if (fixed !== fixedHeaders || names.length !== headers.length) return false;
  for (const [at, name] of names.entries()) if (name !== headers[at]?.[0]) return false;
  return true;
}

function filled(texts: readonly string[], gaps: readonly number[], input: SignInput): string {
  let text = texts[0] ?? '';
  for (let at = 0; at < gaps.length; at += 1) {
    const gap = gaps[at] ?? -1;
    text += (gap < 0 ? input.payloadHash : (input.headers[gap]?.[1] ?? '')) + (texts[at + 1] ?? '');
  }
  return text;
}

function signingKey(secret: string, date: string, region: string): Buffer {
  let key: Buffer = createHmac('sha256', `AWS4${secret}`).update(date).digest();
  for (const step of [region, 's3', 'aws4_request']) key = createHmac('sha256', key).update(step).digest();
  return key;
}

export interface PresignInput {
  readonly region: string;
  readonly credentials: SigningCredentials;
  readonly host: string;
  /** The path as sent. */
  readonly path: string;
  /** At most a week. */
  readonly expiresSeconds: number;
  /** By the server's clock. */
  readonly nowMs: number;
}

/**
 * Query of a GET that anybody may make until it expires, without `?`
 * (https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html). Headers beside `host` are not signed, so
 * whoever makes it may ask for a range or set a condition.
 */
export function presignedQuery(input: PresignInput): string {
  const { region, credentials, host, path, expiresSeconds, nowMs } = input;
  const timestamp = timestampOf(nowMs);
  const date = timestamp.slice(0, 8);
  const scope = `${date}/${region}/s3/aws4_request`;
  const { accessKeyId, secretAccessKey, sessionToken } = credentials;
  const fields: Header[] = [
    ['X-Amz-Algorithm', 'AWS4-HMAC-SHA256'],
    ['X-Amz-Credential', `${accessKeyId}/${scope}`],
    ['X-Amz-Date', timestamp],
    ['X-Amz-Expires', String(expiresSeconds)],
    ...(sessionToken === undefined ? [] : [['X-Amz-Security-Token', sessionToken] as const]),
    ['X-Amz-SignedHeaders', 'host'],
  ];
  const query = fields.map(([name, value]) => `${name}=${encodeUri(value)}`).join('&');
  const canonical = `GET\n${path}\n${query}\nhost:${host}\n\nhost\n${UNSIGNED_PAYLOAD}`;
  const text = `AWS4-HMAC-SHA256\n${timestamp}\n${scope}\n${hash('sha256', canonical, 'hex')}`;
  const key = signingKey(secretAccessKey, date, region);
  return `${query}&X-Amz-Signature=${createHmac('sha256', key).update(text).digest('hex')}`;
}

function timestampOf(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`;
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
