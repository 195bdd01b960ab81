/** The coordinator over threads that misbehave: it always ends, and says what happened. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { describe, it, type TestContext } from 'node:test';
import { runCopy } from '../../src/coordinator/coordinator.ts';
import type { CopyEvent } from '../../src/core/events.ts';
import { type CopyOptions, type CopySummary, exitCodeOf } from '../../src/core/job.ts';
import { openMemoryDriver } from '../../src/drivers/memory/memory-driver.ts';
import { forgetStore, storeNamed } from '../../src/drivers/memory/memory-store.ts';
import { tempFolderFor } from '../support/temp.ts';
import { blobPath, linkText, tagPath } from '../unit/copy/registry-names.ts';

interface RunOptions {
  readonly does: string;
  readonly isFrozen?: boolean;
  readonly keepGoing?: boolean;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: CopyEvent) => void;
}

interface Run {
  readonly summary: CopySummary;
  readonly events: readonly CopyEvent[];
  readonly seconds: number;
}

async function run(test: TestContext, given: RunOptions): Promise<Run> {
  const names = { source: `${given.does}-${randomUUID()}`, target: randomUUID() };
  test.after(() => {
    for (const name of Object.values(names)) forgetStore(name);
  });
  const source = storeNamed(names.source);
  for (let at = 0; at < 64; at += 1) source.put(blobPath(`blob ${at}`), Buffer.from(`blob ${at}`), undefined);
  source.put(tagPath('app', 'v1'), Buffer.from(linkText('blob 0')), undefined);
  const options: CopyOptions = {
    layout: 'auto',
    isFrozen: given.isFrozen ?? false,
    threads: 2,
    concurrency: 'auto',
    partBytes: 'auto',
    memoryBytes: 512 * 1024 ** 2,
    engine: 'direct',
    readsTwice: false,
    intoNonempty: false,
    keepGoing: given.keepGoing ?? false,
    deletesExtra: false,
    deleteMax: 1_000,
    abortsUploads: false,
    outageMsMax: 60_000,
    journalDirectory: await tempFolderFor(test, 'run-copy'),
  };
  const events: CopyEvent[] = [];
  const started = performance.now();
  const summary = await runCopy(
    {
      source: { kind: 'memory', name: names.source },
      target: { kind: 'memory', name: names.target },
      options,
    },
    {
      openDriver: async ({ storage }) => {
        assert.ok(storage.kind === 'memory');
        return openMemoryDriver(storage);
      },
      workerUrl: new URL('./fake-worker.ts', import.meta.url),
      onEvent: (event) => {
        events.push(event);
        given.onEvent?.(event);
      },
      onCounters: () => undefined,
      signal: given.signal ?? new AbortController().signal,
    },
  );
  return { summary, events, seconds: (performance.now() - started) / 1000 };
}

function phasesOf({ events }: Run): readonly string[] {
  return events.flatMap((event) => (event.event === 'phase' ? [event.phase] : []));
}

/** Stops the run as soon as a shard runs. */
function stopWhenRunning(abort: AbortController, at: { ms: number }): (event: CopyEvent) => void {
  return (event) => {
    if (event.event !== 'shard' || event.state !== 'running' || abort.signal.aborted) return;
    at.ms = performance.now();
    abort.abort(new Error('stopped by the user'));
  };
}

describe('runCopy()', () => {
  it('runs both phases, blobs first, and is done', async (t) => {
    const result = await run(t, { does: 'copies' });
    assert.deepEqual(phasesOf(result), ['blobs', 'names']);
    assert.equal(result.summary.isComplete, true);
    assert.equal(exitCodeOf(result.summary), 0);
    const planned = result.events.flatMap((event) => (event.event === 'planned' ? [event.shards] : []));
    assert.equal(
      result.summary.objectsCopied,
      planned.reduce((sum, shards) => sum + shards, 0),
    );
  });

  it('does not copy names when blobs failed, says so, and keeps the exceptions in the journal', async (t) => {
    const result = await run(t, { does: 'failing' });
    assert.deepEqual(phasesOf(result), ['blobs']);
    assert.match(
      result.summary.warnings.join('\n'),
      /Names were not copied because blobs failed: .*--keep-going/,
    );
    assert.equal(exitCodeOf(result.summary), 1);
    assert.equal(result.summary.objectsByClass.tag.copied, 0);
    const database = new DatabaseSync(result.summary.journal, { readOnly: true });
    t.after(() => database.close());
    const kept = database.prepare('SELECT count(*) AS count FROM exception').get();
    assert.equal(kept?.['count'], result.summary.objectsFailed);
    const pass = database.prepare('SELECT summary FROM pass').get();
    assert.equal(JSON.parse(String(pass?.['summary'])).objectsFailed, result.summary.objectsFailed);
  });

  it('copies names although blobs failed where it was told to keep going, and is not done', async (t) => {
    const result = await run(t, { does: 'failing', keepGoing: true });
    assert.deepEqual(phasesOf(result), ['blobs', 'names']);
    assert.ok(result.summary.objectsByClass.tag.copied > 0);
    assert.equal(result.summary.isComplete, false);
    assert.equal(exitCodeOf(result.summary), 1);
  });

  it('stops the other threads when one meets an error of the whole backend, and tells that one', async (t) => {
    const result = await run(t, { does: 'full' });
    assert.equal(result.summary.stoppedBy?.message, 'the disk is full');
    assert.ok(result.summary.warnings.includes('seen before the end'));
    assert.deepEqual(phasesOf(result), ['blobs']);
    assert.equal(result.summary.isStopped, false);
    assert.equal(exitCodeOf(result.summary), 1);
    assert.ok(result.seconds < 20, 'the others were not cancelled');
  });

  it('ends, and is not done, when a thread is gone or breaks', async (t) => {
    for (const does of ['exits', 'breaks']) {
      const { summary } = await run(t, { does });
      assert.ok(summary.stoppedBy, does);
      assert.equal(summary.isComplete, false);
      assert.equal(exitCodeOf(summary), 1);
    }
  });

  it('ends within 3 seconds of a stop, even if its threads hear nothing', async (t) => {
    for (const does of ['deaf', 'stuck']) {
      const abort = new AbortController();
      const stopped = { ms: 0 };
      const { summary } = await run(t, {
        does,
        signal: abort.signal,
        onEvent: stopWhenRunning(abort, stopped),
      });
      const seconds = (performance.now() - stopped.ms) / 1000;
      assert.ok(seconds < 3, `${does}: ${seconds.toFixed(1)} s`);
      assert.equal(summary.isStopped, true);
      assert.equal(exitCodeOf(summary), 130);
    }
  });
});
