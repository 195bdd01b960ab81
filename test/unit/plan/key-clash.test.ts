import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { compareUtf8 } from '../../../src/core/byte-order.ts';
import { KeyClashes } from '../../../src/plan/key-clash.ts';

function clashesOf(keys: readonly string[]): readonly (readonly [string, string])[] {
  const clashes = new KeyClashes<undefined>();
  return keys.flatMap((key) => {
    const holder = clashes.holderOf(key);
    clashes.open(key, undefined);
    return holder ? [[holder.key, key] as const] : [];
  });
}

const key = fc
  .array(fc.constantFrom('a', 'b', '/', '-', '.', '0', ' ', '😀', '\u{fffd}'), { minLength: 1, maxLength: 8 })
  .map((letters) => letters.join(''));
const keys = fc.uniqueArray(key, { maxLength: 30 }).map((all) => all.sort(compareUtf8));

describe('KeyClashes', () => {
  it('finds exactly the keys that lie below another one, and names the nearest', () => {
    fc.assert(
      fc.property(keys, (all) => {
        const expected = all.flatMap((one) => {
          const holders = all.filter((other) => one.startsWith(`${other}/`));
          const nearest = holders.toSorted((a, b) => b.length - a.length)[0];
          return nearest === undefined ? [] : [[nearest, one] as const];
        });
        assert.deepEqual(clashesOf(all), expected);
      }),
      { numRuns: 500 },
    );
  });

  it('knows behind each border which keys may still clash', () => {
    fc.assert(
      fc.property(keys, fc.nat(), (all, at) => {
        const split = all.length === 0 ? 0 : at % all.length;
        const border = all[split];
        if (border === undefined) return;
        const clashes = new KeyClashes<undefined>();
        for (const one of all.slice(0, split + 1)) {
          clashes.holderOf(one);
          clashes.open(one, undefined);
        }
        const open = clashes.openBehind(border).map((one) => one.key);
        for (const behind of all.slice(split + 1)) {
          for (const before of all.slice(0, split + 1)) {
            if (behind.startsWith(`${before}/`)) assert.ok(open.includes(before), `${before} of ${open}`);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it('keeps no more keys open than one key has letters', () => {
    const clashes = new KeyClashes<undefined>();
    let last = '';
    for (let number = 0; number < 10_000; number += 1) {
      last = `folder/${String(number).padStart(6, '0')}`;
      clashes.holderOf(last);
      clashes.open(last, undefined);
    }
    assert.deepEqual(
      clashes.openBehind(last).map((one) => one.key),
      [last],
    );
  });
});
