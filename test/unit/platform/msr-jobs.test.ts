import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { followJob } from '../../../src/platform/msr/follow-job.ts';
import {
  cancelJob,
  createJob,
  listJobs,
  mayStillAct,
  readJob,
  readJobLog,
  stageOf,
} from '../../../src/platform/msr/msr-jobs.ts';
import { isKind, msrWorld } from './msr-world.ts';

const QUICK = { msMax: 60_000, pollMs: 1 };

describe('the jobs of MSR', () => {
  it('go from waiting to done, and tell what they did', async (t) => {
    const { msr, connection, signal } = await msrWorld(t);
    const created = await createJob(connection, signal, 'onlinegc_blobs');
    assert.deepEqual([stageOf(created), created.workerId, created.retryFromId], ['waiting', '', '']);
    const done = await followJob(connection, signal, created.id, QUICK);
    assert.equal(stageOf(done), 'done');
    assert.equal(done.workerId, msr.state.replicas.ids[0]);
    assert.match((await readJobLog(connection, signal, created.id)).join(), /0 blobs deleted/);
  });

  it('have logs in two shapes', async (t) => {
    for (const logField of ['data', 'Data'] as const) {
      const { connection, signal } = await msrWorld(t, { assumes: { logField } });
      const { id } = await createJob(connection, signal, 'webhook');
      await followJob(connection, signal, id, QUICK);
      assert.deepEqual(await readJobLog(connection, signal, id), ['webhook has nothing to do']);
    }
  });

  it('end in every way that MSR has a word for', async (t) => {
    const { msr, connection, signal } = await msrWorld(t);
    const words = ['error', 'cancel', 'deleted', 'worker_dead', 'worker_shutdown', 'worker_resurrection'];
    for (const word of words) {
      msr.state.jobs.script('webhook', ['waiting', 'running', word]);
      const { id } = await createJob(connection, signal, 'webhook');
      const job = await followJob(connection, signal, id, QUICK);
      assert.deepEqual([job.status, stageOf(job), mayStillAct(job)], [word, 'failed', false]);
    }
    msr.state.jobs.script('webhook', ['waiting', 'running', 'meditating']);
    const { id } = await createJob(connection, signal, 'webhook');
    await assert.rejects(followJob(connection, signal, id, QUICK), isKind('malformed', /"meditating"/));
    assert.equal(mayStillAct(await readJob(connection, signal, id)), true, 'who knows');
  });

  it('are followed to the retry that a failed one is given', async (t) => {
    const { msr, connection, signal } = await msrWorld(t);
    msr.state.jobs.retries = 1;
    msr.state.jobs.script('webhook', ['running', 'worker_dead']);
    const { id } = await createJob(connection, signal, 'webhook');
    const job = await followJob(connection, signal, id, QUICK);
    assert.deepEqual([job.status, job.retryFromId], ['done', id]);
    msr.state.jobs.retries = 0;
    msr.state.jobs.script('webhook', ['running', 'error']);
    const alone = await createJob(connection, signal, 'webhook');
    const failed = await followJob(connection, signal, alone.id, QUICK);
    assert.deepEqual([failed.status, failed.id], ['error', alone.id]);
  });

  it('are given up when they take too long, and followed through failures that pass', async (t) => {
    const { msr, connection, signal } = await msrWorld(t);
    msr.state.jobs.script('gc', ['running']);
    const { id } = await createJob(connection, signal, 'gc');
    const hurried = followJob(connection, signal, id, { msMax: 30, pollMs: 1 });
    await assert.rejects(hurried, isKind('timeout', /it is "(waiting|running)"/));
    const other = await createJob(connection, signal, 'webhook');
    const on = 'GET /api/v0/jobs/*';
    const refused = msr.faults.add({ on, times: 2, does: { kind: 'answer', status: 503, text: '' } });
    const cut = msr.faults.add({ on, does: { kind: 'reset' } });
    const job = await followJob(connection, signal, other.id, QUICK);
    assert.equal(job.status, 'done');
    assert.deepEqual([refused(), cut()], [2, 1]);
    msr.revokeTokens();
    msr.faults.add({ on, does: { kind: 'answer', status: 401, text: '' } });
    await assert.rejects(followJob(connection, signal, other.id, QUICK), isKind('unauthorized'));
  });

  it('are cancelled, and have then still to end', async (t) => {
    const { msr, connection, signal } = await msrWorld(t);
    msr.state.jobs.script('gc', ['running']);
    const { id } = await createJob(connection, signal, 'gc');
    await cancelJob(connection, signal, id);
    assert.equal(stageOf({ status: 'cancel_request' }), 'ending');
    assert.equal((await followJob(connection, signal, id, QUICK)).status, 'cancel');
    await assert.rejects(cancelJob(connection, signal, 'none'), isKind('not-found', /NO_SUCH_JOB/));
    await assert.rejects(readJob(connection, signal, 'none'), isKind('not-found'));
  });

  it('are listed to the last page, each once, while new ones come in', async (t) => {
    const { msr, connection, signal } = await msrWorld(t);
    const made = Array.from({ length: 23 }, () => msr.state.jobs.create('webhook').id).reverse();
    const listed: string[] = [];
    for await (const job of listJobs(connection, signal, {}, 5)) {
      listed.push(job.id);
      if (listed.length % 7 === 0) msr.state.jobs.create('gc');
    }
    assert.deepEqual(listed, made);
    const collections: string[] = [];
    for await (const job of listJobs(connection, signal, { action: 'gc' }, 2)) collections.push(job.action);
    assert.deepEqual(collections, ['gc', 'gc', 'gc']);
  });

  it('are not listed for ever where every page is the same', async (t) => {
    const { msr, connection, signal } = await msrWorld(t);
    const jobs = [{ id: 'a', action: 'gc', status: 'done' }];
    msr.faults.add({
      on: 'GET /api/v0/jobs',
      times: 9,
      does: { kind: 'answer', status: 200, json: { jobs } },
    });
    const pages = listJobs(connection, signal, {}, 1);
    assert.equal((await pages.next()).value?.id, 'a');
    await assert.rejects(pages.next(), isKind('malformed', /next page/));
  });
});
