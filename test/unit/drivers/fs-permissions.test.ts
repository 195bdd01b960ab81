/**
 * Real refusals of the kernel. Root may do everything, so a test run as root takes another user's identity for the
 * time of each test: the effective one, which is what the kernel asks for, and only in this file's own process.
 */
import assert from 'node:assert/strict';
import { chmod, chown, mkdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { bodyOfBytes } from '../../../src/drivers/body.ts';
import type { OnUnlistable } from '../../../src/drivers/driver.ts';
import { ctx, keysOf, makeWorld, refusalOf, textOf, treeOf, type World } from './fs-world.ts';

const NOBODY = 65_534;
const body = bodyOfBytes(Buffer.from('content'));

/** Runs the work as a user who is not root. The world's folders are that user's, its files are not yet. */
async function asNobody(world: World, work: () => Promise<void>): Promise<void> {
  if (process.geteuid?.() !== 0) return work();
  await chown(world.outside, NOBODY, NOBODY);
  await chown(world.root, NOBODY, NOBODY);
  process.setegid?.(NOBODY);
  process.seteuid?.(NOBODY);
  try {
    await work();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
}

describe('a file system that denies', () => {
  it('names the file that may not be read, and lists it all the same', async (t) => {
    const world = await makeWorld(t);
    await asNobody(world, async () => {
      await chmod(await world.file('root/a/locked'), 0o000);
      await world.file('root/a/open');
      const driver = await world.open('source');
      assert.deepEqual(await keysOf(driver), ['a/locked', 'a/open']);
      const denied = { kind: 'denied', key: 'a/locked', backendCode: 'EACCES', isTransient: false } as const;
      const { message, hint } = await refusalOf(driver.read(ctx, 'a/locked', Buffer.alloc(9), {}), denied);
      assert.match(message, /Cannot read "a\/locked" in file:.*permission denied/);
      assert.match(hint, /as root/);
      assert.equal(await textOf(driver, 'a/open'), 'root/a/open');
    });
  });

  it('ends the listing at a folder that may not be read, and names it', async (t) => {
    const world = await makeWorld(t);
    await asNobody(world, async () => {
      for (const key of ['a/1', 'b/2', 'c/3']) await world.file(`root/${key}`);
      await chmod(join(world.root, 'b'), 0o300);
      const driver = await world.open('source');
      const denied = { kind: 'denied', key: 'b/', operation: 'list', scope: 'object' } as const;
      await refusalOf(keysOf(driver), denied);
      assert.deepEqual(await keysOf(driver, { prune: (folder) => folder === 'b/' }), ['a/1', 'c/3']);
      await chmod(join(world.root, 'b'), 0o600);
      await refusalOf(keysOf(driver), { ...denied, key: 'b/2' });
      await chmod(join(world.root, 'b'), 0o700);
    });
  });

  it('goes on without a folder or file that may not be looked at where the caller can do so', async (t) => {
    const world = await makeWorld(t);
    await asNobody(world, async () => {
      for (const key of ['a/1', 'b/2', 'c/3']) await world.file(`root/${key}`);
      const driver = await world.open('source');
      const told: string[] = [];
      const onUnlistable: OnUnlistable = (name, { details }) => told.push(`${name} ${details.kind}`) > 0;
      await chmod(join(world.root, 'b'), 0o300);
      assert.deepEqual(await keysOf(driver, { onUnlistable }), ['a/1', 'c/3']);
      assert.deepEqual(await keysOf(driver, { onUnlistable, prefix: 'b/' }), []);
      await refusalOf(keysOf(driver, { onUnlistable: () => false }), { kind: 'denied', key: 'b/' });
      await chmod(join(world.root, 'b'), 0o600);
      assert.deepEqual(await keysOf(driver, { onUnlistable }), ['a/1', 'c/3']);
      assert.deepEqual(told, ['b/ denied', 'b/ denied', 'b/2 denied']);
      await chmod(join(world.root, 'b'), 0o700);
    });
  });

  it('never goes on without its root', async (t) => {
    const world = await makeWorld(t);
    await asNobody(world, async () => {
      await world.file('root/a/1');
      const driver = await world.open('source');
      await chmod(world.root, 0o300);
      await refusalOf(keysOf(driver, { onUnlistable: () => true }), { kind: 'denied' });
      await chmod(world.root, 0o700);
    });
  });

  it('names the key that may not be written, and leaves no temporary file', async (t) => {
    const world = await makeWorld(t);
    await asNobody(world, async () => {
      await mkdir(join(world.root, 'locked'), { mode: 0o555 });
      const driver = await world.open('target');
      for (const key of ['locked/data', 'locked/deep/data']) {
        await refusalOf(driver.write(ctx, key, body, {}), { kind: 'denied', key, operation: 'write' });
      }
      assert.deepEqual(await treeOf(world.root), ['.blobferry-tmp/', 'locked/']);
      await driver.close();
      assert.deepEqual(await treeOf(world.root), ['locked/']);
    });
  });

  it('refuses to open a root that may not be read or written', async (t) => {
    const world = await makeWorld(t);
    await asNobody(world, async () => {
      await chmod(world.root, 0o555);
      const denied = { kind: 'denied', scope: 'backend' } as const;
      await world.open('source');
      // access(2) asks for the real user, which stays root here; a read-only mount shows the same refusal.
      if (process.getuid?.() !== 0) {
        const { message } = await refusalOf(world.open('target'), denied);
        assert.match(message, /no permission to write in the root folder/);
      }
      await chmod(world.root, 0o000);
      await refusalOf(world.open('source'), denied);
      await chmod(world.root, 0o755);
    });
  });

  it('keeps what is written the user that writes it when files cannot be given away', async (t) => {
    const world = await makeWorld(t);
    await asNobody(world, async () => {
      const driver = await world.open('target', { spec: { owner: { uid: 1, gid: 1 } } });
      await driver.write(ctx, 'a', body, { attributes: { uid: 2, gid: 2, mode: 0o640 } });
      const { attributes } = await driver.read(ctx, 'a', Buffer.alloc(9), {});
      assert.deepEqual(attributes, { uid: process.geteuid?.(), gid: process.getegid?.(), mode: 0o640 });
    });
  });

  const onlyRoot = process.geteuid?.() === 0 ? false : 'only root can play two users';
  it('leaves temporary files of other users alone', { skip: onlyRoot }, async (t) => {
    const world = await makeWorld(t);
    const temp = join(world.root, '.blobferry-tmp');
    await mkdir(temp, { mode: 0o755 });
    const stale = `blobferry-write-${'a'.repeat(32)}`;
    await writeFile(join(temp, stale), '');
    await utimes(join(temp, stale), 0, 0);
    await asNobody(world, async () => (await world.open('target')).close());
    assert.deepEqual(await treeOf(temp), [stale]);
  });
});
