/** What passes wrote is read back: exactly that, once, whatever came between. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { blobPathOf } from '../../src/layout/msr.ts';
import {
  callWith,
  type EngineWorld,
  epochNamed,
  openEngineWorld,
  writeDigests,
} from '../support/engine-world.ts';
import { seededUuid } from '../support/seeded.ts';
import { blobPath, layerLinkPath, linkText, tagPath } from '../unit/copy/registry-names.ts';

const IMAGES = Array.from({ length: 30 }, (_, at) => `image ${at}`);

function image(name: string): readonly (readonly [string, string])[] {
  return [
    [blobPath(name), name],
    [layerLinkPath('app', name), linkText(name)],
    [tagPath('app', name.replace(' ', '-')), linkText(name)],
  ];
}

async function openImages(t: Parameters<typeof openEngineWorld>[0]): Promise<EngineWorld> {
  const world = await openEngineWorld(t, { source: 's3', target: 's3' });
  await world.source.put(IMAGES.flatMap(image));
  const pass = await world.engine.runPass(callWith(), { kind: 'live' });
  assert.equal(pass.objectsChanged, 90);
  await world.target.requests();
  await world.source.requests();
  return world;
}

async function keysRead({ target }: EngineWorld): Promise<readonly string[]> {
  return (await target.requests())
    .filter(({ operation }) => operation === 'GetObject')
    .map(({ key }) => key)
    .sort();
}

describe('what passes wrote', () => {
  it('is read from the target once each, and not from the source; then only what was written since', async (t) => {
    const world = await openImages(t);
    const first = await world.engine.verifyWritten(callWith(), {});
    assert.deepEqual([first.end, first.isGood, first.objectsChecked], ['done', true, 90]);
    assert.deepEqual(await keysRead(world), await world.source.paths());
    const asked = (await world.source.requests()).map(({ operation }) => operation);
    assert.ok(!asked.includes('GetObject') && !asked.includes('HeadObject'), asked.join());

    await world.source.put(image('new'));
    await world.engine.runPass(callWith(), { kind: 'live' });
    await world.target.requests();
    const second = await world.reopen().verifyWritten(callWith(), {});
    assert.deepEqual([second.isGood, second.objectsChecked], [true, 3]);
    assert.deepEqual(
      await keysRead(world),
      image('new')
        .map(([path]) => path)
        .sort(),
    );
    const none = await world.engine.verifyWritten(callWith(), {});
    assert.deepEqual([none.isGood, none.objectsChecked], [true, 0]);
  });

  it('is wrong where the target holds other bytes, and stays to be checked until that is mended', async (t) => {
    const world = await openImages(t);
    const wrong = [blobPath('image 3'), layerLinkPath('app', 'image 4'), tagPath('app', 'image-5')].sort();
    for (const path of wrong) await world.target.put([[path, 'x'.repeat(path.length % 60)]]);
    await world.target.put([[blobPath('image 6'), 'imagE 6']]);
    const epoch = epochNamed('1');
    const report = await world.engine.verifyWritten(callWith(), { epoch });
    assert.deepEqual(
      [report.end, report.isGood, report.wrong.count, report.objectsChecked],
      ['done', false, 4, 90],
    );
    for (const path of wrong)
      assert.ok(
        report.wrong.first.some((text) => text.startsWith(path)),
        path,
      );
    assert.match(report.why ?? '', /4 objects that were written are not right in the target; first "/);

    const again = await world.engine.verifyWritten(callWith(), { epoch });
    assert.deepEqual([again.isGood, again.objectsChecked], [false, 4]);
    await world.target.put(IMAGES.flatMap(image));
    const mended = await world.engine.verifyWritten(callWith(), { epoch });
    assert.deepEqual([mended.isGood, mended.objectsChecked], [true, 4]);
  });

  it('may lack in the target while the source is live, as the next pass brings it; not when it is frozen', async (t) => {
    const world = await openImages(t);
    await world.target.remove(blobPath('image 3'));
    const live = await world.engine.verifyWritten(callWith(), {});
    assert.deepEqual([live.isGood, live.unsettled.count, live.wrong.count], [true, 1, 0]);
    const epoch = epochNamed('1');
    const frozen = await world.engine.verifyWritten(callWith(), { epoch });
    assert.deepEqual([frozen.isGood, frozen.objectsChecked, frozen.wrong.count], [false, 1, 1]);
    await world.engine.runPass(callWith(), { kind: 'live' });
    const settled = await world.engine.verifyWritten(callWith(), { epoch });
    assert.deepEqual([settled.isGood, settled.objectsChecked], [true, 1]);
  });

  it('need not be there any more where the source has lost it as well', async (t) => {
    const world = await openImages(t);
    const tag = tagPath('app', 'image-7');
    await world.source.remove(tag);
    const epoch = epochNamed('1');
    await world.engine.runPass(callWith(), { kind: 'frozen', epoch, deleteMax: 1 });
    const report = await world.engine.verifyWritten(callWith(), { epoch });
    assert.deepEqual([report.isGood, report.objectsChecked], [true, 90]);
    assert.equal((await world.engine.verifyWritten(callWith(), { epoch })).objectsChecked, 0);
  });

  it('is gone on with after a check that was stopped, by the next one', async (t) => {
    const world = await openImages(t);
    const hang = await world.target.misbehave({
      operation: 'GetObject',
      skip: 40,
      times: 1_000,
      fault: { kind: 'hang' },
    });
    const stop = new AbortController();
    const call = {
      signal: stop.signal,
      onProgress: ({ objects }: { readonly objects: number }) =>
        objects >= 10 && stop.abort(new Error('enough')),
    };
    const stopped = world.engine.verifyWritten(call, {});
    // Progress is told when something ends; what hangs ends by this.
    setTimeout(() => stop.abort(new Error('enough')), 2_000).unref();
    await assert.rejects(stopped, /enough/);
    await hang();
    const rest = await world.reopen().verifyWritten(callWith(), {});
    assert.deepEqual([rest.end, rest.isGood], ['done', true]);
    const read = new Set(await keysRead(world));
    assert.deepEqual([...read].sort(), await world.source.paths());
  });
});

describe('blobs without a row in the backup', () => {
  const ids = Array.from({ length: 10 }, (_, at) => seededUuid('written', `${at}`)).sort();
  const idAt = (at: number): string => ids[at] ?? '';
  const rows = ids.map((id, at): [string, string] => [id, `blob ${at}`]);

  async function openBlobs(t: Parameters<typeof openEngineWorld>[0]): Promise<EngineWorld> {
    const world = await openEngineWorld(t, { source: 's3', target: 's3' });
    await world.source.put(rows.map(([id, content]) => [blobPathOf(id), content]));
    const digests = await writeDigests(world.folder, 'backup-1', rows.slice(2));
    await world.engine.runPass(callWith(), { kind: 'live', digests });
    const live = await world.engine.verifyWritten(callWith(), { digests });
    assert.deepEqual([live.isGood, live.objectsChecked, live.digestsPending.count], [true, 10, 2]);
    await world.target.requests();
    return world;
  }

  it('are settled by the next backup, without being read again', async (t) => {
    const world = await openBlobs(t);
    const digests = await writeDigests(world.folder, 'backup-2', rows);
    const settled = await world.reopen().verifyWritten(callWith(), { digests, epoch: epochNamed('1') });
    assert.deepEqual([settled.isGood, settled.objectsChecked, settled.digestsPending.count], [true, 2, 0]);
    assert.deepEqual(await keysRead(world), []);
    assert.equal((await world.engine.verifyWritten(callWith(), { digests })).objectsChecked, 0);
  });

  it('are wrong where the next backup says that they should be something else', async (t) => {
    const world = await openBlobs(t);
    const digests = await writeDigests(world.folder, 'backup-2', [[idAt(0), 'other'], ...rows.slice(1)]);
    const report = await world.engine.verifyWritten(callWith(), { digests, epoch: epochNamed('1') });
    assert.deepEqual([report.isGood, report.wrong.count], [false, 1]);
    assert.match(
      report.wrong.first[0] ?? '',
      /the metadata backup says sha256:.*the source holds the same bytes/,
    );
  });

  it('are no fault in the end, if nobody’s backup knows them; a row whose blob the target lacks is one', async (t) => {
    const world = await openBlobs(t);
    const epoch = epochNamed('1');
    const known = [...rows.slice(2), ['ffffffff-lost', 'lost'] as const];
    const digests = await writeDigests(world.folder, 'backup-2', known);
    const all = await world.engine.verifyAll(callWith(), { epoch, digests });
    assert.deepEqual([all.isGood, all.why], [true, undefined]);
    const lost = { count: 1, first: ['ffffffff-lost'] };
    assert.deepEqual(all.rows, { rows: 9, lacking: lost, lackingInSource: lost });

    await world.target.remove(blobPathOf(idAt(5)));
    const without = await world.engine.verifyAll(callWith(), { epoch, digests });
    assert.equal(without.isGood, false);
    assert.match(without.why ?? '', /1 blobs? that the metadata names (is|are) not in the target/);
    assert.deepEqual(without.rows?.lacking, { count: 2, first: [idAt(5), 'ffffffff-lost'] });
    assert.deepEqual(without.rows?.lackingInSource, lost);
  });

  it('are wrong when all is read back and a row says otherwise', async (t) => {
    const world = await openBlobs(t);
    await world.target.put([[blobPathOf(idAt(6)), 'bloB 6']]);
    const digests = await writeDigests(world.folder, 'backup-2', rows);
    const epoch = epochNamed('1');
    const deep = await world.engine.verifyAll(callWith(), { epoch, digests, isDeep: true });
    assert.deepEqual([deep.isGood, deep.summary?.objectsWrongContent], [false, 1]);
    assert.match(deep.why ?? '', /the metadata backup says/);
  });
});
