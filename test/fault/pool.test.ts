/** The pool over threads that end at once: what they had told is heard first, and nobody waits for ever. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { ShardPool } from '../../src/coordinator/pool.ts';
import type { ShardTask, WorkerReport } from '../../src/copy/shard.ts';
import { allocateCounters } from '../../src/core/counters.ts';

function poolFor(test: TestContext, rows: number): { pool: ShardPool; heard: WorkerReport[] } {
  const heard: WorkerReport[] = [];
  const pool = new ShardPool({
    threads: 1,
    workerUrl: new URL('./fake-worker.ts', import.meta.url),
    counters: allocateCounters(rows),
    onReport: (report) => heard.push(report),
  });
  test.after(() => pool.close());
  return { pool, heard };
}

function task(does: string): ShardTask {
  const storage = { kind: 'memory', name: does } as const;
  const pass = {
    jobId: 'job',
    source: { storage, engine: 'direct' },
    target: { storage, engine: 'direct' },
    sourcePrefix: '',
    targetPrefix: '',
    layout: 'raw',
    isFrozen: false,
    readsTwice: false,
    keepsGoing: false,
    ownsTarget: true,
    concurrency: 1,
    partBytes: 1,
    slabBudgetBytes: 1,
    outageMsMax: 1,
  } as const;
  return { pass, shard: { id: 'blobs-1', phase: 'blobs', range: { prefix: '' } }, uploads: [] };
}

describe('ShardPool', () => {
  it('rejects for a thread that is gone only once everything it had told was heard', async (t) => {
    const { pool, heard } = poolFor(t, 10);
    for (let round = 1; round <= 3; round += 1) {
      await assert.rejects(pool.run(task('tellsmuch')), /exited with code/);
      assert.equal(heard.length, round * 1_000);
    }
    assert.equal(pool.isCancelled, false);
  });

  it('rejects where no thread can be had any more, as none would ever answer', async (t) => {
    // The second thread finds no row of counters left, and so breaks while it starts.
    const { pool } = poolFor(t, 1);
    await assert.rejects(pool.run(task('tellsmuch')), /exited with code/);
    await assert.rejects(pool.run(task('copies')));
  });
});
