/**
 * A token and the address of the account: tempauth v1 (https://docs.openstack.org/swift/latest/overview_auth.html),
 * Keystone v2 and v3 (https://docs.openstack.org/api-ref/identity/).
 */
import { StorageError } from '../../core/errors.ts';
import type { HttpPool } from '../../transport/http-pool.ts';
import type { HttpResponse } from '../../transport/http-types.ts';
import { type HttpCall, type Meaning, malformed, refusedError } from '../http/call.ts';
import type { Perishable } from '../http/credential-keeper.ts';
import { openPoolTo, originOf } from '../http/endpoint.ts';
import { errorOfWire } from '../http/wire-errors.ts';
import type { SwiftAccess, SwiftSpec } from '../spec.ts';
import { storageName } from '../spec-name.ts';
import { endpointIn, type TokenAnswer, v2Request, v2Token, v3Request, v3Token } from './swift-keystone.ts';

export interface SwiftToken extends Perishable {
  readonly token: string;
  /** Address of the account, without a slash at its end. */
  readonly storageUrl: string;
}

const AUTH_TIMEOUT_MS = 60_000;
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
const AUTH_SERVICE = 'an identity service of OpenStack (Keystone v2 or v3, or tempauth v1)';

/** @throws StorageError of scope `backend`. */
export async function authenticate(spec: SwiftSpec, signal: AbortSignal): Promise<SwiftToken> {
  const { access } = spec;
  const call: HttpCall = {
    backend: storageName(spec),
    operation: 'log in to',
    secrets: [access.password],
    service: AUTH_SERVICE,
  };
  const pool = openPoolTo(originOf(new URL(access.authUrl)), spec);
  try {
    if (access.authVersion === 1) return await byTempauth(call, pool, access, signal);
    const response = await ask(call, pool, requestFor(access), signal);
    const answer = tokenIn(call, access, response);
    const storageUrl = endpointIn(answer.endpoints, access);
    if (storageUrl === undefined) throw noEndpoint(call, access, answer);
    return finished(call, { ...answer, storageUrl });
  } finally {
    pool.close();
  }
}

interface AuthRequest {
  /** What a 401 says, as a clause. */
  readonly whatIsRefused: string;
  readonly url: URL;
  readonly headers: string;
  readonly body?: Buffer;
}

async function ask(
  call: HttpCall,
  pool: HttpPool,
  { url, headers, body, whatIsRefused }: AuthRequest,
  signal: AbortSignal,
): Promise<HttpResponse> {
  let response: HttpResponse;
  try {
    response = await pool.request({
      method: body ? 'POST' : 'GET',
      target: `${url.pathname}${url.search}`,
      headerLines: `host: ${url.host}\r\nuser-agent: blobferry\r\naccept: application/json\r\n${headers}`,
      bodyBytes: body?.length ?? 0,
      ...(body ? { body } : {}),
      collectBytesMax: ANSWER_BYTES_MAX,
      headTimeoutMs: AUTH_TIMEOUT_MS,
      signal,
    });
  } catch (error) {
    throw errorOfWire(call, error);
  }
  if (response.status >= 200 && response.status < 300) return response;
  const { status, headers: said } = response;
  const reason = status === 401 ? `${whatIsRefused} (status 401)` : `status ${status}`;
  throw refusedError(call, { status, headers: said, code: '', reason }, meaningOfStatus(status));
}

const CHECK_USER =
  'Check username, password, tenant, and their domains, and that authurl and authversion belong together';

function meaningOfStatus(status: number): Meaning {
  if (status === 401 || status === 403) return { kind: 'denied', scope: 'backend', hint: CHECK_USER };
  if (status === 429)
    return {
      kind: 'throttled',
      isTransient: true,
      hint: 'The identity service asks for patience: run again later',
    };
  if (status >= 500)
    return {
      kind: 'unavailable',
      isTransient: true,
      hint: 'See that the identity service at authurl works, then run again',
    };
  const hint = 'Check authurl (such as https://host:5000/v3 or https://host/auth/v1.0) and authversion';
  return { kind: status === 404 ? 'not-found' : 'unexpected', scope: 'backend', hint };
}

async function byTempauth(
  call: HttpCall,
  pool: HttpPool,
  access: SwiftAccess,
  signal: AbortSignal,
): Promise<SwiftToken> {
  const user = access.tenant === undefined ? access.user : `${access.tenant}:${access.user}`;
  const headers = `x-auth-user: ${user}\r\nx-auth-key: ${access.password}\r\n`;
  const response = await ask(
    call,
    pool,
    { url: new URL(access.authUrl), headers, whatIsRefused: 'user or password are refused' },
    signal,
  );
  const token = response.headers.get('x-auth-token') ?? response.headers.get('x-storage-token');
  const storageUrl = response.headers.get('x-storage-url');
  if (token === undefined || storageUrl === undefined) throw malformed(call, 'no token came');
  const seconds = Number(response.headers.get('x-auth-token-expires'));
  const expiry = seconds > 0 ? { expiresAtMs: Date.now() + seconds * 1000 } : {};
  return finished(call, { token, storageUrl, ...expiry });
}

function requestFor(access: SwiftAccess): AuthRequest {
  const base = new URL(access.authUrl);
  const path = base.pathname.replace(/\/+$/, '');
  const [end, wanted] =
    access.authVersion === 2 ? ['/tokens', v2Request(access)] : ['/auth/tokens', v3Request(access)];
  base.pathname = `${path}${end}`;
  return {
    url: base,
    headers: 'content-type: application/json\r\n',
    whatIsRefused:
      'the log-in is refused, be it user, password, domain or project: Keystone does not tell which',
    body: Buffer.from(JSON.stringify(wanted)),
  };
}

function tokenIn(call: HttpCall, access: SwiftAccess, response: HttpResponse): TokenAnswer {
  try {
    const json: unknown = JSON.parse(response.body.toString('utf8'));
    return access.authVersion === 2 ? v2Token(json) : v3Token(json, response.headers.get('x-subject-token'));
  } catch (error) {
    // What the parser quotes of the answer could be the token.
    const why = error instanceof RangeError ? error.message : 'the answer is no JSON';
    throw malformed(call, why);
  }
}

function noEndpoint(
  call: HttpCall,
  { region, endpointType }: SwiftAccess,
  answer: TokenAnswer,
): StorageError {
  const there = answer.endpoints.map((one) => `${one.interface} in ${one.region ?? 'no region'}`);
  const known = there.length === 0 ? 'it names no object store at all' : `it has ${there.join(', ')}`;
  const asked = region === undefined ? '' : ` in region "${region}"`;
  return new StorageError(
    `Cannot ${call.operation} ${call.backend}: the catalog has no ${endpointType} address of an object store${asked} (${known})`,
    {
      kind: 'not-found',
      backend: call.backend,
      operation: call.operation,
      isTransient: false,
      scope: 'backend',
    },
    {
      hint:
        there.length === 0
          ? 'Check tenant, tenantid and their domain: a token without a project has no catalog, and a project may have no object store'
          : 'Check region and endpointtype',
    },
  );
}

/** A token becomes a header line, an address the target of every request. */
function finished(call: HttpCall, { token, storageUrl, expiresAtMs }: SwiftToken): SwiftToken {
  const url = URL.parse(storageUrl);
  if (!/^[!-~]+$/.test(token)) throw malformed(call, 'the token is none');
  if (!url || !/^https?:$/.test(url.protocol)) throw malformed(call, 'the address of the account is none');
  return {
    token,
    storageUrl: `${url.origin}${url.pathname}`.replace(/\/+$/, ''),
    ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
  };
}
