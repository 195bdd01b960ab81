/** One check of what was written: how far it has come is on disk, so that a check that ended early is gone on with. */
import { closeSync, fdatasyncSync, openSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { KeyToVerify } from '../../verify/verify-keys.ts';

const PIECE_BYTES = 256 * 1024;
const NOTE_EVERY_MS = 2_000;
const NEW_LINE = 0x0a;

/** How far a check came: bytes of its list, and bytes of what it has left. */
export interface CheckPoint {
  readonly list: number;
  readonly next: number;
}

export interface CheckedFiles {
  readonly list: string;
  /** In the list. */
  readonly keys: number;
  readonly next: string;
  readonly done: string;
}

interface Batch {
  readonly end: number;
  open: number;
}

export class CheckedKeys {
  readonly #files: CheckedFiles;
  /** Those that are not settled yet, in the order of the list. */
  readonly #batches: Batch[] = [];
  readonly #batchOf = new Map<string, Batch>();
  readonly #next: number;
  #nextBytes = 0;
  #listBytes = 0;
  #notedMs = performance.now();

  constructor(files: CheckedFiles) {
    this.#files = files;
    this.#next = openSync(files.next, 'w', 0o600);
  }

  get count(): number {
    return this.#files.keys;
  }

  /** All keys, ascending. */
  async *batches(): AsyncGenerator<readonly KeyToVerify[]> {
    const file = await open(this.#files.list, 'r');
    try {
      let rest = Buffer.alloc(0);
      let at = 0;
      for (;;) {
        const piece = Buffer.allocUnsafe(PIECE_BYTES);
        const { bytesRead } = await file.read(piece, 0, PIECE_BYTES, at);
        if (bytesRead === 0) return;
        at += bytesRead;
        const bytes = Buffer.concat([rest, piece.subarray(0, bytesRead)]);
        const end = bytes.lastIndexOf(NEW_LINE) + 1;
        rest = bytes.subarray(end);
        if (end > 0) yield this.#begin(bytes.toString('utf8', 0, end), at - rest.length);
      }
    } finally {
      await file.close();
    }
  }

  #begin(lines: string, end: number): readonly KeyToVerify[] {
    const keys = lines
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as KeyToVerify);
    const batch: Batch = { end, open: keys.length };
    this.#batches.push(batch);
    for (const { key } of keys) this.#batchOf.set(key, batch);
    return keys;
  }

  /** @param left what the next check has to look at; absent: nothing. */
  settle(key: string, left?: KeyToVerify): void {
    if (left) this.#nextBytes += writeSync(this.#next, `${JSON.stringify(left)}\n`);
    const batch = this.#batchOf.get(key);
    this.#batchOf.delete(key);
    if (batch) batch.open -= 1;
    while (this.#batches[0]?.open === 0) this.#listBytes = this.#batches.shift()?.end ?? this.#listBytes;
    if (performance.now() - this.#notedMs >= NOTE_EVERY_MS) this.#note();
  }

  /** However it ended: what was settled counts, and what was not is left. */
  close(): void {
    this.#note();
    closeSync(this.#next);
  }

  #note(): void {
    const point: CheckPoint = { list: this.#listBytes, next: this.#nextBytes };
    fdatasyncSync(this.#next);
    const path = `${this.#files.done}.tmp`;
    writeFileSync(path, JSON.stringify(point), { mode: 0o600, flush: true });
    renameSync(path, this.#files.done);
    this.#notedMs = performance.now();
  }
}
