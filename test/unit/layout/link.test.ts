import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatDigest, makeDigest } from '../../../src/core/digest.ts';
import { checkLink } from '../../../src/layout/link.ts';

const HEX = 'ab'.repeat(32);
const OTHER_HEX = 'cd'.repeat(32);
const bytes = (text: string) => Buffer.from(text, 'latin1');

describe('checking the content of a link', () => {
  it('accepts exactly the text of a digest', () => {
    assert.deepEqual(checkLink(bytes(`sha256:${HEX}`)), {
      ok: true,
      digest: { algorithm: 'sha256', hex: HEX },
    });
    assert.equal(checkLink(bytes(`sha512:${HEX}${HEX}`)).ok, true);
  });

  it('accepts the digest that is expected', () => {
    assert.equal(checkLink(bytes(`sha256:${HEX}`), { algorithm: 'sha256', hex: HEX }).ok, true);
  });

  for (const [content, reason] of [
    ['', 'holds nothing instead of a digest'],
    [`sha256:${HEX}\n`, `has white space around the digest sha256:${HEX}`],
    [` sha256:${HEX}`, `has white space around the digest sha256:${HEX}`],
    ['\0'.repeat(71), 'holds 71 zero bytes instead of a digest'],
    [`sha256:${HEX.slice(1)}`, 'holds 70 bytes that are no digest'],
    [`sha256:${HEX.toUpperCase()}`, 'holds 71 bytes that are no digest'],
    [`md5:${HEX}`, 'holds 68 bytes that are no digest'],
    ['x'.repeat(5000), 'holds 5000 bytes that are no digest'],
    [`sha256:${OTHER_HEX}`, `names sha256:${OTHER_HEX} instead of sha256:${HEX}`],
    [`sha512:${HEX}${HEX}`, `names sha512:${HEX}${HEX} instead of sha256:${HEX}`],
  ] as const) {
    it(`refuses ${JSON.stringify(content.slice(0, 20))}: ${reason.slice(0, 50)}`, () => {
      assert.deepEqual(checkLink(bytes(content), { algorithm: 'sha256', hex: HEX }), { ok: false, reason });
    });
  }

  it('accepts nothing but the digest itself among all contents', () => {
    const digest = makeDigest('sha256', HEX);
    assert.ok(digest);
    const near = fc
      .tuple(fc.nat(70), fc.integer({ min: 0, max: 255 }))
      .map(([at, byte]) => Buffer.from(formatDigest(digest), 'latin1').fill(byte, at, at + 1));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), near), (content) => {
        const isDigest = Buffer.from(content).toString('latin1') === formatDigest(digest);
        assert.equal(checkLink(content, digest).ok, isDigest);
      }),
      { numRuns: 2000 },
    );
  });
});
