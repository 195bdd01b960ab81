/** Sorted runs of listed objects on disk: one JSON object a line. A run that comes back incomplete is noticed. */
import { type FileHandle, open } from 'node:fs/promises';
import { StringDecoder } from 'node:string_decoder';
import type { ObjectInfo } from '../drivers/driver.ts';

const PIECE_BYTES = 64 * 1024;

export interface Run {
  readonly path: string;
  readonly entries: number;
}

/** Batches of objects in order; batches keep the cost of waiting away from the single object. */
export type Batches = AsyncIterable<readonly ObjectInfo[]> | Iterable<readonly ObjectInfo[]>;

export async function writeRun(path: string, batches: Batches): Promise<Run> {
  // The names of a registry's objects are nobody else's business.
  const file = await open(path, 'wx', 0o600);
  try {
    let entries = 0;
    for await (const batch of batches) {
      entries += batch.length;
      for (let at = 0; at < batch.length; at += 500) {
        const lines = batch.slice(at, at + 500).map((object) => `${JSON.stringify(object)}\n`);
        await file.appendFile(lines.join(''));
      }
    }
    return { path, entries };
  } finally {
    await file.close();
  }
}

/** The objects of a run, one after the other: `step` as long as it answers true, `load` when it answers false. */
export class RunCursor {
  readonly #run: Run;
  readonly #decoder = new StringDecoder('utf8');
  readonly #buffer = Buffer.allocUnsafe(PIECE_BYTES);
  #file: FileHandle | undefined;
  #lines: readonly string[] = [];
  #at = 0;
  #rest = '';
  #entries = 0;
  #isAtEnd = false;
  /** The object stepped to; undefined at the end. */
  object: ObjectInfo | undefined;

  constructor(run: Run) {
    this.#run = run;
  }

  step(): boolean {
    const line = this.#lines[this.#at];
    this.object = undefined;
    if (line === undefined) return this.#isAtEnd;
    this.#at += 1;
    this.#entries += 1;
    this.object = JSON.parse(line) as ObjectInfo;
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
    const { bytesRead } = await this.#file.read(this.#buffer, 0, PIECE_BYTES, null);
    this.#lines = [];
    this.#at = 0;
    if (bytesRead === 0) {
      await this.close();
      this.#isAtEnd = true;
      if (this.#rest !== '' || this.#entries !== this.#run.entries) throw this.#incomplete();
      return;
    }
    const lines = (this.#rest + this.#decoder.write(this.#buffer.subarray(0, bytesRead))).split('\n');
    this.#rest = lines.pop() ?? '';
    this.#lines = lines;
  }

  #incomplete(): Error {
    const { path, entries } = this.#run;
    return new Error(`Temporary file "${path}" holds ${this.#entries} of ${entries} entries`);
  }
}
