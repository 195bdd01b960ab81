/** Every way of writing to S3 gives objects what the target's settings ask for, and nothing of the source's. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { RawClient } from '../../../bench/s3-server/client/raw-client.ts';
import { type S3Server, startS3Server } from '../../../bench/s3-server/s3-server.ts';
import { bodyOfBytes } from '../../../src/drivers/body.ts';
import type { Body, CopySource } from '../../../src/drivers/driver.ts';
import { openS3Driver } from '../../../src/drivers/s3/s3-driver.ts';
import { openS3SdkDriver } from '../../../src/drivers/s3/s3-sdk-driver.ts';
import type { S3Spec } from '../../../src/drivers/spec.ts';
import { seededBytes } from '../../support/seeded.ts';

const CTX = { signal: new AbortController().signal };
const MIB = 1024 ** 2;
const BYTES = seededBytes('attributes', 'bytes', 9 * MIB);
const SMALL = BYTES.subarray(0, 1_000);

/** What a source may have that no target is to get. */
const STRANGE = [
  ['content-type', 'text/plain'],
  ['cache-control', 'no-store'],
  ['content-encoding', 'gzip'],
  ['content-disposition', 'attachment'],
  ['x-amz-storage-class', 'ONEZONE_IA'],
  ['x-amz-acl', 'public-read'],
  ['x-amz-meta-owner', 'someone'],
  ['x-amz-website-redirect-location', '/elsewhere'],
] as const;

const SETTINGS: readonly (readonly [string, Partial<S3Spec>, Readonly<Record<string, string>>])[] = [
  ['nothing but the type', {}, {}],
  [
    'KMS key, class and ACL',
    {
      encrypt: true,
      kmsKeyId: 'arn:aws:kms:eu-central-1:1:key/k',
      storageClass: 'STANDARD_IA',
      objectAcl: 'bucket-owner-full-control',
    },
    {
      'x-amz-server-side-encryption': 'aws:kms',
      'x-amz-server-side-encryption-aws-kms-key-id': 'arn:aws:kms:eu-central-1:1:key/k',
      'x-amz-storage-class': 'STANDARD_IA',
      'x-amz-acl': 'bucket-owner-full-control',
    },
  ],
  ["the service's own encryption", { encrypt: true }, { 'x-amz-server-side-encryption': 'AES256' }],
];

interface World {
  readonly server: S3Server;
  readonly spec: S3Spec;
  /** What is kept of an object beside its content, as its headers tell. */
  readonly attributesOf: (key: string) => Promise<Readonly<Record<string, string>>>;
}

async function world(t: TestContext, settings: Partial<S3Spec>): Promise<World> {
  const server = await startS3Server({ buckets: ['old', 'new'], threads: 0 });
  const client = new RawClient(server.endpoint);
  t.after(async () => {
    client.close();
    await server.close();
  });
  await server.put('old', [{ key: 'source', body: BYTES, attributes: STRANGE }]);
  const spec: S3Spec = {
    kind: 's3',
    bucket: 'new',
    rootDirectory: '',
    region: 'us-east-1',
    endpoint: server.endpoint,
    isPathStyle: true,
    skipsTlsVerify: false,
    credentials: { accessKeyId: 'testkey', secretAccessKey: 'testsecret' },
    encrypt: false,
    ...settings,
  };
  const attributesOf = async (key: string): Promise<Readonly<Record<string, string>>> => {
    const { status, headers } = await client.send({ method: 'HEAD', target: `/new/${key}` });
    assert.equal(status, 200, key);
    const isAttribute = (name: string): boolean =>
      STRANGE.some(([one]) => one === name) || /^x-amz-(?!request-id|id-2|checksum|mp-)/.test(name);
    return Object.fromEntries(Object.entries(headers).filter(([name]) => isAttribute(name)));
  };
  return { server, spec, attributesOf };
}

function streamed(bytes: Buffer): Body {
  return {
    sizeBytes: bytes.length,
    async *open() {
      yield bytes.subarray(0, 10);
      yield bytes.subarray(10);
    },
  };
}

describe('what S3 keeps of a written object', () => {
  for (const [name, settings, asked] of SETTINGS) {
    const expected = { 'content-type': 'application/octet-stream', ...asked };

    it(`is ${name}, by each way of the direct engine`, async (t) => {
      const { server, spec, attributesOf } = await world(t, settings);
      const driver = await openS3Driver({ storage: spec, engine: 'direct' });
      t.after(() => driver.close());
      await driver.write(CTX, 'whole', bodyOfBytes(SMALL), {});
      await driver.write(CTX, 'streamed', streamed(SMALL), {});
      const { multipart, serverCopy } = driver;
      const upload = await multipart.begin(CTX, 'parts');
      const receipt = await multipart.putPart(CTX, upload, {
        number: 1,
        offset: 0,
        body: bodyOfBytes(SMALL),
      });
      await multipart.complete(CTX, upload, [receipt], { sizeBytes: SMALL.length });
      const [found] = await server.keys('old');
      assert.ok(found);
      const sizeBytes = BYTES.length;
      const source: CopySource = { bucket: 'old', key: 'source', sizeBytes, version: `"${found.etag}"` };
      await serverCopy.copy(CTX, source, 'copied');
      const copying = await serverCopy.begin(CTX, 'copied-parts');
      const part = await serverCopy.copyPart(CTX, copying, source, { number: 1, offset: 0, sizeBytes });
      await serverCopy.complete(CTX, copying, [part], { sizeBytes });
      for (const key of ['whole', 'streamed', 'parts', 'copied', 'copied-parts'])
        assert.deepEqual(await attributesOf(key), expected, key);
    });

    it(`is ${name}, by each way of the SDK`, async (t) => {
      const { spec, attributesOf } = await world(t, settings);
      const driver = await openS3SdkDriver({ storage: spec, engine: 'sdk' });
      t.after(() => driver.close());
      await driver.write(CTX, 'whole', bodyOfBytes(SMALL), {});
      await driver.streamUpload.upload(CTX, 'streamed', streamed(SMALL), {});
      await driver.streamUpload.upload(CTX, 'parts', streamed(BYTES), {});
      for (const key of ['whole', 'streamed', 'parts'])
        assert.deepEqual(await attributesOf(key), expected, key);
    });
  }
});
