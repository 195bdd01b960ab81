/**
 * One HTTP/1.1 connection: sends a request, reads the answer, and says whether it may be used again. Sockets read
 * straight into the buffer that the parser names (`onread`), so a body of known length is copied once, by the kernel.
 *
 * Contract: one request at a time; the answer may come before the request is sent whole (then the connection is not
 * used again); a connection is reused only after a whole answer to a whole request; every failure is a WireError,
 * except an abort, which rejects with the signal's reason.
 */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import {
  type HttpRequest,
  type HttpResponse,
  type Origin,
  type TlsSettings,
  WireError,
} from './http-types.ts';
import { ResponseParser } from './response-parser.ts';

const CONNECT_TIMEOUT_MS = 10_000;
/** Bodies up to this size go out in one piece with the head: one copy is cheaper than a second buffer to write. */
const JOINED_BODY_BYTES = 16 * 1024;
/** A transfer that moves less than this per window is cut: a trickle looks alive to an idle timeout (rclone #9841). */
const WINDOW_MS = 30_000;
const WINDOW_BYTES_MIN = 32 * 1024;

interface Exchange {
  readonly request: HttpRequest;
  readonly resolve: (response: HttpResponse) => void;
  readonly reject: (error: unknown) => void;
  isSent: boolean;
  sentAtMs: number;
  windowAtMs: number;
  windowBytes: number;
}

export class Connection {
  /** Set once the socket can carry no further request. */
  isClosed = false;
  idleSinceMs = 0;
  readonly #socket: Socket;
  readonly #parser = new ResponseParser();
  readonly #onIdle: (connection: Connection) => void;
  #exchange: Exchange | undefined;
  #requests = 0;
  #isConnected = false;

  constructor(origin: Origin, tls: TlsSettings, onIdle: (connection: Connection) => void) {
    this.#onIdle = onIdle;
    const onread = {
      buffer: () => this.#parser.target(),
      callback: (count: number, buffer: Uint8Array) => {
        this.#onBytes(buffer.subarray(0, count));
        return true;
      },
    };
    const address = { host: origin.host, port: origin.port, noDelay: true, onread };
    this.#socket = origin.isTls
      ? connectTls({
          ...address,
          // A name is needed for SNI; an address must not be sent as one (RFC 6066 section 3).
          ...(/^[\d.]+$|:/.test(origin.host) ? {} : { servername: origin.host }),
          rejectUnauthorized: tls.verifies,
          ALPNProtocols: ['http/1.1'],
          ...(tls.ca ? { ca: [...tls.ca] } : {}),
        })
      : connectTcp(address);
    this.#socket.setTimeout(CONNECT_TIMEOUT_MS, () => {
      this.#fail(new WireError('connect', `No connection within ${CONNECT_TIMEOUT_MS / 1000} s`));
    });
    this.#socket.once(origin.isTls ? 'secureConnect' : 'connect', () => {
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
    const now = Date.now();
    return new Promise((resolve, reject) => {
      this.#exchange = {
        request,
        resolve,
        reject,
        isSent: false,
        sentAtMs: now,
        windowAtMs: now,
        windowBytes: 0,
      };
      this.#requests += 1;
      this.#parser.begin({
        isHead: request.method === 'HEAD',
        into: request.into,
        collectBytesMax: request.collectBytesMax,
      });
      this.#write(this.#exchange);
    });
  }

  /** Ends the connection; a running exchange rejects with this reason. */
  destroy(reason: unknown): void {
    this.#fail(reason);
  }

  /** Called about once a second: cuts an exchange that waits too long for its head, or that trickles. */
  watch(nowMs: number): void {
    const exchange = this.#exchange;
    if (!exchange || !this.#isConnected) return;
    if (exchange.isSent && !this.#parser.hasHead) {
      if (nowMs - exchange.sentAtMs > exchange.request.headTimeoutMs) {
        const seconds = Math.round(exchange.request.headTimeoutMs / 1000);
        this.#fail(new WireError('timeout', `No answer within ${seconds} s`));
      }
      return;
    }
    if (nowMs - exchange.windowAtMs < WINDOW_MS) return;
    // Bytes still in this process's send buffer have not moved.
    if (exchange.windowBytes + this.#socket.bytesWritten - this.#socket.writableLength < WINDOW_BYTES_MIN) {
      this.#fail(
        new WireError('too-slow', `Fewer than ${WINDOW_BYTES_MIN} bytes moved in ${WINDOW_MS / 1000} s`),
      );
      return;
    }
    exchange.windowAtMs = nowMs;
    exchange.windowBytes = -(this.#socket.bytesWritten - this.#socket.writableLength);
  }

  #write(exchange: Exchange): void {
    const { request } = exchange;
    exchange.windowBytes = -(this.#socket.bytesWritten - this.#socket.writableLength);
    const hasLength = request.bodyBytes > 0 || request.method === 'PUT' || request.method === 'POST';
    const head = `${request.method} ${request.target} HTTP/1.1\r\n${request.headerLines}${
      hasLength ? `Content-Length: ${request.bodyBytes}\r\n` : ''
    }\r\n`;
    const onSent = () => this.#sent(exchange);
    const { body } = request;
    if (body === undefined || request.bodyBytes === 0) {
      this.#socket.write(head, 'latin1', onSent);
    } else if (!(body instanceof Uint8Array)) {
      this.#socket.write(head, 'latin1');
      this.#writePieces(exchange, body).then(onSent, (error: unknown) => {
        if (this.#exchange === exchange) this.#fail(error);
      });
    } else if (body.length <= JOINED_BODY_BYTES) {
      const joined = Buffer.allocUnsafe(head.length + body.length);
      joined.write(head, 'latin1');
      joined.set(body, head.length);
      this.#socket.write(joined, onSent);
    } else {
      this.#socket.cork();
      this.#socket.write(head, 'latin1');
      this.#socket.write(body, onSent);
      this.#socket.uncork();
    }
  }

  async #writePieces(exchange: Exchange, pieces: AsyncIterable<Uint8Array>): Promise<void> {
    let sent = 0;
    for await (const piece of pieces) {
      if (this.#exchange !== exchange) return;
      sent += piece.length;
      if (sent > exchange.request.bodyBytes)
        throw new WireError('malformed', 'The body is longer than announced');
      // The piece's memory is only ours until the next one is asked for.
      await new Promise<void>((resolve, reject) => {
        this.#socket.write(piece, (error) => (error ? reject(this.#wireError(error)) : resolve()));
      });
    }
    if (sent !== exchange.request.bodyBytes)
      throw new WireError('malformed', 'The body is shorter than announced');
  }

  #sent(exchange: Exchange): void {
    exchange.isSent = true;
    exchange.sentAtMs = Date.now();
  }

  #onBytes(bytes: Uint8Array): void {
    const exchange = this.#exchange;
    if (!exchange) {
      this.#fail(new WireError('malformed', 'The server sent bytes that no request asked for'));
      return;
    }
    exchange.windowBytes += bytes.length;
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
    if (parser.keepsAlive && exchange.isSent && !this.isClosed) {
      this.idleSinceMs = Date.now();
      this.#onIdle(this);
    } else {
      this.#shut();
    }
    exchange.resolve(response);
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
    const text = cause?.message ?? 'The server closed the connection';
    if (!this.#isConnected) {
      const isTls =
        cause?.code !== undefined &&
        /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|EPROTO)/.test(cause.code);
      return new WireError(isTls ? 'tls' : 'connect', text, cause);
    }
    if (this.#parser.hasStarted) return new WireError('truncated', 'The answer ended in the middle', cause);
    return new WireError(this.#requests > 1 ? 'stale' : 'reset', text, cause);
  }
}
