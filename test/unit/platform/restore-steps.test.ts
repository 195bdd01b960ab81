/** Destroying and restoring against the stand-in: what is believed of it, and what is never destroyed. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { ContainerRunner } from '../../../src/platform/container.ts';
import { Docker } from '../../../src/platform/docker.ts';
import { backupStep } from '../../../src/platform/msr/steps/backup.ts';
import { destroyStep } from '../../../src/platform/msr/steps/destroy.ts';
import { readOnlyStep } from '../../../src/platform/msr/steps/read-only.ts';
import { catchUp, readOnlyAgain } from '../../../src/platform/msr/steps/read-only-again.ts';
import { reconfigureStep } from '../../../src/platform/msr/steps/reconfigure.ts';
import { type RestoreSite, restoreStep } from '../../../src/platform/msr/steps/restore.ts';
import { PrintedCommands } from '../../../src/platform/print-commands.ts';
import { runSaga, type SagaOptions } from '../../../src/platform/saga/saga.ts';
import type { Step } from '../../../src/platform/saga/step.ts';
import type { MsrOptions } from '../../support/msr/state.ts';
import { tempFolderFor } from '../../support/temp.ts';
import { FakeEngine } from './fake-engine.ts';
import { ACCESS, msrWorld, siteOf } from './msr-world.ts';
import { MemoryLog } from './saga/memory-log.ts';

const OPTIONS: SagaOptions = {
  signal: new AbortController().signal,
  yes: true,
  yesForward: true,
  ask: async () => false,
};
const DTR = {
  image: 'mirantis/dtr:2.9.18',
  replicaId: 'f1e2d3c4b5a0',
  mke: {
    url: 'https://mke.example.com',
    username: 'admin',
    secretEnv: 'UCP_PASSWORD',
    trust: { by: 'nobody' },
  },
} as const;

async function world(t: TestContext, options: Partial<MsrOptions> = {}, target?: RestoreSite['target']) {
  const folder = await tempFolderFor(t, 'restore-steps');
  const volumes = { moved: join(folder, 'moved'), other: join(folder, 'other') };
  const found = await msrWorld(t, { replicas: 1, volumes, ...options });
  const env = { ...found.msr.environment, UCP_PASSWORD: 'mke-password' };
  const site = {
    ...siteOf(found.connection),
    pace: { ...siteOf(found.connection).pace, switchMsMax: 200 },
    containers: new Docker({ env, secrets: ['mke-password'] }),
    dtr: DTR,
    backups: join(folder, 'backups'),
    digests: join(folder, 'digests'),
    report: join(folder, 'report'),
    node: 'node-1',
    target,
  };
  const steps = [
    readOnlyStep(site, ACCESS),
    backupStep(site, 'backup-2'),
    destroyStep(site),
    restoreStep(site),
  ];
  return { ...found, site, steps, log: new MemoryLog() };
}

type World = Awaited<ReturnType<typeof world>>;

/** A final pass that notes at which call of the stand-in it was done. */
function finalOf(one: World, at: number[]): Step {
  let isDone = false;
  return {
    id: 'final-pass',
    title: 'final pass',
    changes: '',
    kind: 'read',
    restsOn: ['read-only'],
    check: async () => ({ is: 'todo' }),
    do: async () => {
      isDone = true;
      at.push(one.msr.called.length);
    },
    effect: async () => (isDone ? { is: 'shown', evidence: '' } : { is: 'missing', why: 'not yet' }),
  };
}

/** What the printed commands come to, and a push after them. */
async function backByHand({ msr }: World): Promise<void> {
  msr.state.isReadOnly = false;
  await msr.state.replicas.start([DTR.replicaId], false);
  await msr.state.metadata.addBlob(msr.state.storage, Buffer.from('pushed since'));
}

const FAILS = { kind: 'fail', when: 'before', message: 'level=fatal msg="no node"' } as const;

describe('a registry that was brought back by hand', () => {
  it('behind a restore that failed is not destroyed by another run', async (t) => {
    const one = await world(t);
    one.msr.docker.misbehave('restore', FAILS);
    assert.equal((await runSaga(one.steps, one.log, OPTIONS)).is, 'stuck-forward');
    await backByHand(one);
    one.msr.calls.length = 0;
    const again = await runSaga(one.steps, one.log, OPTIONS);
    assert.ok(again.is === 'stuck-forward', JSON.stringify(again));
    assert.match(again.failure.why, /takes writes: what was pushed to it is not in the second backup/);
    assert.deepEqual(
      one.msr.called.filter((call) => call.startsWith('docker run')),
      [],
    );
    assert.deepEqual(one.msr.state.replicas.ids, [DTR.replicaId]);
  });

  it('behind a destroy that failed half-way is not destroyed either', async (t) => {
    const one = await world(t, { replicas: 2 });
    one.msr.docker.misbehave('destroy', { kind: 'fail', when: 'after', message: 'level=fatal' });
    assert.equal((await runSaga(one.steps, one.log, OPTIONS)).is, 'stuck-forward');
    one.msr.docker.misbehave('destroy', FAILS);
    one.log.put('destroy', 'destroyed', ['f1e2d3c4b5a1'], false);
    await backByHand(one);
    const again = await runSaga(one.steps, one.log, OPTIONS);
    assert.ok(again.is === 'stuck-forward', JSON.stringify(again));
    assert.match(again.failure.why, /takes writes/);
    assert.deepEqual(one.msr.state.replicas.ids, [DTR.replicaId]);
  });
});

describe('replicas that are left of a destroy', () => {
  it('are not destroyed where they may have taken writes between two runs', async (t) => {
    const one = await world(t, { replicas: 2 });
    const { replicas } = one.msr.state;
    one.msr.docker.misbehave('destroy', { kind: 'fail', when: 'after', message: 'level=fatal' });
    assert.equal((await runSaga(one.steps, one.log, OPTIONS)).is, 'stuck-forward');
    assert.deepEqual(replicas.ids, [DTR.replicaId]);
    for (const isReadOnly of [false, true]) {
      one.msr.state.setReadOnly(isReadOnly);
      for (let looks = 0; looks < 3; looks += 1) await replicas.look();
    }
    // The one that failed has gone all the same.
    one.log.put('destroy', 'destroyed', ['f1e2d3c4b5a1'], false);
    const again = await runSaga(one.steps, one.log, OPTIONS);
    assert.ok(again.is === 'stuck-forward', JSON.stringify(again));
    assert.match(again.failure.why, /was switched since the second backup/);
    assert.deepEqual(replicas.ids, [DTR.replicaId]);
  });
});

describe('a registry that lets nobody look any more', () => {
  for (const status of [401, 403]) {
    it(`(${status}) is neither destroyed nor restored over: it may take writes`, async (t) => {
      const one = await world(t);
      one.msr.docker.misbehave('destroy', FAILS);
      assert.equal((await runSaga(one.steps, one.log, OPTIONS)).is, 'stuck-forward');
      await backByHand(one);
      // The token has expired meanwhile.
      const does = { kind: 'answer', status, json: {} } as const;
      one.msr.faults.add({ on: /^GET \/api\/v0\/meta/, times: Number.POSITIVE_INFINITY, does });
      one.msr.calls.length = 0;
      for (const done of [[], ['f1e2d3c4b5a0']]) {
        one.log.put('destroy', 'destroyed', done, false);
        const again = await runSaga(one.steps, one.log, OPTIONS);
        assert.ok(again.is === 'stuck-forward', JSON.stringify(again));
        assert.match(again.failure.why, /whether it takes writes cannot be seen/);
        if (done.length === 0) one.log.append({ atMs: 0, step: 'destroy', what: 'effect-shown', text: '' });
      }
      assert.deepEqual(
        one.msr.called.filter((call) => call.startsWith('docker run')),
        [],
      );
      assert.deepEqual(one.msr.state.replicas.ids, [DTR.replicaId]);
    });
  }
});

describe('a restore that fails when it has done its work', () => {
  it('leaves nothing that takes writes', async (t) => {
    const one = await world(t, { assumes: { restoresReadOnly: false } });
    one.msr.docker.misbehave('restore', { kind: 'fail', when: 'after', message: 'level=fatal' });
    assert.equal((await runSaga(one.steps, one.log, OPTIONS)).is, 'stuck-forward');
    assert.equal(one.msr.state.isReadOnly, true);
  });
});

describe('what was restored by hand', () => {
  it('and took writes until somebody ended that is caught up with', async (t) => {
    const one = await world(t);
    let isBack = false;
    const containers = new PrintedCommands(async (lines) => {
      if (!/ restore /.test(lines.at(-1) ?? '')) {
        await one.msr.state.replicas.start([], true);
        return true;
      }
      isBack = true;
      await one.msr.state.replicas.start([DTR.replicaId], false);
      // The terminal was closed before there was an answer.
      return false;
    });
    const site = { ...one.site, containers };
    const engine = new FakeEngine();
    const catching = { engine, pollMs: 1, window: 'read-only', digests: () => undefined };
    const [readOnly, backup] = one.steps;
    assert.ok(readOnly && backup);
    const steps = [
      readOnly,
      backup,
      destroyStep(site),
      restoreStep(site),
      readOnlyAgain(site, () => []),
      catchUp(catching),
    ];
    const first = await runSaga(steps, one.log, OPTIONS);
    assert.deepEqual([first.is, isBack], ['stuck-forward', true], JSON.stringify(first));
    const blocked = await runSaga(steps, one.log, OPTIONS);
    assert.match(blocked.is === 'stuck-forward' ? blocked.failure.why : '', /takes writes/);
    await one.msr.state.replicas.start([DTR.replicaId], true);
    const done = await runSaga(steps, one.log, OPTIONS);
    assert.equal(done.is, 'done', JSON.stringify(done));
    assert.deepEqual(engine.calls, ['live', 'written']);
  });
});

describe('replicas that are destroyed', () => {
  it('are not gone where one of them refuses to answer', async (t) => {
    const one = await world(t);
    const containers = new PrintedCommands(async () => {
      const does = { kind: 'answer', status: 401, json: {} } as const;
      one.msr.faults.add({ on: 'GET /api/v0/meta/cluster_status', times: 1_000, does });
      return true;
    });
    const [readOnly, backup] = one.steps;
    assert.ok(readOnly && backup);
    const steps = [readOnly, backup, destroyStep({ ...one.site, containers })];
    const outcome = await runSaga(steps, one.log, OPTIONS);
    assert.ok(outcome.is === 'stuck-forward', JSON.stringify(outcome));
    assert.match(outcome.failure.why, /a replica is still there to say so$/);
  });
});

describe('a restore to a new volume', () => {
  it('is not believed where MSR came back on another one', async (t) => {
    const one = await world(t, {}, { volume: 'moved' });
    // Whoever was asked to run it has named the old one.
    const containers = new PrintedCommands(async () => {
      const { state } = one.msr;
      await state.replicas.start([DTR.replicaId], true);
      return true;
    });
    const site = { ...one.site, containers };
    const [readOnly, backup, destroy] = one.steps;
    assert.ok(readOnly && backup && destroy);
    const outcome = await runSaga([readOnly, backup, destroy, restoreStep(site)], one.log, OPTIONS);
    assert.ok(outcome.is === 'stuck-forward', JSON.stringify(outcome));
    assert.match(outcome.failure.why, /^replica f1e2d3c4b5a0 is well, and not on the volume moved$/);
  });

  it('is believed where MSR says so', async (t) => {
    const one = await world(t, {}, { volume: 'moved' });
    const outcome = await runSaga(one.steps, one.log, OPTIONS);
    assert.equal(outcome.is, 'done', JSON.stringify(outcome));
    assert.match(one.log.entries.findLast(({ step }) => step === 'restore')?.text ?? '', /the volume moved$/);
  });
});

describe('a reconfigure', () => {
  it('that brings the registry back writable is followed by read-only, and not by a wait for it', async (t) => {
    const target = { volume: 'moved' };
    const one = await world(t, { replicas: 2, assumes: { reconfiguresReadOnly: false } }, target);
    const steps = [
      readOnlyStep(one.site, ACCESS),
      reconfigureStep(one.site, target),
      readOnlyAgain(one.site, () => ['the way back']),
    ];
    const outcome = await runSaga(steps, one.log, OPTIONS);
    assert.equal(outcome.is, 'done', JSON.stringify(outcome));
    assert.equal(one.msr.state.mounted?.said, 'moved');
    assert.deepEqual(Object.values(one.msr.state.replicas.readOnly()), [true, true]);
    const shown = one.log.entries.filter(({ what }) => what === 'effect-shown').map(({ text }) => text);
    assert.match(shown.join(), /on the volume moved, writable.*every replica is read-only, it was writable/);
  });

  it('is not begun where read-only was lifted while its image was pulled', async (t) => {
    const target = { volume: 'moved' };
    const one = await world(t, {}, target);
    const finals: number[] = [];
    const final = finalOf(one, finals);
    const docker = one.site.containers;
    let asked = 0;
    const containers: ContainerRunner = {
      run: (spec, signal) => docker.run(spec, signal),
      past: (spec, signal) => docker.past(spec, signal),
      remove: (name, signal) => docker.remove(name, signal),
      knowsFlag: async (image, command, flag, signal) => {
        asked += 1;
        if (asked === 1) await one.msr.state.replicas.setOne(DTR.replicaId, false);
        return docker.knowsFlag(image, command, flag, signal);
      },
    };
    const steps = [
      readOnlyStep(one.site, ACCESS),
      final,
      reconfigureStep({ ...one.site, containers }, target),
    ];
    assert.equal((await runSaga(steps, one.log, OPTIONS)).is, 'done');
    assert.deepEqual([finals.length, asked], [2, 1], 'the final pass was done again');
  });
});
