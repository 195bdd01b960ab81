/** Counts the objects of one shard, so that a shard that must begin again can take back what it had counted. */
import type { CounterClass, CounterWriter, ObjectState } from '../core/counters.ts';

interface Entry {
  readonly state: ObjectState;
  readonly objectClass: CounterClass;
  count: number;
  bytes: number;
}

export class Tally {
  readonly #counters: CounterWriter;
  #entries = new Map<string, Entry>();
  #leftOut = 0;
  #listed = 0;

  constructor(counters: CounterWriter) {
    this.#counters = counters;
  }

  object(state: ObjectState, objectClass: CounterClass, bytes: number, count = 1): void {
    this.#counters.object(state, objectClass, bytes, count);
    const name = `${state}/${objectClass}`;
    const entry = this.#entries.get(name);
    if (entry) {
      entry.count += count;
      entry.bytes += bytes;
    } else {
      this.#entries.set(name, { state, objectClass, count, bytes });
    }
  }

  leftOut(): void {
    this.#leftOut += 1;
    this.#counters.count('leftOut');
  }

  listed(count: number): void {
    this.#listed += count;
    this.#counters.count('listedSource', count);
  }

  /**
   * Takes everything back but what was copied. Those objects will be found equal on the second way through, so they
   * are taken from `skipped` in advance: each object is counted once, as what happened to it first.
   */
  startOver(): void {
    for (const { state, objectClass, count, bytes } of this.#entries.values()) {
      this.#counters.object(state === 'copied' ? 'skipped' : state, objectClass, -bytes, -count);
    }
    this.#counters.count('leftOut', -this.#leftOut);
    this.#counters.count('listedSource', -this.#listed);
    this.#entries = new Map();
    this.#leftOut = 0;
    this.#listed = 0;
  }
}
