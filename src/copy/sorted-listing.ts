/**
 * Listings in order. A merge-join of listings that are not sorted would skip or repeat objects without a sign, so every
 * listing is either checked as it goes by or sorted first: in runs of bounded size, on disk, merged at the end.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compareUtf8 } from '../core/byte-order.ts';
import { BlobferryError } from '../core/errors.ts';
import type { ListPage, ObjectInfo } from '../drivers/driver.ts';
import { mergeRuns } from './merge-runs.ts';
import { type Run, writeRun } from './run-file.ts';

/** A backend that promised to list by UTF-8 bytes gave a key that does not ascend: not joined, but sorted anew. */
export class ListingOutOfOrder extends BlobferryError {
  readonly previousKey: string;
  readonly key: string;

  constructor(previousKey: string, key: string) {
    super(`The listing is out of order: "${key}" came behind "${previousKey}"`);
    this.previousKey = previousKey;
    this.key = key;
  }
}

/**
 * Passes pages on as they come, as long as their keys strictly ascend by UTF-8 bytes.
 * @throws ListingOutOfOrder at the first page with a key that does not; nothing of that page is passed on.
 */
export async function* orderChecked(
  pages: AsyncIterable<ListPage>,
  onDisorder: (error: ListingOutOfOrder) => void = () => undefined,
): AsyncGenerator<ListPage> {
  let previousKey: string | undefined;
  for await (const page of pages) {
    const { objects, isAscending } = page;
    const [first] = objects;
    // Of a page that was seen to ascend only the beginning is new.
    for (const { key } of isAscending && first ? [first] : objects) {
      if (previousKey !== undefined && compareUtf8(previousKey, key) >= 0) {
        const error = new ListingOutOfOrder(previousKey, key);
        onDisorder(error);
        throw error;
      }
      previousKey = key;
    }
    previousKey = objects.at(-1)?.key ?? previousKey;
    yield page;
  }
}

export interface SortOptions {
  /** Existing folder for temporary files; default the system's. */
  readonly directory?: string;
  /** Objects held in memory at once (about 400 bytes each); default 20,000. */
  readonly entriesInMemory?: number;
  /** Runs merged at once, each holding one file open and 64 KiB; default 64. */
  readonly runsMergedMax?: number;
}

const ENTRIES_IN_MEMORY = 20_000;
const RUNS_MERGED_MAX = 64;
const PAGE_OBJECTS = 1_000;

/**
 * The same objects by UTF-8 bytes of their keys, in pages of 1,000. Of a key that comes more than once the last one
 * stays. Reads the whole listing before the first page; what does not fit in memory lies in `directory` meanwhile and
 * is removed at the end, also when the caller leaves early or something fails. Only for listings without delimiter.
 */
export async function* externallySorted(
  pages: AsyncIterable<ListPage>,
  options: SortOptions = {},
): AsyncGenerator<ListPage> {
  const sorter = new ExternalSorter(options);
  try {
    for await (const page of pages) {
      if (page.prefixes.length > 0) throw new TypeError('A listing with a delimiter cannot be sorted');
      await sorter.add(page.objects);
    }
    for await (const objects of sorter.sorted()) yield { objects, prefixes: [] };
  } finally {
    await sorter.remove();
  }
}

class ExternalSorter {
  readonly #entriesInMemory: number;
  readonly #runsMergedMax: number;
  readonly #directory: string;
  #folder: string | undefined;
  #held: ObjectInfo[] = [];
  /** Oldest first: of equal keys the one of the later run wins. */
  #runs: Run[] = [];
  #files = 0;

  constructor(options: SortOptions) {
    this.#entriesInMemory = Math.max(1, options.entriesInMemory ?? ENTRIES_IN_MEMORY);
    this.#runsMergedMax = Math.max(2, options.runsMergedMax ?? RUNS_MERGED_MAX);
    this.#directory = options.directory ?? tmpdir();
  }

  async add(objects: readonly ObjectInfo[]): Promise<void> {
    for (const object of objects) {
      this.#held.push(object);
      if (this.#held.length >= this.#entriesInMemory) await this.#spill();
    }
  }

  async *sorted(): AsyncGenerator<readonly ObjectInfo[]> {
    if (this.#runs.length === 0) {
      yield* inBatches(this.#takeHeld());
      return;
    }
    if (this.#held.length > 0) await this.#spill();
    try {
      while (this.#runs.length > this.#runsMergedMax) await this.#mergeNeighbours();
      yield* mergeRuns(this.#runs);
    } catch (error) {
      throw this.#explained(error);
    }
  }

  async remove(): Promise<void> {
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true });
  }

  async #spill(): Promise<void> {
    try {
      this.#runs.push(await writeRun(await this.#newPath(), [this.#takeHeld()]));
    } catch (error) {
      throw this.#explained(error);
    }
  }

  /** Neighbouring runs only, so that the order of age stays. */
  async #mergeNeighbours(): Promise<void> {
    const merged: Run[] = [];
    for (let at = 0; at < this.#runs.length; at += this.#runsMergedMax) {
      const together = this.#runs.slice(at, at + this.#runsMergedMax);
      merged.push(await writeRun(await this.#newPath(), mergeRuns(together)));
      for (const run of together) await rm(run.path);
    }
    this.#runs = merged;
  }

  #takeHeld(): readonly ObjectInfo[] {
    // Sorting is stable, so the last of equal keys is the one that came last.
    const sorted = this.#held.sort((left, right) => compareUtf8(left.key, right.key));
    this.#held = [];
    return sorted.filter((object, at) => sorted[at + 1]?.key !== object.key);
  }

  #explained(error: unknown): Error {
    const why = error instanceof Error ? error.message : String(error);
    return new BlobferryError(`Cannot sort the listing in "${this.#directory}": ${why}`, {
      cause: error,
      hint: 'Free space there, or let TMPDIR name a folder that has more',
    });
  }

  async #newPath(): Promise<string> {
    this.#folder ??= await mkdtemp(join(this.#directory, 'blobferry-sort-'));
    this.#files += 1;
    return join(this.#folder, `run-${this.#files}`);
  }
}

function* inBatches(objects: readonly ObjectInfo[]): Generator<readonly ObjectInfo[]> {
  for (let at = 0; at < objects.length; at += PAGE_OBJECTS) yield objects.slice(at, at + PAGE_OBJECTS);
}
