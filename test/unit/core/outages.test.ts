import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CopyEvent } from '../../../src/core/events.ts';
import { Outages } from '../../../src/core/outages.ts';

function says(state: 'waiting' | 'back', side: 'source' | 'target' = 'target'): CopyEvent {
  return { event: 'backend', side, name: 's3://b', state, reason: 'refused' };
}

describe('Outages', () => {
  it('begin with the first thread that waits and end with the last', () => {
    const outages = new Outages();
    const outage = { side: 'target', name: 's3://b', reason: 'refused', sinceMs: 1_000 };
    assert.deepEqual(outages.hear(says('waiting'), 1_000), { is: 'away', outage });
    assert.equal(outages.hear(says('waiting'), 1_500), undefined);
    assert.deepEqual(outages.current, [outage]);
    assert.equal(outages.threadsWaiting('target'), 2);
    assert.equal(outages.hear(says('back'), 4_000), undefined);
    assert.deepEqual(outages.current, [outage]);
    assert.deepEqual(outages.hear(says('back'), 5_000), { is: 'back', outage, ms: 4_000 });
    assert.deepEqual(outages.current, []);
    assert.equal(outages.threadsWaiting('target'), 0);
  });

  it('are told apart by side, and add up', () => {
    const outages = new Outages();
    outages.hear(says('waiting'), 0);
    outages.hear(says('waiting', 'source'), 100);
    assert.deepEqual(
      outages.current.map(({ side }) => side),
      ['source', 'target'],
    );
    outages.hear(says('back'), 1_000);
    outages.hear(says('waiting'), 2_000);
    assert.equal(outages.totalMs('target', 2_500), 1_500);
    assert.equal(outages.totalMs('source', 2_500), 2_400);
  });

  it('take no harm from a thread that is back without having waited, and from other events', () => {
    const outages = new Outages();
    assert.equal(outages.hear(says('back'), 0), undefined);
    assert.equal(outages.hear({ event: 'warning', message: 'x' }, 0), undefined);
    assert.equal(outages.totalMs('target', 5), 0);
  });
});
