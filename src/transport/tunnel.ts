/** The way through a proxy to a server that speaks TLS: CONNECT (RFC 9110 section 9.3.6), and what refusals mean. */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext } from 'node:tls';
import { authorityOf, type Origin, WireError } from './http-types.ts';
import type { HttpProxy } from './proxy.ts';
import { tlsOptions } from './tls-options.ts';
import { connectError } from './wire-errors.ts';

const CONNECT_TIMEOUT_MS = 10_000;
/** A proxy may itself wait for a server that does not answer. */
const ANSWER_TIMEOUT_MS = 30_000;
const HEAD_BYTES_MAX = 16 * 1024;
const HEAD_END = Buffer.from('\r\n\r\n');

export interface Tunnel {
  /** The connection to the proxy, which may be destroyed at any time. */
  readonly socket: Socket;
  /** Bytes go to the server and come from it. Rejects with a WireError; the socket is destroyed then. */
  readonly ready: Promise<void>;
}

/** @param context what a proxy that is itself spoken to over TLS is verified with; Node's own set where absent. */
export function openTunnel(proxy: HttpProxy, origin: Origin, context?: SecureContext): Tunnel {
  const address = { host: proxy.host, port: proxy.port, noDelay: true };
  const socket = proxy.isTls
    ? connectTls({ ...address, ...tlsOptions(proxy.host, true, context) })
    : connectTcp(address);
  const ready = handshake(socket, proxy, origin).catch((error: unknown) => {
    socket.destroy();
    throw error;
  });
  // Whoever destroys the socket no longer asks.
  ready.catch(() => undefined);
  return { socket, ready };
}

async function handshake(socket: Socket, proxy: HttpProxy, origin: Origin): Promise<void> {
  // Errors behind the handshake are those of the TLS socket above, which reports them itself.
  socket.on('error', () => undefined);
  await happens(socket, proxy.isTls ? 'secureConnect' : 'connect', proxy);
  const authority = authorityOf(origin);
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${authorizationLine(proxy)}\r\n`);
  const head = await answerHead(socket, proxy);
  const [, status, reason] = /^HTTP\/1\.[01] (\d{3})(?: ([^\r\n]*))?/.exec(head) ?? [];
  if (status === undefined) throw notAProxy(proxy);
  if (!status.startsWith('2')) throw refusalOf(proxy, origin, { status: Number(status), reason });
}

function happens(socket: Socket, event: 'connect' | 'secureConnect', proxy: HttpProxy): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (cause?: unknown): void => {
      stop();
      reject(connectError(cause, proxy.name));
    };
    const stop = listen(socket, {
      [event]: () => {
        stop();
        resolve();
      },
      error: fail,
      close: () => fail(),
      timeout: () => fail(new Error(`no connection within ${CONNECT_TIMEOUT_MS / 1000} s`)),
    });
    socket.setTimeout(CONNECT_TIMEOUT_MS);
  });
}

/** Leaves the socket paused, with nothing of what follows the head read by anybody. */
function answerHead(socket: Socket, proxy: HttpProxy): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const fail = (error: WireError): void => {
      stop();
      reject(error);
    };
    const gone = (): void => {
      const text = `the proxy ${proxy.name} closed the connection without an answer`;
      fail(new WireError('proxy', text));
    };
    const stop = listen(socket, {
      data: (chunk) => {
        received = Buffer.concat([received, chunk as Buffer]);
        const end = received.indexOf(HEAD_END);
        if (end < 0 && received.length <= HEAD_BYTES_MAX) return;
        const hasMore = received.length > end + HEAD_END.length;
        // A server that speaks TLS is silent until it is spoken to, so what else came is no tunnel.
        if (end < 0 || (hasMore && isSuccess(received))) return fail(notAProxy(proxy));
        stop();
        socket.pause();
        socket.setTimeout(0);
        resolve(received.toString('latin1', 0, end));
      },
      end: gone,
      close: gone,
      timeout: () => {
        const text = `the proxy ${proxy.name} did not answer within ${ANSWER_TIMEOUT_MS / 1000} s`;
        fail(new WireError('proxy', text));
      },
    });
    socket.setTimeout(ANSWER_TIMEOUT_MS);
  });
}

/** @returns takes exactly these listeners away again: Node has some of its own on every socket. */
function listen(socket: Socket, listeners: Readonly<Record<string, (value?: unknown) => void>>): () => void {
  for (const [event, listener] of Object.entries(listeners)) socket.on(event, listener);
  return () => {
    for (const [event, listener] of Object.entries(listeners)) socket.removeListener(event, listener);
  };
}

function isSuccess(received: Buffer): boolean {
  return received.subarray(9, 10).toString('latin1') === '2';
}

export function authorizationLine(proxy: HttpProxy): string {
  return proxy.authorization === undefined ? '' : `Proxy-Authorization: ${proxy.authorization}\r\n`;
}

function notAProxy(proxy: HttpProxy): WireError {
  return new WireError(
    'proxy-refused',
    `the proxy ${proxy.name} does not answer as an HTTP proxy does`,
    undefined,
    'Check host, port and scheme of the proxy in HTTPS_PROXY or HTTP_PROXY',
  );
}

export interface ProxyAnswer {
  readonly status: number;
  readonly reason?: string | undefined;
}

/** An answer of the proxy's own instead of the server's. */
export function refusalOf(proxy: HttpProxy, origin: Origin, { status, reason }: ProxyAnswer): WireError {
  const said = reason ? `${status} ${reason.replace(/[^\x20-\x7e]/g, '').slice(0, 60)}` : String(status);
  const server = authorityOf(origin);
  if (status === 407) {
    const what = proxy.authorization
      ? 'does not accept the user name and password that it was given'
      : 'asks for a user name and a password';
    const hint =
      'Put them into the proxy variable, as in HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT, with special characters as %XX';
    return new WireError('proxy-refused', `the proxy ${proxy.name} ${what} (${said})`, undefined, hint);
  }
  if (status >= 500) {
    const hint = `Check the endpoint, and that the proxy may reach it; with its host in NO_PROXY it is reached without the proxy`;
    return new WireError(
      'proxy',
      `the proxy ${proxy.name} could not reach ${server} (${said})`,
      undefined,
      hint,
    );
  }
  const hint = 'Have the host and port allowed in the proxy, or put the host into NO_PROXY';
  const text = `the proxy ${proxy.name} does not let connections to ${server} through (${said})`;
  return new WireError('proxy-refused', text, undefined, hint);
}
