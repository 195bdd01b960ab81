import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  NoSuchKey,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { type S3Server, startS3Server } from '../../../bench/s3-server/s3-server.ts';

/** The SDK with its own defaults: checksums when supported, CRC32 in fields and trailers. */
async function withSdk(
  config: S3ClientConfig,
  run: (sdk: S3Client, server: S3Server) => Promise<void>,
): Promise<void> {
  const server = await startS3Server({ buckets: ['box'], threads: 0 });
  const sdk = new S3Client({
    endpoint: server.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: 'testkey', secretAccessKey: 'testsecret' },
    maxAttempts: 1,
    ...config,
  });
  try {
    await run(sdk, server);
  } finally {
    sdk.destroy();
    await server.close();
  }
}

const BODY = randomBytes(12_000_000);

describe('AWS SDK v3 with its defaults', () => {
  it('puts, gets, lists, copies and deletes', async () => {
    await withSdk({}, async (sdk, server) => {
      await sdk.send(new CreateBucketCommand({ Bucket: 'made' }));
      const Key = "a b+c/ü%'(x)*";
      const put = await sdk.send(
        new PutObjectCommand({ Bucket: 'box', Key, Body: 'hello', Metadata: { a: 'b' } }),
      );
      assert.equal(put.ChecksumCRC32, 'NhCmhg==');
      const got = await sdk.send(new GetObjectCommand({ Bucket: 'box', Key }));
      assert.equal(await got.Body?.transformToString(), 'hello');
      assert.deepEqual(got.Metadata, { a: 'b' });
      assert.equal(got.ChecksumCRC32, 'NhCmhg==');
      await sdk.send(
        new CopyObjectCommand({ Bucket: 'made', Key: 'copy', CopySource: `box/${encodeURIComponent(Key)}` }),
      );
      const listed = await sdk.send(new ListObjectsV2Command({ Bucket: 'box', EncodingType: 'url' }));
      assert.deepEqual(
        listed.Contents?.map((one) => decodeURIComponent(one.Key ?? '')),
        [Key],
      );
      const deleted = await sdk.send(
        new DeleteObjectsCommand({ Bucket: 'box', Delete: { Objects: [{ Key }] } }),
      );
      assert.deepEqual(deleted.Deleted, [{ Key }]);
      assert.deepEqual(
        (await server.keys('made')).map((one) => one.key),
        ['copy'],
      );
      await assert.rejects(sdk.send(new GetObjectCommand({ Bucket: 'box', Key })), NoSuchKey);
    });
  });

  it('streams bodies with checksums in their trailers', async () => {
    await withSdk({}, async (sdk, server) => {
      const stream = Readable.from([BODY.subarray(0, 100_000), BODY.subarray(100_000)]);
      await sdk.send(
        new PutObjectCommand({ Bucket: 'box', Key: 's', Body: stream, ContentLength: BODY.length }),
      );
      assert.ok(BODY.equals(Buffer.from((await server.get('box', 's')) ?? [])));
      const head = await sdk.send(
        new HeadObjectCommand({ Bucket: 'box', Key: 's', ChecksumMode: 'ENABLED' }),
      );
      assert.ok(head.ChecksumCRC32);
      assert.equal(head.ContentEncoding, undefined);
    });
  });

  for (const ChecksumAlgorithm of ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const) {
    it(`uploads in parts with ${ChecksumAlgorithm}`, async () => {
      await withSdk({}, async (sdk, server) => {
        const params = { Bucket: 'box', Key: 'big', Body: Readable.from([BODY]), ChecksumAlgorithm };
        await new Upload({ client: sdk, params }).done();
        assert.ok(BODY.equals(Buffer.from((await server.get('box', 'big')) ?? [])));
        const head = await sdk.send(
          new HeadObjectCommand({ Bucket: 'box', Key: 'big', ChecksumMode: 'ENABLED' }),
        );
        assert.equal(head.ChecksumType, ChecksumAlgorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE');
        assert.match(head.ETag ?? '', /-3"$/);
        const got = await sdk.send(new GetObjectCommand({ Bucket: 'box', Key: 'big' }));
        assert.ok(BODY.equals(Buffer.from((await got.Body?.transformToByteArray()) ?? [])));
        const open = await sdk.send(new ListMultipartUploadsCommand({ Bucket: 'box' }));
        assert.equal(open.Uploads, undefined);
      });
    });
  }

  it('is told of flipped bits in its trailers’ bodies, and finds those in what it reads', async () => {
    await withSdk({}, async (sdk, server) => {
      const up = await server.misbehave({
        operation: 'PutObject',
        fault: { kind: 'flip-request', offset: 5_000_000 },
      });
      const put = (): Promise<unknown> =>
        sdk.send(
          new PutObjectCommand({
            Bucket: 'box',
            Key: 's',
            Body: Readable.from([BODY]),
            ContentLength: BODY.length,
          }),
        );
      await assert.rejects(put(), (error: S3ServiceException) => error.name === 'BadDigest');
      await up.assertUsedUp();
      await put();
      const down = await server.misbehave({
        operation: 'GetObject',
        fault: { kind: 'flip-response', offset: 7 },
      });
      const got = await sdk.send(new GetObjectCommand({ Bucket: 'box', Key: 's' }));
      await assert.rejects(async () => got.Body?.transformToByteArray(), /[Cc]hecksum/);
      await down.assertUsedUp();
    });
  });

  it('meets strangers’ errors by their names', async () => {
    const credentials = { accessKeyId: 'testkey', secretAccessKey: 'wrong' };
    await withSdk({ credentials }, async (sdk) => {
      await assert.rejects(
        sdk.send(new ListObjectsV2Command({ Bucket: 'box' })),
        (error: unknown) => error instanceof S3ServiceException && error.name === 'SignatureDoesNotMatch',
      );
    });
  });
});
