/** What only the target has, gathered over all shards of a pass: counted in full, named within bounds. */
import type { ShardResult } from '../copy/shard.ts';

/** The limit where none is given. */
export const DELETE_MAX_DEFAULT = 1_000;
/**
 * A limit above this is refused, as the names are held in memory, here and in the threads: with 10,000 tag links of two
 * folders a run was seen to take 185 MiB of the default `--memory` of 192 MiB, with 20,000 191 MiB.
 */
export const DELETE_MAX_MOST = 10_000;
/** So many are named in the summary, whatever the limit. */
const SHOWN_MAX = 100;

/** How many a shard has to name, so that all can be deleted where that is allowed and some be shown where not. */
export function namedExtrasMax(deleteMax: number): number {
  return Math.max(deleteMax, SHOWN_MAX);
}

export class Extras {
  readonly #namedMax: number;
  readonly #paths: string[] = [];
  #unnamed = 0;
  #kept = 0;

  constructor(deleteMax: number) {
    this.#namedMax = namedExtrasMax(deleteMax);
  }

  add({ extras, extrasUnnamed = 0, extrasKept = 0 }: ShardResult): void {
    const named = extras.slice(0, Math.max(0, this.#namedMax - this.#paths.length));
    for (const path of named) this.#paths.push(path);
    this.#unnamed += extras.length - named.length + extrasUnnamed;
    this.#kept += extrasKept;
  }

  /** Objects that may be deleted. */
  get count(): number {
    return this.#paths.length + this.#unnamed;
  }

  /** Objects that are never deleted. */
  get kept(): number {
    return this.#kept;
  }

  /** All of them where they are not more than the limit. */
  get paths(): readonly string[] {
    return this.#paths;
  }

  get shown(): readonly string[] {
    return this.#paths.slice(0, SHOWN_MAX);
  }
}
