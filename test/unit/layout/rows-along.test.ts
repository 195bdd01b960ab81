import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { DigestIndex } from '../../../src/layout/digests/digest-index.ts';
import { isBlobId } from '../../../src/layout/digests/digest-record.ts';
import { RowsAlong } from '../../../src/layout/digests/rows-along.ts';
import { DigestIndexWriter } from '../../../src/layout/digests/write-digest-index.ts';
import { blobIdIn, blobPathOf } from '../../../src/layout/msr.ts';
import { sha256Hex } from '../../support/seeded.ts';
import { makeTempFolder } from '../../support/temp.ts';

const { signal } = new AbortController();

const ANY_ID = fc
  .oneof(fc.stringMatching(/^a[-a][-.a]{0,2}$/), fc.stringMatching(/^[0-9a-f]{2,5}$/))
  .filter(isBlobId);

const ANY_BORDER = fc.option(ANY_ID.map(blobPathOf), { nil: undefined });

function inPathOrder(ids: Iterable<string>): readonly string[] {
  return [...ids].sort((one, other) =>
    Buffer.compare(Buffer.from(blobPathOf(one)), Buffer.from(blobPathOf(other))),
  );
}

async function withIndex(ids: readonly string[], test: (index: DigestIndex) => Promise<void>): Promise<void> {
  await using folder = await makeTempFolder('rows');
  const writer = await new DigestIndexWriter({ directory: folder.path, name: 'one' }, signal).open();
  for (const id of ids) if (writer.add({ id, sha256: sha256Hex(id) })) await writer.spill();
  const index = await DigestIndex.open((await writer.finish()).path);
  try {
    await test(index);
  } finally {
    await index.close();
  }
}

/** Behind `from`, up to and with `to`. */
function insideOf(from: string | undefined, to: string | undefined): (id: string) => boolean {
  return (id) => {
    const path = Buffer.from(blobPathOf(id));
    if (from !== undefined && Buffer.compare(path, Buffer.from(from)) <= 0) return false;
    return to === undefined || Buffer.compare(path, Buffer.from(to)) <= 0;
  };
}

async function all(batches: AsyncIterable<readonly string[]>): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const batch of batches) found.push(...batch);
  return found;
}

describe('rows along a listing', () => {
  it('have each row once: asked for, passed by, or left, whatever the listing has', async () => {
    const sets = fc.tuple(
      fc.uniqueArray(ANY_ID, { maxLength: 40 }),
      fc.uniqueArray(ANY_ID, { maxLength: 40 }),
    );
    await fc.assert(
      fc.asyncProperty(sets, ANY_BORDER, ANY_BORDER, async ([rows, listed], from, to) => {
        await withIndex(rows, async (index) => {
          const isInside = insideOf(from, to);
          const along = new RowsAlong(index, from === undefined ? {} : { after: from });
          const found: string[] = [];
          const lacking: string[] = [];
          for (const id of inPathOrder(listed.filter(isInside))) {
            const { sha256, passed } = await along.find(blobPathOf(id));
            lacking.push(...passed);
            assert.equal(sha256, rows.includes(id) ? sha256Hex(id) : undefined);
            if (sha256 !== undefined) found.push(id);
          }
          lacking.push(...(await all(along.rest(to))));
          const inside = rows.filter(isInside);
          assert.deepEqual(found, inPathOrder(inside.filter((id) => listed.includes(id))));
          assert.deepEqual(lacking, inPathOrder(inside.filter((id) => !listed.includes(id))));
        });
      }),
      { numRuns: 60 },
    );
  });

  it('begin at a prefix, and go on over more than one piece of the file', async () => {
    const ids = Array.from({ length: 1_500 }, (_, at) => `${at % 2 === 0 ? 'aa' : 'bb'}${at}`);
    await withIndex(ids, async (index) => {
      const along = new RowsAlong(index, { prefix: blobPathOf('bb').slice(0, -'bb/data'.length) });
      const sorted = inPathOrder(ids.filter((id) => id.startsWith('bb')));
      const last = sorted.at(-1) ?? '';
      const { sha256, passed } = await along.find(blobPathOf(last));
      assert.equal(sha256, sha256Hex(last));
      assert.deepEqual(passed, sorted.slice(0, -1));
      assert.deepEqual(await all(along.rest()), []);
    });
  });

  it('are asked about blobs that are named by an id alone', () => {
    assert.equal(blobIdIn(blobPathOf('3f9c')), '3f9c');
    for (const path of [
      'docker/registry/v2/blobs/sha256/ab/abc/data',
      'docker/registry/v2/blobs/id/3f/4f9c/data',
      'docker/registry/v2/blobs/id/3f/3f9c/data2',
      `docker/registry/v2/blobs/id/3f/3f${'9'.repeat(70)}/data`,
    ]) {
      assert.equal(blobIdIn(path), undefined, path);
    }
  });
});
