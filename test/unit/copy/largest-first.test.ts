import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { LargestFirst, type Waiting } from '../../../src/copy/largest-first.ts';

interface Looks {
  count: number;
}

/** Counts how often it is looked at whether it was taken. */
function counted(sizeBytes: number, number: number, looks: Looks): Waiting {
  let isTaken = false;
  return {
    sizeBytes,
    number,
    get isTaken() {
      looks.count += 1;
      return isTaken;
    },
    set isTaken(value: boolean) {
      isTaken = value;
    },
  };
}

describe('LargestFirst', { timeout: 60_000 }, () => {
  it('gives the largest or the oldest of those that wait, whatever was taken before', () => {
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ push: fc.constantFrom(1, 2, 3, Number.POSITIVE_INFINITY) }) },
      { weight: 2, arbitrary: fc.constantFrom('largest' as const, 'oldest' as const) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 600, size: 'max' }), (steps) => {
        const ready = new LargestFirst<Waiting>();
        const model: Waiting[] = [];
        for (const [number, one] of steps.entries()) {
          if (typeof one === 'object') {
            const item = { sizeBytes: one.push, number, isTaken: false };
            ready.push(item);
            model.push(item);
          } else {
            if (one === 'largest') model.sort((a, b) => b.sizeBytes - a.sizeBytes || a.number - b.number);
            else model.sort((a, b) => a.number - b.number);
            const item = one === 'largest' ? ready.largest : ready.oldest;
            assert.equal(item, model.shift());
            if (item) ready.take(item);
          }
          assert.equal(ready.size, model.length);
        }
        model.sort((a, b) => (a.sizeBytes === b.sizeBytes ? a.number - b.number : b.sizeBytes - a.sizeBytes));
        assert.deepEqual(ready.items, model);
      }),
    );
  });

  it('does not keep what was taken by age although larger ones keep coming', () => {
    const looks = { count: 0 };
    const ready = new LargestFirst<Waiting>();
    for (let number = 0; number < 20_000; number += 1) {
      ready.push(counted(number, number, looks));
      if (number < 100) continue;
      const item = ready.oldest;
      assert.ok(item);
      ready.take(item);
    }
    looks.count = 0;
    assert.equal(ready.items.length, 100);
    assert.ok(looks.count < 1_000, `${looks.count} are held for 100 that wait`);
  });
});
