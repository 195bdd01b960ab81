import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { compareUtf8 } from '../../../src/core/byte-order.ts';

/** Characters around every place where UTF-16 and UTF-8 disagree, in words that share beginnings. */
const edge = fc.constantFrom('a', '\0', '\x7f', '\x80', '߿', 'ࠀ', '퟿', '', '￿', '𐀀', '😀', '\u{10ffff}');
const text = fc.oneof(
  fc.string({ unit: edge, maxLength: 6 }),
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.string({ unit: 'grapheme', maxLength: 8 }),
);

function byBytes(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}

describe('compareUtf8()', () => {
  it('orders as the bytes of UTF-8 do', () => {
    fc.assert(
      fc.property(text, text, fc.string({ unit: edge, maxLength: 3 }), (left, right, shared) => {
        for (const [a, b] of [
          [left, right],
          [shared + left, shared + right],
          [left, left + right],
        ] as const) {
          assert.equal(Math.sign(compareUtf8(a, b)), byBytes(a, b), JSON.stringify([a, b]));
          assert.equal(Math.sign(compareUtf8(b, a)), byBytes(b, a));
        }
      }),
      { numRuns: 5_000 },
    );
  });

  it('sorts a listing as a backend does', () => {
    fc.assert(
      fc.property(fc.array(text), (keys) => {
        assert.deepEqual([...keys].sort(compareUtf8), [...keys].sort(byBytes));
      }),
    );
  });

  it('differs from < where surrogates come in', () => {
    assert.ok('😀' < '\uffff');
    assert.ok(compareUtf8('😀', '\uffff') > 0);
  });
});
