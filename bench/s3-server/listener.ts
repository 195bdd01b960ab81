/** The listening socket, plain or TLS, and the connections it has accepted. */
import { createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import { Connection } from './http/connection.ts';
import type { S3Service } from './s3/service.ts';
import { type S3ServerStats, StatsCounter } from './stats.ts';

export interface ListenOptions {
  readonly port: number;
  readonly tls: { readonly key: string; readonly cert: string } | undefined;
}

export class Listener {
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  readonly #stats = new StatsCounter();
  readonly #service: S3Service;

  private constructor(service: S3Service, tls: ListenOptions['tls']) {
    this.#service = service;
    const secureContext = tls && createSecureContext({ key: tls.key, cert: tls.cert });
    this.#server = createServer((wire) => {
      // The TLS socket is made by hand because a fault must be able to reset the TCP connection below it.
      const socket = secureContext ? new TLSSocket(wire, { isServer: true, secureContext }) : wire;
      this.#accept(socket, wire);
    });
  }

  static async listen(service: S3Service, options: ListenOptions): Promise<Listener> {
    const listener = new Listener(service, options.tls);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    listener.#server.once('error', reject);
    listener.#server.listen({ port: options.port, host: '127.0.0.1', backlog: 1024 }, resolve);
    await promise;
    return listener;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('The server is not listening');
    return address.port;
  }

  stats(cpuSeconds: number): S3ServerStats {
    let live = 0;
    for (const connection of this.#connections) live += connection.bytesWritten;
    const snapshot = this.#stats.snapshot(this.#connections.size, cpuSeconds);
    return { ...snapshot, bytesOut: snapshot.bytesOut + live };
  }

  #accept(socket: Socket, wire: Socket): void {
    const connection = new Connection(socket, wire, this.#service, this.#stats);
    this.#connections.add(connection);
    // A broken handshake is reported on both sockets; 'close' of the upper one follows.
    if (socket !== wire) wire.on('error', () => undefined);
    socket.on('close', () => {
      this.#stats.bytesOut += connection.bytesWritten;
      this.#connections.delete(connection);
    });
  }

  async close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    for (const connection of this.#connections) connection.destroy();
    await promise;
  }
}
