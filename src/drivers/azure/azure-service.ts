/** Azure Blob Storage as a service over HTTP: what authorizes a request, and what refusals mean. */
import type { StorageError } from '../../core/errors.ts';
import type { HttpPool } from '../../transport/http-pool.ts';
import type { HttpResponse, Origin } from '../../transport/http-types.ts';
import type { HttpProxy } from '../../transport/proxy.ts';
import { encodePath } from '../../transport/sigv4.ts';
import type { AccessToken, TokenSource } from '../access-token.ts';
import type { CallContext, CopyAddress } from '../driver.ts';
import type { HttpCall } from '../http/call.ts';
import { CredentialKeeper } from '../http/credential-keeper.ts';
import { openPoolTo, originOf, proxyTo } from '../http/endpoint.ts';
import {
  type Fields,
  fieldLines,
  type Prepared,
  queryText,
  type Service,
  type ServiceRequest,
} from '../http/service-client.ts';
import { demandSafeAddress } from '../http/token-address.ts';
import { orAborted } from '../or-aborted.ts';
import type { AzureAccess, AzureSpec } from '../spec.ts';
import { storageName } from '../spec-name.ts';
import { blobSas } from './azure-blob-sas.ts';
import { azureErrorOf } from './azure-errors.ts';
import { demandSas, readSas, type Sas, toldOfSas } from './azure-sas.ts';
import { entraTokens } from './azure-token.ts';
import { SharedKeySigner } from './shared-key.ts';

/** Knows blocks of 4,000 MiB, CRC64, names that XML cannot hold, and what a hierarchical account is. */
const API_VERSION = '2021-12-02';
/** A request that needs a newer one brings its own. */
const VERSION = 'x-ms-version';
const OWN_VERSION = [VERSION, API_VERSION] as const;
/** Azure takes signatures that are 15 minutes old or young. */
const SKEW_MS_MIN = 5 * 60_000;
/** Of a signature that is given to a service for one copy. */
const ADDRESS_MS = 3_600_000;

/** What a request was authorized with. */
export interface AzureCredentials {
  readonly token?: AccessToken;
  /** How far the server's clock was taken to be ahead. */
  readonly clockOffsetMs: number;
}

export interface AzureServiceOptions {
  /** Default: Azure's own library. */
  readonly tokens?: TokenSource | undefined;
  /** Told, once, of what was dealt with and should be mended. */
  readonly onNotice?: ((sentence: string) => void) | undefined;
}

export class AzureService implements Service<AzureCredentials> {
  readonly name: string;
  readonly description = 'an Azure Blob Storage service';
  readonly #spec: AzureSpec;
  readonly #pool: HttpPool;
  readonly #origin: Origin;
  readonly #proxy: HttpProxy | undefined;
  readonly #host: string;
  /** Of the container, encoded. */
  readonly #path: string;
  readonly #signer: SharedKeySigner | undefined;
  readonly #sas: Sas | undefined;
  readonly #tokens: TokenSource | undefined;
  readonly #onNotice: (sentence: string) => void;
  #keeper: CredentialKeeper<AccessToken> | undefined;
  #login: Promise<AccessToken> | undefined;
  #clockOffsetMs = 0;
  #date = { second: Number.NaN, text: '' };

  constructor(spec: AzureSpec, options: AzureServiceOptions = {}) {
    const { access } = spec;
    const url = new URL(spec.endpoint);
    this.name = storageName(spec);
    this.#spec = spec;
    this.#origin = originOf(url);
    this.#pool = openPoolTo(this.#origin, spec);
    this.#proxy = proxyTo(this.#origin, spec);
    this.#host = url.host;
    this.#path = `${url.pathname.replace(/\/+$/, '')}/${encodeURIComponent(spec.container)}`;
    this.#onNotice = options.onNotice ?? (() => undefined);
    if (access.type === 'sas') this.#sas = readSas(access.token);
    if (access.type === 'shared-key') this.#signer = new SharedKeySigner(spec.accountName, access.accountKey);
    if (access.type === 'client-secret' || access.type === 'default') {
      demandSafeAddress(this.name, spec.endpoint);
      this.#tokens = options.tokens ?? entraTokens(this.name, access);
    }
  }

  get secrets(): readonly string[] {
    const token = this.#keeper?.current.token;
    const own = secretsOf(this.#spec.access);
    return token === undefined ? own : [...own, token];
  }

  prepare(request: ServiceRequest): Prepared<AzureCredentials> | Promise<Prepared<AzureCredentials>> {
    if (this.#tokens === undefined) return this.#prepared(request, undefined);
    const keeper = this.#keeper;
    if (!keeper) return this.#firstToken(this.#tokens).then((token) => this.#prepared(request, token));
    if (keeper.isDue) return keeper.renew().then(() => this.#prepared(request, keeper.current));
    return this.#prepared(request, keeper.current);
  }

  async renews(response: HttpResponse, by: AzureCredentials): Promise<boolean> {
    if (by.token !== undefined)
      return isAboutWho(response) && (await this.#keeper?.replace(by.token)) === true;
    return this.#signer !== undefined && response.status === 403 && this.#setsClock(response, by);
  }

  /** Where anybody may read this blob for an hour, or as long as the credentials are good. */
  async addressOf({ signal }: CallContext, key: string): Promise<CopyAddress> {
    signal.throwIfAborted();
    const { access, endpoint, container } = this.#spec;
    const url = `${endpoint}/${encodeURIComponent(container)}/${encodePath(key)}`;
    if (access.type === 'sas') return { url: `${url}?${access.token}` };
    if (this.#signer) {
      const expiresAtMs = Date.now() + this.#clockOffsetMs + ADDRESS_MS;
      return { url: url + blobSas(this.#spec, this.#signer, key, expiresAtMs) };
    }
    const token = await orAborted(this.#currentToken(), signal);
    return { url, authorization: `Bearer ${token}` };
  }

  async #currentToken(): Promise<string> {
    if (this.#keeper?.isDue) await this.#keeper.renew();
    if (this.#keeper) return this.#keeper.current.token;
    if (this.#tokens) return (await this.#firstToken(this.#tokens)).token;
    throw new Error('Nothing authorizes the requests of this storage');
  }

  errorOf(call: HttpCall, response: HttpResponse): StorageError {
    return toldOfSas(azureErrorOf(call, response, this.#spec.access.type), response, this.#sas);
  }

  /** @throws StorageError where the signature itself says that it does not permit what it is to be used for. */
  checkSas(role: 'source' | 'target'): void {
    if (this.#sas !== undefined) demandSas(this.name, this.#sas, role, this.#onNotice);
  }

  isOwnAnswer({ headers }: HttpResponse): boolean {
    return headers.has('x-ms-request-id');
  }

  close(): void {
    this.#pool.close();
  }

  /** A signature that was refused because of this machine's clock is made anew by the server's. */
  #setsClock({ headers }: HttpResponse, by: AzureCredentials): boolean {
    const code = headers.get('x-ms-error-code');
    if (code !== 'AuthenticationFailed' && code !== undefined) return false;
    if (by.clockOffsetMs !== this.#clockOffsetMs) return true;
    const offsetMs = Date.parse(headers.get('date') ?? '') - Date.now();
    if (!(Math.abs(offsetMs - this.#clockOffsetMs) >= SKEW_MS_MIN)) return false;
    this.#clockOffsetMs = offsetMs;
    const minutes = Math.round(Math.abs(offsetMs) / 60_000);
    const way = offsetMs > 0 ? 'behind' : 'ahead of';
    this.#onNotice(
      `The clock of this machine is ${minutes} minutes ${way} that of ${this.name}: requests are signed by the server’s; set the one that is wrong`,
    );
    return true;
  }

  /** One log-in for all requests that wait for it. */
  async #firstToken(renew: TokenSource): Promise<AccessToken> {
    this.#login ??= renew().finally(() => {
      this.#login = undefined;
    });
    const credentials = await this.#login;
    this.#keeper ??= new CredentialKeeper({
      backend: this.name,
      credentials,
      renew,
      isOther: (one, other) => one.token !== other.token,
      origin: 'Microsoft Entra ID, by the credentials of the settings',
    });
    return this.#keeper.current;
  }

  #prepared(request: ServiceRequest, token: AccessToken | undefined): Prepared<AzureCredentials> {
    const { method, query = [], bodyBytes = 0 } = request;
    const { access } = this.#spec;
    const path = this.#path + request.path;
    const own = request.headers ?? [];
    const isOtherVersion = own.some(([name]) => name === VERSION);
    // In the order in which they are signed, where the request's are.
    const headers: Fields = isOtherVersion
      ? [['x-ms-date', this.#now()], ...own]
      : [...own, ['x-ms-date', this.#now()], OWN_VERSION];
    const authorization =
      token === undefined
        ? this.#signer?.authorize({ method, path, query, headers, bodyBytes })
        : `Bearer ${token.token}`;
    let target = path + queryText(query);
    if (access.type === 'sas') target += `${query.length === 0 ? '?' : '&'}${access.token}`;
    const authorized = authorization === undefined ? '' : `authorization: ${authorization}\r\n`;
    return {
      pool: this.#pool,
      origin: this.#origin,
      proxy: this.#proxy,
      target,
      headerLines: `host: ${this.#host}\r\nuser-agent: blobferry\r\n${authorized}${fieldLines(headers)}`,
      by: { clockOffsetMs: this.#clockOffsetMs, ...(token === undefined ? {} : { token }) },
    };
  }

  /** As RFC 9110 writes it, which has no fractions of a second. */
  #now(): string {
    const ms = Date.now() + this.#clockOffsetMs;
    const second = Math.floor(ms / 1_000);
    if (second !== this.#date.second) this.#date = { second, text: new Date(ms).toUTCString() };
    return this.#date.text;
  }
}

/** A token that has ended: 401 from the service itself, 403 with this code from Azurite. */
function isAboutWho({ status, headers }: HttpResponse): boolean {
  return status === 401 || (status === 403 && headers.get('x-ms-error-code') === 'AuthenticationFailed');
}

/** What no message may repeat of what the settings hold. */
export function secretsOf(access: AzureAccess): readonly string[] {
  switch (access.type) {
    case 'shared-key':
      return [access.accountKey];
    case 'sas':
      return sasSecrets(access.token);
    case 'client-secret':
      return [access.secret];
    case 'default':
      return [];
  }
}

/** The whole of it, and the signature as it is before and after it is encoded. */
function sasSecrets(token: string): readonly string[] {
  const signature = new URLSearchParams(token).get('sig');
  return signature === null || signature === '' ? [token] : [token, signature];
}
