/**
 * What each blob of a registry must hash to, by its id: a sorted file that is read along with a listing of the blobs, as
 * a third stream beside source and target. One for each thread: opening costs nothing but an open file.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { BlobferryError } from '../../core/errors.ts';
import {
  compareIds,
  type DigestRecord,
  ID_BYTES,
  isBlobId,
  RECORD_BYTES,
  readRecord,
  writeId,
} from './digest-record.ts';
import { INDEX_HEADER_BYTES, recordsIn } from './index-header.ts';

const PIECE_RECORDS = 512;

export class DigestIndex {
  readonly path: string;
  readonly records: number;
  readonly #file: FileHandle;

  private constructor(path: string, file: FileHandle, records: number) {
    this.path = path;
    this.#file = file;
    this.records = records;
  }

  /** @throws BlobferryError where there is no whole index. */
  static async open(path: string): Promise<DigestIndex> {
    const file = await open(path, 'r').catch((cause: Error) => {
      throw new BlobferryError(`Cannot open the index of digests "${path}": ${cause.message}`, { cause });
    });
    try {
      const header = Buffer.alloc(INDEX_HEADER_BYTES);
      await file.read(header, 0, INDEX_HEADER_BYTES, 0);
      const records = recordsIn(header);
      const { size } = await file.stat();
      if (records === undefined || size !== INDEX_HEADER_BYTES + records * RECORD_BYTES) {
        throw new BlobferryError(`"${path}" is no whole index of digests`, {
          hint: 'Remove it; it is made anew from the backup',
        });
      }
      return new DigestIndex(path, file, records);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** A way through the ids, for one listing. */
  cursor(): DigestCursor {
    return new DigestCursor(this);
  }

  /** All of it, or what lies from one id (or the beginning of ids) up to and with another id. */
  async *entries(from = '', upTo?: string): AsyncGenerator<DigestRecord> {
    const bound = Buffer.alloc(RECORD_BYTES);
    if (upTo !== undefined) writeId(upTo, bound, 0);
    let index = await this.indexOf(from);
    for (;;) {
      const piece = await this.read(index, PIECE_RECORDS);
      if (piece.length === 0) return;
      for (let at = 0; at < piece.length; at += RECORD_BYTES) {
        if (upTo !== undefined && compareIds(piece, at, bound, 0) > 0) return;
        yield readRecord(piece, at);
      }
      index += piece.length / RECORD_BYTES;
    }
  }

  /** Number of the first record that does not come before an id, or before all ids that begin so. */
  async indexOf(id: string): Promise<number> {
    // Zeros sort before whatever follows the beginning of an id.
    const sought = Buffer.alloc(RECORD_BYTES);
    sought.write(id, 0, ID_BYTES, 'latin1');
    let low = 0;
    let high = this.records;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const record = await this.read(middle, 1);
      if (compareIds(record, 0, sought, 0) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Records from a number on: empty at the end. */
  async read(index: number, count: number): Promise<Buffer> {
    const wanted = Math.min(count, this.records - index) * RECORD_BYTES;
    if (wanted <= 0) return Buffer.alloc(0);
    const piece = Buffer.allocUnsafe(wanted);
    const position = INDEX_HEADER_BYTES + index * RECORD_BYTES;
    for (let filled = 0; filled < wanted; ) {
      const { bytesRead } = await this.#file.read(piece, filled, wanted - filled, position + filled);
      if (bytesRead === 0)
        throw new BlobferryError(`The index of digests "${this.path}" was cut while it was read`);
      filled += bytesRead;
    }
    return piece;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

/** Asked for ascending ids, as a listing gives them. */
export class DigestCursor {
  readonly #index: DigestIndex;
  readonly #sought = Buffer.alloc(RECORD_BYTES);
  readonly #previous = Buffer.alloc(RECORD_BYTES);
  #piece: Buffer = Buffer.alloc(0);
  #at = 0;
  #next = -1;

  constructor(index: DigestIndex) {
    this.#index = index;
  }

  /**
   * The sha256 (hex) of an id, or undefined where the index has none for it; a promise only where more of the file must
   * be read, to be awaited before the next one is asked for. Ids in between are passed by.
   * @throws RangeError for an id that comes before the last one.
   */
  find(id: string): string | undefined | Promise<string | undefined> {
    if (!isBlobId(id)) return undefined;
    writeId(id, this.#sought, 0);
    if (compareIds(this.#sought, 0, this.#previous, 0) < 0)
      throw new RangeError('Ids are asked for in order');
    this.#sought.copy(this.#previous);
    return this.#isPassing() ? this.#answer() : this.#findFurther(id);
  }

  async #findFurther(id: string): Promise<string | undefined> {
    if (this.#next < 0) this.#next = await this.#index.indexOf(id);
    do {
      this.#piece = await this.#index.read(this.#next, PIECE_RECORDS);
      this.#next += this.#piece.length / RECORD_BYTES;
      this.#at = 0;
      if (this.#piece.length === 0) return undefined;
    } while (!this.#isPassing());
    return this.#answer();
  }

  /** Goes on to the first record that does not come before the sought one; false at the end of the piece. */
  #isPassing(): boolean {
    const piece = this.#piece;
    while (this.#at < piece.length && compareIds(piece, this.#at, this.#sought, 0) < 0)
      this.#at += RECORD_BYTES;
    return this.#at < piece.length;
  }

  #answer(): string | undefined {
    const isThere = compareIds(this.#piece, this.#at, this.#sought, 0) === 0;
    return isThere ? readRecord(this.#piece, this.#at).sha256 : undefined;
  }
}
