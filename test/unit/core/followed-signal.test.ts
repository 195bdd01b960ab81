import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, it } from 'node:test';
import { followSignal } from '../../../src/core/followed-signal.ts';

describe('followSignal', () => {
  it('ends with the larger signal, and for its reason', () => {
    const outer = new AbortController();
    const inner = followSignal(outer.signal);
    outer.abort('the user');
    assert.equal(inner.signal.aborted, true);
    assert.equal(inner.signal.reason, 'the user');
  });

  it('is over at once where the larger signal is', () => {
    const inner = followSignal(AbortSignal.abort('long ago'));
    assert.equal(inner.signal.reason, 'long ago');
  });

  it('ends by itself, and leaves the larger signal alone', () => {
    const outer = new AbortController();
    const inner = followSignal(outer.signal);
    inner.abort('a failure');
    assert.equal(inner.signal.reason, 'a failure');
    assert.equal(outer.signal.aborted, false);
  });

  it('is forgotten by the larger signal once it is released', () => {
    const outer = new AbortController();
    const inner = followSignal(outer.signal);
    assert.equal(getEventListeners(outer.signal, 'abort').length, 1);
    inner.release();
    assert.equal(getEventListeners(outer.signal, 'abort').length, 0);
    outer.abort();
    assert.equal(inner.signal.aborted, false);
  });
});
