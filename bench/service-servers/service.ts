/** A service of the bench inside this process: requests in, answers out, and what the bench may ask past them. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { type S3ServerStats, StatsCounter } from '../s3-server/stats.ts';
import { AZURE_DIALECT } from './azure-dialect.ts';
import type { Answer, Dialect } from './exchange.ts';
import { GCS_DIALECT } from './gcs-dialect.ts';
import type { ServiceKind } from './kinds.ts';
import { Container, sha256Of, slices } from './object-store.ts';
import { rememberName, SWIFT_DIALECT, wholeOf } from './swift-dialect.ts';

const DIALECTS: Readonly<Record<ServiceKind, Dialect>> = {
  azure: AZURE_DIALECT,
  gcs: GCS_DIALECT,
  swift: SWIFT_DIALECT,
};
/** No object of a registry: where Swift keeps parts. */
const PARTS = 'segments/';
const KEEP_ALIVE_MS = 60_000;

export interface ServiceKey {
  readonly key: string;
  readonly sizeBytes: number;
}

export class Service {
  readonly #dialect: Dialect;
  readonly #containers = new Map<string, Container>();
  readonly #stats = new StatsCounter<string>();
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;

  private constructor(kind: ServiceKind, containers: readonly string[]) {
    this.#dialect = DIALECTS[kind];
    for (const name of containers) {
      const container = new Container();
      rememberName(container, name);
      this.#containers.set(name, container);
    }
    this.#server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, noDelay: true }, (request, response) => {
      // A copier that is ended breaks its connections.
      void this.#serve(request, response).catch(() => response.destroy());
    });
    this.#server.on('connection', (socket: Socket) => this.#watch(socket));
  }

  static async listen(kind: ServiceKind, containers: readonly string[]): Promise<Service> {
    const service = new Service(kind, containers);
    service.#server.listen({ port: 0, host: '127.0.0.1', backlog: 1024 });
    await once(service.#server, 'listening');
    return service;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  stats(): S3ServerStats<string> {
    const { user, system } = process.cpuUsage();
    const { bytesIn, bytesOut, ...rest } = this.#stats.snapshot(this.#sockets.size, (user + system) / 1e6);
    const live = [...this.#sockets];
    return {
      ...rest,
      bytesIn: bytesIn + live.reduce((sum, { bytesRead }) => sum + bytesRead, 0),
      bytesOut: bytesOut + live.reduce((sum, { bytesWritten }) => sum + bytesWritten, 0),
    };
  }

  /** What a container holds, parts of others left out. */
  keys(name: string): readonly ServiceKey[] {
    const container = this.#container(name);
    return [...container.objects]
      .filter(([key]) => !key.startsWith(PARTS))
      .map(([key, object]) => ({ key, sizeBytes: wholeOf(container, object).sizeBytes }));
  }

  /** Of the bytes that it holds; undefined where it has no such object. */
  sha256(name: string, key: string): string | undefined {
    const container = this.#container(name);
    const object = container.objects.get(key);
    return object && sha256Of(wholeOf(container, object).pieces);
  }

  clear(name: string): void {
    this.#container(name).clear();
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #container(name: string): Container {
    const container = this.#containers.get(name);
    if (!container) throw new Error(`There is no container "${name}"`);
    return container;
  }

  #watch(socket: Socket): void {
    this.#stats.connections += 1;
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#stats.bytesIn += socket.bytesRead;
      this.#stats.bytesOut += socket.bytesWritten;
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const beganMs = performance.now();
    this.#stats.began();
    try {
      const body: Buffer[] = [];
      let bodyBytes = 0;
      for await (const piece of request as AsyncIterable<Buffer>) {
        body.push(piece);
        bodyBytes += piece.length;
      }
      this.#stats.moved('in', bodyBytes, beganMs);
      const answer = this.#answerTo(request, body, bodyBytes);
      this.#stats.answered(answer.operation, answer.status, answer.code);
      await send(response, answer);
    } finally {
      this.#stats.ended();
    }
  }

  #answerTo(request: IncomingMessage, body: readonly Buffer[], bodyBytes: number): Answer {
    const { method = 'GET', url = '/', headers } = request;
    const [path = '', search = ''] = url.split('?', 2);
    const outside = this.#dialect.outside(path, headers, body, this.port);
    if (outside) return outside;
    if (!this.#dialect.isAllowed(headers)) return { operation: 'Unknown', status: 403, code: 'Unauthorized' };
    const place = this.#dialect.placeOf(path);
    const container = place && this.#containers.get(place.container);
    if (!container) return { operation: 'Unknown', status: 404, code: 'NoSuchContainer' };
    const key = place.rawKey === undefined ? undefined : decodeURIComponent(place.rawKey);
    const query = new URLSearchParams(search.replaceAll('+', '%2B'));
    return this.#dialect.answer({ method, key, container, query, headers, body, bodyBytes });
  }
}

async function send(response: ServerResponse, { status, headers = {}, body }: Answer): Promise<void> {
  const length =
    body === undefined ? 0 : typeof body === 'string' ? Buffer.byteLength(body) : body.end - body.start;
  const sized = status === 204 || 'content-length' in headers ? {} : { 'content-length': String(length) };
  response.writeHead(status, { ...headers, ...sized });
  if (body === undefined || typeof body === 'string') {
    response.end(body);
    return;
  }
  await pipeline(slices(body.pieces, body.start, body.end), response);
}
