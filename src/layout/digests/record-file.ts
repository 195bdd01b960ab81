/** Files of sorted records, written and read in pieces. */
import { type FileHandle, open } from 'node:fs/promises';
import { RECORD_BYTES } from './digest-record.ts';

const PIECE_RECORDS = 1_024;

export interface RecordFile {
  readonly path: string;
  readonly records: number;
}

/** Writes records as they come. What it holds is for nobody else: ids and digests name what a registry has. */
export class RecordWriter {
  readonly #file: FileHandle;
  readonly #piece = Buffer.allocUnsafe(PIECE_RECORDS * RECORD_BYTES);
  #filled = 0;
  records = 0;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  static async create(path: string): Promise<RecordWriter> {
    return new RecordWriter(await open(path, 'wx', 0o600));
  }

  /** @returns true when `flush` is due before the next one. */
  add(from: Buffer, at: number): boolean {
    if (this.#filled === this.#piece.length)
      throw new RangeError('The records before this one are to be written');
    from.copy(this.#piece, this.#filled, at, at + RECORD_BYTES);
    this.#filled += RECORD_BYTES;
    this.records += 1;
    return this.#filled === this.#piece.length;
  }

  async flush(): Promise<void> {
    await writeAll(this.#file, this.#piece.subarray(0, this.#filled));
    this.#filled = 0;
  }

  /** Whole records, past the piece that is being filled. */
  async append(records: Buffer): Promise<void> {
    await this.flush();
    await writeAll(this.#file, records);
    this.records += records.length / RECORD_BYTES;
  }

  async close(isDurable: boolean): Promise<void> {
    try {
      await this.flush();
      if (isDurable) await this.#file.sync();
    } finally {
      await this.#file.close();
    }
  }

  /** Without what was not yet written. */
  async discard(): Promise<void> {
    await this.#file.close();
  }
}

async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    at += (await file.write(bytes, at, bytes.length - at)).bytesWritten;
  }
}

/** The records of a file one after the other: `step` as long as it says true, `load` when it says false. */
export class RecordReader {
  readonly #run: RecordFile;
  readonly #piece = Buffer.allocUnsafe(PIECE_RECORDS * RECORD_BYTES);
  #file: FileHandle | undefined;
  #filled = 0;
  #next = 0;
  #read = 0;
  /** Where the record stepped to lies in `buffer`; -1 at the end. */
  at = -1;

  constructor(run: RecordFile) {
    this.#run = run;
  }

  get buffer(): Buffer {
    return this.#piece;
  }

  step(): boolean {
    if (this.#next >= this.#filled) {
      this.at = -1;
      return this.#read >= this.#run.records;
    }
    this.at = this.#next;
    this.#next += RECORD_BYTES;
    return true;
  }

  async advance(): Promise<void> {
    while (!this.step()) await this.#load();
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  async #load(): Promise<void> {
    this.#file ??= await open(this.#run.path, 'r');
    this.#filled = 0;
    this.#next = 0;
    const left = (this.#run.records - this.#read) * RECORD_BYTES;
    const wanted = Math.min(left, this.#piece.length);
    while (this.#filled < wanted) {
      const { bytesRead } = await this.#file.read(this.#piece, this.#filled, wanted - this.#filled, null);
      if (bytesRead === 0)
        throw new Error(`Temporary file "${this.#run.path}" is shorter than it was written`);
      this.#filled += bytesRead;
    }
    this.#read += wanted / RECORD_BYTES;
  }
}
