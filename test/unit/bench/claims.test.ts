import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { blobferry } from '../../../bench/copiers/blobferry.ts';

const NO_PROOF = { digest: 0, service: 0, readBack: 0, stored: 0, twice: 0, none: 0 };

function hashedWith(objectsCopied: number, proofs: Partial<typeof NO_PROOF>): string {
  const objectsByProof = { ...NO_PROOF, ...proofs };
  const summary = { event: 'summary', objectsCopied, objectsByProof, binding: 'the target was seen to' };
  const stdout = `{"event":"planned"}\n${JSON.stringify(summary)}\n`;
  return blobferry('direct', 'commit').claims('s3-s3', stdout).hashed;
}

describe("what the bench says of blobferry's own proofs", () => {
  it('says that all was compared with its digest only where the summary counts it so', () => {
    assert.match(hashedWith(7, { digest: 7 }), /^sha256 of all 7 objects, compared .* paths$/);
    assert.match(
      hashedWith(7, { digest: 4, service: 1, none: 2 }),
      /^sha256 of 4 of 7 objects, .*; 1 proved by: service; 2 proved by: none$/,
    );
    assert.equal(hashedWith(0, {}), 'nothing to copy');
  });
});
