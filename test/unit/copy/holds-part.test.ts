import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { describe, it } from 'node:test';
import { crc32 } from 'node:zlib';
import { holdsPart, sumsOf } from '../../../src/copy/continued-upload.ts';
import { crc64, crc64Hex } from '../../../src/core/crc64.ts';
import type { PartReceipt } from '../../../src/drivers/driver.ts';

const BYTES = Buffer.from('a part');
const OTHER = Buffer.from('others');

type Sums = Pick<PartReceipt, 'crc32' | 'crc64' | 'md5'>;

function allOf(bytes: Buffer): Required<Sums> {
  return { crc32: crc32(bytes), crc64: crc64Hex(crc64(bytes)), md5: hash('md5', bytes) };
}

function holds(stored: Sums, isOpaque = false): boolean {
  const receipt = { number: 1, sizeBytes: BYTES.length, tag: '', ...stored };
  return holdsPart(receipt, sumsOf(BYTES, crc32(BYTES)), isOpaque);
}

describe('a part that a service holds', () => {
  const [right, wrong] = [allOf(BYTES), allOf(OTHER)];

  for (const name of ['crc32', 'crc64', 'md5'] as const) {
    it(`is known by its ${name} alone`, () => {
      assert.ok(holds({ [name]: right[name] }));
      assert.ok(!holds({ [name]: wrong[name] }));
    });
  }

  it('is not known where nothing says what it is', () => assert.ok(!holds({})));

  it('is not taken if one checksum says otherwise', () => {
    assert.ok(!holds({ ...right, crc64: wrong.crc64 }));
    assert.ok(!holds({ ...right, crc32: wrong.crc32 }));
    assert.ok(!holds({ ...right, md5: wrong.md5 }));
  });

  it('may have an MD5 that is none, if a CRC says what it is', () => {
    assert.ok(holds({ crc64: right.crc64, md5: wrong.md5 }, true));
    assert.ok(!holds({ md5: wrong.md5 }, true));
  });
});
