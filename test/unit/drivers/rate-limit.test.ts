import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { RateLimit } from '../../../src/drivers/wrap/rate-limit.ts';

describe('RateLimit', () => {
  it('lets no more than the rate and a quarter of a second of it through, in any span of time', () => {
    const rate = fc.integer({ min: 1, max: 10_000 });
    const steps = fc.array(
      fc.record({ amount: fc.integer({ min: 1, max: 500 }), idleMs: fc.integer({ min: 0, max: 2_000 }) }),
      { minLength: 2, maxLength: 60 },
    );
    fc.assert(
      fc.property(rate, steps, (perSecond, takes) => {
        let now = 0;
        const limit = new RateLimit(perSecond, { now: () => now });
        const used: { readonly at: number; readonly amount: number }[] = [];
        for (const { amount, idleMs } of takes) {
          now += idleMs;
          now += limit.take(amount);
          used.push({ at: now, amount });
        }
        const burst = Math.max(1, perSecond / 4);
        for (const [first, from] of used.entries()) {
          // What goes out at the beginning of the span was paid for before it.
          let sum = 0;
          for (const to of used.slice(first + 1)) {
            sum += to.amount;
            const allowed = burst + ((to.at - from.at) / 1_000) * perSecond;
            assert.ok(sum <= allowed + 1e-6, `${sum} in ${to.at - from.at} ms`);
          }
        }
      }),
    );
  });

  it('reaches its rate when it is always asked', () => {
    for (const perSecond of [1, 3, 100, 50 * 1024 ** 2]) {
      let now = 0;
      const limit = new RateLimit(perSecond, { now: () => now });
      const amount = Math.max(1, Math.floor(perSecond / 50));
      let total = 0;
      while (now < 60_000) {
        now += limit.take(amount);
        total += amount;
      }
      assert.ok(
        Math.abs(total / (perSecond * 60) - 1) < 0.02 + 2 / (perSecond * 60),
        `${perSecond}: ${total}`,
      );
    }
  });

  it('does not save up more than a quarter of a second while nobody asks', () => {
    let now = 1_000;
    const limit = new RateLimit(100, { now: () => now });
    now = 3_600_000;
    let free = 0;
    while (limit.take(1) === 0) free += 1;
    assert.equal(free, 25);
  });

  it('makes one that is larger than the burst wait until it is paid for, and owes nothing for it then', () => {
    let now = 1_000;
    const limit = new RateLimit(1_000, { now: () => now });
    assert.equal(limit.take(250), 0);
    assert.equal(limit.take(10_000), 10_000);
    now = 11_000;
    assert.equal(limit.take(1), 1);
  });

  it('is one limit for all who share its clock, and leaves what one does not use to the others', () => {
    let now = 1_000;
    const clock = { cells: new BigInt64Array(new SharedArrayBuffer(8)), at: 0 };
    const [first, second] = [0, 1].map(() => new RateLimit(1_000, { clock, now: () => now }));
    assert.equal(first?.take(250), 0);
    assert.equal(second?.take(1), 1);
    assert.equal(first?.take(1), 2);
    now = 11_000;
    assert.equal(second?.take(250), 0);
    assert.equal(second?.take(500), 500);
  });

  it('keeps to a rate that changes', () => {
    let [now, perSecond] = [1_000, 10];
    const limit = new RateLimit(() => perSecond, { now: () => now, savedMs: 0 });
    assert.equal(limit.take(1), 0);
    assert.equal(limit.take(1), 100);
    perSecond = 1_000;
    now = 1_100;
    assert.equal(limit.take(1), 1);
  });

  it('says how far off a turn is without taking it, and holds nobody while there is no rate', () => {
    let perSecond = 10;
    const limit = new RateLimit(() => perSecond, { now: () => 5_000, savedMs: 0 });
    assert.deepEqual([limit.take(1), limit.aheadMs, limit.aheadMs, limit.take(1)], [0, 100, 100, 100]);
    perSecond = 0;
    assert.deepEqual([limit.take(1), limit.aheadMs], [0, 0]);
    perSecond = 10;
    assert.equal(limit.aheadMs, 200);
  });
});
