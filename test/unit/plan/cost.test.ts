import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { costOf } from '../../../src/plan/cost.ts';

const GIB = 1024 ** 3;

describe('costOf()', () => {
  const requests = {
    source: { list: 1_000, read: 2_000_000 },
    target: { list: 500, write: 2_000_000 },
  };

  it('multiplies requests by thousands and bytes by GiB, for each side', () => {
    const prices = {
      currency: 'USD',
      source: { requests: { list: 0.005, read: 0.0004 }, egressGib: 0.09 },
      target: { requests: { list: 0.005, write: 0.005 }, egressGib: 0 },
    };
    const cost = costOf(prices, requests, { source: 100 * GIB, target: 0 });
    assert.equal(cost.currency, 'USD');
    assert.ok(Math.abs(cost.source.requests - (0.005 + 0.8)) < 1e-9);
    assert.ok(Math.abs(cost.source.egress - 9) < 1e-9);
    assert.ok(Math.abs(cost.target.requests - (0.0025 + 10)) < 1e-9);
    assert.equal(cost.target.egress, 0);
    assert.ok(Math.abs(cost.total - (0.805 + 9 + 10.0025)) < 1e-9);
    assert.deepEqual(cost.unpriced, []);
  });

  it('says what has no price instead of taking it to be free', () => {
    const prices = { currency: 'EUR', source: { requests: { read: 1 } }, target: { requests: {} } };
    const cost = costOf(prices, requests, { source: 1, target: 0 });
    assert.deepEqual(cost.unpriced, ['source list', 'source egress', 'target list', 'target write']);
    assert.equal(cost.total, 2_000);
  });
});
