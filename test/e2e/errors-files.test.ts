/** Rows of docs/errors.md about file systems. Mounting (FUSE too) and giving up powers need root, which the tests' machine has. */
import assert from 'node:assert/strict';
import { lstat, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { copy, errorTests, type RowTest, withoutPower } from '../support/error-tests.ts';
import { BUCKET, fillBucket, s3Url, startServer, TREE, treeUrl } from '../support/error-world.ts';
import { type FuseMount, mountFuse } from '../support/fuse.ts';
import { mustRun } from '../support/process.ts';
import { makeSmallTree } from '../support/small-tree.ts';
import { makeTempFolder, tempFolderFor } from '../support/temp.ts';

const MIB = 1024 ** 2;
const BIG = makeSmallTree({ seed: 'disk', blobBytes: [3 * MIB, 3 * MIB + 1, 3 * MIB + 2, 900] });
const [BLOB = ''] = TREE.blobs;
const RAW = ['--layout', 'raw'];

/** A file system of its own in memory at a place below a folder, which is gone with it when the test is done. */
async function tmpfs(t: TestContext, options: string, below = '.'): Promise<string> {
  const { path, remove } = await makeTempFolder('disk');
  const place = join(path, below);
  await mkdir(place, { recursive: true });
  await mustRun('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', place]);
  t.after(async () => {
    await mustRun('umount', [place]);
    await remove();
  });
  return path;
}

/** A copy of everything below a folder that this prepares, to a folder. */
function rawCopy(prepare: (folder: string, t: TestContext) => Promise<void>): RowTest {
  return async (t, row) => {
    const source = await tempFolderFor(t, 'source');
    const target = await tempFolderFor(t, 'target');
    await writeFile(join(source, 'fine'), 'fine');
    await prepare(source, t);
    row.check(await copy(t, `file://${source}`, `file://${target}`, { more: RAW }));
    assert.equal(await readFile(join(target, 'fine'), 'utf8'), 'fine', 'the rest did not arrive');
  };
}

/** A copy of these objects of a bucket to a folder. */
function fromBucket(keys: readonly string[]): RowTest {
  return async (t, row) => {
    const server = await startServer(t);
    const objects = [...keys, 'fine'].map((key) => ({ key, body: Buffer.from('content') }));
    await server.put(BUCKET, objects);
    const target = await tempFolderFor(t, 'target');
    row.check(await copy(t, s3Url(server.endpoint), `file://${target}`, { more: RAW }));
    assert.equal(await readFile(join(target, 'fine'), 'utf8'), 'content', 'the rest did not arrive');
  };
}

async function fuse(t: TestContext, folder: string): Promise<FuseMount> {
  const mount = await mountFuse(folder);
  t.after(() => mount.stop());
  return mount;
}

/** A copy of a folder in which no read of one blob succeeds. */
function failingRead(errno: string): RowTest {
  return async (t, row) => {
    const mount = await fuse(t, fileURLToPath(await treeUrl(t)));
    const faults = await mount.misbehave([{ op: 'read', match: BLOB, errno }]);
    const target = await tempFolderFor(t, 'target');
    row.check(await copy(t, `file://${mount.path}`, `file://${target}`, { more: ['--keep-going'] }));
    await faults.assertUsedUp();
    for (const [path, bytes] of TREE.objects) {
      if (path !== BLOB) assert.ok(bytes.equals(await readFile(join(target, path))), path);
    }
    await assert.rejects(lstat(join(target, BLOB)), /ENOENT/);
  };
}

async function modeOf(path: string, mode: string): Promise<void> {
  await mustRun('chmod', [mode, path]);
}

errorTests(import.meta.filename, {
  'a source folder that is not there': async (t, row) => {
    const parent = await tempFolderFor(t, 'parent');
    row.check(await copy(t, `file://${parent}/missing`, `file://${await tempFolderFor(t, 'target')}`));
  },
  'a source that is a file': async (t, row) => {
    const file = join(await tempFolderFor(t, 'parent'), 'registry.tar');
    await writeFile(file, 'x');
    row.check(await copy(t, `file://${file}`, `file://${await tempFolderFor(t, 'target')}`));
  },
  'a source folder that may not be read': async (t, row) => {
    const from = await treeUrl(t);
    await modeOf(fileURLToPath(from), '000');
    const target = await tempFolderFor(t, 'target');
    row.check(await copy(t, from, `file://${target}`, { through: withoutPower() }));
    await modeOf(fileURLToPath(from), '755');
  },
  'a folder inside the source that may not be read': async (t, row) => {
    const from = await treeUrl(t);
    const folder = join(fileURLToPath(from), dirname(BLOB));
    await modeOf(folder, '000');
    const target = await tempFolderFor(t, 'target');
    row.check(await copy(t, from, `file://${target}`, { through: withoutPower() }));
    await modeOf(folder, '755');
  },
  'a file that may not be read': async (t, row) => {
    const from = await treeUrl(t);
    await modeOf(join(fileURLToPath(from), BLOB), '000');
    const target = await tempFolderFor(t, 'target');
    row.check(await copy(t, from, `file://${target}`, { through: withoutPower(), more: ['--keep-going'] }));
    for (const [path, bytes] of TREE.objects) {
      if (path !== BLOB) assert.ok(bytes.equals(await readFile(join(target, path))), path);
    }
  },
  'a file that the disk cannot read': failingRead('EIO'),
  'a file server that forgets files': failingRead('ESTALE'),
  'a disk quota that is used up': async (t, row) => {
    const mount = await fuse(t, await tempFolderFor(t, 'quota'));
    const faults = await mount.misbehave([
      { op: 'write', match: '.*', afterBytes: 4 * MIB, errno: 'EDQUOT' },
    ]);
    const from = await treeUrl(t, BIG);
    row.check(await copy(t, from, `file://${mount.path}`));
    await faults.assertUsedUp();
    for (const path of BIG.blobs) {
      const bytes = await readFile(join(mount.path, path)).catch(() => undefined);
      assert.ok(bytes === undefined || BIG.objects.get(path)?.equals(bytes), `${path} is half there`);
    }
  },
  'a link that leads out of the source': rawCopy(async (folder) => {
    await symlink('/etc/passwd', join(folder, 'link'));
  }),
  'a link that leads in a circle': rawCopy(async (folder) => {
    await symlink('link', join(folder, 'link'));
  }),
  'a socket in the source': rawCopy(async (folder, t) => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(folder, 'socket'), resolve));
    t.after(() => void server.close());
  }),
  'a blob with other bytes than its digest says': async (t, row) => {
    const from = await treeUrl(t);
    const file = join(fileURLToPath(from), BLOB);
    const bytes = await readFile(file);
    bytes.writeUInt8(bytes.readUInt8(9) ^ 1, 9);
    await writeFile(file, bytes);
    const target = await tempFolderFor(t, 'target');
    row.check(await copy(t, from, `file://${target}`, { more: ['--frozen'] }));
    await assert.rejects(lstat(join(target, BLOB)), /ENOENT/);
  },
  'a target whose parent folder is not there': async (t, row) => {
    const parent = await tempFolderFor(t, 'parent');
    row.check(await copy(t, await treeUrl(t), `file://${parent}/missing/target`));
  },
  'a target that is a file': async (t, row) => {
    const file = join(await tempFolderFor(t, 'parent'), 'file');
    await writeFile(file, 'precious');
    row.check(await copy(t, await treeUrl(t), `file://${file}`));
    assert.equal(await readFile(file, 'utf8'), 'precious');
  },
  'a target folder that may not be written to': async (t, row) => {
    const target = await tempFolderFor(t, 'target');
    await modeOf(target, '555');
    row.check(await copy(t, await treeUrl(t), `file://${target}`, { through: withoutPower() }));
    assert.deepEqual(await readdir(target), []);
  },
  'a target on a file system that is mounted read-only': async (t, row) => {
    const target = await tmpfs(t, 'size=8m,ro');
    row.check(await copy(t, await treeUrl(t), `file://${target}`));
  },
  'another file system mounted inside the target': async (t, row) => {
    const target = await tmpfs(t, 'size=8m', 'docker/registry/v2/blobs');
    row.check(await copy(t, await treeUrl(t), `file://${target}`));
  },
  'a target whose disk is full': async (t, row) => {
    const target = await tmpfs(t, 'size=7m');
    const from = await treeUrl(t, BIG);
    const journal = await tempFolderFor(t, 'journal');
    row.check(await copy(t, from, `file://${target}`, { journal }));
    for (const path of BIG.blobs) {
      const bytes = await readFile(join(target, path)).catch(() => undefined);
      assert.ok(bytes === undefined || BIG.objects.get(path)?.equals(bytes), `${path} is half there`);
    }
    assert.deepEqual(await readdir(join(target, '.blobferry-tmp')).catch(() => []), []);
    await mustRun('mount', ['-o', 'remount,size=32m', target]);
    const again = await copy(t, from, `file://${target}`, { journal });
    assert.equal(again.code, 0, again.stderr);
    for (const [path, bytes] of BIG.objects)
      assert.ok(bytes.equals(await readFile(join(target, path))), path);
  },
  'a target without inodes': async (t, row) => {
    const target = await tmpfs(t, 'size=8m,nr_inodes=20');
    row.check(await copy(t, await treeUrl(t), `file://${target}`));
  },
  'a file that is larger than may be written': async (t, row) => {
    const target = await tempFolderFor(t, 'target');
    const through = ['prlimit', `--fsize=${2 * MIB}`];
    row.check(await copy(t, await treeUrl(t, BIG), `file://${target}`, { through }));
    await assert.rejects(lstat(join(target, BIG.blobs[0] ?? '')), /ENOENT/);
  },
  'a name that is too long for a file': fromBucket([`long/${'x'.repeat(300)}`]),
  'a key that no file can have': fromBucket(['a//b']),
  'a key that leads out of the target': fromBucket(['../outside']),
  'an object that is a folder of another one': fromBucket(['a', 'a/b']),
  'a target that holds other content': async (t, row) => {
    const server = await startServer(t);
    await fillBucket(server);
    const target = await tempFolderFor(t, 'target');
    const file = join(target, BLOB);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, 'precious');
    row.check(await copy(t, s3Url(server.endpoint), `file://${target}`, { more: ['--into-nonempty'] }));
    assert.equal(await readFile(file, 'utf8'), 'precious');
  },
});
