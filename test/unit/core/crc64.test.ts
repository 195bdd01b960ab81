import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Crc64Nvme } from '../../../bench/s3-server/s3/crc.ts';
import { crc64, crc64Base64 } from '../../../src/core/crc64.ts';

/** What is left of bytes that are folded. */
const REST_BYTES = 2519 * 16;

describe('crc64()', () => {
  // The check value of CRC-64/NVME in the catalogue of parametrised CRC algorithms, and what the polynomial's definition gives.
  for (const [what, bytes, expected] of [
    ['nothing', Buffer.alloc(0), 0n],
    ['123456789', Buffer.from('123456789'), 0xae8b14860a799888n],
    ['4 KiB of zeros', Buffer.alloc(4096), 0x6482d367eb22b64en],
    ['4 KiB of ones', Buffer.alloc(4096, 0xff), 0xc0ddba7302eca3acn],
  ] as const) {
    it(`is what the standard says of ${what}`, () => assert.equal(crc64(bytes), expected));
  }

  it('is the same in one piece and in two', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(200), (bytes, cut) => {
        const whole = slowly(bytes);
        const [head, tail] = [bytes.subarray(0, cut), bytes.subarray(cut)];
        assert.equal(crc64(bytes), whole);
        assert.equal(crc64(tail, crc64(head)), whole);
      }),
    );
  });

  it('is written for Azure with its lowest byte first', () => {
    assert.equal(crc64Base64(crc64(Buffer.from('123456789'))), 'iJh5CoYUi64=');
  });

  it('is what another implementation makes of it, around every length at which something else is done', () => {
    const edges = [2 * REST_BYTES, 65_536 + REST_BYTES, 131_072 + REST_BYTES];
    const lengths = edges.flatMap((edge) => [-17, -16, -1, 0, 1, 15, 16, 17].map((more) => edge + more));
    for (const length of [...lengths, 1_000_003]) {
      const bytes = Uint8Array.from({ length }, (_, at) => Math.imul(at + length, 2_654_435_761) >>> 24);
      assert.equal(crc64(bytes), otherwise(bytes), `${length} bytes`);
      const cut = Math.floor(length / 3);
      const inTwo = crc64(bytes.subarray(cut), crc64(bytes.subarray(0, cut)));
      assert.equal(inTwo, crc64(bytes), `${length} bytes, in two pieces`);
    }
  });
});

/** Of the embedded S3 server, which has tables only. */
function otherwise(bytes: Uint8Array): bigint {
  const crc = new Crc64Nvme();
  crc.update(bytes);
  return crc.digest().readBigUInt64BE();
}

/** Bit by bit, as the definition has it. */
function slowly(bytes: Uint8Array): bigint {
  const ones = (1n << 64n) - 1n;
  let crc = ones;
  for (const byte of bytes) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1n ? (crc >> 1n) ^ 0x9a6c9329ac4bc9b5n : crc >> 1n;
  }
  return crc ^ ones;
}
