import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { toBinary } from '../../../bench/s3-server/http/uri.ts';
import { SortedMap } from '../../../bench/s3-server/store/sorted-map.ts';

function keysOf(map: SortedMap<unknown>, from = ''): string[] {
  return [...map.entriesFrom(from)].map(([key]) => key);
}

describe('sorted map', () => {
  it('behaves as a plain map with sorted keys does', () => {
    const command = fc.record({ key: fc.string({ maxLength: 3 }), isDelete: fc.boolean(), value: fc.nat() });
    fc.assert(
      fc.property(fc.array(command, { maxLength: 200 }), fc.string({ maxLength: 3 }), (commands, from) => {
        const map = new SortedMap<number>();
        const model = new Map<string, number>();
        for (const { key, isDelete, value } of commands) {
          if (isDelete) assert.equal(map.delete(key), model.delete(key));
          else {
            map.set(key, value);
            model.set(key, value);
          }
        }
        const sorted = [...model.keys()].sort((a, b) => (a < b ? -1 : 1));
        assert.equal(map.size, model.size);
        assert.deepEqual(keysOf(map), sorted);
        assert.deepEqual(
          keysOf(map, from),
          sorted.filter((key) => key >= from),
        );
        for (const [key, value] of model) assert.equal(map.get(key), value);
        assert.equal(map.get('none of these'), undefined);
      }),
    );
  });

  it('keeps its order over many leaves, whatever the order of insertion', () => {
    const count = 100_000;
    const name = (index: number): string => String(index).padStart(6, '0');
    // 7919 is prime to the count, so that every key comes once and hardly any two neighbours follow each other.
    const orders = [(n: number) => n, (n: number) => count - 1 - n, (n: number) => (n * 7919) % count];
    for (const order of orders) {
      const map = new SortedMap<number>();
      for (let n = 0; n < count; n += 1) map.set(name(order(n)), order(n));
      let expected = 0;
      for (const [key, value] of map.entriesFrom('')) {
        assert.equal(key, name(expected));
        assert.equal(value, expected);
        expected += 1;
      }
      assert.equal(expected, count);
      for (let n = 0; n < count; n += 2) assert.ok(map.delete(name(n)));
      assert.equal(map.size, count / 2);
      assert.equal(keysOf(map, name(50_000))[0], name(50_001));
    }
  });

  it('jumps ahead when a walk asks for it', () => {
    const map = new SortedMap<number>();
    for (let n = 0; n < 5000; n += 1) map.set(`k${String(n).padStart(4, '0')}`, n);
    const walk = map.entriesFrom('k0010');
    assert.equal(walk.next().value?.[0], 'k0010');
    assert.equal(walk.next('k4000').value?.[0], 'k4000');
    assert.equal(walk.next().value?.[0], 'k4001');
    assert.equal(walk.next('z').done, true);
  });

  it('orders binary strings as their bytes', () => {
    const map = new SortedMap<number>();
    for (const key of ['\u{1f600}', '\u{fffd}', 'ü', 'z', 'a/b', 'a-b']) map.set(toBinary(key), 0);
    const expected = ['a-b', 'a/b', 'z', 'ü', '\u{fffd}', '\u{1f600}'].map(toBinary);
    assert.deepEqual(keysOf(map), expected);
  });
});
