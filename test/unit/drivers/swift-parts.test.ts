import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { partsPlaceOf, whyNotWhole } from '../../../src/drivers/swift/swift-parts.ts';

const REGISTRY = 'old/segments/012/3456789/';
const CLIENT = 'big/1700000000.123456/30/10/';

function parts(prefix: string, names: readonly string[], sizeBytes = 10) {
  return names.map((name) => ({ key: prefix + name, sizeBytes }));
}

describe('whyNotWhole()', () => {
  it('finds nothing wrong with numbers from 1 or 0, with other names, and with one part', () => {
    for (const [prefix, names] of [
      [REGISTRY, ['0000000000000001', '0000000000000002']],
      [REGISTRY, ['0000000000000001']],
      ['c/name', ['/00000000', '/00000001']],
      [CLIENT, ['00000000', '00000001', '00000002']],
      ['a/', ['one', 'two']],
    ] as const) {
      assert.equal(whyNotWhole(parts(prefix, names), prefix, names.length * 10), undefined);
      assert.equal(whyNotWhole(parts(prefix, names), prefix, undefined), undefined);
    }
  });

  it('takes none for an empty object where the manifest is old, and nothing says that there were some', () => {
    assert.equal(whyNotWhole([], REGISTRY, 0, true), undefined);
    assert.equal(whyNotWhole([], REGISTRY, undefined, true), undefined);
    assert.match(whyNotWhole([], REGISTRY, 5, true) ?? '', /it has 5 bytes, its parts .* have 0/);
    assert.match(whyNotWhole([], CLIENT, 0, true) ?? '', /have 0 bytes, .* named as those of 30/);
  });

  for (const [name, prefix, names, said, why] of [
    ['no part', REGISTRY, [], 0, /none of them is there/],
    ['a listing that is behind', REGISTRY, ['0000000000000001'], 20, /it has 20 bytes, its parts .* have 10/],
    ['a body that is behind', REGISTRY, ['0000000000000001', '0000000000000002'], 10, /10 bytes, .* have 20/],
    ['a gap', REGISTRY, ['0000000000000001', '0000000000000003'], 20, /part 2 of it is missing/],
    ['no first part', REGISTRY, ['0000000000000002'], 10, /part 1 of it is missing/],
    [
      'a lost end that the name tells of',
      CLIENT,
      ['00000000', '00000001'],
      20,
      /20 bytes, .* named as those of 30/,
    ],
    ['a lost beginning that the name tells of', CLIENT, ['00000001', '00000002'], 20, /as those of 30/],
  ] as const) {
    it(`finds ${name}`, () => {
      assert.match(whyNotWhole(parts(prefix, names), prefix, said) ?? '', why);
    });
  }
});

describe('partsPlaceOf()', () => {
  it('reads containers and prefixes that were encoded', () => {
    assert.deepEqual(partsPlaceOf('a%20b/c%2Fd/e%25/'), { container: 'a b', prefix: 'c/d/e%/' });
    for (const wrong of ['', 'no-slash', '/prefix', 'a/%']) assert.equal(partsPlaceOf(wrong), undefined);
  });
});
