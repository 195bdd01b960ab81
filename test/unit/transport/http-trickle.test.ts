/** Transfers that trickle or stall are cut and repeated: under a clock that the test turns, against the embedded server. */
import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { type S3ServerProcess, startS3ServerProcess } from '../../../bench/s3-server/s3-server-process.ts';
import { isStorageError, type StorageError } from '../../../src/core/errors.ts';
import { bodyOfBytes } from '../../../src/drivers/body.ts';
import { openS3Driver } from '../../../src/drivers/s3/s3-driver.ts';
import type { S3Spec } from '../../../src/drivers/spec.ts';
import { withRetries } from '../../../src/drivers/wrap/retry.ts';
import { seededBytes } from '../../support/seeded.ts';

const MIB = 1024 ** 2;
const CTX = { signal: new AbortController().signal };
const CONTENT = seededBytes('trickle', 'content', 4 * MIB);
const POLICY = { attemptsMax: 2, delayMsMin: 0, delayMsMax: 0, random: () => 0 };

describe('a transfer that hardly moves', () => {
  let server: S3ServerProcess;
  let aheadMs = 0;
  before(async () => {
    // In a process of its own: its clock must go on as usual.
    server = await startS3ServerProcess({ buckets: ['b'] });
    await server.put('b', [{ key: 'k', body: CONTENT }]);
  });
  after(() => server.close());

  async function driverFor(t: TestContext) {
    // From here on the pool's watch goes by this test's clock; sockets do not.
    t.mock.timers.enable({ apis: ['setInterval'] });
    aheadMs = 0;
    const realNow = Date.now;
    t.mock.method(Date, 'now', () => realNow() + aheadMs);
    const storage: S3Spec = {
      kind: 's3',
      bucket: 'b',
      rootDirectory: '',
      region: 'us-east-1',
      endpoint: server.endpoint,
      isPathStyle: true,
      skipsTlsVerify: false,
      encrypt: false,
      credentials: { accessKeyId: 'testkey', secretAccessKey: 'testsecret' },
    };
    const plain = await openS3Driver({ storage, engine: 'direct' });
    t.after(() => plain.close());
    const failures: StorageError[] = [];
    const driver = withRetries(plain, POLICY, (_operation, error) => failures.push(error));
    return { driver, failures };
  }

  /** The clock goes on, and the watch is called once. */
  function pass(t: TestContext, ms: number): void {
    aheadMs += ms;
    t.mock.timers.tick(1_000);
  }

  /**
   * Lets seconds pass, as the pool's timer sees them, until the call was repeated or so many have passed. In each of them
   * the server answers once, so that on a busy machine it does not stand still while minutes go by here.
   */
  async function passSeconds(t: TestContext, failures: readonly unknown[], seconds: number): Promise<number> {
    for (let second = 1; second <= seconds; second += 1) {
      pass(t, 1_000);
      await server.stats();
      for (let count = 0; count < 20; count += 1) await turn();
      if (failures.length > 0) return second;
    }
    return Number.POSITIVE_INFINITY;
  }

  async function untilUsed(used: () => Promise<readonly number[]>): Promise<void> {
    while ((await used())[0] === 0) await turn();
  }

  it('is cut when a body comes at less than a kilobyte a second, and read again over another connection', async (t) => {
    const { driver, failures } = await driverFor(t);
    const fault = await server.misbehave({
      fault: { kind: 'bandwidth', bytesPerSecond: 100, direction: 'down' },
      operation: 'GetObject',
      times: 1,
    });
    const into = Buffer.alloc(CONTENT.length);
    const reading = driver.read(CTX, 'k', into, { isWhole: true });
    await untilUsed(() => fault.used());
    const seconds = await passSeconds(t, failures, 60);
    assert.ok(seconds >= 19 && seconds <= 32, `${seconds} s`);
    assert.ok(isStorageError(failures[0], 'timeout'));
    assert.equal(failures[0]?.details.backendCode, 'wire-too-slow');
    await reading;
    assert.ok(into.equals(CONTENT));
    await fault.assertUsedUp();
  });

  it('is cut when a body is not taken any more, and sent again', async (t) => {
    const { driver, failures } = await driverFor(t);
    const fault = await server.misbehave({
      fault: { kind: 'bandwidth', bytesPerSecond: 100, direction: 'up' },
      operation: 'PutObject',
      times: 1,
    });
    // More than the buffers of both ends of a loopback take without being read.
    const large = Buffer.alloc(48 * MIB, 7);
    const writing = driver.write(CTX, 'large', bodyOfBytes(large), {});
    await untilUsed(() => fault.used());
    const seconds = await passSeconds(t, failures, 120);
    assert.ok(seconds >= 19 && seconds <= 40, `${seconds} s`);
    assert.equal(failures[0]?.details.backendCode, 'wire-too-slow');
    await writing;
    assert.ok(large.equals((await server.get('b', 'large')) ?? Buffer.alloc(0)));
    await fault.assertUsedUp();
  });

  it('is given its whole minute when only the first byte is slow to come', async (t) => {
    const { driver, failures } = await driverFor(t);
    const fault = await server.misbehave({ fault: { kind: 'hang' }, operation: 'GetObject', times: 1 });
    const into = Buffer.alloc(CONTENT.length);
    const reading = driver.read(CTX, 'k', into, { isWhole: true });
    await untilUsed(() => fault.used());
    const seconds = await passSeconds(t, failures, 90);
    assert.ok(seconds >= 59 && seconds <= 75, `${seconds} s`);
    assert.equal(failures[0]?.details.backendCode, 'wire-timeout');
    await reading;
    assert.ok(into.equals(CONTENT));
    await fault.assertUsedUp();
  });

  it('is not cut because this process itself stood still', async (t) => {
    const { driver, failures } = await driverFor(t);
    const fault = await server.misbehave({
      fault: { kind: 'latency', ms: 300 },
      operation: 'GetObject',
      times: 1,
    });
    const into = Buffer.alloc(CONTENT.length);
    const reading = driver.read(CTX, 'k', into, { isWhole: true });
    await untilUsed(() => fault.used());
    // A machine that was paused: the clock has gone on, no timer came, and nothing could be read.
    pass(t, 3_600_000);
    pass(t, 1_000);
    await reading;
    assert.deepEqual(failures, []);
    assert.ok(into.equals(CONTENT));
    await fault.assertUsedUp();
  });
});
