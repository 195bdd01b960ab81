import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Cuts } from '../../../src/copy/cuts.ts';
import { Tally } from '../../../src/copy/tally.ts';
import { allocateCounters, CounterReader, CounterWriter, restoreRow } from '../../../src/core/counters.ts';

class Shard {
  readonly cuts: Cuts;
  readonly #tally: Tally;
  /** Listed objects up to each cursor. */
  readonly cursors: [string, number][] = [];

  constructor(listed: number) {
    const counters = new CounterWriter(allocateCounters(1));
    this.#tally = new Tally(counters);
    this.cuts = new Cuts({
      counters,
      tally: this.#tally,
      everyObjects: 1,
      onCursor: (after, values, onSent) => {
        const row = allocateCounters(1);
        restoreRow(row, 0, values);
        this.cursors.push([after, new CounterReader(row).count('listedSource')]);
        onSent();
      },
    });
    this.listed(listed);
  }

  listed(count: number): void {
    this.#tally.listed(count);
    this.cuts.listed(count);
  }

  forget(segment: ReturnType<Cuts['admit']>): void {
    this.#tally.listed(-1);
    this.cuts.forget(segment);
  }
}

describe('Cuts of a shard whose objects another thread takes over', () => {
  it('count what went before the cut as never listed', () => {
    const shard = new Shard(4);
    const a = shard.cuts.admit('a');
    shard.cuts.admit('b');
    shard.forget(a);
    assert.deepEqual(shard.cursors, [['a', 0]]);
  });

  it('count what went behind the cut as never listed, and what comes later as it is', () => {
    const shard = new Shard(4);
    const a = shard.cuts.admit('a');
    const b = shard.cuts.admit('b');
    shard.forget(b);
    shard.cuts.settle(a, true);
    const c = shard.cuts.admit('c');
    shard.cuts.settle(c, true);
    shard.cuts.admit('d');
    assert.deepEqual(shard.cursors, [
      ['a', 1],
      ['b', 1],
      ['c', 2],
    ]);
  });
});
