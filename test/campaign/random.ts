/** Choices that follow from a seed: the same on every machine. */
import { createHash } from 'node:crypto';

export class Random {
  readonly #seed: string;
  #drawn = 0;

  constructor(seed: string) {
    this.#seed = seed;
  }

  /** 0 ≤ value < 1. */
  fraction(): number {
    this.#drawn += 1;
    const digest = createHash('sha256').update(`${this.#seed}/${this.#drawn}`).digest();
    return digest.readUInt32BE(0) / 2 ** 32;
  }

  /** Both ends included. */
  integer(least: number, most: number): number {
    return least + Math.floor(this.fraction() * (most - least + 1));
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<T>(choices: readonly T[]): T {
    const choice = choices[this.integer(0, choices.length - 1)];
    if (choice === undefined) throw new Error('There is nothing to choose from');
    return choice;
  }
}
