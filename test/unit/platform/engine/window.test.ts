import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { predictWindow } from '../../../../src/platform/engine/window.ts';
import type { WindowRequest } from '../../../../src/platform/engine-port.ts';

type Shown = WindowRequest['passes'][number];

const START = Date.UTC(2026, 10, 1);
const MINUTE = 60_000;

interface Figures {
  readonly atMinute: number;
  readonly minutes: number;
  readonly changed: number;
  readonly megabytes: number;
  readonly listingSeconds: readonly [source: number, target: number];
}

function shown({ atMinute, minutes, changed, megabytes, listingSeconds: [source, target] }: Figures): Shown {
  const beganMs = START + atMinute * MINUTE;
  return {
    kind: 'live',
    beganMs,
    endedMs: beganMs + minutes * MINUTE,
    objectsChanged: changed,
    bytesChanged: megabytes * 1e6,
    times: {
      seconds: minutes * 60,
      threads: 2,
      listings: { source: { pages: 1_000, seconds: source }, target: { pages: 1_000, seconds: target } },
      objectsCopied: changed,
      bytesCopied: megabytes * 1e6,
    },
  };
}

/** A million objects and 2 TB to a store that answers a page of names in 0.3 s; then a busy hour, and a quiet one. */
const FIRST = shown({
  atMinute: 0,
  minutes: 600,
  changed: 1_000_000,
  megabytes: 2_000_000,
  listingSeconds: [200, 300],
});
const SECOND = shown({
  atMinute: 600,
  minutes: 10,
  changed: 12_000,
  megabytes: 24_400,
  listingSeconds: [200, 300],
});
const THIRD = shown({
  atMinute: 660,
  minutes: 6,
  changed: 600,
  megabytes: 1_200,
  listingSeconds: [210, 310],
});

describe('the predicted window', () => {
  it('lists both sides twice and copies and reads what changes until then, at the pace that was seen', () => {
    const atMs = START + 690 * MINUTE;
    const found = predictWindow({ passes: [FIRST, SECOND, THIRD], atMs, elsewhereMs: 5 * MINUTE });
    assert.equal(found.basis, 'delta');
    // 12,000 in the 610 minutes from the first pass's beginning to the second's end are the most; 30 minutes have passed.
    assert.equal(found.delta.objects, Math.ceil((12_000 / 610) * 30));
    assert.equal(found.delta.bytes, Math.ceil((24_400e6 / 610) * 30));
    // Pages of both sides one after the other, by two threads; then the slower side's alone, page by page.
    assert.deepEqual([found.parts.listingMs, found.parts.comparingMs], [260_000, 310_000]);
    // A million in 600 minutes.
    const seconds = found.delta.objects / (1_000_000 / 36_000);
    assert.ok(Math.abs(found.parts.copyingMs - seconds * 1000) < 1_000, `${found.parts.copyingMs}`);
    assert.equal(found.parts.readingMs, found.parts.copyingMs);
    const sum = Object.values(found.parts).reduce((all, part) => all + part, 0);
    assert.equal(found.totalMs, sum);
    assert.match(found.text, /^about 16 min: .*591 objects/);
  });

  it('grows with the time since the last pass, and with nothing else', () => {
    const at = (minute: number) =>
      predictWindow({ passes: [FIRST, SECOND, THIRD], atMs: START + minute * MINUTE });
    assert.ok(at(1_000).totalMs > at(700).totalMs);
    assert.deepEqual(at(1_000).parts.listingMs, at(700).parts.listingMs);
    assert.equal(at(600).delta.objects, 0, 'a clock that was set back makes no negative delta');
  });

  it('says that it does not know how much changes after one pass', () => {
    const found = predictWindow({ passes: [FIRST], atMs: START + 700 * MINUTE });
    assert.deepEqual([found.basis, found.delta.objects, found.parts.copyingMs], ['first', 0, 0]);
    assert.equal(found.parts.comparingMs, 300_000);
    assert.match(found.text, /not known before a second live pass/);
  });

  it('takes no longer for a listing than the quickest pass took for everything', () => {
    const quick = shown({ atMinute: 700, minutes: 1, changed: 10, megabytes: 1, listingSeconds: [200, 300] });
    const found = predictWindow({ passes: [FIRST, quick], atMs: START + 702 * MINUTE });
    assert.equal(found.parts.listingMs, 60_000);
  });

  it('follows the bytes where few large layers change', () => {
    const layers = shown({
      atMinute: 600,
      minutes: 10,
      changed: 10,
      megabytes: 200_000,
      listingSeconds: [1, 1],
    });
    const found = predictWindow({ passes: [FIRST, layers], atMs: START + 660 * MINUTE });
    const bytesPerSecond = 2_000_000e6 / 36_000;
    assert.ok(Math.abs(found.parts.copyingMs / 1000 - found.delta.bytes / bytesPerSecond) < 1);
  });

  it('has a guess where too little was copied to tell a pace, and none without a pass', () => {
    const little = shown({ atMinute: 0, minutes: 1, changed: 10, megabytes: 1, listingSeconds: [1, 1] });
    const next = shown({ atMinute: 1, minutes: 1, changed: 6, megabytes: 0, listingSeconds: [1, 1] });
    const found = predictWindow({ passes: [little, next], atMs: START + 11 * MINUTE });
    assert.ok(found.delta.objects > 0 && found.parts.copyingMs > 0);
    assert.throws(() => predictWindow({ passes: [] }), RangeError);
  });
});
