import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  afterLook,
  type Epoch,
  openEpoch,
  type ReadOnlyLook,
  type ReplicaLook,
} from '../../../src/platform/read-only-epoch.ts';

const RULES = { gapMsMax: 10_000 };
const BOTH = { a: { is: 'read-only' }, b: { is: 'read-only' } } as const;
const MARKED = { a: { is: 'read-only', mark: '1' }, b: { is: 'read-only', mark: '2' } } as const;

function look(
  atMs: number,
  replicas: ReadOnlyLook['replicas'],
  more: Partial<ReadOnlyLook> = {},
): ReadOnlyLook {
  return { beganMs: atMs, endedMs: atMs + 10, replicas, ...more };
}

function opened(replicas: ReadOnlyLook['replicas'] = BOTH): Epoch {
  const epoch = openEpoch(look(0, replicas));
  assert.ok(typeof epoch !== 'string', String(epoch));
  return epoch;
}

/** Was it open from before this work began until after it ended? */
function covers(epoch: Epoch, work: { readonly beganMs: number; readonly endedMs: number }): boolean {
  return work.beganMs >= epoch.beganMs && work.endedMs <= epoch.seenMs && epoch.broke === undefined;
}

describe('a read-only epoch', () => {
  it('opens when every replica is shown to be read-only, and covers what begins after that look', () => {
    const epoch = opened();
    assert.deepEqual([epoch.beganMs, epoch.broke], [10, undefined]);
    const seen = afterLook(epoch, look(5_000, BOTH), RULES);
    assert.ok(covers(seen, { beganMs: 10, endedMs: 5_000 }));
    assert.ok(!covers(seen, { beganMs: 9, endedMs: 20 }));
    assert.ok(!covers(seen, { beganMs: 10, endedMs: 5_001 }));
  });

  const REFUSED: readonly (readonly [string, ReadOnlyLook['replicas'], Partial<ReadOnlyLook>, RegExp])[] = [
    ['a replica takes writes', { ...BOTH, b: { is: 'writable' } }, {}, /^replica b takes writes$/],
    [
      'a replica is not known to be',
      { ...BOTH, b: { is: 'unknown' } },
      {},
      /replica b is read-only is not known/,
    ],
    ['nothing could be read', {}, {}, /could not be read/],
  ];
  for (const [title, replicas, more, expected] of REFUSED) {
    it(`does not open where ${title}, and breaks there`, () => {
      assert.match(String(openEpoch(look(0, replicas, more))), expected);
      const broken = afterLook(opened(), look(1_000, replicas, more), RULES);
      assert.match(String(broken.broke?.why), expected);
      assert.equal(broken.broke?.is, /takes writes/.test(expected.source) ? 'lost' : 'unknown');
      assert.equal(broken.broke?.atMs, 1_010);
    });
  }

  it('is unknown when a replica went, came, or was restarted', () => {
    const gone = afterLook(opened(), look(1_000, { a: { is: 'read-only' } }), RULES);
    assert.deepEqual([gone.broke?.is, gone.broke?.why], ['unknown', 'replica b is gone']);
    const came = afterLook(opened(), look(1_000, { ...BOTH, c: { is: 'read-only' } }), RULES);
    assert.match(String(came.broke?.why), /^replica c is new/);
    const again = { ...MARKED, b: { is: 'read-only', mark: '3' } } as const;
    assert.match(
      String(afterLook(opened(MARKED), look(1_000, again), RULES).broke?.why),
      /^replica b was restarted/,
    );
    assert.equal(afterLook(opened(MARKED), look(1_000, MARKED), RULES).broke, undefined);
  });

  it('is unknown after a time in which nobody looked, unless the replicas show that nothing happened', () => {
    const later = look(10_011, BOTH);
    const away = afterLook(opened(), { ...later, beganMs: 10_011 }, RULES);
    assert.match(String(away.broke?.why), /^nobody looked for 10 s, and nothing shows/);
    assert.equal(afterLook(opened(), look(10_010, BOTH), RULES).broke, undefined);
    assert.equal(afterLook(opened(MARKED), look(3_600_000, MARKED), RULES).broke, undefined);
    const half = { ...MARKED, b: { is: 'read-only' } } as const;
    assert.match(
      String(afterLook(opened(half), look(3_600_000, half), RULES).broke?.why),
      /nobody looked for 3600 s/,
    );
    assert.match(String(afterLook(opened(), look(-5_000, BOTH), RULES).broke?.why), /clock was set back/);
  });

  it('stays broken whatever is seen later', () => {
    const broken = afterLook(opened(), look(6_000, { ...BOTH, a: { is: 'writable' } }), RULES);
    assert.deepEqual(afterLook(broken, look(7_000, BOTH), RULES), broken);
    assert.deepEqual(afterLook(broken, look(7_000, { a: { is: 'unknown' } }), RULES), broken);
  });

  it('is JSON, so that it survives in a journal', () => {
    const epoch = afterLook(opened(MARKED), look(5, {}), RULES);
    assert.deepEqual(JSON.parse(JSON.stringify(epoch)), epoch);
  });

  it('never covers work during which a look found anything but read-only, or nobody looked', () => {
    const replica: fc.Arbitrary<ReplicaLook> = fc.record({
      is: fc.oneof(
        { weight: 8, arbitrary: fc.constant('read-only' as const) },
        { weight: 1, arbitrary: fc.constantFrom('writable' as const, 'unknown' as const) },
      ),
    });
    const looks = fc.array(
      fc.record({ afterMs: fc.integer({ min: 0, max: 12_000 }), a: replica, b: replica }),
      {
        minLength: 1,
        maxLength: 8,
      },
    );
    fc.assert(
      fc.property(looks, fc.nat(60_000), fc.nat(60_000), (steps, beganMs, lengthMs) => {
        let atMs = 0;
        let epoch = opened();
        const timeline = [0];
        let firstWrong = Number.POSITIVE_INFINITY;
        for (const { afterMs, a, b } of steps) {
          atMs += afterMs;
          timeline.push(atMs);
          epoch = afterLook(epoch, { beganMs: atMs, endedMs: atMs, replicas: { a, b } }, RULES);
          if (a.is !== 'read-only' || b.is !== 'read-only') firstWrong = Math.min(firstWrong, atMs);
        }
        const endedMs = beganMs + lengthMs;
        if (!covers(epoch, { beganMs, endedMs })) return;
        const gaps = timeline.slice(1).map((at, index) => at - (timeline[index] ?? 0));
        assert.ok(firstWrong === Number.POSITIVE_INFINITY && atMs >= endedMs && beganMs >= 10);
        assert.ok(gaps.every((gap) => gap <= RULES.gapMsMax + 10));
      }),
      { numRuns: 2_000 },
    );
  });
});
