/** `--delete-extra` over listings that are stale, sources that do not answer, and removals that fail. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { exitCodeOf } from '../../src/core/job.ts';
import type { ListPage } from '../../src/drivers/driver.ts';
import { rawLayout } from '../../src/layout/raw.ts';
import { type Fault, fails, failsAfterwards, first } from '../support/fault-driver.ts';
import {
  type DeletionRun,
  imagePaths,
  inDeletionWorld,
  inTargetNow,
  passAndDelete,
  putImage,
} from '../unit/coordinator/deletion-world.ts';
import type { CopyWorld } from '../unit/copy/copy-world.ts';
import { blobPath, layerLinkPath, linkText, otherPath, tagPath } from '../unit/copy/registry-names.ts';

const ROOTS = { sourcePrefix: 'old/', targetPrefix: 'new/root/' };

function removed(world: CopyWorld): readonly string[] {
  return world.targetDriver.callsOf('remove').map(({ key }) => key.slice(world.targetPrefix.length));
}

/** The source's listings leave these out. */
function hides(...keys: readonly string[]): Fault {
  return {
    on: 'list',
    times: 'always',
    does: { onPage: (page) => ({ ...page, objects: page.objects.filter(({ key }) => !keys.includes(key)) }) },
  };
}

function reasons({ exceptions }: DeletionRun): readonly string[] {
  return exceptions.map(({ state, path, error }) => `${state} ${path}: ${error.message}`).sort();
}

describe('--delete-extra', () => {
  it('removes what the source no longer has, blobs excepted, and is done', async () => {
    await inDeletionWorld(ROOTS, async (world) => {
      putImage(world, 'app', 'v1');
      putImage(world, 'app', 'v2', 'target');
      putImage(world, 'zoo', 'v1', 'target');
      world.putTarget(otherPath('app/_uploads/1/data'), 'left out');
      world.putTarget('docker/registry/v2/readme', 'of no known kind');
      const { summary, exceptions, notes } = await passAndDelete(world);
      const { objectsDeleted, objectsExtra, objectsExtraKept, extra, deletion } = summary;
      assert.deepEqual(
        { objectsDeleted, objectsExtra, objectsExtraKept, deletion },
        { objectsDeleted: 9, objectsExtra: 9, objectsExtraKept: 2, deletion: { state: 'done', max: 1_000 } },
      );
      assert.equal(extra.length, 9);
      assert.equal(exitCodeOf(summary), 0);
      assert.deepEqual(exceptions, []);
      assert.deepEqual(notes.at(-1), [], 'the journal has nothing left to do');
      const blobs = ['app:v1', 'app:v2', 'zoo:v1'].map((name) => blobPath(`image ${name}`));
      assert.deepEqual(
        inTargetNow(world),
        [...blobs, ...imagePaths('app', 'v1'), otherPath('app/_uploads/1/data')].sort(),
      );
    });
  });

  it('removes what needs something before what it needs', async () => {
    await inDeletionWorld(ROOTS, async (world) => {
      putImage(world, 'keep', 'v1');
      for (const name of ['app', 'app/sub']) {
        for (const tag of ['a', 'b', 'c']) putImage(world, name, tag, 'target');
      }
      await passAndDelete(world);
      const order = removed(world);
      assert.equal(order.length, 24);
      const rank = (path: string): number =>
        ['/index/', '/current/', '/revisions/', '/_layers/'].findIndex((part) => path.includes(part));
      const ranks = order.map(rank);
      assert.deepEqual(
        ranks,
        ranks.toSorted((left, right) => left - right),
      );
    });
  });

  it('does not remove a tag that a stale listing of the source hides, and is not done', async () => {
    const hidden = tagPath('app', 'v2');
    await inDeletionWorld({ ...ROOTS, sourceFaults: [hides(`old/${hidden}`)] }, async (world) => {
      for (const tag of ['v1', 'v2']) putImage(world, 'app', tag);
      putImage(world, 'app', 'v3', 'target');
      putImage(world, 'zoo', 'v1', 'target');
      const before = inTargetNow(world);
      const run = await passAndDelete(world);
      const lost = before.filter((path) => !inTargetNow(world).includes(path));
      // The links of v3 stay this time, as something else of their repository did.
      const expected = [...imagePaths('app', 'v3').slice(2), ...imagePaths('zoo', 'v1')];
      assert.deepEqual(lost, expected.sort());
      assert.equal(run.summary.objectsDeleted, lost.length);
      const [first = ''] = reasons(run).filter((reason) => reason.includes(hidden));
      assert.match(first, /^extra .* was not deleted: the listing of .* left it out, but it is there$/);
      assert.equal(run.exceptions.length, 3);
      assert.equal(exitCodeOf(run.summary), 1);
    });
  });

  it('does not remove what the source does not answer about, and what a tag that stays needs', async () => {
    for (const does of [fails('unavailable'), fails('denied'), fails('not-found', { scope: 'backend' })]) {
      const sourceFaults: readonly Fault[] = [{ on: 'stat', key: `old/${tagPath('app', 'v2')}`, does }];
      await inDeletionWorld({ ...ROOTS, sourceFaults }, async (world) => {
        putImage(world, 'app', 'v1');
        putImage(world, 'app', 'v2', 'target');
        const { summary } = await passAndDelete(world);
        assert.ok(world.inTarget(tagPath('app', 'v2')), 'the tag is gone');
        const [layer = '', revision = ''] = imagePaths('app', 'v2');
        assert.ok(world.inTarget(layer) && world.inTarget(revision), 'the tag lacks what it needs');
        assert.equal(exitCodeOf(summary), 1);
        assert.ok(summary.objectsDeleted < summary.objectsExtra);
      });
    }
  });

  it('goes on with the others when a removal fails, names it, and exits 1', async () => {
    const path = tagPath('app', 'v2');
    const targetFaults: readonly Fault[] = [{ on: 'remove', key: `new/root/${path}`, does: fails('denied') }];
    await inDeletionWorld({ ...ROOTS, targetFaults }, async (world) => {
      putImage(world, 'keep', 'v1');
      putImage(world, 'app', 'v2', 'target');
      putImage(world, 'zoo', 'v1', 'target');
      const run = await passAndDelete(world);
      assert.equal(run.summary.objectsDeleted, 5);
      assert.deepEqual(
        run.exceptions.map((exception) => exception.path).sort(),
        imagePaths('app', 'v2')
          .filter((one) => !one.includes('/index/'))
          .toSorted(),
      );
      assert.match(reasons(run).join('\n'), /_layers\/.*was not deleted: something of its repository/);
      assert.equal(run.summary.exceptions.length, 3);
      assert.equal(exitCodeOf(run.summary), 1);
    });
  });

  it('counts a removal whose answer was lost once it is repeated', async () => {
    const path = tagPath('app', 'v2');
    const targetFaults: readonly Fault[] = [
      { on: 'remove', key: `new/root/${path}`, does: failsAfterwards('unavailable') },
    ];
    await inDeletionWorld({ ...ROOTS, targetFaults }, async (world) => {
      putImage(world, 'keep', 'v1');
      putImage(world, 'app', 'v2', 'target');
      assert.equal(exitCodeOf((await passAndDelete(world)).summary), 1);
      const { summary } = await passAndDelete(world);
      assert.equal(exitCodeOf(summary), 0);
      assert.deepEqual(
        inTargetNow(world).filter((one) => one.includes('/app/')),
        [],
      );
    });
  });

  it('stops at an error of the whole target, and the next run finishes', async () => {
    const targetFaults: readonly Fault[] = [
      { on: 'remove', nth: 3, does: fails('denied', { scope: 'backend' }) },
    ];
    await inDeletionWorld({ ...ROOTS, targetFaults }, async (world) => {
      putImage(world, 'keep', 'v1');
      for (let at = 0; at < 20; at += 1) putImage(world, 'app', `v${at}`, 'target');
      const { summary, notes } = await passAndDelete(world);
      assert.equal(summary.deletion?.state, 'ended');
      assert.match(summary.stoppedBy?.message ?? '', /denied/);
      assert.equal(exitCodeOf(summary), 1);
      assert.ok(summary.objectsDeleted < 20, 'it went on');
      const left = notes.at(-1) ?? [];
      assert.ok(left.length > 0, 'the journal forgot what was being removed');
      const second = await passAndDelete(world, { removing: left });
      assert.equal(exitCodeOf(second.summary), 0);
      assert.equal(summary.objectsDeleted + second.summary.objectsDeleted, 80);
      assert.deepEqual(
        inTargetNow(world).filter((one) => one.includes('/app/')),
        [],
      );
    });
  });

  it('finishes what an interrupted run was about to remove, though no listing shows it any more', async () => {
    const gone = tagPath('app', 'gone');
    const targetFaults: readonly Fault[] = [{ on: 'remove', key: `new/root/${gone}`, does: fails('denied') }];
    await inDeletionWorld({ ...ROOTS, targetFaults }, async (world) => {
      putImage(world, 'app', 'v1');
      const removing = [gone, tagPath('app', 'v1'), blobPath('image app:v1')];
      const before = inTargetNow(world);
      const failed = await passAndDelete(world, { removing });
      assert.deepEqual(removed(world), [gone], 'what the source has, and blobs, are left alone');
      assert.deepEqual(failed.notes.at(-1), [gone]);
      assert.deepEqual(
        failed.exceptions.map(({ path }) => path),
        [gone],
      );
      assert.equal(exitCodeOf(failed.summary), 1);
      const { summary, notes, exceptions } = await passAndDelete(world, { removing: [gone] });
      assert.deepEqual(removed(world), [gone, gone]);
      assert.deepEqual({ notes, exceptions }, { notes: [[gone], []], exceptions: [] });
      assert.equal(exitCodeOf(summary), 0);
      assert.deepEqual(inTargetNow(world), before);
    });
  });

  it('keeps in the journal what a failed removal may have begun', async () => {
    const path = tagPath('app', 'v2');
    const targetFaults: readonly Fault[] = [
      { on: 'remove', key: `new/root/${path}`, does: failsAfterwards('unexpected') },
    ];
    await inDeletionWorld({ ...ROOTS, targetFaults }, async (world) => {
      putImage(world, 'keep', 'v1');
      putImage(world, 'app', 'v2', 'target');
      assert.deepEqual((await passAndDelete(world)).notes.at(-1), [path]);
    });
  });

  it('ends when the user stops it, resumable', async () => {
    const stop = new AbortController();
    const targetFaults: readonly Fault[] = [{ on: 'remove', nth: 5, does: first(() => stop.abort()) }];
    await inDeletionWorld({ ...ROOTS, targetFaults }, async (world) => {
      putImage(world, 'keep', 'v1');
      for (let at = 0; at < 20; at += 1) putImage(world, 'app', `v${at}`, 'target');
      const { summary } = await passAndDelete(world, { signal: stop.signal });
      assert.equal(exitCodeOf(summary), 130);
      assert.ok(removed(world).length < 20);
      assert.equal(summary.deletion?.state, 'ended');
    });
  });

  it('removes nothing when the source lists nothing any more', async () => {
    await inDeletionWorld({ ...ROOTS, layout: rawLayout }, async (world) => {
      world.put('a', 'a');
      world.putTarget('a', 'a');
      world.putTarget('b', 'b');
      const onEvent = () => world.source.remove('old/a');
      const { summary } = await passAndDelete(world, { onEvent });
      assert.deepEqual(inTargetNow(world), ['a', 'b']);
      assert.match(summary.stoppedBy?.message ?? '', /lists no object any more/);
      assert.equal(exitCodeOf(summary), 1);
    });
  });

  it('leaves to other shards what a listing shows outside of this one', async () => {
    const early = { key: `new/root/${tagPath('a', 'v1')}`, sizeBytes: 71 };
    const does = { onPage: (page: ListPage) => ({ ...page, objects: [early, ...page.objects] }) };
    await inDeletionWorld({ ...ROOTS, targetFaults: [{ on: 'list', does }] }, async (world) => {
      world.putTarget(tagPath('c', 'v1'), linkText('c'));
      const range = { prefix: '', after: otherPath('b/') };
      const outcome = await world.shard({ id: 'names-2', phase: 'names', range });
      assert.deepEqual(outcome.extras, [tagPath('c', 'v1')]);
    });
  });

  it('removes nothing after a pass with damaged, failed or conflicting objects', async () => {
    const broken = layerLinkPath('app', 'layer');
    const targetFaults: readonly Fault[] = [
      { on: 'write', key: `new/root/${broken}`, does: fails('denied') },
    ];
    const cases: readonly { readonly faults?: readonly Fault[]; put(world: CopyWorld): void }[] = [
      { faults: targetFaults, put: (world) => world.put(broken, linkText('layer')) },
      { put: (world) => world.put(blobPath('right'), 'wrong') },
    ];
    for (const { faults = [], put } of cases) {
      await inDeletionWorld({ ...ROOTS, targetFaults: faults }, async (world) => {
        putImage(world, 'keep', 'v1');
        putImage(world, 'zoo', 'v1', 'target');
        put(world);
        const before = inTargetNow(world);
        const { summary, exceptions } = await passAndDelete(world);
        assert.equal(summary.deletion?.state, 'unclean');
        assert.equal(summary.objectsExtra, 4);
        assert.deepEqual(removed(world), []);
        assert.deepEqual(inTargetNow(world), before);
        assert.deepEqual(exceptions, []);
        assert.notEqual(exitCodeOf(summary), 0);
      });
    }
  });
});
