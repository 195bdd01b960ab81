import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type ClusterStatus, readClusterStatus } from '../../../src/platform/msr/msr-cluster.ts';
import { requestReadOnly } from '../../../src/platform/msr/msr-settings.ts';
import { readOnlyEvidence } from '../../../src/platform/msr/read-only-evidence.ts';
import { msrWorld } from './msr-world.ts';

function status(
  readOnly: Readonly<Record<string, boolean | undefined>> | undefined,
  health: Readonly<Record<string, string>> = { a: 'OK', b: 'OK' },
): ClusterStatus {
  return {
    issues: 0,
    health: new Map(Object.entries(health)),
    readOnly: readOnly && new Map(Object.entries(readOnly)),
  };
}

describe('the evidence for read-only', () => {
  it('needs every replica', () => {
    assert.equal(readOnlyEvidence(status({ a: true, b: true })).is, 'read-only');
    assert.deepEqual(readOnlyEvidence(status({ a: true, b: true })).reasons, []);
    const one = readOnlyEvidence(status({ a: true, b: false }));
    assert.deepEqual([one.is, one.reasons], ['writable', ['Replica b still takes writes']]);
  });

  it('takes what is not said for unknown, and unknown for neither yes nor no', () => {
    const cases: readonly (readonly [ClusterStatus | undefined, readonly string[]])[] = [
      [undefined, ['a']],
      [undefined, []],
      [status(undefined), []],
      [status({}), []],
      [status({ a: true }), []],
      [status({ a: true, b: undefined }), []],
      [status({ a: true, b: true }), ['c']],
      [status({ a: true, b: true }, { a: 'OK', b: 'connection refused' }), []],
      [status({}, {}), []],
      [status({ a: true, b: true }, { a: 'OK' }), []],
    ];
    for (const [said, replicas] of cases) {
      const evidence = readOnlyEvidence(said, replicas);
      assert.equal(evidence.is, 'unknown');
      assert.ok(evidence.reasons.length > 0);
    }
  });

  it('does not ask for the health of replicas where MSR tells none', () => {
    const silent: ClusterStatus = { ...status({ a: true }), health: undefined };
    assert.equal(readOnlyEvidence(silent).is, 'read-only');
  });

  it('is never given where a replica is not shown to be read-only', () => {
    const said = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.constantFrom(true, false, undefined));
    const health = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('OK', 'down'));
    const known = fc.subarray(['a', 'b', 'c']);
    fc.assert(
      fc.property(said, health, known, (readOnly, healthy, replicas) => {
        const evidence = readOnlyEvidence(status(readOnly, healthy), replicas);
        const all = new Set([...Object.keys(readOnly), ...Object.keys(healthy), ...replicas]);
        assert.deepEqual([...evidence.replicas.keys()], [...all].sort());
        const isShown = all.size > 0 && [...all].every((id) => readOnly[id] === true && healthy[id] === 'OK');
        assert.equal(evidence.is === 'read-only', isShown);
        assert.equal(evidence.is === 'writable', Object.values(readOnly).includes(false));
      }),
    );
  });

  it('comes replica by replica from a cluster that switches, and ends when it is lifted', async (t) => {
    const { msr, connection, signal } = await msrWorld(t, { looksPerRestart: 2 });
    const { ids } = msr.state.replicas;
    const look = async () => readOnlyEvidence(await readClusterStatus(connection, signal), ids);
    assert.equal((await look()).is, 'writable');
    await requestReadOnly(connection, signal, true);
    const seen: string[] = [];
    for (let evidence = await look(); ; evidence = await look()) {
      seen.push([...evidence.replicas.values()].map((state) => state[0]).join(''));
      if (evidence.is === 'read-only') break;
      assert.ok(seen.length < 20, seen.join());
    }
    assert.deepEqual(seen, ['www', 'rww', 'rww', 'rrw', 'rrw', 'rrr']);
    const [first = ''] = ids;
    await msr.state.replicas.setOne(first, false);
    assert.equal((await look()).is, 'writable');
  });

  it('never comes from a cluster with a replica that ignores the switch', async (t) => {
    const { msr, connection, signal } = await msrWorld(t);
    const { ids } = msr.state.replicas;
    msr.state.replicas.stubborn.add(ids[1] ?? '');
    await requestReadOnly(connection, signal, true);
    for (let looks = 0; looks < 10; looks += 1) await readClusterStatus(connection, signal);
    const evidence = readOnlyEvidence(await readClusterStatus(connection, signal), ids);
    assert.deepEqual([evidence.is, evidence.reasons], ['writable', [`Replica ${ids[1]} still takes writes`]]);
  });
});
