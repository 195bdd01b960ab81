/**
 * Decodes `aws-chunked` bodies: `size[;chunk-signature=…]\r\n data \r\n … 0\r\n [trailers] \r\n`, checking every signature.
 * Each chunk's signature covers that of the chunk before, so none can be left out, repeated or moved.
 */
import { createHash } from 'node:crypto';
import { parseFields } from '../http/request-head.ts';
import { S3Error } from './s3-error.ts';
import { ALGORITHM, type ChunkSigning, sha256 } from './sigv4.ts';

export interface AwsChunkedOptions {
  /** Undefined: chunks are not signed. */
  readonly signing: ChunkSigning | undefined;
  /** Lower-case names that must come behind the last chunk; undefined: the body ends with the last chunk. */
  readonly trailerNames: readonly string[] | undefined;
  /** Signatures are read but wrong ones accepted. */
  readonly acceptsWrongSignatures: boolean;
  /** Gets the payload and may change it before it is checked (a fault does). */
  readonly onData: (piece: Buffer) => Buffer;
}

/** AWS takes headers of chunks and trailers of this order of size; more is not a chunked body. */
const LINE_BYTES_MAX = 4096;
const TRAILER_LINES_MAX = 20;
const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

type State = 'size' | 'data' | 'data-end' | 'trailer' | 'done';

export class AwsChunkedDecoder {
  readonly #options: AwsChunkedOptions;
  #state: State = 'size';
  #line = '';
  #left = 0;
  #isLast = false;
  #signature = '';
  #previous: string;
  #hash = createHash('sha256');
  readonly #trailerLines: string[] = [];
  #trailers: ReadonlyMap<string, string> = new Map();

  constructor(options: AwsChunkedOptions) {
    this.#options = options;
    this.#previous = options.signing?.seedSignature ?? '';
  }

  /** Trailing fields, checked; empty until the body is complete. */
  get trailers(): ReadonlyMap<string, string> {
    return this.#trailers;
  }

  write(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#state === 'done') throw malformed('there are bytes behind its end');
      if (this.#state === 'data') {
        const take = Math.min(this.#left, chunk.length - at);
        this.#takeData(chunk.subarray(at, at + take));
        at += take;
      } else {
        const newline = chunk.indexOf(0x0a, at);
        const end = newline < 0 ? chunk.length : newline + 1;
        this.#line += chunk.toString('latin1', at, end);
        at = end;
        if (this.#line.length > LINE_BYTES_MAX) throw malformed('a line is too long');
        if (newline >= 0) this.#takeLine();
      }
    }
  }

  end(): void {
    if (this.#state !== 'done') throw malformed('it ends too early');
  }

  #takeData(piece: Buffer): void {
    const kept = this.#options.onData(piece);
    if (this.#options.signing) this.#hash.update(kept);
    this.#left -= piece.length;
    if (this.#left === 0) this.#state = 'data-end';
  }

  #takeLine(): void {
    if (!this.#line.endsWith('\r\n')) throw malformed('a line does not end in CRLF');
    const line = this.#line.slice(0, -2);
    this.#line = '';
    if (this.#state === 'size') this.#takeSize(line);
    else if (this.#state === 'data-end') this.#takeDataEnd(line);
    else this.#takeTrailerLine(line);
  }

  #takeSize(line: string): void {
    const match = /^([0-9a-fA-F]{1,12})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(line);
    if (!match) throw malformed('a chunk has no size');
    this.#left = Number.parseInt(match[1] ?? '', 16);
    this.#isLast = this.#left === 0;
    this.#signature = match[2] ?? '';
    if (this.#options.signing && this.#signature === '') throw malformed('a chunk is not signed');
    if (!this.#isLast) {
      this.#state = 'data';
      return;
    }
    this.#checkChunk(EMPTY_SHA256);
    this.#state = this.#options.trailerNames ? 'trailer' : 'data-end';
  }

  #takeDataEnd(line: string): void {
    if (line !== '') throw malformed('a chunk is longer than its size');
    if (this.#isLast) {
      this.#state = 'done';
      return;
    }
    if (this.#options.signing) {
      this.#checkChunk(this.#hash.digest('hex'));
      this.#hash = createHash('sha256');
    }
    this.#state = 'size';
  }

  #takeTrailerLine(line: string): void {
    if (line !== '') {
      this.#trailerLines.push(line);
      if (this.#trailerLines.length > TRAILER_LINES_MAX) throw malformed('there are too many trailers');
      return;
    }
    this.#state = 'done';
    this.#checkTrailers();
  }

  #checkChunk(payloadHash: string): void {
    const { signing } = this.#options;
    if (!signing) return;
    const expected = signing.key
      .sign(
        `${ALGORITHM}-PAYLOAD\n${signing.amzDate}\n${signing.scope}\n${this.#previous}\n${EMPTY_SHA256}\n${payloadHash}`,
      )
      .toString('hex');
    this.#compare(expected, this.#signature);
    this.#previous = expected;
  }

  #checkTrailers(): void {
    const { signing, trailerNames = [] } = this.#options;
    const all = parseFields(this.#trailerLines, 0);
    const fields = new Map(all);
    fields.delete('x-amz-trailer-signature');
    for (const name of trailerNames) {
      if (!fields.has(name)) throw malformedTrailer(`the trailer ${name} was announced and did not come`);
    }
    for (const name of fields.keys()) {
      if (!trailerNames.includes(name)) throw malformedTrailer(`the trailer ${name} was not announced`);
    }
    if (signing) {
      const canonical = [...fields]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, value]) => `${name}:${value}\n`);
      const expected = signing.key
        .sign(
          `${ALGORITHM}-TRAILER\n${signing.amzDate}\n${signing.scope}\n${this.#previous}\n${sha256(canonical.join(''))}`,
        )
        .toString('hex');
      this.#compare(expected, all.get('x-amz-trailer-signature') ?? '');
    }
    this.#trailers = fields;
  }

  #compare(expected: string, signature: string): void {
    if (expected === signature || this.#options.acceptsWrongSignatures) return;
    throw new S3Error(
      'SignatureDoesNotMatch',
      'The signature of a chunk or of the trailers does not match the one calculated',
    );
  }
}

function malformed(what: string): S3Error {
  return new S3Error('IncompleteBody', `The aws-chunked body is malformed: ${what}`);
}

function malformedTrailer(what: string): S3Error {
  return new S3Error('MalformedTrailerError', `The trailing data is not well-formed: ${what}`);
}
