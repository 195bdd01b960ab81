/** Passes of a migration: what they are told of blobs, what they remove, and how they end. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { openMigrationEngine } from '../../src/cli/migration/open-engine.ts';
import { blobPathOf } from '../../src/layout/msr.ts';
import {
  callWith,
  type EngineWorld,
  epochNamed,
  openEngineWorld,
  writeDigests,
} from '../support/engine-world.ts';
import { seededUuid } from '../support/seeded.ts';
import { tempFolderFor } from '../support/temp.ts';
import { blobPath, layerLinkPath, linkText, tagPath } from '../unit/copy/registry-names.ts';

const ids = Array.from({ length: 40 }, (_, at) => seededUuid('engine', `${at}`)).sort();

function id(at: number): string {
  return ids[at] ?? '';
}

function blob(at: number): readonly [path: string, content: string] {
  return [blobPathOf(id(at)), `blob ${at}`];
}

function row(at: number): readonly [id: string, content: string] {
  return [id(at), `blob ${at}`];
}

const ALL = ids.map((_, at) => at);

function journalOf({ folder }: EngineWorld): DatabaseSync {
  return new DatabaseSync(join(folder, 'journal.sqlite'), { readOnly: true });
}

describe('a pass over storage of MSR with the digests of a backup', () => {
  it('proves each blob by its row, and counts those that are newer than the backup', async (t) => {
    const world = await openEngineWorld(t, { source: 'fs', target: 'fs' });
    await world.source.put(ALL.map(blob));
    const digests = await writeDigests(world.folder, 'backup', ALL.slice(3).map(row));
    const report = await world.engine.runPass(callWith(), { kind: 'live', digests });
    assert.deepEqual([report.end, report.isGood], ['done', true]);
    assert.equal(report.summary?.objectsByProof.digest, 37);
    // Threads come to them in any order.
    const { count, first = [] } = report.digestsPending ?? {};
    assert.deepEqual([count, [...first].sort()], [3, ids.slice(0, 3)]);
    assert.deepEqual(report.digestsLacking, { count: 0, first: [] });
    assert.deepEqual(await world.target.paths(), await world.source.paths());

    const later = await writeDigests(world.folder, 'backup-2', ALL.map(row));
    const next = await world.engine.runPass(callWith(), { kind: 'live', digests: later });
    assert.deepEqual([next.objectsChanged, next.digestsPending.count], [0, 0]);
  });

  it('names rows whose blob the source does not have, wherever they lie', async (t) => {
    const world = await openEngineWorld(t, { source: 'fs', target: 'fs' });
    const lost = [0, 17, 18, 39];
    await world.source.put(ALL.filter((at) => !lost.includes(at)).map(blob));
    const digests = await writeDigests(world.folder, 'backup', ALL.map(row));
    const report = await world.engine.runPass(callWith(), { kind: 'live', digests });
    assert.equal(report.digestsLacking.count, lost.length);
    assert.deepEqual([...report.digestsLacking.first].sort(), lost.map(id));
    const survey = await world.engine.survey(callWith(), digests);
    assert.deepEqual(survey.digests, {
      rows: 40,
      lacking: { count: 4, first: lost.map(id) },
      unknown: { count: 0, first: [] },
    });
  });

  it('writes no blob that is not what its row says: left to the next pass while live, damage when frozen', async (t) => {
    const world = await openEngineWorld(t, { source: 's3', target: 's3' });
    await world.source.put([...ALL.slice(1).map(blob), [blobPathOf(id(0)), 'blob O']]);
    const digests = await writeDigests(world.folder, 'backup', ALL.map(row));
    const live = await world.engine.runPass(callWith(), { kind: 'live', digests });
    assert.deepEqual([live.isGood, live.summary?.objectsUnsettled], [true, 1]);
    assert.equal(await world.target.get(blobPathOf(id(0))), undefined);

    const epoch = epochNamed('1');
    const final = await world.engine.runPass(callWith(), { kind: 'frozen', epoch, deleteMax: 0, digests });
    assert.deepEqual([final.end, final.isGood, final.summary?.objectsDamaged], ['done', false, 1]);
    assert.match(final.exceptions[0]?.error.message ?? '', /the metadata backup says sha256:/);
    assert.match(final.why ?? '', /1 object damaged in the source/);
    assert.equal(await world.target.get(blobPathOf(id(0))), undefined);
  });
});

describe('the final pass', () => {
  const image = (name: string): readonly (readonly [string, string])[] => [
    [blobPath(name), name],
    [layerLinkPath('app', name), linkText(name)],
    [tagPath('app', name), linkText(name)],
  ];

  it('removes tags and links that the source no longer has, and never a blob', async (t) => {
    const world = await openEngineWorld(t, { source: 'fs', target: 's3' });
    await world.source.put(['one', 'two'].flatMap(image));
    await world.engine.runPass(callWith(), { kind: 'live' });
    for (const [path] of image('two')) await world.source.remove(path);
    const live = await world.engine.runPass(callWith(), { kind: 'live' });
    assert.deepEqual([live.isGood, live.objectsDeleted], [true, 0]);
    assert.equal((await world.target.paths()).length, 6, 'nothing is removed while the source is live');

    const epoch = epochNamed('1');
    const many = await world.engine.runPass(callWith(), { kind: 'frozen', epoch, deleteMax: 1 });
    assert.deepEqual([many.isGood, many.objectsDeleted], [false, 0]);
    assert.match(many.why ?? '', /2 objects in the target only and not removed, as no more than 1 may be/);

    const final = await world.engine.runPass(callWith(), { kind: 'frozen', epoch, deleteMax: 2 });
    assert.deepEqual([final.isGood, final.objectsDeleted, final.objectsChanged], [true, 2, 2]);
    assert.deepEqual(await world.target.paths(), [...(await world.source.paths()), blobPath('two')].sort());
    const all = await world.engine.verifyAll(callWith(), { epoch });
    assert.deepEqual([all.isGood, all.extraBlobs], [true, 1]);
  });

  it('ends when its epoch breaks, as no stop of the user’s; another epoch begins from the first name', async (t) => {
    const world = await openEngineWorld(t, { source: 's3', target: 's3' });
    await world.source.put(Array.from({ length: 60 }, (_, at) => `image ${at}`).flatMap(image));
    const broke = new AbortController();
    // From some write on all of them hang, so that the pass is in the middle when its epoch breaks.
    const hang = await world.target.misbehave({
      operation: 'PutObject',
      skip: 60,
      times: 1000,
      fault: { kind: 'hang' },
    });
    const running = world.engine.runPass(
      { ...callWith(), onProgress: ({ objectsMoved }) => objectsMoved >= 40 && broke.abort('lifted') },
      { kind: 'frozen', epoch: epochNamed('first', broke.signal), deleteMax: 0 },
    );
    const broken = await running;
    await hang();
    assert.deepEqual([broken.end, broken.isGood, broken.epoch], ['epoch-broke', false, 'first']);
    assert.ok((await world.target.paths()).length < 180);

    // A push that sorts before everything that was copied, while read-only was lifted.
    await world.source.put([[`docker/registry/v2/blobs/sha256/00/${'0'.repeat(64)}/data`, 'x']]);
    await world.source.put([[tagPath('a', 'first'), linkText('image 0')]]);
    await world.source.remove(`docker/registry/v2/blobs/sha256/00/${'0'.repeat(64)}/data`);
    const engine = world.reopen();
    const epoch = epochNamed('second');
    const final = await engine.runPass(callWith(), { kind: 'frozen', epoch, deleteMax: 0 });
    assert.deepEqual([final.end, final.isGood, final.why], ['done', true, undefined]);
    assert.deepEqual(await world.target.paths(), await world.source.paths());
    const written = await engine.verifyWritten(callWith(), { epoch });
    assert.deepEqual(
      [written.isGood, written.objectsChecked],
      [true, 181],
      'also what the broken pass wrote',
    );

    const journal = journalOf(world);
    const epochs = journal.prepare("SELECT options ->> 'epoch' AS epoch FROM pass ORDER BY id").all();
    assert.deepEqual(
      epochs.map(({ epoch: name }) => name),
      ['first', 'second'],
    );
    journal.close();
  });

  it('answers with its epoch where that breaks before anything moved', async (t) => {
    const world = await openEngineWorld(t, { source: 'fs', target: 'fs' });
    await world.source.put(image('one'));
    const epoch = epochNamed('1', AbortSignal.abort('lifted'));
    const pass = await world.engine.runPass(callWith(), { kind: 'frozen', epoch, deleteMax: 0 });
    assert.deepEqual([pass.end, pass.epoch, pass.objectsChanged], ['epoch-broke', '1', 0]);
    const written = await world.engine.verifyWritten(callWith(), { epoch });
    assert.deepEqual([written.end, written.isGood], ['epoch-broke', false]);
    const all = await world.engine.verifyAll(callWith(), { epoch });
    assert.deepEqual([all.end, all.isGood], ['epoch-broke', false]);
  });
});

describe('a call of the engine', () => {
  it('rejects with the reason of the user’s stop, and the next one goes well', async (t) => {
    const world = await openEngineWorld(t, { source: 'fs', target: 's3' });
    await world.source.put(ALL.map((at): [string, string] => [blobPath(`${at}`), `${at}`]));
    const hang = await world.target.misbehave({
      operation: 'PutObject',
      skip: 20,
      times: 1000,
      fault: { kind: 'hang' },
    });
    const stop = new AbortController();
    const reason = new Error('enough');
    const call = {
      signal: stop.signal,
      onProgress: ({ objectsMoved }: { readonly objectsMoved: number }) =>
        objectsMoved >= 5 && stop.abort(reason),
    };
    await assert.rejects(world.engine.runPass(call, { kind: 'live' }), reason);
    await hang();
    const report = await world.engine.runPass(callWith(), { kind: 'live' });
    assert.deepEqual([report.end, report.isGood], ['done', true]);
  });

  it('is refused while another one runs', async (t) => {
    const world = await openEngineWorld(t, { source: 'fs', target: 'fs' });
    await world.source.put([[blobPath('one'), 'one']]);
    const first = world.engine.survey(callWith());
    await assert.rejects(world.engine.survey(callWith()), /one thing at a time/);
    assert.equal((await first).objects, 1);
  });

  it('finds out what the target holds, and what the two storages let us do', async (t) => {
    const world = await openEngineWorld(t, { source: 'fs', target: 's3' });
    await world.source.put([[blobPath('one'), 'one']]);
    const empty = await world.engine.lookAtTarget(callWith());
    assert.equal(empty.holds, 'nothing');
    assert.deepEqual(
      empty.rights.map(({ right, is }) => `${right} ${is}`),
      ['list granted', 'read unknown', 'write granted', 'delete granted'],
    );
    await world.target.put([['somebody/else', 'x']]);
    const stranger = await world.engine.lookAtTarget(callWith());
    assert.deepEqual([stranger.holds, stranger.stranger], ['stranger', 'somebody/else']);
    await world.target.remove('somebody/else');
    await world.engine.runPass(callWith(), { kind: 'live' });
    assert.equal((await world.reopen().lookAtTarget(callWith())).holds, 'ours');
    const source = await world.engine.lookAtSource(callWith());
    assert.deepEqual(
      source.rights.map(({ right, is }) => `${right} ${is}`),
      ['list granted', 'read granted'],
    );
  });

  it('surveys what must be restored before it can be read, save for what the target has', async (t) => {
    const world = await openEngineWorld(t, { source: 's3', target: 's3' });
    const layers = ['one', 'two', 'three'];
    await world.source.put(
      layers.map((name) => [blobPath(name), name]),
      'GLACIER',
    );
    await world.target.put([[blobPath('one'), 'one']]);
    const { archived } = await world.engine.survey(callWith());
    assert.equal(archived.count, 2);
    const expected = ['two', 'three'].map((name) => `${blobPath(name)} (GLACIER)`);
    assert.deepEqual([...archived.first].sort(), expected.sort());
  });

  it('surveys the source: how much it holds, and what is damaged by its size alone', async (t) => {
    const world = await openEngineWorld(t, { source: 's3', target: 'fs' });
    await world.source.put([
      [blobPath('one'), 'one'],
      [blobPath('two'), ''],
      [blobPath(''), ''],
      [tagPath('app', 'good'), linkText('one')],
      [tagPath('app', 'empty'), ''],
    ]);
    const survey = await world.engine.survey(callWith());
    assert.deepEqual([survey.layout, survey.objects, survey.bytes], ['distribution', 5, 3 + 71]);
    assert.equal(survey.damaged.count, 2);
    assert.ok(survey.damaged.first.includes(`${blobPath('two')}: it is empty`));
    assert.deepEqual(survey.archived, { count: 0, first: [] });
    const none = await tempFolderFor(t, 'engine-no-target');
    const absent = openMigrationEngine({
      ...world.parts,
      target: { kind: 'fs', rootDirectory: join(none, 'yet', 'to-be-made') },
      onNotice: () => undefined,
    });
    assert.equal((await absent.survey(callWith())).objects, 5, 'also before there is a target');
    const target = await world.engine.lookAtTarget(callWith());
    assert.ok((target.freeBytes ?? 0) > 0);
  });
});
