import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { estimate, type SampleResult } from '../../../src/plan/estimate.ts';

const nothing = { objects: 0, bytes: 0, seconds: 0 };

function sample(given: Partial<SampleResult>): SampleResult {
  return { small: nothing, large: nothing, busyShare: 0, unreadable: [], vanished: 0, ...given };
}

describe('estimate()', () => {
  const small = { objects: 100, bytes: 20_000, seconds: 0.5 };
  const large = { objects: 4, bytes: 64e6, seconds: 2 };

  it('scales small objects by number and large ones by bytes, from reading alone to writing as slow', () => {
    const work = { smallObjects: 10_000, largeBytes: 640e6 };
    const expected = estimate({ work, sample: sample({ small, large }), listSeconds: 3, threads: 2 });
    assert.deepEqual(expected, { secondsLeast: 50 + 20, secondsMost: 3 + 2 * 70 });
  });

  it('is never shorter than listing', () => {
    const work = { smallObjects: 1, largeBytes: 0 };
    const expected = estimate({ work, sample: sample({ small }), listSeconds: 30, threads: 1 });
    assert.equal(expected?.secondsLeast, 30);
  });

  it('lets threads share what one was busy with, and not what it waited for', () => {
    const work = { smallObjects: 10_000, largeBytes: 0 };
    const of = (busyShare: number, threads: number) =>
      estimate({ work, sample: sample({ small, busyShare }), listSeconds: 0, threads })?.secondsLeast;
    assert.equal(of(1, 4), 12.5);
    assert.equal(of(0, 4), 50);
    assert.equal(of(0.5, 2), 37.5);
  });

  it('says nothing where there is work that the sample has nothing like', () => {
    const only = sample({ small });
    assert.equal(
      estimate({
        work: { smallObjects: 0, largeBytes: 1 },
        sample: only,
        listSeconds: 1,
        threads: 1,
      }),
      undefined,
    );
    const idle = estimate({
      work: { smallObjects: 0, largeBytes: 0 },
      sample: sample({}),
      listSeconds: 1,
      threads: 1,
    });
    assert.deepEqual(idle, { secondsLeast: 1, secondsMost: 1 });
  });
});
