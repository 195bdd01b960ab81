import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { combineCrc32c, crc32c } from '../../../src/core/crc32c.ts';

describe('crc32c()', () => {
  // RFC 3720 appendix B.4, and the check value of the polynomial.
  for (const [what, bytes, expected] of [
    ['nothing', Buffer.alloc(0), 0],
    ['123456789', Buffer.from('123456789'), 0xe3069283],
    ['32 zero bytes', Buffer.alloc(32), 0x8a9136aa],
    ['32 bytes of ones', Buffer.alloc(32, 0xff), 0x62a8ab43],
    ['32 ascending bytes', Buffer.from(Array.from({ length: 32 }, (_, index) => index)), 0x46dd794e],
    ['32 descending bytes', Buffer.from(Array.from({ length: 32 }, (_, index) => 31 - index)), 0x113fdb5c],
  ] as const) {
    it(`is what the standard says of ${what}`, () => assert.equal(crc32c(bytes), expected));
  }

  it('is the same wherever the bytes lie, in one piece and in two, and joined', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(7), fc.nat(200), holds), {
      examples: [[new Uint8Array(0), 0, 0]],
    });
  });

  it('is the same where bytes are folded: around every length at which something else is done', () => {
    const lengths = [...around(2 * 209 * 16), ...around(65_536 + 209 * 16), 200_003];
    for (const length of lengths) holds(seeded(length), 3, Math.floor(length / 3));
  });
});

function holds(bytes: Uint8Array, offset: number, cut: number): void {
  const moved = new Uint8Array(offset + bytes.length);
  moved.set(bytes, offset);
  const whole = slowly(bytes);
  const [head, tail] = [bytes.subarray(0, cut), bytes.subarray(cut)];
  assert.equal(crc32c(moved.subarray(offset)), whole, `${bytes.length} bytes`);
  assert.equal(crc32c(tail, crc32c(head)), whole, `${bytes.length} bytes, cut at ${cut}`);
  assert.equal(combineCrc32c(crc32c(head), crc32c(tail), tail.length), whole);
}

function around(length: number): readonly number[] {
  return [-17, -16, -1, 0, 1, 15, 16, 17].map((more) => length + more);
}

function seeded(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => Math.imul(at + length, 2_654_435_761) >>> 24);
}

/** Bit by bit, as the definition has it. */
function slowly(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}
