/** Connections to one origin, kept and used again. How many are open at once is the caller's limit to set. */
import { Connection } from './connection.ts';
import type { HttpRequest, HttpResponse, Origin, TlsSettings } from './http-types.ts';

/** Servers commonly close after 5 s without a request (Node) to 65 s (Ceph's beast); a younger connection is safe. */
const IDLE_MS_MAX = 4_000;
const WATCH_MS = 1_000;

export class HttpPool {
  readonly #origin: Origin;
  readonly #tls: TlsSettings;
  /** Last in, first out, so that a falling load lets the oldest ones go. */
  readonly #idle: Connection[] = [];
  readonly #busy = new Set<Connection>();
  readonly #bySignal = new WeakMap<AbortSignal, Set<Connection>>();
  readonly #timer: NodeJS.Timeout;

  constructor(origin: Origin, tls: TlsSettings) {
    this.#origin = origin;
    this.#tls = tls;
    this.#timer = setInterval(() => this.#watch(), WATCH_MS);
    this.#timer.unref();
  }

  get openConnections(): number {
    return this.#idle.length + this.#busy.size;
  }

  async request(request: HttpRequest): Promise<HttpResponse> {
    request.signal.throwIfAborted();
    const connection = this.#take(request.isFresh === true);
    this.#busy.add(connection);
    const bound = this.#bind(request.signal);
    bound.add(connection);
    try {
      return await connection.send(request);
    } finally {
      bound.delete(connection);
      this.#busy.delete(connection);
    }
  }

  close(): void {
    clearInterval(this.#timer);
    for (const connection of [...this.#idle, ...this.#busy])
      connection.destroy(new Error('The client was closed'));
    this.#idle.length = 0;
  }

  #take(isFresh: boolean): Connection {
    while (!isFresh) {
      const connection = this.#idle.pop();
      if (!connection) break;
      if (connection.isClosed) continue;
      if (Date.now() - connection.idleSinceMs < IDLE_MS_MAX) return connection;
      connection.destroy(undefined);
    }
    return new Connection(this.#origin, this.#tls, (connection) => this.#idle.push(connection));
  }

  /** One listener per signal, not per request: a request on the hot path costs two set operations. */
  #bind(signal: AbortSignal): Set<Connection> {
    let bound = this.#bySignal.get(signal);
    if (!bound) {
      const connections = new Set<Connection>();
      bound = connections;
      this.#bySignal.set(signal, connections);
      signal.addEventListener(
        'abort',
        () => {
          for (const connection of connections) connection.destroy(signal.reason);
        },
        { once: true },
      );
    }
    return bound;
  }

  #watch(): void {
    const now = Date.now();
    for (const connection of this.#busy) connection.watch(now);
    while (this.#idle[0] && (this.#idle[0].isClosed || now - this.#idle[0].idleSinceMs >= IDLE_MS_MAX)) {
      this.#idle.shift()?.destroy(undefined);
    }
  }
}
