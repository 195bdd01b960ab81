/** The first steps of a migration against the stand-in: what they change, what they believe, and what they put back. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MsrConnection } from '../../../src/platform/msr/msr-connection.ts';
import { cronsAway } from '../../../src/platform/msr/steps/crons-away.ts';
import { jobsDrained } from '../../../src/platform/msr/steps/jobs-drained.ts';
import { readOnlyStep } from '../../../src/platform/msr/steps/read-only.ts';
import { areCronsBack } from '../../../src/platform/msr/steps/saved-crons.ts';
import type { Outcome } from '../../../src/platform/saga/outcome.ts';
import { runSaga, type SagaOptions } from '../../../src/platform/saga/saga.ts';
import type { Effect, Step } from '../../../src/platform/saga/step.ts';
import { ACCESS, msrWorld, QUICK_PACE, siteOf } from './msr-world.ts';
import { MemoryLog } from './saga/memory-log.ts';

const QUICK = QUICK_PACE;
const OPTIONS: SagaOptions = {
  signal: new AbortController().signal,
  yes: true,
  yesForward: true,
  ask: async () => false,
};
const GC = { action: 'gc', schedule: '0 0 1 * * 0', retries: 2, deadline: '30m', stopTimeout: '30s' };
const PRUNING = { action: 'tag_pruning', schedule: '@daily' };
const OTHER = { action: 'license_update', schedule: '@weekly' };

/** A step that reads, as long as it is let. */
function plain(id: string, more: Partial<Step> = {}): Step {
  let isDone = false;
  return {
    id,
    title: id,
    changes: '',
    kind: 'read',
    check: async () => ({ is: 'todo' }),
    do: async () => {
      isDone = true;
    },
    effect: async () => (isDone ? { is: 'shown', evidence: '' } : { is: 'missing', why: 'not yet' }),
    ...more,
  };
}

function migration(connection: MsrConnection, final: Step, options = QUICK): readonly Step[] {
  return [
    cronsAway(siteOf(connection)),
    readOnlyStep(siteOf(connection, options), ACCESS),
    { ...final, restsOn: ['read-only'] },
    plain('restore', { kind: 'forward' }),
  ];
}

async function world(t: Parameters<typeof msrWorld>[0], crons = [GC, PRUNING, OTHER]) {
  const found = await msrWorld(t);
  for (const json of crons) {
    await found.connection.send(found.signal, {
      method: 'POST',
      operation: 'set',
      path: '/api/v0/crons',
      json,
    });
  }
  const before = cronsOf(found.msr);
  found.msr.calls.length = 0;
  return { ...found, before, log: new MemoryLog() };
}

type World = Awaited<ReturnType<typeof world>>;

function cronsOf({ state }: World['msr']): readonly object[] {
  return [...state.crons.values()]
    .map(({ id: _, ...cron }) => cron)
    .sort((a, b) => (String(a.action) < String(b.action) ? -1 : 1));
}

function changes({ msr }: World): readonly string[] {
  return msr.called.filter((call) => !call.startsWith('GET'));
}

const failing = plain('final', { do: async () => Promise.reject(new Error('a blob is damaged')) });

function is(outcome: Outcome, expected: Outcome['is']): void {
  assert.equal(outcome.is, expected, JSON.stringify(outcome));
}

describe('jobs that write', () => {
  const drained = (one: World, msMax = 60_000) => [
    jobsDrained(siteOf(one.connection, { ...QUICK, drainMsMax: msMax })),
  ];

  it('are waited for, whoever made them, and however they end', async (t) => {
    const one = await world(t, []);
    const { jobs } = one.msr.state;
    jobs.script('tag_pruning', ['waiting', 'running', 'running', 'error']);
    const made = ['onlinegc', 'tag_pruning', 'license_update'].map((action) => jobs.create(action));
    jobs.script('license_update', ['running']);
    is(await runSaga(drained(one), one.log, OPTIONS), 'done');
    assert.deepEqual(
      made.slice(0, 2).map(({ status }) => status),
      ['done', 'error'],
    );
    const again = new MemoryLog();
    is(await runSaga(drained(one), again, OPTIONS), 'done');
    assert.ok(!again.entries.some(({ what }) => what === 'do-begun'), 'nothing was left to wait for');
  });

  it('are named where they do not end, with what to do', async (t) => {
    const one = await world(t, []);
    one.msr.state.jobs.script('onlinegc', ['waiting', 'running']);
    const { id } = one.msr.state.jobs.create('onlinegc');
    const outcome = await runSaga(drained(one, 100), one.log, OPTIONS);
    assert.ok(outcome.is === 'refused', JSON.stringify(outcome));
    assert.match(outcome.failure.why, /The job "onlinegc" \(.*\) does not end: .*it is "running"/);
    assert.match(String(outcome.failure.hint), new RegExp(`/api/v0/jobs/${id}/cancel`));
  });

  it('are left to the look at the effect where MSR lists what it does not know', async (t) => {
    const one = await world(t, []);
    one.msr.state.jobs.script('gc', ['running']);
    one.msr.state.jobs.create('gc');
    const json = { errors: [{ code: 'NO_SUCH_JOB', message: 'gone' }] };
    const times = Number.POSITIVE_INFINITY;
    one.msr.faults.add({ on: 'GET /api/v0/jobs/*', times, does: { kind: 'answer', status: 404, json } });
    const outcome = await runSaga(drained(one, 50), one.log, OPTIONS);
    assert.ok(outcome.is === 'refused');
    assert.match(outcome.failure.why, /^The job "gc" \(.*\) is "running"$/);
  });

  it('are not taken for ended because of a word that is not known here', async (t) => {
    const one = await world(t, []);
    one.msr.state.jobs.script('gc', ['paused']);
    one.msr.state.jobs.create('gc');
    const outcome = await runSaga(drained(one, 1_000), one.log, OPTIONS);
    assert.ok(outcome.is === 'refused');
    assert.match(outcome.failure.why, /"gc" \(.*\) does not end: .*is "paused", which is not known here/);
  });
});

describe('the steps around a window', () => {
  it('take away the crons that write, make every replica read-only, and say so', async (t) => {
    const one = await world(t);
    is(await runSaga(migration(one.connection, plain('final')), one.log, OPTIONS), 'done');
    assert.deepEqual(
      cronsOf(one.msr).map((cron) => ('action' in cron ? cron.action : '')),
      ['license_update'],
    );
    assert.ok(one.msr.state.isReadOnly);
    const shown = one.log.entries.filter(({ what }) => what === 'effect-shown').map(({ text }) => text);
    assert.equal(shown[0], 'MSR has no crons "gc", "tag_pruning" any more');
    assert.match(
      String(shown[1]),
      /^read-only on replicas f1e2d3c4b5a0, f1e2d3c4b5a1, f1e2d3c4b5a2 since 20/,
    );
  });

  it('are put back as they were when what comes after them fails', async (t) => {
    const one = await world(t);
    is(await runSaga(migration(one.connection, failing), one.log, OPTIONS), 'undone');
    assert.deepEqual(cronsOf(one.msr), one.before);
    assert.equal(one.msr.state.isReadOnly, false);
    const order = changes(one).filter((call) => /settings|POST .*crons/.test(call));
    assert.deepEqual(order, [
      'POST /api/v0/meta/settings',
      'POST /api/v0/meta/settings',
      'POST /api/v0/crons',
      'POST /api/v0/crons',
    ]);
  });

  it('take no cron away where two have one action, as only one could be put back', async (t) => {
    const one = await world(t);
    one.msr.state.crons.set('gc again', { ...GC, id: 'another-gc', schedule: '@hourly' });
    const outcome = await runSaga(migration(one.connection, plain('final')), one.log, OPTIONS);
    assert.ok(outcome.is === 'undone', JSON.stringify(outcome));
    assert.match(String(outcome.failure?.why), /several crons "gc"/);
    assert.deepEqual(changes(one), []);
  });

  it('do not say that a cron is back whose parameters were lost', async (t) => {
    const one = await world(t, []);
    const parameters = { namespace: 'a', dryRun: 'true' };
    const cron = { id: 'p', retries: 0, capacityMap: null, deadline: '', stopTimeout: '', ...PRUNING };
    const back = (): Promise<Effect> =>
      areCronsBack(one.connection, one.signal, [{ ...cron, parameters: { dryRun: 'true', namespace: 'a' } }]);
    one.msr.state.crons.set(PRUNING.action, { ...cron, parameters });
    assert.equal((await back()).is, 'shown');
    one.msr.state.crons.set(PRUNING.action, { ...cron, parameters: null });
    const lost = await back();
    assert.match(lost.is === 'missing' ? lost.why : '', /"tag_pruning" has other parameters/);
  });

  it('leave a registry alone that was read-only and without such crons before', async (t) => {
    const one = await world(t, [OTHER]);
    one.msr.state.setReadOnly(true);
    for (let looks = 0; looks < 12; looks += 1) {
      await one.connection.send(one.signal, {
        method: 'GET',
        operation: 'look',
        path: '/api/v0/meta/cluster_status',
      });
    }
    is(await runSaga(migration(one.connection, failing), one.log, OPTIONS), 'refused');
    assert.deepEqual([changes(one), one.msr.state.isReadOnly], [[], true]);
  });

  it('believe what MSR does and not what it answers', async (t) => {
    const lost = await world(t);
    lost.msr.faults.add({ on: 'POST /api/v0/meta/settings', does: { kind: 'lost-reply' } });
    is(await runSaga(migration(lost.connection, plain('final')), lost.log, OPTIONS), 'done');
    assert.equal(changes(lost).filter((call) => call.includes('settings')).length, 1);
    const said = await world(t);
    said.msr.faults.add({ on: 'POST /api/v0/meta/settings', does: { kind: 'no-effect', status: 202 } });
    const outcome = await runSaga(
      migration(said.connection, plain('final'), { ...QUICK, switchMsMax: 200 }),
      said.log,
      OPTIONS,
    );
    assert.ok(outcome.is === 'undone', JSON.stringify(outcome));
    assert.match(String(outcome.failure?.why), /After 0 s: Replica f1e2d3c4b5a0 still takes writes/);
    assert.deepEqual(cronsOf(said.msr), said.before);
  });

  it('do not believe in read-only where a push is let in all the same', async (t) => {
    const one = await world(t, []);
    const answers = (on: string, status: number, json?: object): void =>
      void one.msr.faults.add({ on, times: 9, does: { kind: 'answer', status, json } });
    answers('GET /v2/_catalog', 200, { repositories: ['team/app'] });
    answers('POST /v2/*/*/blobs/uploads/', 202);
    const outcome = await runSaga(migration(one.connection, plain('final')), one.log, OPTIONS);
    assert.ok(outcome.is === 'undone', JSON.stringify(outcome));
    assert.match(String(outcome.failure?.why), /^A push was let in, although every replica/);
    assert.equal(one.msr.state.isReadOnly, false);
    assert.equal(one.msr.called.filter((call) => call.startsWith('POST /v2/')).length, 1);
  });

  it('try a push at each replica, and say that it was refused', async (t) => {
    const one = await world(t, []);
    const answers = (on: string, status: number, json?: object): void =>
      void one.msr.faults.add({ on, times: 9, does: { kind: 'answer', status, json } });
    answers('GET /v2/_catalog', 200, { repositories: ['team/app'] });
    answers('POST /v2/*/*/blobs/uploads/', 405);
    is(await runSaga(migration(one.connection, plain('final')), one.log, OPTIONS), 'done');
    const shown = one.log.entries.find(({ step, what }) => step === 'read-only' && what === 'effect-shown');
    assert.match(String(shown?.text), /; a push that was tried was refused$/);
    assert.equal(one.msr.called.filter((call) => call.startsWith('POST /v2/')).length, 3);
  });

  it('do not begin with a replica that is not well', async (t) => {
    const one = await world(t);
    one.msr.state.replicas.ailments.set('f1e2d3c4b5a1', 'disk full');
    const steps = migration(one.connection, plain('final'), { ...QUICK, switchMsMax: 200 });
    const outcome = await runSaga(steps, one.log, OPTIONS);
    assert.ok(outcome.is === 'undone');
    assert.equal(outcome.failure?.why, 'Replica f1e2d3c4b5a1 is not well: "disk full"');
    assert.deepEqual(cronsOf(one.msr), one.before);
  });

  it('go on after any of their changes was the last thing that was done', async (t) => {
    for (const killedAt of ['DELETE', 'POST'] as const) {
      const one = await world(t);
      const dead: MsrConnection = Object.create(one.connection);
      // What the program sent was done, and the program is no more.
      dead.send = async (signal, request) => {
        const answer = await one.connection.send(signal, request);
        if (request.method === killedAt) throw new Error('killed');
        return answer;
      };
      const log = new MemoryLog(() => {
        if (one.msr.called.some((call) => call.startsWith(killedAt))) throw new Error('killed');
      });
      await assert.rejects(runSaga(migration(dead, plain('final')), log, OPTIONS), /^Error: killed$/);
      const alive = Object.assign(new MemoryLog(), { runs: log.runs, all: log.all });
      for (const [key, value] of log.kept) alive.kept.set(key, value);
      is(await runSaga(migration(one.connection, failing), alive, OPTIONS), 'undone');
      assert.deepEqual(cronsOf(one.msr), one.before, killedAt);
      assert.equal(one.msr.state.isReadOnly, false);
    }
  });

  it('put back what somebody made while they were interrupted, as well as what was there first', async (t) => {
    const one = await world(t);
    const steps = migration(one.connection, failing);
    const [crons] = steps;
    const interrupted: Step = {
      ...plain('crons-away'),
      ...crons,
      do: async (ctx) => {
        await crons?.do(ctx);
        throw new Error('its end is not seen');
      },
      effect: async () => {
        throw new Error('nor what came of it');
      },
      undo: async () => {
        throw new Error('and it dies');
      },
    };
    is(await runSaga([interrupted, ...steps.slice(1)], one.log, OPTIONS), 'not-undone');
    const mirror = { action: 'poll_mirror', schedule: '@hourly' };
    const later = { ...GC, schedule: '0 0 2 * * 0' };
    for (const json of [mirror, later]) {
      await one.connection.send(one.signal, {
        method: 'POST',
        operation: 'set',
        path: '/api/v0/crons',
        json,
      });
    }
    // As a run that was killed and not undone: what it wrote last is taken back.
    one.log.all.splice(one.log.all.findIndex(({ entry }) => entry.what === 'effect-begun'));
    is(await runSaga(steps, one.log, OPTIONS), 'undone');
    const found = [...one.msr.state.crons.values()].map(({ action, schedule }) => `${action} ${schedule}`);
    assert.deepEqual(found.sort(), [
      'gc 0 0 2 * * 0',
      'license_update @weekly',
      'poll_mirror @hourly',
      'tag_pruning @daily',
    ]);
  });

  it('start anew when read-only was lifted meanwhile, or nobody looked for too long', async (t) => {
    for (const [title, options, lift] of [
      ['lifted', QUICK, true],
      ['unwatched', { ...QUICK, gapMsMax: -1 }, false],
    ] as const) {
      const one = await world(t);
      const upTo = { ...OPTIONS, until: 'final' };
      let finals = 0;
      const final = plain('final', {
        do: async () => {
          finals += 1;
        },
        effect: async () => ({ is: 'shown', evidence: '' }),
      });
      is(await runSaga(migration(one.connection, final), one.log, upTo), 'until');
      if (lift) one.msr.state.setReadOnly(false);
      // Every look breaks an epoch that may never go unwatched: after three times it is given up.
      const outcome = await runSaga(migration(one.connection, final, options), one.log, OPTIONS);
      is(outcome, lift ? 'done' : 'undone');
      assert.ok(finals >= 2, title);
      assert.equal(one.msr.state.isReadOnly, lift);
    }
  });
});
