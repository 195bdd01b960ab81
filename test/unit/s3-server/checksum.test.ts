import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  BodyDigests,
  CHECKSUM_ALGORITHMS,
  combineParts,
  compositeOf,
  digestOf,
  isChecksumValue,
  parseChecksumAlgorithm,
} from '../../../bench/s3-server/s3/checksum.ts';

const DIGITS = Buffer.from('123456789');

function hex(name: Parameters<typeof digestOf>[0], data: Uint8Array): string {
  return digestOf(name, data).toString('hex');
}

describe('checksums', () => {
  it('give the published check values of "123456789"', () => {
    // The catalogue of parametrised CRC algorithms (reveng) and, for the hashes, their RFCs' implementations.
    assert.equal(hex('crc32', DIGITS), 'cbf43926');
    assert.equal(hex('crc32c', DIGITS), 'e3069283');
    assert.equal(hex('crc64nvme', DIGITS), 'ae8b14860a799888');
    assert.equal(hex('md5', DIGITS), '25f9e794323b453885f5181f1b624d0b');
    assert.equal(hex('sha1', DIGITS), 'f7c3bc1d808e04732adf679965ccc34ca7ae3441');
    assert.equal(hex('sha256', DIGITS), '15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225');
  });

  it('give the CRC32C vectors of RFC 3720, appendix B.4', () => {
    const ascending = Buffer.from(Array.from({ length: 32 }, (_, index) => index));
    // The RFC prints the bytes in the order they are sent, which is the other way round.
    assert.equal(hex('crc32c', Buffer.alloc(32)), '8a9136aa');
    assert.equal(hex('crc32c', Buffer.alloc(32, 0xff)), '62a8ab43');
    assert.equal(hex('crc32c', ascending), '46dd794e');
    assert.equal(hex('crc32c', Buffer.from(ascending.toReversed())), '113fdb5c');
  });

  it('give the CRC64NVME vectors of the NVMe specification, and of nothing', () => {
    assert.equal(hex('crc64nvme', Buffer.alloc(4096)), '6482d367eb22b64e');
    assert.equal(hex('crc64nvme', Buffer.alloc(4096, 0xff)), 'c0ddba7302eca3ac');
    assert.equal(hex('crc64nvme', Buffer.alloc(0)), '0000000000000000');
    assert.equal(hex('crc32', Buffer.alloc(0)), '00000000');
  });

  it('give the SHA vectors of FIPS 180', () => {
    assert.equal(hex('sha1', Buffer.from('abc')), 'a9993e364706816aba3e25717850c26c9cd0d89d');
    assert.equal(
      hex('sha256', Buffer.from('abc')),
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
  });

  it('agree with a bit-by-bit CRC for every length and alignment', () => {
    const slow = (poly: bigint, width: bigint, data: Uint8Array): string => {
      const mask = (1n << width) - 1n;
      let crc = mask;
      for (const byte of data) {
        crc ^= BigInt(byte);
        for (let bit = 0; bit < 8; bit += 1) crc = crc & 1n ? (crc >> 1n) ^ poly : crc >> 1n;
      }
      return (crc ^ mask).toString(16).padStart(Number(width / 4n), '0');
    };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(7), (bytes, cut) => {
        const data = bytes.subarray(Math.min(cut, bytes.length));
        assert.equal(hex('crc32c', data), slow(0x82f63b78n, 32n, data));
        assert.equal(hex('crc64nvme', data), slow(0x9a6c9329ac4bc9b5n, 64n, data));
      }),
    );
  });

  it('of a body do not depend on how it came in pieces', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 6 }), (pieces) => {
        const names = [...CHECKSUM_ALGORITHMS, 'md5'] as const;
        const digests = new BodyDigests(names);
        for (const piece of pieces) digests.update(Buffer.from(piece));
        const whole = Buffer.concat(pieces);
        for (const name of names) assert.equal(digests.get(name).toString('hex'), hex(name, whole));
      }),
    );
  });

  it('of parts combine to that of the whole, for every CRC', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { minLength: 1, maxLength: 8 }), (pieces) => {
        for (const algorithm of ['crc32', 'crc32c', 'crc64nvme'] as const) {
          const parts = pieces.map((piece) => ({
            bytes: piece.length,
            value: digestOf(algorithm, piece).toString('base64'),
          }));
          assert.equal(
            combineParts(algorithm, parts),
            digestOf(algorithm, Buffer.concat(pieces)).toString('base64'),
          );
        }
      }),
    );
  });

  it('combine over lengths that no test could hash', () => {
    // Appending 2^40 zero bytes in one step or in 1024 steps of 2^30 must come to the same.
    const zeros = (bytes: number): string => {
      let value = digestOf('crc64nvme', Buffer.alloc(1)).toString('base64');
      for (let have = 1; have < bytes; have *= 2) {
        value =
          combineParts('crc64nvme', [
            { bytes: have, value },
            { bytes: have, value },
          ]) ?? '';
      }
      return value;
    };
    const gib = { bytes: 2 ** 30, value: zeros(2 ** 30) };
    assert.equal(
      combineParts(
        'crc64nvme',
        Array.from({ length: 1024 }, () => gib),
      ),
      zeros(2 ** 40),
    );
  });

  it('of SHA type cannot be combined, and composites are the hash of the parts', () => {
    const values = ['a', 'b'].map((text) => createHash('sha256').update(text).digest());
    const parts = values.map((value) => ({ bytes: 1, value: value.toString('base64') }));
    assert.equal(combineParts('sha256', parts), undefined);
    const expected = createHash('sha256').update(Buffer.concat(values)).digest('base64');
    assert.equal(compositeOf('sha256', parts), `${expected}-2`);
  });

  it('are only taken in their canonical base64 and length', () => {
    assert.ok(isChecksumValue('crc32', 'y/Q5Jg=='));
    for (const value of ['y/Q5Jg', 'y_Q5Jg==', 'y/Q5Jh==', '', 'cbf43926', 'y/Q5JgA=']) {
      assert.ok(!isChecksumValue('crc32', value), value);
    }
    assert.equal(parseChecksumAlgorithm('CRC64NVME'), 'crc64nvme');
    assert.equal(parseChecksumAlgorithm('MD5'), undefined);
  });

  it('that were not asked for cannot be had', () => {
    assert.throws(() => new BodyDigests(['md5']).get('sha1'), RangeError);
  });
});
