/**
 * One HTTP/1.1 connection: sends a request, reads the answer, and says whether it may be used again. Sockets read
 * straight into the buffer that the parser names (`onread`), so a body of known length is copied once, by the kernel.
 *
 * Contract: one request at a time; the answer may come before the request is sent whole (then the connection is not
 * used again, and a success that comes before the body was given is none); a connection is reused only after a whole
 * answer to a whole request; every failure is a WireError, except an abort, which rejects with the signal's reason, and
 * what an iterable body throws.
 */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext } from 'node:tls';
import { type Exchange, judgePace, newExchange, openWindow } from './exchange.ts';
import {
  type HttpRequest,
  type HttpResponse,
  type Origin,
  type TlsSettings,
  WireError,
} from './http-types.ts';
import type { HttpProxy } from './proxy.ts';
import { ResponseParser } from './response-parser.ts';
import { tlsOptions } from './tls-options.ts';
import { openTunnel } from './tunnel.ts';
import { connectError, reasonOf } from './wire-errors.ts';

const CONNECT_TIMEOUT_MS = 10_000;
const SILENT_HINT =
  'If the server speaks plain HTTP on this port, write http:// in the endpoint; else check the server';
/** Bodies up to this size go out in one piece with the head: one copy is cheaper than a second buffer to write. */
const JOINED_BODY_BYTES = 16 * 1024;
/**
 * Larger bodies go out a slice at a time: what a slow line takes of one large write cannot be seen before all of it is
 * gone, and TLS would encrypt the whole of it into memory first. Slices of 128 KiB cost 0.1 CPU seconds per GiB, those
 * of 512 KiB 0.04. A connection begins with small ones and doubles them as long as they go out quickly, so that on a slow
 * line, or one of many connections on a shared line, the watchdog sees what moves.
 */
const SLICE_BYTES_MIN = 16 * 1024;
const SLICE_BYTES_MAX = 512 * 1024;
const QUICK_SLICE_MS = 500;

export interface ConnectionOptions {
  /** What certificates are verified with; Node's own set where absent. */
  readonly context?: SecureContext | undefined;
  readonly proxy?: HttpProxy | undefined;
}

export class Connection {
  /** Set once the socket can carry no further request. */
  isClosed = false;
  idleSinceMs = 0;
  readonly openedMs = Date.now();
  #socket: Socket;
  readonly #parser = new ResponseParser();
  #exchange: Exchange | undefined;
  #requests = 0;
  #receivedBytes = 0;
  #isConnected = false;
  #sliceBytes = SLICE_BYTES_MIN;
  #isTunnelling = false;
  /** Behind the last answer there may be bytes that came with it and that nobody has seen yet. */
  #mayHaveMore = false;
  /** Of a proxy that plain requests are sent to. */
  #proxyName: string | undefined;

  constructor(origin: Origin, tls: TlsSettings, options: ConnectionOptions = {}) {
    const { proxy, context } = options;
    if (proxy && origin.isTls) {
      this.#socket = this.#openTunnel(proxy, origin, { tls, context });
      return;
    }
    const onread = {
      buffer: () => this.#parser.target(),
      callback: (count: number, buffer: Uint8Array) => {
        // TLS hands over a record at a time, and the next one may be there already.
        this.#mayHaveMore = isTls || count === buffer.length;
        this.#onBytes(buffer.subarray(0, count));
        return true;
      },
    };
    this.#proxyName = proxy?.name;
    const { host, port, isTls } = proxy ?? origin;
    const address = { host, port, noDelay: true, onread };
    // `skipverify` is said of the storage, not of a proxy.
    const verifies = proxy !== undefined || tls.verifies;
    this.#socket = isTls
      ? connectTls({ ...address, ...tlsOptions(host, verifies, context) })
      : connectTcp(address);
    this.#listen(isTls);
  }

  /** Requests wait until the tunnel is there. A socket that is given cannot read straight into a buffer of ours. */
  #openTunnel(
    proxy: HttpProxy,
    origin: Origin,
    security: { readonly tls: TlsSettings; readonly context: SecureContext | undefined },
  ): Socket {
    const { socket, ready } = openTunnel(proxy, origin, security.context);
    this.#isTunnelling = true;
    ready.then(
      () => {
        if (this.isClosed) return;
        const { host } = origin;
        const options = tlsOptions(host, security.tls.verifies, security.context);
        this.#socket = connectTls({ socket, host, ...options });
        this.#isTunnelling = false;
        this.#listen(true, true);
        this.#socket.on('data', (bytes: Buffer) => {
          this.#mayHaveMore = true;
          this.#onBytes(bytes);
        });
        if (this.#exchange) this.#write(this.#exchange);
      },
      (error: unknown) => this.#fail(error),
    );
    return socket;
  }

  /** @param isReached the TCP connection is there already. */
  #listen(isTls: boolean, isReached = false): void {
    let isWaitingForTls = isTls && isReached;
    this.#socket.once('connect', () => {
      isWaitingForTls = isTls;
    });
    this.#socket.setTimeout(CONNECT_TIMEOUT_MS, () => {
      const within = `within ${CONNECT_TIMEOUT_MS / 1000} s`;
      const what = isWaitingForTls ? `no answer to the TLS handshake ${within}` : `no connection ${within}`;
      this.#fail(connectError(new Error(what), this.#proxyName, isWaitingForTls ? SILENT_HINT : undefined));
    });
    this.#socket.once(isTls ? 'secureConnect' : 'connect', () => {
      this.#isConnected = true;
      this.#socket.setTimeout(0);
      // Without this TLS sockets wait 40 ms for the peer's acknowledgement between small records.
      this.#socket.setNoDelay(true);
    });
    this.#socket.on('error', (error) => this.#fail(this.#wireError(error)));
    this.#socket.on('end', () => this.#onEnd());
    this.#socket.on('close', () => this.#fail(this.#wireError(undefined)));
  }

  send(request: HttpRequest): Promise<HttpResponse> {
    return new Promise((resolve, reject) => {
      this.#exchange = newExchange({ request, resolve, reject }, Date.now(), this.#movedBytes());
      this.#requests += 1;
      this.#parser.begin({
        isHead: request.method === 'HEAD',
        into: request.into,
        collectBytesMax: request.collectBytesMax,
      });
      if (!this.#isTunnelling) this.#begin(this.#exchange);
    });
  }

  /** A body is read to its last byte and no further, so what a server sends behind it must get the time to be seen. */
  #begin(exchange: Exchange): void {
    if (!this.#mayHaveMore) {
      this.#write(exchange);
      return;
    }
    this.#mayHaveMore = false;
    setImmediate(() => {
      if (this.#exchange === exchange) this.#write(exchange);
    });
  }

  /** Ends the connection; a running exchange rejects with this reason. */
  destroy(reason: unknown): void {
    this.#fail(reason);
  }

  /** Called about once a second: cuts an exchange that waits too long for its head, or that trickles or stalls. */
  watch(nowMs: number): void {
    const exchange = this.#exchange;
    if (!exchange) return;
    const { headTimeoutMs } = exchange.request;
    const isThinking = exchange.isSent && !this.#parser.hasHead;
    if (isThinking && nowMs - exchange.sentAtMs > headTimeoutMs) {
      this.#fail(new WireError('timeout', `No answer within ${Math.round(headTimeoutMs / 1000)} s`));
      return;
    }
    // Connecting has its own limit; the time that the server took to think, or we to read what is sent, is no body's.
    const isStarved = exchange.isWaitingForBody && this.#socket.writableLength === 0;
    const moved = this.#movedBytes();
    if (!this.#isConnected || isThinking || isStarved) {
      openWindow(exchange, nowMs, moved);
      return;
    }
    const fault = judgePace(exchange, nowMs, moved);
    if (fault) this.#fail(fault);
  }

  /** Counts the time until now for nothing: this process stood still, and may have missed what came. */
  pardon(nowMs: number): void {
    const exchange = this.#exchange;
    if (!exchange) return;
    exchange.sentAtMs = nowMs;
    openWindow(exchange, nowMs, this.#movedBytes());
  }

  /** Both ways together; bytes still in this process's send buffer have not moved. */
  #movedBytes(): number {
    return this.#receivedBytes + this.#socket.bytesWritten - this.#socket.writableLength;
  }

  #write(exchange: Exchange): void {
    exchange.isBegun = true;
    const { body, bodyBytes, method, target, headerLines } = exchange.request;
    const hasLength = bodyBytes > 0 || method === 'PUT' || method === 'POST';
    const length = hasLength ? `Content-Length: ${bodyBytes}\r\n` : '';
    const head = `${method} ${target} HTTP/1.1\r\n${headerLines}${length}\r\n`;
    const onSent = () => this.#sent(exchange);
    if (body !== undefined && !(body instanceof Uint8Array)) {
      this.#writePieces(exchange, Buffer.from(head, 'latin1'), body).then(onSent, (error: unknown) => {
        if (this.#exchange === exchange) this.#fail(error);
      });
      return;
    }
    if ((body?.length ?? 0) !== bodyBytes) {
      this.#fail(new WireError('malformed', `The body is not as long as announced: ${bodyBytes} bytes`));
    } else if (body === undefined || bodyBytes === 0) {
      exchange.isGiven = true;
      this.#socket.write(head, 'latin1', onSent);
    } else if (body.length <= JOINED_BODY_BYTES) {
      exchange.isGiven = true;
      const joined = Buffer.allocUnsafe(head.length + body.length);
      joined.write(head, 'latin1');
      joined.set(body, head.length);
      this.#socket.write(joined, onSent);
    } else {
      this.#socket.cork();
      this.#socket.write(head, 'latin1');
      this.#writeSlices(exchange, body, { isEnd: true }, onSent);
      this.#socket.uncork();
    }
  }

  /** @param isEnd the request ends with these bytes. */
  #writeSlices(
    exchange: Exchange,
    bytes: Uint8Array,
    { isEnd }: { readonly isEnd: boolean },
    onDone: (error?: Error) => void,
  ): void {
    const slice = bytes.subarray(0, this.#sliceBytes);
    const isLast = slice.length === bytes.length;
    if (isLast && isEnd) exchange.isGiven = true;
    const beganMs = performance.now();
    this.#socket.write(slice, (error) => {
      this.#fitSlices(slice.length, performance.now() - beganMs);
      // A finished exchange has no use for the rest; a failed write fails it by the socket's own event.
      if (error || isLast || this.#exchange !== exchange) onDone(error ?? undefined);
      else this.#writeSlices(exchange, bytes.subarray(slice.length), { isEnd }, onDone);
    });
  }

  #fitSlices(bytes: number, ms: number): void {
    if (bytes < this.#sliceBytes) return;
    const next = ms < QUICK_SLICE_MS ? 2 * bytes : ms < 4 * QUICK_SLICE_MS ? bytes : bytes / 2;
    this.#sliceBytes = Math.max(SLICE_BYTES_MIN, Math.min(SLICE_BYTES_MAX, next));
  }

  /**
   * The last byte (of an empty body: the head) waits until the body says that it is at its end. One that turns out
   * longer than announced, or fails at last, must not have become an object.
   */
  async #writePieces(exchange: Exchange, head: Buffer, pieces: AsyncIterable<Uint8Array>): Promise<void> {
    let left = exchange.request.bodyBytes;
    let last = head;
    if (left > 0) this.#socket.write(head);
    exchange.isWaitingForBody = true;
    for await (const piece of pieces) {
      exchange.isWaitingForBody = false;
      if (piece.length > left) throw new WireError('malformed', 'The body is longer than announced');
      if (this.#exchange !== exchange) return;
      left -= piece.length;
      if (left === 0 && piece.length > 0) last = Buffer.of(piece.at(-1) ?? 0);
      // The piece's memory is only ours until the next one is asked for.
      await this.#writePiece(exchange, left === 0 ? piece.subarray(0, -1) : piece, { isEnd: false });
      exchange.isWaitingForBody = true;
    }
    exchange.isWaitingForBody = false;
    if (left > 0) throw new WireError('malformed', 'The body is shorter than announced');
    if (this.#exchange === exchange) await this.#writePiece(exchange, last, { isEnd: true });
  }

  #writePiece(exchange: Exchange, piece: Uint8Array, end: { readonly isEnd: boolean }): Promise<void> {
    if (piece.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#writeSlices(exchange, piece, end, (error) =>
        error ? reject(this.#wireError(error)) : resolve(),
      );
    });
  }

  #sent(exchange: Exchange): void {
    exchange.isSent = true;
    exchange.sentAtMs = Date.now();
  }

  #onBytes(bytes: Uint8Array): void {
    const exchange = this.#exchange;
    if (!exchange?.isBegun) {
      // For a request that waits it is as if the connection had ended: another one serves it.
      this.#fail(new WireError('stale', 'The server sent bytes that no request asked for'));
      return;
    }
    this.#receivedBytes += bytes.length;
    try {
      this.#parser.consume(bytes);
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (this.#parser.isDone) this.#finish(exchange);
  }

  #onEnd(): void {
    const exchange = this.#exchange;
    if (exchange && this.#parser.end()) this.#finish(exchange);
    else this.#fail(this.#wireError(undefined));
  }

  #finish(exchange: Exchange): void {
    const parser = this.#parser;
    this.#exchange = undefined;
    const response: HttpResponse = {
      status: parser.status,
      headers: parser.headers,
      body: parser.takeBody(),
      intoBytes: parser.intoBytes,
      isOverflow: parser.isOverflow,
    };
    if (parser.keepsAlive && exchange.isSent && !this.isClosed) this.idleSinceMs = Date.now();
    else this.#shut();
    // A refusal may come at any time, but nobody can have taken what was not even given.
    if (exchange.isGiven || response.status >= 300) exchange.resolve(response);
    else exchange.reject(new WireError('malformed', 'The server said success before it had the whole body'));
  }

  #shut(): void {
    this.isClosed = true;
    this.#socket.destroy();
  }

  #fail(error: unknown): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    if (!this.isClosed) this.#shut();
    exchange?.reject(error);
  }

  #wireError(cause: NodeJS.ErrnoException | undefined): WireError {
    if (!this.#isConnected) return connectError(cause, this.#proxyName);
    if (this.#parser.hasStarted) return new WireError('truncated', 'The answer ended in the middle', cause);
    return new WireError(this.#requests > 1 ? 'stale' : 'reset', reasonOf(cause), cause);
  }
}
