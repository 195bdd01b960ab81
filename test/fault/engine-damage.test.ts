/** Damage that was in the source before anybody copied it, and that somebody has let be: by name, and nothing else with it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { blobPathOf } from '../../src/layout/msr.ts';
import { callWith, epochNamed, openEngineWorld, writeDigests } from '../support/engine-world.ts';
import { seededUuid, sha256Hex } from '../support/seeded.ts';
import { blobPath, layerLinkPath, linkText, tagPath } from '../unit/copy/registry-names.ts';

const epoch = epochNamed('1');
const digestOf = (text: string): string => `sha256:${sha256Hex(Buffer.from(text))}`;

const image = (name: string): readonly (readonly [string, string])[] => [
  [blobPath(name), name],
  [layerLinkPath('app', name), linkText(name)],
  [tagPath('app', name), linkText(name)],
];

describe('damage that is let be', () => {
  it('is left out by name, and everything else is as it has to be', async (t) => {
    const world = await openEngineWorld(t, { source: 'fs', target: 's3' });
    await world.source.put(['one', 'two', 'three'].flatMap(image));
    await world.source.put([[blobPath('two'), 'rot']]);
    assert.ok((await world.engine.runPass(callWith(), { kind: 'live' })).isGood);
    for (const path of [layerLinkPath('app', 'one'), tagPath('app', 'one')]) await world.source.remove(path);

    const pass = (damageMax: number) =>
      world.engine.runPass(callWith(), { kind: 'frozen', epoch, deleteMax: 10, damageMax });
    const refused = await pass(0);
    assert.deepEqual([refused.isGood, refused.objectsDeleted, refused.damage], [false, 0, []]);
    assert.match(refused.why ?? '', /^1 object damaged in the source/);
    assert.match(refused.hint ?? '', /; or leave it out knowingly: --accept-damage 1$/);

    const final = await pass(1);
    assert.deepEqual([final.isGood, final.why], [true, undefined]);
    assert.deepEqual(
      final.damage.map(({ path, digest }) => [path, digest]),
      [[blobPath('two'), digestOf('two')]],
    );
    assert.match(final.damage[0]?.why ?? '', /was not copied/);
    assert.equal(final.objectsDeleted, 2, 'what the source no longer has is removed all the same');
    assert.equal(await world.target.get(blobPath('two')), undefined);
    assert.equal(final.summary?.objectsDamaged, 1, 'and it stays damage in the counts');

    const verified = (known: readonly string[]) => world.engine.verifyAll(callWith(), { epoch, known });
    const good = await verified([blobPath('two')]);
    assert.deepEqual([good.isGood, good.knownMissing], [true, 1]);
    assert.equal((await verified([])).isGood, false);
    assert.equal((await verified([blobPath('three')])).isGood, false, 'that one is there');
    const written = await world.engine.verifyWritten(callWith(), { epoch, known: [blobPath('two')] });
    assert.equal(written.isGood, true);

    // One more that is missing is nobody's agreement.
    await world.target.remove(blobPath('three'));
    const less = await verified([blobPath('two')]);
    assert.deepEqual([less.isGood, less.knownMissing], [false, 1]);
    assert.match(less.why ?? '', /not equal: 1 missing in the target/);
  });

  it('is no more than was agreed to', async (t) => {
    const world = await openEngineWorld(t, { source: 'fs', target: 's3' });
    await world.source.put(['one', 'two', 'three'].flatMap(image));
    await world.source.put([
      [blobPath('two'), 'rot'],
      [blobPath('three'), ''],
    ]);
    const final = await world.engine.runPass(callWith(), {
      kind: 'frozen',
      epoch,
      deleteMax: 0,
      damageMax: 1,
    });
    assert.deepEqual([final.isGood, final.damage], [false, []]);
    assert.match(final.why ?? '', /^2 objects damaged in the source/);
  });

  it('has its rows of the backup with it, and no other rows', async (t) => {
    const world = await openEngineWorld(t, { source: 's3', target: 's3' });
    const texts = Array.from({ length: 20 }, (_, at) => `blob ${at}`);
    const path = (text: string): string => blobPathOf(seededUuid('damage', text));
    await world.source.put(texts.map((text) => [path(text), text === 'blob 7' ? 'blob X' : text]));
    const rows = texts.map((text): [string, string] => [seededUuid('damage', text), text]);
    const digests = await writeDigests(world.folder, 'backup', rows);
    const final = await world.engine.runPass(callWith(), {
      kind: 'frozen',
      epoch,
      deleteMax: 0,
      damageMax: 3,
      digests,
    });
    assert.equal(final.isGood, true);
    assert.deepEqual(
      final.damage.map((one) => [one.path, one.digest]),
      [[path('blob 7'), digestOf('blob 7')]],
    );
    const known = [path('blob 7')];
    const verified = await world.engine.verifyAll(callWith(), { epoch, digests, known });
    assert.deepEqual([verified.isGood, verified.rows?.lacking.count], [true, 1]);
    await world.target.remove(path('blob 9'));
    const less = await world.engine.verifyAll(callWith(), { epoch, digests, known });
    assert.match(less.why ?? '', /^1 blob that the metadata names is not in the target$/);
  });
});
