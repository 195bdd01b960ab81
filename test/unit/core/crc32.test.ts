import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { combineCrc32 } from '../../../src/core/crc32.ts';

const bytes = fc.uint8Array({ maxLength: 2_000 });
const checksum = fc.integer({ min: 0, max: 0xffffffff });
/** Some bytes have any checksum from four bytes on. */
const length = fc.integer({ min: 4, max: Number.MAX_SAFE_INTEGER });

/** Twice the same bytes. */
function doubled(crc: number, lengthBytes: number): number {
  return combineCrc32(crc, crc, lengthBytes);
}

describe('combineCrc32()', () => {
  it('gives the checksum of two buffers one behind the other, as zlib computes it', () => {
    fc.assert(
      fc.property(bytes, bytes, (left, right) => {
        const whole = crc32(Buffer.concat([left, right]));
        assert.equal(combineCrc32(crc32(left), crc32(right), right.length), whole);
      }),
      { numRuns: 2_000 },
    );
  });

  it('gives the checksum of a whole object from those of its parts', () => {
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 12 }), (parts) => {
        const joined = parts.reduce((sum, part) => combineCrc32(sum, crc32(part), part.length), 0);
        assert.equal(joined, crc32(Buffer.concat(parts)));
      }),
    );
  });

  it('agrees with zlib across the sizes at which parts are cut', () => {
    const block = Buffer.alloc(8 * 1024 * 1024 + 3, 'registry');
    const whole = crc32(Buffer.concat([block, block.subarray(0, 5), block]));
    const first = combineCrc32(crc32(block), crc32(block.subarray(0, 5)), 5);
    assert.equal(combineCrc32(first, crc32(block), block.length), whole);
  });

  it('is an unsigned 32-bit number that does not depend on how the parts are grouped, up to 2^53 bytes', () => {
    fc.assert(
      fc.property(
        checksum,
        checksum,
        checksum,
        length,
        fc.integer({ min: 4 }),
        (a, b, c, lengthB, lengthC) => {
          const together = Math.min(lengthB, Number.MAX_SAFE_INTEGER - lengthC);
          const fromLeft = combineCrc32(combineCrc32(a, b, together), c, lengthC);
          const fromRight = combineCrc32(a, combineCrc32(b, c, lengthC), together + lengthC);
          assert.equal(fromLeft, fromRight);
          assert.ok(Number.isInteger(fromLeft) && fromLeft >= 0 && fromLeft <= 0xffffffff);
        },
      ),
    );
  });

  it('handles the largest lengths as quickly as small ones', () => {
    const start = performance.now();
    for (let count = 0; count < 1_000; count += 1) combineCrc32(count, 1, Number.MAX_SAFE_INTEGER - count);
    assert.ok(performance.now() - start < 5_000);
  });

  it('knows a TiB of the same block by doubling', () => {
    let crc = crc32(Buffer.alloc(1024, 'x'));
    for (let size = 1024; size < 1024 ** 4; size *= 2) crc = doubled(crc, size);
    // The same TiB, put together from its two halves counted the other way.
    let other = 0;
    let block = crc32(Buffer.alloc(1024, 'x'));
    for (let size = 1024; size < 1024 ** 4; size *= 2) {
      other = combineCrc32(other, block, size);
      block = doubled(block, size);
    }
    assert.equal(combineCrc32(other, crc32(Buffer.alloc(1024, 'x')), 1024), crc);
  });

  it('adds nothing for an empty part', () => {
    fc.assert(
      fc.property(checksum, (crc) => {
        assert.equal(combineCrc32(crc, crc32(''), 0), crc);
        assert.equal(combineCrc32(crc32(''), crc, 123), crc);
      }),
    );
  });
});
