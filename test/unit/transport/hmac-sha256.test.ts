import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { HmacSha256 } from '../../../src/transport/hmac-sha256.ts';

describe('HmacSha256', () => {
  it('gives what Node gives, for one text after another and whatever their lengths', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.nat(3_000).map((length) => '\u20ac'.repeat(length)),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.array(text, { minLength: 1 }), (key, texts) => {
        const hmac = new HmacSha256(key);
        for (const one of texts)
          assert.equal(hmac.hex(one), createHmac('sha256', key).update(one).digest('hex'));
      }),
      { numRuns: 300 },
    );
  });

  it('refuses a key that is longer than a block, which would have to be hashed first', () => {
    assert.throws(() => new HmacSha256(Buffer.alloc(65)), RangeError);
  });
});
