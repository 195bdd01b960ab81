import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, it, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { orAborted, untilAborted } from '../../../src/drivers/or-aborted.ts';

/** Rejections that nobody handles; a process without this listener ends with the first. */
function unheard(t: TestContext): readonly unknown[] {
  const reasons: unknown[] = [];
  const hear = (reason: unknown): void => void reasons.push(reason);
  process.on('unhandledRejection', hear);
  t.after(() => process.off('unhandledRejection', hear));
  return reasons;
}

describe('orAborted()', () => {
  it('gives what the promise gives, and leaves no listener', async () => {
    const { signal } = new AbortController();
    assert.equal(await orAborted(Promise.resolve(7), signal), 7);
    await assert.rejects(orAborted(Promise.reject(new Error('no')), signal), /no/);
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });

  it('rejects with the reason, and hears the promise out, whichever of the two was first', async (t) => {
    const reasons = unheard(t);
    const late = Promise.withResolvers<never>();
    const abort = new AbortController();
    const waiting = orAborted(late.promise, abort.signal);
    abort.abort(new Error('stop'));
    await assert.rejects(waiting, /stop/);
    late.reject(new Error('too late'));
    await assert.rejects(orAborted(Promise.reject(new Error('in vain')), abort.signal), /stop/);
    await turn();
    assert.deepEqual(reasons, []);
  });
});

describe('untilAborted()', () => {
  it('ends with the reason where the items end with it, too, and closes them', async (t) => {
    const reasons = unheard(t);
    const abort = new AbortController();
    let isClosed = false;
    async function* items(): AsyncGenerator<number> {
      try {
        yield 1;
        abort.signal.throwIfAborted();
        yield 2;
      } finally {
        isClosed = true;
      }
    }
    const seen: number[] = [];
    const reading = async (): Promise<void> => {
      for await (const item of untilAborted(items(), abort.signal)) {
        seen.push(item);
        abort.abort(new Error('stop'));
      }
    };
    await assert.rejects(reading(), /stop/);
    await turn();
    assert.deepEqual([seen, isClosed, reasons], [[1], true, []]);
  });
});
