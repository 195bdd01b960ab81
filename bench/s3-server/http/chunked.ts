/** Decodes HTTP/1.1 `Transfer-Encoding: chunked`, incrementally. */
import { S3Error } from '../s3/s3-error.ts';

const LINE_BYTES_MAX = 4096;

type State = 'size' | 'data' | 'data-end' | 'trailer' | 'done';

export class ChunkedDecoder {
  readonly #onData: (piece: Buffer) => void;
  #state: State = 'size';
  #line = '';
  #left = 0;

  constructor(onData: (piece: Buffer) => void) {
    this.#onData = onData;
  }

  get isDone(): boolean {
    return this.#state === 'done';
  }

  /** @returns how many bytes belonged to the body; fewer than given only when it is done. */
  write(chunk: Buffer): number {
    let at = 0;
    while (at < chunk.length && this.#state !== 'done') {
      if (this.#state === 'data') {
        const take = Math.min(this.#left, chunk.length - at);
        this.#onData(chunk.subarray(at, at + take));
        at += take;
        this.#left -= take;
        if (this.#left === 0) this.#state = 'data-end';
      } else {
        const newline = chunk.indexOf(0x0a, at);
        const end = newline < 0 ? chunk.length : newline + 1;
        this.#line += chunk.toString('latin1', at, end);
        at = end;
        if (this.#line.length > LINE_BYTES_MAX) throw malformed();
        if (newline >= 0) this.#takeLine();
      }
    }
    return at;
  }

  #takeLine(): void {
    if (!this.#line.endsWith('\r\n')) throw malformed();
    const line = this.#line.slice(0, -2);
    this.#line = '';
    if (this.#state === 'data-end') {
      if (line !== '') throw malformed();
      this.#state = 'size';
    } else if (this.#state === 'size') {
      const size = /^([0-9a-fA-F]{1,12})\s*(?:;.*)?$/.exec(line)?.[1];
      if (size === undefined) throw malformed();
      this.#left = Number.parseInt(size, 16);
      this.#state = this.#left === 0 ? 'trailer' : 'data';
    } else if (line === '') {
      // Trailer fields of the HTTP layer carry nothing that S3 reads; they are skipped up to the empty line.
      this.#state = 'done';
    }
  }
}

function malformed(): S3Error {
  return new S3Error('IncompleteBody', 'The chunked body is malformed', { closesConnection: true });
}
