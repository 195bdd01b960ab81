import assert from 'node:assert/strict';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { DigestIndex } from '../../../src/layout/digests/digest-index.ts';
import { type DigestRecord, isBlobId } from '../../../src/layout/digests/digest-record.ts';
import { DigestIndexWriter, type WrittenIndex } from '../../../src/layout/digests/write-digest-index.ts';
import { seededUuid, sha256Hex } from '../../support/seeded.ts';
import { makeTempFolder, tempFolderFor } from '../../support/temp.ts';

const { signal } = new AbortController();
const TINY = { recordsInMemory: 3, runsMergedMax: 2 };

async function write(
  directory: string,
  records: readonly DigestRecord[],
  more: Partial<ConstructorParameters<typeof DigestIndexWriter>[0]> = TINY,
): Promise<WrittenIndex> {
  const writer = await new DigestIndexWriter({ directory, name: 'backup-1', ...more }, signal).open();
  for (const record of records) if (writer.add(record)) await writer.spill();
  return writer.finish();
}

function pathOf(id: string): Buffer {
  return Buffer.from(`docker/registry/v2/blobs/id/${id.slice(0, 2)}/${id}/data`);
}

function record(id: string, content = id): DigestRecord {
  return { id, sha256: sha256Hex(content) };
}

/** Few different ones, so that they come again and are beginnings of one another; and others. */
const ANY_ID = fc
  .oneof(
    { weight: 4, arbitrary: fc.stringMatching(/^a[-a][-.a]{0,2}$/) },
    fc.stringMatching(/^[0-9a-f]{63,64}$/),
    fc.uuid(),
  )
  .filter(isBlobId);

describe('the index of digests', () => {
  it('gives back every id once, in the order of the paths of their blobs, from the least memory', async () => {
    const rows = fc.array(fc.tuple(ANY_ID, fc.constantFrom('one', 'one', 'one', 'two')), { maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(
        rows,
        fc.integer({ min: 1, max: 7 }),
        fc.integer({ min: 2, max: 4 }),
        async (all, held, merged) => {
          await using folder = await makeTempFolder('digests');
          const records = all.map(([id, content]) => record(id, content));
          const written = await write(folder.path, records, { recordsInMemory: held, runsMergedMax: merged });
          const byId = new Map<string, Set<string>>();
          for (const { id, sha256 } of records) byId.set(id, (byId.get(id) ?? new Set()).add(sha256));
          const expected = [...byId]
            .filter(([, digests]) => digests.size === 1)
            .map(([id, digests]) => ({ id, sha256: [...digests].join() }))
            .sort((one, other) => Buffer.compare(pathOf(one.id), pathOf(other.id)));
          const contradicted = [...byId].filter(([, digests]) => digests.size > 1);
          assert.equal(written.records, expected.length);
          assert.equal(written.contradicted, contradicted.length);
          assert.ok(written.contradictedIds.every((id) => contradicted.some(([one]) => one === id)));
          const repeated =
            records.length - [...byId.values()].reduce((sum, digests) => sum + digests.size, 0);
          assert.equal(written.repeated, repeated);
          assert.deepEqual(await readdir(folder.path), ['backup-1.digests'], 'nothing is left of the runs');

          const index = await DigestIndex.open(written.path);
          assert.deepEqual(await everything(index.entries()), expected);
          const cursor = index.cursor();
          const asked = [...byId.keys()].sort((one, other) => Buffer.compare(pathOf(one), pathOf(other)));
          for (const id of asked) {
            assert.equal(await cursor.find(id), expected.find((one) => one.id === id)?.sha256);
          }
          await index.close();
        },
      ),
      { numRuns: 60 },
    );
  });

  it('has ids in the order of paths also where one is the beginning of another', async (t) => {
    const directory = await tempFolderFor(t, 'digests');
    const ids = ['aa', 'aa1', 'aa-1', 'aa.1', 'aa-', 'aaa', 'a-a', 'a-'];
    const { path } = await write(
      directory,
      ids.map((id) => record(id)),
    );
    const index = await DigestIndex.open(path);
    t.after(() => index.close());
    const listed = (await everything(index.entries())).map(({ id }) => id);
    assert.deepEqual(listed, ['a-', 'a-a', 'aa-', 'aa-1', 'aa.1', 'aa', 'aa1', 'aaa']);
  });

  it('has no id that came with two digests, however often', async (t) => {
    const directory = await tempFolderFor(t, 'digests');
    const rows = ['one', 'two', 'one', 'two', 'three'].map((content) => record('bb', content));
    const written = await write(directory, [record('aa'), ...rows, record('cc'), record('cc')]);
    const { records, repeated, contradicted, contradictedIds } = written;
    assert.deepEqual([records, repeated, contradicted, contradictedIds], [2, 3, 1, ['bb']]);
    const index = await DigestIndex.open(written.path);
    t.after(() => index.close());
    assert.deepEqual(await everything(index.entries()), [record('aa'), record('cc')]);
  });

  it('answers for ids in order, from anywhere, and says nothing of those it does not have', async (t) => {
    const directory = await tempFolderFor(t, 'digests');
    const ids = Array.from({ length: 3_000 }, (_, index) => seededUuid('digests', String(index)));
    const { path } = await write(
      directory,
      ids.map((id) => record(id)),
      { recordsInMemory: 500, runsMergedMax: 3 },
    );
    const index = await DigestIndex.open(path);
    t.after(() => index.close());
    const sorted = ids.toSorted();
    const strangers = Array.from({ length: 500 }, (_, number) => seededUuid('others', String(number)));
    const known = new Set(ids);
    for (const from of [0, 1, 1_500, 2_998]) {
      const cursor = index.cursor();
      for (const id of [
        ...sorted.slice(from),
        ...strangers.filter((one) => one > (sorted[from] ?? '')),
      ].sort()) {
        assert.equal(await cursor.find(id), known.has(id) ? sha256Hex(id) : undefined);
        assert.equal(await cursor.find(id), known.has(id) ? sha256Hex(id) : undefined, 'asked twice');
      }
    }
    const cursor = index.cursor();
    await cursor.find(sorted[10] ?? '');
    assert.throws(() => cursor.find(sorted[9] ?? ''), RangeError);
    assert.equal(cursor.find('not/an/id'), undefined);
    const inFolder = sorted.filter((id) => id.startsWith('7a'));
    assert.ok(inFolder.length > 2);
    const listed = await everything(index.entries('7a', inFolder.at(-2)));
    assert.deepEqual(
      listed.map(({ id }) => id),
      inFolder.slice(0, -1),
    );
  });

  it('is for nobody else, and replaces the one of an earlier attempt, whose leftovers go', async (t) => {
    const directory = await tempFolderFor(t, 'digests');
    await write(directory, [record('aa')]);
    await writeFile(join(directory, 'backup-1.digests-run-7'), 'left from a run that was killed');
    await writeFile(join(directory, 'other.digests-run-1'), "another one's");
    const { path } = await write(directory, [record('bb'), record('cc')]);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.deepEqual((await readdir(directory)).sort(), ['backup-1.digests', 'other.digests-run-1']);
    const index = await DigestIndex.open(path);
    t.after(() => index.close());
    assert.deepEqual(await everything(index.entries()), [record('bb'), record('cc')]);
  });

  it('is none where it is empty of records, cut, or something else', async (t) => {
    const directory = await tempFolderFor(t, 'digests');
    const { path } = await write(directory, []);
    const empty = await DigestIndex.open(path);
    assert.deepEqual([await everything(empty.entries()), await empty.cursor().find('aa')], [[], undefined]);
    await empty.close();
    await write(directory, [record('aa'), record('bb')]);
    const whole = await readFile(path);
    const unfinished = Buffer.from(whole);
    unfinished[40] = 0;
    const wrong = [
      whole.subarray(0, 96 + 50),
      whole.subarray(0, 96),
      Buffer.from('x'),
      Buffer.alloc(0),
      unfinished,
    ];
    for (const bytes of [...wrong, Buffer.concat([whole, Buffer.alloc(96)])]) {
      await writeFile(path, bytes);
      await assert.rejects(DigestIndex.open(path), /is no whole index/);
    }
    await assert.rejects(DigestIndex.open(join(directory, 'none')), /Cannot open the index/);
  });

  it('takes nothing for an id that would lead out of its folder', async (t) => {
    const directory = await tempFolderFor(t, 'digests');
    const writer = await new DigestIndexWriter({ directory, name: 'x' }, signal).open();
    for (const id of ['', 'a', '..', '../x', 'a/b', 'a\0b', 'ü'.repeat(3), 'x'.repeat(65), 'a b']) {
      assert.equal(isBlobId(id), false, id);
      assert.throws(() => writer.add({ id, sha256: sha256Hex('') }), RangeError);
    }
    assert.throws(() => writer.add({ id: 'aa', sha256: 'no digest' }), RangeError);
    assert.ok(isBlobId('x'.repeat(64)));
  });

  it('says where it could not be written, and ends when told to', async (t) => {
    const directory = await tempFolderFor(t, 'digests');
    await writeFile(join(directory, 'file'), '');
    const inFile = new DigestIndexWriter({ directory: join(directory, 'file'), name: 'x' }, signal);
    await assert.rejects(inFile.open(), /Cannot sort the digests in ".*file"/);
    const stop = new AbortController();
    const writer = await new DigestIndexWriter(
      { directory, name: 'x', recordsInMemory: 1 },
      stop.signal,
    ).open();
    writer.add(record('aa'));
    const reason = new Error('stopped');
    stop.abort(reason);
    await assert.rejects(writer.spill(), reason);
    await assert.rejects(writer.finish(), reason);
  });
});

async function everything(entries: AsyncIterable<DigestRecord>): Promise<readonly DigestRecord[]> {
  const found: DigestRecord[] = [];
  for await (const entry of entries) found.push(entry);
  return found;
}
