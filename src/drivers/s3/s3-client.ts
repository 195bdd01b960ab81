/** Signs and sends one S3 request over the direct engine, and turns what comes back into answers or StorageErrors. */
import { readFileSync } from 'node:fs';
import { getCACertificates } from 'node:tls';
import { StorageError } from '../../core/errors.ts';
import { HttpPool } from '../../transport/http-pool.ts';
import type { HttpResponse, Origin } from '../../transport/http-types.ts';
import { EMPTY_SHA256, encodePath, encodeUri, Signer } from '../../transport/sigv4.ts';
import type { CallContext } from '../driver.ts';
import type { S3Credentials, S3Spec } from '../spec.ts';
import { errorOfResponse, type S3Call } from './s3-errors.ts';
import { errorOfWire } from './s3-wire-errors.ts';

const HEAD_TIMEOUT_MS = 60_000;
/** Listings of 1,000 keys of 1,024 bytes, percent-encoded, stay below this. */
const COLLECT_BYTES_MAX = 16 * 1024 * 1024;
/** Credentials are renewed this long before they expire. */
const RENEW_MS = 5 * 60_000;
/** While they are still good, who gives them is not asked more often than this. */
const RENEW_AGAIN_MS = 30_000;
/** Servers allow 15 minutes, some less. */
const SKEW_MS = 5 * 60_000;

export type CredentialSource = () => Promise<S3Credentials>;

export interface S3Request {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** What the request does, for messages: `read`, `write`, `list`. */
  readonly operation: string;
  /** Undefined for requests on the bucket. */
  readonly key?: string;
  readonly query?: readonly (readonly [string, string])[];
  /** Lower-case names; all are signed. */
  readonly headers?: readonly (readonly [string, string])[];
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  readonly bodyBytes?: number;
  readonly payloadHash?: string;
  readonly into?: Uint8Array;
  readonly headTimeoutMs?: number;
  readonly isFresh?: boolean;
  /** Statuses besides 2xx that the caller wants to see. */
  readonly accepts?: readonly number[];
}

const NO_HEADERS: readonly (readonly [string, string])[] = [];

export class S3Client {
  readonly name: string;
  readonly #pool: HttpPool;
  readonly #signer: Signer;
  readonly #host: string;
  readonly #pathPrefix: string;
  readonly #renew: CredentialSource | undefined;
  readonly #userAgent: string;
  #expiresAtMs: number;
  #renewFromMs: number;
  #renewal: Promise<void> | undefined;

  constructor(spec: S3Spec, options: { name: string; credentials: S3Credentials; renew?: CredentialSource }) {
    const { origin, host, pathPrefix } = addressOf(spec);
    this.name = options.name;
    this.#host = host;
    this.#pathPrefix = pathPrefix;
    const ca = extraCertificates(origin);
    this.#pool = new HttpPool(origin, { verifies: !spec.skipsTlsVerify, ...(ca ? { ca } : {}) });
    this.#signer = new Signer(spec.region, options.credentials);
    this.#expiresAtMs = options.credentials.expiresAtMs ?? Number.POSITIVE_INFINITY;
    this.#renewFromMs = this.#expiresAtMs - RENEW_MS;
    this.#renew = options.renew;
    this.#userAgent = `user-agent: ${spec.userAgent ?? 'blobferry'}\r\n`;
  }

  /** Sends once (twice where the server only minds our clock) and returns a 2xx or accepted answer. */
  async send(ctx: CallContext, request: S3Request): Promise<HttpResponse> {
    if (Date.now() > this.#renewFromMs) await this.#renewCredentials();
    const call: S3Call = {
      backend: this.name,
      operation: request.operation,
      ...(request.key === undefined ? {} : { key: request.key }),
    };
    const { clockOffsetMs } = this.#signer;
    const response = await this.#exchange(ctx, request, call);
    if (isAccepted(request, response)) return response;
    const error = errorOfResponse(call, response);
    const leastMs = leastSkewOf(request, error);
    if (leastMs === undefined || !this.#learnsClock(response, clockOffsetMs, leastMs)) throw error;
    if (isStream(request.body)) {
      // Its pieces are gone; whoever owns the retries opens the body again.
      throw new StorageError(
        error.message,
        { ...error.details, isTransient: true, scope: 'object' },
        { cause: error },
      );
    }
    const second = await this.#exchange(ctx, request, call);
    if (isAccepted(request, second)) return second;
    throw errorOfResponse(call, second);
  }

  close(): void {
    this.#pool.close();
  }

  /** How far the server's clock is ahead, where it was found to matter; milliseconds. */
  get clockOffsetMs(): number {
    return this.#signer.clockOffsetMs;
  }

  async #exchange(ctx: CallContext, request: S3Request, call: S3Call): Promise<HttpResponse> {
    const path =
      request.key === undefined ? this.#pathPrefix || '/' : `${this.#pathPrefix}/${encodePath(request.key)}`;
    const query = canonicalQuery(request.query);
    const headerLines = this.#signer.sign({
      method: request.method,
      path,
      query,
      host: this.#host,
      payloadHash: request.payloadHash ?? EMPTY_SHA256,
      headers: request.headers ?? NO_HEADERS,
    });
    try {
      return await this.#pool.request({
        method: request.method,
        target: query === '' ? path : `${path}?${query}`,
        headerLines: headerLines + this.#userAgent,
        bodyBytes: request.bodyBytes ?? 0,
        collectBytesMax: COLLECT_BYTES_MAX,
        headTimeoutMs: request.headTimeoutMs ?? HEAD_TIMEOUT_MS,
        signal: ctx.signal,
        ...(request.body === undefined ? {} : { body: request.body }),
        ...(request.into === undefined ? {} : { into: request.into }),
        ...(request.isFresh ? { isFresh: true } : {}),
      });
    } catch (error) {
      throw errorOfWire(call, error);
    }
  }

  /** @param signedWithMs the offset that the refused request was signed with; others may have learnt meanwhile. */
  #learnsClock(response: HttpResponse, signedWithMs: number, leastMs: number): boolean {
    const offsetMs = Date.parse(response.headers.get('date') ?? '') - Date.now();
    if (!(Math.abs(offsetMs - signedWithMs) > leastMs)) return false;
    this.#signer.clockOffsetMs = offsetMs;
    return true;
  }

  #renewCredentials(): Promise<void> {
    const renew = this.#renew;
    if (!renew) return Promise.resolve();
    this.#renewal ??= this.#renewOnce(renew).finally(() => {
      this.#renewal = undefined;
    });
    return this.#renewal;
  }

  async #renewOnce(renew: CredentialSource): Promise<void> {
    try {
      const credentials = await renew();
      this.#signer.credentials = credentials;
      this.#expiresAtMs = credentials.expiresAtMs ?? Number.POSITIVE_INFINITY;
    } catch (error) {
      // Whoever gives credentials may be away for a while: those at hand are good for minutes yet.
      if (Date.now() >= this.#expiresAtMs) throw error;
    }
    const fromMs = Math.max(this.#expiresAtMs - RENEW_MS, Date.now() + RENEW_AGAIN_MS);
    this.#renewFromMs = Math.min(fromMs, this.#expiresAtMs);
  }
}

/** From which difference between the clocks on a refusal is its fault; undefined where it never is. */
function leastSkewOf(request: S3Request, error: StorageError): number | undefined {
  if (error.details.backendCode === 'RequestTimeTooSkewed') return 1_000;
  // The answer to HEAD has no body, and so no code: a wrong clock looks like a missing permission.
  return request.method === 'HEAD' && error.details.status === 403 ? SKEW_MS : undefined;
}

function isAccepted(request: S3Request, response: HttpResponse): boolean {
  return (
    (response.status >= 200 && response.status < 300) || (request.accepts?.includes(response.status) ?? false)
  );
}

function isStream(body: S3Request['body']): boolean {
  return body !== undefined && !(body instanceof Uint8Array);
}

function canonicalQuery(query: S3Request['query']): string {
  if (!query || query.length === 0) return '';
  const pairs = query.map(([name, value]) => [encodeUri(name), encodeUri(value)] as const);
  pairs.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
  return pairs.map(([name, value]) => `${name}=${value}`).join('&');
}

function addressOf(spec: S3Spec): { origin: Origin; host: string; pathPrefix: string } {
  const url = new URL(spec.endpoint ?? `https://s3.${spec.region}.amazonaws.com`);
  const isTls = url.protocol === 'https:';
  const hostname = spec.isPathStyle ? url.hostname : `${spec.bucket}.${url.hostname}`;
  const bare = hostname.replace(/^\[|\]$/g, '');
  const port = url.port === '' ? (isTls ? 443 : 80) : Number(url.port);
  const base = url.pathname.replace(/\/+$/, '');
  return {
    origin: { isTls, host: bare, port },
    host: url.port === '' ? hostname : `${hostname}:${url.port}`,
    pathPrefix: spec.isPathStyle ? `${base}/${encodePath(spec.bucket)}` : base,
  };
}

/** AWS_CA_BUNDLE adds to what Node trusts, as the AWS tools understand it; NODE_EXTRA_CA_CERTS Node adds by itself. */
function extraCertificates(origin: Origin): readonly string[] | undefined {
  const file = process.env['AWS_CA_BUNDLE'];
  if (!origin.isTls || !file) return undefined;
  return [...getCACertificates('default'), readFileSync(file, 'utf8')];
}
