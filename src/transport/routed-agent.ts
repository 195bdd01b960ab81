/** Node's own agents for clients that are not ours (the AWS SDK's): the same proxies, trust and age of connections. */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent, type RequestOptions } from 'node:https';
import type { Duplex } from 'node:stream';
import { connect as connectTls, createSecureContext, type SecureContext } from 'node:tls';
import { CONNECTION_AGE_MS_MAX, type TlsSettings } from './http-types.ts';
import { type ProxySettings, proxyFor } from './proxy.ts';
import { tlsOptions } from './tls-options.ts';
import { openTunnel } from './tunnel.ts';

const SOCKETS_MAX = 256;

export interface RoutedAgentOptions {
  readonly tls: TlsSettings;
  readonly proxies?: ProxySettings | undefined;
}

type OnCreate = (error: Error | null, socket: Duplex) => void;

export class RoutedHttpsAgent extends HttpsAgent {
  readonly #proxies: ProxySettings | undefined;
  readonly #verifies: boolean;
  readonly #context: SecureContext | undefined;
  readonly #ages = new Ages();

  constructor({ tls, proxies }: RoutedAgentOptions) {
    const context = tls.ca && createSecureContext({ ca: [...tls.ca] });
    super({
      keepAlive: true,
      maxSockets: SOCKETS_MAX,
      rejectUnauthorized: tls.verifies,
      ...(context ? { secureContext: context } : {}),
    });
    this.#proxies = proxies;
    this.#verifies = tls.verifies;
    this.#context = context;
  }

  override createConnection(options: RequestOptions, callback?: OnCreate): Duplex | null | undefined {
    const host = options.host ?? 'localhost';
    const origin = { isTls: true, host, port: Number(options.port ?? 443) };
    const proxy = proxyFor(origin, this.#proxies);
    // A proxy that is spoken to over TLS is itself such a server when plain requests are given to it.
    const isProxyItself = this.#proxies?.http?.host === host && this.#proxies.http.port === origin.port;
    // `skipverify` is said of the storage, not of a proxy.
    if (isProxyItself) return super.createConnection({ ...options, rejectUnauthorized: true }, callback);
    if (!proxy || !callback) return super.createConnection(options, callback);
    const tunnel = openTunnel(proxy, origin, this.#context);
    tunnel.ready.then(
      () => {
        const security = tlsOptions(host, this.#verifies, this.#context);
        callback(null, connectTls({ socket: tunnel.socket, host, ...security }));
      },
      // Node looks at the socket only where there is no error.
      (error: Error) => callback(error, tunnel.socket),
    );
    return undefined;
  }

  override keepSocketAlive(socket: Duplex): boolean {
    return this.#ages.isYoung(socket) && (super.keepSocketAlive(socket) as unknown) !== false;
  }
}

export class AgedHttpAgent extends HttpAgent {
  readonly #ages = new Ages();

  constructor() {
    super({ keepAlive: true, maxSockets: SOCKETS_MAX });
  }

  override keepSocketAlive(socket: Duplex): boolean {
    return this.#ages.isYoung(socket) && (super.keepSocketAlive(socket) as unknown) !== false;
  }
}

/** Counted from the end of a connection's first request, which is near enough. */
class Ages {
  readonly #seenMs = new WeakMap<Duplex, number>();

  isYoung(socket: Duplex): boolean {
    const now = Date.now();
    const seenMs = this.#seenMs.get(socket);
    if (seenMs === undefined) this.#seenMs.set(socket, now);
    return now - (seenMs ?? now) < CONNECTION_AGE_MS_MAX;
  }
}
