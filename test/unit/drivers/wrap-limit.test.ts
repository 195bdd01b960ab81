import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { RateLimit, withLimits } from '../../../src/drivers/wrap/limit.ts';
import { fakeTime } from './fake-time.ts';
import { everyCall, objectsNamed, ScriptedDriver } from './scripted-driver.ts';

const CTX = { signal: new AbortController().signal };

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
        const limit = new RateLimit(perSecond, () => now);
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
      const limit = new RateLimit(perSecond, () => now);
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
    let now = 0;
    const limit = new RateLimit(100, () => now);
    now = 3_600_000;
    let free = 0;
    while (limit.take(1) === 0) free += 1;
    assert.equal(free, 25);
  });

  it('makes one that is larger than the burst wait until it is paid for, and owes nothing for it then', () => {
    let now = 0;
    const limit = new RateLimit(1_000, () => now);
    assert.equal(limit.take(250), 0);
    assert.equal(limit.take(10_000), 10_000);
    now = 10_000;
    assert.equal(limit.take(1), 1);
  });
});

describe('withLimits()', () => {
  it('gives the driver itself where nothing is limited', () => {
    const driver = new ScriptedDriver();
    assert.equal(withLimits(driver, { requests: undefined, bytes: undefined }), driver);
  });

  for (const name of Object.keys(everyCall(new ScriptedDriver(), CTX))) {
    // Cleaning up and waiting for the disk are no requests to save.
    const isFree = name === 'abort' || name === 'flush';
    it(`${isFree ? 'never makes' : 'makes'} ${name}() wait for its turn`, async (t) => {
      const time = fakeTime(t);
      const inner = new ScriptedDriver();
      const driver = withLimits(inner, { requests: new RateLimit(1, () => 0), bytes: undefined });
      const call = everyCall(driver, CTX)[name as keyof ReturnType<typeof everyCall>];
      await call();
      const second = call();
      await time.pass(999);
      assert.equal(inner.calls.length, isFree ? 2 : 1);
      await time.pass(1);
      assert.equal(inner.calls.length, 2);
      await second;
    });
  }

  it('counts the bytes of reads, writes and parts, and only those', async () => {
    const inner = new ScriptedDriver();
    const amounts: number[] = [];
    const bytes = new (class extends RateLimit {
      override take(amount: number): number {
        amounts.push(amount);
        return 0;
      }
    })(1);
    const driver = withLimits(inner, { requests: undefined, bytes });
    for (const call of Object.values(everyCall(driver, CTX))) await call();
    assert.deepEqual(amounts, [11, 7, 7]);
  });

  it('waits for the slower of the two limits', async (t) => {
    const time = fakeTime(t);
    const inner = new ScriptedDriver();
    const limits = { requests: new RateLimit(2, () => 0), bytes: new RateLimit(4, () => 0) };
    const driver = withLimits(inner, limits);
    const running = driver.read(CTX, 'k', Buffer.alloc(9), {});
    await time.pass(1_999);
    assert.equal(inner.calls.length, 0);
    await time.pass(1);
    assert.equal(inner.calls.length, 1);
    await running;
  });

  it('makes each page of a listing wait, and closes a listing that its caller leaves', async (t) => {
    const time = fakeTime(t);
    const inner = new ScriptedDriver();
    let given = 0;
    let isClosed = false;
    inner.pages = async function* () {
      try {
        for (;;) {
          given += 1;
          yield objectsNamed(`${given}`);
        }
      } finally {
        isClosed = true;
      }
    };
    const driver = withLimits(inner, { requests: new RateLimit(1, () => 0), bytes: undefined });
    const done = (async () => {
      for await (const page of driver.list(CTX, { prefix: '' })) if (page.objects[0]?.key === '3') return;
    })();
    await time.pass(0);
    assert.equal(given, 1);
    await time.pass(1_000);
    assert.equal(given, 2);
    await time.pass(2_000);
    await done;
    assert.equal(given, 3);
    assert.equal(isClosed, true);
  });

  it('ends a wait when aborted, with the reason, and does not ask the backend', async (t) => {
    const time = fakeTime(t);
    const inner = new ScriptedDriver();
    const driver = withLimits(inner, { requests: new RateLimit(1, () => 0), bytes: undefined });
    const abort = new AbortController();
    const reason = new Error('stopped by the test');
    const ctx = { signal: abort.signal };
    await driver.stat(ctx, 'k');
    const failed = assert.rejects(driver.stat(ctx, 'k'), (error) => error === reason);
    await time.pass(10);
    abort.abort(reason);
    await failed;
    await time.pass(10_000);
    assert.equal(inner.calls.length, 1);
  });

  it('keeps to a limit so low that one request takes longer than a timer can hold', async (t) => {
    const time = fakeTime(t);
    const inner = new ScriptedDriver();
    const driver = withLimits(inner, { requests: undefined, bytes: new RateLimit(1, () => 0) });
    const abort = new AbortController();
    const reading = driver.read({ signal: abort.signal }, 'k', Buffer.alloc(8 * 1024 ** 2), {});
    const failed = assert.rejects(reading, /enough/);
    await time.pass(3_600_000);
    await turn();
    assert.equal(inner.calls.length, 0);
    abort.abort(new Error('enough'));
    await failed;
  });
});
