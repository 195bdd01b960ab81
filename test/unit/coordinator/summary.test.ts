import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Gathered } from '../../../src/coordinator/summary.ts';
import type { ShardResult } from '../../../src/copy/shard.ts';
import { allocateCounters, CounterReader, CounterWriter } from '../../../src/core/counters.ts';
import type { CopyException, CopySummary } from '../../../src/core/job.ts';
import { exitCodeOf } from '../../../src/core/job.ts';

const NOTHING: ShardResult = { exceptions: [], leftOut: [], warnings: [], extras: [] };

class Run {
  readonly writer: CounterWriter;
  readonly gathered: Gathered;

  constructor() {
    const memory = allocateCounters(1);
    this.writer = new CounterWriter(memory);
    this.gathered = new Gathered(new CounterReader(memory));
  }

  summary(about: { readonly isFrozen?: boolean; readonly isStopped?: boolean } = {}): CopySummary {
    return this.gathered.summary({
      source: 'memory://a',
      target: 'memory://b',
      layout: 'distribution',
      engine: 'direct',
      serverSide: { way: 'none', why: '' },
      binding: 'none',
      isFrozen: about.isFrozen ?? false,
      isStopped: about.isStopped ?? false,
      uploadsOpen: 0,
      seconds: 1,
      journal: 'journal.sqlite',
      objectsDeleted: 0,
      objectsExtra: 0,
      objectsExtraKept: 0,
      extra: [],
    });
  }
}

function finishedRun(): Run {
  const run = new Run();
  run.gathered.planned(2);
  run.gathered.done();
  run.gathered.done();
  return run;
}

function exception(at: number, state: CopyException['state'] = 'failed'): CopyException {
  return { state, path: `path ${at}`, error: { name: 'Error', message: 'why' } };
}

describe('exitCodeOf() of a pass', () => {
  it('is 0 only when everything was looked at and nothing is missing', () => {
    const run = finishedRun();
    run.writer.object('copied', 'blob', 10);
    run.writer.object('skipped', 'tag', 71);
    run.writer.count('unproved', 1);
    const summary = run.summary();
    assert.equal(summary.isComplete, true);
    assert.equal(exitCodeOf(summary), 0);
    assert.equal(exitCodeOf(finishedRun().summary()), 0);
  });

  it('follows from the worst that happened, in a live pass and in a frozen one', () => {
    const table: readonly (readonly [Parameters<CounterWriter['object']>[0], number, number])[] = [
      ['failed', 1, 1],
      ['unsettled', 1, 1],
      ['vanished', 0, 1],
      ['damaged', 3, 3],
      ['conflict', 3, 3],
    ];
    for (const [state, live, frozen] of table) {
      for (const isFrozen of [false, true]) {
        const run = finishedRun();
        run.writer.object('copied', 'blob', 10);
        run.writer.object(state, 'blob', 10);
        assert.equal(exitCodeOf(run.summary({ isFrozen })), isFrozen ? frozen : live, `${state} ${isFrozen}`);
      }
    }
  });

  it('is 3 when something is damaged besides all else', () => {
    const run = finishedRun();
    for (const state of ['failed', 'unsettled', 'vanished', 'damaged'] as const) {
      run.writer.object(state, 'blob', 1);
    }
    assert.equal(exitCodeOf(run.summary()), 3);
  });

  it('is never 0 when a shard was not finished', () => {
    const run = new Run();
    run.gathered.planned(2);
    run.gathered.done();
    assert.equal(run.summary().isComplete, false);
    assert.equal(exitCodeOf(run.summary()), 1);
  });

  it('is never 0 when something ended the run', () => {
    const run = finishedRun();
    run.gathered.stop({ name: 'Error', message: 'disk full' });
    assert.equal(exitCodeOf(run.summary()), 1);
    assert.equal(run.summary().stoppedBy?.message, 'disk full');
  });

  it('is 130 when the user stopped it', () => {
    const run = new Run();
    run.gathered.planned(5);
    run.gathered.cancelled();
    const summary = run.summary({ isStopped: true });
    assert.equal(summary.isComplete, false);
    assert.equal(exitCodeOf(summary), 130);
  });
});

describe('Gathered', () => {
  it('keeps the first reason to stop, and stops running', () => {
    const run = new Run();
    assert.equal(run.gathered.isRunning, true);
    run.gathered.stop({ name: 'Error', message: 'first' });
    run.gathered.stop({ name: 'Error', message: 'second' });
    assert.equal(run.gathered.isRunning, false);
    assert.equal(run.summary().stoppedBy?.message, 'first');
  });

  it('does not blame an error for what the user stopped', () => {
    const run = new Run();
    run.gathered.stop({ name: 'Error', message: 'aborted' });
    assert.equal(run.summary({ isStopped: true }).stoppedBy, undefined);
  });

  it('shows a hundred exceptions, ten names left out and a hundred warnings of however many', () => {
    const run = new Run();
    for (let shard = 0; shard < 4; shard += 1) {
      const numbers = Array.from({ length: 60 }, (_, at) => shard * 60 + at);
      run.gathered.add({
        exceptions: numbers.map((at) => exception(at)),
        leftOut: numbers.map((at) => `left ${at}`),
        warnings: numbers.map((at) => `warning ${at}`),
        extras: [],
      });
    }
    const summary = run.summary();
    assert.equal(summary.exceptions.length, 100);
    assert.equal(summary.exceptions[99]?.path, 'path 99');
    assert.deepEqual(
      summary.leftOut,
      Array.from({ length: 10 }, (_, at) => `left ${at}`),
    );
    assert.equal(summary.warnings.length, 100);
  });

  it('names an object that two shards left out once', () => {
    const run = new Run();
    run.gathered.add({ ...NOTHING, leftOut: ['a', 'b'] });
    run.gathered.add({ ...NOTHING, leftOut: ['b', 'c'] });
    assert.deepEqual(run.summary().leftOut, ['a', 'b', 'c']);
  });

  it('sums what the threads counted, by state and by class', () => {
    const run = finishedRun();
    run.writer.object('copied', 'blob', 100);
    run.writer.object('copied', 'tag', 71);
    run.writer.object('skipped', 'blob', 50, 2);
    run.writer.object('unsettled', 'blob', 7);
    run.writer.count('leftOut', 4);
    run.writer.count('unproved', 1);
    const summary = run.summary();
    assert.deepEqual([summary.objectsCopied, summary.bytesCopied], [2, 171]);
    assert.deepEqual([summary.objectsSkipped, summary.bytesSkipped], [2, 50]);
    assert.deepEqual([summary.objectsUnsettled, summary.objectsLeftOut, summary.objectsUnproved], [1, 4, 1]);
    assert.deepEqual(summary.objectsByClass, {
      blob: { copied: 1, skipped: 2 },
      link: { copied: 0, skipped: 0 },
      tag: { copied: 1, skipped: 0 },
      other: { copied: 0, skipped: 0 },
    });
    assert.equal(run.gathered.failedObjects, 0);
    run.writer.object('failed', 'blob', 1);
    assert.equal(run.gathered.failedObjects, 1);
  });
});
