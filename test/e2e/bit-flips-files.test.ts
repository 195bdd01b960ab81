/** The row "File system" of docs/backends.md: nothing but whoever reads them compares the bytes of a file with anything. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { bindingWords } from '../support/backends-table.ts';
import { copyBetween, folderSpec, verifyBetween } from '../support/flip-world.ts';
import { type FuseMount, missingFuse, mountFuse } from '../support/fuse.ts';
import { makeSmallTree, writeSmallTree } from '../support/small-tree.ts';
import { makeTempFolder, type TempFolder } from '../support/temp.ts';
import { readTree } from '../support/tree.ts';

const TREE = makeSmallTree({ seed: 'flips in files', blobBytes: [300_000, 71] });
const [LARGE = ''] = TREE.blobs;
/** Only one file has so many bytes. */
const FLIP_AT = 150_000;

describe('File system', { skip: missingFuse() }, () => {
  let folder: TempFolder;
  let mount: FuseMount;

  before(async () => {
    folder = await makeTempFolder('flips');
    await writeSmallTree(join(folder.path, 'full'), TREE);
    await mkdir(join(folder.path, 'empty'));
    mount = await mountFuse(folder.path);
  });

  after(async () => {
    await mount?.stop();
    await folder?.remove();
  });

  const specOf = (name: string) => ({ kind: 'fs', rootDirectory: join(mount.path, name) }) as const;

  async function copyFrom(t: TestContext, times?: number) {
    const target = await folderSpec(t);
    const faults = await mount.misbehave([
      { op: 'read', match: LARGE, flipAt: FLIP_AT, ...(times === undefined ? {} : { times }) },
    ]);
    const ran = await copyBetween(t, specOf('full'), target);
    await faults.assertUsedUp();
    await faults.remove();
    assert.ok(target.kind === 'fs');
    return { ...ran, there: await readTree(target.rootDirectory) };
  }

  it('is read once more where a read was changed once', async (t) => {
    const { summary, exitCode, there } = await copyFrom(t, 1);
    assert.deepEqual([exitCode, summary.readsWrong, summary.writesWrong], [0, 1, 0]);
    assert.deepEqual([...there.keys()].sort(), [...TREE.objects.keys()].sort());
    assert.equal(summary.binding, await bindingWords('File system'));
  });

  it('is damaged as far as anyone can see where each read is changed: nothing of it is written', async (t) => {
    const { summary, exitCode, there } = await copyFrom(t);
    assert.equal(exitCode, 3);
    assert.deepEqual(
      summary.exceptions.map(({ state, path }) => `${state} ${path}`),
      [`damaged ${LARGE}`],
    );
    assert.ok(!there.has(LARGE));
  });

  it('is given once more what it gives back changed, where that is asked for', async (t) => {
    await mkdir(join(folder.path, 'read-back'));
    const source = await folderSpec(t, TREE);
    const faults = await mount.misbehave([{ op: 'write', flipAt: FLIP_AT, times: 1 }]);
    const { summary, exitCode } = await copyBetween(t, source, specOf('read-back'), { readsBack: true });
    await faults.assertUsedUp();
    assert.deepEqual([exitCode, summary.readsWrong, summary.writesWrong], [0, 0, 1]);
    assert.match(summary.binding, /renamed; every object is read back$/);
    assert.deepEqual((await verifyBetween(source, specOf('read-back'), true)).exceptions, []);
  });

  it('shows nothing of what it gives back changed each time, where that is asked for', async (t) => {
    await mkdir(join(folder.path, 'always'));
    const source = await folderSpec(t, TREE);
    const faults = await mount.misbehave([{ op: 'write', flipAt: FLIP_AT }]);
    const { summary, exitCode } = await copyBetween(t, source, specOf('always'), { readsBack: true });
    await faults.assertUsedUp();
    await faults.remove();
    assert.equal(exitCode, 1);
    assert.deepEqual(
      summary.exceptions
        .filter(({ path }) => path.includes('/blobs/'))
        .map(({ state, path }) => `${state} ${path}`),
      [`failed ${LARGE}`],
    );
    assert.ok(!(await readTree(join(folder.path, 'always'))).has(LARGE));
  });

  it('keeps what was changed on its way into it: only a comparison that reads it finds that', async (t) => {
    const source = await folderSpec(t, TREE);
    const target = specOf('empty');
    const faults = await mount.misbehave([{ op: 'write', flipAt: FLIP_AT, times: 1 }]);
    const { exitCode } = await copyBetween(t, source, target);
    await faults.assertUsedUp();
    assert.equal(exitCode, 0, 'the copy cannot know');
    assert.deepEqual((await verifyBetween(source, target, false)).exceptions, []);
    const deep = await verifyBetween(source, target, true);
    assert.deepEqual(
      deep.exceptions.map(({ problem, side, path }) => `${problem} ${side} ${path}`),
      [`wrong-content target ${LARGE}`],
    );
  });
});
