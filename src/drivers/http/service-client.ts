/**
 * Sends the requests of a storage service over the direct engine, with what authorizes them, and turns what comes back
 * into answers or StorageErrors. What differs from service to service is in its `Service`.
 */
import { StorageError } from '../../core/errors.ts';
import type { HttpPool } from '../../transport/http-pool.ts';
import type { HttpResponse, Origin } from '../../transport/http-types.ts';
import type { HttpProxy } from '../../transport/proxy.ts';
import { refusalOf } from '../../transport/tunnel.ts';
import type { CallContext } from '../driver.ts';
import { type HttpCall, malformed, serviceOf } from './call.ts';
import { errorOfWire } from './wire-errors.ts';

const HEAD_TIMEOUT_MS = 60_000;
/** Listings stay below this. */
const COLLECT_BYTES_MAX = 16 * 1024 * 1024;

export type Fields = readonly (readonly [name: string, value: string])[];

export interface ServiceRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** What the request does, for messages: `read`, `write`, `list`. */
  readonly operation: string;
  /** Undefined for requests on the container. */
  readonly key?: string;
  /** What comes behind the container's own path, encoded: `/` and the key, or nothing. */
  readonly path: string;
  /** Not yet encoded. */
  readonly query?: Fields;
  /** Lower-case names. */
  readonly headers?: Fields;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  readonly bodyBytes?: number;
  readonly into?: Uint8Array;
  readonly headTimeoutMs?: number;
  readonly isFresh?: boolean;
  /** Statuses besides those of success that the caller wants to see. */
  readonly accepts?: readonly number[];
  /**
   * The only status of success, where nothing else in the answer would show that it was the service that gave it; default:
   * any 2xx. Whoever stands before a service may say 200 to everything.
   */
  readonly expects?: number;
  /** What no message may repeat, beside the secrets of the service itself. */
  readonly secrets?: readonly string[];
}

/** A request as it goes on the wire. `by`: the credentials it was made with. */
export interface Prepared<C> {
  readonly pool: HttpPool;
  readonly origin: Origin;
  readonly proxy: HttpProxy | undefined;
  readonly target: string;
  readonly headerLines: string;
  readonly by: C;
}

export interface Service<C> {
  /** Display name of the storage. */
  readonly name: string;
  /** What the endpoint should be, such as `an OpenStack Swift service`. */
  readonly description: string;
  /** What no message may repeat. */
  readonly secrets: readonly string[];
  /** Asynchronous only while credentials are being got. */
  prepare(request: ServiceRequest): Prepared<C> | Promise<Prepared<C>>;
  /** Was this refusal about credentials that have ended, and are there others now? */
  renews(response: HttpResponse, by: C): Promise<boolean>;
  errorOf(call: HttpCall, response: HttpResponse): StorageError;
  /** Does the answer carry a mark of the service itself, as opposed to a proxy or balancer before it? */
  isOwnAnswer(response: HttpResponse): boolean;
  close(): void;
}

const NO_FIELDS: Fields = [];
const NO_SECRETS: readonly string[] = [];

export class ServiceClient<C> {
  readonly #service: Service<C>;

  constructor(service: Service<C>) {
    this.#service = service;
  }

  get name(): string {
    return this.#service.name;
  }

  /** What errors say of a request. */
  call(operation: string, key?: string, more = NO_SECRETS): HttpCall {
    const { name, description, secrets } = this.#service;
    return {
      backend: name,
      operation,
      service: description,
      secrets: more.length === 0 ? secrets : [...secrets, ...more],
      ...(key === undefined ? {} : { key }),
    };
  }

  /** Sends once, again where the credentials had ended, and returns a 2xx or accepted answer. */
  async send(ctx: CallContext, request: ServiceRequest): Promise<HttpResponse> {
    ctx.signal.throwIfAborted();
    const call = this.call(request.operation, request.key, request.secrets);
    const preparing = this.#service.prepare(request);
    const prepared = preparing instanceof Promise ? await preparing : preparing;
    const response = await this.#exchange(ctx, request, call, prepared);
    if (isAccepted(call, request, response)) return response;
    const error = this.#errorOf(call, response, prepared);
    if (!(await this.#service.renews(response, prepared.by))) throw error;
    if (isStream(request.body)) {
      // Its pieces are gone; whoever owns the retries opens the body again.
      const details = { ...error.details, isTransient: true, scope: 'object' } as const;
      throw new StorageError(error.message, details, { cause: error });
    }
    const again = await this.#service.prepare(request);
    const second = await this.#exchange(ctx, request, call, again);
    if (isAccepted(call, request, second)) return second;
    throw this.#errorOf(call, second, again);
  }

  close(): void {
    this.#service.close();
  }

  /** A plain proxy's own refusal looks like an answer of the server. */
  #errorOf(call: HttpCall, response: HttpResponse, { origin, proxy }: Prepared<C>): StorageError {
    const { status, headers } = response;
    const isRefusal = [403, 502, 503, 504].includes(status) && !headers.has('retry-after');
    if (proxy && !origin.isTls && isRefusal && !this.#service.isOwnAnswer(response)) {
      const error = errorOfWire(call, refusalOf(proxy, origin, { status }));
      if (error instanceof StorageError) return error;
    }
    return this.#service.errorOf(call, response);
  }

  async #exchange(
    ctx: CallContext,
    request: ServiceRequest,
    call: HttpCall,
    { pool, target, headerLines }: Prepared<C>,
  ): Promise<HttpResponse> {
    try {
      return await pool.request({
        method: request.method,
        target,
        headerLines,
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
}

/** `name: value` lines, each with its line end. */
export function fieldLines(fields: Fields = NO_FIELDS): string {
  let lines = '';
  for (const [name, value] of fields) lines += `${name}: ${value}\r\n`;
  return lines;
}

/** `?name=value&…`, or nothing. */
export function queryText(query: Fields = NO_FIELDS): string {
  if (query.length === 0) return '';
  return `?${query.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&')}`;
}

/** @throws StorageError of kind `corrupt` for a success that the service does not know. */
function isAccepted(call: HttpCall, request: ServiceRequest, { status }: HttpResponse): boolean {
  if (status === request.expects || request.accepts?.includes(status)) return true;
  if (status < 200 || status >= 300) return false;
  if (request.expects === undefined) return true;
  throw malformed(call, `status ${status} came, where ${serviceOf(call)} says ${request.expects}`);
}

function isStream(body: ServiceRequest['body']): boolean {
  return body !== undefined && !(body instanceof Uint8Array);
}
