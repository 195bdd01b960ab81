/**
 * Parses one HTTP/1.1 answer after another from the bytes of a connection (RFC 9112). It owns no socket: `target()`
 * says where the next bytes should be read to, `consume()` takes them. A body of known length that has a destination
 * is read straight into it, which spares the copy that a general parser makes.
 */
import { WireError } from './http-types.ts';

const SCRATCH_BYTES = 32 * 1024;
/** Larger heads than this are refused; AWS allows 8 KiB of headers in one request, answers stay well below. */
const HEAD_BYTES_MAX = SCRATCH_BYTES;
const CHUNK_LINE_BYTES_MAX = 1024;
const HEAD_END = Buffer.from('\r\n\r\n');
/** RFC 9110 section 5.6.2. A name with white space in it is a folded line or an attempt to hide a length. */
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: |\r\n|$)/;
const CRLF = '\r\n';
/** A CR or LF by itself could hide a header from us that another reader sees. */
const BARE_CONTROL = /\0|\r(?!\n)|(?<!\r)\n/;
const EMPTY = Buffer.alloc(0);

export interface ResponseExpectation {
  readonly isHead: boolean;
  readonly into: Uint8Array | undefined;
  readonly collectBytesMax: number;
}

type State =
  | 'head'
  | 'length'
  | 'until-close'
  | 'chunk-size'
  | 'chunk-data'
  | 'chunk-end'
  | 'trailer'
  | 'done';

export class ResponseParser {
  status = 0;
  headers: Map<string, string> = new Map();
  /** May the connection be used again after this answer? */
  keepsAlive = false;
  intoBytes = 0;
  isOverflow = false;
  /** Any byte of the present answer seen? Tells a stale connection from a broken answer. */
  hasStarted = false;

  #state: State = 'done';
  #expectation: ResponseExpectation = { isHead: false, into: undefined, collectBytesMax: 0 };
  readonly #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  #scratchUsed = 0;
  /** Where a collected or direct body goes; grows for bodies without a length. */
  #body: Uint8Array = EMPTY;
  #bodyUsed = 0;
  /** Bytes still missing of the body or the chunk. */
  #remaining = 0;
  #isDirect = false;
  /** The length says that the body is larger than its destination. */
  #willOverflow = false;
  #trailerBytes = 0;

  get isDone(): boolean {
    return this.#state === 'done';
  }

  get hasHead(): boolean {
    return this.#state !== 'head';
  }

  begin(expectation: ResponseExpectation): void {
    this.#expectation = expectation;
    this.#state = 'head';
    this.#scratchUsed = 0;
    this.#body = EMPTY;
    this.#bodyUsed = 0;
    this.#isDirect = false;
    this.#willOverflow = false;
    this.hasStarted = false;
    this.intoBytes = 0;
    this.isOverflow = false;
  }

  /** The buffer to read the next bytes into. */
  target(): Uint8Array {
    if (this.#state === 'length')
      return this.#body.subarray(this.#bodyUsed, this.#bodyUsed + this.#remaining);
    // Never empty, not even behind a head that was refused: a socket that is given no room asks for ever.
    if (this.#state === 'head' && this.#scratchUsed < SCRATCH_BYTES)
      return this.#scratch.subarray(this.#scratchUsed);
    return this.#scratch;
  }

  /** Takes `bytes`, which lie in the buffer that `target()` gave or in one of the caller's. Throws WireError. */
  consume(bytes: Uint8Array): void {
    if (this.#state === 'done')
      throw new WireError('malformed', 'The server sent bytes that no request asked for');
    this.hasStarted = true;
    if (this.#state === 'head') this.#consumeHead(bytes);
    else this.#consumeBody(bytes, bytes.buffer === this.#body.buffer && this.#state === 'length');
  }

  /** The peer ended the connection. Returns true where that ends the answer properly. */
  end(): boolean {
    if (this.#state !== 'until-close') return false;
    this.#state = 'done';
    return true;
  }

  takeBody(): Buffer {
    if (this.#isDirect) return EMPTY;
    return Buffer.from(this.#body.buffer, this.#body.byteOffset, this.#bodyUsed);
  }

  #consumeHead(bytes: Uint8Array): void {
    if (bytes.buffer !== this.#scratch.buffer) {
      if (this.#scratchUsed + bytes.length > SCRATCH_BYTES) {
        this.#consumeForeignHead(bytes);
        return;
      }
      this.#scratch.set(bytes, this.#scratchUsed);
    }
    const searchFrom = Math.max(0, this.#scratchUsed - 3);
    this.#scratchUsed += bytes.length;
    // Whatever else speaks first (SSH, TLS alerts) may never end what would be a head.
    if (searchFrom === 0 && !beginsLikeHttp(this.#scratch.subarray(0, this.#scratchUsed)))
      throw new WireError('malformed', 'The answer is not HTTP/1.1');
    const end = this.#scratch.subarray(0, this.#scratchUsed).indexOf(HEAD_END, searchFrom);
    if (end < 0) {
      if (this.#scratchUsed >= HEAD_BYTES_MAX)
        throw new WireError('malformed', 'The answer has too large a head');
      return;
    }
    this.#parseHead(this.#scratch.toString('latin1', 0, end));
    const rest = this.#scratch.subarray(end + HEAD_END.length, this.#scratchUsed);
    if (this.status < 200) {
      // An interim answer (100 Continue): the real one follows, perhaps in the same bytes.
      const following = Buffer.from(rest);
      this.#state = 'head';
      this.#scratchUsed = 0;
      if (following.length > 0) this.#consumeHead(following);
      return;
    }
    this.#beginBody();
    if (rest.length > 0) this.#consumeBody(rest, false);
  }

  /** A chunk from elsewhere that does not fit the scratch: its head part is taken first, the rest is body. */
  #consumeForeignHead(bytes: Uint8Array): void {
    const room = SCRATCH_BYTES - this.#scratchUsed;
    this.#consumeHead(bytes.subarray(0, room));
    if (this.#state === 'done') this.keepsAlive = false;
    else this.consume(bytes.subarray(room));
  }

  #parseHead(head: string): void {
    const match = STATUS_LINE.exec(head);
    if (!match) throw new WireError('malformed', 'The answer is not HTTP/1.1');
    this.status = Number(match[2]);
    if (this.status === 101)
      throw new WireError('malformed', 'The answer changes to another protocol, which nobody asked for');
    if (BARE_CONTROL.test(head))
      throw new WireError('malformed', 'The answer has control characters in its head');
    this.headers = new Map();
    for (let end = head.indexOf(CRLF); end >= 0; ) {
      const start = end + CRLF.length;
      const colon = head.indexOf(':', start);
      end = head.indexOf(CRLF, start);
      const lineEnd = end < 0 ? head.length : end;
      const hasColon = colon >= 0 && colon < lineEnd;
      const name = lowerCaseName(hasColon ? head.slice(start, colon) : '');
      this.#addHeader(name, withoutBlanks(head, colon + 1, lineEnd));
    }
    const options = this.headers
      .get('connection')
      ?.toLowerCase()
      .split(/[\t ]*,[\t ]*/);
    this.keepsAlive =
      match[1] === '1' ? !options?.includes('close') : options?.includes('keep-alive') === true;
  }

  #addHeader(name: string, value: string): void {
    const known = this.headers.get(name);
    // Two different lengths are a smuggling attempt or a broken proxy: nothing behind them can be trusted.
    if (name === 'content-length' && known !== undefined && known !== value) {
      throw new WireError('malformed', 'The answer states two different lengths');
    }
    // Of these every value counts, not only the last: Cloud Storage sends a field for each checksum.
    const isList = name === 'connection' || name === 'transfer-encoding' || name === 'x-goog-hash';
    this.headers.set(name, isList && known !== undefined ? `${known}, ${value}` : value);
  }

  #beginBody(): void {
    const expectation = this.#expectation;
    const length = this.headers.get('content-length');
    const coding = this.headers.get('transfer-encoding')?.toLowerCase();
    if (expectation.isHead || this.status === 204 || this.status === 304) {
      this.#state = 'done';
      return;
    }
    this.#isDirect = expectation.into !== undefined && this.status < 300;
    this.#body = this.#isDirect ? (expectation.into ?? EMPTY) : EMPTY;
    if (coding !== undefined) {
      if (coding !== 'chunked')
        throw new WireError('malformed', `The answer has transfer coding "${coding}"`);
      // RFC 9112 section 6.3: likely an attempt at response splitting, to be handled as an error.
      if (length !== undefined)
        throw new WireError('malformed', 'The answer has both a length and a transfer coding');
      this.#state = 'chunk-size';
      this.#scratchUsed = 0;
      this.#lineLength = 0;
      this.#trailerBytes = 0;
    } else if (length === undefined) {
      this.#state = 'until-close';
      this.keepsAlive = false;
    } else {
      this.#beginLength(length);
    }
  }

  #beginLength(text: string): void {
    const length = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(length)) {
      throw new WireError('malformed', `The answer has the length "${text}"`);
    }
    if (this.#isDirect) {
      this.#willOverflow = length > this.#body.length;
      this.#remaining = Math.min(length, this.#body.length);
    } else {
      if (length > this.#expectation.collectBytesMax) {
        throw new WireError(
          'too-large',
          `The answer has ${length} bytes, more than ${this.#expectation.collectBytesMax}`,
        );
      }
      this.#body = Buffer.allocUnsafeSlow(length);
      this.#remaining = length;
    }
    if (this.#remaining > 0) this.#state = 'length';
    else this.#endLength();
  }

  #endLength(): void {
    this.#state = 'done';
    if (this.#willOverflow) this.#overflow();
  }

  #overflow(): void {
    this.isOverflow = true;
    this.keepsAlive = false;
    this.#state = 'done';
  }

  #consumeBody(bytes: Uint8Array, isInPlace: boolean): void {
    let rest = bytes;
    while (rest.length > 0) {
      switch (this.#state) {
        case 'length':
        case 'chunk-data':
          rest = this.#takeData(rest, isInPlace);
          break;
        case 'until-close':
          this.#append(rest);
          return;
        case 'chunk-size':
        case 'chunk-end':
        case 'trailer':
          rest = this.#takeLine(rest);
          break;
        default:
          // What comes behind the end belongs to no request, and neither would what comes next.
          this.keepsAlive = false;
          return;
      }
    }
  }

  #takeData(bytes: Uint8Array, isInPlace: boolean): Uint8Array {
    const count = Math.min(bytes.length, this.#remaining);
    if (isInPlace) {
      this.#bodyUsed += count;
      if (this.#isDirect) this.intoBytes = this.#bodyUsed;
    } else {
      this.#append(bytes.subarray(0, count));
    }
    if (this.isOverflow) return EMPTY;
    this.#remaining -= count;
    if (this.#remaining === 0) {
      if (this.#state === 'length') this.#endLength();
      else this.#state = 'chunk-end';
    }
    return bytes.subarray(count);
  }

  #append(bytes: Uint8Array): void {
    if (this.#isDirect) {
      this.#appendDirect(bytes);
      return;
    }
    const needed = this.#bodyUsed + bytes.length;
    if (needed > this.#expectation.collectBytesMax) {
      throw new WireError('too-large', `The answer has more than ${this.#expectation.collectBytesMax} bytes`);
    }
    if (needed > this.#body.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#body.length, 4096));
      grown.set(this.#body.subarray(0, this.#bodyUsed));
      this.#body = grown;
    }
    this.#body.set(bytes, this.#bodyUsed);
    this.#bodyUsed = needed;
  }

  /** What does not fit is dropped, and said to be. */
  #appendDirect(bytes: Uint8Array): void {
    const count = Math.min(bytes.length, this.#body.length - this.#bodyUsed);
    this.#body.set(bytes.subarray(0, count), this.#bodyUsed);
    this.#bodyUsed += count;
    this.intoBytes = this.#bodyUsed;
    if (count < bytes.length) this.#overflow();
  }

  readonly #line = Buffer.allocUnsafe(CHUNK_LINE_BYTES_MAX);
  #lineLength = 0;

  /** Chunk sizes, the empty line behind a chunk, and trailers, which may be cut anywhere between two reads. */
  #takeLine(bytes: Uint8Array): Uint8Array {
    const feed = bytes.indexOf(10);
    const count = feed < 0 ? bytes.length : feed + 1;
    if (this.#lineLength + count > CHUNK_LINE_BYTES_MAX)
      throw new WireError('malformed', 'A chunk line is too long');
    this.#line.set(bytes.subarray(0, count), this.#lineLength);
    this.#lineLength += count;
    if (feed >= 0) {
      const text = this.#line.toString('latin1', 0, this.#lineLength);
      this.#lineLength = 0;
      if (!text.endsWith('\r\n')) throw new WireError('malformed', 'A chunk line ends without CR LF');
      this.#endLine(text.slice(0, -2));
    }
    return bytes.subarray(count);
  }

  #endLine(text: string): void {
    if (this.#state === 'chunk-end') {
      if (text !== '') throw new WireError('malformed', 'A chunk is longer than it says');
      this.#state = 'chunk-size';
    } else if (this.#state === 'trailer') {
      this.#trailerBytes += text.length + 2;
      if (text === '') this.#state = 'done';
      else if (this.#trailerBytes > HEAD_BYTES_MAX)
        throw new WireError('malformed', 'The answer has too many trailers');
    } else {
      const size = /^([0-9a-fA-F]{1,13})[ \t]*(?:;.*)?$/.exec(text);
      if (!size) throw new WireError('malformed', 'A chunk has no size');
      this.#remaining = Number.parseInt(size[1] ?? '', 16);
      this.#state = this.#remaining === 0 ? 'trailer' : 'chunk-data';
    }
  }
}

/** Servers send the same few names over and over: each is looked at and put into lower case once. */
const knownNames = new Map<string, string>();
const KNOWN_NAMES_MAX = 256;

function lowerCaseName(name: string): string {
  const known = knownNames.get(name);
  if (known !== undefined) return known;
  if (!HEADER_NAME.test(name))
    throw new WireError('malformed', 'The answer has a header line without a proper name');
  // A copy: a slice would hold on to the whole head.
  const key = Buffer.from(name, 'latin1').toString('latin1');
  const lower = key.toLowerCase();
  if (knownNames.size < KNOWN_NAMES_MAX) knownNames.set(key, lower);
  return lower;
}

/** What stands there less the spaces and tabs around it; `trim` takes more away than HTTP does, NBSP for one. */
function withoutBlanks(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

function isBlank(unit: number): boolean {
  return unit === 32 || unit === 9;
}

const BEGINNING = Buffer.from('HTTP/1.');

function beginsLikeHttp(bytes: Uint8Array): boolean {
  const length = Math.min(bytes.length, BEGINNING.length);
  return BEGINNING.compare(bytes, 0, length, 0, length) === 0;
}
