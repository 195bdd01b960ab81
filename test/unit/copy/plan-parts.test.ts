import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { objectBytesMaxOf, type PartPlan, planParts } from '../../../src/copy/plan-parts.ts';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
const TIB = 1024 ** 4;
/** S3's: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
const S3 = { partBytesMin: 5 * MIB, partBytesMax: 5 * GIB, partsMax: 10_000 };

/** Every byte once, in order, numbered from 1. */
function assertCovers(parts: readonly PartPlan[], sizeBytes: number): void {
  let offset = 0;
  for (const [index, part] of parts.entries()) {
    assert.equal(part.number, index + 1);
    assert.equal(part.offset, offset);
    assert.ok(part.sizeBytes > 0);
    offset += part.sizeBytes;
  }
  assert.equal(offset, sizeBytes);
}

describe('planParts()', () => {
  it('covers every byte once within the limits, or says that it cannot', () => {
    const limits = fc
      .record({
        partBytesMin: fc.integer({ min: 1, max: 10 * MIB }),
        headroom: fc.integer({ min: 0, max: 5 * GIB }),
        partsMax: fc.integer({ min: 1, max: 2_000 }),
      })
      .map(({ partBytesMin, headroom, partsMax }) => ({
        partBytesMin,
        partBytesMax: partBytesMin + headroom,
        partsMax,
      }));
    const size = fc.oneof(
      fc.integer({ min: 1, max: 64 * MIB }),
      fc.maxSafeInteger().map((value) => (Math.abs(value) % (5 * TIB)) + 1),
    );
    const wanted = fc.integer({ min: 1, max: 6 * GIB });
    fc.assert(
      fc.property(size, wanted, limits, (sizeBytes, wantedBytes, bounds) => {
        if (sizeBytes > bounds.partBytesMax * bounds.partsMax) {
          assert.throws(() => planParts(sizeBytes, wantedBytes, bounds), RangeError);
          return;
        }
        const parts = planParts(sizeBytes, wantedBytes, bounds);
        assertCovers(parts, sizeBytes);
        assert.ok(parts.length <= bounds.partsMax, `${parts.length} parts`);
        for (const part of parts) assert.ok(part.sizeBytes <= bounds.partBytesMax);
        for (const part of parts.slice(0, -1)) {
          assert.ok(part.sizeBytes >= bounds.partBytesMin);
          // A larger part than wanted only where the limits force it.
          const least = Math.max(bounds.partBytesMin, Math.ceil(sizeBytes / bounds.partsMax));
          assert.equal(part.sizeBytes, Math.min(Math.max(wantedBytes, least), bounds.partBytesMax));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('cuts the largest object that S3 holds into no more parts than S3 takes', () => {
    const parts = planParts(5 * TIB, 8 * MIB, S3);
    assertCovers(parts, 5 * TIB);
    assert.equal(parts.length, 10_000);
    assert.equal(parts[0]?.sizeBytes, Math.ceil((5 * TIB) / 10_000));
  });

  it('gives a last byte a part of its own, which may be smaller than the least', () => {
    const parts = planParts(16 * MIB + 1, 8 * MIB, S3);
    assert.deepEqual(
      parts.map(({ offset, sizeBytes }) => [offset, sizeBytes]),
      [
        [0, 8 * MIB],
        [8 * MIB, 8 * MIB],
        [16 * MIB, 1],
      ],
    );
  });

  it('needs one part more than partsMax × wanted only when the parts grow instead', () => {
    const exact = planParts(10_000 * 8 * MIB, 8 * MIB, S3);
    assert.deepEqual([exact.length, exact[0]?.sizeBytes], [10_000, 8 * MIB]);
    const more = planParts(10_000 * 8 * MIB + 1, 8 * MIB, S3);
    assertCovers(more, 10_000 * 8 * MIB + 1);
    assert.ok(more.length <= 10_000 && (more[0]?.sizeBytes ?? 0) === 8 * MIB + 1);
  });

  it('raises what is wanted to the least that the backend takes', () => {
    assert.deepEqual(
      planParts(11 * MIB, 256 * 1024, S3).map((part) => part.sizeBytes),
      [5 * MIB, 5 * MIB, 1 * MIB],
    );
  });

  it('says with both numbers when an object is too large for the backend', () => {
    assert.throws(() => planParts(11, 5, { partBytesMin: 1, partBytesMax: 5, partsMax: 2 }), {
      name: 'RangeError',
      message: 'An object of 11 bytes does not fit into 2 parts of 5',
    });
  });
});

describe('objectBytesMaxOf()', () => {
  it('is what the largest parts hold together, or less where the backend says so', () => {
    const limits = { partBytesMin: 1, partBytesMax: 5, partsMax: 3 };
    assert.equal(objectBytesMaxOf(limits), 15);
    assert.equal(objectBytesMaxOf({ ...limits, objectBytesMax: 12 }), 12);
    assert.equal(objectBytesMaxOf({ ...limits, objectBytesMax: 20 }), 15);
  });
});
