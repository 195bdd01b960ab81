/**
 * How Azure's own library reaches the service: through Node's client, by the same proxies and trust as the direct engine,
 * with bounds on what is waited for and collected. Whatever breaks is a WireError.
 */
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { finished } from 'node:stream/promises';
import type { HttpOperationResponse, IHttpClient, WebResource } from '@azure/storage-blob';
import { type Origin, WireError } from '../../transport/http-types.ts';
import type { HttpProxy } from '../../transport/proxy.ts';
import { AgedHttpAgent, RoutedHttpsAgent } from '../../transport/routed-agent.ts';
import { connectError, reasonOf, wireErrorOf } from '../../transport/wire-errors.ts';
import { proxyTo, trustedCertificatesFor } from '../http/endpoint.ts';
import type { AzureSpec } from '../spec.ts';

const IDLE_MS_MAX = 60_000;
const CONNECT_MS_MAX = 10_000;
/** Listings stay below this. */
const COLLECT_BYTES_MAX = 16 * 1024 * 1024;

export class AzureSdkHttp implements IHttpClient {
  /** A proxy that plain requests are given to. */
  readonly forwarding: HttpProxy | undefined;
  readonly #plain = new AgedHttpAgent();
  readonly #tls: RoutedHttpsAgent;

  /** @throws ConfigError where the further authorities cannot be read. */
  constructor(spec: AzureSpec, origin: Origin) {
    const ca = trustedCertificatesFor(origin, spec);
    this.forwarding = origin.isTls ? undefined : proxyTo(origin, spec);
    this.#tls = new RoutedHttpsAgent({
      tls: { verifies: !spec.skipsTlsVerify, ...(ca ? { ca } : {}) },
      proxies: spec.network?.proxies,
    });
  }

  async sendRequest(request: WebResource): Promise<HttpOperationResponse> {
    const sent = this.#request(request);
    const stop = (): void => void sent.destroy(new Error('Stopped'));
    request.abortSignal?.addEventListener('abort', stop);
    if (request.abortSignal?.aborted) stop();
    let isStreamed = false;
    try {
      const answer = await this.#answerTo(sent, bodyOf(request));
      isStreamed = request.streamResponseStatusCodes?.has(answer.statusCode ?? 0) === true;
      const common = { request, status: answer.statusCode ?? 0, headers: headersOf(request, answer) };
      if (!isStreamed) return { ...common, bodyAsText: await collected(answer) };
      void finished(answer)
        .catch(() => undefined)
        .then(() => request.abortSignal?.removeEventListener('abort', stop));
      return { ...common, readableStreamBody: answer };
    } catch (error) {
      // Whoever began the request looks at the signal first.
      throw this.#broken(error, sent);
    } finally {
      if (!isStreamed) request.abortSignal?.removeEventListener('abort', stop);
    }
  }

  close(): void {
    this.#plain.destroy();
    this.#tls.destroy();
  }

  #request({ url, method, headers }: WebResource): ClientRequest {
    const to = new URL(url);
    const fields: Record<string, string> = headers.rawHeaders();
    const proxy = to.protocol === 'https:' ? undefined : this.forwarding;
    if (to.protocol === 'https:') return httpsRequest(to, { method, headers: fields, agent: this.#tls });
    if (!proxy) return httpRequest(to, { method, headers: fields, agent: this.#plain });
    // A proxy wants the whole URL, and the Host field as it was.
    const { authorization } = proxy;
    const more = authorization === undefined ? {} : { 'proxy-authorization': authorization };
    const way = { host: proxy.host, port: proxy.port, path: url, method };
    const through = { ...way, headers: { host: to.host, ...fields, ...more } };
    return proxy.isTls
      ? httpsRequest({ ...through, agent: this.#tls })
      : httpRequest({ ...through, agent: this.#plain });
  }

  #answerTo(sent: ClientRequest, body: Buffer | string | undefined): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      sent.on('error', reject);
      sent.once('response', resolve);
      sent.setTimeout(IDLE_MS_MAX, () => {
        sent.destroy(new WireError('timeout', `No answer within ${IDLE_MS_MAX / 1000} s`));
      });
      sent.once('socket', (socket) => {
        if (!socket.connecting) return;
        const late = new WireError('connect', `no connection within ${CONNECT_MS_MAX / 1000} s`);
        timer = setTimeout(() => sent.destroy(late), CONNECT_MS_MAX);
        socket.once('connect', () => clearTimeout(timer));
      });
      sent.once('close', () => clearTimeout(timer));
      sent.end(body);
    });
  }

  #broken(error: unknown, sent: ClientRequest): unknown {
    if (!(error instanceof Error)) return error;
    const wire = wireErrorOf(error);
    const isProxy = this.forwarding !== undefined && (wire?.fault === 'connect' || wire?.fault === 'tls');
    if (isProxy) return connectError(error, this.forwarding?.name);
    return wire ?? new WireError(sent.reusedSocket ? 'stale' : 'reset', reasonOf(error), error);
  }
}

/** Bodies are whole here: the driver cuts them into blocks itself. */
function bodyOf({ body }: WebResource): Buffer | string | undefined {
  const given: unknown = body;
  if (given === undefined || given === null) return undefined;
  if (typeof given === 'string' || Buffer.isBuffer(given)) return given;
  if (given instanceof Uint8Array) return Buffer.from(given.buffer, given.byteOffset, given.byteLength);
  throw new TypeError('A body that lies not in memory');
}

/** The library's own kind, which only a request's can be made into. Azure redirects nothing: what does is not followed. */
function headersOf(request: WebResource, { headers: given }: IncomingMessage): WebResource['headers'] {
  const headers = request.headers.clone();
  for (const name of headers.headerNames()) headers.remove(name);
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined && name !== 'location')
      headers.set(name, typeof value === 'string' ? value : value.join(', '));
  }
  return headers;
}

async function collected(answer: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of answer as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > COLLECT_BYTES_MAX) {
      answer.destroy();
      throw new WireError(
        'too-large',
        `The answer has at least ${bytes} bytes, more than ${COLLECT_BYTES_MAX}`,
      );
    }
    pieces.push(piece);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(Buffer.concat(pieces, bytes));
  } catch (error) {
    throw new WireError('malformed', 'The answer is not UTF-8', error);
  }
}
