import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type S3Server, type S3ServerOptions, startS3Server } from '../../../bench/s3-server/s3-server.ts';
import { isStorageError } from '../../../src/core/errors.ts';
import type { Binding } from '../../../src/drivers/driver.ts';
import { S3Driver } from '../../../src/drivers/s3/s3-driver.ts';
import { withRetries } from '../../../src/drivers/wrap/retry.ts';
import { ok, refusal, scriptedS3 } from './scripted-s3.ts';

const CTX = { signal: new AbortController().signal };
const NO_WAIT = { attemptsMax: 4, delayMsMin: 0, delayMsMax: 0, random: () => 0 };
/** Requests of a probe whose answers are all as hoped for. */
const REQUESTS = 16;

const ALL: Binding = {
  payloadSha256: true,
  contentMd5: true,
  partCrc32: true,
  objectCrc32: true,
  storesSha256: true,
};
const CEPH_16: Binding = { ...ALL, partCrc32: false, objectCrc32: false, storesSha256: false };
const NOTHING: Binding = { ...CEPH_16, payloadSha256: false, contentMd5: false };

interface Afterwards {
  after(fn: () => Promise<void>): void;
}

async function serve(
  test: Afterwards,
  options: S3ServerOptions = {},
): Promise<{ server: S3Server; driver: S3Driver }> {
  const server = await startS3Server({ buckets: ['bucket'], threads: 0, ...options });
  const driver = new S3Driver(
    {
      kind: 's3',
      bucket: 'bucket',
      rootDirectory: '',
      region: 'us-east-1',
      endpoint: server.endpoint,
      isPathStyle: true,
      skipsTlsVerify: false,
      encrypt: false,
    },
    undefined,
    { credentials: { accessKeyId: 'testkey', secretAccessKey: 'testsecret' } },
  );
  test.after(async () => {
    await driver.close();
    await server.close();
  });
  return { server, driver };
}

async function assertNothingLeft(server: S3Server, driver: S3Driver): Promise<void> {
  assert.deepEqual(await server.keys('bucket'), []);
  assert.deepEqual(await driver.multipart.listUploads(CTX, ''), []);
}

describe('S3Driver.binding.probe()', () => {
  const servers: readonly (readonly [string, S3ServerOptions, Binding])[] = [
    ['checks everything', {}, ALL],
    ['knows no checksums', { checksums: false }, CEPH_16],
    ['accepts everything', { checksNothing: true }, NOTHING],
    ['knows no checksums and accepts everything', { checksums: false, checksNothing: true }, NOTHING],
  ];
  for (const [what, options, expected] of servers) {
    it(`finds out what a server refuses that ${what}, and leaves nothing behind`, async (t) => {
      const { server, driver } = await serve(t, options);
      assert.deepEqual(await driver.binding.probe(CTX, 'root/.probe/'), expected);
      await assertNothingLeft(server, driver);
    });
  }

  it('leaves alone what lies beside it', async (t) => {
    const { server, driver } = await serve(t);
    await server.put('bucket', [{ key: 'root/.probe/mine', body: Buffer.from('mine') }]);
    await driver.binding.probe(CTX, 'root/.probe/');
    assert.deepEqual(
      (await server.keys('bucket')).map(({ key }) => key),
      ['root/.probe/mine'],
    );
  });

  it('says what was denied, not that tidying up was denied too', async (t) => {
    const { server, driver } = await serve(t);
    await server.misbehave({
      fault: { kind: 'status', status: 403, code: 'AccessDenied' },
      times: Number.POSITIVE_INFINITY,
    });
    await assert.rejects(driver.binding.probe(CTX, 'p/'), (error) => {
      assert.ok(isStorageError(error, 'denied'));
      assert.match(error.message, /^Cannot write a probe to "p\//);
      return true;
    });
  });

  it('makes as many requests as this file counts on', async (t) => {
    const { server, driver } = await serve(t);
    const handle = await server.misbehave({ fault: { kind: 'latency', ms: 0 } });
    await driver.binding.probe(CTX, 'p/');
    assert.deepEqual(await handle.used(), [REQUESTS]);
  });

  it('passes on a denial wherever it comes, and leaves nothing behind that it may remove', async (t) => {
    const { server, driver } = await serve(t);
    for (let skip = 0; skip < REQUESTS; skip += 1) {
      const handle = await server.misbehave({
        fault: { kind: 'status', status: 403, code: 'AccessDenied', when: 'body' },
        skip,
        times: 1,
      });
      await assert.rejects(
        driver.binding.probe(CTX, 'p/'),
        (error) => isStorageError(error, 'denied'),
        `request ${skip}`,
      );
      await handle.assertUsedUp();
      for (const { key } of await server.keys('bucket')) {
        // Only the removal itself, when it was what was denied.
        assert.equal(skip, REQUESTS - 1, key);
        await driver.remove(CTX, key);
      }
      for (const upload of await driver.multipart.listUploads(CTX, '')) {
        await driver.multipart.abort(CTX, upload);
        assert.ok(skip < REQUESTS - 1);
      }
    }
  });

  it('is begun again, inside the retries, when the server is unwell at any moment', async (t) => {
    const { server, driver } = await serve(t);
    const retrying = withRetries(driver, NO_WAIT, () => undefined);
    for (let skip = 0; skip < REQUESTS; skip += 1) {
      const handle = await server.misbehave([
        { fault: { kind: 'status', status: 503, code: 'SlowDown' }, skip, times: 1 },
        { fault: { kind: 'reset' }, skip: skip + 5, times: 1 },
      ]);
      assert.deepEqual(await retrying.binding?.probe(CTX, 'p/'), ALL, `request ${skip}`);
      await handle.remove();
      await Promise.all((await server.keys('bucket')).map(({ key }) => driver.remove(CTX, key)));
    }
  });

  it('rejects with the reason when aborted at any moment, and still tidies up', async (t) => {
    const { server, driver } = await serve(t);
    const reason = new Error('stopped by the test');
    for (let index = 0; index < REQUESTS - 1; index += 1) {
      const abort = new AbortController();
      const handle = await server.misbehave({ fault: { kind: 'hang' }, skip: index, times: 1 });
      const failed = assert.rejects(
        driver.binding.probe({ signal: abort.signal }, 'p/'),
        (error) => error === reason,
      );
      while ((await handle.used())[0] === 0) await new Promise((resolve) => setImmediate(resolve));
      abort.abort(reason);
      await failed;
      await assertNothingLeft(server, driver);
    }
  });
});

describe('S3Driver.binding.probe() and servers that are not what they seem', () => {
  const uploadId = '<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>';
  const completed = '<CompleteMultipartUploadResult><ETag>"x"</ETag></CompleteMultipartUploadResult>';
  const removed = 'HTTP/1.1 204 No Content\r\n\r\n';

  it('does not take a server that keeps what it is sent, unseen, for one that stores a sha256', async (t) => {
    let kept = '';
    const { driver } = await scriptedS3(t, ({ method, headers, query }) => {
      if (method === 'HEAD') return ok('', { 'x-amz-checksum-sha256': kept });
      kept = headers.get('x-amz-checksum-sha256') ?? kept;
      if (method === 'DELETE') return removed;
      if (query.has('uploads')) return ok(uploadId);
      return method === 'POST' ? ok(completed) : ok('', { ETag: '"x"' });
    });
    assert.deepEqual(await driver.binding.probe(CTX, 'p/'), NOTHING);
  });

  it('does not take a server that refuses all checksums for one that checks them', async (t) => {
    for (const status of ['400 Bad Request', '501 Not Implemented']) {
      const { driver } = await scriptedS3(t, ({ method, headers, query }) => {
        if ([...headers.keys()].some((name) => name.startsWith('x-amz-checksum')))
          return refusal(status, 'NotImplemented');
        if (method === 'DELETE') return removed;
        if (query.has('uploads')) return ok(uploadId);
        return method === 'POST' ? ok(completed) : ok('', { ETag: '"x"' });
      });
      assert.deepEqual(await driver.binding.probe(CTX, 'p/'), NOTHING);
    }
  });

  it('does not take a server that cannot complete uploads with a checksum for one that checks it', async (t) => {
    const { driver } = await scriptedS3(t, ({ method, headers, query }) => {
      if (method === 'DELETE') return removed;
      if (query.has('uploads')) return ok(uploadId);
      if (method !== 'POST') return ok('', { ETag: '"x"' });
      return headers.has('x-amz-checksum-crc32')
        ? refusal('400 Bad Request', 'InvalidRequest')
        : ok(completed);
    });
    const binding = await driver.binding.probe(CTX, 'p/');
    assert.deepEqual([binding.partCrc32, binding.objectCrc32], [false, false]);
  });

  it('counts a signature that does not match a wrong hash as a refusal', async (t) => {
    let right = '';
    const { driver } = await scriptedS3(t, ({ method, headers, query }) => {
      const payload = headers.get('x-amz-content-sha256') ?? '';
      if (method === 'PUT' && !query.has('uploadId')) {
        right ||= payload;
        if (payload !== right) return refusal('403 Forbidden', 'SignatureDoesNotMatch');
      }
      if (method === 'DELETE') return removed;
      if (query.has('uploads')) return ok(uploadId);
      return method === 'POST' ? ok(completed) : ok('', { ETag: '"x"' });
    });
    assert.deepEqual(await driver.binding.probe(CTX, 'p/'), { ...NOTHING, payloadSha256: true });
  });

  it('passes on wrong credentials instead of taking them for checks', async (t) => {
    const { driver } = await scriptedS3(t, () => refusal('403 Forbidden', 'SignatureDoesNotMatch'));
    await assert.rejects(driver.binding.probe(CTX, 'p/'), (error) => isStorageError(error, 'denied'));
  });
});
