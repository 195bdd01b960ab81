import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { type FuseMount, missingFuse, mountFuse } from '../../support/fuse.ts';
import { seededBytes } from '../../support/seeded.ts';
import { tempFolderFor } from '../../support/temp.ts';

const CONTENT = seededBytes('fuse', 'content', 400_000);

async function mountedFolder(
  test: TestContext,
): Promise<{ readonly folder: string; readonly mount: FuseMount }> {
  const folder = await tempFolderFor(test, 'fuse-source');
  await writeFile(join(folder, 'a'), CONTENT);
  const mount = await mountFuse(folder);
  test.after(() => mount.stop());
  return { folder, mount };
}

async function isMounted(path: string): Promise<boolean> {
  return (await readFile('/proc/self/mounts', 'utf8')).includes(` ${path} `);
}

describe('the FUSE file system of the tests', { skip: missingFuse() }, () => {
  it('shows the folder as it is, inode numbers included, and takes changes', async (t) => {
    const { folder, mount } = await mountedFolder(t);
    assert.ok((await readFile(join(mount.path, 'a'))).equals(CONTENT));
    assert.equal((await stat(join(mount.path, 'a'))).ino, (await stat(join(folder, 'a'))).ino);
    await mkdir(join(mount.path, 'b'), { mode: 0o700 });
    await writeFile(join(mount.path, 'b/new'), 'new');
    const file = await open(join(mount.path, 'b/new'), 'r+');
    await file.sync();
    await file.chmod(0o640);
    await file.truncate(2);
    await file.close();
    await rename(join(mount.path, 'b/new'), join(mount.path, 'b/renamed'));
    assert.deepEqual(await readdir(join(mount.path, 'b')), ['renamed']);
    assert.equal(await readFile(join(folder, 'b/renamed'), 'utf8'), 'ne');
    assert.equal((await stat(join(folder, 'b/renamed'))).mode & 0o777, 0o640);
  });

  it('gives errors as often as a rule says, and counts them', async (t) => {
    const { mount } = await mountedFolder(t);
    const faults = await mount.misbehave([
      { op: 'open', match: '^/a$', errno: 'ESTALE', skip: 1, times: 4 },
      { op: 'getattr', match: '/none$', errno: 'EIO' },
    ]);
    await assert.rejects(
      faults.assertUsedUp(),
      /ESTALE on open took effect 0 times of 4; EIO on getattr took/,
    );
    assert.equal((await readFile(join(mount.path, 'a'))).length, CONTENT.length);
    // The kernel itself tries an open that was stale once more.
    for (let count = 0; count < 2; count += 1)
      await assert.rejects(readFile(join(mount.path, 'a')), { errno: -constants.errno.ESTALE });
    assert.equal((await readFile(join(mount.path, 'a'))).length, CONTENT.length);
    await assert.rejects(stat(join(mount.path, 'none')), { code: 'EIO' });
    await faults.assertUsedUp();
    await faults.remove();
    await assert.rejects(stat(join(mount.path, 'none')), { code: 'ENOENT' });
  });

  it('turns over one bit of what is read and none of what is stored', async (t) => {
    const { folder, mount } = await mountedFolder(t);
    const faults = await mount.misbehave([{ op: 'read', match: 'a', flipAt: 300_000, times: 1 }]);
    const flipped = await readFile(join(mount.path, 'a'));
    assert.equal(
      flipped.findIndex((byte, at) => byte !== CONTENT[at]),
      300_000,
    );
    assert.ok((await readFile(join(mount.path, 'a'))).equals(CONTENT));
    assert.ok((await readFile(join(folder, 'a'))).equals(CONTENT));
    await faults.assertUsedUp();
  });

  it('is full after so many bytes, and slow when told to be', async (t) => {
    const { mount } = await mountedFolder(t);
    await mount.misbehave([{ op: 'write', errno: 'ENOSPC', afterBytes: 200_000 }]);
    await assert.rejects(writeFile(join(mount.path, 'b'), CONTENT), { code: 'ENOSPC' });
    await mount.misbehave([{ op: 'open', match: '/a$', delayMs: 60, times: 1 }]);
    const started = performance.now();
    await readFile(join(mount.path, 'a'));
    assert.ok(performance.now() - started >= 59);
  });

  it('leaves nothing behind when stopped, nor when its parent is killed', async (t) => {
    const { folder, mount } = await mountedFolder(t);
    assert.equal(await isMounted(mount.path), true);
    await mount.stop();
    await mount.stop();
    assert.equal(await isMounted(mount.path), false);
    await assert.rejects(stat(mount.path), { code: 'ENOENT' });

    const fuse = new URL('../../support/fuse.ts', import.meta.url).href;
    const script = `const { mountFuse } = await import('${fuse}');
      const mount = await mountFuse(${JSON.stringify(folder)});
      console.log(JSON.stringify([mount.path, mount.pid]));
      setInterval(() => undefined, 1000);`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    const [path, pid] = JSON.parse(String(line)) as [string, number];
    assert.equal(await isMounted(path), true);
    parent.kill('SIGKILL');
    while (await isMounted(path)) await new Promise((resolve) => setTimeout(resolve, 20));
    // Its program follows within a second.
    while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 20));
    await assert.rejects(stat(path), { code: 'ENOENT' });
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
