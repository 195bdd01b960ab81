/** A driver earns trust by what it refuses, and by what is left when it did: nothing, or the old state. */
import assert from 'node:assert/strict';
import { bodyOfBytes } from '../../src/drivers/body.ts';
import type { Body } from '../../src/drivers/driver.ts';
import {
  assertHolds,
  assertNothingLeft,
  assertRefused,
  bytesFor,
  type DriverCase,
  listAll,
  lyingBody,
  put,
  rejectionOf,
  sha256Of,
} from './case.ts';

const LIES: readonly (readonly [what: string, body: Body])[] = [
  ['one byte short', lyingBody(bytesFor('lie', 4_999), 5_000)],
  ['one byte long', lyingBody(bytesFor('lie', 5_001), 5_000)],
  ['empty instead of one byte', lyingBody(new Uint8Array(0), 1)],
  ['one byte instead of empty', lyingBody(bytesFor('lie', 1), 0)],
  ['much longer', lyingBody(bytesFor('lie', 300_000), 5_000)],
  ['in memory and short', { ...bodyOfBytes(bytesFor('lie', 70)), sizeBytes: 71 }],
  ['in memory and long', { ...bodyOfBytes(bytesFor('lie', 72)), sizeBytes: 71 }],
];

/** Keys that no folder tree can hold, or that would leave it. */
const ESCAPES = [
  '../escaped',
  'a/../../escaped',
  'a/../b',
  '..',
  '.',
  './a',
  'a/./b',
  'a/..',
  '/escaped',
  '//escaped',
  'a//b',
  'a/',
  '/',
  'a\0b',
  'a/\0',
  'half\ud83d',
  `${'n'.repeat(256)}`,
  `${'n'.repeat(256)}/b`,
  `${'\u00e9'.repeat(128)}`,
];

export const REFUSAL_CASES: readonly DriverCase[] = [
  {
    name: 'write() refuses a body that is shorter or longer than it says, and leaves nothing',
    run: async (driver, ctx) => {
      for (const [what, body] of LIES) {
        const error = await assertRefused(driver.write(ctx, 'lied', body, {}), driver, 'corrupt', 'lied');
        assert.notEqual(error.message, '', what);
      }
      await assertNothingLeft(driver, ctx);
    },
  },
  {
    name: 'write() that refuses its body leaves the object that was there',
    run: async (driver, ctx) => {
      const old = bytesFor('old', 2_000);
      await put(driver, ctx, 'kept', old);
      for (const [, body] of LIES) {
        await assertRefused(driver.write(ctx, 'kept', body, {}), driver, 'corrupt', 'kept');
        await assertHolds(driver, ctx, 'kept', old);
      }
    },
  },
  {
    name: 'write() passes on what a body throws, and leaves nothing',
    run: async (driver, ctx) => {
      const reason = new Error('the source is gone');
      const body: Body = {
        sizeBytes: 100_000,
        async *open() {
          yield bytesFor('before', 50_000);
          throw reason;
        },
      };
      const error = await rejectionOf(driver.write(ctx, 'broken-off', body, {}));
      assert.ok(error instanceof Error);
      assert.ok(error === reason || error.cause === reason, `the reason is passed on: ${error.message}`);
      await assertNothingLeft(driver, ctx);
    },
  },
  {
    name: 'write() refuses bytes that do not have the sha256 that came with them, and leaves nothing',
    requires: ['refusesWrongSha256'],
    run: async (driver, ctx) => {
      const bytes = bytesFor('right', 10_000);
      const sha256 = sha256Of(bytesFor('wrong', 10_000));
      await assertRefused(
        driver.write(ctx, 'bound', bodyOfBytes(bytes), { sha256 }),
        driver,
        'corrupt',
        'bound',
      );
      await assertNothingLeft(driver, ctx);
      await put(driver, ctx, 'bound', bytes);
      await assertRefused(
        driver.write(ctx, 'bound', bodyOfBytes(bytes), { sha256 }),
        driver,
        'corrupt',
        'bound',
      );
      await assertHolds(driver, ctx, 'bound', bytes);
    },
  },
  {
    name: 'binding.probe() leaves nothing behind',
    requires: ['binding'],
    run: async (driver, ctx) => {
      await driver.binding?.probe(ctx, 'probe/');
      await assertNothingLeft(driver, ctx);
    },
  },
  {
    name: 'an empty key is refused',
    run: async (driver, ctx) => {
      const body = bodyOfBytes(bytesFor('empty', 5));
      await assertRefused(driver.write(ctx, '', body, {}), driver, 'invalid-name', '');
      await assertRefused(driver.read(ctx, '', new Uint8Array(5), {}), driver, 'invalid-name', '');
      await assertRefused(driver.stat(ctx, ''), driver, 'invalid-name', '');
      await assertRefused(driver.remove(ctx, ''), driver, 'invalid-name', '');
      await assertNothingLeft(driver, ctx);
    },
  },
  {
    name: 'keys that would leave the root, or that no folder tree can hold, are refused by every method',
    requires: ['filePaths'],
    run: async (driver, ctx) => {
      const body = bodyOfBytes(bytesFor('escape', 5));
      for (const key of ESCAPES) {
        await assertRefused(driver.write(ctx, key, body, {}), driver, 'invalid-name', key);
        await assertRefused(driver.read(ctx, key, new Uint8Array(5), {}), driver, 'invalid-name', key);
        await assertRefused(driver.stat(ctx, key), driver, 'invalid-name', key);
        await assertRefused(driver.remove(ctx, key), driver, 'invalid-name', key);
        if (driver.multipart) {
          await assertRefused(driver.multipart.begin(ctx, key), driver, 'invalid-name', key);
        }
      }
      await assertNothingLeft(driver, ctx);
    },
  },
  {
    name: 'prefixes that would leave the root list nothing from outside',
    requires: ['filePaths'],
    run: async (driver, ctx) => {
      for (const prefix of ['../', 'a/../../', '/', '/etc/', 'a//']) {
        await assertRefused(listAll(driver, ctx, { prefix }), driver, 'invalid-name', prefix);
      }
    },
  },
  {
    name: 'a key and keys below it cannot both be files: the second is refused and the first stays',
    requires: ['folders'],
    run: async (driver, ctx) => {
      const body = bodyOfBytes(bytesFor('second', 5));
      await put(driver, ctx, 'x/file', bytesFor('first', 9));
      await assertRefused(
        driver.write(ctx, 'x/file/below', body, {}),
        driver,
        'invalid-name',
        'x/file/below',
      );
      const deep = 'x/file/far/below';
      await assertRefused(driver.write(ctx, deep, body, {}), driver, 'invalid-name', deep);
      await assertRefused(driver.write(ctx, 'x', body, {}), driver, 'invalid-name', 'x');
      assert.deepEqual((await listAll(driver, ctx)).keys, ['x/file']);
      await assertHolds(driver, ctx, 'x/file', bytesFor('first', 9));
    },
  },
  {
    name: 'a key that cannot be a file is refused with the name of what is in its way',
    requires: ['filePaths'],
    run: async (driver, ctx) => {
      const body = bodyOfBytes(bytesFor('second', 5));
      await put(driver, ctx, 'x/file', bytesFor('first', 9));
      const deep = 'x/file/far/below';
      const refused = await assertRefused(driver.write(ctx, deep, body, {}), driver, 'invalid-name', deep);
      assert.match(refused.message, /"x\/file"/, 'the message names the key in the way');
      const above = await assertRefused(driver.write(ctx, 'x', body, {}), driver, 'invalid-name', 'x');
      assert.match(above.message, /"x\/"/, 'the message names the folder in the way');
    },
  },
  {
    name: 'a key and keys below it are different objects',
    requires: ['noFolders'],
    run: async (driver, ctx) => {
      for (const key of ['x', 'x/y', 'x/y/z']) await put(driver, ctx, key, bytesFor(key, 20));
      await driver.remove(ctx, 'x/y');
      assert.deepEqual((await listAll(driver, ctx)).keys, ['x', 'x/y/z']);
      await assertHolds(driver, ctx, 'x', bytesFor('x', 20));
    },
  },
];
