/** A small HTTP proxy for tests: CONNECT and absolute-form requests, with or without a password, as strict as real ones. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

export interface TestProxyOptions {
  readonly user?: string;
  readonly password?: string;
  /** The proxy itself is spoken to over TLS; PEM. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** `host:port` as clients ask for it, and where that really is: the proxy's own DNS. */
  readonly routes?: Readonly<Record<string, string>>;
  /** Answers every request with these bytes and closes. */
  readonly says?: string;
  /** Takes this out of the answers to forwarded requests; lower case. */
  readonly dropsHeader?: string;
}

export class TestProxy {
  readonly port: number;
  /** Without credentials. */
  readonly url: string;
  /** `host:port` of every CONNECT that was carried out. */
  readonly tunnels: string[] = [];
  /** Absolute URIs of every forwarded request. */
  readonly forwarded: string[] = [];
  /** Requests that were refused or answered by the proxy itself. */
  refused = 0;
  readonly #server: Server;
  readonly #options: TestProxyOptions;
  readonly #sockets = new Set<Duplex>();

  private constructor(server: Server, options: TestProxyOptions) {
    this.#server = server;
    this.#options = options;
    this.port = (server.address() as AddressInfo).port;
    this.url = `${options.tls ? 'https' : 'http'}://127.0.0.1:${this.port}`;
    server.on('connection', (socket: Socket) => this.#keep(socket));
    server.on('connect', (asked: IncomingMessage, socket: Duplex) => this.#onConnect(asked, socket));
    server.on('request', (asked, answer) => this.#onRequest(asked, answer));
    server.on('tlsClientError', () => undefined);
  }

  static async start(options: TestProxyOptions = {}): Promise<TestProxy> {
    const server = options.tls ? createTlsServer(options.tls) : createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new TestProxy(server, options);
  }

  /** Its URL with user name and password, percent-encoded. */
  get urlWithPassword(): string {
    const { user = '', password = '' } = this.#options;
    return this.url.replace('://', `://${encodeURIComponent(user)}:${encodeURIComponent(password)}@`);
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #keep(socket: Duplex): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  #onConnect(asked: IncomingMessage, socket: Duplex): void {
    const authority = asked.url ?? '';
    const refusal = this.#refusal(asked);
    if (refusal !== undefined || asked.headers.host !== authority) {
      this.refused += 1;
      socket.end(refusal ?? 'HTTP/1.1 400 Bad Request\r\n\r\n');
      return;
    }
    const upstream = connect(this.#addressOf(authority));
    this.#keep(upstream);
    upstream.once('error', () => {
      this.refused += 1;
      socket.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\noops');
    });
    upstream.once('connect', () => {
      this.tunnels.push(authority);
      socket.write('HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n');
      upstream.pipe(socket).pipe(upstream);
    });
    upstream.once('close', () => socket.destroy());
    socket.once('close', () => upstream.destroy());
  }

  #onRequest(asked: IncomingMessage, answer: ServerResponse): void {
    const refusal = this.#refusal(asked);
    const url = URL.parse(asked.url ?? '');
    if (refusal !== undefined || url === null) {
      this.refused += 1;
      answer.socket?.end(refusal ?? 'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    this.forwarded.push(url.href);
    const headers = { ...asked.headers, host: url.host };
    delete headers['proxy-authorization'];
    // The path goes on byte for byte: the signature is over it.
    const path = (asked.url ?? '').slice(url.origin.length);
    const onward = request({
      ...this.#addressOf(url.port === '' ? `${url.hostname}:80` : url.host),
      method: asked.method,
      path,
      headers,
    });
    onward.on('response', (response) => {
      const kept = { ...response.headers };
      if (this.#options.dropsHeader !== undefined) delete kept[this.#options.dropsHeader];
      answer.sendDate = false;
      answer.writeHead(response.statusCode ?? 502, kept);
      response.pipe(answer);
    });
    onward.on('error', () => {
      this.refused += 1;
      if (answer.headersSent) answer.destroy();
      else answer.writeHead(502).end('<html>Bad Gateway</html>');
    });
    asked.pipe(onward);
  }

  /** What is answered instead of doing anything. */
  #refusal(asked: IncomingMessage): string | undefined {
    const { user, password, says } = this.#options;
    if (says !== undefined) return says;
    if (user === undefined) return undefined;
    const expected = `Basic ${Buffer.from(`${user}:${password ?? ''}`).toString('base64')}`;
    if (asked.headers['proxy-authorization'] === expected) return undefined;
    return 'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="test"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n';
  }

  #addressOf(authority: string): { readonly host: string; readonly port: number } {
    const known = this.#options.routes?.[authority] ?? authority;
    const colon = known.lastIndexOf(':');
    return { host: known.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(known.slice(colon + 1)) };
  }
}
