import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { link, mkdir, rename, rm, symlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { compareUtf8 } from '../../../src/core/byte-order.ts';
import type { StorageDriver } from '../../../src/drivers/driver.ts';
import { FileCalls, type Maybe } from '../../../src/drivers/fs/fs-calls.ts';
import { ctx, keysOf, makeWorld, refusalOf, textOf } from './fs-world.ts';

async function sizesOf(driver: StorageDriver): Promise<Readonly<Record<string, number>>> {
  const sizes: Record<string, number> = {};
  for await (const page of driver.list(ctx, { prefix: '' })) {
    for (const { key, sizeBytes } of page.objects) sizes[key] = sizeBytes;
  }
  return sizes;
}

/** A network file system: every call takes some turns of the event loop, and how many run at once is counted. */
class SlowCalls extends FileCalls {
  running = 0;
  runningMax = 0;
  calls = 0;

  constructor() {
    super('remote');
  }

  override readFolder(path: string) {
    return this.#slowly(() => super.readFolder(path));
  }

  override lstat(path: string) {
    return this.#slowly(() => super.lstat(path));
  }

  async #slowly<T>(call: () => Maybe<T>): Promise<T> {
    this.calls += 1;
    this.running += 1;
    this.runningMax = Math.max(this.runningMax, this.running);
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    try {
      return await call();
    } finally {
      this.running -= 1;
    }
  }
}

/** Does something in the world whenever a folder has been read, before the listing goes on. */
class MeddlingCalls extends FileCalls {
  readonly #afterReading: (path: string) => void;

  constructor(distance: 'local' | 'remote', afterReading: (path: string) => void) {
    super(distance);
    this.#afterReading = afterReading;
  }

  override readFolder(path: string) {
    const entries = super.readFolder(path);
    const meddle = <T>(read: T): T => {
      this.#afterReading(path);
      return read;
    };
    return entries instanceof Promise ? entries.then(meddle) : meddle(entries);
  }
}

describe('listing a folder tree up to a key', () => {
  it('gives exactly the keys that sort up to it, and opens no folder behind it', async (t) => {
    const world = await makeWorld(t);
    const keys = ['a-b', 'a/x', 'a/y/z', 'a0', 'b/c/d', 'b/c/e', 'c'];
    for (const key of keys) await world.file(`root/${key}`);
    const opened: string[] = [];
    class Calls extends FileCalls {
      override readFolder(path: string) {
        opened.push(path.slice(world.root.length + 1));
        return super.readFolder(path);
      }
    }
    const driver = await world.open('source', { calls: new Calls('local') });
    const ends = [...keys, 'a', 'a/', 'a/y/', 'b/', 'b/c/', 'b/c/d/', 'zz', ''];
    for (const upTo of ends) {
      const expected = keys.filter((key) => compareUtf8(key, upTo) <= 0);
      assert.deepEqual(await keysOf(driver, { upTo }), expected, upTo);
    }
    opened.length = 0;
    await keysOf(driver, { upTo: 'b/' });
    assert.deepEqual(opened, ['', 'a', 'a/y']);
  });
});

describe('listing a folder tree with links', () => {
  it('follows links to files and folders inside the root', async (t) => {
    const world = await makeWorld(t);
    await world.file('root/blobs/a', 'four');
    await world.file('root/blobs/deep/b', 'seven!!');
    await symlink('blobs/a', join(world.root, 'file-link'));
    await symlink(join(world.root, 'blobs'), join(world.root, 'folder-link'));
    const driver = await world.open('source');
    assert.deepEqual(await sizesOf(driver), {
      'blobs/a': 4,
      'blobs/deep/b': 7,
      'file-link': 4,
      'folder-link/a': 4,
      'folder-link/deep/b': 7,
    });
    assert.equal(await textOf(driver, 'folder-link/deep/b'), 'seven!!');
    assert.deepEqual(await keysOf(driver, { prefix: 'folder-link/d' }), ['folder-link/deep/b']);
    assert.deepEqual(await keysOf(driver, { delimiter: '/' }), ['blobs/', 'folder-link/', 'file-link']);
  });

  it('sorts a followed folder as a folder and a refused one as an object', async (t) => {
    const world = await makeWorld(t);
    await world.file('root/real/x');
    await world.file('outside/secret');
    for (const name of ['in', 'in-b', 'in.b']) await symlink('real', join(world.root, name));
    for (const name of ['out', 'out-b', 'out.b']) await symlink('../outside', join(world.root, name));
    assert.deepEqual(await keysOf(await world.open('source')), [
      'in-b/x',
      'in.b/x',
      'in/x',
      'out',
      'out-b',
      'out.b',
      'real/x',
    ]);
  });

  it('lists as objects, with the link as their size, what it does not follow; reading says why', async (t) => {
    const world = await makeWorld(t);
    await world.file('secret/file', 'secret');
    await world.file('root/a/b/c');
    const links: Readonly<Record<string, string>> = {
      'outside-folder': '../secret',
      'outside-file': '../secret/file',
      absolute: '/etc/passwd',
      dead: 'nowhere/at/all',
      self: 'self',
      'a/up': '..',
      'a/b/to-root': '../..',
    };
    for (const [name, target] of Object.entries(links)) await symlink(target, join(world.root, name));
    const driver = await world.open('source');
    const sizes = Object.fromEntries(Object.entries(links).map(([name, target]) => [name, target.length]));
    assert.deepEqual(await sizesOf(driver), { ...sizes, 'a/b/c': 'root/a/b/c'.length });
    for (const key of Object.keys(links)) {
      const buffer = Buffer.alloc(100);
      const { message } = await refusalOf(driver.read(ctx, key, buffer, {}), {
        kind: 'denied',
        key,
        scope: 'object',
      });
      assert.match(message, /symbolic link/);
      assert.deepEqual(buffer, Buffer.alloc(100), 'nothing from outside was read');
      await refusalOf(driver.stat(ctx, key), { kind: 'denied', key });
    }
  });

  it('ends, however links lead in circles', async (t) => {
    const world = await makeWorld(t);
    await world.file('root/a/data');
    await world.file('root/b/data');
    await symlink('../b', join(world.root, 'a/to-b'));
    await symlink('../a', join(world.root, 'b/to-a'));
    const keys = await keysOf(await world.open('source'));
    assert.deepEqual(keys, ['a/data', 'a/to-b/data', 'a/to-b/to-a', 'b/data', 'b/to-a/data', 'b/to-a/to-b']);
  });

  it('ends, however links multiply', async (t) => {
    const world = await makeWorld(t);
    for (let level = 0; level < 14; level += 1) {
      mkdirSync(join(world.root, `l${String(level).padStart(2, '0')}`));
      if (level === 0) continue;
      for (const name of ['x', 'y']) {
        const next = `../l${String(level - 1).padStart(2, '0')}`;
        await symlink(next, join(world.root, `l${String(level).padStart(2, '0')}`, name));
      }
    }
    await world.file('root/l00/data');
    const keys = await keysOf(await world.open('source'), { prefix: 'l13/' });
    assert.equal(keys.length, 2 ** 9, 'eight links are followed, the ninth is listed as it is');
    assert.ok(keys.every((key) => key.split('/').length === 10));
  });

  it('refuses a prefix that leads outside: an empty answer would look like an empty source', async (t) => {
    const world = await makeWorld(t);
    await world.file('elsewhere/registry/v2/blob');
    await symlink('../elsewhere', join(world.root, 'docker'));
    const driver = await world.open('source');
    const prefix = 'docker/registry/';
    const { message, hint } = await refusalOf(keysOf(driver, { prefix }), { kind: 'denied', key: prefix });
    assert.match(message, /symbolic link leads out of the root/);
    assert.match(hint, /bind mount/);
  });

  it('counts a file with two names twice, as it is two objects', async (t) => {
    const world = await makeWorld(t);
    await link(await world.file('root/one', 'same'), join(world.root, 'two'));
    assert.deepEqual(await sizesOf(await world.open('source')), { one: 4, two: 4 });
  });
});

describe('listing a folder tree with odd files', () => {
  it('lists pipes and sockets, and reading one is refused without waiting for a writer', async (t) => {
    const world = await makeWorld(t);
    execFileSync('mkfifo', [join(world.root, 'pipe')]);
    const server = createServer().listen(join(world.root, 'socket'));
    await new Promise((resolve) => server.once('listening', resolve));
    t.after(() => server.close());
    const driver = await world.open('source');
    assert.deepEqual(await sizesOf(driver), { pipe: 0, socket: 0 });
    for (const key of ['pipe', 'socket']) {
      await refusalOf(driver.read(ctx, key, Buffer.alloc(5), {}), { kind: 'unsupported', key });
      await refusalOf(driver.stat(ctx, key), { kind: 'unsupported', key });
    }
  });

  it('names the folder and the name that is not UTF-8, and never puts another name in its place', async (t) => {
    const world = await makeWorld(t);
    await world.file('root/good/\ufffd', 'a real replacement character');
    const driver = await world.open('source');
    assert.deepEqual(await keysOf(driver), ['good/\ufffd']);
    const odd = Buffer.concat([Buffer.from(`${world.root}/good/caf`), Buffer.from([0xe9])]);
    writeFileSync(odd, 'latin-1');
    const { message } = await refusalOf(keysOf(driver), {
      kind: 'invalid-name',
      key: 'good/',
      operation: 'list',
    });
    assert.match(message, /"good\/".*"caf\\xe9"/);
    rmSync(odd);
    assert.deepEqual(await keysOf(driver), ['good/\ufffd']);
  });

  it('says nothing of the folder for temporary files at the root, and something of one elsewhere', async (t) => {
    const world = await makeWorld(t);
    await world.file('root/.blobferry-tmp/half');
    await world.file('root/a/.blobferry-tmp/whole');
    assert.deepEqual(await keysOf(await world.open('source')), ['a/.blobferry-tmp/whole']);
  });

  it('gives a folder without files as a prefix, and no key', async (t) => {
    const world = await makeWorld(t);
    await mkdir(join(world.root, 'empty/deep'), { recursive: true });
    const driver = await world.open('source');
    assert.deepEqual(await keysOf(driver), []);
    assert.deepEqual(await keysOf(driver, { delimiter: '/' }), ['empty/']);
  });
});

describe('listing a folder tree that changes', () => {
  for (const distance of ['local', 'remote'] as const) {
    it(`leaves out files and folders that vanish meanwhile (${distance})`, async (t) => {
      const world = await makeWorld(t);
      for (const key of ['a/1', 'b/gone', 'c/d/gone', 'c/kept', 'e/gone', 'f/1'])
        await world.file(`root/${key}`);
      const calls = new MeddlingCalls(distance, (path) => {
        if (path === world.root) rmSync(join(world.root, 'b'), { recursive: true, force: true });
        if (path.endsWith('/c')) rmSync(join(path, 'd'), { recursive: true, force: true });
        if (path.endsWith('/e')) rmSync(join(path, 'gone'), { force: true });
      });
      assert.deepEqual(await keysOf(await world.open('source', { calls })), ['a/1', 'c/kept', 'f/1']);
    });

    it(`is an error when the root itself vanishes, and never a short listing (${distance})`, async (t) => {
      const world = await makeWorld(t);
      for (const key of ['a/1', 'b/2', 'c/3']) await world.file(`root/${key}`);
      const calls = new MeddlingCalls(distance, (path) => {
        if (path.endsWith('/a')) renameSync(world.root, `${world.root}-away`);
      });
      const driver = await world.open('source', { calls });
      await refusalOf(keysOf(driver), { kind: 'not-found', scope: 'backend', operation: 'list' });
    });
  }

  for (const distance of ['local', 'remote'] as const) {
    it(`loses no neighbour of an entry that vanishes where types are not told (${distance})`, async (t) => {
      const world = await makeWorld(t);
      for (const key of ['a/1', 'a/2', 'b/3']) await world.file(`root/${key}`);
      let failures = 3;
      class UntypedCalls extends FileCalls {
        override readFolder(path: string) {
          failures -= 1;
          if (failures < 0 || !path.endsWith('/a')) return super.readFolder(path);
          const gone = Object.assign(new Error("ENOENT: no such file, lstat 'x'"), {
            code: 'ENOENT',
            syscall: 'lstat',
          });
          if (distance === 'remote') return Promise.reject(gone);
          throw gone;
        }
      }
      const driver = await world.open('source', { calls: new UntypedCalls(distance) });
      assert.deepEqual(await keysOf(driver), ['a/1', 'a/2', 'b/3']);
      failures = Number.POSITIVE_INFINITY;
      await refusalOf(keysOf(driver), { kind: 'unavailable', isTransient: true, key: 'a/' });
    });
  }

  it('is an error when another folder has taken the place of the root, as after an unmount', async (t) => {
    const world = await makeWorld(t);
    await world.file('root/docker/blob');
    const driver = await world.open('source');
    await rename(world.root, `${world.root}-away`);
    await mkdir(world.root);
    const gone = { kind: 'not-found', scope: 'backend' } as const;
    const { hint } = await refusalOf(keysOf(driver, { prefix: 'docker/' }), gone);
    assert.match(hint, /mounted/);
    await refusalOf(driver.stat(ctx, 'docker/blob'), gone);
    await refusalOf(driver.read(ctx, 'docker/blob', Buffer.alloc(9), {}), gone);
    await rm(world.root, { recursive: true });
    await refusalOf(driver.stat(ctx, 'docker/blob'), gone);
  });
});

describe('listing a slow file system', () => {
  it('has many calls under way at once, and no more than it may', async (t) => {
    const world = await makeWorld(t);
    const keys: string[] = [];
    for (let folder = 0; folder < 100; folder += 1) {
      const key = `blobs/${String(folder).padStart(3, '0')}/data`;
      keys.push(key);
      await world.file(`root/${key}`);
    }
    const calls = new SlowCalls();
    assert.deepEqual(await keysOf(await world.open('source', { calls })), keys);
    assert.ok(calls.runningMax > 16 && calls.runningMax <= 32, `${calls.runningMax} calls at once`);
    assert.equal(calls.calls, 1 + 1 + 100 + 100, 'one call for each folder and each file');
  });

  it('does not wait for a call that hangs once it is aborted', async (t) => {
    const world = await makeWorld(t);
    await world.file('root/a');
    const controller = new AbortController();
    const reason = new Error('enough');
    class HangingCalls extends FileCalls {
      override readFolder(): Promise<never> {
        controller.abort(reason);
        return new Promise(() => undefined);
      }
    }
    const driver = await world.open('source', { calls: new HangingCalls('remote') });
    const pages = driver.list({ signal: controller.signal }, { prefix: '' })[Symbol.asyncIterator]();
    await assert.rejects(pages.next(), reason);
  });
});
