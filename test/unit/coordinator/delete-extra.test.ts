import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { refuseDeletion, refuseLiveDeletion } from '../../../src/coordinator/delete-extra.ts';
import { Extras, namedExtrasMax } from '../../../src/coordinator/extras.ts';
import { ConfigError } from '../../../src/core/errors.ts';
import { exitCodeOf } from '../../../src/core/job.ts';
import { mayBeDeleted } from '../../../src/layout/deletable.ts';
import { distributionLayout } from '../../../src/layout/distribution.ts';
import { msrLayout } from '../../../src/layout/msr.ts';
import { rawLayout } from '../../../src/layout/raw.ts';
import type { Fault } from '../../support/fault-driver.ts';
import { blobPath, layerLinkPath, linkText, otherPath, tagPath } from '../copy/registry-names.ts';
import { inDeletionWorld, inTargetNow, passAndDelete, putImage } from './deletion-world.ts';

const NOTHING = { exceptions: [], leftOut: [], warnings: [], extras: [] };
const layout = fc.constantFrom(distributionLayout, msrLayout, rawLayout);

const REGISTRY = 'docker/registry/v2';
const path = fc.oneof(
  fc.constantFrom('1', '2', '3', '4').map((content) => blobPath(content)),
  fc.constantFrom(
    `${REGISTRY}/blobs/id/ab/abc/data`,
    `${REGISTRY}/blobs/sha256/zz/odd/data`,
    `${REGISTRY}/blobs/stray`,
    otherPath('app/_uploads/1/data'),
    '.blobferry-probe/1',
    '.blobferry-tmp/1',
    'docker/readme',
    '~behind everything',
  ),
  fc
    .tuple(fc.constantFrom('app', 'app/sub', 'zoo'), fc.constantFrom('1', '2', '3'))
    .map(([name, content]) => layerLinkPath(name, content)),
  fc
    .tuple(fc.constantFrom('app', 'app/sub', 'zoo'), fc.constantFrom('v1', 'v2', '_uploads'))
    .map(([name, tag]) => tagPath(name, tag)),
);

/** What a link or a tag must hold to be copied without complaint; anything will do for the others. */
function contentOf(one: string): string {
  const [, hex] = /_layers\/sha256\/([0-9a-f]+)\/link$/.exec(one) ?? [];
  if (hex !== undefined) return `sha256:${hex}`;
  if (one.endsWith('/current/link')) return linkText('1');
  return ['1', '2', '3', '4'].find((content) => blobPath(content) === one) ?? one;
}

describe('--delete-extra', () => {
  it('leaves the target with what the source has, blobs and what is left out, whatever is listed and named', async () => {
    const paths = fc.uniqueArray(path, { maxLength: 25 });
    const hidden = fc.uniqueArray(path, { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(layout, paths, paths, hidden, paths, async (of, ours, theirs, stale, named) => {
        const lies: Fault = {
          on: 'list',
          times: 'always',
          does: {
            onPage: (page) => ({
              ...page,
              objects: page.objects.filter(({ key }) => !stale.includes(key.slice('old/'.length))),
            }),
          },
        };
        const options = { layout: of, sourcePrefix: 'old/', targetPrefix: 'new/', sourceFaults: [lies] };
        await inDeletionWorld(options, async (world) => {
          for (const one of ours) world.put(one, contentOf(one));
          for (const one of theirs) world.putTarget(one, contentOf(one));
          const { summary } = await passAndDelete(world, { named });
          const after = inTargetNow(world);
          const lost = theirs.filter((one) => !after.includes(one));
          for (const one of lost) {
            assert.ok(!ours.includes(one), `${one} is in the source and was removed`);
            assert.ok(
              of.name === 'raw' || !one.startsWith(`${REGISTRY}/blobs/`),
              `the blob ${one} was removed`,
            );
            assert.ok(!of.leavesOut(one, 1), `${one} is left out and was removed`);
          }
          if (summary.deletion?.state !== 'done' || exitCodeOf(summary) !== 0) return;
          const stays = theirs.filter((one) => !ours.includes(one) && mayBeDeleted(of, one));
          assert.deepEqual(
            stays.filter((one) => after.includes(one)),
            [],
            'it said to be done and is not',
          );
        });
      }),
      { numRuns: 300 },
    );
  });

  it('removes nothing at all when it is more than allowed, counts all of it, and names the first', async () => {
    for (const [deleteMax, state, left] of [
      [119, 'too-many', 120],
      [0, 'too-many', 120],
      [120, 'done', 0],
    ] as const) {
      await inDeletionWorld({ extrasMax: namedExtrasMax(deleteMax) }, async (world) => {
        putImage(world, 'keep', 'v1');
        for (let at = 0; at < 30; at += 1) putImage(world, `app${at % 3}`, `v${at}`, 'target');
        const before = inTargetNow(world);
        const { summary } = await passAndDelete(world, { deleteMax });
        assert.deepEqual(summary.deletion, { state, max: deleteMax });
        assert.equal(summary.objectsExtra, 120);
        assert.equal(summary.objectsExtraKept, 30);
        assert.equal(summary.objectsDeleted, 120 - left);
        assert.equal(summary.extra.length, 100);
        assert.equal(inTargetNow(world).length, before.length - summary.objectsDeleted);
        assert.equal(exitCodeOf(summary), left === 0 ? 0 : 1);
      });
    }
  });

  it('takes everything that only the target has in the layout raw, and is done where there is nothing', async () => {
    await inDeletionWorld({ layout: rawLayout }, async (world) => {
      for (const one of ['a', blobPath('1')]) world.put(one, one);
      for (const one of ['a', 'b/c', blobPath('1'), blobPath('2')]) world.putTarget(one, one);
      const { summary } = await passAndDelete(world);
      assert.deepEqual([summary.objectsDeleted, summary.objectsExtraKept], [2, 0]);
      assert.deepEqual(inTargetNow(world), ['a', blobPath('1')]);
      const again = await passAndDelete(world);
      assert.equal(exitCodeOf(again.summary), 0);
      assert.deepEqual(again.notes, [], 'the journal is not written for nothing');
    });
  });
});

describe('refuseDeletion()', () => {
  const wanted = { deletesExtra: true, isFrozen: true };

  it('refuses a live pass and a target that was not empty, saying what to do', () => {
    assert.throws(
      () => refuseDeletion({ ...wanted, isFrozen: false }, true, 's3://new'),
      (error) =>
        error instanceof ConfigError &&
        /needs --frozen/.test(error.message) &&
        /--frozen/.test(error.hint ?? ''),
    );
    assert.throws(
      () => refuseDeletion(wanted, false, 's3://new'),
      (error) =>
        error instanceof ConfigError &&
        /s3:\/\/new was not empty when this job began/.test(error.message) &&
        /--journal/.test(error.hint ?? ''),
    );
    assert.throws(() => refuseLiveDeletion(false), ConfigError);
  });

  it('lets everything else go on', () => {
    refuseDeletion(wanted, true, 's3://new');
    refuseDeletion({ deletesExtra: false, isFrozen: false }, false, 's3://new');
    refuseLiveDeletion(true);
  });
});

describe('Extras', () => {
  it('counts all that shards found, and holds no more names than can be of use', () => {
    const extras = new Extras(150);
    const names = (count: number, shard: string) =>
      Array.from({ length: count }, (_, at) => `${shard}-${at}`);
    extras.add({ ...NOTHING, extras: names(90, 'a'), extrasKept: 3 });
    extras.add({ ...NOTHING, extras: names(150, 'b'), extrasUnnamed: 1_000, extrasKept: 4 });
    extras.add(NOTHING);
    assert.equal(extras.count, 1_240);
    assert.equal(extras.kept, 7);
    assert.equal(extras.paths.length, 150);
    assert.equal(extras.shown.length, 100);
    assert.equal(extras.paths[90], 'b-0');
  });
});
