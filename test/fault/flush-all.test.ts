/** What a run skips may be of one that was killed before it flushed: then the target is flushed as a whole, once. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { identityOf, runCopy } from '../../src/coordinator/coordinator.ts';
import { Journal } from '../../src/coordinator/journal.ts';
import { StorageError } from '../../src/core/errors.ts';
import { type CopySummary, exitCodeOf } from '../../src/core/job.ts';
import type { StorageDriver } from '../../src/drivers/driver.ts';
import { openMemoryDriver } from '../../src/drivers/memory/memory-driver.ts';
import { forgetStore, storeNamed } from '../../src/drivers/memory/memory-store.ts';
import { distributionLayout } from '../../src/layout/distribution.ts';
import { runBlobferry } from '../support/cli.ts';
import { cleanEnvironment } from '../support/process.ts';
import { makeSmallTree, writeSmallTree } from '../support/small-tree.ts';
import { tempFolderFor } from '../support/temp.ts';
import { OPTIONS } from '../unit/coordinator/journal-samples.ts';
import { blobPath, linkText, tagPath } from '../unit/copy/registry-names.ts';

interface Given {
  readonly intoNonempty?: boolean;
  /** The target cannot be written to. */
  readonly isDenied?: boolean;
  readonly failsToFlush?: boolean;
}

interface Job {
  readonly journal: string;
  readonly identity: string;
  readonly targetStore: string;
  run(given?: Given): Promise<{ readonly summary: CopySummary; readonly flushes: number }>;
}

/** @param does how the threads behave, as in `fake-worker.ts`. */
async function jobFor(t: TestContext, does: string): Promise<Job> {
  const source = { kind: 'memory', name: `${does}-${randomUUID()}` } as const;
  const target = { kind: 'memory', name: randomUUID() } as const;
  t.after(() => {
    for (const { name } of [source, target]) forgetStore(name);
  });
  const store = storeNamed(source.name);
  for (let at = 0; at < 64; at += 1) store.put(blobPath(`blob ${at}`), Buffer.from(`blob ${at}`), undefined);
  store.put(tagPath('app', 'v1'), Buffer.from(linkText('blob 0')), undefined);
  const journal = await tempFolderFor(t, 'flush-all');
  const run: Job['run'] = async (given = {}) => {
    let flushes = 0;
    const watched = (driver: StorageDriver): StorageDriver => ({
      ...bound(driver),
      flush: async (ctx, scope) => {
        if (scope === 'all') {
          flushes += 1;
          if (given.failsToFlush) throw refusal(driver.name, 'the disk does not answer');
        }
        await driver.flush(ctx, scope);
      },
      write: async (...args) => {
        if (given.isDenied) throw refusal(driver.name, 'no');
        return await driver.write(...args);
      },
    });
    const options = {
      ...OPTIONS,
      threads: 2,
      memoryBytes: 512 * 1024 ** 2,
      intoNonempty: given.intoNonempty ?? false,
      journalDirectory: journal,
    };
    const summary = await runCopy(
      { source, target, options },
      {
        openDriver: async ({ storage }, side) => {
          assert.ok(storage.kind === 'memory');
          const driver = openMemoryDriver(storage);
          return side === 'target' ? watched(driver) : driver;
        },
        workerUrl: new URL('./fake-worker.ts', import.meta.url),
        onEvent: () => undefined,
        onCounters: () => undefined,
        signal: new AbortController().signal,
      },
    );
    return { summary, flushes };
  };
  const identity = identityOf({ source, target }, distributionLayout);
  return { journal, identity, targetStore: target.name, run };
}

function bound(driver: StorageDriver): StorageDriver {
  const { kind, name, facts } = driver;
  return {
    kind,
    name,
    facts,
    list: (...args) => driver.list(...args),
    stat: (...args) => driver.stat(...args),
    read: (...args) => driver.read(...args),
    write: (...args) => driver.write(...args),
    remove: (...args) => driver.remove(...args),
    flush: (...args) => driver.flush(...args),
    close: () => driver.close(),
  };
}

function refusal(backend: string, sentence: string): StorageError {
  return new StorageError(sentence, {
    kind: 'denied',
    backend,
    operation: 'flush',
    isTransient: false,
    scope: 'backend',
  });
}

describe('the flush of a whole target', () => {
  it('is not asked for while every run comes to its end', async (t) => {
    const job = await jobFor(t, 'copies');
    assert.equal((await job.run()).flushes, 0);
    assert.equal((await job.run()).flushes, 0);
  });

  it('follows a run that was killed, once', async (t) => {
    const job = await jobFor(t, 'copies');
    const killed = Journal.open(job.journal, job.identity);
    killed.claim(true, []);
    killed.beginPass('000000000001', OPTIONS);
    killed.close();
    assert.equal((await job.run()).flushes, 1);
    assert.equal((await job.run()).flushes, 0);
  });

  it('is left to the run after one that ended early, and after one that could not begin', async (t) => {
    const job = await jobFor(t, 'full');
    const ended = await job.run();
    assert.deepEqual([ended.summary.stoppedBy?.message, ended.flushes], ['the disk is full', 0]);
    await assert.rejects(job.run({ isDenied: true }));
    const journal = Journal.open(job.journal, job.identity);
    assert.equal(journal.beginPass('000000000001', OPTIONS).wasFlushed, false);
    journal.close();
  });

  it('is not made necessary by a run that could not begin', async (t) => {
    const job = await jobFor(t, 'copies');
    await assert.rejects(job.run({ isDenied: true }));
    assert.equal((await job.run()).flushes, 0);
  });

  it('comes at the end of a run that lost a thread', async (t) => {
    const job = await jobFor(t, 'loses');
    assert.equal((await job.run()).flushes, 1);
    assert.equal((await job.run()).flushes, 1);
  });

  it('covers what a target held before the job began', async (t) => {
    const job = await jobFor(t, 'copies');
    storeNamed(job.targetStore).put('docker/registry/v2/other', Buffer.from('x'), undefined);
    assert.equal((await job.run({ intoNonempty: true })).flushes, 1);
    assert.equal((await job.run()).flushes, 0);
  });

  it('ends the run where it fails, and is tried again by the next one', async (t) => {
    const job = await jobFor(t, 'copies');
    storeNamed(job.targetStore).put('docker/registry/v2/other', Buffer.from('x'), undefined);
    const { summary } = await job.run({ intoNonempty: true, failsToFlush: true });
    assert.equal(exitCodeOf(summary), 1);
    assert.equal(summary.stoppedBy?.message, 'the disk does not answer');
    assert.equal((await job.run()).flushes, 1);
    assert.equal((await job.run()).flushes, 0);
  });
});

/** A command of this name before all others, which notes how it was called. */
async function fakeSync(
  t: TestContext,
  exit: number,
  says = '',
): Promise<{ PATH: string; calls(): Promise<string> }> {
  const folder = await tempFolderFor(t, 'fake-sync');
  const log = join(folder, 'calls');
  const script = `#!/bin/sh\necho "$@" >> '${log}'\necho '${says}' >&2\nexit ${exit}\n`;
  await writeFile(join(folder, 'sync'), script);
  await chmod(join(folder, 'sync'), 0o755);
  return {
    PATH: `${folder}:${cleanEnvironment()['PATH'] ?? ''}`,
    calls: () => readFile(log, 'utf8').catch(() => ''),
  };
}

describe('blobferry copy to a folder that holds what nobody is known to have flushed', () => {
  it('has the file system of the root written out; says that it cannot, and fails where it failed', async (t) => {
    const [source, target, journal] = await Promise.all(
      ['source', 'target', 'journal'].map((name) => tempFolderFor(t, name)),
    );
    assert.ok(source && target && journal);
    const tree = makeSmallTree();
    await writeSmallTree(source, tree);
    await writeSmallTree(target, tree);
    const args = ['copy', '--from', `file://${source}`, '--to', `file://${target}`, '--journal', journal];
    const broken = await fakeSync(t, 1, 'sync: Input/output error');
    const failed = await runBlobferry([...args, '--into-nonempty'], { env: { PATH: broken.PATH } });
    assert.equal(failed.code, 1, failed.stderr);
    assert.match(failed.stdout, /the command "sync -f" did not work: sync: Input\/output error/);
    assert.equal(await broken.calls(), `-f ${target}\n`);
    const old = await fakeSync(t, 1, 'sync: invalid option -- f');
    const told = await runBlobferry(args, { env: { PATH: old.PATH } });
    assert.equal(told.code, 0, told.stderr);
    assert.match(
      told.stderr,
      /warning: What was in the target before may not survive a power cut yet: .*the command "sync -f" did not work: sync: invalid option/,
    );
    const good = await fakeSync(t, 0);
    for (let run = 0; run < 2; run += 1) {
      const result = await runBlobferry(args, { env: { PATH: good.PATH } });
      assert.equal(result.code, 0, result.stderr);
      assert.doesNotMatch(result.stderr, /power cut/);
    }
    assert.equal(await good.calls(), `-f ${target}\n`);
  });
});
