/** Bytes of objects and parts: immutable, shareable between objects, readable from any offset. */
import { S3Error } from '../s3/s3-error.ts';

export interface Content {
  readonly sizeBytes: number;
  /** Only for contents so small that they are answered in one write together with the head: a binary string. */
  readonly text: string | undefined;
  /** False: the bytes were discarded, and reading is an error. */
  readonly isKept: boolean;
  /** Buffers that together hold `offset` up to `end`; the caller must not change them. */
  read(offset: number, end: number): readonly Buffer[];
}

/** Takes a body as it arrives. */
export interface ContentWriter {
  write(piece: Buffer): void;
  finish(): Content;
}

/** Where contents lie. */
export interface ContentStore {
  openWriter(sizeBytes: number): ContentWriter;
  close(): void;
}

/** A string costs V8 a third of what a Buffer of its own does, which counts with a million small objects. */
export const SMALL_BYTES_MAX = 4096;

export class SmallContent implements Content {
  readonly isKept = true;
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
  get sizeBytes(): number {
    return this.text.length;
  }
  read(offset: number, end: number): readonly Buffer[] {
    return [Buffer.from(this.text.slice(offset, end), 'latin1')];
  }
}

/** Contents one behind the other: what a multipart upload becomes, without copying. */
export class JoinedContent implements Content {
  readonly text = undefined;
  readonly isKept: boolean;
  readonly sizeBytes: number;
  readonly #pieces: readonly Content[];
  /** Where each piece begins. */
  readonly #starts: readonly number[];

  constructor(pieces: readonly Content[]) {
    const starts: number[] = [];
    let size = 0;
    for (const piece of pieces) {
      starts.push(size);
      size += piece.sizeBytes;
    }
    this.isKept = pieces.every((piece) => piece.isKept);
    this.#pieces = pieces;
    this.#starts = starts;
    this.sizeBytes = size;
  }

  read(offset: number, end: number): readonly Buffer[] {
    const buffers: Buffer[] = [];
    for (let index = lastStartAt(this.#starts, offset); index < this.#pieces.length; index += 1) {
      const start = this.#starts[index] ?? 0;
      const piece = this.#pieces[index];
      if (!piece || start >= end) break;
      buffers.push(...piece.read(Math.max(0, offset - start), Math.min(piece.sizeBytes, end - start)));
    }
    return buffers;
  }
}

/** A range of another content: what UploadPartCopy with a range takes. */
export class SlicedContent implements Content {
  readonly text = undefined;
  readonly isKept: boolean;
  readonly sizeBytes: number;
  readonly #whole: Content;
  readonly #start: number;

  constructor(whole: Content, start: number, end: number) {
    this.isKept = whole.isKept;
    this.#whole = whole;
    this.#start = start;
    this.sizeBytes = end - start;
  }

  read(offset: number, end: number): readonly Buffer[] {
    return this.#whole.read(this.#start + offset, this.#start + end);
  }
}

/** Index of the last start that is not behind `offset`. */
function lastStartAt(starts: readonly number[], offset: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The buffers that the socket filled, kept as they are. */
class BufferedContent implements Content {
  readonly text = undefined;
  readonly isKept = true;
  readonly sizeBytes: number;
  readonly #buffers: readonly Buffer[];
  readonly #starts: Float64Array;

  constructor(buffers: readonly Buffer[]) {
    this.#buffers = buffers;
    this.#starts = new Float64Array(buffers.length);
    let size = 0;
    for (const [index, buffer] of buffers.entries()) {
      this.#starts[index] = size;
      size += buffer.length;
    }
    this.sizeBytes = size;
  }

  read(offset: number, end: number): readonly Buffer[] {
    const found: Buffer[] = [];
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    for (let index = low; index < this.#buffers.length; index += 1) {
      const start = this.#starts[index] ?? 0;
      const buffer = this.#buffers[index];
      if (!buffer || start >= end) break;
      found.push(buffer.subarray(Math.max(0, offset - start), Math.min(buffer.length, end - start)));
    }
    return found;
  }
}

class MemoryWriter implements ContentWriter {
  readonly #isSmall: boolean;
  readonly #buffers: Buffer[] = [];

  constructor(sizeBytes: number) {
    this.#isSmall = sizeBytes <= SMALL_BYTES_MAX;
  }

  write(piece: Buffer): void {
    // A short piece of a long buffer would keep all of it in memory.
    const isMostOfItsMemory = piece.length * 2 >= piece.buffer.byteLength;
    this.#buffers.push(this.#isSmall || isMostOfItsMemory ? piece : Buffer.from(piece));
  }

  finish(): Content {
    const [only] = this.#buffers;
    if (!this.#isSmall) return new BufferedContent(this.#buffers);
    if (only && this.#buffers.length === 1) return new SmallContent(only.toString('latin1'));
    return new SmallContent(Buffer.concat(this.#buffers).toString('latin1'));
  }
}

export class MemoryContentStore implements ContentStore {
  openWriter(sizeBytes: number): ContentWriter {
    return new MemoryWriter(sizeBytes);
  }
  close(): void {
    // Memory goes with the store.
  }
}

/** A body of which only its size is left: what a bench's target needs, beside the checksums. */
class DiscardedContent implements Content {
  readonly text = undefined;
  readonly isKept = false;
  readonly sizeBytes: number;
  constructor(sizeBytes: number) {
    this.sizeBytes = sizeBytes;
  }
  read(): readonly Buffer[] {
    throw discarded();
  }
}

export function discarded(): S3Error {
  return new S3Error('InternalError', 'This server was told to check large contents and to discard them');
}

/** Keeps small contents and the sizes of others: receiving is then cheap in memory and in faults of its pages. */
export class DiscardingContentStore implements ContentStore {
  openWriter(sizeBytes: number): ContentWriter {
    if (sizeBytes <= SMALL_BYTES_MAX) return new MemoryWriter(sizeBytes);
    return { write: () => undefined, finish: () => new DiscardedContent(sizeBytes) };
  }
  close(): void {
    // There is nothing to give back.
  }
}

export function contentOf(bytes: Uint8Array, store: ContentStore): Content {
  const writer = store.openWriter(bytes.length);
  writer.write(Buffer.from(bytes));
  return writer.finish();
}
