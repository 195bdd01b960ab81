/**
 * What a read-only window may cost: requests counted at the servers while 20,000 objects, 200 of which have changed, are
 * brought up to date and verified. The bounds hold at each of the two storages.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { blobPathOf } from '../../src/layout/msr.ts';
import type { PassReport } from '../../src/platform/engine-port.ts';
import {
  callWith,
  type EngineWorld,
  epochNamed,
  openEngineWorld,
  writeDigests,
} from '../support/engine-world.ts';
import { assertBudget } from '../support/request-budget.ts';
import { seededUuid } from '../support/seeded.ts';
import { blobPath, layerLinkPath, linkText, revisionLinkPath, tagPath } from '../unit/copy/registry-names.ts';

/** Five objects each. */
const IMAGES = 4_000;
const OBJECTS = 5 * IMAGES;
const CHANGED = 200;

type Content = readonly [path: string, content: string];

function repositoryOf(at: number): string {
  return `team-${at % 40}/app-${at % 400}`;
}

function image(at: number): readonly Content[] {
  const layer = `layer ${at}`;
  const repository = repositoryOf(at);
  return [
    [blobPath(layer), layer],
    [layerLinkPath(repository, layer), linkText(layer)],
    [revisionLinkPath(repository, layer), linkText(layer)],
    [
      tagPath(repository, `v${at}`).replace('current/link', `index/sha256/${linkText(layer).slice(7)}/link`),
      linkText(layer),
    ],
    [tagPath(repository, `v${at}`), linkText(layer)],
  ];
}

function images(from: number, to: number): readonly Content[] {
  return Array.from({ length: to - from }, (_, at) => image(from + at)).flat();
}

/** 30 images more, 30 tags that name another one, 20 tags gone. */
async function change({ source }: EngineWorld): Promise<void> {
  await source.put(images(IMAGES, IMAGES + 30));
  const retags = Array.from(
    { length: 30 },
    (_, at): Content => [tagPath(repositoryOf(at), `v${at}`), linkText(`layer ${at + 400}`)],
  );
  await source.put(retags);
  for (let at = 100; at < 120; at += 1) await source.remove(tagPath(repositoryOf(at), `v${at}`));
}

/** Final pass, what it wrote, and the whole comparison; as a migration does them inside its window. */
async function window({ engine }: EngineWorld, digests?: string): Promise<PassReport> {
  const epoch = epochNamed('1');
  const given = digests === undefined ? {} : { digests };
  const pass = await engine.runPass(callWith(), { kind: 'frozen', epoch, deleteMax: 100, ...given });
  assert.deepEqual([pass.end, pass.isGood, pass.why], ['done', true, undefined]);
  const written = await engine.verifyWritten(callWith(), { epoch, ...given });
  assert.deepEqual([written.end, written.isGood, written.why], ['done', true, undefined]);
  const all = await engine.verifyAll(callWith(), { epoch, ...given });
  assert.deepEqual([all.end, all.isGood, all.why], ['done', true, undefined]);
  return pass;
}

describe('the window of a migration of 20,000 objects of which 200 have changed', () => {
  for (const source of ['s3', 'fs'] as const) {
    it(`takes no more requests than its budget, from ${source} to s3`, async (t) => {
      const world = await openEngineWorld(t, { source, target: 's3' });
      await world.source.put(images(0, IMAGES));
      const live = await world.engine.runPass(callWith(), { kind: 'live' });
      assert.deepEqual([live.end, live.isGood, live.objectsListed], ['done', true, OBJECTS]);
      assert.ok((await world.engine.verifyWritten(callWith(), {})).isGood);
      await change(world);
      await world.source.requests();
      await world.target.requests();

      const pass = await window(world);
      assert.equal(pass.objectsChanged, CHANGED);
      assert.equal(pass.objectsDeleted, 20);
      // A file system lists no MD5, so tags are read to be compared.
      const mutableWithoutMd5 = source === 'fs' ? IMAGES + 10 : 0;
      const bounds = { objects: OBJECTS, changed: CHANGED, mutableWithoutMd5, shards: pass.shards };
      assertBudget('target', await world.target.requests(), bounds);
      assertBudget('source', await world.source.requests(), bounds);
      assert.deepEqual(await world.target.paths(), await world.source.paths());
    });
  }

  it('takes no more in the layout of MSR, where a backup says what blobs must hash to', async (t) => {
    const world = await openEngineWorld(t, { source: 's3', target: 's3' });
    const blobs = Array.from(
      { length: OBJECTS + CHANGED },
      (_, at): Content => [seededUuid('budget', `${at}`), `blob ${at}`],
    );
    const objects = (from: number, to: number) =>
      blobs.slice(from, to).map(([id, content]): Content => [blobPathOf(id), content]);
    await world.source.put(objects(0, OBJECTS));
    const backup1 = await writeDigests(world.folder, 'backup-1', blobs.slice(0, OBJECTS - 50));
    const live = await world.engine.runPass(callWith(), { kind: 'live', digests: backup1 });
    assert.deepEqual([live.isGood, live.digestsPending.count], [true, 50]);
    const checked = await world.engine.verifyWritten(callWith(), { digests: backup1 });
    assert.deepEqual([checked.isGood, checked.digestsPending.count], [true, 50]);
    await world.source.put(objects(OBJECTS, OBJECTS + CHANGED));
    const backup2 = await writeDigests(world.folder, 'backup-2', blobs);
    await world.source.requests();
    await world.target.requests();

    const pass = await window(world, backup2);
    assert.deepEqual([pass.objectsChanged, pass.digestsPending.count], [CHANGED, 0]);
    const bounds = { objects: OBJECTS, changed: CHANGED, mutableWithoutMd5: 0, shards: pass.shards };
    assertBudget('target', await world.target.requests(), bounds);
    assertBudget('source', await world.source.requests(), bounds);
  });
});
