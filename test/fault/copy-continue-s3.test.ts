/** On real servers: uploads that a killed run left open are continued, and the answer to Complete is lost. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, describe, it } from 'node:test';
import { crc32 } from 'node:zlib';
import { startS3Server } from '../../bench/s3-server/s3-server.ts';
import { copyObject } from '../../src/copy/copy-object.ts';
import { OpenUploads } from '../../src/copy/open-uploads.ts';
import { SlabPool } from '../../src/copy/slab-pool.ts';
import { bodyOfBytes } from '../../src/drivers/body.ts';
import type { Binding, PartInput, PartReceipt, StorageDriver, Upload } from '../../src/drivers/driver.ts';
import { openS3Driver, type S3Driver } from '../../src/drivers/s3/s3-driver.ts';
import type { S3Spec } from '../../src/drivers/spec.ts';
import { withRetries } from '../../src/drivers/wrap/retry.ts';
import { startCeph } from '../support/ceph.ts';
import { afterwards, type Fault, FaultDriver, failsAfterwards } from '../support/fault-driver.ts';
import { type S3Access, S3Bucket } from '../support/s3-bucket.ts';
import { seededBytes, sha256Hex } from '../support/seeded.ts';
import { makeTempFolder } from '../support/temp.ts';
import { missingTools } from '../support/tools.ts';
import { assertCopied, CopyWorld } from '../unit/copy/copy-world.ts';
import { blobPath } from '../unit/copy/registry-names.ts';

const MIB = 1024 ** 2;
const PART_BYTES = 5 * MIB;
const BYTES = seededBytes('continue', 's3', 3 * PART_BYTES + 7);
const OTHER = seededBytes('continue', 's3 other', BYTES.length);
const PARTS = 4;
const CTX = { signal: new AbortController().signal };

interface Server extends S3Access {
  stop(): Promise<unknown>;
}

interface Kind {
  readonly name: string;
  readonly skip?: string | false;
  readonly hasChecksums: boolean;
  start(): Promise<Server>;
}

function partOf(content: Uint8Array, number: number): PartInput {
  const offset = (number - 1) * PART_BYTES;
  const bytes = content.subarray(offset, offset + PART_BYTES);
  return { number, offset, body: bodyOfBytes(bytes), sha256: sha256Hex(bytes), crc32: crc32(bytes) };
}

const KEYS = { accessKeyId: 'testkey', secretAccessKey: 'testsecret' };

async function embedded(options: { readonly checksums: boolean }): Promise<Server> {
  const server = await startS3Server({ ...options, threads: 0 });
  return { ...KEYS, endpoint: server.endpoint, stop: () => server.close() };
}

const KINDS: readonly Kind[] = [
  { name: 'an S3 server with checksums', hasChecksums: true, start: () => embedded({ checksums: true }) },
  { name: 'an S3 server without', hasChecksums: false, start: () => embedded({ checksums: false }) },
  {
    name: 'Ceph',
    skip: missingTools('ceph'),
    hasChecksums: false,
    start: async () => {
      const folder = await makeTempFolder('ceph');
      const ceph = await startCeph({ directory: folder.path });
      return { ...ceph, stop: () => ceph.stop().then(() => folder.remove()) };
    },
  },
];

class Bench {
  readonly server: Server;
  readonly bucket: S3Bucket;
  readonly driver: S3Driver;
  readonly binding: Binding;
  readonly #spec: S3Spec;

  private constructor(
    server: Server,
    bucket: S3Bucket,
    spec: S3Spec,
    found: { driver: S3Driver; binding: Binding },
  ) {
    this.server = server;
    this.bucket = bucket;
    this.#spec = spec;
    this.driver = found.driver;
    this.binding = found.binding;
  }

  static async open(kind: Kind): Promise<Bench> {
    const server = await kind.start();
    const bucket = await new S3Bucket(server, `continue-${randomUUID()}`).create();
    const spec: S3Spec = {
      kind: 's3',
      bucket: bucket.name,
      rootDirectory: '',
      region: 'us-east-1',
      endpoint: server.endpoint,
      isPathStyle: true,
      skipsTlsVerify: false,
      credentials: { accessKeyId: server.accessKeyId, secretAccessKey: server.secretAccessKey },
      encrypt: false,
    };
    const unbound = await openS3Driver({ storage: spec, engine: 'direct' });
    const binding = await unbound.binding.probe(CTX, 'probe/');
    await unbound.close();
    const driver = await openS3Driver({ storage: spec, engine: 'direct', binding });
    return new Bench(server, bucket, spec, { driver, binding });
  }

  /** As a run leaves it that was killed: one that found this binding. */
  async leaveUpload(
    key: string,
    content: Uint8Array,
    numbers: readonly number[],
    binding = this.binding,
  ): Promise<Upload> {
    const driver = await openS3Driver({ storage: this.#spec, engine: 'direct', binding });
    const upload = await driver.multipart.begin(CTX, key);
    for (const number of numbers) {
      await driver.multipart.putPart(CTX, upload, partOf(content, number));
    }
    await driver.close();
    return upload;
  }

  async putInParts(key: string, content: Uint8Array): Promise<void> {
    const { multipart } = this.driver;
    const upload = await multipart.begin(CTX, key);
    const receipts: PartReceipt[] = [];
    for (let number = 1; number <= PARTS; number += 1) {
      receipts.push(await multipart.putPart(CTX, upload, partOf(content, number)));
    }
    await multipart.complete(CTX, upload, receipts, { sizeBytes: content.length, crc32: crc32(content) });
  }

  async goOn(content: Uint8Array, uploads: readonly Upload[], target: StorageDriver = this.driver) {
    const world = new CopyWorld();
    const path = world.put(blobPath(content), content);
    const ctx = {
      ...world.ctx,
      target,
      partBytes: PART_BYTES,
      slabs: new SlabPool(3 * 8 * MIB),
    };
    const outcome = await copyObject({ ...ctx, uploads: new OpenUploads(uploads) }, await world.item(path));
    assertCopied(outcome, 'digest');
    assert.ok((await this.bucket.get(path)).equals(content), 'other bytes arrived');
    assert.deepEqual(await this.bucket.openUploads(), []);
    await this.bucket.remove(path);
    await world.end();
    return world.counters;
  }

  async close(): Promise<void> {
    await this.driver.close();
    await this.bucket.delete();
    this.bucket.close();
    await this.server.stop();
  }
}

for (const kind of KINDS) {
  describe(`An upload that a killed run left open on ${kind.name}`, { skip: kind.skip ?? false }, () => {
    let opening: Promise<Bench> | undefined;
    const opened = (): Promise<Bench> => {
      opening ??= Bench.open(kind);
      return opening;
    };
    after(async () => (await opening)?.close());

    it('is continued: parts with the right bytes are not sent again', async () => {
      const bench = await opened();
      assert.equal(bench.driver.multipart.partChecksum, kind.hasChecksums ? 'crc32' : 'sha256');
      for (const numbers of [
        [1, 3],
        [2, PARTS],
        [1, 2, 3, PARTS],
      ]) {
        const upload = await bench.leaveUpload(blobPath(BYTES), BYTES, numbers);
        const counters = await bench.goOn(BYTES, [upload]);
        assert.equal(counters.count('partsReused'), numbers.length);
        assert.equal(counters.count('restartedObjects'), 0);
      }
    });

    it('brings the right bytes where it holds parts of what the source had before', async () => {
      const bench = await opened();
      const mixed = Buffer.concat([BYTES.subarray(0, PART_BYTES), OTHER.subarray(PART_BYTES)]);
      const upload = await bench.leaveUpload(blobPath(BYTES), mixed, [1, 2, PARTS]);
      const counters = await bench.goOn(BYTES, [upload]);
      assert.equal(counters.count('partsReused'), 1);
    });

    it('brings the right bytes where it was begun with other checksums, is gone, or is one of several', async () => {
      const bench = await opened();
      const key = blobPath(BYTES);
      const unaware = { ...bench.binding, partCrc32: false, objectCrc32: false };
      const foreign = await bench.leaveUpload(key, BYTES, [1, 2, 3], unaware);
      await bench.goOn(BYTES, [foreign]);
      const gone = await bench.leaveUpload(key, BYTES, [1]);
      await bench.driver.multipart.abort(CTX, gone);
      await bench.goOn(BYTES, [gone]);
      const several = [
        await bench.leaveUpload(key, BYTES, []),
        await bench.leaveUpload(key, BYTES, [1, 2]),
        await bench.leaveUpload(key, BYTES, [3]),
      ];
      const counters = await bench.goOn(BYTES, several);
      assert.equal(counters.count('partsReused'), 2);
    });

    it('is known to be complete although the answer was lost, and only if it is this very object', async () => {
      const bench = await opened();
      const lost = failsAfterwards('unavailable', { isTransient: true });
      for (const [then, begins] of [
        [undefined, 1],
        // Of the same size, in parts of the same size, and another one.
        [afterwards(() => bench.putInParts(blobPath(BYTES), OTHER)), 2],
        [afterwards(() => bench.bucket.remove(blobPath(BYTES))), 2],
      ] as const) {
        const script: Fault[] = [{ on: 'complete', does: lost }];
        if (then) script.unshift({ on: 'complete', does: then });
        const target = new FaultDriver(bench.driver, script);
        const policy = { attemptsMax: 3, delayMsMin: 0, delayMsMax: 0, random: () => 0 };
        const counters = await bench.goOn(
          BYTES,
          [],
          withRetries(target, policy, () => undefined),
        );
        target.assertUsedUp();
        assert.equal(target.callsOf('begin').length, begins);
        assert.equal(counters.count('restartedObjects'), begins - 1);
      }
    });
  });
}
