/** The steps behind the proof against the stand-in: what each changes, believes and takes back. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, open, readFile, rename, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { startS3Server } from '../../../bench/s3-server/s3-server.ts';
import { Docker } from '../../../src/platform/docker.ts';
import type { MsrSite } from '../../../src/platform/msr/msr-site.ts';
import { backupStep } from '../../../src/platform/msr/steps/backup.ts';
import { garbageCollection } from '../../../src/platform/msr/steps/garbage-collection.ts';
import { onNewStorage } from '../../../src/platform/msr/steps/on-new-storage.ts';
import { pullTest } from '../../../src/platform/msr/steps/pull-test.ts';
import { readOnlyStep } from '../../../src/platform/msr/steps/read-only.ts';
import { switchStep } from '../../../src/platform/msr/steps/switch-storage.ts';
import { writable } from '../../../src/platform/msr/steps/writable.ts';
import { type Awaiter, PrintedCommands } from '../../../src/platform/print-commands.ts';
import type { Outcome } from '../../../src/platform/saga/outcome.ts';
import { runSaga, type SagaOptions, undoSaga } from '../../../src/platform/saga/saga.ts';
import type { Step } from '../../../src/platform/saga/step.ts';
import { backupPieces } from '../../support/msr/backup.ts';
import { sectionOf } from '../../support/msr/state.ts';
import { tempFolderFor } from '../../support/temp.ts';
import { ACCESS, type MsrWorld, msrWorld, siteOf } from './msr-world.ts';
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

async function world(t: TestContext, awaiter?: Awaiter): Promise<MsrWorld & { readonly site: MsrSite }> {
  const found = await msrWorld(t, { replicas: 1 });
  const folder = await tempFolderFor(t, 'cut-over');
  const env = { ...found.msr.environment, UCP_PASSWORD: 'mke-password' };
  const containers = awaiter ? new PrintedCommands(awaiter) : new Docker({ env, secrets: ['mke-password'] });
  const site = {
    ...siteOf(found.connection),
    containers,
    dtr: DTR,
    backups: join(folder, 'backups'),
    digests: join(folder, 'digests'),
    report: join(folder, 'report'),
  };
  return { ...found, site };
}

const run = (steps: readonly Step[], log = new MemoryLog()): Promise<Outcome> => runSaga(steps, log, OPTIONS);

/** What ends a plan in which others rest on something. */
const END: Step = {
  id: 'end',
  title: 'end',
  changes: '',
  kind: 'forward',
  check: async () => ({ is: 'blocked', why: 'it ends here' }),
  do: async () => undefined,
  effect: async () => ({ is: 'missing', why: 'never' }),
};

describe('a backup', () => {
  it('is kept for its owner alone, and not taken again', async (t) => {
    const one = await world(t);
    const log = new MemoryLog();
    await one.msr.state.metadata.addBlob(one.msr.state.storage, Buffer.from('a blob'));
    assert.equal((await run([backupStep(one.site, 'backup-1')], log)).is, 'done');
    const shown = log.entries.find(({ what }) => what === 'effect-shown')?.text ?? '';
    const [, file = ''] = /^(\S+): \d+ bytes, sha256 [0-9a-f]{64}, 1 blobs$/.exec(shown) ?? [];
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.deepEqual(one.msr.docker.containers, [], 'its container is gone');
  });

  it('that somebody put there today says what blobs must hash to, and is never the one that is restored', async (t) => {
    const DAY_MS = 24 * 60 * 60_000;
    const bytes = Buffer.concat([...backupPieces('2.9.18', { properties: [{ key: 'a' }] })]);
    for (const [name, ageMs, isUsed] of [
      ['yesterday.tar', DAY_MS / 2, true],
      ['last-week.tar', 7 * DAY_MS, false],
      ['blobferry-of-another-run.tar', 1_000, false],
      ['notes.txt', 1_000, false],
    ] as const) {
      const one = await world(t);
      await mkdir(one.site.backups, { recursive: true });
      const file = join(one.site.backups, name);
      await writeFile(file, bytes);
      const written = new Date(Date.now() - ageMs);
      await utimes(file, written, written);
      const log = new MemoryLog();
      assert.equal((await run([backupStep(one.site, 'backup-1')], log)).is, 'done', name);
      const shown = log.entries.find(({ what }) => what === 'effect-shown')?.text ?? '';
      assert.equal(shown.startsWith(`${file}, which was there: `), isUsed, shown);
      const again = new MemoryLog();
      const steps = [readOnlyStep(one.site, ACCESS), backupStep(one.site, 'backup-2'), END];
      assert.equal((await runSaga(steps, again, { ...OPTIONS, until: 'backup-2' })).is, 'until');
      assert.match(
        again.entries.findLast(({ what }) => what === 'effect-shown')?.text ?? '',
        /-backup-2\.tar: /,
      );
    }
  });

  it('that somebody put there and that is none is told by its name', async (t) => {
    const one = await world(t);
    await mkdir(one.site.backups, { recursive: true });
    await writeFile(join(one.site.backups, 'mine.tar'), 'this is no archive'.repeat(100));
    const outcome = await run([backupStep(one.site, 'backup-1')]);
    assert.equal(outcome.is, 'refused');
    assert.match(outcome.is === 'refused' ? outcome.failure.why : '', /"mine\.tar" is no usable backup/);
  });

  it('has its container taken away, although a run was killed before it could', async (t) => {
    const one = await world(t);
    let removals = 0;
    const remove = async (name: string, signal: AbortSignal): Promise<void> => {
      removals += 1;
      if (removals > 1) await one.site.containers.remove(name, signal);
    };
    const { containers } = one.site;
    const killed = { ...one.site, containers: { run: containers.run.bind(containers), remove } };
    assert.equal((await run([backupStep({ ...one.site, ...killed } as MsrSite, 'backup-1')])).is, 'done');
    assert.deepEqual(one.msr.docker.containers, []);
  });

  it('that is cut, foreign, compressed, of another version, older or not whole is refused', async (t) => {
    const rows = { properties: [{ key: 'a' }] };
    const archive = (version: string): Buffer => Buffer.concat([...backupPieces(version, rows)]);
    const whole = archive('2.9.18');
    const renamed = Buffer.from(
      whole.toString('latin1').replaceAll('rethink/crons/', 'rethink/xrons/'),
      'latin1',
    );
    for (const [bytes, expected] of [
      [whole.subarray(0, 2_000), /ends before the end|no tar archive/],
      [Buffer.from('this is no archive, but a text of some length'.repeat(100)), /no tar archive/],
      [Buffer.concat([Buffer.from([0x1f, 0x8b]), Buffer.alloc(2_046)]), /compressed with gzip/],
      [archive('2.9.4'), /is of version 2\.9\.4, and MSR is 2\.9\.18/],
      [renamed, /no tar archive|has no table crons/],
    ] as const) {
      const one = await world(t, async (lines) => {
        const [, file = ''] = /> (\S+?)\)?$/.exec(lines.at(-1) ?? '') ?? [];
        await writeFile(file, bytes);
        return true;
      });
      const outcome = await run([backupStep(one.site, 'backup-1')]);
      assert.ok(outcome.is === 'refused', JSON.stringify(outcome));
      assert.match(outcome.failure.why, expected);
    }
  });

  it('is fresh by the clock of MSR or by the one here, and old where it is by both', async (t) => {
    const rows = { properties: [{ key: 'a' }] };
    const MINUTE = 60_000;
    for (const [aheadMinutes, writtenMinutesAgo, isFresh] of [
      [0, 0, true],
      [0, 7, false],
      // MSR is behind: what it writes now bears an older time.
      [-4, 4, true],
      [-4, 8, true],
      [-4, 12, false],
      // MSR is ahead, and the archive was written by the clock here.
      [4, 0, true],
      [4, 7, false],
      // One that is hours off does not make an archive of hours ago a fresh one.
      [-180, 170, false],
    ] as const) {
      const one = await world(t, async (lines) => {
        const [, file = ''] = /> (\S+?)\)?$/.exec(lines.at(-1) ?? '') ?? [];
        const writtenMs = Date.now() - writtenMinutesAgo * MINUTE;
        await writeFile(file, Buffer.concat([...backupPieces('2.9.18', rows, writtenMs)]));
        return true;
      });
      one.msr.state.clockAheadMs = aheadMinutes * MINUTE;
      const outcome = await run([backupStep(one.site, 'backup-1')]);
      const what = `${aheadMinutes} min ahead, written ${writtenMinutesAgo} min ago`;
      assert.equal(outcome.is, isFresh ? 'done' : 'refused', what);
      if (outcome.is === 'refused') assert.match(outcome.failure.why, /before it was asked for/, what);
    }
  });

  it('is read while the registry is watched: that takes longer than it may go unwatched', async (t) => {
    const looks = (msr: MsrWorld['msr']): number =>
      msr.called.filter((call) => call === 'GET /api/v0/meta/cluster_status').length;
    const bytes = Buffer.concat([...backupPieces('2.9.18', { properties: [{ key: 'a' }] })]);
    let watched = 0;
    const written: Promise<void>[] = [];
    const one = await world(t, async (lines) => {
      const [, file = ''] = /> (\S+?)\)?$/.exec(lines.at(-1) ?? '') ?? [];
      // It is read as slowly as it is written here.
      execFileSync('mkfifo', [file]);
      const write = async (): Promise<void> => {
        const pipe = await open(file, 'w');
        await pipe.write(bytes.subarray(0, 1_024));
        const before = looks(one.msr);
        for (let ms = 0; ms < 20_000 && looks(one.msr) < before + 3; ms += 5) await setTimeout(5);
        watched = looks(one.msr) - before;
        await writeFile(`${file}.whole`, bytes);
        await rename(`${file}.whole`, file);
        await pipe.write(bytes.subarray(1_024));
        await pipe.close();
      };
      written.push(write());
      return true;
    });
    const steps = [readOnlyStep(one.site, ACCESS), backupStep(one.site, 'backup-2'), END];
    const outcome = await runSaga(steps, new MemoryLog(), { ...OPTIONS, until: 'backup-2' });
    await Promise.all(written);
    assert.equal(outcome.is, 'until', JSON.stringify(outcome));
    assert.ok(watched >= 3, `${watched} looks`);
  });

  it('of a registry to which somebody gave a cron again is no backup to be restored', async (t) => {
    const one = await world(t);
    one.msr.state.crons.set('onlinegc', { id: 'c', action: 'onlinegc', schedule: '@daily' });
    assert.equal((await run([backupStep(one.site, 'backup-1')])).is, 'done');
    const outcome = await run([readOnlyStep(one.site, ACCESS), backupStep(one.site, 'backup-2'), END]);
    assert.ok(outcome.is === 'undone', JSON.stringify(outcome));
    assert.match(String(outcome.failure?.why), /would bring back the crons onlinegc/);
  });
});

describe('a switch of the storage', () => {
  async function switched(t: TestContext) {
    const one = await world(t);
    const s3 = await startS3Server({ buckets: ['new'] });
    t.after(() => s3.close());
    const access = { endpoint: s3.endpoint, accessKeyId: 'testkey', secretAccessKey: 'testsecret' };
    const section = sectionOf({ s3: { ...access, bucket: 'new' } })['s3'] as Record<string, string>;
    const target = { driver: 's3', parameters: section };
    return {
      ...one,
      steps: [readOnlyStep(one.site, ACCESS), switchStep(one.site, target, 'reversible'), END],
    };
  }

  it('keeps read-only, and an undo brings back what was there, from a private file', async (t) => {
    const one = await switched(t);
    const before = structuredClone(one.msr.state.section);
    const log = new MemoryLog();
    const until = await runSaga(one.steps, log, { ...OPTIONS, until: 'switch' });
    assert.equal(until.is, 'until', JSON.stringify(until));
    assert.deepEqual(['s3' in one.msr.state.section, one.msr.state.isReadOnly], [true, true]);
    const file = join(one.site.backups, `blobferry-${log.last?.id}-settings.json`);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.match(await readFile(file, 'utf8'), /"keep_metadata":true/);
    assert.doesNotMatch(JSON.stringify([...log.entries]), /testsecret/);
    assert.equal((await undoSaga(one.steps, log, OPTIONS)).is, 'undone');
    assert.deepEqual(one.msr.state.section['filesystem'], before['filesystem']);
    assert.equal(one.msr.state.replicas.readOnly()[DTR.replicaId], false);
  });

  it('is not taken back where the new storage has taken pushes, and without a wait', async (t) => {
    const one = await switched(t);
    const log = new MemoryLog();
    await runSaga(one.steps, log, { ...OPTIONS, until: 'switch' });
    const { state } = one.msr;
    // Somebody ended read-only by hand.
    state.setReadOnly(false);
    for (let looks = 0; looks < 3; looks += 1) await state.replicas.look();
    const outcome = await undoSaga(one.steps, log, OPTIONS);
    assert.ok(outcome.is === 'not-undone', JSON.stringify(outcome));
    assert.match(outcome.undo.why, /takes writes on its new storage/);
    assert.match(String(outcome.undo.hint), /read-only, copy the other way.*curl .*readOnlyRegistry/);
    assert.deepEqual(['s3' in state.section, state.isReadOnly], [true, false]);
    assert.deepEqual(outcome.remaining, ['read-only']);
    // Read-only and copied back, it can be.
    state.setReadOnly(true);
    for (let looks = 0; looks < 3; looks += 1) await state.replicas.look();
    assert.equal((await undoSaga(one.steps, log, OPTIONS)).is, 'undone');
    assert.ok('filesystem' in state.section);
  });

  it('is not taken back either where it may have taken pushes and is read-only again, unless somebody insists', async (t) => {
    const one = await switched(t);
    const log = new MemoryLog();
    await runSaga(one.steps, log, { ...OPTIONS, until: 'switch' });
    const { state } = one.msr;
    for (const isReadOnly of [false, true]) {
      state.setReadOnly(isReadOnly);
      for (let looks = 0; looks < 3; looks += 1) await state.replicas.look();
    }
    const outcome = await undoSaga(one.steps, log, OPTIONS);
    assert.ok(outcome.is === 'not-undone', JSON.stringify(outcome));
    assert.match(outcome.undo.why, /newer job ro_registry/);
    assert.deepEqual(['s3' in state.section, state.isReadOnly], [true, true]);
    assert.equal((await undoSaga(one.steps, log, OPTIONS)).is, 'undone');
    assert.ok('filesystem' in state.section);
  });

  it('is not begun where the settings that it would put back have masks in the place of secrets', async (t) => {
    const one = await switched(t);
    const { state } = one.msr;
    state.registrySettings = { ...state.registrySettings, http: { secret: '********' } };
    const outcome = await runSaga(one.steps, new MemoryLog(), { ...OPTIONS, until: 'switch' });
    assert.ok(outcome.is === 'undone', JSON.stringify(outcome));
    assert.match(String(outcome.failure?.why), /masks the secrets/);
    assert.ok(!one.msr.called.includes('PUT /api/v0/admin/settings/registry'));
    assert.ok('filesystem' in state.section);
  });

  it('is not begun where the settings as they are cannot be kept, and what came before it is taken back', async (t) => {
    const one = await switched(t);
    await writeFile(one.site.backups, 'no folder');
    const outcome = await runSaga(one.steps, new MemoryLog(), { ...OPTIONS, until: 'switch' });
    assert.ok(outcome.is === 'undone', JSON.stringify(outcome));
    assert.match(String(outcome.failure?.why), /cannot be kept in .*settings\.json/);
    assert.ok(!one.msr.called.includes('PUT /api/v0/admin/settings/registry'));
    assert.equal(one.msr.state.replicas.readOnly()[DTR.replicaId], false);
  });

  it('is believed where its answer was lost, and not where nothing came of it', async (t) => {
    const lost = await switched(t);
    lost.msr.faults.add({ on: 'PUT /api/v0/admin/settings/registry', does: { kind: 'lost-reply' } });
    const until = { ...OPTIONS, until: 'switch' };
    assert.equal((await runSaga(lost.steps, new MemoryLog(), until)).is, 'until');
    const silent = await switched(t);
    silent.msr.faults.add({
      on: 'PUT /api/v0/admin/settings/registry',
      does: { kind: 'no-effect', status: 202 },
    });
    const hurried = { ...silent.site, pace: { ...silent.site.pace, switchMsMax: 100 } };
    const [, , end] = silent.steps;
    const target = { driver: 's3', parameters: { bucket: 'new' } };
    assert.ok(end);
    const outcome = await runSaga(
      [readOnlyStep(silent.site, ACCESS), switchStep(hurried, target, 'reversible'), end],
      new MemoryLog(),
      until,
    );
    assert.ok(outcome.is === 'undone', JSON.stringify(outcome));
    assert.match(String(outcome.failure?.why), /the registry is on filesystem/);
  });
});

describe('a registry that was brought back by hand', () => {
  it('is not taken for one on its new storage, nor made writable as such', async (t) => {
    const one = await world(t);
    const { state } = one.msr;
    const old = structuredClone(state.section);
    const target = { by: 'settings', section: { driver: 's3', parameters: { bucket: 'new' } } } as const;
    const last = onNewStorage(
      writable(one.site, () => ['the way back']),
      one.connection,
      target,
    );
    const log = new MemoryLog();
    const blocked = await run([last], log);
    assert.ok(blocked.is === 'refused', JSON.stringify(blocked));
    assert.match(blocked.failure.why, /not on its new storage any more/);
    // Begun by a program that is no more, and every replica takes writes: on the old storage.
    assert.deepEqual(state.section, old);
    const begun = new MemoryLog();
    begun.begin(`writable:forward`);
    begun.append({ atMs: 0, step: 'writable', what: 'do-begun', text: '' });
    const stuck = await run([last], begun);
    assert.ok(stuck.is === 'stuck-forward', JSON.stringify(stuck));
    assert.match(String(stuck.failure.hint), /brought back to stay/);
    assert.deepEqual(stuck.ways.back, ['the way back']);
  });

  it('behind a restore is not switched again, without what was pushed to it', async (t) => {
    const one = await world(t);
    const target = { driver: 's3', parameters: { bucket: 'new' } };
    const final = { ...switchStep(one.site, target, 'forward'), restsOn: [] };
    const outcome = await run([final]);
    assert.ok(outcome.is === 'refused', JSON.stringify(outcome));
    assert.match(outcome.failure.why, /takes writes on its old storage/);
    assert.ok(!one.msr.called.includes('PUT /api/v0/admin/settings/registry'));
  });

  it('is told from one that is there', async (t) => {
    const one = await world(t);
    const { state } = one.msr;
    const mount = { volume: String(state.mounted?.said) };
    const target = { by: 'mount', mount } as const;
    assert.equal(
      (
        await run([
          onNewStorage(
            writable(one.site, () => []),
            one.connection,
            target,
          ),
        ])
      ).is,
      'done',
    );
  });
});

describe('the garbage collection', () => {
  it('is begun once, whoever was killed when, and followed to its end with its log', async (t) => {
    const one = await world(t);
    const log = new MemoryLog();
    const real = garbageCollection(one.site);
    one.msr.faults.add({ on: 'GET /api/v0/jobs/*', does: { kind: 'answer', status: 400, json: {} } });
    assert.equal((await run([real], log)).is, 'stuck-forward');
    assert.equal((await run([real], log)).is, 'done');
    assert.equal(one.msr.called.filter((call) => call === 'POST /api/v0/jobs').length, 1);
    const text = log.entries.findLast(({ what }) => what === 'effect-shown')?.text ?? '';
    const [, file = ''] = /lines is in (\S+)$/.exec(text) ?? [];
    assert.match(await readFile(file, 'utf8'), /0 blobs deleted/);
    const modes = [one.site.report, file].map(async (path) => (await stat(path)).mode & 0o777);
    assert.deepEqual(await Promise.all(modes), [0o700, 0o600], 'for its owner alone');
  });

  it('that fails is told with its last words, and begun anew by the next run', async (t) => {
    const one = await world(t);
    const log = new MemoryLog();
    one.msr.state.jobs.script('onlinegc_blobs', ['waiting', 'running', 'error']);
    const failed = await run([garbageCollection(one.site)], log);
    assert.ok(failed.is === 'stuck-forward');
    assert.match(failed.failure.why, /ended as "error"/);
    assert.match(failed.ways.forward.join(), /^curl .*onlinegc_blobs/);
    one.msr.state.jobs.script('onlinegc_blobs', ['waiting', 'running', 'done']);
    assert.equal((await run([garbageCollection(one.site)], log)).is, 'done');
  });

  it('that is done stays done where its log cannot be had, as it may be too large', async (t) => {
    const one = await world(t);
    const log = new MemoryLog();
    const on = 'GET /api/v0/jobs/*/logs';
    one.msr.faults.add({ on, times: 9, does: { kind: 'answer', status: 500, json: {} } });
    const outcome = await run([garbageCollection(one.site)], log);
    assert.equal(outcome.is, 'done', JSON.stringify(outcome));
    const text = log.entries.findLast(({ what }) => what === 'effect-shown')?.text ?? '';
    assert.match(text, /is done, and its log cannot be had: .*status 500/);
  });

  it('that fails with its retry is begun anew as well', async (t) => {
    const one = await world(t);
    const { jobs } = one.msr.state;
    const log = new MemoryLog();
    const create = jobs.create.bind(jobs);
    let isBad = true;
    jobs.retries = 1;
    jobs.create = (...given) => {
      const job = create(...given);
      if (isBad) job.coming.splice(0, job.coming.length, 'waiting', 'running', 'error');
      return job;
    };
    const failed = await run([garbageCollection(one.site)], log);
    assert.ok(failed.is === 'stuck-forward', JSON.stringify(failed));
    assert.deepEqual(
      jobs.jobs.map(({ status }) => status),
      ['error', 'error'],
    );
    isBad = false;
    const again = await run([garbageCollection(one.site)], log);
    assert.equal(again.is, 'done', JSON.stringify(again));
    assert.equal(jobs.jobs.length, 3);
  });

  it('is not told to be run again where images cannot be pulled behind it, and the crons are not forgotten', async (t) => {
    const one = await world(t);
    const log = new MemoryLog();
    const saved = {
      id: 'c',
      action: 'onlinegc',
      schedule: '@daily',
      retries: 0,
      deadline: '',
      stopTimeout: '',
    };
    const away: Step = {
      ...END,
      id: 'crons-away',
      kind: 'read',
      check: async () => ({ is: 'todo' }),
      do: async ({ memory }) => memory.keep('crons-0', [{ ...saved, capacityMap: null, parameters: null }]),
      effect: async () => ({ is: 'shown', evidence: '' }),
    };
    const pull = pullTest(one.site, { id: 'pull-test-2', tags: 1, access: ACCESS });
    const pulled = await run([away, garbageCollection(one.site), pull], log);
    assert.ok(pulled.is === 'stuck-forward', JSON.stringify(pulled));
    assert.doesNotMatch(pulled.ways.forward.join('\n'), /onlinegc_blobs/);
    assert.match(pulled.ways.forward.join('\n'), /^Copy again .*\ncurl .*api\/v0\/crons/);
    one.msr.state.jobs.script('onlinegc_blobs', ['waiting', 'error']);
    const failed = await run([away, garbageCollection(one.site)]);
    assert.ok(failed.is === 'stuck-forward', JSON.stringify(failed));
    assert.match(failed.ways.forward.join('\n'), /onlinegc_blobs[^\n]*\ncurl .*api\/v0\/crons/);
  });
});
