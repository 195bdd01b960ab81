/**
 * Guards the figures of docs/performance.md: CPU per object and per GiB, scaled by this run's own sha256 speed, and the
 * resident set. The limits are what was promised; measured is half of it, so noise does not turn this red.
 */
import assert from 'node:assert/strict';
import { before, describe, it, type TestContext } from 'node:test';
import { type Cost, measureCost } from '../../bench/cost.ts';
import { copyWorkload } from '../../bench/support/copy-workload.ts';
import { measureMemory } from '../campaign/memory.ts';

const MIB = 1024 ** 2;

describe('the direct engine, S3 to S3, source hashed and target bound', () => {
  // From sources the first run strips types and fills the compile cache, which is no cost of a copy.
  before(() => copyWorkload({ objects: 100, seed: 'warm' }));

  it('costs at most 0.2 ms of CPU per link or manifest', async (t) => {
    const cost = await leastCost(t, 'small', 10_000, (one) => one.cpuMsPerObject <= 0.2);
    assert.match(cost.binding, /wrong payload sha256/);
    assert.ok(cost.cpuMsPerObject > 0 && cost.cpuMsPerObject <= 0.2, `${cost.cpuMsPerObject} ms`);
  });

  it('costs at most 2.2 s of CPU per GiB of 1 MiB objects', async (t) => {
    const cost = await leastCost(t, 'medium', 512, (one) => one.cpuSecondsPerGib <= 2.2);
    assert.ok(cost.cpuSecondsPerGib > 0 && cost.cpuSecondsPerGib <= 2.2, `${cost.cpuSecondsPerGib} s`);
  });

  it('stays within --memory at 10,000 objects and with every slab in use', async (t) => {
    for (const [objects, size] of [
      [10_000, 'small'],
      [24, 64 * MIB],
    ] as const) {
      const run = await measureMemory(objects, size, 'gate');
      t.diagnostic(JSON.stringify(run));
      assert.ok(run.isWithin, `${Math.round(run.rssBytesMax / MIB)} MiB at ${objects} objects`);
    }
  });
});

/**
 * Others on the machine make CPU dearer and never cheaper, so a measurement above the limit is repeated, twice at most;
 * what the program itself costs too much it costs each time.
 */
async function leastCost(
  t: TestContext,
  workload: Cost['workload'],
  objects: number,
  isWithin: (cost: Cost) => boolean,
): Promise<Cost> {
  for (let attempt = 1; ; attempt += 1) {
    const cost = await measureCost(workload, objects);
    t.diagnostic(JSON.stringify(cost));
    if (isWithin(cost) || attempt === 3) return cost;
  }
}
