/** How a copy is known to be right, and what becomes of one whose bytes are changed on their way, on every driver. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import type { CopyOptions } from '../../src/core/job.ts';
import { seededBytes, sha256Hex } from '../support/seeded.ts';
import { blobPath, layerLinkPath, linkText, otherPath, tagPath } from '../unit/copy/registry-names.ts';
import {
  type Answer,
  LARGE_BYTES,
  type Pass,
  type Script,
  Servers,
  WAYS,
  type Way,
  Words,
  way,
} from './words-world.ts';

const servers = new Servers();
after(() => servers.close());

const CONTENT = {
  small: seededBytes('proof', 'small', 9_000),
  large: seededBytes('proof', 'large', LARGE_BYTES),
};
const SIZES = ['small', 'large'] as const;
const NOTE = otherPath('app/note');

function flip(nth: number): Answer {
  // Two reads that are wrong in the same way would be the source's fault.
  return { flips: [{ at: 100 + nth, by: 1 }] };
}

/** The bytes of an object come out wrong for its first so many reads. */
function flips(path: string, times: number): Script {
  return (key, nth) => (key === path && nth <= times ? Promise.resolve(flip(nth)) : undefined);
}

function told({ summary }: Pass): readonly string[] {
  return summary.exceptions.map(({ state, path, error }) => `${state} ${path}: ${error.message}`);
}

for (const given of WAYS) {
  describe(`bytes that change on their way, from ${given.name}`, () => {
    for (const size of SIZES) {
      for (const isFrozen of [false, true]) {
        const pass = isFrozen ? 'frozen' : 'live';

        it(`are read again when they were wrong once (${size}, ${pass})`, async (t) => {
          const words = await Words.between(t, given, servers);
          const path = blobPath(CONTENT[size]);
          await words.put(path, CONTENT[size]);
          const done = await words.pass({ isFrozen }, flips(path, 1));
          assert.deepEqual(told(done), []);
          assert.equal(done.exitCode, 0);
          assert.equal(done.summary.objectsCopied, 1);
          assert.equal(done.summary.objectsUnproved, 0);
          assert.deepEqual(
            [...done.tree],
            [[path, { sizeBytes: CONTENT[size].length, sha256: sha256Hex(CONTENT[size]) }]],
          );
        });

        it(`are a failure, and nothing is written, when they are wrong each time (${size}, ${pass})`, async (t) => {
          const words = await Words.between(t, given, servers);
          const path = blobPath(CONTENT[size]);
          await words.put(path, CONTENT[size]);
          const done = await words.pass({ isFrozen }, flips(path, Number.POSITIVE_INFINITY));
          assert.equal(done.exitCode, 1);
          assert.equal(done.summary.objectsFailed, 1);
          assert.equal(done.counters.objects('failed', 'blob'), 1);
          assert.match(told(done).join('\n'), /^failed .* two reads of it gave different bytes$/);
          assert.equal(done.summary.isComplete, false);
          assert.deepEqual([...done.tree], []);
        });
      }
    }
  });
}

/** What proves an object that no digest names. */
interface ProofCase {
  readonly way: Way;
  readonly small: 'stored' | 'none';
  readonly large: 'stored' | 'none';
}

const PROOFS: readonly ProofCase[] = [
  { way: way('memory', 'fs'), small: 'stored', large: 'stored' },
  { way: way('fs', 's3'), small: 'none', large: 'none' },
  { way: way('s3', 'fs'), small: 'stored', large: 'stored' },
  { way: way('s3', 's3', 'sdk'), small: 'stored', large: 'stored' },
  { way: way('s3 (opaque ETags)', 'fs'), small: 'none', large: 'none' },
];

for (const { way: given, ...proofs } of PROOFS) {
  describe(`proof of objects without a digest, from ${given.name}`, () => {
    for (const size of SIZES) {
      const copied = async (words: Words, options: Partial<CopyOptions>, script?: Script): Promise<Pass> => {
        await words.put(NOTE, CONTENT[size]);
        const done = await words.pass(options, script);
        assert.deepEqual(told(done), []);
        assert.equal(done.exitCode, 0);
        assert.equal(done.tree.get(NOTE)?.sha256, sha256Hex(CONTENT[size]), 'wrong bytes were written');
        return done;
      };

      const isUnproved = proofs[size] === 'none';
      it(`${isUnproved ? 'is none: counted as unproved' : 'is the checksum that the source keeps'} (${size})`, async (t) => {
        const done = await copied(await Words.between(t, given, servers), {});
        assert.equal(done.summary.objectsUnproved, isUnproved ? 1 : 0);
        assert.equal(done.summary.objectsCopied, 1);
      });

      it(`is a second read where that was asked for (${size})`, async (t) => {
        const done = await copied(await Words.between(t, given, servers), { readsTwice: true });
        assert.equal(done.summary.objectsUnproved, 0);
        if (isUnproved) assert.ok((done.reads.get(NOTE) ?? 0) >= 2);
      });

      it(`finds bytes that changed on their way, by ${isUnproved ? 'the second read' : 'the checksum'} (${size})`, async (t) => {
        const done = await copied(
          await Words.between(t, given, servers),
          { readsTwice: isUnproved },
          flips(NOTE, 1),
        );
        assert.equal(done.summary.objectsUnproved, 0);
      });
    }

    it('is known for links and blobs by their digests, and for a tag as for any other', async (t) => {
      const words = await Words.between(t, given, servers);
      await words.put(blobPath(CONTENT.small), CONTENT.small);
      await words.put(layerLinkPath('app', CONTENT.small), linkText(CONTENT.small));
      await words.put(tagPath('app', 'v1'), linkText(CONTENT.small));
      const done = await words.pass({ isFrozen: true });
      assert.equal(done.summary.objectsCopied, 3);
      assert.equal(done.summary.objectsUnproved, proofs.small === 'none' ? 1 : 0);
      assert.equal(done.exitCode, 0);
    });
  });
}
