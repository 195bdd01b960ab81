import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { chmod, chown, mkdir, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { bodyOfBytes } from '../../../src/drivers/body.ts';
import type { Body } from '../../../src/drivers/driver.ts';
import { FileCalls } from '../../../src/drivers/fs/fs-calls.ts';
import { openFsDriver } from '../../../src/drivers/fs/fs-driver.ts';
import { ctx, keysOf, makeWorld, refusalOf, textOf, treeOf, type World } from './fs-world.ts';

const TEMP = '.blobferry-tmp';
const body = bodyOfBytes(Buffer.from('content'));
const isRoot = process.geteuid?.() === 0;

/** Looks at the root when half of the body is written. */
function lookingBody(look: () => Promise<void>): Body {
  return {
    sizeBytes: 8,
    async *open() {
      yield Buffer.from('half');
      await look();
      yield Buffer.from('half');
    },
  };
}

/** Remembers which folders were made durable. */
class WatchedCalls extends FileCalls {
  readonly durable: string[] = [];
  readonly #folders = new Map<number, string>();

  override async open(path: string, how: 'read' | 'temp' | 'reopen' | 'folder') {
    const fd = await super.open(path, how);
    if (how === 'folder') this.#folders.set(fd, path);
    else this.#folders.delete(fd);
    return fd;
  }

  override fsync(fd: number) {
    const folder = this.#folders.get(fd);
    if (folder !== undefined) this.durable.push(folder);
  }
}

async function ownerOf(
  world: World,
  path: string,
): Promise<readonly [uid: number, gid: number, mode: string]> {
  const { uid, gid, mode } = await stat(join(world.root, path));
  return [uid, gid, (mode & 0o7777).toString(8)];
}

describe('writing a file', () => {
  it('happens in the folder for temporary files, which is gone when the driver is closed', async (t) => {
    const world = await makeWorld(t);
    const driver = await world.open('target');
    const looking = lookingBody(async () => {
      const tree = await treeOf(world.root);
      assert.equal(tree.length, 2);
      assert.match(tree[1] ?? '', /^\.blobferry-tmp\/blobferry-write-[0-9a-f]{32}$/);
      assert.equal(statSync(join(world.root, TEMP)).mode & 0o777, 0o700);
      assert.deepEqual(await keysOf(driver), []);
    });
    await driver.write(ctx, 'a/b', looking, {});
    assert.deepEqual(await treeOf(world.root), [`${TEMP}/`, 'a/', 'a/b']);
    await driver.close();
    assert.deepEqual(await treeOf(world.root), ['a/', 'a/b']);
  });

  it('goes on when another driver closes and takes the empty folder away', async (t) => {
    const world = await makeWorld(t);
    const [first, second] = [await world.open('target'), await world.open('target')];
    await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        await first.write(ctx, `k/${index}`, body, {});
        await second.close();
      }),
    );
    assert.equal((await keysOf(first)).length, 40);
  });

  it('says so when another program removes its temporary file', async (t) => {
    const world = await makeWorld(t);
    const driver = await world.open('target');
    const tidied = lookingBody(() => rm(join(world.root, TEMP), { recursive: true }));
    const { message } = await refusalOf(driver.write(ctx, 'a', tidied, {}), {
      kind: 'unexpected',
      isTransient: true,
    });
    assert.match(message, /temporary file was removed/);
    assert.deepEqual(await keysOf(driver), []);
  });

  it('replaces a link instead of writing through it', async (t) => {
    const world = await makeWorld(t);
    const secret = await world.file('secret', 'untouched');
    await symlink('../secret', join(world.root, 'link'));
    const driver = await world.open('target');
    await driver.write(ctx, 'link', body, {});
    assert.equal(readFileSync(secret, 'utf8'), 'untouched');
    assert.equal(await textOf(driver, 'link'), 'content');
  });

  it('never goes through a folder that is a link leading outside, nor does a removal', async (t) => {
    const world = await makeWorld(t);
    const secret = await world.file('elsewhere/a/secret', 'untouched');
    await symlink('../elsewhere', join(world.root, 'out'));
    const driver = await world.open('target');
    for (const key of ['out/new', 'out/a/secret', 'out/a/new', 'out/new/folder/data']) {
      const { message } = await refusalOf(driver.write(ctx, key, body, {}), { kind: 'denied', key });
      assert.match(message, /symbolic link leads out of the root/);
      await refusalOf(driver.remove(ctx, key), { kind: 'denied', key }).catch(async (error) => {
        // A key below a folder that is not there at all is missing, which is success.
        assert.equal(key, 'out/new/folder/data', String(error));
      });
    }
    assert.deepEqual(await treeOf(join(world.outside, 'elsewhere')), ['a/', 'a/secret']);
    assert.equal(readFileSync(secret, 'utf8'), 'untouched');
  });

  it('goes through a folder that is a link inside the root', async (t) => {
    const world = await makeWorld(t);
    await mkdir(join(world.root, 'real'));
    await symlink('real', join(world.root, 'linked'));
    const driver = await world.open('target');
    await driver.write(ctx, 'linked/deep/data', body, {});
    assert.equal(await textOf(driver, 'real/deep/data'), 'content');
    await driver.remove(ctx, 'linked/deep/data');
    assert.deepEqual(await treeOf(world.root), [`${TEMP}/`, 'linked', 'real/']);
  });

  it('is refused where an empty folder bears the name, which is named', async (t) => {
    const world = await makeWorld(t);
    await mkdir(join(world.root, 'a/b'), { recursive: true });
    const driver = await world.open('target');
    const { message } = await refusalOf(driver.write(ctx, 'a', body, {}), { kind: 'invalid-name', key: 'a' });
    assert.match(message, /folder "a\/" is in the way/);
  });
});

describe('removing a file', () => {
  it('takes away the folders that it leaves empty, and no others', async (t) => {
    const world = await makeWorld(t);
    await mkdir(join(world.root, 'a/kept-empty'), { recursive: true });
    const driver = await world.open('target');
    for (const key of ['a/b/c/d', 'a/b/e', 'x/y/z']) await driver.write(ctx, key, body, {});
    await driver.remove(ctx, 'a/b/c/d');
    await driver.remove(ctx, 'x/y/z');
    assert.deepEqual(await treeOf(world.root), [`${TEMP}/`, 'a/', 'a/b/', 'a/b/e', 'a/kept-empty/']);
    await driver.remove(ctx, 'a/b/e');
    assert.deepEqual(await treeOf(world.root), [`${TEMP}/`, 'a/', 'a/kept-empty/']);
  });

  it('takes away the empty folders of a key that is gone already, as after a removal that was killed', async (t) => {
    const world = await makeWorld(t);
    const driver = await world.open('target');
    await mkdir(join(world.root, 'a/b/current'), { recursive: true });
    await world.file('root/a/kept');
    await driver.remove(ctx, 'a/b/current/link');
    assert.deepEqual(await treeOf(world.root), ['a/', 'a/kept']);
    await driver.remove(ctx, 'a/kept/below/a/file');
    await driver.remove(ctx, 'a');
    assert.deepEqual(await treeOf(world.root), ['a/', 'a/kept']);
  });
});

describe('owner and mode of what is written', () => {
  it('are those that the umask leaves, as with the registry itself', async (t) => {
    const world = await makeWorld(t);
    const before = process.umask(0o027);
    t.after(() => void process.umask(before));
    const driver = await world.open('target');
    await driver.write(ctx, 'a/b/c', body, {});
    assert.deepEqual((await ownerOf(world, 'a/b/c'))[2], '640');
    assert.deepEqual((await ownerOf(world, 'a/b'))[2], '750');
  });

  it('come from the source where it has them, for the folders made on the way too', async (t) => {
    const world = await makeWorld(t);
    const driver = await world.open('target');
    const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
    await driver.write(ctx, 'a/b', body, { attributes: { uid, gid, mode: 0o600 } });
    await driver.write(ctx, 'c/d', body, { attributes: { uid, gid, mode: 0o444 } });
    await driver.write(ctx, 'e/f', body, { attributes: { uid, gid, mode: 0o4755 } });
    assert.deepEqual(await ownerOf(world, 'a/b'), [uid, gid, '600']);
    assert.deepEqual(await ownerOf(world, 'a'), [uid, gid, '700']);
    assert.deepEqual(await ownerOf(world, 'c/d'), [uid, gid, '444']);
    assert.deepEqual(await ownerOf(world, 'c'), [uid, gid, '755'], 'more files can be put there');
    assert.deepEqual(await ownerOf(world, 'e/f'), [uid, gid, '755'], 'set-id bits are not copied');
  });

  it('come from the settings otherwise', async (t) => {
    const world = await makeWorld(t);
    const driver = await world.open('target', { spec: { mode: 0o660 } });
    await driver.write(ctx, 'a/b', body, {});
    assert.equal((await ownerOf(world, 'a/b'))[2], '660');
    assert.equal((await ownerOf(world, 'a'))[2], '770');
  });

  it('come from the root folder without settings', {
    skip: isRoot ? false : 'only root gives files away',
  }, async (t) => {
    const world = await makeWorld(t);
    await chown(world.root, 1_234, 5_678);
    const driver = await world.open('target');
    await driver.write(ctx, 'a/b/c', body, {});
    for (const path of ['a', 'a/b', 'a/b/c']) {
      assert.deepEqual((await ownerOf(world, path)).slice(0, 2), [1_234, 5_678], path);
    }
    const upload = await driver.multipart?.begin(ctx, 'd/e');
    assert.ok(upload && driver.multipart);
    const receipt = await driver.multipart.putPart(ctx, upload, { number: 1, offset: 0, body });
    await driver.multipart.complete(ctx, upload, [receipt], { sizeBytes: 7 });
    assert.deepEqual((await ownerOf(world, 'd/e')).slice(0, 2), [1_234, 5_678]);
  });

  it('are given away by root as asked for', {
    skip: isRoot ? false : 'only root gives files away',
  }, async (t) => {
    const world = await makeWorld(t);
    const driver = await world.open('target', { spec: { owner: { uid: 11, gid: 12 } } });
    await driver.write(ctx, 'asked', body, {});
    await driver.write(ctx, 'source/s', body, { attributes: { uid: 21, gid: 22, mode: 0o640 } });
    assert.deepEqual((await ownerOf(world, 'asked')).slice(0, 2), [11, 12]);
    assert.deepEqual(await ownerOf(world, 'source/s'), [21, 22, '640']);
    assert.deepEqual(await ownerOf(world, 'source'), [21, 22, '750']);
  });

  it('are given up without an error where the server squashes root', async (t) => {
    const world = await makeWorld(t);
    let asked = 0;
    class SquashedCalls extends FileCalls {
      override changeOwner(): never {
        asked += 1;
        throw Object.assign(new Error('EPERM: operation not permitted, fchown'), { code: 'EPERM' });
      }
    }
    const calls = new SquashedCalls('local');
    const driver = await world.open('target', { calls, spec: { owner: { uid: 11, gid: 12 } } });
    await driver.write(ctx, 'a', body, {});
    await driver.write(ctx, 'b', body, {});
    assert.deepEqual(await keysOf(driver), ['a', 'b']);
    assert.equal(asked, isRoot ? 1 : 0, 'it is not asked again and again');
  });
});

describe('flush()', () => {
  it('makes durable every folder made or changed since the last time, and no other', async (t) => {
    const world = await makeWorld(t);
    const calls = new WatchedCalls('local');
    const driver = await world.open('target', { calls });
    const flushed = async () => {
      calls.durable.length = 0;
      await driver.flush(ctx);
      return calls.durable.map((path) => path.slice(world.root.length + 1)).sort();
    };
    assert.deepEqual(await flushed(), []);
    await driver.write(ctx, 'a/b/data', body, {});
    assert.deepEqual(await flushed(), ['', 'a', 'a/b']);
    assert.deepEqual(await flushed(), []);
    await driver.write(ctx, 'a/b/data', body, {});
    await driver.write(ctx, 'a/c/data', body, {});
    assert.deepEqual(await flushed(), ['a', 'a/b', 'a/c']);
    await driver.remove(ctx, 'a/b/data');
    assert.deepEqual(await flushed(), ['a']);
  });

  it('comes by itself before too many folders wait', async (t) => {
    const world = await makeWorld(t);
    const calls = new WatchedCalls('local');
    const driver = await world.open('target', { calls });
    for (let index = 0; index < 4_090; index += 1) await driver.write(ctx, `f/${index}/data`, body, {});
    assert.equal(calls.durable.length, 0);
    for (let index = 4_090; index < 4_100; index += 1) await driver.write(ctx, `f/${index}/data`, body, {});
    assert.ok(calls.durable.length > 4_090);
    await driver.flush(ctx);
    const durable = new Set(calls.durable);
    for (let index = 0; index < 4_100; index += 1) assert.ok(durable.has(join(world.root, `f/${index}`)));
  });

  it('tries again what it could not make durable', async (t) => {
    const world = await makeWorld(t);
    let isBroken = true;
    class BrokenCalls extends WatchedCalls {
      override fsync(fd: number) {
        if (isBroken && statSync(`/proc/self/fd/${fd}`).isDirectory()) {
          throw Object.assign(new Error('EIO: i/o error, fsync'), { code: 'EIO' });
        }
        super.fsync(fd);
      }
    }
    const calls = new BrokenCalls('local');
    const driver = await world.open('target', { calls });
    await driver.write(ctx, 'a/data', body, {});
    await refusalOf(driver.flush(ctx), { kind: 'unavailable', operation: 'flush', isTransient: true });
    isBroken = false;
    await driver.flush(ctx);
    assert.deepEqual(calls.durable.sort(), [world.root, join(world.root, 'a')]);
  });
});

describe('temporary files of the past', () => {
  const old = new Date(Date.now() - 25 * 3_600_000);
  const name = (kind: string, digit: string) => `blobferry-${kind}-${digit.repeat(32)}`;

  it('are removed when a target is opened, if they are ours and older than a day', async (t) => {
    const world = await makeWorld(t);
    const stale = [
      name('write', 'a'),
      name('upload', 'b'),
      `${name('upload', 'b')}.key`,
      `${name('upload', 'c')}.key`,
    ];
    const kept = [
      name('write', 'd'),
      name('upload', 'e'),
      `${name('upload', 'e')}.key`,
      'somebody-elses',
      'blobferry-write-x',
    ];
    for (const file of [...stale, ...kept]) await world.file(`root/${TEMP}/${file}`);
    for (const file of [...stale, ...kept]) {
      // What is still being written to, and the key that belongs to it, is no work of the past.
      const isFresh = file === name('write', 'd') || file === name('upload', 'e');
      if (!isFresh) await utimes(join(world.root, TEMP, file), old, old);
    }
    await (await world.open('source')).close();
    assert.equal(
      (await readdir(join(world.root, TEMP))).length,
      stale.length + kept.length,
      'a source is left alone',
    );
    await (await world.open('target')).close();
    assert.deepEqual((await readdir(join(world.root, TEMP))).sort(), kept.sort());
  });

  it('do not keep a target from being opened when a folder bears such a name', async (t) => {
    const world = await makeWorld(t);
    await world.file(`root/${TEMP}/${name('write', 'a')}/inside`);
    await utimes(join(world.root, TEMP, name('write', 'a')), old, old);
    await world.open('target');
    assert.deepEqual(await readdir(join(world.root, TEMP)), [name('write', 'a')]);
  });

  it('are refused as a link or a file in the place of their folder', async (t) => {
    const world = await makeWorld(t);
    await symlink('..', join(world.root, TEMP));
    await refusalOf(world.open('target'), { kind: 'denied', scope: 'backend' });
    await rm(join(world.root, TEMP));
    await writeFile(join(world.root, TEMP), '');
    const { hint } = await refusalOf(world.open('target'), { kind: 'denied', scope: 'backend' });
    assert.match(hint, /Remove ".*\.blobferry-tmp"/);
  });
});

describe('opening a root folder', () => {
  it('makes the root of a target, but not the folder above it, and never the root of a source', async (t) => {
    const world = await makeWorld(t);
    const rootDirectory = join(world.outside, 'new');
    const missing = { kind: 'not-found', scope: 'backend' } as const;
    const source = await refusalOf(world.open('source', { spec: { rootDirectory } }), missing);
    assert.match(source.message, /root folder does not exist/);
    assert.match(source.hint, /mounted/);
    const spec = { kind: 'fs', rootDirectory } as const;
    const driver = await openFsDriver(spec, { role: 'target', calls: new FileCalls('local') });
    await driver.write(ctx, 'a', body, {});
    await driver.flush(ctx);
    await driver.close();
    assert.deepEqual(await treeOf(rootDirectory), ['a']);
    const deeper = { spec: { rootDirectory: join(world.outside, 'no/such/parent') } };
    assert.match(
      (await refusalOf(world.open('target', deeper), missing)).hint,
      /"[^"]*\/no\/such" does not exist/,
    );
  });

  it('refuses a file as root', async (t) => {
    const world = await makeWorld(t);
    const rootDirectory = await world.file('file');
    for (const role of ['source', 'target'] as const) {
      for (const path of [rootDirectory, join(rootDirectory, 'below')]) {
        const opened = world.open(role, { spec: { rootDirectory: path } });
        await refusalOf(opened, { kind: 'not-found', scope: 'backend' });
      }
    }
  });

  it('gives a source no way to be written to', async (t) => {
    const world = await makeWorld(t);
    const path = await world.file('root/kept', 'kept');
    await chmod(path, 0o644);
    const driver = await world.open('source');
    assert.equal(driver.multipart, undefined);
    await refusalOf(driver.write(ctx, 'new', body, {}), { kind: 'denied', key: 'new' });
    await refusalOf(driver.remove(ctx, 'kept'), { kind: 'denied', key: 'kept' });
    await driver.flush(ctx);
    await driver.close();
    assert.deepEqual(await treeOf(world.root), ['kept']);
  });
});
