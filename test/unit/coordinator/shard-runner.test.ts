import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { counterRows, ShardRunner } from '../../../src/coordinator/shard-runner.ts';
import type { PassSettings, Shard, ShardTask } from '../../../src/copy/shard.ts';
import { allocateCounters } from '../../../src/core/counters.ts';

const SHARD: Shard = { id: 'blobs-1', phase: 'blobs', range: { prefix: 'blobs/' } };

describe('ShardRunner', () => {
  async function doubts(settings: Partial<PassSettings>): Promise<readonly unknown[]> {
    const tasks: ShardTask[] = [];
    const runner = new ShardRunner({
      pool: {
        isCancelled: false,
        run: async (task) => {
          tasks.push(task);
          if (tasks.length === 1) throw new Error('worker exited with code: 9');
          return { ok: true, result: { exceptions: [], leftOut: [], warnings: [], extras: [] } };
        },
      },
      settings: settings as PassSettings,
      counters: allocateCounters(counterRows(1)),
      threads: 1,
      uploadsOf: () => [],
      onAttempt: () => undefined,
      onDeath: () => undefined,
      onShared: () => undefined,
      warn: () => undefined,
    });
    await runner.run(SHARD);
    await runner.run({ ...SHARD, id: 'blobs-2' });
    return tasks.map(({ pass }) => pass.doubtsTarget === true);
  }

  it('has what a dead thread had not read back doubted by whoever goes on, and by no other shard', async () => {
    assert.deepEqual(await doubts({ readsBack: true }), [false, true, false]);
    assert.deepEqual(await doubts({ readsBack: false }), [false, false, false]);
  });
});
