import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Shard } from '../../../src/copy/shard.ts';
import { belongsToPhaseOne, isInRange } from '../../../src/copy/shard-range.ts';
import { distributionLayout } from '../../../src/layout/distribution.ts';
import { rawLayout } from '../../../src/layout/raw.ts';

describe('isInRange()', () => {
  it('lies behind `after` and reaches up to and including `upTo`, in byte order', () => {
    const range = { prefix: '', after: 'b/', upTo: '\u{fffd}' };
    for (const path of ['b/a', 'c', '\u{fffd}']) assert.equal(isInRange(range, path), true, path);
    for (const path of ['a', 'b/', 'b', '\u{fffd}a', '😀']) assert.equal(isInRange(range, path), false, path);
    assert.equal(isInRange({ prefix: '' }, 'anything'), true);
  });
});

describe('belongsToPhaseOne()', () => {
  it('is what a shard of names meets of the blobs, and nothing else', () => {
    const shard = (phase: Shard['phase']): Shard => ({ id: '1', phase, range: { prefix: '' } });
    const blob = 'docker/registry/v2/blobs/sha256/ab/x';
    assert.equal(belongsToPhaseOne(shard('names'), distributionLayout, blob), true);
    assert.equal(belongsToPhaseOne(shard('blobs'), distributionLayout, blob), false);
    assert.equal(belongsToPhaseOne(shard('names'), rawLayout, blob), false);
    assert.equal(belongsToPhaseOne(shard('names'), distributionLayout, 'docker/registry/v2/blobs'), false);
  });
});
