/**
 * What passes wrote and nobody has read back and found right since: files of names in one folder, whatever ended the pass
 * or the check.
 *
 *     <time>-<pass>-<thread>.keys   of one thread of one pass, in the order of its writes
 *     left-<n>.list                 all that was left when a check began, sorted, each key once
 *     next-<n>.list                 of those, what that check has left for the next one
 *     done-<n>.json                 how far it came in the first, and how much of the second counts
 */
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { externallySorted } from '../../copy/sorted-listing.ts';
import { WRITTEN_ENDING, type WrittenPlace } from '../../copy/written-keys.ts';
import { BlobferryError } from '../../core/errors.ts';
import type { ListPage, ObjectInfo } from '../../drivers/driver.ts';
import type { KeyToVerify } from '../../verify/verify-keys.ts';
import { CheckedKeys, type CheckPoint } from './checked-keys.ts';

const LINES_AT_ONCE = 1_000;
const LEFT = /^left-(\d+)\.list$/;

/** A part of a file that counts, from byte to byte. */
interface Part {
  readonly path: string;
  readonly from?: number;
  readonly to?: number;
}

export class WrittenStore {
  readonly #folder: string;

  /** @param folder one of its own; made when it is first needed. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Where the threads of a pass note what they write. */
  async placeFor(pass: string): Promise<WrittenPlace> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    return { folder: this.#folder, name: `${String(Date.now()).padStart(15, '0')}-${pass}` };
  }

  /** What threads noted survives a power cut from now on. */
  async flush(): Promise<void> {
    for (const name of await this.#passFiles()) {
      const file = await open(join(this.#folder, name), 'r');
      try {
        await file.datasync();
      } finally {
        await file.close();
      }
    }
  }

  /** Everything that is left, for one check of it. No pass may run meanwhile. */
  async begin(): Promise<CheckedKeys> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const names = await readdir(this.#folder);
    const last = names.reduce((most, name) => Math.max(most, Number(LEFT.exec(name)?.[1] ?? 0)), 0);
    const passes = await this.#passFiles();
    const inputs = [
      ...(await this.#leftBy(last)),
      ...passes.map((name): Part => ({ path: join(this.#folder, name) })),
    ];
    const number = last + 1;
    const list = this.#path('left', number);
    const keys = await writeSorted(inputs, `${list}.tmp`, this.#folder);
    await rename(`${list}.tmp`, list);
    // All of it is in the new list.
    const old = names.filter((name) => !name.endsWith(WRITTEN_ENDING) || passes.includes(name));
    for (const name of old) await rm(join(this.#folder, name), { force: true });
    return new CheckedKeys({
      list,
      keys,
      next: this.#path('next', number),
      done: this.#path('done', number),
    });
  }

  /** What the last check left: what it did not come to, and what it did not find right. */
  async #leftBy(number: number): Promise<readonly Part[]> {
    if (number === 0) return [];
    const done = await readFile(this.#path('done', number), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    const point: CheckPoint = done === undefined ? { list: 0, next: 0 } : (JSON.parse(done) as CheckPoint);
    return [
      { path: this.#path('left', number), from: point.list },
      ...(point.next > 0 ? [{ path: this.#path('next', number), to: point.next }] : []),
    ];
  }

  #path(what: 'left' | 'next' | 'done', number: number): string {
    return join(this.#folder, `${what}-${number}.${what === 'done' ? 'json' : 'list'}`);
  }

  /** Oldest first. */
  async #passFiles(): Promise<readonly string[]> {
    const names = await readdir(this.#folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    return names.filter((name) => name.endsWith(WRITTEN_ENDING)).sort();
  }
}

/** @returns how many keys there are. */
async function writeSorted(inputs: readonly Part[], path: string, directory: string): Promise<number> {
  const file = await open(path, 'w', 0o600);
  let count = 0;
  try {
    for await (const { objects } of externallySorted(pagesOf(inputs), { directory })) {
      count += objects.length;
      await file.appendFile(objects.map((object) => `${JSON.stringify(object)}\n`).join(''));
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return count;
}

/** Of a key that comes more than once the last one counts. */
async function* pagesOf(inputs: readonly Part[]): AsyncGenerator<ListPage> {
  for (const input of inputs) {
    for await (const keys of readKeys(input)) {
      yield { objects: keys as readonly ObjectInfo[], prefixes: [] };
    }
  }
}

/** Batches of the lines of a file. */
async function* readKeys({ path, from = 0, to }: Part): AsyncGenerator<readonly KeyToVerify[]> {
  const input = createReadStream(path, { start: from, ...(to === undefined ? {} : { end: to - 1 }) });
  let batch: KeyToVerify[] = [];
  let torn: string | undefined;
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (torn !== undefined)
      throw new BlobferryError(`"${path}" is damaged: it holds ${JSON.stringify(torn)}`);
    const key = parsed(line);
    // The last line of a thread that was killed: it was not noted whole, so nothing of it was written.
    if (key === undefined) torn = line.slice(0, 100);
    else batch.push(key);
    if (batch.length < LINES_AT_ONCE) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

function parsed(line: string): KeyToVerify | undefined {
  try {
    return JSON.parse(line) as KeyToVerify;
  } catch {
    return undefined;
  }
}
