/** The first line of a migration that is stuck: it is read by whoever decides whether people may push. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { stuckNow } from '../../../src/platform/msr/stuck-text.ts';
import { type Progress, progressOf } from '../../../src/platform/saga/progress.ts';
import type { What } from '../../../src/platform/saga/saga-log.ts';
import { msrWorld } from './msr-world.ts';

function progress(...entries: readonly (readonly [string, What])[]): Progress {
  return progressOf(
    [],
    entries.map(([step, what]) => ({ atMs: 0, step, what, text: '' })),
  );
}

const RESTORED = progress(['destroy', 'effect-shown'], ['restore', 'effect-shown']);

describe('the first line of a migration that is stuck', () => {
  it('says that the registry is read-only only where it is seen to be', async (t) => {
    const { msr, connection, signal } = await msrWorld(t, { replicas: 2 });
    const ids = msr.state.replicas.ids;
    const said = (): Promise<string> => stuckNow(connection, RESTORED, signal);
    assert.match(await said(), /^The registry TAKES WRITES, and should not yet/);
    await msr.state.replicas.start(ids, true);
    assert.match(await said(), /^The registry is still read-only, and the old storage is untouched$/);
    // One of them restarts writable: behind a balancer that is enough.
    await msr.state.replicas.setOne(ids[0] ?? '', false);
    assert.match(await said(), /^The registry TAKES WRITES/);
    await msr.state.replicas.start(ids, true);
    msr.state.replicas.ailments.set(ids[1] ?? '', 'registry: connection refused');
    assert.match(await said(), /whether it still is cannot be seen now/);
    msr.faults.add({ on: /./, times: 1_000, does: { kind: 'answer', status: 403, json: {} } });
    assert.match(await said(), /whether it still is cannot be seen now/);
  });

  it('looks behind a destroy and in the step that ends read-only, too', async (t) => {
    const { msr, connection, signal } = await msrWorld(t, { replicas: 1 });
    const destroyed = progress(['destroy', 'effect-shown'], ['restore', 'do-begun']);
    const ending = progress(['restore', 'effect-shown'], ['writable', 'do-begun']);
    assert.match(await stuckNow(connection, destroyed, signal), /^The registry TAKES WRITES/);
    assert.match(await stuckNow(connection, ending, signal), /takes writes on its new storage already$/);
    await msr.state.replicas.start(msr.state.replicas.ids, true);
    assert.match(await stuckNow(connection, destroyed, signal), /^The registry is still read-only, and not/);
    assert.match(await stuckNow(connection, ending, signal), /^The registry is still read-only, on its new/);
    for (const id of msr.state.replicas.ids) await msr.state.replicas.destroy(id);
    assert.match(await stuckNow(connection, destroyed, signal), /or does not run at all/);
    assert.match(await stuckNow(connection, ending, signal), /may take writes/);
  });
});
