/** A call whose signal is aborted rejects with the signal's reason, begins nothing new and leaves nothing visible. */
import assert from 'node:assert/strict';
import { bodyOfBytes } from '../../src/drivers/body.ts';
import type { Body } from '../../src/drivers/driver.ts';
import {
  assertAbsent,
  assertHolds,
  assertNothingLeft,
  bodyInPieces,
  bytesFor,
  completeWith,
  type DriverCase,
  get,
  listAll,
  manyKeys,
  multipartOf,
  partOf,
  put,
  putKeys,
  rejectionOf,
  smallPart,
} from './case.ts';

interface Stop {
  readonly controller: AbortController;
  readonly signal: AbortSignal;
  readonly reason: Error;
  now(): void;
}

function makeStop(): Stop {
  const controller = new AbortController();
  const reason = new Error('stopped by the test');
  return { controller, signal: controller.signal, reason, now: () => controller.abort(reason) };
}

/** A body that stops the call just before its last piece. */
function stoppingBody(bytes: Uint8Array, stop: Stop): Body {
  return {
    sizeBytes: bytes.byteLength,
    async *open() {
      const half = Math.floor(bytes.byteLength / 2);
      yield bytes.subarray(0, half);
      stop.now();
      yield bytes.subarray(half);
    },
  };
}

/** A body that gives half of itself, says so, and then never goes on. */
function stallingBody(bytes: Uint8Array, onStall: () => void): Body {
  return {
    sizeBytes: bytes.byteLength,
    async *open() {
      yield bytes.subarray(0, Math.floor(bytes.byteLength / 2));
      onStall();
      await new Promise<never>(() => undefined);
    },
  };
}

/** A body that gives all of itself and stops the call when asked for more. */
function bodyStoppingAtEnd(bytes: Uint8Array, stop: Stop): Body {
  return {
    sizeBytes: bytes.byteLength,
    async *open() {
      yield bytes;
      stop.now();
    },
  };
}

async function rejectsWith(call: Promise<unknown>, stop: Stop): Promise<void> {
  assert.equal(await rejectionOf(call), stop.reason);
}

function untouchable(): Body {
  return {
    sizeBytes: 5,
    open: () => assert.fail('the body was opened although the call had been aborted before'),
  };
}

export const ABORT_CASES: readonly DriverCase[] = [
  {
    name: 'a signal that is aborted before the call lets nothing begin',
    run: async (driver, ctx) => {
      const there = bytesFor('there', 100);
      await put(driver, ctx, 'there', there);
      const stop = makeStop();
      stop.now();
      const buffer = new Uint8Array(100);
      await rejectsWith(driver.write(stop, 'new', untouchable(), {}), stop);
      await rejectsWith(driver.write(stop, 'there', bodyOfBytes(bytesFor('other', 9)), {}), stop);
      await rejectsWith(driver.read(stop, 'there', buffer, {}), stop);
      await rejectsWith(driver.stat(stop, 'there'), stop);
      await rejectsWith(driver.remove(stop, 'there'), stop);
      await rejectsWith(listAll(driver, stop), stop);
      await rejectsWith(driver.flush(stop), stop);
      assert.deepEqual((await listAll(driver, ctx)).keys, ['there']);
      await assertHolds(driver, ctx, 'there', there);
      assert.deepEqual(buffer, new Uint8Array(100), 'nothing was read');
    },
  },
  {
    name: 'a signal that is aborted before the call lets no upload begin and ends none',
    requires: ['multipart'],
    run: async (driver, ctx) => {
      const multipart = multipartOf(driver);
      const upload = await multipart.begin(ctx, 'open');
      const stop = makeStop();
      stop.now();
      await rejectsWith(multipart.begin(stop, 'new'), stop);
      const part = { ...partOf(driver, 1, 0, bytesFor('part', 5)), body: untouchable() };
      await rejectsWith(multipart.putPart(stop, upload, part), stop);
      await rejectsWith(multipart.complete(stop, upload, [], { sizeBytes: 0 }), stop);
      await rejectsWith(multipart.abort(stop, upload), stop);
      assert.deepEqual(await multipart.listUploads(ctx, ''), [upload]);
      assert.deepEqual((await listAll(driver, ctx)).keys, []);
    },
  },
  {
    name: 'write() that is aborted in the middle of its body leaves nothing',
    run: async (driver, ctx) => {
      for (const sizeBytes of [2, 100_000, 3_000_000]) {
        const stop = makeStop();
        await rejectsWith(
          driver.write(stop, 'stopped', stoppingBody(bytesFor('s', sizeBytes), stop), {}),
          stop,
        );
        await assertNothingLeft(driver, ctx);
      }
    },
  },
  {
    name: 'write() that is aborted leaves the object that was there',
    run: async (driver, ctx) => {
      const old = bytesFor('old', 5_000);
      await put(driver, ctx, 'kept', old);
      const stop = makeStop();
      await rejectsWith(driver.write(stop, 'kept', stoppingBody(bytesFor('new', 200_000), stop), {}), stop);
      await assertHolds(driver, ctx, 'kept', old);
      assert.deepEqual((await listAll(driver, ctx)).keys, ['kept']);
    },
  },
  {
    name: 'write() that is aborted while its body stalls does not wait for it',
    run: async (driver, ctx) => {
      const stop = makeStop();
      const body = stallingBody(bytesFor('stall', 100_000), () => stop.now());
      await rejectsWith(driver.write(stop, 'stalled', body, {}), stop);
      await assertNothingLeft(driver, ctx);
    },
  },
  {
    name: 'write() that is aborted at the end of its body leaves nothing, or the whole',
    run: async (driver, ctx, { lacks }) => {
      const bytes = bytesFor('end', 100_000);
      const stop = makeStop();
      const outcome = await driver
        .write(stop, 'ended', bodyStoppingAtEnd(bytes, stop), {})
        .catch((error) => error);
      if (!lacks.includes('exactAborts')) {
        assert.equal(outcome, stop.reason);
        return assertNothingLeft(driver, ctx);
      }
      const { keys } = await listAll(driver, ctx);
      if (keys.length > 0) await assertHolds(driver, ctx, 'ended', bytes);
      if (outcome instanceof Error) assert.equal(outcome, stop.reason);
    },
  },
  {
    name: 'write() from memory that is aborted once it is under way leaves nothing, or the whole',
    requires: ['exactAborts'],
    run: async (driver, ctx) => {
      const bytes = bytesFor('memory', 4_000_000);
      for (const turns of [0, 1, 3, 10]) {
        const key = `under-way/${turns}`;
        const stop = makeStop();
        const writing = driver.write(stop, key, bodyOfBytes(bytes), {}).then(
          () => 'written',
          (error: unknown) => error,
        );
        for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
        stop.now();
        const outcome = await writing;
        if (outcome === 'written') await assertHolds(driver, ctx, key, bytes);
        else assert.equal(outcome, stop.reason);
        const isThere = (await listAll(driver, ctx, { prefix: key })).keys.includes(key);
        if (isThere) assert.equal(Buffer.compare(await get(driver, ctx, key), bytes), 0, 'never half of it');
      }
    },
  },
  {
    name: 'list() that is aborted between pages gives no further page',
    run: async (driver, ctx, { manyObjects }) => {
      await putKeys(driver, ctx, manyKeys(manyObjects));
      const stop = makeStop();
      const pages = driver.list(stop, { prefix: '' })[Symbol.asyncIterator]();
      const first = await pages.next();
      assert.ok(!first.done && first.value.objects.length < manyObjects, 'there is more than one page');
      stop.now();
      await rejectsWith(pages.next(), stop);
    },
  },
  {
    name: 'putPart() that is aborted leaves the upload open for another attempt',
    requires: ['multipart'],
    run: async (driver, ctx) => {
      const multipart = multipartOf(driver);
      const bytes = bytesFor('part', smallPart(driver));
      const upload = await multipart.begin(ctx, 'parts');
      const stop = makeStop();
      const input = partOf(driver, 1, 0, bytes);
      await rejectsWith(multipart.putPart(stop, upload, { ...input, body: stoppingBody(bytes, stop) }), stop);
      await assertAbsent(driver, ctx, 'parts');
      const pieces = { ...input, body: bodyInPieces(bytes, 50_000) };
      const receipt = await multipart.putPart(ctx, upload, pieces);
      await completeWith(driver, ctx, upload, [receipt], bytes);
      await assertHolds(driver, ctx, 'parts', bytes);
    },
  },
];
