import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { StorageError } from '../../../src/core/errors.ts';
import { type BackendNews, OutageGate } from '../../../src/drivers/wrap/outage-gate.ts';
import { DEFAULT_RETRIES, RetryOwner, type RetryPolicy } from '../../../src/drivers/wrap/retry.ts';
import { fakeTime } from './fake-time.ts';
import { ScriptedDriver, storageError } from './scripted-driver.ts';

const NEVER = new AbortController().signal;
const refused = () => storageError({ backendCode: 'wire-connect' });

/** A backend that answers when the test says so, and remembers what it was asked. */
class Backend extends ScriptedDriver {
  isUp = false;
  /** What it says while it is not up. */
  failure: () => unknown = refused;
  /** Keys that it never answers for. */
  readonly bad = new Set<string>();
  readonly asked: string[] = [];

  override stat(_ctx: unknown, key: string) {
    return this.#ask(key, { key, sizeBytes: 1 });
  }

  override read(_ctx: unknown, key: string, into: Uint8Array) {
    return this.#ask(key, { bytesRead: into.length, totalBytes: into.length });
  }

  async #ask<T>(key: string, result: T): Promise<T> {
    this.asked.push(key);
    if (!this.isUp || this.bad.has(key)) throw this.failure();
    return result;
  }

  get probes(): number {
    return this.asked.filter((key) => key.startsWith('.blobferry')).length;
  }

  callsFor(key: string): number {
    return this.asked.filter((one) => one === key).length;
  }
}

function gateFor(t: TestContext, { limitMs }: { readonly limitMs?: number } = { limitMs: 600_000 }) {
  const time = fakeTime(t);
  const backend = new Backend();
  const news: BackendNews[] = [];
  let now = 0;
  const gate = new OutageGate({
    driver: backend,
    limitMs,
    onNews: (one) => news.push(one),
    random: () => 0.999_999,
    now: () => now,
  });
  const pass = async (ms: number): Promise<void> => {
    now += ms;
    await time.pass(ms);
  };
  return { backend, news, gate, pass };
}

function settledAs(promise: Promise<unknown>): { value: unknown } {
  const seen: { value: unknown } = { value: 'waits' };
  promise.then(
    (value) => {
      seen.value = value;
    },
    (error: unknown) => {
      seen.value = error;
    },
  );
  return seen;
}

describe('OutageGate', () => {
  it('is closed by three failures without an answer between them, not by fewer', (t) => {
    const { gate } = gateFor(t);
    gate.silent(refused());
    gate.silent(refused());
    gate.answered();
    gate.silent(refused());
    gate.silent(refused());
    assert.ok(gate.isOpen);
    gate.silent(refused());
    assert.ok(!gate.isOpen);
  });

  it('stays open where nothing is to be waited for', (t) => {
    const { gate } = gateFor(t, {});
    for (let count = 0; count < 10; count += 1) gate.silent(refused());
    assert.ok(gate.isOpen);
  });

  it('asks at once, and opens without a word where the backend answers', async (t) => {
    const { gate, backend, news, pass } = gateFor(t);
    backend.isUp = true;
    for (let count = 0; count < 3; count += 1) gate.silent(refused());
    const waiting = gate.pass(NEVER);
    await pass(0);
    assert.equal(await waiting, false);
    assert.ok(gate.isOpen);
    assert.deepEqual([backend.probes, news], [1, []]);
  });

  it('takes a refusal for an answer, and silence, timeouts and a gateway’s word for none', async (t) => {
    const failures = {
      'not-found': [storageError({ kind: 'not-found', isTransient: false, status: 404 }), true],
      denied: [storageError({ kind: 'denied', isTransient: false, status: 403 }), true],
      throttled: [storageError({ kind: 'throttled', status: 503 }), true],
      ENOENT: [storageError({ kind: 'not-found', isTransient: false, backendCode: 'ENOENT' }), true],
      timeout: [storageError({ kind: 'timeout', backendCode: 'wire-timeout' }), false],
      truncated: [storageError({ kind: 'corrupt', backendCode: 'wire-truncated' }), false],
      gateway: [storageError({ status: 502 }), false],
      'server error': [storageError({ status: 500, backendCode: 'InternalError' }), false],
      ESTALE: [storageError({ backendCode: 'ESTALE' }), false],
    } as const;
    for (const [name, [failure, isAnswer]] of Object.entries(failures)) {
      const { gate, backend, pass } = gateFor(t);
      backend.failure = () => failure;
      for (let count = 0; count < 3; count += 1) gate.silent(refused());
      const abort = new AbortController();
      gate.pass(abort.signal).catch(() => undefined);
      await pass(0);
      assert.equal(gate.isOpen, isAnswer, name);
      abort.abort();
      await pass(0);
      t.mock.timers.reset();
    }
  });

  it('asks one question at a time, with pauses that grow to five seconds, and opens at the first answer', async (t) => {
    const { gate, backend, news, pass } = gateFor(t);
    for (let count = 0; count < 3; count += 1) gate.silent(refused());
    const waiting = Array.from({ length: 20 }, () => gate.pass(NEVER));
    await pass(0);
    for (const [index, ms] of [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000].entries()) {
      assert.equal(backend.probes, index + 1);
      await pass(ms - 2);
      assert.equal(backend.probes, index + 1, `before ${ms} ms`);
      await pass(3);
    }
    assert.deepEqual(news, [{ state: 'waiting', reason: 'Cannot do it' }]);
    backend.isUp = true;
    await pass(5_001);
    assert.deepEqual(await Promise.all(waiting), Array(20).fill(true));
    assert.deepEqual(
      news.map(({ state }) => state),
      ['waiting', 'back'],
    );
  });

  it('opens at once when a call that was under way succeeds', async (t) => {
    const { gate, news, pass } = gateFor(t);
    for (let count = 0; count < 3; count += 1) gate.silent(refused());
    const waiting = gate.pass(NEVER);
    await pass(1_000);
    gate.answered();
    assert.equal(await waiting, true);
    assert.equal(news.at(-1)?.state, 'back');
  });

  it('ends the run once the limit has passed, for all who wait and all who come', async (t) => {
    const { gate, backend, pass } = gateFor(t, { limitMs: 60_000 });
    for (let count = 0; count < 3; count += 1) gate.silent(refused());
    const waiting = [gate.pass(NEVER), gate.pass(NEVER)].map(settledAs);
    await pass(0);
    for (let second = 0; second < 59; second += 1) await pass(1_000);
    assert.deepEqual(
      waiting.map(({ value }) => value),
      ['waits', 'waits'],
    );
    await pass(1_001);
    for (const { value } of waiting) {
      assert.ok(value instanceof StorageError);
      assert.deepEqual([value.details.scope, value.details.isTransient], ['backend', false]);
      assert.match(
        value.message,
        /^test:\/\/x has not answered since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ, for 60 s: Cannot do it$/,
      );
      assert.match(value.hint ?? '', /--outage-limit/);
    }
    backend.isUp = true;
    assert.ok(!gate.isOpen);
    await assert.rejects(gate.pass(NEVER), /has not answered since/);
  });

  it('lets an aborted call go at once, and asks no more when nobody waits', async (t) => {
    const { gate, backend, pass } = gateFor(t);
    for (let count = 0; count < 3; count += 1) gate.silent(refused());
    const aborts = [new AbortController(), new AbortController()];
    const waiting = aborts.map(({ signal }) => settledAs(gate.pass(signal)));
    await pass(1_000);
    aborts[0]?.abort(new Error('the first'));
    await pass(0);
    assert.match(String(waiting[0]?.value), /the first/);
    assert.equal(waiting[1]?.value, 'waits');
    aborts[1]?.abort(new Error('the second'));
    await pass(0);
    const asked = backend.probes;
    await pass(60_000);
    assert.equal(backend.probes, asked);
  });
});

describe('RetryOwner and an outage', () => {
  function ownerFor(t: TestContext, given: Partial<RetryPolicy> = { outageMsMax: 600_000 }) {
    const time = fakeTime(t);
    const backend = new Backend();
    const news: BackendNews[] = [];
    let retries = 0;
    const policy = { ...DEFAULT_RETRIES, random: () => 0, ...given };
    const { driver } = new RetryOwner(backend, policy, {
      onRetry: () => {
        retries += 1;
      },
      onBackend: (one) => news.push(one),
    });
    const read = (key: string) => driver.read({ signal: NEVER }, key, Buffer.alloc(1), {});
    return { time, backend, news, read, retries: () => retries };
  }

  it('holds calls back meanwhile, and none of them has used up its attempts afterwards', async (t) => {
    const { time, backend, news, read } = ownerFor(t);
    const keys = Array.from({ length: 8 }, (_, index) => `key ${index}`);
    const running = Promise.all(keys.map(read));
    for (let second = 0; second < 300; second += 1) await time.pass(1_000);
    // Far fewer than eight attempts each, in five minutes.
    for (const key of keys) assert.ok(backend.callsFor(key) <= 2, `${key}: ${backend.callsFor(key)}`);
    assert.deepEqual(
      news.map(({ state }) => state),
      ['waiting'],
    );
    const late = read('late');
    await time.pass(0);
    assert.equal(backend.callsFor('late'), 0);
    backend.isUp = true;
    await time.pass(5_000);
    await running;
    await late;
    assert.equal(news.at(-1)?.state, 'back');
  });

  it('fails an object that is bad by itself after its attempts, and bothers no other', async (t) => {
    const { time, backend, news, read } = ownerFor(t);
    backend.isUp = true;
    backend.bad.add('bad');
    const running = settledAs(read('bad'));
    for (let second = 0; second < 120; second += 1) await time.pass(1_000);
    assert.match(String(running.value), /Cannot do it/);
    assert.equal(backend.callsFor('bad'), DEFAULT_RETRIES.attemptsMax);
    assert.deepEqual(news, []);
    await read('good');
  });

  it('has an end for an object that brings the server down each time', async (t) => {
    const { time, backend, read } = ownerFor(t);
    backend.failure = () => {
      backend.isUp = false;
      return refused();
    };
    backend.bad.add('deadly');
    backend.isUp = true;
    const running = settledAs(read('deadly'));
    for (let round = 0; round < 100 && running.value === 'waits'; round += 1) {
      await time.pass(20_000);
      backend.isUp = true;
      await time.pass(20_000);
    }
    assert.match(String(running.value), /Cannot do it/);
    assert.ok(backend.callsFor('deadly') <= 2 * DEFAULT_RETRIES.attemptsMax);
  });

  it('waits for nothing where its policy does not say so', async (t) => {
    const { time, backend, news, read, retries } = ownerFor(t, { attemptsMax: 3 });
    const first = settledAs(read('a'));
    for (let count = 0; count < 3; count += 1) await time.pass(1_000);
    assert.match(String(first.value), /Cannot do it/);
    assert.deepEqual([backend.callsFor('a'), backend.probes, retries(), news], [3, 0, 2, []]);
  });

  it('ends with what the outage was once it has lasted too long', async () => {
    const backend = new Backend();
    const policy = { ...DEFAULT_RETRIES, delayMsMin: 1, delayMsMax: 1, outageMsMax: 300 };
    const { driver } = new RetryOwner(backend, policy, { onRetry: () => undefined });
    await assert.rejects(
      driver.flush({ signal: NEVER }).then(() => driver.stat({ signal: NEVER }, 'k')),
      (error) => {
        assert.ok(error instanceof StorageError);
        assert.equal(error.details.scope, 'backend');
        assert.match(error.message, /has not answered since/);
        return true;
      },
    );
  });
});
