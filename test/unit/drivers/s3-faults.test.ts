/** The driver inside its retries, over a server that fails at one step after another: the result is right, or an error. */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import type { Fault, FaultRule } from '../../../bench/s3-server/faults/fault.ts';
import { type S3Server, startS3Server } from '../../../bench/s3-server/s3-server.ts';
import { combineCrc32 } from '../../../src/core/crc32.ts';
import { isStorageError } from '../../../src/core/errors.ts';
import { bodyOfBytes } from '../../../src/drivers/body.ts';
import type { Body, PartReceipt, StorageDriver } from '../../../src/drivers/driver.ts';
import { openS3Driver } from '../../../src/drivers/s3/s3-driver.ts';
import type { S3Spec } from '../../../src/drivers/spec.ts';
import { withRetries } from '../../../src/drivers/wrap/retry.ts';

const CTX = { signal: new AbortController().signal };
const PART_BYTES = 5 * 1024 * 1024;
const KEYS = Array.from({ length: 2_300 }, (_, index) => `list/${String(index).padStart(5, '0')} é`);
const ONCE_MORE = 2;

/** What every byte is follows from its place, so that a shift or a gap shows. */
function counted(sizeBytes: number, seed: number): Buffer {
  const bytes = Buffer.allocUnsafe(sizeBytes);
  for (let at = 0; at < sizeBytes; at += 1) bytes[at] = (at * 31 + (at >>> 9) + seed) & 0xff;
  return bytes;
}

const OBJECT = counted(300_000, 1);
const NEW = counted(200_000, 2);
const PARTS = [counted(PART_BYTES, 3), counted(PART_BYTES, 4), counted(77, 5)];

function inPieces(bytes: Buffer): Body {
  return {
    sizeBytes: bytes.length,
    async *open() {
      const memory = Buffer.alloc(30_000);
      for (let at = 0; at < bytes.length; at += memory.length) {
        const piece = memory.subarray(0, Math.min(memory.length, bytes.length - at));
        bytes.copy(piece, 0, at);
        yield piece;
        memory.fill(0xee);
      }
    },
  };
}

interface Operation {
  readonly name: string;
  /** Method of its requests; of several, of those that faults shall meet. */
  readonly rule: Partial<FaultRule>;
  readonly sendsBytes?: true;
  readonly receivesBytes?: true;
  run(driver: StorageDriver, server: S3Server): Promise<void>;
}

async function assertStored(server: S3Server, key: string, bytes: Buffer): Promise<void> {
  const stored = await server.get('bucket', key);
  assert.ok(stored && Buffer.from(stored).equals(bytes), `"${key}" holds what was written`);
}

async function upload(driver: StorageDriver, key: string): Promise<void> {
  const { multipart } = driver;
  assert.ok(multipart);
  const begun = await multipart.begin(CTX, key);
  const receipts: PartReceipt[] = [];
  let offset = 0;
  for (const [index, bytes] of PARTS.entries()) {
    const part = { number: index + 1, offset, body: bodyOfBytes(bytes), crc32: crc32(bytes) };
    receipts.push(await multipart.putPart(CTX, begun, part));
    offset += bytes.length;
  }
  const listed = await multipart.listParts(CTX, begun);
  assert.deepEqual(
    listed.map(({ number, sizeBytes }) => [number, sizeBytes]),
    PARTS.map(({ length }, index) => [index + 1, length]),
  );
  const whole = PARTS.reduce((sum, bytes) => combineCrc32(sum, crc32(bytes), bytes.length), 0);
  await multipart.complete(CTX, begun, receipts, { sizeBytes: offset, crc32: whole });
}

const OPERATIONS: readonly Operation[] = [
  {
    name: 'a listing over several pages',
    rule: { operation: 'ListObjectsV2' },
    receivesBytes: true,
    run: async (driver) => {
      const keys: string[] = [];
      for await (const { objects } of driver.list(CTX, { prefix: 'list/' }))
        keys.push(...objects.map(({ key }) => key));
      assert.deepEqual(keys, KEYS);
    },
  },
  {
    name: 'a stat',
    rule: { operation: 'HeadObject' },
    run: async (driver) => assert.equal((await driver.stat(CTX, 'object')).sizeBytes, OBJECT.length),
  },
  {
    name: 'a read of a range',
    rule: { operation: 'GetObject' },
    receivesBytes: true,
    run: async (driver) => {
      const into = Buffer.alloc(100_000);
      const { bytesRead, totalBytes } = await driver.read(CTX, 'object', into, { offset: 123_456 });
      assert.deepEqual([bytesRead, totalBytes], [into.length, OBJECT.length]);
      assert.ok(into.equals(OBJECT.subarray(123_456, 223_456)));
    },
  },
  {
    name: 'a read of the whole',
    rule: { operation: 'GetObject' },
    receivesBytes: true,
    run: async (driver) => {
      const into = Buffer.alloc(OBJECT.length);
      await driver.read(CTX, 'object', into, { isWhole: true });
      assert.ok(into.equals(OBJECT));
    },
  },
  {
    name: 'a write from memory',
    rule: { operation: 'PutObject' },
    sendsBytes: true,
    run: async (driver, server) => {
      await driver.write(CTX, 'new', bodyOfBytes(NEW), { sha256: hash('sha256', NEW, 'hex') });
      await assertStored(server, 'new', NEW);
    },
  },
  {
    name: 'a write in pieces',
    rule: { operation: 'PutObject' },
    sendsBytes: true,
    run: async (driver, server) => {
      await driver.write(CTX, 'streamed', inPieces(NEW), {});
      await assertStored(server, 'streamed', NEW);
    },
  },
  {
    name: 'a removal',
    rule: { operation: 'DeleteObject' },
    run: async (driver, server) => {
      await server.put('bucket', [{ key: 'gone', body: NEW }]);
      await driver.remove(CTX, 'gone');
      assert.equal(await server.get('bucket', 'gone'), undefined);
    },
  },
  ...(['CreateMultipartUpload', 'UploadPart', 'ListParts', 'CompleteMultipartUpload'] as const).map(
    (operation): Operation => ({
      name: `an upload whose ${operation} it befalls`,
      rule: { operation },
      ...(operation === 'UploadPart' ? { sendsBytes: true } : {}),
      run: async (driver, server) => {
        await upload(driver, 'large');
        await assertStored(server, 'large', Buffer.concat(PARTS));
      },
    }),
  ),
];

const EVERYWHERE: readonly Fault[] = [
  { kind: 'status', status: 500, code: 'InternalError' },
  { kind: 'status', status: 503, code: 'SlowDown', when: 'body' },
  { kind: 'status', status: 429, code: 'TooManyRequests', when: 'head' },
  { kind: 'reset' },
  { kind: 'lost-reply' },
];
const WHERE_BYTES_COME: readonly Fault[] = [0, 1, 400, 50_000].map((afterBytes) => ({
  kind: 'cut-response',
  afterBytes,
}));
const WHERE_BYTES_GO: readonly Fault[] = [
  { kind: 'cut-request', afterBytes: 0 },
  { kind: 'cut-request', afterBytes: 1_000 },
  { kind: 'flip-request', offset: 0 },
  { kind: 'flip-request', offset: 76, bit: 7 },
];

function storageFor(server: S3Server): S3Spec {
  return {
    kind: 's3',
    bucket: 'bucket',
    rootDirectory: '',
    region: 'us-east-1',
    endpoint: server.endpoint,
    isPathStyle: true,
    skipsTlsVerify: false,
    credentials: { accessKeyId: 'testkey', secretAccessKey: 'testsecret' },
    encrypt: false,
  };
}

describe('S3Driver inside its retries', () => {
  let server: S3Server;
  let driver: StorageDriver;
  let retries = 0;

  before(async () => {
    server = await startS3Server({ buckets: ['bucket'] });
    await server.put('bucket', [
      { key: 'object', body: OBJECT },
      ...KEYS.map((key) => ({ key, body: Buffer.from(key) })),
    ]);
    const storage = storageFor(server);
    const unbound = await openS3Driver({ storage, engine: 'direct' });
    const binding = await unbound.binding.probe(CTX, 'probe/');
    await unbound.close();
    const policy = { attemptsMax: 6, delayMsMin: 0, delayMsMax: 0, random: () => 0 };
    driver = withRetries(await openS3Driver({ storage, engine: 'direct', binding }), policy, () => {
      retries += 1;
    });
  });
  after(async () => {
    await driver.close();
    await server.close();
  });

  async function tidyUp(): Promise<void> {
    for (const key of ['new', 'streamed', 'large']) await driver.remove(CTX, key);
    for (const open of (await driver.multipart?.listUploads(CTX, '')) ?? [])
      await driver.multipart?.abort(CTX, open);
  }

  for (const operation of OPERATIONS) {
    const faults = [
      ...EVERYWHERE,
      ...(operation.receivesBytes ? WHERE_BYTES_COME : []),
      ...(operation.sendsBytes ? WHERE_BYTES_GO : []),
    ];
    for (const fault of faults) {
      const { kind, ...details } = fault;
      it(`gets ${operation.name} through ${kind} ${JSON.stringify(details)}`, async () => {
        await tidyUp();
        const handle = await server.misbehave({ ...operation.rule, fault, times: ONCE_MORE });
        retries = 0;
        await operation.run(driver, server);
        await handle.assertUsedUp();
        assert.ok(retries >= ONCE_MORE, `${retries} retries`);
      });
    }
  }

  it('gives right bytes or an error, whatever faults come together', async () => {
    const rule = fc.record({
      fault: fc.constantFrom(...EVERYWHERE, ...WHERE_BYTES_COME, ...WHERE_BYTES_GO),
      skip: fc.nat(4),
      times: fc.integer({ min: 1, max: 4 }),
    });
    const operations = OPERATIONS.filter(({ name }) => !name.includes('upload'));
    await fc.assert(
      fc.asyncProperty(
        fc.array(rule, { minLength: 1, maxLength: 4 }),
        fc.constantFrom(...operations),
        async (rules, operation) => {
          const handle = await server.misbehave(rules.map((one) => ({ ...one, ...operation.rule })));
          try {
            await operation.run(driver, server);
          } catch (error) {
            assert.ok(isStorageError(error), String(error));
          } finally {
            await handle.remove();
          }
        },
      ),
      { numRuns: 150 },
    );
  });
});
