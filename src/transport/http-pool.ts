/** Connections to one origin, kept and used again. How many are open at once is the caller's limit to set. */
import { createSecureContext, type SecureContext } from 'node:tls';
import { Connection } from './connection.ts';
import {
  authorityOf,
  CONNECTION_AGE_MS_MAX,
  type HttpRequest,
  type HttpResponse,
  type Origin,
  type TlsSettings,
  WireError,
} from './http-types.ts';
import type { HttpProxy } from './proxy.ts';
import { authorizationLine, refusalOf } from './tunnel.ts';

/** Servers commonly close after 5 s without a request (Node) to 65 s (Ceph's beast); a younger connection is safe. */
const IDLE_MS_MAX = 4_000;
const WATCH_MS = 1_000;
/** A timer that comes so late says that this process stood still (a long computation, a paused machine), not the wire. */
const LATE_MS = 5 * WATCH_MS;

/** The connections that end with a signal. */
interface Bound {
  readonly connections: Set<Connection>;
  readonly onAbort: () => void;
}

export class HttpPool {
  readonly #origin: Origin;
  readonly #tls: TlsSettings;
  readonly #proxy: HttpProxy | undefined;
  /** Made once: reading a bundle of authorities takes longer than a handshake. */
  readonly #context: SecureContext | undefined;
  /** Last in, first out, so that a falling load lets the oldest ones go. */
  readonly #idle: Connection[] = [];
  readonly #busy = new Set<Connection>();
  readonly #bySignal = new Map<AbortSignal, Bound>();
  readonly #timer: NodeJS.Timeout;
  #isClosed = false;
  #watchedMs = Date.now();

  constructor(origin: Origin, tls: TlsSettings, proxy?: HttpProxy) {
    this.#origin = origin;
    this.#tls = tls;
    this.#proxy = proxy;
    const needsTls = origin.isTls || proxy?.isTls === true;
    this.#context = needsTls && tls.ca ? createSecureContext({ ca: [...tls.ca] }) : undefined;
    this.#timer = setInterval(() => this.#watch(), WATCH_MS);
    this.#timer.unref();
  }

  get openConnections(): number {
    return this.#idle.filter((connection) => !connection.isClosed).length + this.#busy.size;
  }

  async request(request: HttpRequest): Promise<HttpResponse> {
    request.signal.throwIfAborted();
    if (this.#isClosed) throw closedError();
    const connection = this.#take(request.isFresh === true);
    this.#busy.add(connection);
    const bound = this.#bind(request.signal);
    bound.add(connection);
    try {
      const forward = this.#forwardProxy;
      if (!forward) return await connection.send(request);
      return checked(forward, this.#origin, await connection.send(absolute(request, forward, this.#origin)));
    } catch (error) {
      // What made one kept connection stale (a restart, a balancer) did so to the others: a retry must not meet them.
      if (error instanceof WireError && error.fault === 'stale') this.#dropIdle();
      throw error;
    } finally {
      bound.delete(connection);
      this.#busy.delete(connection);
      // Only here, when nothing of this request refers to the connection any more, may another one have it.
      if (!connection.isClosed) this.#idle.push(connection);
    }
  }

  /** The proxy that plain requests are given to; whatever it answers looks like the server's own answer. */
  get #forwardProxy(): HttpProxy | undefined {
    return this.#origin.isTls ? undefined : this.#proxy;
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
    for (const connection of this.#busy) connection.destroy(closedError());
    this.#dropIdle();
    for (const [signal, bound] of this.#bySignal) this.#unbind(signal, bound);
  }

  #dropIdle(): void {
    for (const connection of this.#idle.splice(0)) connection.destroy(undefined);
  }

  #take(isFresh: boolean): Connection {
    while (!isFresh) {
      const connection = this.#idle.pop();
      if (!connection) break;
      if (connection.isClosed) continue;
      const now = Date.now();
      const isYoung = now - connection.openedMs < CONNECTION_AGE_MS_MAX;
      if (isYoung && now - connection.idleSinceMs < IDLE_MS_MAX) return connection;
      connection.destroy(undefined);
    }
    return new Connection(this.#origin, this.#tls, { context: this.#context, proxy: this.#proxy });
  }

  /** One listener per signal, not per request: a request on the hot path costs two set operations. */
  #bind(signal: AbortSignal): Set<Connection> {
    const known = this.#bySignal.get(signal);
    if (known) return known.connections;
    const connections = new Set<Connection>();
    const onAbort = (): void => {
      for (const connection of connections) connection.destroy(signal.reason);
    };
    this.#bySignal.set(signal, { connections, onAbort });
    signal.addEventListener('abort', onAbort, { once: true });
    return connections;
  }

  #unbind(signal: AbortSignal, { onAbort }: Bound): void {
    signal.removeEventListener('abort', onAbort);
    this.#bySignal.delete(signal);
  }

  #watch(): void {
    const now = Date.now();
    const isLate = now - this.#watchedMs >= LATE_MS;
    this.#watchedMs = now;
    for (const connection of this.#busy) {
      if (isLate) connection.pardon(now);
      else connection.watch(now);
    }
    while (this.#idle[0] && (this.#idle[0].isClosed || now - this.#idle[0].idleSinceMs >= IDLE_MS_MAX)) {
      this.#idle.shift()?.destroy(undefined);
    }
    // A signal that others follow (AbortSignal.any) is kept as long as it has a listener, a new one for every shard.
    for (const [signal, bound] of this.#bySignal) {
      if (bound.connections.size === 0) this.#unbind(signal, bound);
    }
  }
}

/**
 * As proxies want to be asked (RFC 9112 section 3.2.2). They make the Host field from it, which is signed: so the port
 * of the scheme is left out here as it is there.
 */
function absolute(request: HttpRequest, proxy: HttpProxy, origin: Origin): HttpRequest {
  const authority = authorityOf(origin).replace(/:80$/, '');
  return {
    ...request,
    target: `http://${authority}${request.target}`,
    headerLines: request.headerLines + authorizationLine(proxy),
  };
}

function checked(proxy: HttpProxy, origin: Origin, response: HttpResponse): HttpResponse {
  if (response.status === 407) throw refusalOf(proxy, origin, { status: 407 });
  return response;
}

function closedError(): Error {
  return new Error('The client was closed');
}
