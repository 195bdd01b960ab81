/**
 * Sorts ids with their digests into an index file, in bounded memory: runs of records are sorted, written and merged.
 * Everything lies in one folder with mode 0600; what is left of an earlier attempt is removed first. Ten million blobs
 * are 1 GB for the index, and as much again while it is made.
 */
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BlobferryError } from '../../core/errors.ts';
import { type DigestRecord, RECORD_BYTES, writeRecord } from './digest-record.ts';
import { INDEX_HEADER_BYTES, indexHeader } from './index-header.ts';
import { mergeRecords } from './merge-records.ts';
import { type RecordFile, RecordWriter } from './record-file.ts';
import { WithoutContradictions } from './without-contradictions.ts';

export interface IndexWriterOptions {
  /** Where the index and its runs lie; made where it is missing. */
  readonly directory: string;
  /** Of the index: `backup-1` becomes `backup-1.digests`. */
  readonly name: string;
  /** Records sorted in memory at once, 200 bytes each; default 100,000. */
  readonly recordsInMemory?: number;
  /** Runs merged at once, each with an open file and 100 KB; default 128. */
  readonly runsMergedMax?: number;
}

export interface WrittenIndex {
  readonly path: string;
  /** Ids in the index. */
  readonly records: number;
  /** Came more than once, with the same digest. */
  readonly repeated: number;
  /** Ids that came with different digests, and so prove nothing: they are not in the index. */
  readonly contradicted: number;
  /** The first ten of them. */
  readonly contradictedIds: readonly string[];
}

const RECORDS_IN_MEMORY = 100_000;
const RUNS_MERGED_MAX = 128;

export class DigestIndexWriter {
  readonly #options: IndexWriterOptions;
  readonly #signal: AbortSignal;
  readonly #capacity: number;
  #held: Buffer | undefined;
  #count = 0;
  #runs: RecordFile[] = [];
  #files = 0;
  #repeated = 0;

  /** @param signal ends the writing between two runs or two pieces. */
  constructor(options: IndexWriterOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
    this.#capacity = Math.max(1, options.recordsInMemory ?? RECORDS_IN_MEMORY);
  }

  async open(): Promise<this> {
    await this.#explained(async () => {
      await mkdir(this.#options.directory, { recursive: true, mode: 0o700 });
      await this.discard();
    });
    return this;
  }

  /** @returns true when `spill` is due before the next one. @throws RangeError for what is no record. */
  add(record: DigestRecord): boolean {
    this.#held ??= Buffer.allocUnsafe(this.#capacity * RECORD_BYTES);
    writeRecord(record, this.#held, this.#count * RECORD_BYTES);
    this.#count += 1;
    return this.#count === this.#capacity;
  }

  async spill(): Promise<void> {
    this.#signal.throwIfAborted();
    const held = this.#held;
    if (held === undefined || this.#count === 0) return;
    const sorted = sortRecords(held.subarray(0, this.#count * RECORD_BYTES));
    this.#count = 0;
    await this.#explained(async () => {
      this.#runs.push(await this.#write(this.#runPath(), (writer) => writer.append(sorted), false));
    });
  }

  /** The index is there, whole and durable, when this resolves; nothing is when it does not. */
  async finish(): Promise<WrittenIndex> {
    await this.spill();
    this.#held = undefined;
    return this.#explained(async () => {
      while (this.#runs.length > this.#mergedMax) await this.#mergeNeighbours();
      const written = await this.#mergeIntoIndex();
      await this.#removeRuns();
      return written;
    });
  }

  /** Removes what was written so far, an index of the same name not among it. */
  async discard(): Promise<void> {
    this.#runs = [];
    const own = `${this.#options.name}.digests-`;
    for (const name of await readdir(this.#options.directory)) {
      if (name.startsWith(own)) await rm(join(this.#options.directory, name), { force: true });
    }
  }

  get #mergedMax(): number {
    return Math.max(2, this.#options.runsMergedMax ?? RUNS_MERGED_MAX);
  }

  get #path(): string {
    return join(this.#options.directory, `${this.#options.name}.digests`);
  }

  #runPath(): string {
    this.#files += 1;
    return `${this.#path}-run-${this.#files}`;
  }

  async #write(
    path: string,
    fill: (writer: RecordWriter) => Promise<void>,
    isDurable: boolean,
  ): Promise<RecordFile> {
    const writer = await RecordWriter.create(path);
    try {
      await fill(writer);
    } catch (error) {
      await writer.discard();
      throw error;
    }
    await writer.close(isDurable);
    return { path, records: writer.records };
  }

  async #mergeNeighbours(): Promise<void> {
    const merged: RecordFile[] = [];
    for (let at = 0; at < this.#runs.length; at += this.#mergedMax) {
      const together = this.#runs.slice(at, at + this.#mergedMax);
      const fill = (writer: RecordWriter): Promise<void> =>
        this.#merge(together, writer, (from, position) => writer.add(from, position));
      merged.push(await this.#write(this.#runPath(), fill, false));
      for (const { path } of together) await rm(path);
    }
    this.#runs = merged;
  }

  async #mergeIntoIndex(): Promise<WrittenIndex> {
    const partial = `${this.#path}-partial`;
    let contradicted = 0;
    let contradictedIds: readonly string[] = [];
    const fill = async (writer: RecordWriter): Promise<void> => {
      await writer.append(indexHeader(0, false));
      const filter = new WithoutContradictions((from, at) => writer.add(from, at));
      await this.#merge(this.#runs, writer, (from, at) => filter.take(from, at));
      filter.finish();
      contradicted = filter.count;
      contradictedIds = filter.ids;
    };
    const written = await this.#write(partial, fill, true);
    const records = written.records - INDEX_HEADER_BYTES / RECORD_BYTES;
    await this.#publish(partial, records);
    return { path: this.#path, records, repeated: this.#repeated, contradicted, contradictedIds };
  }

  #merge(
    runs: readonly RecordFile[],
    writer: RecordWriter,
    onRecord: (from: Buffer, at: number) => boolean,
  ): Promise<void> {
    return mergeRecords(runs, {
      onRecord,
      drain: () => writer.flush(),
      onRepeated: () => {
        this.#repeated += 1;
      },
      signal: this.#signal,
    });
  }

  /** The header says how many there are, last of all: a file without it is not whole. */
  async #publish(partial: string, records: number): Promise<void> {
    const file = await open(partial, 'r+');
    try {
      await file.write(indexHeader(records, true), 0, INDEX_HEADER_BYTES, 0);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, this.#path);
    const folder = await open(this.#options.directory, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }

  async #removeRuns(): Promise<void> {
    for (const { path } of this.#runs) await rm(path, { force: true });
    this.#runs = [];
  }

  async #explained<T>(task: () => Promise<T>): Promise<T> {
    try {
      return await task();
    } catch (error) {
      this.#signal.throwIfAborted();
      const why = error instanceof Error ? error.message : String(error);
      throw new BlobferryError(`Cannot sort the digests in "${this.#options.directory}": ${why}`, {
        cause: error,
        hint: 'Free space there: it takes 200 bytes for each blob of the registry',
      });
    }
  }
}

/** Sorted by id, and by sha256 where ids are the same; a copy. */
function sortRecords(records: Buffer): Buffer {
  const order = Uint32Array.from(
    { length: records.length / RECORD_BYTES },
    (_, index) => index * RECORD_BYTES,
  );
  order.sort((one, other) => records.compare(records, other, other + RECORD_BYTES, one, one + RECORD_BYTES));
  const sorted = Buffer.allocUnsafe(records.length);
  for (const [index, from] of order.entries()) {
    records.copy(sorted, index * RECORD_BYTES, from, from + RECORD_BYTES);
  }
  return sorted;
}
