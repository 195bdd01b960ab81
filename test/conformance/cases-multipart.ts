/** Uploads in parts: invisible until complete, whole when complete, gone when aborted. */
import assert from 'node:assert/strict';
import { isStorageError } from '../../src/core/errors.ts';
import { bodyOfBytes } from '../../src/drivers/body.ts';
import type { CallContext, PartInput, PartReceipt, StorageDriver, Upload } from '../../src/drivers/driver.ts';
import {
  assertAbsent,
  assertHolds,
  assertNothingLeft,
  assertRefused,
  bodyInPieces,
  bytesFor,
  completeWith,
  type DriverCase,
  listAll,
  multipartOf,
  partOf,
  partsOf,
  put,
  readInto,
  rejectionOf,
  smallPart,
} from './case.ts';

async function putParts(
  driver: StorageDriver,
  ctx: CallContext,
  upload: Upload,
  parts: readonly PartInput[],
): Promise<readonly PartReceipt[]> {
  const receipts: PartReceipt[] = [];
  for (const part of parts) receipts.push(await multipartOf(driver).putPart(ctx, upload, part));
  return receipts.sort((left, right) => left.number - right.number);
}

/** `count` whole parts and `moreBytes` of one more. */
function bytesOfParts(driver: StorageDriver, count: number, moreBytes: number, label = 'object'): Uint8Array {
  return bytesFor(label, count * smallPart(driver) + moreBytes);
}

export const MULTIPART_CASES: readonly DriverCase[] = [
  {
    name: 'an upload of one part, of whole parts, and of one byte less and more gives the object',
    requires: ['multipart'],
    run: async (driver, ctx) => {
      const shapes: readonly (readonly [count: number, moreBytes: number])[] = [
        [0, 1],
        [1, -1],
        [1, 0],
        [1, 1],
        [2, 0],
        [3, 17],
      ];
      for (const [count, moreBytes] of shapes) {
        const key = `parts/${count}/${moreBytes}`;
        const bytes = bytesOfParts(driver, count, moreBytes, key);
        const upload = await multipartOf(driver).begin(ctx, key);
        assert.equal(upload.key, key);
        const receipts = await putParts(driver, ctx, upload, partsOf(driver, bytes));
        await completeWith(driver, ctx, upload, receipts, bytes);
        await assertHolds(driver, ctx, key, bytes);
      }
      assert.deepEqual(await multipartOf(driver).listUploads(ctx, ''), []);
    },
  },
  {
    name: 'parts may come in any order, side by side, and in pieces',
    requires: ['multipart'],
    run: async (driver, ctx) => {
      const bytes = bytesOfParts(driver, 4, 33);
      const upload = await multipartOf(driver).begin(ctx, 'any/order');
      const pieces = partsOf(driver, bytes).map((part) => ({
        ...part,
        body: bodyInPieces(part.body.bytes ?? new Uint8Array(0), 30_000),
      }));
      const [first, second, ...rest] = pieces;
      assert.ok(first && second);
      const late = await putParts(driver, ctx, upload, [...rest.reverse(), second]);
      const receipts = [await multipartOf(driver).putPart(ctx, upload, first), ...late];
      await completeWith(driver, ctx, upload, receipts, bytes);
      await assertHolds(driver, ctx, 'any/order', bytes);

      const parallel = await multipartOf(driver).begin(ctx, 'side/by/side');
      const together = await Promise.all(
        partsOf(driver, bytes).map((part) => multipartOf(driver).putPart(ctx, parallel, part)),
      );
      await completeWith(driver, ctx, parallel, together, bytes);
      await assertHolds(driver, ctx, 'side/by/side', bytes);
    },
  },
  {
    name: 'an upload is invisible until it is complete, and the old object stays until then',
    requires: ['multipart'],
    run: async (driver, ctx) => {
      const old = bytesFor('old', 500);
      await put(driver, ctx, 'replaced', old);
      const bytes = bytesOfParts(driver, 2, 5);
      const uploads = [
        await multipartOf(driver).begin(ctx, 'replaced'),
        await multipartOf(driver).begin(ctx, 'folder/new'),
      ];
      for (const upload of uploads) {
        const receipts = await putParts(driver, ctx, upload, partsOf(driver, bytes));
        await assertHolds(driver, ctx, 'replaced', upload.key === 'replaced' ? old : bytes);
        assert.deepEqual((await listAll(driver, ctx)).keys, ['replaced'], 'no part of it is listed');
        if (upload.key !== 'replaced') await assertAbsent(driver, ctx, upload.key);
        await completeWith(driver, ctx, upload, receipts, bytes);
        await assertHolds(driver, ctx, upload.key, bytes);
      }
    },
  },
  {
    name: 'complete() refuses parts that do not cover the object, and nothing becomes visible',
    requires: ['multipart'],
    run: async (driver, ctx) => {
      const bytes = bytesOfParts(driver, 3, 9);
      const upload = await multipartOf(driver).begin(ctx, 'gap');
      const receipts = await putParts(driver, ctx, upload, partsOf(driver, bytes));
      const gaps = [receipts.slice(0, -1), receipts.slice(1), receipts.filter(({ number }) => number !== 2)];
      for (const given of gaps) {
        const error = await rejectionOf(completeWith(driver, ctx, upload, given, bytes));
        assert.ok(isStorageError(error) && error.kind !== 'not-found', String(error));
        assert.deepEqual([error.details.key, error.details.isTransient], ['gap', false]);
        await assertAbsent(driver, ctx, 'gap');
      }
      await completeWith(driver, ctx, upload, receipts, bytes);
      await assertHolds(driver, ctx, 'gap', bytes);
    },
  },
  {
    name: 'a part that is sent again replaces the first one',
    requires: ['multipart'],
    run: async (driver, ctx) => {
      const bytes = bytesOfParts(driver, 2, 0);
      const half = smallPart(driver);
      const upload = await multipartOf(driver).begin(ctx, 'again');
      await multipartOf(driver).putPart(ctx, upload, partOf(driver, 1, 0, bytesFor('wrong', half)));
      const receipts = await putParts(driver, ctx, upload, partsOf(driver, bytes));
      await completeWith(driver, ctx, upload, receipts, bytes);
      await assertHolds(driver, ctx, 'again', bytes);
    },
  },
  {
    name: 'putPart() refuses a body that is shorter or longer than it says, and the part can be sent again',
    requires: ['multipart'],
    run: async (driver, ctx) => {
      const bytes = bytesOfParts(driver, 1, 0);
      const upload = await multipartOf(driver).begin(ctx, 'short-part');
      const input = partOf(driver, 1, 0, bytes);
      for (const wrongBytes of [bytes.byteLength - 1, bytes.byteLength + 1]) {
        const body = { ...bodyInPieces(bytesFor('wrong', wrongBytes), 50_000), sizeBytes: bytes.byteLength };
        const sent = multipartOf(driver).putPart(ctx, upload, { ...input, body });
        await assertRefused(sent, driver, 'corrupt', 'short-part');
      }
      const receipts = await putParts(driver, ctx, upload, [input]);
      await completeWith(driver, ctx, upload, receipts, bytes);
      await assertHolds(driver, ctx, 'short-part', bytes);
    },
  },
  {
    name: 'putPart() refuses a part that does not have its CRC-32',
    requires: ['refusesWrongPartCrc32'],
    run: async (driver, ctx) => {
      const upload = await multipartOf(driver).begin(ctx, 'crc');
      const part = { number: 1, offset: 0, body: bodyOfBytes(bytesOfParts(driver, 1, 0)), crc32: 0 };
      await assertRefused(multipartOf(driver).putPart(ctx, upload, part), driver, 'corrupt', 'crc');
    },
  },
  {
    name: 'complete() refuses an object that does not have its CRC-32',
    requires: ['refusesWrongObjectCrc32'],
    run: async (driver, ctx) => {
      const bytes = bytesOfParts(driver, 2, 0);
      const upload = await multipartOf(driver).begin(ctx, 'crc');
      const receipts = await putParts(driver, ctx, upload, partsOf(driver, bytes));
      const wrong = { sizeBytes: bytes.byteLength, crc32: 0 };
      const completed = multipartOf(driver).complete(ctx, upload, receipts, wrong);
      await assertRefused(completed, driver, 'corrupt', 'crc');
      await assertAbsent(driver, ctx, 'crc');
    },
  },
  {
    name: 'abort() takes the upload away, and aborting it again succeeds',
    requires: ['multipart'],
    run: async (driver, ctx) => {
      const bytes = bytesOfParts(driver, 1, 5);
      const upload = await multipartOf(driver).begin(ctx, 'aborted');
      const receipts = await putParts(driver, ctx, upload, partsOf(driver, bytes));
      await multipartOf(driver).abort(ctx, upload);
      await assertNothingLeft(driver, ctx);
      await multipartOf(driver).abort(ctx, upload);
      // Which kind depends: Ceph 16 takes an upload that is gone for one that somebody is completing.
      assert.ok(isStorageError(await rejectionOf(completeWith(driver, ctx, upload, receipts, bytes))));
      const late = multipartOf(driver).putPart(ctx, upload, partOf(driver, 1, 0, bytes));
      await assertRefused(late, driver, 'not-found', 'aborted');
      await assertNothingLeft(driver, ctx);
    },
  },
  {
    name: 'an upload that is complete is gone as an upload, and aborting it leaves the object',
    requires: ['multipart'],
    run: async (driver, ctx) => {
      const bytes = bytesOfParts(driver, 1, 5);
      const upload = await multipartOf(driver).begin(ctx, 'done');
      const receipts = await putParts(driver, ctx, upload, partsOf(driver, bytes));
      await completeWith(driver, ctx, upload, receipts, bytes);
      assert.deepEqual(await multipartOf(driver).listUploads(ctx, ''), []);
      await multipartOf(driver).abort(ctx, upload);
      await assertHolds(driver, ctx, 'done', bytes);
    },
  },
  {
    name: 'an upload id that was never given is refused, and leaves everything as it was',
    requires: ['multipart'],
    run: async (driver, ctx) => {
      const begun = await multipartOf(driver).begin(ctx, 'real');
      const bytes = bytesOfParts(driver, 1, 0);
      for (const id of ['', 'nonsense', `${begun.id}x`, '../real', 'a/b', '\0']) {
        const upload = { key: 'real', id };
        const error = await rejectionOf(
          multipartOf(driver).putPart(ctx, upload, partOf(driver, 1, 0, bytes)),
        );
        assert.ok(error instanceof Error);
      }
      assert.deepEqual(await multipartOf(driver).listUploads(ctx, ''), [begun]);
      assert.deepEqual((await listAll(driver, ctx)).keys, []);
    },
  },
  {
    name: 'listUploads() gives open uploads below a prefix, to another driver too',
    requires: ['multipart'],
    run: async (driver, ctx, { reopen }) => {
      const odd = `odd/${'n'.repeat(150)}/a b%+é`;
      const keys = ['u/a', 'u/a', 'u/b/c', 'v', odd];
      const uploads: Upload[] = [];
      for (const key of keys) uploads.push(await multipartOf(driver).begin(ctx, key));
      assert.equal(new Set(uploads.map((upload) => upload.id)).size, keys.length, 'ids differ');
      const other = multipartOf(await reopen());
      for (const prefix of ['', 'u/', 'u/a', 'u/b', 'v', 'odd/', 'w']) {
        const listed = await other.listUploads(ctx, prefix);
        const expected = uploads.filter((upload) => upload.key.startsWith(prefix));
        assert.deepEqual(byId(listed), byId(expected), `prefix "${prefix}"`);
      }
      const some = await other.listUploads(ctx, 'u/', 2);
      assert.equal(some.length, 2, 'a listing that was to be short is not');
      assert.ok(some.every(({ id }) => uploads.some((upload) => upload.id === id)));
      for (const upload of uploads) await other.abort(ctx, upload);
      await assertNothingLeft(driver, ctx);
    },
  },
  {
    name: 'another driver goes on with an open upload from what listParts() gives',
    requires: ['multipart'],
    run: async (driver, ctx, { reopen }) => {
      const bytes = bytesOfParts(driver, 3, 7);
      const [first, second, ...rest] = partsOf(driver, bytes);
      assert.ok(first && second);
      const begun = await multipartOf(driver).begin(ctx, 'continued');
      await putParts(driver, ctx, begun, [second, first]);

      const other = await reopen();
      const upload: Upload = structuredClone(begun);
      const there = await multipartOf(other).listParts(ctx, upload);
      const sizes = new Map([first, second].map((part) => [part.number, part.body.sizeBytes]));
      for (const part of there) assert.equal(part.sizeBytes, sizes.get(part.number), `part ${part.number}`);
      const known = new Set(there.map((part) => part.number));
      const missing = [first, second, ...rest].filter((part) => !known.has(part.number));
      const sent = await putParts(other, ctx, upload, missing);
      const receipts = [...there, ...sent].sort((left, right) => left.number - right.number);
      await completeWith(other, ctx, upload, receipts, bytes);
      await assertHolds(driver, ctx, 'continued', bytes);
    },
  },
  {
    name: 'begin() refuses a key that cannot become an object before any part is sent',
    requires: ['multipart', 'filePaths'],
    run: async (driver, ctx) => {
      await put(driver, ctx, 'y/file', bytesFor('file', 9));
      await assertRefused(multipartOf(driver).begin(ctx, 'y'), driver, 'invalid-name', 'y');
      const below = 'y/file/far/below';
      await assertRefused(multipartOf(driver).begin(ctx, below), driver, 'invalid-name', below);
      assert.deepEqual(await multipartOf(driver).listUploads(ctx, ''), []);
    },
  },
  {
    name: 'complete() gives the object the owner and mode of its source',
    requires: ['multipart', 'attributes'],
    run: async (driver, ctx) => {
      const bytes = bytesOfParts(driver, 1, 1);
      const attributes = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, mode: 0o640 };
      const upload = await multipartOf(driver).begin(ctx, 'owned');
      const receipts = await putParts(driver, ctx, upload, partsOf(driver, bytes));
      const options = { sizeBytes: bytes.byteLength, attributes };
      await multipartOf(driver).complete(ctx, upload, receipts, options);
      const { result } = await readInto(driver, ctx, 'owned', 10, {});
      assert.deepEqual(result.attributes, attributes);
    },
  },
];

function byId(uploads: readonly Upload[]): readonly Upload[] {
  return [...uploads].sort((left, right) => (left.id < right.id ? -1 : 1));
}
