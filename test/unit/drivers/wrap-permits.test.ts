import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import {
  allocatePermits,
  flowOf,
  PermitControls,
  type PermitMemory,
  REQUEST_CLASSES,
} from '../../../src/core/concurrency/permit-memory.ts';
import type { StorageDriver } from '../../../src/drivers/driver.ts';
import { Permits, type PermitsOptions } from '../../../src/drivers/wrap/permits.ts';
import { RateLimit } from '../../../src/drivers/wrap/rate-limit.ts';
import { withPermits } from '../../../src/drivers/wrap/with-permits.ts';
import { fakeTime } from './fake-time.ts';
import { everyCall, objectsNamed, ScriptedDriver, storageError } from './scripted-driver.ts';

const CTX = { signal: new AbortController().signal };
const READ = flowOf('source', 'read');
const WRITE = flowOf('source', 'write');

interface World {
  readonly inner: ScriptedDriver;
  readonly driver: StorageDriver;
  readonly memory: PermitMemory;
  readonly controls: PermitControls;
  readonly permits: Permits;
}

function world(t: TestContext, limit: number, options: Partial<PermitsOptions> = {}): World {
  const memory = options.memory ?? allocatePermits(1, limit);
  const inner = new ScriptedDriver();
  const permits = new Permits({ memory, row: 0, side: 'source', ...options });
  t.after(() => permits.close());
  return {
    inner,
    permits,
    memory,
    driver: withPermits(inner, permits),
    controls: new PermitControls(memory),
  };
}

/** Calls wait until the test lets them go, one by one. */
function gated(inner: ScriptedDriver): { readonly open: () => void } {
  const waiting: (() => void)[] = [];
  inner.onCall = () => new Promise<void>((resolve) => waiting.push(resolve));
  return { open: () => waiting.shift()?.() };
}

describe('withPermits()', () => {
  it('has no more requests of a class in flight than there are places, and makes the others in their order', async (t) => {
    const { inner, driver } = world(t, 2);
    const { open } = gated(inner);
    const done: string[] = [];
    const all = ['a', 'b', 'c', 'd', 'e'].map((key) =>
      driver.stat(CTX, key).then(({ key: is }) => done.push(is)),
    );
    await turn();
    assert.equal(inner.calls.length, 2);
    for (let count = 3; count <= 5; count += 1) {
      open();
      await turn();
      assert.equal(inner.calls.length, count);
    }
    open();
    open();
    await Promise.all(all);
    assert.deepEqual(done, ['a', 'b', 'c', 'd', 'e']);
  });

  it('lets a class go on while another one has no place left', async (t) => {
    const { inner, driver } = world(t, 1);
    const { open } = gated(inner);
    const reading = driver.stat(CTX, 'k');
    const writing = driver.remove(CTX, 'k');
    await turn();
    assert.deepEqual(inner.calls, ['stat', 'remove']);
    open();
    open();
    await Promise.all([reading, writing]);
  });

  it('makes a call at once, within the same turn, where there is a place', (t) => {
    const { inner, driver } = world(t, 1);
    void driver.stat(CTX, 'k');
    assert.deepEqual(inner.calls, ['stat']);
  });

  it('makes a call that need not wait for its turn at once as well, where there is a place', async (t) => {
    const { inner, driver } = world(t, 1, { requests: new RateLimit(1_000) });
    void driver.stat(CTX, 'k');
    await turn();
    assert.deepEqual(inner.calls, ['stat']);
  });

  for (const name of Object.keys(everyCall(new ScriptedDriver(), CTX))) {
    // They end something, and must not wait behind what they end.
    const isFree = name === 'abort' || name === 'flush';
    it(`${isFree ? 'takes no place for' : 'takes a place for'} ${name}(), and gives it back, also when it fails`, async (t) => {
      const { inner, driver, controls } = world(t, 1);
      const call = everyCall(driver, CTX)[name as keyof ReturnType<typeof everyCall>];
      const inFlight = () =>
        REQUEST_CLASSES.reduce((sum, each) => sum + controls.sums(flowOf('source', each), [0]).inFlight, 0);
      let during = 0;
      inner.onCall = () => {
        during = inFlight();
      };
      await call();
      assert.equal(during, isFree ? 0 : 1);
      assert.equal(inFlight(), 0);
      inner.failures.push(storageError(), new TypeError('broken'));
      await assert.rejects(call());
      await assert.rejects(call());
      assert.equal(inFlight(), 0);
      await call();
    });

    it(`${isFree ? 'never makes' : 'makes'} ${name}() wait for its turn under --requests`, async (t) => {
      const time = fakeTime(t);
      const { inner, driver } = world(t, 9, { requests: new RateLimit(1, { now: () => 1_000 }) });
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

  it('lets a body that comes from the other side go without a place, so that it cannot wait for what waits for it', async (t) => {
    const { inner, driver, controls } = world(t, 1);
    const { open } = gated(inner);
    const streamed = { sizeBytes: 3, open: () => objectsNamed('never') as never };
    const calls = [driver.remove(CTX, 'k'), driver.write(CTX, 'k', streamed, {})];
    await turn();
    assert.deepEqual(inner.calls, ['remove', 'write']);
    assert.equal(controls.sums(WRITE, [0]).inFlight, 2);
    open();
    open();
    await Promise.all(calls);
    assert.equal(controls.sums(WRITE, [0]).inFlight, 0);
  });

  it('takes a place for each page of a listing and none between them, and closes one that its caller leaves', async (t) => {
    const { inner, driver, controls } = world(t, 1);
    let isClosed = false;
    inner.pages = async function* () {
      try {
        for (;;) yield objectsNamed('a');
      } finally {
        isClosed = true;
      }
    };
    for await (const _page of driver.list(CTX, { prefix: '' })) {
      assert.equal(controls.sums(flowOf('source', 'list'), [0]).inFlight, 0);
      if (controls.sums(flowOf('source', 'list'), [0]).answered === 3) break;
    }
    assert.equal(isClosed, true);
  });

  it('ends the wait for a place when aborted, with the reason, and leaves the others waiting', async (t) => {
    const { inner, driver, controls } = world(t, 1);
    const { open } = gated(inner);
    const abort = new AbortController();
    const reason = new Error('stopped by the test');
    const first = driver.stat(CTX, 'a');
    const stopped = [0, 1].map(() => driver.stat({ signal: abort.signal }, 'b'));
    const last = driver.stat(CTX, 'c');
    await turn();
    assert.equal(controls.sums(READ, [0]).waiting, 3);
    abort.abort(reason);
    for (const one of stopped) await assert.rejects(one, (error) => error === reason);
    assert.equal(controls.sums(READ, [0]).waiting, 1);
    open();
    await first;
    await turn();
    open();
    await last;
    assert.equal(inner.calls.length, 2);
  });

  it('counts what was answered with its bytes, what was refused, and what got no answer', async (t) => {
    const { inner, driver, controls } = world(t, 9);
    await driver.read(CTX, 'k', Buffer.alloc(11), {});
    const fail = async (error: unknown): Promise<void> => {
      inner.failures.push(error);
      await assert.rejects(driver.stat(CTX, 'k'));
    };
    await fail(storageError({ kind: 'not-found', status: 404 }));
    await fail(storageError({ kind: 'throttled', status: 503, retryAfterMs: 3_000 }));
    await fail(storageError({ kind: 'throttled', status: 429 }));
    await fail(storageError({ kind: 'timeout' }));
    await fail(storageError({ kind: 'unavailable', status: 502 }));
    // Neither a kept connection that was closed nor a cancelled call says anything of the server.
    await fail(storageError({ kind: 'unavailable', backendCode: 'wire-stale' }));
    await fail(new Error('aborted'));
    const { answered, refused, troubled, bytes } = controls.sums(READ, [0]);
    assert.deepEqual(
      { answered, refused, troubled, bytes },
      { answered: 2, refused: 2, troubled: 2, bytes: 11 },
    );
    assert.equal(controls.takeRetryAfterMs(READ), 3_000);
    assert.equal(controls.takeRetryAfterMs(READ), 0);
  });

  it('sends at the rate that is set, however many wait', async (t) => {
    const time = fakeTime(t);
    let nowMs = 1_000;
    const { inner, driver, controls } = world(t, 9, { now: () => nowMs });
    controls.set(READ, { perSecond: 10, heldUntilMs: 0, window: 9 });
    const all = Array.from({ length: 4 }, (_, index) => driver.stat(CTX, `${index}`));
    for (const count of [1, 2, 3, 4]) {
      await time.pass(0);
      assert.equal(inner.calls.length, count);
      nowMs += 100;
      await time.pass(100);
    }
    await Promise.all(all);
  });

  for (const [what, perSecond] of [
    ['rises', 100],
    ['is given up', 0],
  ] as const) {
    it(`lets go who waits when the rate ${what}, and holds nobody to the turn that the old one would give`, async (t) => {
      const time = fakeTime(t);
      let nowMs = 1_000;
      const { inner, driver, controls } = world(t, 99, { now: () => nowMs });
      controls.set(READ, { perSecond: 1, heldUntilMs: 0, window: 99 });
      const names = Array.from({ length: 60 }, (_, index) => `${index}`);
      const done: string[] = [];
      const stat = (name: string) => driver.stat(CTX, name).then(({ key }) => done.push(key));
      const all = names.slice(0, 59).map(stat);
      const pass = async (ms: number): Promise<void> => {
        for (let passed = 0; passed < ms; passed += 50) {
          nowMs += 50;
          await time.pass(50);
        }
      };
      await pass(3_000);
      assert.equal(inner.calls.length, 4);
      await pass(700);
      // Who comes last goes last, also if the next turn has come near and nobody has looked yet.
      nowMs += 100;
      all.push(stat('59'));
      await pass(300);
      assert.deepEqual(done, names.slice(0, 5));
      controls.set(READ, { perSecond, heldUntilMs: 0, window: 99 });
      await pass(2_000);
      await Promise.all(all);
      assert.deepEqual(done, names);
    });
  }

  it('sends nothing while a pause lasts that the server asked for, not even what had its turn or its place', async (t) => {
    const time = fakeTime(t);
    let nowMs = 1_000;
    const { inner, driver, controls } = world(t, 1, { now: () => nowMs });
    const { open } = gated(inner);
    const first = driver.stat(CTX, 'a');
    const second = driver.stat(CTX, 'b');
    controls.set(READ, { perSecond: 0, heldUntilMs: 6_000, window: 1 });
    const third = driver.stat(CTX, 'c');
    open();
    await first;
    await time.pass(0);
    assert.equal(inner.calls.length, 1);
    controls.set(READ, { perSecond: 0, heldUntilMs: 6_000, window: 1 });
    nowMs = 5_999;
    await time.pass(4_999);
    assert.equal(inner.calls.length, 1);
    nowMs = 6_000;
    controls.set(READ, { perSecond: 0, heldUntilMs: 0, window: 1 });
    await time.pass(5_000);
    open();
    await time.pass(0);
    open();
    await Promise.all([second, third]);
    assert.equal(inner.calls.length, 3);
  });

  it('keeps to the rate after a pause as well, however many waited for its end', async (t) => {
    const time = fakeTime(t);
    let nowMs = 1_000;
    const { inner, driver, controls } = world(t, 9, { now: () => nowMs });
    controls.set(READ, { perSecond: 10, heldUntilMs: 2_000, window: 9 });
    const all = Array.from({ length: 4 }, (_, index) => driver.stat(CTX, `${index}`));
    await time.pass(0);
    nowMs = 2_000;
    await time.pass(1_000);
    for (const count of [1, 2, 3, 4]) {
      assert.equal(inner.calls.length, count);
      nowMs += 100;
      await time.pass(100);
    }
    await Promise.all(all);
  });

  it('gives out places that were added while nothing came back, within a second', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const { inner, driver, controls } = world(t, 1);
    gated(inner);
    void driver.stat(CTX, 'a');
    void driver.stat(CTX, 'b');
    await turn();
    controls.setLimit(0, READ, 2);
    assert.equal(inner.calls.length, 1);
    t.mock.timers.tick(1_000);
    await turn();
    assert.equal(inner.calls.length, 2);
  });

  it('counts the bytes of reads, writes and parts against --bandwidth, and only those', async (t) => {
    const amounts: number[] = [];
    const bytes = new (class extends RateLimit {
      override take(amount: number): number {
        amounts.push(amount);
        return 0;
      }
    })(1);
    const { driver } = world(t, 9, { bytes });
    for (const call of Object.values(everyCall(driver, CTX))) await call();
    assert.deepEqual(amounts, [11, 7, 7]);
  });

  it('waits for the slower of the two limits', async (t) => {
    const time = fakeTime(t);
    const limit = (perSecond: number) => new RateLimit(perSecond, { now: () => 1_000 });
    const { inner, driver } = world(t, 9, { requests: limit(2), bytes: limit(4) });
    const running = driver.read(CTX, 'k', Buffer.alloc(9), {});
    await time.pass(1_999);
    assert.equal(inner.calls.length, 0);
    await time.pass(1);
    assert.equal(inner.calls.length, 1);
    await running;
  });

  it('ends a wait for a turn when aborted, also one that takes longer than a timer can hold', async (t) => {
    const time = fakeTime(t);
    const { inner, driver } = world(t, 9, { bytes: new RateLimit(1, { now: () => 1_000 }) });
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
