/** What of one shard only the target has. */
import { mayBeDeleted } from '../layout/deletable.ts';
import type { Layout } from '../layout/layout.ts';
import type { ShardResult } from './shard.ts';

export class FoundExtras {
  readonly #namedMax: number;
  readonly #layout: Layout;
  readonly #named: string[] = [];
  #unnamed = 0;
  #kept = 0;

  /** @param namedMax so many of those that may be deleted are named. */
  constructor(layout: Layout, namedMax: number) {
    this.#layout = layout;
    this.#namedMax = namedMax;
  }

  get isEmpty(): boolean {
    return this.#named.length + this.#unnamed + this.#kept === 0;
  }

  add(path: string): void {
    if (!mayBeDeleted(this.#layout, path)) this.#kept += 1;
    // A path may be a slice of the page it came in, which a copy of its own does not hold on to.
    else if (this.#named.length < this.#namedMax) this.#named.push(structuredClone(path));
    else this.#unnamed += 1;
  }

  clear(): void {
    this.#named.length = 0;
    this.#unnamed = 0;
    this.#kept = 0;
  }

  result(): Pick<ShardResult, 'extras' | 'extrasUnnamed' | 'extrasKept'> {
    return {
      extras: this.#named,
      ...(this.#unnamed === 0 ? {} : { extrasUnnamed: this.#unnamed }),
      ...(this.#kept === 0 ? {} : { extrasKept: this.#kept }),
    };
  }
}
