/** Signs and sends one S3 request over the direct engine, and turns what comes back into answers or StorageErrors. */
import { StorageError } from '../../core/errors.ts';
import type { HttpPool } from '../../transport/http-pool.ts';
import type { HttpResponse } from '../../transport/http-types.ts';
import { EMPTY_SHA256, encodePath, encodeUri, presignedQuery, Signer } from '../../transport/sigv4.ts';
import { refusalOf } from '../../transport/tunnel.ts';
import type { CallContext } from '../driver.ts';
import type { HttpCall } from '../http/call.ts';
import { errorOfWire } from '../http/wire-errors.ts';
import { orAborted } from '../or-aborted.ts';
import type { S3Credentials, S3Spec } from '../spec.ts';
import { addressOf, openPool, proxyOf, relocated, type S3Address } from './s3-address.ts';
import { errorOfResponse, textOfAnswer } from './s3-errors.ts';
import { type S3CredentialKeeper, type S3CredentialSource, s3Keeper } from './s3-keeper.ts';
import {
  clockNotice,
  isExpiry,
  leastSkewOf,
  movedError,
  movedNotice,
  regionIn,
  serverTimeOf,
} from './s3-refusals.ts';
import { secretsOf } from './s3-secrets.ts';

const HEAD_TIMEOUT_MS = 60_000;
/** Complete and copies may work for minutes on a large object, sending white space meanwhile or nothing at all. */
export const COMPLETE_TIMEOUT_MS = 10 * 60_000;
/** Listings of 1,000 keys of 1,024 bytes, percent-encoded, stay below this. */
export const COLLECT_BYTES_MAX = 16 * 1024 * 1024;

export interface S3Request {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** What the request does, for messages: `read`, `write`, `list`. */
  readonly operation: string;
  /** Undefined for requests on the bucket. */
  readonly key?: string;
  readonly query?: readonly (readonly [string, string])[];
  /** Lower-case names; all are signed. */
  readonly headers?: readonly (readonly [string, string])[];
  /** More of them, in an array that is the same one for many requests. */
  readonly fixedHeaders?: readonly (readonly [string, string])[];
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  readonly bodyBytes?: number;
  readonly payloadHash?: string;
  readonly into?: Uint8Array;
  readonly headTimeoutMs?: number;
  readonly isFresh?: boolean | undefined;
  /** Statuses besides 2xx that the caller wants to see. */
  readonly accepts?: readonly number[];
}

const NO_HEADERS: readonly (readonly [string, string])[] = [];

export interface S3ClientOptions {
  /** Display name of the storage. */
  readonly name: string;
  readonly credentials: S3Credentials;
  /** Asked for others shortly before credentials expire, and when the server says that they have. */
  readonly renew?: S3CredentialSource;
  /** Told, once, what the user should know although it was dealt with. */
  readonly onNotice?: ((sentence: string) => void) | undefined;
}

/** Where requests go; replaced when the bucket turns out to live in another region. */
interface Place extends S3Address {
  readonly spec: S3Spec;
  readonly pool: HttpPool;
  readonly signer: Signer;
}

/** What a request was sent with; others may have learnt better while it was under way. */
interface Sent {
  readonly place: Place;
  readonly credentials: S3Credentials;
  readonly clockOffsetMs: number;
}

/** What a refusal can be answered with, each once per request. */
type Remedy = 'clock' | 'credentials' | 'region';

export class S3Client {
  readonly name: string;
  readonly #keeper: S3CredentialKeeper;
  readonly #userAgent: string;
  readonly #onNotice: (sentence: string) => void;
  #place: Place;
  /** Pools of places that requests may still be under way to. */
  readonly #left: HttpPool[] = [];
  /** The region of the settings, where the bucket turned out to live in another one. */
  #movedFrom: string | undefined;

  constructor(spec: S3Spec, options: S3ClientOptions) {
    const { name, credentials, renew, onNotice } = options;
    this.name = name;
    this.#keeper = s3Keeper({ backend: name, credentials, ...(renew ? { renew } : {}) });
    this.#userAgent = `user-agent: ${spec.userAgent ?? 'blobferry'}\r\n`;
    this.#onNotice = onNotice ?? (() => undefined);
    this.#place = placeOf(spec, credentials);
  }

  /** Sends once (again where what the server minds can be mended) and returns a 2xx or accepted answer. */
  async send(ctx: CallContext, request: S3Request): Promise<HttpResponse> {
    // Whoever gives credentials may take a minute, which a run that is being stopped has not.
    if (this.#keeper.isDue) await orAborted(this.#keeper.renew(), ctx.signal);
    const place = this.#place;
    const { current: credentials } = this.#keeper;
    const { clockOffsetMs } = place.signer;
    let response: HttpResponse;
    try {
      response = await this.#exchange(ctx, request);
    } catch (error) {
      throw errorOfWire(this.#callOf(request), error);
    }
    if (isAccepted(request, response)) return response;
    const sent: Sent = { place, credentials, clockOffsetMs };
    return this.#afterRefusal(ctx, request, { response, sent });
  }

  /** URL of an object that anybody may read until it expires. A secret. */
  async presigned(ctx: CallContext, key: string, expiresSeconds: number): Promise<string> {
    if (this.#keeper.isDue) await orAborted(this.#keeper.renew(), ctx.signal);
    ctx.signal.throwIfAborted();
    const { pathPrefix, signer, host, origin, spec } = this.#place;
    const path = `${pathPrefix}/${encodePath(key)}`;
    const nowMs = Date.now() + signer.clockOffsetMs;
    const credentials = this.#keeper.current;
    const query = presignedQuery({ region: spec.region, credentials, host, path, expiresSeconds, nowMs });
    return `${origin.isTls ? 'https' : 'http'}://${host}${path}?${query}`;
  }

  close(): void {
    for (const pool of [this.#place.pool, ...this.#left]) pool.close();
  }

  /** What no message may repeat. */
  get secrets(): readonly string[] {
    return secretsOf(this.#keeper.current);
  }

  /** How far the server's clock is ahead, where it was found to matter; milliseconds. */
  get clockOffsetMs(): number {
    return this.#place.signer.clockOffsetMs;
  }

  #sent(): Sent {
    const place = this.#place;
    return { place, credentials: this.#keeper.current, clockOffsetMs: place.signer.clockOffsetMs };
  }

  #callOf({ operation, key }: S3Request): HttpCall {
    return { backend: this.name, operation, ...(key === undefined ? {} : { key }) };
  }

  async #afterRefusal(
    ctx: CallContext,
    request: S3Request,
    first: { readonly response: HttpResponse; readonly sent: Sent },
  ): Promise<HttpResponse> {
    const call = this.#callOf(request);
    const tried = new Set<Remedy>();
    let { response, sent } = first;
    for (;;) {
      const error = this.#errorOf(call, response, sent.place);
      const remedy = await orAborted(this.#mend(request, response, { error, sent, tried }), ctx.signal);
      if (remedy === undefined) throw error;
      if (isStream(request.body)) {
        // Its pieces are gone; whoever owns the retries opens the body again.
        const details = { ...error.details, isTransient: true, scope: 'object' } as const;
        throw new StorageError(error.message, details, { cause: error });
      }
      tried.add(remedy);
      sent = this.#sent();
      try {
        response = await this.#exchange(ctx, request);
      } catch (error) {
        throw errorOfWire(call, error);
      }
      if (isAccepted(request, response)) return response;
    }
  }

  /** A plain proxy's own refusal looks like an answer of the server; S3's carry its XML or its request id. */
  #errorOf(call: HttpCall, response: HttpResponse, { spec, origin }: Place): StorageError {
    const proxy = origin.isTls ? undefined : proxyOf(spec);
    const { status, headers } = response;
    const isS3 = headers.has('x-amz-request-id') || textOfAnswer(response).includes('<Error');
    // Others (404 above all) mean something to the caller, whoever says them.
    const isRefusal = [403, 502, 503, 504].includes(status) && !headers.has('retry-after');
    if (proxy && !isS3 && isRefusal) {
      const error = errorOfWire(call, refusalOf(proxy, origin, { status }));
      if (error instanceof StorageError) return error;
    }
    return errorOfResponse({ ...call, secrets: this.secrets }, response);
  }

  /** @returns what was mended, undefined where nothing could be. */
  async #mend(
    request: S3Request,
    response: HttpResponse,
    refusal: { readonly error: StorageError; readonly sent: Sent; readonly tried: ReadonlySet<Remedy> },
  ): Promise<Remedy | undefined> {
    const { error, sent, tried } = refusal;
    if (!tried.has('clock')) {
      const leastMs = leastSkewOf(request.method, error);
      if (leastMs !== undefined && this.#learnsClock(response, sent, leastMs)) return 'clock';
    }
    const region = regionIn(response);
    if (region !== undefined && this.#follows(region, { error, sent, tried })) return 'region';
    if (!tried.has('credentials') && isExpiry(request.method, error, sent.credentials)) {
      if (await this.#keeper.replace(sent.credentials)) return 'credentials';
    }
    return undefined;
  }

  #learnsClock(response: HttpResponse, sent: Sent, leastMs: number): boolean {
    const offsetMs = (serverTimeOf(response) ?? Number.NaN) - Date.now();
    if (!(Math.abs(offsetMs - sent.clockOffsetMs) > leastMs)) return false;
    this.#place.signer.clockOffsetMs = offsetMs;
    this.#onNotice(clockNotice(sent.place.spec, offsetMs));
    return true;
  }

  /** Once for as long as the bucket is used: a server that sends on and on is refused. */
  #follows(
    region: string,
    { error, sent, tried }: { error: StorageError; sent: Sent; tried: ReadonlySet<Remedy> },
  ): boolean {
    if (sent.place !== this.#place && !tried.has('region')) return true;
    const { spec, signer } = this.#place;
    if (region === spec.region) return false;
    if (this.#movedFrom !== undefined) throw movedError(error, [this.#movedFrom, spec.region, region]);
    this.#movedFrom = spec.region;
    this.#left.push(this.#place.pool);
    this.#place = placeOf(relocated(spec, region), this.#keeper.current);
    this.#place.signer.clockOffsetMs = signer.clockOffsetMs;
    this.#onNotice(movedNotice(spec, region));
    return true;
  }

  /** No promise of its own: each costs as much as signing does. */
  #exchange(ctx: CallContext, request: S3Request): Promise<HttpResponse> {
    const { pathPrefix, signer, host, pool } = this.#place;
    const path = request.key === undefined ? pathPrefix || '/' : `${pathPrefix}/${encodePath(request.key)}`;
    const query = canonicalQuery(request.query);
    const { current } = this.#keeper;
    if (signer.credentials !== current) signer.credentials = current;
    const headerLines = signer.sign({
      method: request.method,
      path,
      query,
      host,
      payloadHash: request.payloadHash ?? EMPTY_SHA256,
      headers: request.headers ?? NO_HEADERS,
      fixedHeaders: request.fixedHeaders,
    });
    return pool.request({
      method: request.method,
      target: query === '' ? path : `${path}?${query}`,
      headerLines: headerLines + this.#userAgent,
      bodyBytes: request.bodyBytes ?? 0,
      collectBytesMax: COLLECT_BYTES_MAX,
      headTimeoutMs: request.headTimeoutMs ?? HEAD_TIMEOUT_MS,
      signal: ctx.signal,
      body: request.body,
      into: request.into,
      isFresh: request.isFresh,
    });
  }
}

function placeOf(spec: S3Spec, credentials: S3Credentials): Place {
  return { ...addressOf(spec), spec, pool: openPool(spec), signer: new Signer(spec.region, credentials) };
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
