/**
 * A mount that fails: every call that the driver makes to it, with each way in which disks and file servers refuse. The
 * error must be of the right kind, and whatever happened no object may be there in part.
 */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { type ErrorKind, type ErrorScope, isStorageError } from '../../src/core/errors.ts';
import { bodyOfBytes } from '../../src/drivers/body.ts';
import type { CallContext, StorageDriver } from '../../src/drivers/driver.ts';
import { openFsDriver } from '../../src/drivers/fs/fs-driver.ts';
import {
  FUSE_OPERATIONS,
  type FuseMount,
  type FuseOperation,
  missingFuse,
  mountFuse,
} from '../support/fuse.ts';
import { seededBytes } from '../support/seeded.ts';
import { SharedServer } from '../support/shared-server.ts';

const CTX: CallContext = { signal: new AbortController().signal };
const BYTES = 300_000;
const [OLD, NEW] = [seededBytes('mount', 'old', BYTES), seededBytes('mount', 'new', BYTES)];
const KEY = 'folder/object';

interface Meaning {
  readonly errno: string;
  readonly kind: ErrorKind;
  readonly scope: ErrorScope;
  readonly isTransient: boolean;
}

const MEANINGS: readonly Meaning[] = [
  { errno: 'EIO', kind: 'unavailable', scope: 'object', isTransient: true },
  { errno: 'ESTALE', kind: 'unavailable', scope: 'object', isTransient: true },
  { errno: 'ETIMEDOUT', kind: 'timeout', scope: 'object', isTransient: true },
  { errno: 'ENOSPC', kind: 'no-space', scope: 'backend', isTransient: false },
  { errno: 'EDQUOT', kind: 'no-space', scope: 'backend', isTransient: false },
  { errno: 'EROFS', kind: 'denied', scope: 'backend', isTransient: false },
];

interface Action {
  readonly name: string;
  /** The calls it makes to the mount, all of which must end it where they fail. */
  readonly calls: readonly FuseOperation[];
  run(driver: StorageDriver, ctx: CallContext): Promise<unknown>;
}

const ACTIONS: readonly Action[] = [
  {
    name: 'list()',
    calls: ['getattr', 'readdir'],
    run: (driver, ctx) => allKeys(driver, ctx),
  },
  { name: 'stat()', calls: ['getattr'], run: (driver, ctx) => driver.stat(ctx, KEY) },
  {
    name: 'read()',
    calls: ['flush', 'getattr', 'open', 'read'],
    run: (driver, ctx) => driver.read(ctx, KEY, new Uint8Array(BYTES), {}),
  },
  {
    name: 'write() of a new object',
    calls: ['create', 'flush', 'fsync', 'fsyncdir', 'getattr', 'mkdir', 'rename', 'write'],
    run: async (driver, ctx) => {
      await driver.write(ctx, 'new/deep/object', bodyOfBytes(NEW), {});
      await driver.flush(ctx);
    },
  },
  {
    name: 'write() over an object',
    calls: ['create', 'flush', 'fsync', 'fsyncdir', 'getattr', 'rename', 'write'],
    run: async (driver, ctx) => {
      await driver.write(ctx, KEY, bodyOfBytes(NEW), {});
      await driver.flush(ctx);
    },
  },
  {
    name: 'an upload in parts',
    calls: ['create', 'flush', 'fsync', 'fsyncdir', 'getattr', 'mkdir', 'open', 'rename', 'write'],
    run: async (driver, ctx) => {
      const { multipart } = driver;
      assert.ok(multipart);
      const upload = await multipart.begin(ctx, 'new/deep/object');
      const part = await multipart.putPart(ctx, upload, { number: 1, offset: 0, body: bodyOfBytes(NEW) });
      await multipart.complete(ctx, upload, [part], { sizeBytes: BYTES });
      await driver.flush(ctx);
    },
  },
  {
    name: 'remove()',
    calls: ['fsyncdir', 'getattr', 'rmdir', 'unlink'],
    run: async (driver, ctx) => {
      await driver.remove(ctx, KEY);
      await driver.flush(ctx);
    },
  },
];

/** Calls whose failure changes nothing for the caller: a temporary file that stays is swept up later. */
const UNHEARD: Readonly<Record<string, readonly FuseOperation[]>> = { 'an upload in parts': ['unlink'] };

const shared = new SharedServer<FuseMount>('failing-fs', (directory) => mountFuse(directory));
after(() => shared.stop());

let count = 0;

/** A driver over a new root on the mount, with one object, and the pattern of all paths in it. */
async function openRoot(): Promise<{
  readonly mount: FuseMount;
  readonly driver: StorageDriver;
  readonly match: string;
}> {
  const mount = await shared.get();
  count += 1;
  const name = `root-${count}`;
  await mkdir(join(mount.path, name));
  const driver = await openFsDriver(
    { kind: 'fs', rootDirectory: join(mount.path, name) },
    { role: 'target' },
  );
  await driver.write(CTX, KEY, bodyOfBytes(OLD), {});
  await driver.flush(CTX);
  return { mount, driver, match: `^/${name}(/|$)` };
}

/** Every object is one of the two contents, from its first byte to its last. */
async function assertAllWhole(driver: StorageDriver): Promise<void> {
  for await (const { objects } of driver.list(CTX, { prefix: '' })) {
    for (const { key, sizeBytes } of objects) {
      assert.equal(sizeBytes, BYTES, `${key} is listed as whole`);
      const into = new Uint8Array(BYTES);
      const { bytesRead } = await driver.read(CTX, key, into, {});
      assert.equal(bytesRead, BYTES);
      assert.ok(OLD.equals(into) || NEW.equals(into), `${key} has the bytes of one write`);
    }
  }
}

async function allKeys(driver: StorageDriver, ctx: CallContext): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { objects } of driver.list(ctx, { prefix: '' }))
    keys.push(...objects.map(({ key }) => key));
  return keys;
}

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe('a mount that fails', { skip: missingFuse() }, () => {
  for (const { name, calls, run } of ACTIONS) {
    it(`ends ${name} with an error that says what it is, whichever call fails`, async () => {
      const heard = new Set<FuseOperation>();
      for (const op of FUSE_OPERATIONS) {
        // Of a call that is not made one error is as good as any.
        const meanings = calls.includes(op) ? MEANINGS : MEANINGS.slice(0, 1);
        for (const { errno, kind, scope, isTransient } of meanings) {
          const { mount, driver, match } = await openRoot();
          const fault = await mount.misbehave([{ op, match, errno }]);
          const error = await failureOf(run(driver, CTX));
          const [used = 0] = await fault.used();
          await fault.remove();
          const where = `${errno} on ${op}`;
          if (used > 0 && !UNHEARD[name]?.includes(op)) {
            heard.add(op);
            assert.ok(isStorageError(error), `${where}: ${String(error)}`);
            assert.deepEqual(
              [error.kind, error.details.scope, error.details.isTransient, error.details.backendCode],
              [kind, scope, isTransient, errno],
              where,
            );
          } else assert.equal(error, undefined, where);
          await assertAllWhole(driver);
          // What failed works when it is asked for again.
          await run(driver, CTX);
          await assertAllWhole(driver);
          await driver.close();
        }
      }
      assert.deepEqual([...heard].sort(), [...calls].sort());
    });
  }

  it('is full in the middle of an object: no part of it is seen', async () => {
    const { mount, driver, match } = await openRoot();
    const fault = await mount.misbehave([{ op: 'write', match, errno: 'ENOSPC', afterBytes: BYTES / 2 }]);
    for (const key of [KEY, 'new/object']) {
      const error = await failureOf(driver.write(CTX, key, bodyOfBytes(NEW), {}));
      assert.ok(isStorageError(error, 'no-space'), String(error));
    }
    await fault.assertUsedUp();
    await fault.remove();
    assert.deepEqual(await allKeys(driver, CTX), [KEY]);
    await assertAllWhole(driver);
    await driver.close();
  });

  it('gives fewer bytes than a file is long: never a short object, but an error worth another try', async () => {
    for (const endsAt of [0, 1, BYTES / 2, BYTES - 1]) {
      const { mount, driver, match } = await openRoot();
      const fault = await mount.misbehave([{ op: 'read', match, endsAt }]);
      const error = await failureOf(driver.read(CTX, KEY, new Uint8Array(BYTES), { isWhole: true }));
      assert.ok(isStorageError(error), `an end at ${endsAt}: ${String(error)}`);
      assert.deepEqual([error.kind, error.details.isTransient], ['corrupt', true]);
      await fault.assertUsedUp();
      await fault.remove();
      await assertAllWhole(driver);
      await driver.close();
    }
  });

  const HANGS: readonly Hang[] = [
    { name: 'list()', op: 'readdir', isLetGo: true },
    { name: 'write() of a new object', op: 'write', isLetGo: true },
    { name: 'write() of a new object', op: 'fsync', isLetGo: true },
    // The call goes on filling the caller's buffer, so it is waited for, and nothing more is asked.
    { name: 'read()', op: 'read', isLetGo: false },
    { name: 'stat()', op: 'getattr', isLetGo: false },
  ];
  for (const { name, op, isLetGo } of HANGS) {
    it(`hangs in ${op} until after the signal: ${name} ends, and nothing is there in part`, async () => {
      const action = ACTIONS.find((one) => one.name === name);
      assert.ok(action);
      const { mount, driver, match } = await openRoot();
      const fault = await mount.misbehave([{ op, match, hangs: true }]);
      const stop = new AbortController();
      const reason = new Error('enough waited');
      const failing = failureOf(action.run(driver, stop));
      while (((await fault.used())[0] ?? 0) === 0) await new Promise((resolve) => setImmediate(resolve));
      stop.abort(reason);
      await fault.remove();
      assert.equal(await failing, isLetGo ? reason : undefined);
      await assertAllWhole(driver);
      assert.deepEqual(await allKeys(driver, CTX), [KEY]);
      await driver.close();
    });
  }
});

interface Hang {
  readonly name: string;
  readonly op: FuseOperation;
  /** Ends with the signal's reason. */
  readonly isLetGo: boolean;
}
