import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  allocateCounters,
  CounterReader,
  CounterWriter,
  OPERATIONS,
  type Operation,
  OUTCOMES,
  type Outcome,
} from '../../../src/core/counters.ts';
import type { StorageErrorDetails } from '../../../src/core/errors.ts';
import type { StorageDriver } from '../../../src/drivers/driver.ts';
import { withCounters } from '../../../src/drivers/wrap/observe.ts';
import { withRetries } from '../../../src/drivers/wrap/retry.ts';
import { everyCall, objectsNamed, pagedKeys, ScriptedDriver, storageError } from './scripted-driver.ts';

const CTX = { signal: new AbortController().signal };
const NO_WAIT = { attemptsMax: 4, delayMsMin: 0, delayMsMax: 0, random: () => 0 };

function observed(inner: StorageDriver): { driver: StorageDriver; reader: CounterReader } {
  const memory = allocateCounters(1);
  return {
    driver: withCounters(inner, 'target', new CounterWriter(memory)),
    reader: new CounterReader(memory),
  };
}

/** Every request counted, such as `read ok 1`. */
function counted(reader: CounterReader): readonly string[] {
  return OPERATIONS.flatMap((operation) =>
    OUTCOMES.map((outcome) => [operation, outcome, reader.requests('target', operation, outcome)] as const),
  )
    .filter(([, , count]) => count > 0)
    .map((row) => row.join(' '));
}

const OPERATION_OF: Readonly<Record<string, Operation>> = {
  putPart: 'part',
  listParts: 'list',
  listUploads: 'list',
};

describe('withCounters()', () => {
  for (const name of Object.keys(everyCall(new ScriptedDriver(), CTX))) {
    const operation = OPERATION_OF[name] ?? (name as Operation);
    it(`counts ${name}() with its outcome, its time and what went over the wire`, async () => {
      const inner = new ScriptedDriver();
      const { driver, reader } = observed(inner);
      const call = everyCall(driver, CTX)[name as keyof ReturnType<typeof everyCall>];
      const result = await call();
      assert.deepEqual(counted(reader), [`${operation} ok 1`]);
      assert.deepEqual(result, await everyCall(inner, CTX)[name as keyof ReturnType<typeof everyCall>]());
      const bytes = { read: 11, write: 7, putPart: 7 }[name] ?? 0;
      assert.equal(reader.wire('target'), bytes);
      const { buckets, sumSeconds } = reader.latency('target', operation);
      assert.equal(
        buckets.reduce((sum, count) => sum + count, 0),
        1,
      );
      assert.ok(sumSeconds > 0);
      const failure = storageError({ status: 500 });
      inner.failures.push(failure);
      await assert.rejects(call(), (error) => error === failure);
      assert.deepEqual(counted(reader), [`${operation} ok 1`, `${operation} server_error 1`]);
      assert.equal(reader.wire('target'), bytes);
    });
  }

  const outcomes: readonly (readonly [string, Partial<StorageErrorDetails> | Error, Outcome])[] = [
    ['503 SlowDown', { kind: 'throttled', status: 503 }, 'throttled'],
    ['429', { kind: 'throttled', status: 429 }, 'throttled'],
    ['500', { kind: 'unavailable', status: 500 }, 'server_error'],
    ['404', { kind: 'not-found', status: 404 }, 'client_error'],
    ['403', { kind: 'denied', status: 403 }, 'client_error'],
    ['400 BadDigest', { kind: 'corrupt', status: 400 }, 'client_error'],
    ['a broken connection', { kind: 'unavailable' }, 'network'],
    ['no answer in time', { kind: 'timeout' }, 'network'],
    ['a body that ended early', { kind: 'corrupt' }, 'network'],
    ['a missing file', { kind: 'not-found' }, 'client_error'],
    ['something else', new Error('aborted'), 'network'],
  ];
  for (const [what, failure, outcome] of outcomes) {
    it(`calls ${what} ${outcome}`, async () => {
      const inner = new ScriptedDriver();
      const { driver, reader } = observed(inner);
      inner.failures.push(failure instanceof Error ? failure : storageError(failure));
      await assert.rejects(driver.stat(CTX, 'k'));
      assert.deepEqual(counted(reader), [`stat ${outcome} 1`]);
    });
  }

  it('counts as many list requests as there are pages', async () => {
    const inner = new ScriptedDriver();
    const { driver, reader } = observed(inner);
    inner.pages = pagedKeys(['a', 'b', 'c', 'd', 'e'], 2);
    for await (const page of driver.list(CTX, { prefix: '' })) assert.ok(page.objects.length > 0);
    assert.deepEqual(counted(reader), ['list ok 3']);
  });

  it('closes a listing that its caller leaves', async () => {
    const inner = new ScriptedDriver();
    const { driver } = observed(inner);
    let isClosed = false;
    inner.pages = async function* () {
      try {
        for (;;) yield objectsNamed('a');
      } finally {
        isClosed = true;
      }
    };
    for await (const page of driver.list(CTX, { prefix: '' })) if (page.objects.length > 0) break;
    assert.equal(isClosed, true);
  });

  it('counts every attempt when it lies inside the retries, those of listings too', async () => {
    const inner = new ScriptedDriver();
    const { driver, reader } = observed(inner);
    const retrying = withRetries(driver, NO_WAIT, () => undefined);
    inner.failures.push(storageError(), storageError({ kind: 'throttled', status: 503 }));
    await retrying.read(CTX, 'k', Buffer.alloc(5), {});
    assert.deepEqual(counted(reader), ['read ok 1', 'read throttled 1', 'read network 1']);
    assert.equal(reader.wire('target'), 5);
    inner.pages = pagedKeys(['a', 'b', 'c'], 1, (page) => page === 2);
    for await (const page of retrying.list(CTX, { prefix: '' })) assert.equal(page.objects.length, 1);
    assert.equal(reader.requests('target', 'list', 'ok'), 3);
    assert.equal(reader.requests('target', 'list', 'network'), 1);
  });
});
