/**
 * Access tokens (https://cloud.google.com/docs/authentication), by Google's own library: of a service account or a user
 * from the settings, or from where Google's tools look. The library is loaded only here, and asked for a new token each
 * time: keeping and renewing is the credential keeper's.
 */
import { createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Agent } from 'node:http';
import type { AuthClient } from 'google-auth-library';
import { isStorageError, StorageError } from '../../core/errors.ts';
import { AgedHttpAgent, RoutedHttpsAgent } from '../../transport/routed-agent.ts';
import { codeOf } from '../../transport/wire-errors.ts';
import type { AccessToken, TokenSource } from '../access-token.ts';
import type { Meaning } from '../http/call.ts';
import { trustedCertificatesFor } from '../http/endpoint.ts';
import { saidSafely } from '../http/said.ts';
import { orAborted } from '../or-aborted.ts';
import type { GcsAccess, GcsSpec } from '../spec.ts';
import { storageName } from '../spec-name.ts';

/** For tests: what carries the library's requests. */
export type Fetch = typeof fetch;

type Credentials = Readonly<Record<string, string>>;

const LOG_IN_MS_MAX = 120_000;
const READ_WRITE = 'https://www.googleapis.com/auth/devstorage.read_write';
/** What writing ACLs takes. */
const FULL_CONTROL = 'https://www.googleapis.com/auth/devstorage.full_control';
const OPERATION = 'get a token for';

/** @returns a function that rejects with a StorageError, of scope `backend` where asking again would not help. */
export function tokenSourceFor(spec: GcsSpec, fetchImplementation?: Fetch): TokenSource {
  let transport: Transport | undefined;
  return async () => {
    let secrets = secretsOf(spec.access);
    try {
      const access = await resolvedAccess(spec.access);
      secrets = secretsOf(access);
      transport ??= transportOf(spec, fetchImplementation);
      const asking = askFor(access, scopeOf(spec), transport);
      return await orAborted(asking, AbortSignal.timeout(LOG_IN_MS_MAX));
    } catch (error) {
      throw isStorageError(error) ? error : failure(spec, error, secrets);
    }
  };
}

/** What no message may repeat. */
export function secretsOf(access: GcsAccess): readonly string[] {
  if (access.kind !== 'credentials') return [];
  const {
    private_key: key,
    private_key_id: id,
    client_secret: secret,
    refresh_token: refresh,
  } = access.credentials;
  return [key, id, secret, refresh].filter((one) => one !== undefined && one !== '') as readonly string[];
}

/** Where tokens come from, for whoever has to mend it. */
export function originOfTokens({ kind }: GcsAccess): string {
  if (kind === 'default')
    return 'GOOGLE_APPLICATION_CREDENTIALS, gcloud, or the service account of this machine';
  return kind === 'keyfile' ? 'the parameter keyfile' : 'the parameter credentials';
}

function scopeOf({ predefinedAcl }: GcsSpec): string {
  return predefinedAcl === undefined ? READ_WRITE : FULL_CONTROL;
}

async function resolvedAccess(access: GcsAccess): Promise<GcsAccess> {
  if (access.kind !== 'keyfile') return access;
  const text = await readFile(access.path, 'utf8');
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    // What a parser quotes of the file may be the key.
    throw new RangeError('the file is no JSON');
  }
  if (typeof parsed !== 'object' || parsed === null) throw new RangeError('the file holds no credentials');
  const texts = Object.entries(parsed).filter(([, value]) => typeof value === 'string');
  return { kind: 'credentials', credentials: Object.fromEntries(texts) };
}

interface Transport {
  readonly agent: (url: URL) => Agent;
  /** Whoever asks for tokens asks again by itself. */
  readonly retryConfig: { readonly retry: 0; readonly noResponseRetries: 0 };
  readonly fetchImplementation?: Fetch;
}

/** `skipverify` is said of the storage, not of who gives out tokens. */
function transportOf(spec: GcsSpec, fetchImplementation: Fetch | undefined): Transport {
  const reached = { skipsTlsVerify: false, ...(spec.network ? { network: spec.network } : {}) };
  const ca = trustedCertificatesFor({ isTls: true, host: 'oauth2.googleapis.com', port: 443 }, reached);
  const tls = { verifies: true, ...(ca ? { ca } : {}) };
  const https = new RoutedHttpsAgent({ tls, proxies: spec.network?.proxies });
  const http = new AgedHttpAgent();
  return {
    agent: ({ protocol }) => (protocol === 'https:' ? https : http),
    retryConfig: { retry: 0, noResponseRetries: 0 },
    ...(fetchImplementation ? { fetchImplementation } : {}),
  };
}

async function askFor(access: GcsAccess, scope: string, transporterOptions: Transport): Promise<AccessToken> {
  const client = await clientFor(access, scope, transporterOptions);
  const { token } = await client.getAccessToken();
  // It becomes a header line.
  if (typeof token !== 'string' || !/^[!-~]+$/.test(token)) throw new RangeError('no token came');
  const { expiry_date: expiresAtMs } = client.credentials;
  return typeof expiresAtMs === 'number' ? { token, expiresAtMs } : { token };
}

async function clientFor(
  access: GcsAccess,
  scope: string,
  transporterOptions: Transport,
): Promise<AuthClient> {
  const { GoogleAuth, JWT, UserRefreshClient } = await import('google-auth-library');
  if (access.kind !== 'credentials') {
    // The library would ask other services which project this is; no request for objects says it.
    const projectId = 'not-asked-for';
    return new GoogleAuth({ projectId, scopes: [scope], clientOptions: { transporterOptions } }).getClient();
  }
  const given = access.credentials;
  const type = given['type'] ?? 'service_account';
  if (type === 'service_account') {
    return new JWT({
      email: field(given, 'client_email'),
      key: privateKeyIn(given),
      ...(given['private_key_id'] === undefined ? {} : { keyId: given['private_key_id'] }),
      scopes: [scope],
      transporterOptions,
    });
  }
  if (type === 'authorized_user') {
    return new UserRefreshClient({
      clientId: field(given, 'client_id'),
      clientSecret: field(given, 'client_secret'),
      refreshToken: field(given, 'refresh_token'),
      transporterOptions,
    });
  }
  // Others name addresses to be asked, which Google warns of taking from just anywhere.
  throw new RangeError(
    'the credentials are neither of a service account nor of a user; others are taken from GOOGLE_APPLICATION_CREDENTIALS',
  );
}

function field(given: Credentials, name: string): string {
  const value = given[name];
  if (value === undefined || value === '') throw new RangeError(`the credentials lack "${name}"`);
  return value;
}

/** What OpenSSL says of a text that is no key names neither the key nor what is wrong with it. */
function privateKeyIn(given: Credentials): string {
  const key = field(given, 'private_key');
  try {
    createPrivateKey(key);
  } catch {
    throw new RangeError('the "private_key" of the credentials is no private key in PEM');
  }
  return key;
}

interface Refusal {
  readonly code: string;
  readonly words: string;
  readonly status: number | undefined;
}

/** An OAuth 2 refusal (RFC 6749 section 5.2), in whatever the library throws. */
function refusalIn(error: unknown): Refusal {
  // The library reads the file itself, and what the parser quotes of it may be the key.
  if (error instanceof SyntaxError)
    return { code: '', words: 'the file of the credentials is no JSON', status: undefined };
  const { message = String(error), response } = error as {
    readonly message?: string;
    readonly response?: { readonly status?: number; readonly data?: unknown };
  };
  const data = (typeof response?.data === 'object' ? response.data : undefined) as
    | { readonly error?: unknown; readonly error_description?: unknown }
    | null
    | undefined;
  const code = typeof data?.error === 'string' ? data.error : '';
  const words = typeof data?.error_description === 'string' ? data.error_description : message;
  return { code, words, status: response?.status };
}

function failure(spec: GcsSpec, cause: unknown, secrets: readonly string[]): StorageError {
  const backend = storageName(spec);
  const refusal = refusalIn(cause);
  const meaning = meaningOf(refusal, cause, spec.access);
  const said = [refusal.code, saidSafely(refusal.words, secrets)].filter(Boolean).join(': ');
  return new StorageError(
    `Cannot ${OPERATION} ${backend}: ${said}`,
    {
      kind: meaning.kind,
      backend,
      operation: OPERATION,
      isTransient: meaning.isTransient ?? false,
      scope: meaning.scope ?? 'object',
      ...(refusal.code === '' ? {} : { backendCode: refusal.code }),
      ...(refusal.status === undefined ? {} : { status: refusal.status }),
    },
    { hint: meaning.hint },
  );
}

const AWAY: Meaning = {
  kind: 'unavailable',
  isTransient: true,
  hint: 'Check that this machine reaches oauth2.googleapis.com; behind a proxy set HTTPS_PROXY',
};

function meaningOf({ code, words, status }: Refusal, cause: unknown, access: GcsAccess): Meaning {
  const denied = (hint: string): Meaning => ({ kind: 'denied', scope: 'backend', hint });
  if (code === 'invalid_grant') {
    return /\biat\b|\bexp\b|timeframe|expired.*assertion/i.test(words)
      ? denied('Set the clock of this machine (NTP): Google takes tokens that were signed within the hour')
      : denied('The key was deleted or the account is gone: make a new key, or log in again');
  }
  if (status === 429) return { kind: 'throttled', isTransient: true };
  if (status !== undefined && status >= 500) return AWAY;
  const errno = codeOf(cause) ?? '';
  if (/^E(?:NOENT|ACCES|PERM|ISDIR|NOTDIR)$/.test(errno)) {
    return access.kind === 'keyfile'
      ? denied('Check the parameter keyfile: a JSON file of a service account, that can be read here')
      : denied(
          'Check GOOGLE_APPLICATION_CREDENTIALS, and the files that it names: they must be readable here',
        );
  }
  if (
    status === undefined &&
    /^(?:E(?!RR_)[A-Z_]+|UND_ERR_\w+|CERT_\w+|SELF_SIGNED\w*|UNABLE_\w+)$/.test(errno)
  )
    return AWAY;
  return denied(`Check where tokens come from: ${originOfTokens(access)}`);
}
