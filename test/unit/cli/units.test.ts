import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatObjects,
  parseByteRate,
  parseBytes,
  parseDuration,
  parseRequestRate,
} from '../../../src/cli/units.ts';

const KIB = 1024;
const MIB = KIB ** 2;

describe('parseBytes()', () => {
  it('reads powers of 1024 from letters and …iB, powers of 1000 from …B', () => {
    const table: readonly (readonly [string, number])[] = [
      ['0', 0],
      ['4096', 4096],
      ['4096B', 4096],
      ['8K', 8 * KIB],
      ['8k', 8 * KIB],
      ['192MiB', 192 * MIB],
      ['192mib', 192 * MIB],
      ['1.5G', 1.5 * KIB ** 3],
      ['500MB', 500_000_000],
      ['2TB', 2_000_000_000_000],
      ['1 GiB', KIB ** 3],
      [' 7M ', 7 * MIB],
    ];
    for (const [text, bytes] of table) assert.equal(parseBytes(text), bytes, text);
  });

  it('refuses what is no size', () => {
    for (const text of [
      '',
      'M',
      '-1',
      '1e3',
      '1,5M',
      '5 apples',
      '1MiBs',
      '0x10',
      '1iB',
      'Infinity',
      '9999P',
    ]) {
      assert.equal(parseBytes(text), undefined, text);
    }
  });

  it('reads every whole number of bytes as itself', () => {
    fc.assert(fc.property(fc.maxSafeNat(), (bytes) => parseBytes(String(bytes)) === bytes));
  });
});

describe('parseByteRate() and parseRequestRate()', () => {
  it('read sizes and numbers per second', () => {
    assert.equal(parseByteRate('100MiB/s'), 100 * MIB);
    assert.equal(parseByteRate('100M'), 100 * MIB);
    assert.equal(parseByteRate('12.5MB / s'), 12_500_000);
    assert.equal(parseRequestRate('500'), 500);
    assert.equal(parseRequestRate('500/s'), 500);
    assert.equal(parseRequestRate('30/min'), 0.5);
    assert.equal(parseRequestRate('30/m'), 0.5);
  });

  it('refuse rates of nothing and other units of time', () => {
    for (const text of ['0', '0/s', '5/h', 'fast', '-5', '']) {
      assert.equal(parseRequestRate(text), undefined, text);
      assert.equal(parseByteRate(text), undefined, text);
    }
  });
});

describe('formatBytes()', () => {
  it('shows two or three digits and a unit', () => {
    const table: readonly (readonly [number, string])[] = [
      [0, '0 B'],
      [1023, '1023 B'],
      [1024, '1.0 KiB'],
      [9.94 * KIB, '9.9 KiB'],
      [9.96 * KIB, '10 KiB'],
      [1023.6 * KIB, '1.0 MiB'],
      [17.4 * MIB, '17 MiB'],
      [3 * KIB ** 4, '3.0 TiB'],
    ];
    for (const [bytes, text] of table) assert.equal(formatBytes(bytes), text);
  });

  it('never shows more than four digits before a unit', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (bytes) => /^(?:\d{1,4}|\d\.\d) (?:[KMGTP]i)?B$/.test(formatBytes(bytes))),
    );
  });
});

describe('formatDuration()', () => {
  it('shows the two largest units', () => {
    const table: readonly (readonly [number, string])[] = [
      [0.0042, '4 ms'],
      [0.9996, '1.0 s'],
      [9.94, '9.9 s'],
      [59.4, '59 s'],
      [59.6, '1 min 00 s'],
      [184, '3 min 04 s'],
      [3599.6, '1 h 00 min'],
      [7500, '2 h 05 min'],
      [86_399, '1 d 00 h'],
      [3 * 86_400 + 4 * 3600, '3 d 04 h'],
    ];
    for (const [seconds, text] of table) assert.equal(formatDuration(seconds), text);
  });
});

describe('formatCount() and formatObjects()', () => {
  it('group digits and mind the number', () => {
    assert.equal(formatCount(1234567), '1,234,567');
    assert.equal(formatObjects(1), '1 object');
    assert.equal(formatObjects(0), '0 objects');
    assert.equal(formatObjects(1000), '1,000 objects');
  });
});

describe('parseDuration()', () => {
  it('reads times with their unit, and 0 without one', () => {
    for (const [text, ms] of [
      ['90s', 90_000],
      ['10m', 600_000],
      ['10 min', 600_000],
      ['1.5h', 5_400_000],
      ['2D', 172_800_000],
      ['0', 0],
      ['0s', 0],
    ] as const)
      assert.equal(parseDuration(text), ms, text);
  });

  it('refuses everything else', () => {
    for (const text of ['', '10', 's', '-1s', '1h30m', '1e3s', 'ten minutes', '5 weeks'])
      assert.equal(parseDuration(text), undefined, text);
  });
});
