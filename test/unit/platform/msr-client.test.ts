import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { clusterProblems, readClusterStatus } from '../../../src/platform/msr/msr-cluster.ts';
import {
  changesRegistry,
  deleteCron,
  isGarbageCollection,
  listCrons,
  putCron,
  readCron,
} from '../../../src/platform/msr/msr-crons.ts';
import { readHealth, readSpec, readVersion } from '../../../src/platform/msr/msr-info.ts';
import { readSettings, requestReadOnly } from '../../../src/platform/msr/msr-settings.ts';
import { isKind, msrWorld } from './msr-world.ts';

const NIGHTLY = {
  action: 'gc',
  schedule: '0 0 1 * * 0',
  retries: 1,
  capacityMap: { gc: 1 },
  parameters: { ref: 'x' },
  deadline: '2h',
  stopTimeout: '30s',
};

describe('what MSR says of itself', () => {
  it('is its version, from either place', async (t) => {
    const { connection, signal } = await msrWorld(t, { version: '2.9.7' });
    assert.deepEqual(await readVersion(connection, signal), { text: '2.9.7', major: 2, minor: 9, patch: 7 });
    const older = await msrWorld(t, { version: '2.5.3', assumes: { hasVersion: false } });
    assert.equal((await readVersion(older.connection, signal)).text, '2.5.3');
    const json = { version: 'latest' };
    older.msr.faults.add({ on: 'GET /api/v0/admin/version', does: { kind: 'answer', status: 200, json } });
    await assert.rejects(readVersion(older.connection, signal), isKind('malformed', /"version"/));
  });

  it('is its health, which is no error when it is bad', async (t) => {
    const { msr, connection, signal } = await msrWorld(t);
    assert.deepEqual(await readHealth(connection, signal), { isHealthy: true, problem: '' });
    const [id = ''] = msr.state.replicas.ids;
    msr.state.replicas.ailments.set(id, 'disk full');
    const sick = await readHealth(connection, signal);
    assert.equal(sick.isHealthy, false);
    assert.match(sick.problem, /disk full/);
  });

  it('is the description of its API, where there is one', async (t) => {
    const { connection, signal } = await msrWorld(t);
    const spec = await readSpec(connection, signal);
    assert.equal(spec?.version, '2.9.18');
    assert.ok(spec?.operations.has('PUT /api/v0/admin/settings/registry'));
    assert.ok(spec?.operations.has('DELETE /api/v0/crons/{name}'));
    assert.ok(!spec?.operations.has('PUT /api/v0/crons'));
    const without = await msrWorld(t, { assumes: { hasSpec: false } });
    assert.equal(await readSpec(without.connection, signal), undefined);
  });
});

describe('the settings of MSR', () => {
  it('do not say whether it is read-only, or do, and the two are different', async (t) => {
    const silent = await msrWorld(t);
    const { connection, signal } = silent;
    await requestReadOnly(connection, signal, true);
    const settings = await readSettings(connection, signal);
    assert.equal(settings.isReadOnly, undefined);
    assert.deepEqual(settings.replicas, silent.msr.state.replicas.ids);
    assert.match(settings.storageVolume ?? '', /storage$/);
    assert.doesNotMatch(JSON.stringify(settings), /private key/);
    const telling = await msrWorld(t, { assumes: { settingsTellReadOnly: true } });
    assert.equal((await readSettings(telling.connection, signal)).isReadOnly, false);
    await requestReadOnly(telling.connection, signal, true);
    assert.equal((await readSettings(telling.connection, signal)).isReadOnly, true);
    assert.deepEqual(telling.msr.calls.at(-2)?.json, { readOnlyRegistry: true });
  });
});

describe('the state of the cluster', () => {
  it('is read from both shapes, and problems become sentences', async (t) => {
    const { msr, connection, signal } = await msrWorld(t);
    const { ids } = msr.state.replicas;
    const status = await readClusterStatus(connection, signal);
    assert.deepEqual(
      [...(status.readOnly ?? [])],
      ids.map((id) => [id, false]),
    );
    assert.deepEqual(clusterProblems(status, ids), []);
    const nested = await msrWorld(t, { assumes: { issuesAt: 'nested', statusTellsReadOnly: false } });
    const other = await readClusterStatus(nested.connection, signal);
    assert.deepEqual([other.issues, other.readOnly], [0, undefined]);
    for (const json of [
      { current_issues: [{}], replica_health: { a: 'OK' } },
      { rethink_system_tables: { current_issues: [{}] }, replica_health: { a: 'OK' } },
    ]) {
      msr.faults.add({ on: 'GET /api/v0/meta/cluster_status', does: { kind: 'answer', status: 200, json } });
      const sick = await readClusterStatus(connection, signal);
      assert.equal(sick.issues, 1);
      assert.match(clusterProblems(sick, ['a', 'b']).join(), /1 issue,.*b is configured and does not report/);
    }
    assert.deepEqual(clusterProblems({ ...status, health: undefined }), [
      'MSR does not tell the health of its replicas',
    ]);
    assert.match(
      clusterProblems({ ...status, health: new Map([['a', 'down']]) }).join(),
      /a is not well: "down"/,
    );
  });
});

describe('the crons of MSR', () => {
  it('are put back as they were', async (t) => {
    const { connection, signal } = await msrWorld(t);
    assert.equal(await readCron(connection, signal, 'gc'), undefined);
    await putCron(connection, signal, NIGHTLY);
    const [saved] = await listCrons(connection, signal);
    assert.ok(saved);
    const { id: _, ...fields } = saved;
    assert.deepEqual(fields, NIGHTLY);
    await deleteCron(connection, signal, saved);
    assert.deepEqual(await listCrons(connection, signal), []);
    await putCron(connection, signal, saved);
    const { id: __, ...again } = (await readCron(connection, signal, 'gc')) ?? saved;
    assert.deepEqual(again, NIGHTLY);
    await putCron(connection, signal, { ...NIGHTLY, schedule: '@daily' });
    assert.equal((await listCrons(connection, signal)).length, 1, 'one for each action');
  });

  for (const cronsDeletedBy of ['id', 'action'] as const) {
    it(`are removed where the path names the ${cronsDeletedBy}, and were seen to be gone`, async (t) => {
      const { msr, connection, signal } = await msrWorld(t, { assumes: { cronsDeletedBy } });
      await putCron(connection, signal, NIGHTLY);
      await putCron(connection, signal, { ...NIGHTLY, action: 'tag_pruning' });
      const crons = await listCrons(connection, signal);
      for (const cron of crons) await deleteCron(connection, signal, cron);
      assert.equal(msr.state.crons.size, 0);
      assert.equal(msr.called.at(-1), 'GET /api/v0/crons/tag_pruning', 'asked at the end');
    });
  }

  it('that stay although MSR says they are gone are an error, and so are those that do not come', async (t) => {
    const { msr, connection, signal } = await msrWorld(t);
    await putCron(connection, signal, NIGHTLY);
    const [cron] = await listCrons(connection, signal);
    assert.ok(cron);
    const used = msr.faults.add({
      on: 'DELETE /api/v0/crons/*',
      times: 2,
      does: { kind: 'no-effect', status: 204 },
    });
    await assert.rejects(deleteCron(connection, signal, cron), isKind('unexpected', /still there/));
    assert.equal(used(), 2, 'by action and by id');
    msr.faults.add({ on: 'POST /api/v0/crons', does: { kind: 'no-effect', status: 202 } });
    const later = { ...NIGHTLY, schedule: '@daily' };
    await assert.rejects(putCron(connection, signal, later), isKind('unexpected', /"0 0 1 \* \* 0"/));
    msr.faults.add({ on: 'POST /api/v0/crons', does: { kind: 'no-effect', status: 202 } });
    const other = { ...NIGHTLY, action: 'poll_mirror' };
    await assert.rejects(putCron(connection, signal, other), isKind('unexpected', /not there/));
  });

  it('are told apart by what they do to the registry', () => {
    const collects = ['gc', 'onlinegc', 'onlinegc_metadata', 'onlinegc_blobs'];
    const writes = ['tag_pruning', 'poll_mirror', 'push_mirror_tag'];
    const harmless = ['onlinegc_joblogs', 'scan_check', 'license_update', 'webhook'];
    for (const action of collects) assert.ok(isGarbageCollection(action) && changesRegistry(action), action);
    for (const action of writes) assert.ok(!isGarbageCollection(action) && changesRegistry(action), action);
    for (const action of harmless) assert.ok(!changesRegistry(action), action);
  });
});
