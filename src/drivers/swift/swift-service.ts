/** Swift as a service over HTTP: tokens, addresses, and what its statuses mean to a copy. */
import type { StorageError } from '../../core/errors.ts';
import type { HttpPool } from '../../transport/http-pool.ts';
import type { HttpResponse } from '../../transport/http-types.ts';
import { encodePath } from '../../transport/sigv4.ts';
import { type HttpCall, type Meaning, refusedError } from '../http/call.ts';
import { CredentialKeeper } from '../http/credential-keeper.ts';
import { openPoolTo, originOf, proxyTo } from '../http/endpoint.ts';
import { saidSafely } from '../http/said.ts';
import {
  fieldLines,
  type Prepared,
  queryText,
  type Service,
  type ServiceRequest,
} from '../http/service-client.ts';
import type { SwiftSpec } from '../spec.ts';
import { storageName } from '../spec-name.ts';
import { authenticate, type SwiftToken } from './swift-auth.ts';

const LOG_IN_MS_MAX = 120_000;
const SAID_BYTES_MAX = 4_096;

export class SwiftService implements Service<SwiftToken> {
  readonly name: string;
  readonly description = 'an OpenStack Swift service';
  readonly #spec: SwiftSpec;
  /** The registry's container, or one of its own for parts. */
  readonly #container: string;
  readonly #pools = new Map<string, HttpPool>();
  #keeper: CredentialKeeper<SwiftToken> | undefined;
  #login: Promise<SwiftToken> | undefined;

  constructor(spec: SwiftSpec) {
    this.name = storageName(spec);
    this.#spec = spec;
    this.#container = encodePath(spec.container).replaceAll('/', '%2F');
  }

  get secrets(): readonly string[] {
    const token = this.#keeper?.current.token;
    const { password } = this.#spec.access;
    return token === undefined ? [password] : [password, token];
  }

  prepare(request: ServiceRequest): Prepared<SwiftToken> | Promise<Prepared<SwiftToken>> {
    const keeper = this.#keeper;
    if (!keeper) return this.#firstToken().then((token) => this.#prepared(request, token));
    if (keeper.isDue) return keeper.renew().then(() => this.#prepared(request, keeper.current));
    return this.#prepared(request, keeper.current);
  }

  async renews({ status }: HttpResponse, by: SwiftToken): Promise<boolean> {
    return status === 401 && (await this.#keeper?.replace(by)) === true;
  }

  errorOf(call: HttpCall, response: HttpResponse): StorageError {
    const { status, headers } = response;
    const said = saidSafely(wordsIn(response), call.secrets);
    const reason = said === '' ? `status ${status}` : `${said} (status ${status})`;
    return refusedError(call, { status, headers, code: '', reason }, meaningOf(call, response, said));
  }

  isOwnAnswer({ headers }: HttpResponse): boolean {
    return headers.has('x-trans-id') || headers.has('x-openstack-request-id');
  }

  close(): void {
    for (const pool of this.#pools.values()) pool.close();
  }

  /** One log-in for all requests that wait for it. */
  async #firstToken(): Promise<SwiftToken> {
    const renew = (): Promise<SwiftToken> => authenticate(this.#spec, AbortSignal.timeout(LOG_IN_MS_MAX));
    this.#login ??= renew().finally(() => {
      this.#login = undefined;
    });
    const credentials = await this.#login;
    this.#keeper ??= new CredentialKeeper({
      backend: this.name,
      credentials,
      renew,
      isOther: (one, other) => one.token !== other.token,
      origin: 'username and password of the settings, and the identity service at authurl',
    });
    return this.#keeper.current;
  }

  #prepared(request: ServiceRequest, by: SwiftToken): Prepared<SwiftToken> {
    const url = new URL(by.storageUrl);
    const origin = originOf(url);
    let pool = this.#pools.get(url.origin);
    if (!pool) {
      pool = openPoolTo(origin, this.#spec);
      this.#pools.set(url.origin, pool);
    }
    const headers = fieldLines(request.headers);
    return {
      pool,
      origin,
      proxy: proxyTo(origin, this.#spec),
      target: `${url.pathname}/${this.#container}${request.path}${queryText(request.query)}`,
      headerLines: `host: ${url.host}\r\nuser-agent: blobferry\r\nx-auth-token: ${by.token}\r\n${headers}`,
      by,
    };
  }
}

/** Swift refuses in a little HTML: the words of its paragraph say more than its heading. */
function wordsIn(response: HttpResponse): string {
  const text = response.body.toString('utf8', 0, SAID_BYTES_MAX);
  const paragraph = /<p>([\s\S]*?)<\/p>/i.exec(text)?.[1] ?? text;
  return paragraph.replace(/<[^>]*>/g, ' ');
}

const CHECK_READING =
  'Give this user read access to the container (X-Container-Read with .rlistings, or a role in the project)';
const CHECK_WRITING =
  'Give this user write access to the container (X-Container-Write, or a role in the project)';
/** As they stand in messages; everything else writes. */
const READING: readonly string[] = ['list', 'stat', 'read'];
const CHECK_LOGIN = 'Check username and password, and that this user may use the project';

/** https://docs.openstack.org/api-ref/object-store/ lists the statuses; quotas answer 413 (container_quotas). */
function meaningOf(call: HttpCall, { status, headers }: HttpResponse, said: string): Meaning {
  if (status === 401) return { kind: 'denied', scope: 'backend', hint: CHECK_LOGIN };
  if (status === 403) {
    return { kind: 'denied', hint: READING.includes(call.operation) ? CHECK_READING : CHECK_WRITING };
  }
  if (status === 404) return call.key === undefined ? ofNoContainer(headers) : { kind: 'not-found' };
  if (status === 408) return { kind: 'timeout', isTransient: true };
  // Two writers of one name at the same moment: the next attempt has a later time.
  if (status === 409) return { kind: 'unavailable', isTransient: true };
  if (status === 412) return { kind: 'precondition' };
  if (status === 413 && /quota/i.test(said)) {
    return { kind: 'no-space', scope: 'backend', hint: 'Raise the quota of the target, then run again' };
  }
  if (status === 416) return { kind: 'range' };
  // The bytes that arrived are not those of the ETag that was sent.
  if (status === 422) return { kind: 'corrupt', isTransient: true };
  // 498 is Swift's own (its middleware "ratelimit"); some providers say 413 with a time to wait.
  if (status === 429 || status === 498 || (status === 413 && headers.has('retry-after'))) return THROTTLED;
  if (status === 501 || status === 413) return { kind: 'unsupported' };
  if (status === 503 && headers.has('retry-after')) return THROTTLED;
  if (status === 507) {
    return { kind: 'no-space', scope: 'backend', hint: 'Free space on the target, then run again' };
  }
  if (status >= 500) return { kind: 'unavailable', isTransient: true };
  return { kind: 'unexpected' };
}

/** The service gives a number to everything that it answers; a page of whoever stands there instead has none. */
function ofNoContainer(headers: HttpResponse['headers']): Meaning {
  const isOwn = headers.has('x-trans-id') || headers.has('x-openstack-request-id');
  const hint = isOwn
    ? 'Create the container or correct its name: blobferry creates no containers'
    : 'Check that authurl, or the address in the catalog, is that of an OpenStack Swift service';
  return { kind: 'not-found', scope: 'backend', hint };
}

const THROTTLED: Meaning = {
  kind: 'throttled',
  isTransient: true,
  hint: 'The server asks for fewer requests: run again later, or with --requests',
};
