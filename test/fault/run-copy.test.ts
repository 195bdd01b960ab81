/** The coordinator over threads that misbehave: it always ends, and says what happened. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { open } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { describe, it, type TestContext } from 'node:test';
import { runCopy } from '../../src/coordinator/coordinator.ts';
import { Journal } from '../../src/coordinator/journal.ts';
import type { CounterReader } from '../../src/core/counters.ts';
import type { CopyEvent } from '../../src/core/events.ts';
import { type CopyOptions, type CopySummary, exitCodeOf } from '../../src/core/job.ts';
import { openMemoryDriver } from '../../src/drivers/memory/memory-driver.ts';
import { forgetStore, storeNamed } from '../../src/drivers/memory/memory-store.ts';
import { assertWithinSeconds } from '../support/in-seconds.ts';
import { tempFolderFor } from '../support/temp.ts';
import { blobPath, linkText, tagPath } from '../unit/copy/registry-names.ts';

interface RunOptions {
  readonly does: string;
  readonly isFrozen?: boolean;
  readonly keepGoing?: boolean;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: CopyEvent) => void;
  readonly journalDirectory?: string;
  readonly names?: { readonly source: string; readonly target: string };
  /** The table of exceptions is garbage. */
  readonly breaksJournal?: boolean;
}

interface Run {
  readonly summary: CopySummary;
  readonly events: readonly CopyEvent[];
  readonly seconds: number;
  readonly counters: CounterReader | undefined;
}

/** Overwrites the page where exceptions are kept. */
async function breakJournal(directory: string, identity: string): Promise<void> {
  const journal = Journal.open(directory, identity);
  journal.close();
  const database = new DatabaseSync(journal.path);
  const { page } =
    database.prepare("SELECT rootpage AS page FROM sqlite_master WHERE name = 'exception'").get() ?? {};
  const { bytes } = database.prepare('SELECT page_size AS bytes FROM pragma_page_size').get() ?? {};
  database.close();
  const file = await open(journal.path, 'r+');
  await file.write(Buffer.alloc(Number(bytes), 0xa5), 0, Number(bytes), (Number(page) - 1) * Number(bytes));
  await file.close();
}

async function run(test: TestContext, given: RunOptions): Promise<Run> {
  const names = given.names ?? { source: `${given.does}-${randomUUID()}`, target: randomUUID() };
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
    serverSide: 'never',
    readsTwice: false,
    intoNonempty: false,
    keepGoing: given.keepGoing ?? false,
    deletesExtra: false,
    deleteMax: 1_000,
    abortsUploads: false,
    outageMsMax: 60_000,
    journalDirectory: given.journalDirectory ?? (await tempFolderFor(test, 'run-copy')),
  };
  if (given.breaksJournal) {
    const { source, target } = names;
    const identity = `memory://${source} / -> memory://${target} /, layout distribution`;
    await breakJournal(options.journalDirectory, identity);
  }
  const events: CopyEvent[] = [];
  let counters: CounterReader | undefined;
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
      onCounters: (reader) => {
        counters = reader;
      },
      signal: given.signal ?? new AbortController().signal,
    },
  );
  return { summary, events, counters, seconds: (performance.now() - started) / 1000 };
}

/** As the threads that die are written: six objects in each shard of both phases, whoever copied them. */
function assertSixOfEach({ summary, events }: Run): void {
  const planned = events.flatMap((event) => (event.event === 'planned' ? [event.shards] : []));
  const shards = planned.reduce((sum, count) => sum + count, 0);
  assert.equal(summary.objectsCopied, 6 * shards);
  assert.equal(summary.objectsSkipped, 0);
  assert.equal(summary.objectsFailed, 0);
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

  it('ends in words, and is not done, when threads die again and again in one shard', async (t) => {
    for (const [does, why] of [
      ['exits', 'ended with code 7'],
      ['breaks', 'broke: the thread broke'],
    ] as const) {
      const { summary } = await run(t, { does });
      const { message = '', hint } = summary.stoppedBy ?? {};
      assert.match(
        message,
        new RegExp(`^3 worker threads died in shard blobs-\\d+, the last one because it ${why}$`),
      );
      assert.match(hint ?? '', /^Run again with a lower --concurrency or fewer --threads; it copies only/);
      assert.equal(summary.isComplete, false);
      assert.equal(exitCodeOf(summary), 1);
    }
  });

  it('goes on with another thread where one runs out of memory, and counts each object once', async (t) => {
    const result = await run(t, { does: 'exhausts' });
    const { summary, counters } = result;
    assert.equal(exitCodeOf(summary), 0, JSON.stringify(summary.stoppedBy));
    assertSixOfEach(result);
    assert.equal(counters?.gauge('objectsInFlight'), 0, 'a dead thread has objects in flight');
    const warnings = summary.warnings.join('\n');
    for (const shard of ['blobs-1', 'blobs-2']) {
      assert.match(
        warnings,
        new RegExp(
          `A worker thread died because it ran out of memory; .* shard ${shard} behind "died in ${shard}"`,
        ),
      );
    }
  });

  it('bears as many deaths as it promises, without two threads in one row of counters', async (t) => {
    const result = await run(t, { does: 'loses' });
    assert.equal(exitCodeOf(result.summary), 0, JSON.stringify(result.summary.stoppedBy));
    assert.equal(result.summary.warnings.length, 8);
    assertSixOfEach(result);
    const tooMany = await run(t, { does: 'losesmore' });
    assert.match(tooMany.summary.stoppedBy?.message ?? '', /^9 worker threads died in this run, .* code 9$/);
    assert.equal(exitCodeOf(tooMany.summary), 1);
  });

  it('passes on that a backend is waited for, and that it is back', async (t) => {
    const { events } = await run(t, { does: 'waits' });
    const news = events.filter(({ event }) => event === 'backend');
    const same = { event: 'backend', side: 'target', name: 's3://bucket', reason: 'no answer' };
    assert.deepEqual(news, [
      { ...same, state: 'waiting' },
      { ...same, state: 'back' },
    ]);
  });

  it('stops, in words, when the journal turns out to be damaged or cannot be written', async (t) => {
    const { summary, events } = await run(t, { does: 'failing', breaksJournal: true });
    assert.match(summary.stoppedBy?.message ?? '', /journal\.sqlite is damaged, or no journal: .*malformed/);
    assert.match(summary.stoppedBy?.hint ?? '', /Move it away and run again with --into-nonempty/);
    assert.equal(exitCodeOf(summary), 1);
    const ended = events.filter((event) => event.event === 'shard' && event.state !== 'running');
    const planned = events.find(({ event }) => event === 'planned');
    assert.ok(
      planned?.event === 'planned' && ended.length < planned.shards,
      'it went on without its journal',
    );
  });

  it('says what the run before it had reached when it was interrupted, and only then', async (t) => {
    const journalDirectory = await tempFolderFor(t, 'run-copy');
    const names = { source: `copies-${randomUUID()}`, target: randomUUID() };
    const first = await run(t, { does: 'copies', journalDirectory, names });
    assert.ok(!first.events.some(({ event }) => event === 'interrupted'));
    const database = new DatabaseSync(first.summary.journal);
    database.exec(`
      UPDATE pass SET ended_ms = NULL, started_ms = 1000, seen_ms = 2000;
      UPDATE shard SET state = 'running' WHERE id = 'blobs-1'`);
    database.close();
    const second = await run(t, { does: 'copies', journalDirectory, names });
    const planned = first.events.flatMap((event) => (event.event === 'planned' ? [event.shards] : []));
    const shards = planned.reduce((sum, count) => sum + count, 0);
    assert.deepEqual(
      second.events.find(({ event }) => event === 'interrupted'),
      { event: 'interrupted', beganMs: 1000, lastSignMs: 2000, shardsDone: shards - 1, shards },
    );
    const third = await run(t, { does: 'copies', journalDirectory, names });
    assert.ok(!third.events.some(({ event }) => event === 'interrupted'));
  });

  it('ends within 3 seconds of a stop, even if its threads hear nothing', async (t) => {
    for (const does of ['deaf', 'stuck']) {
      await assertWithinSeconds(3, async () => {
        const abort = new AbortController();
        const stopped = { ms: 0 };
        const { summary } = await run(t, {
          does,
          signal: abort.signal,
          onEvent: stopWhenRunning(abort, stopped),
        });
        const seconds = (performance.now() - stopped.ms) / 1000;
        assert.equal(summary.isStopped, true);
        assert.equal(exitCodeOf(summary), 130);
        return seconds;
      });
    }
  });
});
