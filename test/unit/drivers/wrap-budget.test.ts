import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { StorageError } from '../../../src/core/errors.ts';
import type { StorageDriver } from '../../../src/drivers/driver.ts';
import { DEFAULT_RETRIES, withRetries } from '../../../src/drivers/wrap/retry.ts';
import { RetryBudget } from '../../../src/drivers/wrap/retry-budget.ts';
import { bound } from '../../conformance/fault.ts';
import { fakeTime } from './fake-time.ts';
import { ScriptedDriver, storageError } from './scripted-driver.ts';

const CTX = { signal: new AbortController().signal };

describe('RetryBudget', () => {
  it('lets a blip that hits everything in flight go again at once', () => {
    const budget = new RetryBudget(() => 0);
    for (let count = 0; count < 64; count += 1) assert.equal(budget.spend(), 0);
    assert.equal(budget.spend(), 200);
    assert.equal(budget.spend(), 400);
  });

  it('earns five retries a second without any success, and one with every five successes', () => {
    let now = 0;
    const budget = new RetryBudget(() => now);
    while (budget.spend() === 0);
    // One is owed.
    now = 400;
    assert.equal(budget.spend(), 0);
    assert.equal(budget.spend(), 200);
    for (let count = 0; count < 10; count += 1) budget.earn();
    assert.equal(budget.spend(), 0);
  });

  it('never lets more retries go than were there and were earned', () => {
    const steps = fc.array(
      fc.oneof(
        fc.record({ does: fc.constant('earn' as const) }),
        fc.record({ does: fc.constant('wait' as const), ms: fc.nat(5_000) }),
        fc.record({ does: fc.constant('spend' as const) }),
      ),
      { maxLength: 400 },
    );
    fc.assert(
      fc.property(steps, (script) => {
        let now = 0;
        let earned = 0;
        const beginsMs: number[] = [];
        const budget = new RetryBudget(() => now);
        for (const step of script) {
          if (step.does === 'wait') now += step.ms;
          else if (step.does === 'spend') beginsMs.push(now + budget.spend());
          else {
            budget.earn();
            earned += 1;
          }
        }
        for (const until of beginsMs) {
          const begun = beginsMs.filter((ms) => ms <= until).length;
          assert.ok(begun <= 64 + earned / 5 + until / 200 + 1e-6, `${begun} by ${until} ms`);
        }
      }),
    );
  });
});

describe('withRetries() and its budget', () => {
  it('holds retries back once they are spent, and fails no call for it', async (t) => {
    const time = fakeTime(t);
    const inner = new ScriptedDriver();
    const policy = { attemptsMax: 2, delayMsMin: 0, delayMsMax: 0, random: () => 0 };
    const driver = withRetries(inner, policy, () => undefined);
    for (let count = 0; count < 100; count += 1) {
      inner.failures.push(storageError({ kind: 'throttled', status: 503 }));
    }
    const running = Promise.all(Array.from({ length: 100 }, () => driver.stat(CTX, 'k')));
    await time.pass(1);
    // What was there, and what the successes among them have earned by then.
    assert.ok(inner.calls.length >= 100 + 64 && inner.calls.length <= 100 + 80, `${inner.calls.length}`);
    await time.pass(10_000);
    await running;
    assert.equal(inner.calls.length, 200);
  });
});

describe('withRetries() and denials', () => {
  const denied = () => storageError({ kind: 'denied', isTransient: false, status: 403 });

  async function outcomeOf(call: () => Promise<unknown>): Promise<unknown> {
    return call().then(
      () => 'ok',
      (error: unknown) => error,
    );
  }

  it('ends the run when fifty requests of a kind in a row are denied', async () => {
    const inner = new ScriptedDriver();
    const driver = withRetries(inner, DEFAULT_RETRIES, () => undefined);
    const errors = Array.from({ length: 50 }, denied);
    inner.failures.push(...errors);
    for (const error of errors.slice(0, 49)) {
      assert.equal(await outcomeOf(() => driver.read(CTX, 'k', Buffer.alloc(1), {})), error);
    }
    const last = await outcomeOf(() => driver.read(CTX, 'k', Buffer.alloc(1), {}));
    assert.ok(last instanceof StorageError);
    assert.deepEqual([last.details.scope, last.kind, last.cause], ['backend', 'denied', errors[49]]);
    assert.match(
      last.message,
      /^test:\/\/x denied 50 requests of one kind in a row, the last one: Cannot do it$/,
    );
    assert.match(last.hint ?? '', /then run again/);
  });

  it('ends no run for copies inside the service that are denied, however many: those objects are streamed', async () => {
    const denies = () => Promise.reject(denied());
    const look = async () => ({ key: 'k', sizeBytes: 1, hasSha256: false });
    const serverCopy = {
      copiesFrom: 'bucket' as const,
      copyBytesMax: 1,
      look,
      copy: denies,
      begin: denies,
      copyPart: denies,
      complete: denies,
    };
    const driver = withRetries(
      bound<StorageDriver>(new ScriptedDriver(), { serverCopy }),
      DEFAULT_RETRIES,
      () => undefined,
    );
    const source = { bucket: 'b', key: 'k', sizeBytes: 1, version: 'v' };
    for (let count = 0; count < 60; count += 1) {
      const error = await outcomeOf(async () => driver.serverCopy?.copy(CTX, source, 'k'));
      assert.ok(error instanceof StorageError && error.details.scope === 'object', `the ${count + 1}th`);
    }
  });

  it('takes one success of the same kind as a sign that it is the objects, not the permission', async () => {
    const inner = new ScriptedDriver();
    const driver = withRetries(inner, DEFAULT_RETRIES, () => undefined);
    for (let round = 0; round < 3; round += 1) {
      for (let count = 0; count < 49; count += 1) {
        inner.failures.push(denied());
        const error = await outcomeOf(() => driver.read(CTX, 'k', Buffer.alloc(1), {}));
        assert.ok(error instanceof StorageError && error.details.scope === 'object');
        // Another kind of request may well be allowed.
        assert.equal(await outcomeOf(() => driver.stat(CTX, 'k')), 'ok');
      }
      assert.equal(await outcomeOf(() => driver.read(CTX, 'k', Buffer.alloc(1), {})), 'ok');
    }
  });
});
