/** A server on 127.0.0.1 that answers with scripted bytes, cut where a test wants them cut, and does no HTTP of its own. */
import { once } from 'node:events';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { createServer as createTlsServer, TLSSocket, type TlsOptions } from 'node:tls';
import type { HttpRequest } from '../../../src/transport/http-types.ts';

/** One accepted connection, as the server sees it. */
export class Peer {
  /** From 0, in the order of acceptance. */
  readonly number: number;
  readonly socket: Socket;

  constructor(number: number, socket: Socket) {
    this.number = number;
    this.socket = socket;
  }

  /** Writes the bytes in pieces; each is on its way before the next one is written. */
  async send(bytes: string | Uint8Array, cuts: readonly number[] = []): Promise<void> {
    for (const piece of piecesOf(bytes, cuts)) {
      if (this.socket.destroyed) return;
      this.socket.write(piece);
      await turn();
    }
  }

  end(): void {
    this.socket.end();
  }

  /** RST instead of FIN; over TLS an end without a goodbye. */
  reset(): void {
    if (this.socket instanceof TLSSocket) this.socket.destroy();
    else this.socket.resetAndDestroy();
  }
}

export interface ReceivedRequest {
  /** Start line and headers, without the empty line. */
  readonly head: string;
  /** As many bytes as Content-Length says, or as had come when the connection ended. */
  readonly body: Buffer;
  /** How many requests came over this connection before. */
  readonly index: number;
}

export interface Handlers {
  /** The connection is there, before anything was sent over it. */
  onConnection?(peer: Peer): unknown;
  /** The head is there, the body perhaps not yet. */
  onHead?(peer: Peer, head: string): unknown;
  /** The request is there whole. */
  onRequest?(peer: Peer, request: ReceivedRequest): unknown;
}

export class RawServer {
  readonly port: number;
  readonly peers: readonly Peer[];
  readonly requests: readonly ReceivedRequest[];
  readonly #server: Server;

  constructor(server: Server, peers: readonly Peer[], requests: readonly ReceivedRequest[]) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    this.peers = peers;
    this.requests = requests;
  }

  get open(): number {
    return this.peers.filter((peer) => !peer.socket.destroyed).length;
  }

  /** Resolves once no connection is open on the server's side any more. */
  async allClosed(): Promise<void> {
    for (const { socket } of this.peers) if (!socket.destroyed) await once(socket, 'close');
  }

  /** Resolves once every connection that the server ended is closed. */
  async closedSoFar(): Promise<void> {
    for (const { socket } of this.peers) {
      if (socket.writableEnded && !socket.destroyed) await once(socket, 'close');
    }
  }

  async close(): Promise<void> {
    for (const { socket } of this.peers) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

interface Afterwards {
  after(fn: () => Promise<void>): void;
}

export async function serveRaw(test: Afterwards, handlers: Handlers, tls?: TlsOptions): Promise<RawServer> {
  const server = await startRaw(handlers, tls);
  test.after(() => server.close());
  return server;
}

export async function startRaw(handlers: Handlers, tls?: TlsOptions, host = '127.0.0.1'): Promise<RawServer> {
  const peers: Peer[] = [];
  const requests: ReceivedRequest[] = [];
  const onSocket = (socket: Socket): void => {
    const peer = new Peer(peers.length, socket);
    peers.push(peer);
    // Clients that reset are part of the tests.
    socket.on('error', () => undefined);
    socket.setNoDelay(true);
    handlers.onConnection?.(peer);
    const reader = new RequestReader(peer, handlers, requests);
    socket.on('data', (bytes) => reader.take(bytes as Buffer));
  };
  const server = tls ? createTlsServer(tls, onSocket) : createTcpServer(onSocket);
  // Handshakes that the client gives up.
  server.on('tlsClientError', () => undefined);
  server.listen(0, host);
  await once(server, 'listening');
  return new RawServer(server, peers, requests);
}

class RequestReader {
  readonly #peer: Peer;
  readonly #handlers: Handlers;
  readonly #requests: ReceivedRequest[];
  #text: Buffer = Buffer.alloc(0);
  #head: string | undefined;
  #body: Buffer[] = [];
  #missing = 0;
  #index = 0;

  constructor(peer: Peer, handlers: Handlers, requests: ReceivedRequest[]) {
    this.#peer = peer;
    this.#handlers = handlers;
    this.#requests = requests;
  }

  take(bytes: Buffer): void {
    let rest: Buffer | undefined = bytes;
    while (rest) rest = this.#head === undefined ? this.#takeHead(rest) : this.#takeBody(this.#head, rest);
  }

  #takeHead(bytes: Buffer): Buffer | undefined {
    this.#text = Buffer.concat([this.#text, bytes]);
    const end = this.#text.indexOf('\r\n\r\n');
    if (end < 0) return undefined;
    this.#head = this.#text.toString('latin1', 0, end);
    const rest = this.#text.subarray(end + 4);
    this.#text = Buffer.alloc(0);
    this.#missing = Number(/^content-length: *(\d+)/im.exec(this.#head)?.[1] ?? 0);
    this.#handlers.onHead?.(this.#peer, this.#head);
    return rest;
  }

  #takeBody(head: string, bytes: Buffer): Buffer | undefined {
    const mine = bytes.subarray(0, this.#missing);
    this.#body.push(mine);
    this.#missing -= mine.length;
    if (this.#missing > 0) return undefined;
    const request = { head, body: Buffer.concat(this.#body), index: this.#index };
    this.#head = undefined;
    this.#body = [];
    this.#index += 1;
    this.#requests.push(request);
    this.#handlers.onRequest?.(this.#peer, request);
    return mine.length < bytes.length ? bytes.subarray(mine.length) : undefined;
  }
}

export function piecesOf(bytes: string | Uint8Array, cuts: readonly number[]): readonly Buffer[] {
  const whole = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : Buffer.from(bytes);
  const places = [...new Set([0, ...cuts.filter((cut) => cut > 0 && cut < whole.length), whole.length])];
  places.sort((a, b) => a - b);
  return places.slice(1).map((to, index) => whole.subarray(places[index] ?? 0, to));
}

export interface RequestChoices extends Partial<HttpRequest> {
  readonly signal?: AbortSignal;
}

/** A request with the usual defaults. */
export function makeRequest(choices: RequestChoices = {}): HttpRequest {
  return {
    method: 'GET',
    target: '/object',
    headerLines: 'Host: test\r\n',
    bodyBytes: choices.body instanceof Uint8Array ? choices.body.length : 0,
    collectBytesMax: 1024 * 1024,
    headTimeoutMs: 10_000,
    signal: new AbortController().signal,
    ...choices,
  };
}

/** An answer with a Content-Length. */
export function answer(body = '', status = '200 OK', headers = ''): string {
  return `HTTP/1.1 ${status}\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`;
}
