/** Is the blob of each row of a metadata backup there? The rows go along with the joined listings. */
import { isStorageError } from '../core/errors.ts';
import type { StorageDriver } from '../drivers/driver.ts';
import type { DigestIndex } from '../layout/digests/digest-index.ts';
import { RowsAlong } from '../layout/digests/rows-along.ts';
import type { Classified } from '../layout/layout.ts';
import { blobIdIn, blobPathOf } from '../layout/msr.ts';
import type { RowsSummary } from './summary.ts';

const NAMED_MAX = 10;

export interface RowCheckOptions {
  readonly index: DigestIndex;
  readonly target: StorageDriver;
  readonly targetPrefix: string;
  readonly signal: AbortSignal;
}

export class RowCheck {
  readonly #options: RowCheckOptions;
  readonly #along: RowsAlong;
  readonly #lacking = new NamedIds();
  readonly #inNeither = new NamedIds();

  constructor(options: RowCheckOptions) {
    this.#options = options;
    this.#along = new RowsAlong(options.index);
  }

  /** What the row of this path says; rows that come before it have no blob in either listing. Paths ascend. */
  async find(path: string): Promise<string | undefined> {
    if (blobIdIn(path) === undefined) return undefined;
    const { sha256, passed } = await this.#along.find(path);
    for (const id of passed) await this.#absent(id);
    return sha256;
  }

  /** Behind the last path. */
  async finish(): Promise<void> {
    for await (const ids of this.#along.rest()) for (const id of ids) await this.#absent(id);
  }

  /** The source has it, the target does not. */
  missing(path: string): void {
    this.#lacking.add(blobIdIn(path) ?? path);
  }

  async #absent(id: string): Promise<void> {
    if (await this.#isThereAfterAll(id)) return;
    this.#lacking.add(id);
    this.#inNeither.add(id);
  }

  /** Where listings lag behind, what they leave out is asked for itself. */
  async #isThereAfterAll(id: string): Promise<boolean> {
    const { target, targetPrefix, signal } = this.#options;
    signal.throwIfAborted();
    if (!target.facts.listsLate) return false;
    try {
      await target.stat({ signal }, targetPrefix + blobPathOf(id));
      return true;
    } catch (error) {
      if (isStorageError(error, 'not-found')) return false;
      throw error;
    }
  }

  summary(): RowsSummary {
    return {
      rows: this.#options.index.records,
      lacking: this.#lacking.all(),
      lackingInSource: this.#inNeither.all(),
    };
  }
}

/** With what a row says that the bytes must hash to. */
export function withRowDigest(classified: Classified, sha256: string | undefined): Classified {
  if (sha256 === undefined) return classified;
  return { ...classified, contentDigest: { algorithm: 'sha256', hex: sha256 }, digestFrom: 'backup' };
}

class NamedIds {
  #count = 0;
  readonly #first: string[] = [];

  add(id: string): void {
    this.#count += 1;
    if (this.#first.length < NAMED_MAX) this.#first.push(id);
  }

  all(): { readonly count: number; readonly first: readonly string[] } {
    return { count: this.#count, first: this.#first };
  }
}
