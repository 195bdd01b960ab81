/** A file server that answers with input/output errors when a folder is listed: for a moment, and for good. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { runBlobferry } from '../support/cli.ts';
import { type FuseMount, missingFuse, mountFuse } from '../support/fuse.ts';
import { makeSmallTree, writeSmallTree } from '../support/small-tree.ts';
import { tempFolderFor } from '../support/temp.ts';
import { readTree } from '../support/tree.ts';

const TREE = makeSmallTree();
const FOLDER = 'docker/registry/v2/repositories/team/app/';

interface World {
  readonly mount: FuseMount;
  readonly target: string;
  readonly ends: readonly string[];
}

async function makeWorld(t: TestContext): Promise<World> {
  const folder = await tempFolderFor(t, 'unlisted-fuse');
  const [source, target] = [join(folder, 'source'), join(folder, 'target')];
  await writeSmallTree(source, TREE);
  await mkdir(target);
  const mount = await mountFuse(source);
  t.after(() => mount.stop());
  return { mount, target, ends: ['--from', `file://${mount.path}`, '--to', `file://${target}`, '--json'] };
}

describe('a folder that cannot be listed for an input/output error', { skip: missingFuse() }, () => {
  it('is asked for again, and all is copied when it answers', async (t) => {
    const { mount, target, ends } = await makeWorld(t);
    const faults = await mount.misbehave([
      { op: 'readdir', match: 'team/app$', errno: 'EIO', times: 2 },
      { op: 'getattr', match: '_manifests/tags/v1/current/link$', errno: 'ESTALE', times: 1 },
    ]);
    const { code, summary, stderr, stdout } = await runBlobferry(['copy', ...ends]);
    assert.equal(code, 0, stderr + stdout);
    await faults.assertUsedUp();
    assert.equal(summary?.['objectsCopied'], TREE.objects.size);
    assert.equal((await readTree(target)).size, TREE.objects.size);
  });

  it('is one failed thing in the end where the copy keeps going, and verify names it', async (t) => {
    const { mount, target, ends } = await makeWorld(t);
    const faults = await mount.misbehave([{ op: 'readdir', match: 'team/app$', errno: 'EIO' }]);
    const { code, summary, stderr } = await runBlobferry(['copy', ...ends, '--keep-going']);
    assert.equal(code, 1, stderr);
    await faults.assertUsedUp();
    assert.equal(summary?.['stoppedBy'], undefined);
    assert.equal(summary?.['objectsFailed'], 1);
    const [exception] = (summary?.['exceptions'] ?? []) as readonly {
      path: string;
      error: { message: string };
    }[];
    assert.equal(exception?.path, FOLDER);
    assert.match(exception?.error.message ?? '', /Cannot list .*input\/output error \(EIO\)/);
    const blobs = [...TREE.blobs].sort();
    assert.deepEqual([...(await readTree(target)).keys()].sort(), blobs);

    const verified = await runBlobferry(['verify', ...ends]);
    assert.equal(verified.code, 1, verified.stderr);
    assert.equal(verified.summary?.['objectsUnreadable'], 1);
    assert.equal(verified.summary?.['objectsMatched'], blobs.length);
  });
});
