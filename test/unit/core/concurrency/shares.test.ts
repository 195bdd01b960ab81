import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { shareOut } from '../../../../src/core/concurrency/shares.ts';

const inputs = fc.record({
  window: fc.integer({ min: 1, max: 2_000 }),
  demands: fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 66 }),
});

describe('shareOut()', () => {
  it('gives everyone a place, and no more in all than the window has, or one each', () => {
    fc.assert(
      fc.property(inputs, ({ window, demands }) => {
        const shares = shareOut(window, demands);
        assert.equal(shares.length, demands.length);
        assert.ok(shares.every((share) => share >= 1));
        const sum = shares.reduce((total, share) => total + share, 0);
        assert.ok(sum <= Math.max(window, demands.length), `${sum} of ${window}`);
      }),
    );
  });

  it('leaves no place unused that somebody waits for', () => {
    fc.assert(
      fc.property(inputs, ({ window, demands }) => {
        const shares = shareOut(window, demands);
        const isShort = demands.some((demand, index) => demand > (shares[index] ?? 0));
        const sum = shares.reduce((total, share) => total + share, 0);
        if (isShort) assert.ok(sum >= window - demands.length, `${sum} of ${window}`);
      }),
    );
  });

  it('gives equal demands equal shares, and what one does not need to the others', () => {
    assert.deepEqual(shareOut(64, [100, 100]), [32, 32]);
    assert.deepEqual(shareOut(64, [4, 100]), [4, 60]);
    assert.deepEqual(shareOut(64, [0, 0]), [32, 32]);
    assert.deepEqual(shareOut(2, [50, 50, 50]), [1, 1, 1]);
    assert.deepEqual(shareOut(64, []), []);
  });
});
