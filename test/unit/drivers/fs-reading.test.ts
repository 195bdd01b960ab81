import assert from 'node:assert/strict';
import { appendFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { chmod, rm, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { FileCalls } from '../../../src/drivers/fs/fs-calls.ts';
import { ctx, makeWorld, refusalOf, textOf } from './fs-world.ts';

/** Kernels before 6.13 stamp files with the time of the last clock tick, so that two changes may bear one time. */
const LONG_AGO = new Date(1_600_000_000_000);

/** Meddles with the file after its first bytes were read. */
class MeddlingCalls extends FileCalls {
  readonly #meddle: () => void;
  #isDone = false;

  constructor(distance: 'local' | 'remote', meddle: () => void) {
    super(distance);
    this.#meddle = meddle;
  }

  override async read(fd: number, into: Uint8Array, position: number): Promise<number> {
    const bytesRead = await super.read(fd, into.subarray(0, 10), position);
    if (!this.#isDone) this.#meddle();
    this.#isDone = true;
    return bytesRead;
  }
}

describe('reading a file that changes while it is read', () => {
  const content = 'x'.repeat(100);
  const changes: Readonly<Record<string, (path: string) => void>> = {
    'is written to': (path) => writeFileSync(path, 'y'.repeat(100)),
    grows: (path) => appendFileSync(path, 'y'),
    'is cut off': (path) => truncateSync(path, 50),
    'is emptied': (path) => truncateSync(path, 0),
  };
  for (const distance of ['local', 'remote'] as const) {
    for (const [what, change] of Object.entries(changes)) {
      it(`is refused when the file ${what} (${distance})`, async (t) => {
        const world = await makeWorld(t);
        const path = await world.file('root/changing', content);
        await utimes(path, LONG_AGO, LONG_AGO);
        const calls = new MeddlingCalls(distance, () => change(path));
        const driver = await world.open('source', { calls });
        const reading = driver.read(ctx, 'changing', Buffer.alloc(100), {});
        await refusalOf(reading, { kind: 'precondition', key: 'changing', isTransient: false });
      });
    }

    it(`gives the old bytes when the file is replaced or removed (${distance})`, async (t) => {
      const world = await makeWorld(t);
      const path = await world.file('root/replaced', content);
      const next = await world.file('next', 'y'.repeat(100));
      const calls = new MeddlingCalls(distance, () => renameSync(next, path));
      const driver = await world.open('source', { calls });
      assert.equal(await textOf(driver, 'replaced'), content);
      assert.equal(await textOf(driver, 'replaced'), 'y'.repeat(100));
    });
  }

  it('is seen by the version even if size and time of change are put back', async (t) => {
    const world = await makeWorld(t);
    const path = await world.file('root/forged', content);
    await utimes(path, LONG_AGO, LONG_AGO);
    const driver = await world.open('source');
    const { version } = await driver.stat(ctx, 'forged');
    assert.ok(version !== undefined);
    const { ctimeNs } = await stat(path, { bigint: true });
    do {
      await writeFile(path, 'y'.repeat(100));
      await utimes(path, LONG_AGO, LONG_AGO);
    } while ((await stat(path, { bigint: true })).ctimeNs === ctimeNs);
    await refusalOf(driver.read(ctx, 'forged', Buffer.alloc(100), { version }), { kind: 'precondition' });
  });

  it('is no short result when the file system says the file is longer than it is', async (t) => {
    const world = await makeWorld(t);
    await world.file('root/short', content);
    class EndingEarly extends FileCalls {
      override read(fd: number, into: Uint8Array, position: number) {
        return position >= 60 ? 0 : super.read(fd, into.subarray(0, 60 - position), position);
      }
    }
    const driver = await world.open('source', { calls: new EndingEarly('local') });
    const reading = driver.read(ctx, 'short', Buffer.alloc(100), {});
    await refusalOf(reading, { kind: 'corrupt', isTransient: true, key: 'short' });
  });
});

describe('reading files', () => {
  it('takes a file that is missing and there again for one that was just replaced, not for a missing one', async (t) => {
    const world = await makeWorld(t);
    await world.file('root/replaced');
    class BlinkingCalls extends FileCalls {
      override open(): never {
        throw Object.assign(new Error('ENOENT: no such file or directory, open'), { code: 'ENOENT' });
      }
    }
    const driver = await world.open('source', { calls: new BlinkingCalls('local') });
    const passing = { kind: 'unavailable', isTransient: true, key: 'replaced' } as const;
    await refusalOf(driver.read(ctx, 'replaced', Buffer.alloc(9), {}), passing);
    await refusalOf(driver.read(ctx, 'missing', Buffer.alloc(9), {}), { kind: 'not-found', key: 'missing' });
  });

  it('gives owner and mode, without what does not belong to permissions', async (t) => {
    const world = await makeWorld(t);
    const path = await world.file('root/modes');
    await chmod(path, 0o4754);
    const { attributes } = await (await world.open('source')).read(ctx, 'modes', Buffer.alloc(5), {});
    assert.deepEqual(attributes, { uid: process.getuid?.(), gid: process.getgid?.(), mode: 0o754 });
  });

  it('reads sparse files of more than 4 GiB at any offset', async (t) => {
    const world = await makeWorld(t);
    const path = await world.file('root/large', '');
    const sizeBytes = 5 * 1024 ** 3;
    await truncate(path, sizeBytes - 4);
    appendFileSync(path, 'last');
    const driver = await world.open('source');
    assert.equal((await driver.stat(ctx, 'large')).sizeBytes, sizeBytes);
    const buffer = Buffer.alloc(10);
    const { bytesRead, totalBytes } = await driver.read(ctx, 'large', buffer, { offset: sizeBytes - 6 });
    assert.deepEqual([bytesRead, totalBytes], [6, sizeBytes]);
    assert.equal(buffer.toString('latin1', 0, 6), '\0\0last');
    await rm(path);
  });

  it('refuses a file whose folder is a link that leads outside', async (t) => {
    const world = await makeWorld(t);
    await world.file('outside/a/secret');
    await symlink('../outside', join(world.root, 'way-out'));
    const driver = await world.open('source');
    const key = 'way-out/a/secret';
    await refusalOf(driver.read(ctx, key, Buffer.alloc(9), {}), { kind: 'denied', key });
    await refusalOf(driver.stat(ctx, key), { kind: 'denied', key });
  });

  it('follows a root that is itself a link, and is not led out by a name that begins like the root', async (t) => {
    const world = await makeWorld(t);
    await world.file('root/inside');
    await world.file('root-not/secret');
    await symlink('root', join(world.outside, 'linked-root'));
    await symlink('../root-not/secret', join(world.root, 'sly'));
    const driver = await world.open('source', {
      spec: { rootDirectory: join(world.outside, 'linked-root') },
    });
    assert.equal(await textOf(driver, 'inside'), 'root/inside');
    await refusalOf(driver.read(ctx, 'sly', Buffer.alloc(9), {}), { kind: 'denied', key: 'sly' });
  });
});
