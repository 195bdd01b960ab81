/** Cloud Storage as a service over HTTP: where its two APIs are, and the token that both take. */
import type { StorageError } from '../../core/errors.ts';
import type { HttpPool } from '../../transport/http-pool.ts';
import type { HttpResponse, Origin } from '../../transport/http-types.ts';
import type { HttpProxy } from '../../transport/proxy.ts';
import type { AccessToken, TokenSource } from '../access-token.ts';
import type { HttpCall } from '../http/call.ts';
import { CredentialKeeper } from '../http/credential-keeper.ts';
import { openPoolTo, originOf, proxyTo } from '../http/endpoint.ts';
import {
  fieldLines,
  type Prepared,
  queryText,
  type Service,
  type ServiceRequest,
} from '../http/service-client.ts';
import { demandSafeAddress } from '../http/token-address.ts';
import type { GcsSpec } from '../spec.ts';
import { storageName } from '../spec-name.ts';
import { originOfTokens, secretsOf } from './gcs-auth.ts';
import { errorOfGcs } from './gcs-errors.ts';

const GCS_ENDPOINT = 'https://storage.googleapis.com';

/** What both APIs share: connections and the token. */
export class GcsSession {
  readonly name: string;
  readonly pool: HttpPool;
  readonly origin: Origin;
  readonly proxy: HttpProxy | undefined;
  /** The Host field. */
  readonly host: string;
  /** Path of the endpoint itself. */
  readonly base: string;
  readonly #spec: GcsSpec;
  readonly #source: TokenSource;
  #keeper: CredentialKeeper<AccessToken> | undefined;
  #first: Promise<AccessToken> | undefined;

  constructor(spec: GcsSpec, source: TokenSource) {
    const url = new URL(spec.endpoint ?? GCS_ENDPOINT);
    this.name = storageName(spec);
    demandSafeAddress(this.name, url.href);
    this.origin = originOf(url);
    this.host = url.host;
    this.base = url.pathname.replace(/\/+$/, '');
    this.pool = openPoolTo(this.origin, spec);
    this.proxy = proxyTo(this.origin, spec);
    this.#spec = spec;
    this.#source = source;
  }

  get secrets(): readonly string[] {
    const token = this.#keeper?.current.token;
    const secrets = secretsOf(this.#spec.access);
    return token === undefined ? secrets : [...secrets, token];
  }

  /** Asynchronous only while one is being got. */
  token(): AccessToken | Promise<AccessToken> {
    const keeper = this.#keeper;
    if (!keeper) return this.#firstToken();
    return keeper.isDue ? keeper.renew().then(() => keeper.current) : keeper.current;
  }

  async renews({ status }: HttpResponse, by: AccessToken): Promise<boolean> {
    return status === 401 && (await this.#keeper?.replace(by)) === true;
  }

  /** One log-in for all requests that wait for it. */
  async #firstToken(): Promise<AccessToken> {
    this.#first ??= this.#source().finally(() => {
      this.#first = undefined;
    });
    const credentials = await this.#first;
    this.#keeper ??= new CredentialKeeper({
      backend: this.name,
      credentials,
      renew: this.#source,
      isOther: (one, other) => one.token !== other.token,
      origin: originOfTokens(this.#spec.access),
    });
    return this.#keeper.current;
  }
}

/** One API: the paths of its requests begin with the bucket, as that API writes it. */
export class GcsService implements Service<AccessToken> {
  readonly description = 'Google Cloud Storage';
  readonly #session: GcsSession;
  readonly #path: string;

  constructor(session: GcsSession, path: string) {
    this.#session = session;
    this.#path = session.base + path;
  }

  get name(): string {
    return this.#session.name;
  }

  get secrets(): readonly string[] {
    return this.#session.secrets;
  }

  prepare(request: ServiceRequest): Prepared<AccessToken> | Promise<Prepared<AccessToken>> {
    const token = this.#session.token();
    if (token instanceof Promise) return token.then((got) => this.#prepared(request, got));
    return this.#prepared(request, token);
  }

  renews(response: HttpResponse, by: AccessToken): Promise<boolean> {
    return this.#session.renews(response, by);
  }

  errorOf(call: HttpCall, response: HttpResponse): StorageError {
    return errorOfGcs(call, response);
  }

  isOwnAnswer({ headers }: HttpResponse): boolean {
    return headers.has('x-guploader-uploadid');
  }

  close(): void {
    this.#session.pool.close();
  }

  #prepared(request: ServiceRequest, by: AccessToken): Prepared<AccessToken> {
    const { pool, origin, proxy, host } = this.#session;
    const fixed = `host: ${host}\r\nuser-agent: blobferry\r\nauthorization: Bearer ${by.token}\r\n`;
    return {
      pool,
      origin,
      proxy,
      target: `${this.#path}${request.path}${queryText(request.query)}`,
      headerLines: fixed + fieldLines(request.headers),
      by,
    };
  }
}
