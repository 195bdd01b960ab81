/**
 * What only a mount of its own can show: a disk that fills up, one that is read-only, one that goes away, and one
 * inside the root. Needs the permission to mount a tmpfs, which root has unless it runs in a container without it.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { bodyOfBytes } from '../../../src/drivers/body.ts';
import { openFsDriver } from '../../../src/drivers/fs/fs-driver.ts';
import { MISSING } from '../../support/tools.ts';
import { ctx, keysOf, refusalOf, treeOf } from './fs-world.ts';

function mount(...args: readonly string[]): string | undefined {
  const { status, stderr, error } = spawnSync('mount', args, { encoding: 'utf8' });
  return status === 0 ? undefined : (error?.message ?? stderr.trim());
}

function unmount(path: string): void {
  const { status, stderr } = spawnSync('umount', [path], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
}

/** Why tests of this file cannot run, if so; a failure where the environment says that they must. */
async function whyNoMount(): Promise<string | false> {
  const folder = await mkdtemp(join(tmpdir(), 'blobferry-mount-'));
  const why = mount('-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder);
  if (why === undefined) unmount(folder);
  await rm(folder, { recursive: true });
  if (why === undefined) return false;
  const required = (process.env['BLOBFERRY_TEST_REQUIRED'] ?? '').split(',').map((word) => word.trim());
  if (required.includes('all')) throw new Error(`A tmpfs must be mounted here and cannot be: ${why}`);
  return `${MISSING}the permission to mount a tmpfs (${why})`;
}

const skip = await whyNoMount();

describe('a file system of 1 MiB', { skip }, () => {
  let root = '';

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'blobferry-small-'));
    assert.equal(mount('-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', root), undefined);
  });

  after(async () => {
    unmount(root);
    await rm(root, { recursive: true });
  });

  const full = { kind: 'no-space', scope: 'backend', isTransient: false, backendCode: 'ENOSPC' } as const;
  const large = bodyOfBytes(Buffer.alloc(2 * 1024 * 1024, 1));

  it('is full: the write says so, leaves nothing of itself and everything else', async () => {
    const driver = await openFsDriver({ kind: 'fs', rootDirectory: root }, { role: 'target' });
    await driver.write(ctx, 'kept', bodyOfBytes(Buffer.from('kept')), {});
    for (const key of ['large', 'kept', 'folder/large']) {
      const { message, hint } = await refusalOf(driver.write(ctx, key, large, {}), { ...full, key });
      assert.match(message, /no space/);
      assert.match(hint, /df -h/);
    }
    await driver.close();
    assert.deepEqual(await treeOf(root), ['kept']);
    const half = bodyOfBytes(Buffer.alloc(600 * 1024, 2));
    await driver.write(ctx, 'half', half, {});
    await refusalOf(driver.write(ctx, 'other-half', half, {}), { ...full, key: 'other-half' });
    await driver.remove(ctx, 'half');
    await driver.write(ctx, 'other-half', half, {});
    assert.deepEqual(await keysOf(driver), ['kept', 'other-half']);
    await driver.remove(ctx, 'other-half');
    await driver.close();
  });

  it('is full: an upload says so, and aborting it gives the space back', async () => {
    const driver = await openFsDriver({ kind: 'fs', rootDirectory: root }, { role: 'target' });
    const { multipart } = driver;
    assert.ok(multipart);
    const upload = await multipart.begin(ctx, 'parts');
    const body = bodyOfBytes(Buffer.alloc(600 * 1024, 3));
    await multipart.putPart(ctx, upload, { number: 1, offset: 0, body });
    const second = multipart.putPart(ctx, upload, { number: 2, offset: body.sizeBytes, body });
    await refusalOf(second, { ...full, key: 'parts', operation: 'part' });
    await multipart.abort(ctx, upload);
    await driver.close();
    assert.deepEqual(await treeOf(root), ['kept']);
  });

  it('is read-only: it can be read, and writing is refused once and for all', async () => {
    const driver = await openFsDriver({ kind: 'fs', rootDirectory: root }, { role: 'target' });
    assert.equal(mount('-o', 'remount,ro', root), undefined);
    try {
      const readOnly = { kind: 'denied', scope: 'backend', backendCode: 'EROFS' } as const;
      const { hint } = await refusalOf(driver.write(ctx, 'new', bodyOfBytes(Buffer.from('x')), {}), readOnly);
      assert.match(hint, /read-write/);
      await refusalOf(driver.remove(ctx, 'kept'), readOnly);
      await refusalOf(openFsDriver({ kind: 'fs', rootDirectory: root }, { role: 'target' }), readOnly);
      const source = await openFsDriver({ kind: 'fs', rootDirectory: root }, { role: 'source' });
      assert.deepEqual(await keysOf(source), ['kept']);
    } finally {
      assert.equal(mount('-o', 'remount,rw', root), undefined);
    }
  });
});

describe('a file system that is mounted', { skip }, () => {
  it('inside the root cannot be written to from outside it, and the message says what to do', async (t) => {
    const root = await mkdtemp(join(tmpdir(), 'blobferry-inner-'));
    const inner = join(root, 'docker');
    await mkdir(inner);
    assert.equal(mount('-t', 'tmpfs', 'tmpfs', inner), undefined);
    t.after(async () => {
      unmount(inner);
      await rm(root, { recursive: true });
    });
    const driver = await openFsDriver({ kind: 'fs', rootDirectory: root }, { role: 'target' });
    const writing = driver.write(ctx, 'docker/data', bodyOfBytes(Buffer.from('x')), {});
    const crossing = { kind: 'unsupported', scope: 'backend', backendCode: 'EXDEV' } as const;
    assert.match((await refusalOf(writing, crossing)).hint, /mounted folder itself/);
    await driver.close();
    assert.deepEqual(await treeOf(root), ['docker/']);
  });

  it('as the root and goes away is an error, and never an empty listing', async (t) => {
    const root = await mkdtemp(join(tmpdir(), 'blobferry-gone-'));
    t.after(() => rm(root, { recursive: true }));
    assert.equal(mount('-t', 'tmpfs', 'tmpfs', root), undefined);
    await mkdir(join(root, 'docker/registry'), { recursive: true });
    await writeFile(join(root, 'docker/registry/data'), 'x');
    const driver = await openFsDriver({ kind: 'fs', rootDirectory: root }, { role: 'target' });
    assert.deepEqual(await keysOf(driver), ['docker/registry/data']);
    unmount(root);
    const gone = { kind: 'not-found', scope: 'backend' } as const;
    await refusalOf(keysOf(driver, { prefix: 'docker/' }), gone);
    await refusalOf(driver.stat(ctx, 'docker/registry/data'), gone);
    await refusalOf(driver.write(ctx, 'docker/new', bodyOfBytes(Buffer.from('x')), {}), gone);
    await refusalOf(driver.remove(ctx, 'docker/registry/data'), gone);
    assert.deepEqual(await treeOf(root), [], 'nothing was written under the mount point');
  });
});
