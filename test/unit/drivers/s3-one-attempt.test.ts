/** Neither engine repeats anything by itself: retries have one owner, and it is not the driver, the SDK or the transport. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type S3Server, startS3Server } from '../../../bench/s3-server/s3-server.ts';
import { isStorageError } from '../../../src/core/errors.ts';
import { bodyOfBytes } from '../../../src/drivers/body.ts';
import type { Body, CallContext, StorageDriver, Upload } from '../../../src/drivers/driver.ts';
import { openS3Driver } from '../../../src/drivers/s3/s3-driver.ts';
import { openS3SdkDriver } from '../../../src/drivers/s3/s3-sdk-driver.ts';
import type { S3Spec } from '../../../src/drivers/spec.ts';

const CTX: CallContext = { signal: new AbortController().signal };
const MIB = 1024 ** 2;
const small = bodyOfBytes(Buffer.from('content'));
/** Two parts of what lib-storage makes. */
const large: Body = {
  sizeBytes: 12 * MIB,
  async *open() {
    for (let count = 0; count < 12; count += 1) yield Buffer.alloc(MIB, count);
  },
};
type Call = (driver: StorageDriver, upload: Upload | undefined) => Promise<unknown> | undefined;

const CALLS: Readonly<Record<string, Call>> = {
  list: (driver) => driver.list(CTX, { prefix: '' })[Symbol.asyncIterator]().next(),
  stat: (driver) => driver.stat(CTX, 'k'),
  read: (driver) => driver.read(CTX, 'k', Buffer.alloc(7), { isWhole: true }),
  write: (driver) => driver.write(CTX, 'k', small, {}),
  remove: (driver) => driver.remove(CTX, 'k'),
  upload: (driver) => driver.streamUpload?.upload(CTX, 'k', large, {}),
  begin: (driver) => driver.multipart?.begin(CTX, 'k'),
  complete: (driver, upload) => upload && driver.multipart?.complete(CTX, upload, [], { sizeBytes: 0 }),
};

describe('one call of a driver that meets a passing fault', () => {
  let server: S3Server;
  before(async () => {
    server = await startS3Server({ buckets: ['b'] });
    await server.put('b', [{ key: 'k', body: Buffer.from('content') }]);
  });
  after(() => server.close());

  for (const engine of ['direct', 'sdk'] as const) {
    for (const fault of [
      { kind: 'status', status: 503, code: 'SlowDown' },
      { kind: 'status', status: 500, code: 'InternalError' },
      { kind: 'reset' },
    ] as const) {
      const what = 'code' in fault ? fault.code : fault.kind;
      it(`is one request of the ${engine} engine: ${what}`, async () => {
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
        const open = engine === 'sdk' ? openS3SdkDriver : openS3Driver;
        const driver: StorageDriver = await open({ storage, engine });
        const upload = await driver.multipart?.begin(CTX, 'open');
        let calls = 0;
        for (const [name, call] of Object.entries(CALLS)) {
          // Whether a Complete whose answer is lost was done after all may be looked up: that repeats nothing.
          const only = name === 'complete' ? ({ operation: 'CompleteMultipartUpload' } as const) : {};
          const script = await server.misbehave({ fault, ...only, times: 1_000 });
          const error: unknown = await Promise.resolve(call(driver, upload)).catch(
            (failure: unknown) => failure,
          );
          const [requests] = await script.used();
          await script.remove();
          if (error === undefined && requests === 0) continue;
          calls += 1;
          assert.ok(isStorageError(error) && error.details.isTransient, `${name}: ${String(error)}`);
          assert.equal(requests, 1, name);
        }
        // Each engine has calls that the other has not.
        assert.ok(calls >= 6);
        await driver.close();
      });
    }
  }
});
