/** Copies inside the service: whole or in ranges, of the right bytes, and without touching the source. */
import assert from 'node:assert/strict';
import { isStorageError } from '../../src/core/errors.ts';
import type { CallContext, CopySource, ServerCopyFacet, StorageDriver } from '../../src/drivers/driver.ts';
import {
  assertAbsent,
  assertHolds,
  assertRefused,
  bytesFor,
  type DriverCase,
  multipartOf,
  put,
  rejectionOf,
} from './case.ts';

const MIB = 1024 ** 2;
const KEYS = ['from/plain', 'from/a b+c%ü', "from/'(x)!*"] as const;

function copyOf(driver: StorageDriver): ServerCopyFacet {
  if (driver.serverCopy === undefined) throw new Error('A case about copies must require serverCopy');
  return driver.serverCopy;
}

/** By its address, or in its bucket: names of S3 drivers begin with that. */
function sourceIn(driver: StorageDriver, key: string, sizeBytes: number, version = ''): CopySource {
  if (copyOf(driver).copiesFrom === 'address') {
    const { addresses } = driver;
    if (!addresses) throw new Error('A service that copies from addresses gives out its own as well');
    return { addresses, key, sizeBytes, version };
  }
  const bucket = /^s3:\/\/([^/ ]+)/.exec(driver.name)?.[1] ?? '';
  return { bucket, key, sizeBytes, version };
}

/** Whoever fetches from an address knows no more than that there was no such object, or not this version. */
async function assertNothingCopied(
  driver: StorageDriver,
  ctx: CallContext,
  source: CopySource,
  key: string,
): Promise<void> {
  const copy = copyOf(driver).copy(ctx, source, key);
  if (copyOf(driver).copiesFrom === 'bucket') {
    await assertRefused(copy, driver, 'not-found', key);
    return;
  }
  const error = await rejectionOf(copy);
  assert.ok(isStorageError(error, 'unsupported', 'precondition'), String(error));
  assert.deepEqual([error.details.scope, error.details.isTransient], ['object', false]);
}

export const COPY_CASES: readonly DriverCase[] = [
  {
    name: 'a copy inside the service has the bytes of its source, replaces what was there, and leaves the source',
    requires: ['serverCopy'],
    run: async (driver, ctx) => {
      for (const [index, key] of KEYS.entries()) {
        const bytes = bytesFor(key, 70_000 + index);
        await put(driver, ctx, key, bytes);
        await put(driver, ctx, 'to', Buffer.from('what was there'));
        const kept = await copyOf(driver).look(ctx, key);
        assert.equal(kept.sizeBytes, bytes.byteLength);
        assert.equal(kept.version, (await driver.stat(ctx, key)).version);
        const result = await copyOf(driver).copy(
          ctx,
          sourceIn(driver, key, bytes.length, kept.version),
          'to',
        );
        assert.notEqual(result.version ?? '', '');
        await assertHolds(driver, ctx, 'to', bytes);
        await assertHolds(driver, ctx, key, bytes);
      }
    },
  },
  {
    name: 'a copy of nothing is refused, and leaves what was there',
    requires: ['serverCopy'],
    run: async (driver, ctx) => {
      const there = Buffer.from('what was there');
      await put(driver, ctx, 'to', there);
      const source = sourceIn(driver, 'missing', 1, '"00000000000000000000000000000000"');
      for (const key of ['to', 'new']) await assertNothingCopied(driver, ctx, source, key);
      await assertRefused(copyOf(driver).look(ctx, 'missing'), driver, 'not-found', 'missing');
      await assertHolds(driver, ctx, 'to', there);
      await assertAbsent(driver, ctx, 'new');
    },
  },
  {
    name: 'ranges of an object become parts of another, which is there at the end and not before',
    requires: ['serverCopy', 'multipart'],
    run: async (driver, ctx) => {
      const bytes = bytesFor('ranges', 6 * MIB + 17);
      await put(driver, ctx, 'from', bytes);
      const { version } = await driver.stat(ctx, 'from');
      const source = sourceIn(driver, 'from', bytes.length, version);
      const upload = await copyOf(driver).begin(ctx, 'to');
      const cut = 5 * MIB;
      const rest = { number: 2, offset: cut, sizeBytes: bytes.length - cut };
      const second = await copyOf(driver).copyPart(ctx, upload, source, rest);
      const first = { number: 1, offset: 0, sizeBytes: cut };
      const receipts = [await copyOf(driver).copyPart(ctx, upload, source, first), second];
      assert.deepEqual(
        receipts.map(({ number, sizeBytes }) => [number, sizeBytes]),
        [
          [1, cut],
          [2, bytes.length - cut],
        ],
      );
      await assertAbsent(driver, ctx, 'to');
      await copyOf(driver).complete(ctx, upload, receipts, { sizeBytes: bytes.length });
      await assertHolds(driver, ctx, 'to', bytes);
      const dropped = await copyOf(driver).begin(ctx, 'dropped');
      await copyOf(driver).copyPart(ctx, dropped, source, first);
      await multipartOf(driver).abort(ctx, dropped);
      await assertAbsent(driver, ctx, 'dropped');
      assert.deepEqual(await multipartOf(driver).listUploads(ctx, ''), []);
    },
  },
  {
    name: 'an aborted signal starts no copy',
    requires: ['serverCopy'],
    run: async (driver, ctx) => {
      await put(driver, ctx, 'from', bytesFor('from', 100));
      const { version } = await driver.stat(ctx, 'from');
      const reason = new Error('stopped');
      const aborted = { signal: AbortSignal.abort(reason) };
      const source = sourceIn(driver, 'from', 100, version);
      assert.equal(await rejectionOf(copyOf(driver).copy(aborted, source, 'to')), reason);
      assert.equal(await rejectionOf(copyOf(driver).look(aborted, 'from')), reason);
      await assertAbsent(driver, ctx, 'to');
    },
  },
];
