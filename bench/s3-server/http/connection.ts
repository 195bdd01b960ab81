/** One keep-alive connection: heads and bodies in, responses out, faults of the wire's kind. */
import type { Socket } from 'node:net';
import type { Exchange } from '../s3/exchange.ts';
import type { Response } from '../s3/operation.ts';
import type { S3Service } from '../s3/service.ts';
import type { StatsCounter } from '../stats.ts';
import { SmallContent } from '../store/content.ts';
import { pumpBody } from './body-pump.ts';
import { ChunkedDecoder } from './chunked.ts';
import { RateLimiter } from './rate-limiter.ts';
import { bodyFraming, HEAD_BYTES_MAX, parseRequestHead, type RequestHead, tooLarge } from './request-head.ts';
import { responseHead } from './response-head.ts';

/** How long a refused client may go on sending before its connection is cut. */
const LINGER_MS = 2000;
const END_OF_HEAD = Buffer.from('\r\n\r\n');

/** `answering`: the response is under way, perhaps while the rest of the body is still coming and thrown away. */
interface Current {
  readonly head: RequestHead;
  readonly exchange: Exchange;
  isBodyDone: boolean;
  bodyLeft: number;
  readonly chunked: ChunkedDecoder | undefined;
  bodyBytes: number;
  /** Of `performance.now()`. */
  readonly beganMs: number;
  isAnswering: boolean;
  isAnswered: boolean;
  closesAfter: boolean;
}

export class Connection {
  readonly #socket: Socket;
  readonly #wire: Socket;
  readonly #service: S3Service;
  readonly #stats: StatsCounter;
  #input: Buffer | undefined;
  #current: Current | undefined;
  #isAdvancing = false;
  #isClosing = false;
  #isHanging = false;
  #limiterUp: RateLimiter | undefined;
  #limiterDown: RateLimiter | undefined;

  /** @param wire the TCP socket below, where `socket` is a TLS one. */
  constructor(socket: Socket, wire: Socket, service: S3Service, stats: StatsCounter) {
    this.#socket = socket;
    this.#wire = wire;
    this.#service = service;
    this.#stats = stats;
    stats.connections += 1;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('close', () => this.#closed());
    // Clients break connections whenever they like; 'close' follows and cleans up.
    socket.on('error', () => undefined);
  }

  get bytesWritten(): number {
    return this.#socket.bytesWritten;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #closed(): void {
    this.#isClosing = true;
    if (this.#current) this.#forget(this.#current);
    this.#input = undefined;
  }

  #receive(chunk: Buffer): void {
    this.#stats.bytesIn += chunk.length;
    if (this.#isClosing || this.#isHanging) return;
    this.#input = this.#input ? Buffer.concat([this.#input, chunk]) : chunk;
    const wait = this.#limiterUp?.take(chunk.length) ?? 0;
    if (wait > 0) {
      this.#socket.pause();
      setTimeout(() => this.#socket.resume(), wait).unref();
    }
    this.#advance();
  }

  /** Works off what has come until something has to be waited for. */
  #advance(): void {
    if (this.#isAdvancing) return;
    this.#isAdvancing = true;
    while (!this.#isClosing && !this.#isHanging && this.#step());
    this.#isAdvancing = false;
  }

  /** @returns false when there is nothing to do before the next event. */
  #step(): boolean {
    const current = this.#current;
    if (!current) return this.#takeHead();
    if (current.isAnswered && (current.isBodyDone || current.closesAfter)) {
      this.#endExchange(current);
      return true;
    }
    if (!current.isBodyDone) {
      if (!this.#input) return false;
      this.#takeBody(current, this.#input);
      return true;
    }
    if (!current.isAnswering) this.#answer(current);
    if (current.isAnswered) return true;
    // What a client sends ahead waits in the kernel.
    if (this.#input) this.#socket.pause();
    return false;
  }

  #takeHead(): boolean {
    while (this.#input?.[0] === 0x0d && this.#input[1] === 0x0a) this.#consume(this.#input, 2);
    const input = this.#input;
    if (!input) return false;
    const end = input.indexOf(END_OF_HEAD);
    if (end < 0 && input.length <= HEAD_BYTES_MAX) return false;
    this.#consume(input, end < 0 ? input.length : end + END_OF_HEAD.length);
    try {
      if (end < 0 || end > HEAD_BYTES_MAX) throw tooLarge();
      const head = parseRequestHead(input.toString('latin1', 0, end));
      this.#begin(head);
    } catch (error) {
      this.#refuse(error);
    }
    return true;
  }

  #consume(input: Buffer, bytes: number): void {
    this.#input = bytes < input.length ? input.subarray(bytes) : undefined;
  }

  #begin(head: RequestHead): void {
    const framing = bodyFraming(head.headers);
    const exchange = this.#service.open(head, framing);
    this.#setCurrent(exchange, head);
    if (exchange.faults.use('reset')) {
      this.#reset();
      return;
    }
    if (this.#hangs(exchange)) return;
    this.#limit(exchange);
    // Also without a body: botocore takes a final answer in its place for that of the connection's next request.
    const expects = head.headers.get('expect')?.toLowerCase() === '100-continue';
    if (expects && !exchange.failure) this.#socket.write('HTTP/1.1 100 Continue\r\n\r\n', 'latin1');
    this.#answerEarly(expects);
  }

  #setCurrent(exchange: Exchange, head: RequestHead): void {
    const { framing } = exchange;
    this.#stats.began();
    this.#current = {
      head,
      exchange,
      isBodyDone: framing.kind === 'none',
      bodyLeft: framing.kind === 'length' ? framing.bytes : 0,
      chunked:
        framing.kind === 'chunked'
          ? new ChunkedDecoder((piece) => this.#bodyPiece(exchange, piece))
          : undefined,
      bodyBytes: 0,
      beganMs: performance.now(),
      isAnswering: false,
      isAnswered: false,
      closesAfter: !head.keepsAlive,
    };
  }

  /** A head that cannot be read: what follows it cannot be either. */
  #refuse(error: unknown): void {
    const head: RequestHead = {
      method: 'GET',
      rawPath: '/',
      rawQuery: '',
      headers: new Map(),
      keepsAlive: false,
    };
    this.#setCurrent(this.#service.open(head, { kind: 'none' }, error), head);
  }

  #hangs(exchange: Exchange): boolean {
    const hang = exchange.faults.use('hang');
    if (!hang) return false;
    this.#isHanging = true;
    if (hang.ms !== undefined) setTimeout(() => this.#reset(), hang.ms).unref();
    return true;
  }

  #limit(exchange: Exchange): void {
    const fault = exchange.faults.use('bandwidth');
    const direction = fault?.direction ?? 'both';
    this.#limiterUp = adjusted(this.#limiterUp, direction === 'down' ? undefined : fault?.bytesPerSecond);
    this.#limiterDown = adjusted(this.#limiterDown, direction === 'up' ? undefined : fault?.bytesPerSecond);
  }

  #takeBody(current: Current, input: Buffer): void {
    if (current.chunked) {
      try {
        this.#consume(input, current.chunked.write(input));
      } catch (error) {
        // The end of the body cannot be found any more.
        current.exchange.fail(error);
        current.closesAfter = true;
        current.isBodyDone = true;
      }
      if (current.chunked.isDone) current.isBodyDone = true;
    } else {
      const take = Math.min(current.bodyLeft, input.length);
      this.#consume(input, take);
      current.bodyLeft -= take;
      if (current.bodyLeft === 0) current.isBodyDone = true;
      this.#bodyPiece(current.exchange, take === input.length ? input : input.subarray(0, take));
    }
    this.#answerEarly(false);
  }

  #bodyPiece(exchange: Exchange, piece: Buffer): void {
    const current = this.#current;
    if (!current) return;
    current.bodyBytes += piece.length;
    const cut = exchange.faults.peek('cut-request');
    if (cut && current.bodyBytes >= cut.afterBytes) {
      exchange.faults.use('cut-request');
      this.#reset();
      return;
    }
    exchange.write(piece);
  }

  /** A refusal does not wait for the rest of the body. @param isUnread the client may rightly never send the body. */
  #answerEarly(isUnread: boolean): void {
    const current = this.#current;
    if (!current?.exchange.failure || current.isAnswering) return;
    if (isUnread) current.closesAfter = true;
    if (current.exchange.failure.details.closesConnection) current.closesAfter = true;
    if (!current.isBodyDone || current.closesAfter) this.#answer(current);
  }

  #answer(current: Current): void {
    current.isAnswering = true;
    this.#stats.moved('in', current.bodyBytes, current.beganMs);
    const wait = current.exchange.faults.useLatencyMs();
    if (wait === 0) this.#answerNow(current);
    else setTimeout(() => this.#answerNow(current), wait).unref();
  }

  #answerNow(current: Current): void {
    if (this.#current !== current || this.#isClosing) return;
    const { exchange } = current;
    const response = exchange.finish();
    this.#stats.answered(exchange.operationName, response.status, exchange.failure?.code);
    if (exchange.failure?.details.closesConnection) current.closesAfter = true;
    const { head, bodyBytes } = current;
    this.#service.log?.add(exchange.route, head, { status: response.status, bodyBytes });
    if (exchange.faults.use('lost-reply')) this.#reset();
    else this.#send(current, response, exchange.faults.use('duplicate-response') ? 2 : 1);
  }

  /** @param copies how often the answer goes over the wire. */
  #send(current: Current, response: Response, copies: number): void {
    const onSent = (): void => {
      if (copies > 1) this.#send(current, response, copies - 1);
      else this.#answered(current);
    };
    const { exchange } = current;
    const { body } = response;
    const head = responseHead(response, {
      requestId: exchange.requestId,
      closes: current.closesAfter,
      nowMs: this.#service.now(),
    });
    if (body === undefined || (exchange.faults.isEmpty && typeof body === 'string')) {
      this.#socket.write(head + (body ?? ''), 'latin1');
      onSent();
      return;
    }
    const { content, start, end } =
      typeof body === 'string' ? { content: new SmallContent(body), start: 0, end: body.length } : body;
    if (exchange.faults.isEmpty && !this.#limiterDown && content.text !== undefined) {
      this.#socket.write(head + content.text.slice(start, end), 'latin1');
      this.#answered(current);
      return;
    }
    this.#socket.write(head, 'latin1');
    this.#pump(current, { content, start, end }, onSent);
  }

  #pump(current: Current, part: Exclude<Response['body'], string | undefined>, onWhole: () => void): void {
    const { faults } = current.exchange;
    const { content, start } = part;
    const size = part.end - start;
    const cut = faults.peek('cut-response');
    const isCut = cut !== undefined && cut.afterBytes < size;
    if (isCut) faults.use('cut-response');
    const sentBytes = isCut ? cut.afterBytes : size;
    const flip = faults.peek('flip-response');
    const isFlipped = flip !== undefined && flip.offset < sentBytes;
    if (isFlipped) faults.use('flip-response');
    const beganMs = performance.now();
    pumpBody(this.#socket, {
      content,
      start,
      end: start + sentBytes,
      flip: isFlipped ? flip : undefined,
      limiter: this.#limiterDown,
      onSent: () => {
        this.#stats.moved('out', sentBytes, beganMs);
        if (isCut) this.#cut();
        else onWhole();
      },
    });
  }

  #answered(current: Current): void {
    current.isAnswered = true;
    if (this.#isAdvancing) return;
    this.#socket.resume();
    this.#advance();
  }

  #endExchange(current: Current): void {
    this.#forget(current);
    if (current.closesAfter) this.#closeGently();
  }

  #forget(current: Current): void {
    current.exchange.faults.release();
    this.#current = undefined;
    this.#stats.ended();
  }

  /** A reset that meets unread bytes could overtake the response, so the client gets time to stop. */
  #closeGently(): void {
    this.#isClosing = true;
    this.#input = undefined;
    this.#socket.resume();
    this.#socket.end();
    const timer = setTimeout(() => this.#socket.destroy(), LINGER_MS);
    timer.unref();
    this.#socket.once('close', () => clearTimeout(timer));
  }

  /** What was sent so far still arrives. */
  #cut(): void {
    this.#isClosing = true;
    this.#socket.destroySoon();
  }

  #reset(): void {
    this.#isClosing = true;
    this.#wire.resetAndDestroy();
    this.#socket.destroy();
  }
}

/** One limiter for as long as its rate holds: debts go from request to request. */
function adjusted(limiter: RateLimiter | undefined, rate: number | undefined): RateLimiter | undefined {
  if (rate === undefined) return undefined;
  return limiter?.bytesPerSecond === rate ? limiter : new RateLimiter(rate);
}
