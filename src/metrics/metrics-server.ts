/** Serves `/metrics` and `/healthz` over HTTP, on this machine only unless told otherwise. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import { ConfigError } from '../core/errors.ts';

export interface MetricsServerOptions {
  readonly registry: Registry;
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
}

export interface MetricsServer {
  /** Where Prometheus finds it, such as `http://127.0.0.1:9464/metrics`. */
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/** @throws ConfigError when the address cannot be listened on. */
export async function startMetricsServer(options: MetricsServerOptions): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    answer(options.registry, request, response).catch((error: unknown) => {
      if (!response.headersSent) response.writeHead(500, { 'content-type': 'text/plain' });
      response.end(`Cannot collect the metrics: ${error instanceof Error ? error.message : String(error)}\n`);
    });
  });
  // Clients of a metrics page are few and local; a slow one must not keep a socket for minutes.
  server.headersTimeout = 10_000;
  server.requestTimeout = 10_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(cannotListen(options, error)));
    server.listen(options.port, options.host, resolve);
  });
  // A failed accept (out of file descriptors) is an error event, and must not end the copy this page watches.
  server.on('error', () => undefined);
  // A server with an address and not a path: options.host and options.port make it one.
  const { port } = server.address() as AddressInfo;
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  return {
    url: `http://${host}:${port}/metrics`,
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(registry: Registry, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? '/').split('?', 1)[0];
  if (path !== '/metrics' && path !== '/healthz')
    return send(response, 404, 'Not found: try /metrics or /healthz\n');
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    return send(response, 405, 'Only GET and HEAD\n');
  }
  if (path === '/healthz') return send(response, 200, 'ok\n');
  const text = await registry.metrics();
  response.setHeader('content-type', registry.contentType);
  send(response, 200, text);
}

function send(response: ServerResponse, status: number, text: string): void {
  if (!response.hasHeader('content-type')) response.setHeader('content-type', 'text/plain; charset=utf-8');
  response.setHeader('content-length', Buffer.byteLength(text));
  response.writeHead(status);
  response.end(text);
}

function cannotListen({ host, port }: MetricsServerOptions, error: NodeJS.ErrnoException): ConfigError {
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: 'another program uses this port',
    EACCES: 'this user may not use this port',
    EADDRNOTAVAIL: 'this machine does not have that address',
    ENOTFOUND: 'that host name is not known',
  };
  const reason = reasons[error.code ?? ''] ?? error.message;
  return new ConfigError(`Cannot serve metrics on ${host}:${port}: ${reason}`, {
    cause: error,
    hint: 'Give another --metrics-port (0 takes any free one) or --metrics-host',
  });
}
