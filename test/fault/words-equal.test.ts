/** What a pass may skip, over every pair of drivers: immutable objects by their size, all others only by their content. */
import assert from 'node:assert/strict';
import { after, describe, it, type TestContext } from 'node:test';
import { seededBytes, sha256Hex } from '../support/seeded.ts';
import { blobPath, layerLinkPath, linkText, otherPath, tagPath } from '../unit/copy/registry-names.ts';
import { type EndKind, LARGE_BYTES, type Pass, Servers, type Way, Words, way } from './words-world.ts';

const servers = new Servers();
after(() => servers.close());

const BLOB = seededBytes('equal', 'blob', 3_000);
const NEXT = seededBytes('equal', 'next', 3_000);
const TAG = tagPath('app', 'v1');
const STILL = tagPath('app', 'still');
const NOTE = otherPath('app/note');

interface EqualWay extends Way {
  /** Which listings state a true MD5, and so whose bytes need not be read to see that a tag has not moved. */
  readonly reads: 'none' | 'source' | 'both';
}

function equalWay(from: EndKind, to: EndKind, reads: EqualWay['reads'], engine?: Way['engine']): EqualWay {
  return { ...way(from, to, engine), reads };
}

const EQUAL_WAYS: readonly EqualWay[] = [
  equalWay('s3', 's3', 'none'),
  equalWay('s3', 's3', 'none', 'sdk'),
  equalWay('memory', 's3', 'none'),
  equalWay('memory', 'fs', 'both'),
  equalWay('fs', 's3', 'source'),
  equalWay('fs', 's3', 'source', 'sdk'),
  equalWay('s3', 'fs', 'both'),
  equalWay('fs', 'fs', 'both'),
  equalWay('s3 (opaque ETags)', 's3 (opaque ETags)', 'both'),
  equalWay('fs', 's3 (opaque ETags)', 'both'),
  equalWay('s3 (opaque ETags)', 'fs', 'both'),
];

async function registry(words: Words): Promise<void> {
  for (const content of [BLOB, NEXT]) {
    await words.put(blobPath(content), content);
    await words.put(layerLinkPath('app', content), linkText(content));
  }
  await words.put(TAG, linkText(BLOB));
  await words.put(STILL, linkText(BLOB));
  await words.put(NOTE, 'n'.repeat(500));
}

function assertSkipped({ summary, exitCode }: Pass, copied: number, skipped: number): void {
  assert.deepEqual(summary.exceptions, []);
  assert.equal(exitCode, 0);
  assert.deepEqual({ copied: summary.objectsCopied, skipped: summary.objectsSkipped }, { copied, skipped });
}

async function tryTags(t: TestContext, given: EqualWay, isFrozen: boolean): Promise<void> {
  const words = await Words.between(t, given, servers);
  await registry(words);
  assertSkipped(await words.pass({ isFrozen }), 7, 0);

  const again = await words.pass({ isFrozen });
  assertSkipped(again, 0, 7);
  // Links and blobs are immutable, so only what may change is looked at.
  const mutable = [TAG, STILL, NOTE].sort();
  assert.deepEqual([...again.reads.keys()].sort(), given.reads === 'none' ? [] : mutable);
  const { counters } = again;
  const targetReads = counters.requests('target', 'read', 'ok');
  assert.equal(targetReads, given.reads === 'both' ? 3 : 0, 'reads of the target');

  // The tag moves: other content of the same 71 bytes; the note changes likewise.
  await words.put(TAG, linkText(NEXT));
  await words.put(NOTE, 'm'.repeat(500));
  const moved = await words.pass({ isFrozen });
  assertSkipped(moved, 2, 5);
  assert.equal(moved.tree.get(TAG)?.sha256, sha256Hex(linkText(NEXT)));
  assert.equal(moved.tree.get(TAG)?.sizeBytes, 71);
  assert.equal(moved.tree.get(NOTE)?.sha256, sha256Hex('m'.repeat(500)));
  assert.equal(moved.tree.get(STILL)?.sha256, sha256Hex(linkText(BLOB)));
  assert.equal(moved.summary.objectsByClass.tag.copied, 1);
}

for (const given of EQUAL_WAYS) {
  describe(`what is equal, from ${given.name}`, () => {
    for (const isFrozen of [false, true]) {
      it(`skips what is equal and copies the tag that moved, in a ${isFrozen ? 'frozen' : 'live'} pass`, (t) =>
        tryTags(t, given, isFrozen));
    }

    it('skips an equal object of several parts, and copies one that changed and kept its size', async (t) => {
      const words = await Words.between(t, given, servers);
      await registry(words);
      await words.put(NOTE, seededBytes('equal', 'large', LARGE_BYTES));
      assertSkipped(await words.pass(), 7, 0);
      assertSkipped(await words.pass(), 0, 7);
      const other = seededBytes('equal', 'other', LARGE_BYTES);
      await words.put(NOTE, other);
      const changed = await words.pass();
      assertSkipped(changed, 1, 6);
      assert.equal(changed.tree.get(NOTE)?.sha256, sha256Hex(other));
    });
  });
}

describe('what a pass does not look at', () => {
  it('is an immutable object of the same size: other bytes in the target are for verify to find', async (t) => {
    const words = await Words.between(t, way('fs', 'fs'), servers);
    await registry(words);
    await words.pass();
    await words.target.put(blobPath(BLOB), NEXT);
    const again = await words.pass();
    assertSkipped(again, 0, 7);
    assert.equal(again.tree.get(blobPath(BLOB))?.sha256, sha256Hex(NEXT));
  });
});
