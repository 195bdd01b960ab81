/** A minimal SigV4 signer for tests, probes and measurements; apart from the product's and from the server's check. */
import { createHash, createHmac } from 'node:crypto';

export interface Signer {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
  readonly sessionToken?: string;
}

export const TEST_SIGNER: Signer = {
  accessKeyId: 'testkey',
  secretAccessKey: 'testsecret',
  region: 'us-east-1',
};

export interface RequestToSign {
  readonly method: string;
  /** `127.0.0.1:1234` */
  readonly host: string;
  /** Escaped, with query. */
  readonly target: string;
  /** Names in lower case; all of them are signed. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Value of x-amz-content-sha256. */
  readonly payloadHash: string;
  /** Epoch milliseconds; default: now. */
  readonly atMs?: number;
  /** Leaves x-amz-content-sha256 out, though the hash is part of the signature. */
  readonly hidesPayloadHash?: boolean;
}

export interface SignedRequest {
  /** What to send, `host` and `authorization` included. */
  readonly headers: Readonly<Record<string, string>>;
  readonly signature: string;
  readonly signingKey: Buffer;
  readonly amzDate: string;
  readonly scope: string;
}

export function sha256Hex(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

function hmac(key: Buffer | string, data: string): Buffer {
  return createHmac('sha256', key).update(data).digest();
}

function amzDateOf(ms: number): string {
  return new Date(ms).toISOString().replace(/[-:]|\.\d{3}/g, '');
}

const keys = new Map<string, Buffer>();

function signingKey(signer: Signer, day: string): Buffer {
  const name = `${signer.secretAccessKey}/${day}/${signer.region}`;
  let key = keys.get(name);
  if (!key) {
    key = hmac(hmac(hmac(hmac(`AWS4${signer.secretAccessKey}`, day), signer.region), 's3'), 'aws4_request');
    keys.set(name, key);
  }
  return key;
}

export function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function canonicalQuery(rawQuery: string): string {
  return [...new URLSearchParams(rawQuery)]
    .map(([name, value]) => [encode(name), encode(value)] as const)
    .sort(([a, one], [b, other]) => compare(a, b) || compare(one, other))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

export function signRequest(signer: Signer, request: RequestToSign): SignedRequest {
  const amzDate = amzDateOf(request.atMs ?? Date.now());
  const scope = `${amzDate.slice(0, 8)}/${signer.region}/s3/aws4_request`;
  const headers: Record<string, string> = {
    host: request.host,
    ...(request.hidesPayloadHash ? {} : { 'x-amz-content-sha256': request.payloadHash }),
    'x-amz-date': amzDate,
    ...(signer.sessionToken === undefined ? {} : { 'x-amz-security-token': signer.sessionToken }),
    ...request.headers,
  };
  const names = Object.keys(headers).sort();
  const question = request.target.indexOf('?');
  const path = question < 0 ? request.target : request.target.slice(0, question);
  const query = question < 0 ? '' : canonicalQuery(request.target.slice(question + 1));
  const lines = names.map((name) => `${name}:${headers[name]?.trim().replace(/ +/g, ' ')}\n`).join('');
  const canonical = `${request.method}\n${path}\n${query}\n${lines}\n${names.join(';')}\n${request.payloadHash}`;
  const key = signingKey(signer, amzDate.slice(0, 8));
  const signature = hmac(key, `AWS4-HMAC-SHA256\n${amzDate}\n${scope}\n${sha256Hex(canonical)}`).toString(
    'hex',
  );
  headers['authorization'] =
    `AWS4-HMAC-SHA256 Credential=${signer.accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
  return { headers, signature, signingKey: key, amzDate, scope };
}

/** A URL's target that carries its signature in the query. */
export function presign(
  signer: Signer,
  request: Omit<RequestToSign, 'payloadHash' | 'headers'> & { readonly expiresSeconds: number },
): string {
  const amzDate = amzDateOf(request.atMs ?? Date.now());
  const scope = `${amzDate.slice(0, 8)}/${signer.region}/s3/aws4_request`;
  const [path = '', rawQuery = ''] = request.target.split('?');
  const query = new URLSearchParams(rawQuery);
  query.set('X-Amz-Algorithm', 'AWS4-HMAC-SHA256');
  query.set('X-Amz-Credential', `${signer.accessKeyId}/${scope}`);
  query.set('X-Amz-Date', amzDate);
  query.set('X-Amz-Expires', String(request.expiresSeconds));
  query.set('X-Amz-SignedHeaders', 'host');
  const canonicalised = canonicalQuery(query.toString());
  const canonical = `${request.method}\n${path}\n${canonicalised}\nhost:${request.host}\n\nhost\nUNSIGNED-PAYLOAD`;
  const signature = hmac(
    signingKey(signer, amzDate.slice(0, 8)),
    `AWS4-HMAC-SHA256\n${amzDate}\n${scope}\n${sha256Hex(canonical)}`,
  ).toString('hex');
  return `${path}?${canonicalised}&X-Amz-Signature=${signature}`;
}
