import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Operation } from '../../../src/core/counters.ts';
import { StorageError } from '../../../src/core/errors.ts';
import type { Body, ListPage, ListQuery, StorageDriver } from '../../../src/drivers/driver.ts';
import { DEFAULT_RETRIES, type RetryPolicy, withRetries } from '../../../src/drivers/wrap/retry.ts';
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

  it('tells the caller of each failure after which it makes the call again, and of no other', async () => {
    const inner = new ScriptedDriver();
    const passing = [storageError(), storageError({ kind: 'throttled' })];
    const last = storageError({ isTransient: false });
    inner.failures.push(...passing, last);
    const told: unknown[] = [];
    const { driver } = wrapped(inner);
    const stat = driver.stat({ ...CTX, onRetry: (error) => told.push(error) }, 'k');
    await assert.rejects(stat, (error) => error === last);
    assert.deepEqual(told, passing);
  });

  it('multiplies no retries: a body that fails on the other side is not sent again', async () => {
    const other = storageError({ backend: 'test://other' });
    const body: Body = {
      sizeBytes: 3,
      async *open() {
        yield Buffer.from('ab');
        throw other;
      },
    };
    // What a driver makes of it: the error as it is, or one of its own.
    for (const made of [other, storageError()]) {
      const inner = new ScriptedDriver();
      const drained = async (sent: Body): Promise<never> => {
        inner.calls.push('sent');
        try {
          for await (const _ of sent.open());
        } catch {
          throw made;
        }
        throw new Error('The body did not fail');
      };
      const { multipart } = inner;
      const sending: Partial<StorageDriver> = {
        write: (_ctx, _key, sent) => drained(sent),
        multipart: { ...multipart, putPart: (_ctx, _upload, { body: sent }) => drained(sent) },
        streamUpload: { upload: (_ctx, _key, sent) => drained(sent) },
      };
      const { driver, retries } = wrapped(Object.assign(inner, sending));
      const upload = { key: 'k', id: 'i' };
      const part = { number: 1, offset: 0, body };
      for (const call of [
        () => driver.write(CTX, 'k', body, {}),
        () => driver.multipart?.putPart(CTX, upload, part),
        () => driver.streamUpload?.upload(CTX, 'k', body, {}),
      ]) {
        await assert.rejects(
          async () => call(),
          (error) => error === made,
        );
      }
      assert.deepEqual(inner.calls, ['sent', 'sent', 'sent']);
      assert.deepEqual(retries, []);
    }
  });

  it('sends a streamed body again from its start', async () => {
    const inner = new ScriptedDriver();
    const seen: string[] = [];
    const write: StorageDriver['write'] = async (_ctx, _key, sent) => {
      const pieces: Uint8Array[] = [];
      for await (const piece of sent.open()) pieces.push(piece);
      seen.push(Buffer.concat(pieces).toString());
      if (seen.length < 3) throw storageError();
      return {};
    };
    const body: Body = {
      sizeBytes: 3,
      async *open() {
        yield Buffer.from('ab');
        yield Buffer.from('c');
      },
    };
    await wrapped(Object.assign(inner, { write })).driver.write(CTX, 'k', body, {});
    assert.deepEqual(seen, ['abc', 'abc', 'abc']);
  });

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

describe('withRetries() and time', () => {
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

  it('does not wait longer than the limit for what a server asks, and says so', async () => {
    for (const [outageMsMax, retryAfterMs, words] of [
      [undefined, 601_000, /for 601 s, longer than the 600 s that are waited: Cannot do it$/],
      [30_000, 31_000, /for 31 s, longer than the 30 s that are waited: Cannot do it$/],
      [30_000, 2 ** 33, /for 8,589,935 s, longer than/],
    ] as const) {
      const inner = new ScriptedDriver();
      const policy = { ...DEFAULT_RETRIES, ...(outageMsMax === undefined ? {} : { outageMsMax }) };
      const { driver } = wrapped(inner, policy);
      const asked = storageError({ kind: 'throttled', status: 503, retryAfterMs });
      inner.failures.push(asked);
      await assert.rejects(driver.stat(CTX, 'k'), (error) => {
        assert.ok(error instanceof StorageError);
        assert.match(error.message, /^test:\/\/x asks to be left alone /);
        assert.match(error.message, words);
        assert.deepEqual([error.details.scope, error.details.isTransient], ['backend', false]);
        assert.equal(error.cause, asked);
        return true;
      });
      assert.equal(inner.calls.length, 1);
    }
  });

  it('starts at once only after the first connection that was closed', async (t) => {
    const time = fakeTime(t);
    const inner = new ScriptedDriver();
    const { driver, retries } = wrapped(inner, { ...DEFAULT_RETRIES, random: () => 0 });
    const stale = () => storageError({ backendCode: 'wire-stale' });
    inner.failures.push(stale(), stale());
    const running = driver.stat(CTX, 'k');
    await time.pass(0);
    assert.equal(inner.calls.length, 2);
    await time.pass(201);
    await running;
    assert.equal(inner.calls.length, 3);
    assert.deepEqual(retries, ['stat', 'stat']);
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
    const inner = new ScriptedDriver();
    inner.onCall = () => {
      attempts += 1;
      inner.failures.push(failure());
    };
    const running = wrapped(inner, policy).driver.stat(CTX, 'k');
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

  it('asks again for a folder that cannot be listed for a moment, and goes on without it in its last attempt', async () => {
    const inner = new ScriptedDriver();
    const { driver } = wrapped(inner);
    const cases = [
      { isTransient: true, attempts: NO_WAIT.attemptsMax },
      { isTransient: false, attempts: 1 },
    ];
    for (const { isTransient, attempts } of cases) {
      let listings = 0;
      inner.pages = async function* ({ onUnlistable }) {
        listings += 1;
        const failure = storageError({ operation: 'list', isTransient });
        if (!onUnlistable?.('a/', failure)) throw failure;
        yield objectsNamed('b');
      };
      const told: string[] = [];
      const onUnlistable = (name: string) => told.push(name) > 0;
      assert.deepEqual(await keysOf(driver.list(CTX, { prefix: '', onUnlistable })), ['b']);
      assert.deepEqual({ told, listings }, { told: ['a/'], listings: attempts });
    }
  });

  it('begins an unsorted listing anew, so that what lies before the last key is not lost', async () => {
    const order = ['m', 'c', 'x', 'b', 'q', 'a'];
    for (const listOrder of ['unsorted', 'bytes'] as const) {
      const inner = new ScriptedDriver({ listOrder });
      const { driver } = wrapped(inner);
      let count = 0;
      inner.pages = async function* (query) {
        count += 1;
        for (const [index, key] of order.entries()) {
          if (count === 1 && index === 4) throw storageError();
          const page = objectsNamed(key);
          // Pages of one key ascend; it is the pages that do not.
          if (query.after === undefined || key > query.after)
            yield { ...page, isAscending: listOrder === 'bytes' };
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
