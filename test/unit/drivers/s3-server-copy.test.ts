import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { describe, it } from 'node:test';
import { type S3Server, type S3ServerOptions, startS3Server } from '../../../bench/s3-server/s3-server.ts';
import { type ErrorKind, isStorageError } from '../../../src/core/errors.ts';
import { bodyOfBytes } from '../../../src/drivers/body.ts';
import type { Binding, CopySource } from '../../../src/drivers/driver.ts';
import { S3Driver } from '../../../src/drivers/s3/s3-driver.ts';
import { seededBytes } from '../../support/seeded.ts';
import { ok, scriptedS3 } from './scripted-s3.ts';

const CTX = { signal: new AbortController().signal };
const BINDING: Binding = {
  payloadSha256: true,
  contentMd5: true,
  partCrc32: true,
  objectCrc32: true,
  storesSha256: true,
  computesCopySha256: true,
};
const KEY = "from/a b+c%ü/'data'";
const BYTES = seededBytes('server copy', 'bytes', 12 * 1024 ** 2 + 5);
const SHA256 = hash('sha256', BYTES, 'hex');

interface Afterwards {
  after(fn: () => Promise<void>): void;
}

interface World {
  readonly server: S3Server;
  readonly target: S3Driver;
  readonly source: CopySource;
}

async function world(
  test: Afterwards,
  options: S3ServerOptions = {},
  binding: Binding | undefined = BINDING,
): Promise<World> {
  const server = await startS3Server({ buckets: ['old', 'new'], threads: 0, ...options });
  const spec = {
    kind: 's3',
    rootDirectory: '',
    region: 'us-east-1',
    endpoint: server.endpoint,
    isPathStyle: true,
    skipsTlsVerify: false,
    encrypt: false,
    storageClass: 'STANDARD_IA',
  } as const;
  const credentials = { accessKeyId: 'testkey', secretAccessKey: 'testsecret' };
  const target = new S3Driver({ ...spec, bucket: 'new' }, binding, { credentials });
  test.after(async () => {
    await target.close();
    await server.close();
  });
  await server.put('old', [{ key: KEY, body: BYTES }]);
  const [found] = await server.keys('old');
  assert.ok(found);
  const source = { bucket: 'old', key: KEY, sizeBytes: BYTES.length, version: `"${found.etag}"` };
  return { server, target, source };
}

async function kindOf(call: Promise<unknown>): Promise<ErrorKind | undefined> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return isStorageError(error) ? error.kind : undefined;
}

const RESULT = '<CopyObjectResult><ETag>"x"</ETag></CopyObjectResult>';

describe('S3Driver.serverCopy.copy()', () => {
  it('copies within the service, and gives the sha256 that the service computed', async (t) => {
    const { server, target, source } = await world(t);
    const before = await server.stats();
    const result = await target.serverCopy.copy(CTX, source, 'to/key');
    assert.equal(result.sha256, SHA256);
    const { bytesIn, bytesOut } = await server.stats();
    assert.ok(bytesIn - before.bytesIn + bytesOut - before.bytesOut < 5_000);
    assert.ok(BYTES.equals((await server.get('new', 'to/key')) ?? Buffer.alloc(0)));
    assert.equal((await target.serverCopy.look(CTX, 'to/key')).sha256, SHA256);
  });

  it('writes as the target is configured, not with what the source has', async (t) => {
    const { driver, asked } = await scriptedS3(t, () => ok(RESULT), { spec: { storageClass: 'GLACIER' } });
    await driver.serverCopy.copy(CTX, { bucket: 'old', key: 'k', sizeBytes: 1, version: '"v"' }, 'to');
    const headers = asked[0]?.headers;
    assert.equal(headers?.get('x-amz-storage-class'), 'GLACIER');
    assert.equal(headers?.get('x-amz-metadata-directive'), 'REPLACE');
    assert.equal(headers?.get('x-amz-tagging-directive'), 'REPLACE');
    assert.equal(headers?.get('x-amz-copy-source-if-match'), '"v"');
    assert.equal(headers?.get('x-amz-checksum-algorithm'), undefined, 'nobody saw it compute one');
  });

  it('refuses another version than the one that was seen', async (t) => {
    const { server, target, source } = await world(t);
    await server.put('old', [{ key: KEY, body: Buffer.from('another') }]);
    assert.equal(await kindOf(target.serverCopy.copy(CTX, source, 'to')), 'precondition');
    assert.deepEqual(await server.keys('new'), []);
  });

  it('says what is missing, and what is denied', async (t) => {
    const { server, target, source } = await world(t);
    assert.equal(await kindOf(target.serverCopy.copy(CTX, { ...source, key: 'gone' }, 'to')), 'not-found');
    const denial = { kind: 'status', status: 403, code: 'AccessDenied' } as const;
    const faults = await server.misbehave({ fault: denial, operation: 'CopyObject' });
    assert.equal(await kindOf(target.serverCopy.copy(CTX, source, 'to')), 'denied');
    await faults.assertUsedUp();
  });

  it('takes an error in the body of a 200 for what it is', async (t) => {
    const { server, target, source } = await world(t);
    for (const [code, kind] of [
      ['InternalError', 'unavailable'],
      ['PreconditionFailed', 'precondition'],
      ['SlowDown', 'throttled'],
    ] as const) {
      await server.misbehave({ fault: { kind: 'error-in-200', code }, operation: 'CopyObject' });
      assert.equal(await kindOf(target.serverCopy.copy(CTX, source, 'to')), kind);
    }
    const error = '\n\n   <?xml version="1.0"?>\n<Error><Code>InternalError</Code></Error>';
    const { driver } = await scriptedS3(t, () => ok(error));
    assert.equal(await kindOf(driver.serverCopy.copy(CTX, source, 'to')), 'unavailable');
  });

  it('reads a result behind the white space that keeps the connection alive', async (t) => {
    const { driver } = await scriptedS3(t, () => ok(`  \n  \n<?xml version="1.0"?>\n${RESULT}`));
    const source = { bucket: 'old', key: 'k', sizeBytes: 1, version: '"v"' };
    assert.deepEqual(await driver.serverCopy.copy(CTX, source, 'to'), { version: '"x"' });
  });

  const nonsense = [
    '',
    '<html>proxy</html>',
    '<CopyObjectResult></CopyObjectResult>',
    '<CopyObjectResult><ETag>"x"</ETag>',
    RESULT.replaceAll('CopyObject', 'CopyPart'),
  ];
  for (const body of nonsense) {
    it(`does not take ${JSON.stringify(body)} for a copy`, async (t) => {
      const { driver } = await scriptedS3(t, () => ok(body));
      const source = { bucket: 'old', key: 'k', sizeBytes: 1, version: '"v"' };
      assert.equal(await kindOf(driver.serverCopy.copy(CTX, source, 'to')), 'corrupt');
    });
  }

  it('takes no checksum of checksums for a sha256 of the object', async (t) => {
    const sum = Buffer.from(SHA256, 'hex').toString('base64');
    for (const fields of [
      `<ChecksumSHA256>${sum}-1</ChecksumSHA256>`,
      `<ChecksumSHA256>${sum}</ChecksumSHA256><ChecksumType>COMPOSITE</ChecksumType>`,
      `<ChecksumSHA256>${sum.slice(8)}</ChecksumSHA256>`,
    ]) {
      const answer = RESULT.replace('<ETag>', `${fields}<ETag>`);
      const { driver } = await scriptedS3(t, () => ok(answer), { binding: BINDING });
      const source = { bucket: 'old', key: 'k', sizeBytes: 1, version: '"v"' };
      assert.equal((await driver.serverCopy.copy(CTX, source, 'to')).sha256, undefined);
    }
  });
});

describe('S3Driver.serverCopy.copyPart()', () => {
  it('puts an object together from ranges of another one', async (t) => {
    const { server, target, source } = await world(t);
    const upload = await target.serverCopy.begin(CTX, 'to/parts');
    const cut = 7 * 1024 ** 2;
    const receipts = [
      await target.serverCopy.copyPart(CTX, upload, source, { number: 1, offset: 0, sizeBytes: cut }),
      await target.serverCopy.copyPart(CTX, upload, source, {
        number: 2,
        offset: cut,
        sizeBytes: BYTES.length - cut,
      }),
    ];
    assert.deepEqual(await server.keys('new'), [], 'nothing is visible before the end');
    await target.serverCopy.complete(CTX, upload, receipts, { sizeBytes: BYTES.length });
    assert.ok(BYTES.equals((await server.get('new', 'to/parts')) ?? Buffer.alloc(0)));
  });

  it('refuses another version, and an error in a 200', async (t) => {
    const { server, target, source } = await world(t);
    const upload = await target.serverCopy.begin(CTX, 'to');
    const part = { number: 1, offset: 0, sizeBytes: 10 };
    const other = { ...source, version: '"other"' };
    assert.equal(await kindOf(target.serverCopy.copyPart(CTX, upload, other, part)), 'precondition');
    const fault = { kind: 'error-in-200', code: 'InternalError' } as const;
    await server.misbehave({ fault, operation: 'UploadPartCopy' });
    assert.equal(await kindOf(target.serverCopy.copyPart(CTX, upload, source, part)), 'unavailable');
    assert.deepEqual(await target.multipart.listParts(CTX, upload), []);
    await target.multipart.abort(CTX, upload);
  });
});

describe('S3Driver.binding.probe() of copies', () => {
  const services: readonly (readonly [string, S3ServerOptions, boolean])[] = [
    ['computes what it is asked for', {}, true],
    ['computes nothing', { copyChecksums: 'none' }, false],
    ['copies the checksum of the source', { copyChecksums: 'copied' }, false],
    ['knows no checksums', { checksums: false }, false],
  ];
  for (const [what, options, computes] of services) {
    it(`sees whether a service ${what}, and leaves nothing behind`, async (t) => {
      const { server, target } = await world(t, options, undefined);
      const binding = await target.binding.probe(CTX, 'root/.probe/', { copies: true });
      assert.equal(binding.computesCopySha256, computes);
      assert.deepEqual(await server.keys('new'), []);
      assert.deepEqual(await target.multipart.listUploads(CTX, ''), []);
    });
  }

  it('asks nothing about copies where nobody wants to know', async (t) => {
    const { server, target } = await world(t, {}, undefined);
    assert.equal('computesCopySha256' in (await target.binding.probe(CTX, 'root/.probe/')), false);
    assert.equal((await server.stats()).requestsByOperation.CopyObject, undefined);
  });

  it('takes a service that computes another sum, or refuses to copy, for one that computes none', async (t) => {
    for (const fault of [
      { kind: 'flip-copy', offset: 3 },
      { kind: 'status', status: 501, code: 'NotImplemented' },
      { kind: 'status', status: 403, code: 'AccessDenied' },
    ] as const) {
      const { server, target } = await world(t, {}, undefined);
      const faults = await server.misbehave({ fault, operation: 'CopyObject' });
      const binding = await target.binding.probe(CTX, 'root/.probe/', { copies: true });
      assert.equal(binding.computesCopySha256, false);
      await faults.assertUsedUp();
      assert.deepEqual(await server.keys('new'), []);
    }
  });

  it('is not fooled by a service that keeps the hash a request was signed with', async (t) => {
    const { server, target } = await world(t, { logsRequests: true }, undefined);
    await target.binding.probe(CTX, 'root/.probe/', { copies: true });
    const requests = await server.takeRequests();
    const at = requests.findIndex(({ operation }) => operation === 'CopyObject');
    const before = requests.slice(0, at).findLast(({ operation }) => operation === 'PutObject');
    assert.ok(before);
    assert.equal(before.payloadHash, 'UNSIGNED-PAYLOAD');
  });
});

describe('S3Driver.serverCopy.look()', () => {
  it('tells whether a sha256 is kept, of the whole or of parts', async (t) => {
    const { target } = await world(t);
    await target.write(CTX, 'with', bodyOfBytes(Buffer.from('abc')), {});
    const kept = await target.serverCopy.look(CTX, 'with');
    assert.equal(kept.sha256, hash('sha256', 'abc', 'hex'));
    assert.equal(kept.hasSha256, true);
    const { driver } = await scriptedS3(t, () => ok('', { 'x-amz-checksum-sha256': 'abc-2' }));
    const parts = await driver.serverCopy.look(CTX, 'parts');
    assert.deepEqual([parts.hasSha256, parts.sha256], [true, undefined]);
  });
});
