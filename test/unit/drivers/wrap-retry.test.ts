import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Operation } from '../../../src/core/counters.ts';
import type { ListPage, ListQuery, StorageDriver } from '../../../src/drivers/driver.ts';
import { DEFAULT_RETRIES, type RetryPolicy, retried, withRetries } from '../../../src/drivers/wrap/retry.ts';
import { fakeTime } from './fake-time.ts';
import { everyCall, objectsNamed, pagedKeys, ScriptedDriver, storageError } from './scripted-driver.ts';

const NO_WAIT: RetryPolicy = { attemptsMax: 4, delayMsMin: 0, delayMsMax: 0, random: () => 0 };
const CTX = { signal: new AbortController().signal };

function wrapped(driver: StorageDriver, policy = NO_WAIT): { driver: StorageDriver; retries: Operation[] } {
  const retries: Operation[] = [];
  return { driver: withRetries(driver, policy, (operation) => retries.push(operation)), retries };
}

async function keysOf(pages: AsyncIterable<ListPage>): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const page of pages) keys.push(...page.objects.map(({ key }) => key));
  return keys;
}

describe('withRetries()', () => {
  const names = Object.keys(everyCall(new ScriptedDriver(), CTX)) as (keyof ReturnType<typeof everyCall>)[];
  const operations: Partial<Record<string, Operation>> = {
    putPart: 'part',
    listParts: 'list',
    listUploads: 'list',
  };
  for (const name of names) {
    it(`repeats ${name}() while its failure may pass, and counts each repetition`, async () => {
      const inner = new ScriptedDriver();
      const { driver, retries } = wrapped(inner);
      inner.failures.push(storageError(), storageError({ kind: 'throttled' }));
      const result = await everyCall(driver, CTX)[name]();
      assert.deepEqual(inner.calls, [name, name, name]);
      const operation = operations[name] ?? (name as Operation);
      assert.deepEqual(retries, [operation, operation]);
      assert.deepEqual(result, await everyCall(inner, CTX)[name]());
    });

    it(`gives up ${name}() after as many attempts as allowed, with the last error`, async () => {
      const inner = new ScriptedDriver();
      const { driver, retries } = wrapped(inner);
      const errors = [1, 2, 3, 4, 5].map(() => storageError());
      inner.failures.push(...errors);
      await assert.rejects(everyCall(driver, CTX)[name](), (error) => error === errors[3]);
      assert.equal(inner.calls.length, 4);
      assert.equal(retries.length, 3);
    });

    it(`does not repeat ${name}() when the failure will not pass or is none of a backend`, async () => {
      for (const failure of [storageError({ isTransient: false }), new Error('ours'), 'text']) {
        const inner = new ScriptedDriver();
        const { driver } = wrapped(inner);
        inner.failures.push(failure);
        await assert.rejects(everyCall(driver, CTX)[name](), (error) => error === failure);
        assert.equal(inner.calls.length, 1);
      }
    });
  }

  it('shows the driver underneath as it is', async () => {
    const inner = new ScriptedDriver({ listOrder: 'unsorted' });
    const { driver } = wrapped(inner);
    assert.equal(driver.kind, inner.kind);
    assert.equal(driver.name, inner.name);
    assert.deepEqual(driver.facts, inner.facts);
    for (const limit of ['partBytesMin', 'partBytesMax', 'partsMax', 'partChecksum'] as const)
      assert.equal(driver.multipart?.[limit], inner.multipart[limit]);
    await driver.close();
    assert.deepEqual(inner.calls, ['close']);
  });
});

describe('retried() and time', () => {
  it('waits 0.2 s at first and twice as long each time, to 20 s, half of it by chance', async (t) => {
    for (const [random, share] of [
      [0, 0.5],
      [0.5, 0.75],
      [0.999_999, 1],
    ] as const) {
      const delays = await delaysOf(t, { ...DEFAULT_RETRIES, attemptsMax: 11, random: () => random }, () =>
        storageError(),
      );
      const full = [200, 400, 800, 1_600, 3_200, 6_400, 12_800, 20_000, 20_000, 20_000];
      assert.deepEqual(
        delays,
        full.map((ms) => Math.round(ms * share)),
      );
      t.mock.timers.reset();
    }
  });

  it('waits as long as the server asks, but never shorter than it would by itself', async (t) => {
    const policy = { ...DEFAULT_RETRIES, attemptsMax: 4, random: () => 0 };
    const answers = [5_000, 50, 60_000].values();
    const delays = await delaysOf(t, policy, () =>
      storageError({ kind: 'throttled', retryAfterMs: answers.next().value ?? 0 }),
    );
    assert.deepEqual(delays, [5_000, 200, 60_000]);
  });

  it('does not wait after a kept connection that the server had closed', async () => {
    const inner = new ScriptedDriver();
    const { driver } = wrapped(inner, DEFAULT_RETRIES);
    inner.failures.push(storageError({ backendCode: 'wire-stale' }));
    await driver.stat(CTX, 'k');
    assert.equal(inner.calls.length, 2);
  });

  it('waits for ever rather than not at all for a Retry-After beyond what a timer can hold', async (t) => {
    const time = fakeTime(t);
    const inner = new ScriptedDriver();
    const { driver } = wrapped(inner, DEFAULT_RETRIES);
    const abort = new AbortController();
    inner.failures.push(storageError({ retryAfterMs: 2 ** 33 }));
    const running = driver.stat({ signal: abort.signal }, 'k');
    const failed = assert.rejects(running, /enough/);
    await time.pass(3_600_000);
    assert.equal(inner.calls.length, 1);
    abort.abort(new Error('enough'));
    await failed;
  });

  it('ends a wait at once when aborted, with the reason, and starts nothing more', async (t) => {
    const time = fakeTime(t);
    const inner = new ScriptedDriver();
    const { driver } = wrapped(inner, DEFAULT_RETRIES);
    const abort = new AbortController();
    const reason = new Error('stopped by the test');
    inner.failures.push(storageError(), storageError());
    const running = driver.stat({ signal: abort.signal }, 'k');
    const failed = assert.rejects(running, (error) => error === reason);
    await time.pass(10);
    abort.abort(reason);
    await failed;
    await time.pass(60_000);
    assert.equal(inner.calls.length, 1);
  });

  it('does not repeat a call that failed because it was aborted, whatever it failed with', async () => {
    const inner = new ScriptedDriver();
    const { driver } = wrapped(inner);
    const abort = new AbortController();
    const reason = new Error('stopped by the test');
    inner.onCall = () => abort.abort(reason);
    inner.failures.push(storageError());
    await assert.rejects(driver.stat({ signal: abort.signal }, 'k'), (error) => error === reason);
    assert.equal(inner.calls.length, 1);
  });
});

/** The pauses between the attempts of a call that always fails, found by letting milliseconds pass one by one. */
async function delaysOf(
  t: Parameters<typeof fakeTime>[0],
  policy: RetryPolicy,
  failure: () => Error,
): Promise<readonly number[]> {
  const time = fakeTime(t);
  const asked: number[] = [];
  const timers = (await import('node:timers/promises')).default;
  const { setTimeout: fake } = timers;
  timers.setTimeout = ((ms: number, ...rest: [unknown, object]) => {
    asked.push(Math.round(ms));
    return fake(ms, ...rest);
  }) as typeof fake;
  try {
    let attempts = 0;
    const running = retried(
      CTX,
      policy,
      () => undefined,
      async () => {
        attempts += 1;
        throw failure();
      },
    );
    const failed = assert.rejects(running);
    for (let index = 0; index < policy.attemptsMax - 1; index += 1) {
      await time.pass(0);
      assert.equal(attempts, index + 1);
      await time.pass((asked[index] ?? 0) - 2);
      assert.equal(attempts, index + 1, 'not before its time');
      await time.pass(3);
      assert.equal(attempts, index + 2, 'at its time');
    }
    await failed;
    assert.equal(attempts, policy.attemptsMax);
  } finally {
    timers.setTimeout = fake;
  }
  return asked;
}

describe('withRetries() and listings', () => {
  const letters = [...'abcdefghijklmnop'];

  it('goes on behind the last key, losing none and giving none twice, wherever it breaks', async () => {
    const places = fc.uniqueArray(fc.integer({ min: 1, max: 30 }), { maxLength: 12 });
    const sizes = fc.integer({ min: 1, max: 7 });
    await fc.assert(
      fc.asyncProperty(places, sizes, async (breaks, pageSize) => {
        const inner = new ScriptedDriver();
        const { driver, retries } = wrapped(inner, { ...NO_WAIT, attemptsMax: 20 });
        let broken = 0;
        inner.pages = pagedKeys(letters, pageSize, (page) => {
          if (breaks.includes(page)) broken += 1;
          return breaks.includes(page);
        });
        assert.deepEqual(await keysOf(driver.list(CTX, { prefix: '' })), letters);
        assert.equal(retries.length, broken);
        assert.equal(inner.calls.length, broken + 1);
      }),
    );
  });

  it('keeps to the rest of the query when it goes on', async () => {
    const inner = new ScriptedDriver();
    const { driver } = wrapped(inner);
    const queries: ListQuery[] = [];
    const pages = pagedKeys(letters, 4, (page) => page === 3);
    inner.pages = (query) => {
      queries.push(query);
      return pages(query);
    };
    const query = { prefix: 'p', after: 'b', delimiter: '/', upTo: 'z', prune: () => false } as const;
    await keysOf(driver.list(CTX, query));
    assert.deepEqual(queries, [query, { ...query, after: 'j' }]);
  });

  it('has all its attempts again for every page', async () => {
    const inner = new ScriptedDriver();
    const { driver } = wrapped(inner, { ...NO_WAIT, attemptsMax: 3 });
    inner.pages = pagedKeys(letters, 1, (page) => page % 3 !== 0);
    assert.deepEqual(await keysOf(driver.list(CTX, { prefix: '' })), letters);
  });

  it('gives up after as many attempts at one page as allowed', async () => {
    const inner = new ScriptedDriver();
    const { driver } = wrapped(inner);
    inner.pages = pagedKeys(letters, 3, (page) => page > 2);
    const keys: string[] = [];
    await assert.rejects(async () => {
      for await (const page of driver.list(CTX, { prefix: '' }))
        keys.push(...page.objects.map(({ key }) => key));
    }, /Cannot do it/);
    assert.deepEqual(keys, letters.slice(0, 6));
    assert.equal(inner.calls.length, 4);
  });

  it('begins an unsorted listing anew, so that what lies before the last key is not lost', async () => {
    const order = ['m', 'c', 'x', 'a', 'q', 'b'];
    for (const listOrder of ['unsorted', 'bytes'] as const) {
      const inner = new ScriptedDriver({ listOrder });
      const { driver } = wrapped(inner);
      let count = 0;
      inner.pages = async function* (query) {
        count += 1;
        for (const [index, key] of order.entries()) {
          if (count === 1 && index === 4) throw storageError();
          if (query.after === undefined || key > query.after) yield objectsNamed(key);
        }
      };
      const keys = await keysOf(driver.list(CTX, { prefix: '' }));
      assert.deepEqual(new Set(keys), new Set(order), `by its word ${listOrder}`);
    }
  });

  it('closes the listing underneath when its caller stops early, and when it breaks for good', async () => {
    for (const isBreaking of [false, true]) {
      const inner = new ScriptedDriver();
      const { driver } = wrapped(inner, { ...NO_WAIT, attemptsMax: 1 });
      let closed = 0;
      inner.pages = async function* () {
        try {
          yield objectsNamed('a');
          if (isBreaking) throw storageError();
          yield objectsNamed('b');
        } finally {
          closed += 1;
        }
      };
      try {
        for await (const page of driver.list(CTX, { prefix: '' }))
          if (!isBreaking && page.objects[0]?.key === 'a') break;
      } catch {
        assert.ok(isBreaking);
      }
      assert.equal(closed, 1);
    }
  });

  it('stops a listing with the reason of its abort', async () => {
    const inner = new ScriptedDriver();
    const { driver } = wrapped(inner);
    const abort = new AbortController();
    const reason = new Error('stopped by the test');
    inner.pages = pagedKeys(letters, 3, (page) => {
      if (page === 2) abort.abort(reason);
      return page === 2;
    });
    await assert.rejects(
      keysOf(driver.list({ signal: abort.signal }, { prefix: '' })),
      (error) => error === reason,
    );
    assert.equal(inner.calls.length, 1);
  });
});
