import type { Named } from '../engine-port.ts';

const NAMED_MAX = 10;

/** Counts all, names ten. */
export class NamedCount {
  #count = 0;
  readonly #first: string[] = [];

  add(name: string): void {
    this.#count += 1;
    if (this.#first.length < NAMED_MAX) this.#first.push(name);
  }

  all(): Named {
    return { count: this.#count, first: this.#first };
  }
}

export const NOTHING: Named = { count: 0, first: [] };
