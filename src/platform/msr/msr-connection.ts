/**
 * The HTTP API of one MSR (`https://<msr>/api/v0/…`): JSON in and out, basic authentication with a password or an access
 * token. Every call is bounded in time and in size, nothing is retried, and no redirect is followed. Each call has a
 * connection of its own: a change must not be lost on one that the server has closed meanwhile.
 */
import { getCACertificates } from 'node:tls';
import type { z } from 'zod';
import { ConfigError } from '../../core/errors.ts';
import { originOf } from '../../drivers/http/endpoint.ts';
import { withoutSecrets } from '../../drivers/http/said.ts';
import { HttpPool } from '../../transport/http-pool.ts';
import type { HttpResponse } from '../../transport/http-types.ts';
import { type ProxySettings, proxyFor } from '../../transport/proxy.ts';
import { readCertificates } from './certificates.ts';
import { MsrError } from './msr-error.ts';
import { errorOfAnswer, errorOfWire, type MsrCall } from './msr-refusals.ts';

export interface MsrAccess {
  /** `https://host[:port]`; `http://` only where `isInsecure`. */
  readonly url: string;
  readonly username: string;
  /** Password or access token. */
  readonly secret: string;
  /** PEM of authorities to trust besides those that Node trusts. */
  readonly ca?: string;
  /** The server's certificate is not checked. */
  readonly isInsecure?: boolean;
  readonly proxies?: ProxySettings;
  /** How long one call may take at most; default 30 s. */
  readonly callMsMax?: number;
}

export interface MsrRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** What the call does, for messages: `read the settings`. */
  readonly operation: string;
  /** Encoded. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number>>;
  readonly json?: unknown;
  /** Statuses besides 2xx that the caller wants to see. */
  readonly accepts?: readonly number[];
  /** Default: the credentials in Basic; `none` for what anybody may ask. */
  readonly authorization?: 'none' | { readonly bearer: string };
  /** How large the answer may be; default 4 MiB. */
  readonly bytesMax?: number;
}

export interface MsrAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
  /** @throws MsrError naming the field that is not as expected. */
  read<S extends z.ZodType>(schema: S): z.output<S>;
}

const CALL_MS_MAX = 30_000;
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;

export class MsrConnection {
  /** `https://host`, for messages. */
  readonly name: string;
  readonly #access: MsrAccess;
  readonly #pool: HttpPool;
  readonly #host: string;
  readonly #secrets = new Set<string>();

  /** @throws ConfigError where the address or the credentials cannot be used. */
  constructor(access: MsrAccess) {
    const url = addressOf(access);
    const origin = originOf(url);
    this.name = url.origin;
    this.#host = url.host;
    this.#access = access;
    this.learnSecrets([access.secret, `${access.username}:${access.secret}`]);
    const ca = access.ca === undefined ? undefined : [...getCACertificates('default'), access.ca];
    // Node takes any text for an authority, and then trusts nobody for it.
    if (access.ca !== undefined && !readCertificates(access.ca)) {
      throw new ConfigError(`The authorities to trust at ${this.name} are no certificates in PEM`);
    }
    const tls = { verifies: access.isInsecure !== true, ...(ca ? { ca } : {}) };
    this.#pool = new HttpPool(origin, tls, proxyFor(origin, access.proxies));
  }

  /** From now on no message repeats them: what the server's settings hold, or what is about to be sent. */
  learnSecrets(secrets: Iterable<string>): void {
    for (const secret of secrets) if (secret !== '') this.#secrets.add(secret);
  }

  /** What the server says in a good answer, for people and files. */
  withoutSecrets(text: string): string {
    return withoutSecrets(text, [...this.#secrets], '…');
  }

  /** Sends once and returns a 2xx or accepted answer. @throws MsrError; the signal's reason. */
  async send(signal: AbortSignal, request: MsrRequest): Promise<MsrAnswer> {
    const call = this.#call(request);
    const response = await this.#exchange(signal, request, call);
    const { status, headers, body } = response;
    const isAccepted = (status >= 200 && status < 300) || request.accepts?.includes(status) === true;
    if (!isAccepted) throw errorOfAnswer(call, response);
    return { status, headers, body, read: (schema) => readAs(schema, body, call) };
  }

  close(): void {
    this.#pool.close();
  }

  #call({ operation, method }: MsrRequest): MsrCall {
    return {
      server: this.name,
      operation,
      changesSomething: method !== 'GET',
      secrets: [...this.#secrets],
    };
  }

  async #exchange(signal: AbortSignal, request: MsrRequest, call: MsrCall): Promise<HttpResponse> {
    signal.throwIfAborted();
    const body = request.json === undefined ? undefined : Buffer.from(JSON.stringify(request.json));
    const callMsMax = this.#access.callMsMax ?? CALL_MS_MAX;
    const inTime = AbortSignal.timeout(callMsMax);
    try {
      return await this.#pool.request({
        method: request.method,
        target: `${request.path}${queryText(request.query)}`,
        headerLines: this.#headerLines(request, body !== undefined),
        ...(body ? { body } : {}),
        bodyBytes: body?.length ?? 0,
        collectBytesMax: request.bytesMax ?? ANSWER_BYTES_MAX,
        headTimeoutMs: callMsMax,
        isFresh: true,
        signal: AbortSignal.any([signal, inTime]),
      });
    } catch (error) {
      signal.throwIfAborted();
      if (!inTime.aborted) throw errorOfWire(call, error);
      throw new MsrError(
        `no whole answer within ${callMsMax / 1000} s`,
        {
          kind: 'timeout',
          server: call.server,
          operation: call.operation,
          isTransient: true,
          mayHaveActed: call.changesSomething,
        },
        { hint: 'Check the load of MSR and what is between here and there' },
      );
    }
  }

  #headerLines({ authorization }: MsrRequest, hasJson: boolean): string {
    const lines = [`Host: ${this.#host}`, 'Accept: application/json', 'User-Agent: blobferry'];
    if (hasJson) lines.push('Content-Type: application/json');
    if (authorization === undefined) {
      const { username, secret } = this.#access;
      lines.push(`Authorization: Basic ${Buffer.from(`${username}:${secret}`).toString('base64')}`);
    } else if (authorization !== 'none') {
      lines.push(`Authorization: Bearer ${authorization.bearer}`);
    }
    return `${lines.join('\r\n')}\r\n`;
  }
}

function addressOf({ url: text, username, secret, isInsecure }: MsrAccess): URL {
  const url = URL.parse(text);
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new ConfigError('The address of MSR is no URL', { hint: 'Write it as https://msr.example.com' });
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new ConfigError(`The address of MSR has more than scheme, host and port: ${url.origin}`, {
      hint: 'Credentials are named by `username` and `tokenEnv` or `passwordEnv`',
    });
  }
  if (url.pathname !== '/') {
    throw new ConfigError(`The address of MSR has a path: ${url.origin}${url.pathname}`, {
      hint: `Write ${url.origin}`,
    });
  }
  if (url.protocol === 'http:' && isInsecure !== true) {
    throw new ConfigError(`The credentials would cross the network readable: ${url.origin}`, {
      hint: 'Write https://, or allow it with `insecure: true`',
    });
  }
  if (username === '' || username.includes(':')) {
    throw new ConfigError('The user of MSR is empty or has a colon in it, which HTTP cannot say');
  }
  if (secret === '') throw new ConfigError('The password or access token of MSR is empty');
  return url;
}

function queryText(query: MsrRequest['query']): string {
  if (query === undefined) return '';
  const fields = Object.entries(query).map(
    ([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`,
  );
  return fields.length === 0 ? '' : `?${fields.join('&')}`;
}

function readAs<S extends z.ZodType>(schema: S, body: Buffer, call: MsrCall): z.output<S> {
  let json: unknown;
  try {
    json = JSON.parse(body.toString('utf8'));
  } catch {
    // JSON.parse quotes what it was given, which may hold secrets: it is no cause here.
    throw malformed(call, `the answer of ${body.length} bytes is no JSON`);
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = issue && issue.path.length > 0 ? `the field "${fieldName(issue.path)}"` : 'the answer';
  throw malformed(call, `${field} is not as expected: ${issue?.message ?? 'unknown shape'}`);
}

function malformed(call: MsrCall, reason: string): MsrError {
  return new MsrError(
    reason,
    {
      kind: 'malformed',
      server: call.server,
      operation: call.operation,
      isTransient: false,
      mayHaveActed: call.changesSomething,
    },
    { hint: 'Check that MSR 2.9 answers at this address; a newer version may have changed its API' },
  );
}

/** `jobs[3].id` */
function fieldName(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (name, part) =>
      typeof part === 'number' ? `${name}[${part}]` : `${name}${name === '' ? '' : '.'}${String(part)}`,
    '',
  );
}
