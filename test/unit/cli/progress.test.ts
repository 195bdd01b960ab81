import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CopyProgress } from '../../../src/cli/copy-progress.ts';
import { outageLine } from '../../../src/cli/outage-text.ts';
import { Output } from '../../../src/cli/output.ts';
import {
  estimate,
  etaText,
  liveLine,
  Progress,
  type ProgressReading,
  plainLine,
  Rates,
} from '../../../src/cli/progress.ts';
import { shareOf } from '../../../src/cli/verify-progress.ts';
import { allocateCounters, CounterReader, CounterWriter } from '../../../src/core/counters.ts';
import { fakeHost } from './fake-host.ts';

const MIB = 1024 ** 2;
/** To the first column, and the line is empty. */
const CLEAR = '\r\u001b[2K';

function reading(more: Partial<ProgressReading> = {}): ProgressReading {
  return {
    phase: 'blobs',
    objectsDone: 1000,
    objectsKnown: 1200,
    bytesDone: 500 * MIB,
    errors: 0,
    phaseObjects: 1000,
    phaseBytes: 500 * MIB,
    share: 0.25,
    ...more,
  };
}

/** 100 objects and 50 MiB a second over ten seconds. */
function steadyRates(): Rates {
  const rates = new Rates(0);
  rates.add(10_000, reading());
  return rates;
}

describe('Rates', () => {
  it('count objects and bytes per second over the last ten seconds only', () => {
    const rates = steadyRates();
    assert.equal(rates.objectsPerSecond, 100);
    assert.equal(rates.bytesPerSecond, 50 * MIB);
    rates.add(20_000, reading());
    rates.add(25_000, reading());
    assert.equal(rates.objectsPerSecond, 0);
  });

  it('are 0 before anything was seen', () => {
    assert.equal(new Rates(5).objectsPerSecond, 0);
  });
});

describe('estimate()', () => {
  it('takes the rest of the phase to be like what is done of it', () => {
    const eta = estimate(reading(), steadyRates());
    assert.deepEqual(eta, { byBytes: 30, byObjects: 30 });
  });

  it('uses what was done in this phase, not before it', () => {
    const eta = estimate(reading({ phaseObjects: 100, phaseBytes: 0 }), steadyRates());
    assert.deepEqual(eta, { byBytes: 0, byObjects: 3 });
  });

  it('says nothing while there is too little to go by, or nothing moves', () => {
    assert.equal(estimate(reading({ share: 0.001 }), steadyRates()), undefined);
    const { share: _, ...unknown } = reading();
    assert.equal(estimate(unknown, steadyRates()), undefined);
    assert.equal(estimate(reading(), new Rates(0)), undefined);
  });

  it('is told by bytes and by objects where they disagree', () => {
    assert.equal(etaText({ byBytes: 60, byObjects: 62 }), 'about 1 min 02 s left');
    assert.equal(
      etaText({ byBytes: 60, byObjects: 600 }),
      'left: 1 min 00 s by bytes, 10 min 00 s by objects',
    );
  });
});

describe('lines', () => {
  it('show share, objects done of those seen, bytes, rates, time left and errors', () => {
    const line = liveLine(reading({ errors: 3 }), steadyRates(), 200);
    assert.equal(
      line,
      '█████░░░░░░░░░░░░░░░   25 %  blobs  1,000 of 1,200 objects seen  500 MiB  50 MiB/s  100 objects/s  about 30 s left  3 wrong',
    );
    assert.equal(
      plainLine(reading(), steadyRates()),
      'blobs: 25 %, 1,000 of 1,200 objects seen, 500 MiB, 50 MiB/s, 100 objects/s, about 30 s left',
    );
  });

  it('show a backend that is waited for in the place of speed and time left', () => {
    const waiting = [{ side: 'target', reason: 'connect ECONNREFUSED 127.0.0.1:9', seconds: 12.4 }] as const;
    const line = plainLine(reading({ waiting, errors: 1 }), steadyRates());
    assert.equal(
      line,
      'blobs: 25 %, 1,000 of 1,200 objects seen, 500 MiB, waiting for the target: no answer for 13 s (connect ECONNREFUSED 127.0.0.1:9), 1 wrong',
    );
    assert.doesNotMatch(liveLine(reading({ waiting }), steadyRates(), 300), /left|\/s/);
  });

  it('never fill the width of the terminal', () => {
    for (const columns of [10, 40, 80, 119, 120, 121, 122, 123]) {
      assert.ok(liveLine(reading({ errors: 3 }), steadyRates(), columns).length < columns);
    }
  });

  it('never show fewer objects seen than done', () => {
    assert.match(plainLine(reading({ objectsKnown: 0 }), steadyRates()), /1,000 of 1,000 objects seen/);
  });
});

describe('Progress', () => {
  it('redraws one line on a terminal and removes it at the end, out of the way of other words', () => {
    const host = fakeHost({ isTTY: true });
    const output = new Output(host);
    const progress = new Progress({ output, read: () => reading(), now: () => 1 });
    progress.tick();
    assert.ok(host.stderr.text.startsWith(`${CLEAR}█████░`));
    output.say('a remark');
    assert.ok(host.stderr.text.includes(`${CLEAR}a remark\n${CLEAR}█`));
    progress.stop();
    assert.ok(host.stderr.text.endsWith(CLEAR));
    assert.equal(host.stdout.text, '');
  });

  it('prints a plain line every five seconds where there is no terminal', () => {
    const host = fakeHost();
    let now = 0;
    const progress = new Progress({ output: new Output(host), read: () => reading(), now: () => now });
    for (now = 200; now <= 12_000; now += 200) progress.tick();
    progress.stop();
    assert.equal(host.stderr.text.split('\n').filter((line) => line.startsWith('blobs: 25 %')).length, 2);
    assert.ok(!host.stderr.text.includes('\u001b'));
  });

  it('hands readings out instead of printing, for --json, on a terminal too', () => {
    const host = fakeHost({ isTTY: true });
    const seen: ProgressReading[] = [];
    let now = 0;
    const output = new Output(host);
    const progress = new Progress({
      output,
      read: () => reading(),
      onReading: (one) => seen.push(one),
      now: () => now,
    });
    for (now = 200; now <= 12_000; now += 200) progress.tick();
    assert.equal(seen.length, 2);
    assert.equal(host.stderr.text, '');
  });
});

describe('CopyProgress', () => {
  it('adds up the threads, and tells a phase by its shards', () => {
    const memory = allocateCounters(1);
    const counters = new CounterWriter(memory);
    const progress = new CopyProgress();
    assert.equal(progress.read().phase, 'planning');
    progress.useCounters(new CounterReader(memory));
    progress.hear({ event: 'planned', phase: 'blobs', shards: 4 });
    progress.hear({ event: 'phase', phase: 'blobs' });
    counters.count('listedSource', 12);
    counters.count('leftOut', 2);
    counters.object('copied', 'blob', 100);
    counters.object('skipped', 'blob', 50);
    counters.object('failed', 'blob', 0);
    assert.equal(progress.read().share, undefined);
    progress.hear({ event: 'shard', shard: 'blobs-1', state: 'done' });
    progress.hear({ event: 'shard', shard: 'blobs-2', state: 'running' });
    const { share, ...rest } = progress.read();
    assert.equal(share, 1.5 / 4);
    assert.deepEqual(rest, {
      phase: 'blobs',
      objectsDone: 3,
      objectsKnown: 10,
      bytesDone: 150,
      errors: 1,
      phaseObjects: 3,
      phaseBytes: 150,
    });
  });

  it('begins each phase anew', () => {
    const memory = allocateCounters(1);
    const counters = new CounterWriter(memory);
    const progress = new CopyProgress();
    progress.useCounters(new CounterReader(memory));
    progress.hear({ event: 'planned', phase: 'blobs', shards: 1 });
    progress.hear({ event: 'phase', phase: 'blobs' });
    counters.object('copied', 'blob', 100);
    progress.hear({ event: 'shard', shard: 'blobs-1', state: 'done' });
    progress.hear({ event: 'planned', phase: 'names', shards: 2 });
    progress.hear({ event: 'phase', phase: 'names' });
    counters.object('copied', 'link', 71);
    const { phase, objectsDone, phaseObjects, phaseBytes, share } = progress.read();
    assert.deepEqual(
      { phase, objectsDone, phaseObjects, phaseBytes, share },
      { phase: 'names', objectsDone: 2, phaseObjects: 1, phaseBytes: 71, share: undefined },
    );
  });
});

describe('CopyProgress and a backend that is away', () => {
  const event = { event: 'backend', side: 'source', name: 's3://b', reason: 'refused' } as const;

  it('tells since when it is waited for, until it is back', () => {
    let now = 1_000;
    const progress = new CopyProgress(() => now);
    const gone = progress.hear({ ...event, state: 'waiting' });
    assert.equal(gone?.is, 'away');
    now = 13_000;
    assert.deepEqual(progress.read().waiting, [{ side: 'source', reason: 'refused', seconds: 12 }]);
    now = 62_000;
    const back = progress.hear({ ...event, state: 'back' });
    assert.ok(gone && back);
    assert.equal(progress.read().waiting, undefined);
    assert.equal(outageLine(gone, 600_000), 'source s3://b does not answer (refused): waiting, up to 10 min');
    assert.equal(
      outageLine(gone, 90_000),
      'source s3://b does not answer (refused): waiting, up to 1 min 30 s',
    );
    assert.equal(outageLine(back, 600_000), 'source s3://b is back after 1 min 01 s');
  });
});

describe('shareOf()', () => {
  it('tells how far among the blobs a path is', () => {
    assert.equal(shareOf('docker/registry/v2/blobs/sha256/80/80ab/data'), 0.5);
    assert.equal(shareOf('docker/registry/v2/blobs/id/40/40cd/data'), 0.25);
    assert.equal(shareOf('docker/registry/v2/repositories/a/_layers/sha256/80ab/link'), undefined);
  });
});
