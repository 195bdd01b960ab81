/**
 * The names of what a thread is about to write, on disk before it is written: whoever reads them later knows everything
 * that may be in the target because of this pass, however the pass ended. One JSON object a line.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { BlobferryError } from '../core/errors.ts';
import type { ObjectInfo } from '../drivers/driver.ts';

/** `key` is the logical path. */
export interface WrittenKey extends Pick<ObjectInfo, 'key' | 'sizeBytes'> {
  /** Of the bytes that were read from the source, where they were all read before any became visible; lower-case hex. */
  readonly sha256?: string;
}

/** Where threads of one pass write: files of this folder whose names begin so. */
export interface WrittenPlace {
  readonly folder: string;
  /** Sorts behind the names of earlier passes. */
  readonly name: string;
}

export const WRITTEN_ENDING = '.keys';

/** Nothing is written that nobody would know of. */
export class NotNoted extends BlobferryError {}

export class WrittenKeys {
  readonly #path: string;
  #file: number | undefined;

  /** @param row tells this thread's file from those of others. */
  constructor({ folder, name }: WrittenPlace, row: number) {
    this.#path = join(folder, `${name}-${row}${WRITTEN_ENDING}`);
  }

  /** Before the object becomes visible. @throws NotNoted */
  note(written: WrittenKey): void {
    try {
      this.#file ??= openSync(this.#path, 'a', 0o600);
      const line = Buffer.from(`${JSON.stringify(written)}\n`);
      if (writeSync(this.#file, line) < line.length) throw new Error('it took not all of a line');
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new NotNoted(`Cannot note what is written in "${this.#path}": ${why}`, {
        cause,
        hint: 'Free space there, then run again',
      });
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}
