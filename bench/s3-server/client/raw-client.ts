/** Single requests, signed and sent exactly as asked, wrong ones included. */
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { type SignedRequest, type Signer, sha256Hex, signRequest, TEST_SIGNER } from './sign-request.ts';

export interface RawRequest {
  readonly method?: string;
  /** Escaped, with query. */
  readonly target: string;
  /** Lower-case names; signed. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent and not signed; may replace signed ones. */
  readonly unsignedHeaders?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Default: the hash of the body. */
  readonly payloadHash?: string;
  readonly signer?: Signer;
  readonly atMs?: number;
  readonly hidesPayloadHash?: boolean;
  /** False: sent without any signature. */
  readonly isSigned?: boolean;
  /** Builds the body from the signature, as signed chunks need. */
  readonly bodyOf?: (signed: SignedRequest) => string | Uint8Array;
  /** Send with Transfer-Encoding: chunked instead of a length. */
  readonly isChunked?: boolean;
}

export interface RawResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Buffer;
  readonly text: string;
  /** Of the XML error, or empty. */
  readonly code: string;
}

export class RawClient {
  readonly endpoint: URL;
  readonly #agent: Agent;
  readonly #signer: Signer;
  readonly #ca: string | undefined;

  constructor(endpoint: string, options: { readonly signer?: Signer; readonly ca?: string } = {}) {
    this.endpoint = new URL(endpoint);
    this.#signer = options.signer ?? TEST_SIGNER;
    this.#ca = options.ca;
    const keepAlive = { keepAlive: true, maxSockets: 8 };
    this.#agent = this.endpoint.protocol === 'https:' ? new HttpsAgent(keepAlive) : new Agent(keepAlive);
  }

  async send(request: RawRequest): Promise<RawResponse> {
    const { method = 'GET', target } = request;
    const given = request.body ?? '';
    const host = this.endpoint.host;
    const signed = signRequest(request.signer ?? this.#signer, {
      method,
      host,
      target,
      payloadHash: request.payloadHash ?? sha256Hex(given),
      ...(request.headers ? { headers: request.headers } : {}),
      ...(request.atMs === undefined ? {} : { atMs: request.atMs }),
      ...(request.hidesPayloadHash ? { hidesPayloadHash: true } : {}),
    });
    const body = Buffer.from(request.bodyOf ? request.bodyOf(signed) : given);
    const headers: Record<string, string | number> =
      request.isSigned === false ? { host, ...request.headers } : { ...signed.headers };
    Object.assign(headers, request.unsignedHeaders);
    if (request.isChunked) headers['transfer-encoding'] = 'chunked';
    else if (body.length > 0 || method === 'PUT' || method === 'POST')
      headers['content-length'] ??= body.length;
    return this.#exchange(method, target, headers, body);
  }

  #exchange(
    method: string,
    path: string,
    headers: Readonly<Record<string, string | number>>,
    body: Buffer,
  ): Promise<RawResponse> {
    const { promise, resolve, reject } = Promise.withResolvers<RawResponse>();
    const send = this.endpoint.protocol === 'https:' ? httpsRequest : httpRequest;
    const { hostname, port } = this.endpoint;
    const options = { hostname, port, method, path, headers, agent: this.#agent, setHost: false };
    const outgoing = send({ ...options, ...(this.#ca === undefined ? {} : { ca: this.#ca }) }, (response) => {
      readAll(response).then(resolve, reject);
    });
    outgoing.once('error', reject);
    outgoing.end(body);
    return promise;
  }

  close(): void {
    this.#agent.destroy();
  }
}

async function readAll(response: IncomingMessage): Promise<RawResponse> {
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece as Buffer);
  const bytes = Buffer.concat(pieces);
  const text = bytes.toString('utf8');
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(response.headers)) headers[name] = String(value);
  const code = /<Error>.*?<Code>([^<]*)<\/Code>/s.exec(text)?.[1] ?? '';
  return { status: response.statusCode ?? 0, headers, bytes, text, code };
}
