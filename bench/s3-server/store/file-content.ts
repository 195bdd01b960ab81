/**
 * Contents in one file that only grows, for more data than memory holds. Calls are synchronous: they meet the page cache,
 * and one thread owns the store. Replaced and deleted bytes are not given back before the server ends.
 */
import { closeSync, mkdirSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Content,
  type ContentStore,
  type ContentWriter,
  SMALL_BYTES_MAX,
  SmallContent,
} from './content.ts';

interface Extent {
  readonly position: number;
  readonly bytes: number;
}

export class FileContentStore implements ContentStore {
  readonly #path: string;
  readonly #file: number;
  #end = 0;

  /** @param directory is made if missing; the file in it is new and removed when the store is closed. */
  constructor(directory: string) {
    mkdirSync(directory, { recursive: true });
    this.#path = join(directory, `contents-${process.pid}-${Date.now().toString(36)}.bin`);
    this.#file = openSync(this.#path, 'wx+', 0o600);
  }

  openWriter(sizeBytes: number): ContentWriter {
    const extents: Extent[] = [];
    const small: Buffer[] = [];
    return {
      write: (piece) => {
        if (sizeBytes <= SMALL_BYTES_MAX) small.push(piece);
        else append(extents, this.#append(piece));
      },
      finish: () =>
        sizeBytes <= SMALL_BYTES_MAX
          ? new SmallContent(Buffer.concat(small).toString('latin1'))
          : new FileContent(this.#file, extents),
    };
  }

  close(): void {
    closeSync(this.#file);
    rmSync(this.#path, { force: true });
  }

  #append(piece: Buffer): Extent {
    const position = this.#end;
    let written = 0;
    while (written < piece.length) {
      written += writeSync(this.#file, piece, written, piece.length - written, position + written);
    }
    this.#end += piece.length;
    return { position, bytes: piece.length };
  }
}

/** Pieces of several bodies interleave in the file; neighbours of one body become one extent. */
function append(extents: Extent[], next: Extent): void {
  const last = extents.at(-1);
  if (last && last.position + last.bytes === next.position) {
    extents[extents.length - 1] = { position: last.position, bytes: last.bytes + next.bytes };
  } else {
    extents.push(next);
  }
}

class FileContent implements Content {
  readonly text = undefined;
  readonly isKept = true;
  readonly sizeBytes: number;
  readonly #file: number;
  readonly #extents: readonly Extent[];

  constructor(file: number, extents: readonly Extent[]) {
    this.#file = file;
    this.#extents = extents;
    this.sizeBytes = extents.reduce((sum, extent) => sum + extent.bytes, 0);
  }

  read(offset: number, end: number): readonly Buffer[] {
    const buffer = Buffer.allocUnsafeSlow(end - offset);
    let start = 0;
    let filled = 0;
    for (const extent of this.#extents) {
      const from = Math.max(offset, start);
      const to = Math.min(end, start + extent.bytes);
      if (from < to) filled += this.#fill(buffer, filled, extent.position + from - start, to - from);
      start += extent.bytes;
      if (start >= end) break;
    }
    return [buffer];
  }

  #fill(buffer: Buffer, at: number, position: number, bytes: number): number {
    let done = 0;
    while (done < bytes) {
      const count = readSync(this.#file, buffer, at + done, bytes - done, position + done);
      if (count === 0) throw new Error('The file of contents ends before what was written to it');
      done += count;
    }
    return bytes;
  }
}
