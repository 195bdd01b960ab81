/** One object far larger than its thread's memory: it has all connections that are free, and no more than its turn. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { rawLayout } from '../../../src/layout/raw.ts';
import type { Fault } from '../../support/fault-driver.ts';
import { assertCopied, inWorld, PART_BYTES } from './copy-world.ts';

const SLABS = 8;
const PARTS = 3 * SLABS;

/** Lets nobody through before so many have come, from the given call on. */
function together(on: 'read' | 'part', nth: number): Fault {
  const all = Promise.withResolvers<void>();
  let come = 0;
  const before = async (): Promise<void> => {
    come += 1;
    if (come === SLABS) all.resolve();
    await all.promise;
  };
  return { on, key: 'huge', nth, times: SLABS, does: { before } };
}

describe('An object larger than all memory of its thread', () => {
  it('is read over as many connections as there are slabs, and written over as many', {
    timeout: 60_000,
  }, async () => {
    const given = {
      layout: rawLayout,
      slabBudgetBytes: SLABS * PART_BYTES,
      // All slabs hold parts that are being sent; once they are through, all are filled anew at once.
      targetFaults: [together('part', 1)],
      sourceFaults: [together('read', SLABS + 1)],
    };
    await inWorld(given, async (world) => {
      const bytes = Buffer.alloc(PARTS * PART_BYTES, 'of one huge object ');
      world.put('huge', bytes);
      assertCopied(await world.copy('huge'), 'stored');
      assert.ok(world.inTarget('huge')?.equals(bytes));
      assert.equal(world.targetDriver.callsOf('part').length, PARTS);
    });
  });

  it('leaves a slab in its turn to each smaller object beside it', async () => {
    const given = { layout: rawLayout, concurrency: 4, slabBudgetBytes: 2 * PART_BYTES };
    await inWorld(given, async (world) => {
      world.put('huge', Buffer.alloc(PARTS * PART_BYTES, 'huge'));
      for (let at = 0; at < 6; at += 1) world.put(`small ${at}`, Buffer.alloc(PART_BYTES, `${at}`));
      assert.equal((await world.wholePhase('names')).stoppedBy, undefined);
      const calls = world.targetDriver.calls.filter(({ operation }) => operation !== 'list');
      const done = calls.findIndex(({ operation }) => operation === 'complete');
      const before = calls.slice(0, done).filter(({ operation }) => operation === 'write');
      assert.equal(before.length, 6, 'small objects waited for the huge one');
    });
  });
});
