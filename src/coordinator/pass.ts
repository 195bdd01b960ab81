/** One pass over the shards: plans them, feeds the pool, gathers what came of it, and leaves the target tidy. */

import type { PassSettings, Phase, Shard, WorkerReport } from '../copy/shard.ts';
import type { TokenWanted } from '../copy/thread-tokens.ts';
import { type CounterMemory, CounterReader } from '../core/counters.ts';
import { isStorageError, toErrorRecord } from '../core/errors.ts';
import type { CopyOptions, CopySummary, ServerSideSummary } from '../core/job.ts';
import type { CallContext } from '../drivers/driver.ts';
import type { Layout } from '../layout/layout.ts';
import type { ExtraDeletion } from './delete-extra.ts';
import type { CopyEnvironment, Ends } from './ends.ts';
import type { PassJournal } from './pass-journal.ts';
import { planShards } from './plan-shards.ts';
import { ShardPool } from './pool.ts';
import { ShardQueue } from './shard-queue.ts';
import { ShardRunner } from './shard-runner.ts';
import type { Gathered } from './summary.ts';
import type { TargetUploads } from './target-uploads.ts';

export interface PassParts {
  readonly environment: CopyEnvironment;
  readonly options: CopyOptions;
  readonly settings: PassSettings;
  readonly layout: Layout;
  readonly ends: Ends;
  readonly counters: CounterMemory;
  readonly gathered: Gathered;
  readonly deletion: ExtraDeletion;
  readonly uploads: TargetUploads;
  readonly journal: PassJournal;
  readonly journalPath: string;
  /** The target's binding in words. */
  readonly binding: string;
  readonly serverSide: ServerSideSummary;
  readonly warn: (message: string) => void;
  /** Removes what threads of this run that died have left; called once no thread is left. */
  readonly removeOwnLeftovers: () => Promise<void>;
}

export class Pass {
  readonly #parts: PassParts;
  readonly #pool: ShardPool;
  readonly #runner: ShardRunner;
  #queue: ShardQueue | undefined;
  #hasToldRefusal = false;
  readonly #ctx: CallContext;

  constructor(parts: PassParts) {
    const { environment, options, settings, counters, uploads, journal } = parts;
    this.#parts = parts;
    this.#ctx = { signal: environment.signal };
    this.#pool = new ShardPool({
      threads: options.threads,
      workerUrl: environment.workerUrl,
      counters,
      onReport: (report) => this.#hear(report),
    });
    this.#runner = new ShardRunner({
      pool: this.#pool,
      settings,
      counters,
      threads: options.threads,
      uploadsOf: (shard) => uploads.of(shard),
      onAttempt: ({ id }, attempt) => {
        journal.shard(id, 'running', attempt);
        if (attempt > 1) this.#queue?.interrupted(id);
      },
      onDeath: () => uploads.lookAgain(),
      onShared: (shard, given) => this.#shared(shard, given),
      warn: parts.warn,
    });
  }

  /** Never rejects: what goes wrong is in the summary. */
  async run(): Promise<CopySummary> {
    const { environment, gathered, deletion, journal, ends, layout, settings } = this.#parts;
    const startMs = performance.now();
    journal.onFailure = (error) => {
      gathered.stop(toErrorRecord(error));
      this.#pool.cancel();
    };
    await this.#copy();
    const deleted = await deletion.run(this.#ctx, {
      ...settings,
      ...ends.patient,
      layout,
      gathered,
      journal,
      onEvent: environment.onEvent,
      noteExceptions: (exceptions) => journal.addExceptions(exceptions),
    });
    await this.#flush();
    const isTidied = await this.#tidyUp();
    const seconds = (performance.now() - startMs) / 1000;
    const summary = (): CopySummary => this.#summary(deleted, seconds);
    try {
      journal.end(summary(), isTidied);
    } catch (error) {
      gathered.stop(toErrorRecord(error));
    }
    return summary();
  }

  #summary(deleted: Awaited<ReturnType<ExtraDeletion['run']>>, seconds: number): CopySummary {
    const { environment, options, gathered, ends, layout, uploads, binding, serverSide, journalPath } =
      this.#parts;
    return gathered.summary({
      ...deleted,
      source: ends.source.name,
      target: ends.target.name,
      layout: layout.name,
      engine: options.engine,
      serverSide,
      binding,
      isFrozen: options.isFrozen,
      isStopped: environment.signal.aborted,
      uploadsOpen: uploads.strangersOpen,
      seconds,
      journal: journalPath,
    });
  }

  async #copy(): Promise<void> {
    const { environment, gathered, options } = this.#parts;
    const onAbort = () => {
      gathered.cancelled();
      this.#pool.cancel();
    };
    environment.signal.addEventListener('abort', onAbort, { once: true });
    if (environment.signal.aborted) onAbort();
    try {
      await this.#phase('blobs');
      if (gathered.isRunning && (options.keepGoing || gathered.failedObjects === 0))
        await this.#phase('names');
      else if (gathered.isRunning)
        gathered.warn('Names were not copied because blobs failed: see --keep-going');
    } finally {
      environment.signal.removeEventListener('abort', onAbort);
      await this.#pool.close();
    }
  }

  async #phase(phase: Phase): Promise<void> {
    const { environment, ends, layout, options, gathered, journal, settings } = this.#parts;
    const { threads } = options;
    const input = { driver: ends.patient.source, keyPrefix: settings.sourcePrefix, layout, threads };
    try {
      const shards = await planShards(this.#ctx, input, phase);
      journal.planned(shards);
      environment.onEvent({ event: 'planned', phase, shards: shards.length });
      environment.onEvent({ event: 'phase', phase });
      gathered.planned(shards.length);
      const queue = new ShardQueue(shards, (shard) => this.#pool.share(shard));
      this.#queue = queue;
      await Promise.all(Array.from({ length: threads }, () => this.#lane(queue)));
    } catch (error) {
      gathered.stop(toErrorRecord(error));
    }
  }

  /** What one thread does. */
  async #lane(queue: ShardQueue): Promise<void> {
    const { gathered } = this.#parts;
    for (;;) {
      const shard = await queue.next();
      if (!shard) return;
      // Where the run ends early those that wait are left as they are.
      if (gathered.isRunning) await this.#shard(shard);
      queue.ended(shard.id);
    }
  }

  #shared(shard: Shard, given: readonly Shard[]): void {
    const { environment, gathered, journal } = this.#parts;
    journal.split(shard, given);
    gathered.split(given.length);
    environment.onEvent({ event: 'split', shard: shard.id, into: given.map(({ id }) => id) });
    this.#queue?.answered(shard.id, given);
  }

  /** Once, whichever thread comes to it first. */
  #tellRefusal(refusal: string | undefined): void {
    if (refusal === undefined || this.#hasToldRefusal) return;
    this.#hasToldRefusal = true;
    this.#parts.warn(refusal);
  }

  async #shard(shard: Shard): Promise<void> {
    const { environment, gathered, deletion, journal } = this.#parts;
    const { id } = shard;
    environment.onEvent({ event: 'shard', shard: id, state: 'running' });
    const ended = (state: 'done' | 'failed'): void => {
      environment.onEvent({ event: 'shard', shard: id, state });
      journal.shard(id, state);
    };
    try {
      const reply = await this.#runner.run(shard);
      gathered.add(reply.result);
      deletion.found.add(reply.result);
      journal.addExceptions(reply.result.exceptions);
      for (const message of reply.result.warnings) environment.onEvent({ event: 'warning', message });
      this.#tellRefusal(reply.result.serverSideRefusal);
      ended(reply.ok ? 'done' : 'failed');
      if (reply.ok) {
        gathered.done();
        return;
      }
      if (reply.isCancelled) gathered.cancelled();
      else gathered.stop(reply.error);
    } catch (error) {
      // Threads died again and again, or did not answer a cancel.
      ended('failed');
      gathered.stop(toErrorRecord(error));
    }
    // One shard that cannot go on means that nothing can: the others stop where they are.
    this.#pool.cancel();
  }

  #hear(report: WorkerReport): void {
    const { environment, uploads, journal } = this.#parts;
    if (report.type === 'cursor') {
      this.#runner.hear(report);
      this.#queue?.begun(report.shard);
      journal.cursor(report.shard, report.after);
    } else if (report.type === 'shared') {
      if (this.#runner.hearShared(report).length === 0) this.#queue?.answered(report.shard, []);
    } else if (report.type === 'upload') {
      uploads.hear(report);
      journal.upload(report.upload, report.state === 'open');
    } else if (report.type === 'token-wanted') {
      void this.#giveToken(report);
    } else {
      const { type: _type, ...news } = report;
      environment.onEvent({ event: 'backend', ...news });
    }
  }

  /** Never rejects: what goes wrong is the thread's to deal with. */
  async #giveToken({ shard, side, after }: TokenWanted): Promise<void> {
    const { source, target } = this.#parts.settings;
    const { storage } = side === 'source' ? source : target;
    try {
      const desk = await this.#parts.environment.tokenDeskOf?.(storage);
      if (!desk) throw new Error(`No tokens are given out for the ${side}`);
      this.#pool.answer(shard, { type: 'token', side, given: await desk.give(after) });
    } catch (error) {
      this.#pool.answer(shard, { type: 'token', side, error: toErrorRecord(error) });
    }
  }

  /**
   * Shards flush what they write. What they skip may be of a run that was killed, or of a thread that died: its names can
   * be in the kernel's memory alone, and this run says "done" of them, too.
   */
  async #flush(): Promise<void> {
    const { gathered, journal, ends, warn } = this.#parts;
    if (!gathered.isRunning) return;
    try {
      if (!journal.wasFlushed || this.#runner.hasLostThreads)
        await ends.patient.target.flush(this.#ctx, 'all');
      journal.flushed();
    } catch (error) {
      if (this.#ctx.signal.aborted) gathered.cancelled();
      else if (!isStorageError(error, 'unsupported')) gathered.stop(toErrorRecord(error));
      else
        warn(
          `What was in the target before may not survive a power cut yet: ${toErrorRecord(error).message}`,
        );
    }
  }

  /** Where the answer to a begin was lost, an upload is open that nobody knows of. */
  #mayHaveBegunUnheard(): boolean {
    const counters = new CounterReader(this.#parts.counters);
    // The compatibility engine begins uploads as part of a write.
    return counters.retries('target', 'begin') + counters.retries('target', 'write') > 0;
  }

  async #isInSource(path: string): Promise<boolean> {
    const { ends, settings } = this.#parts;
    try {
      await ends.patient.source.stat(this.#ctx, settings.sourcePrefix + path);
      return true;
    } catch (error) {
      if (isStorageError(error, 'not-found')) return false;
      throw error;
    }
  }

  /** @returns whether nothing unfinished of this run can be left. A run that was stopped leaves its uploads to the next. */
  async #tidyUp(): Promise<boolean> {
    const { gathered, uploads, journal, warn, removeOwnLeftovers } = this.#parts;
    try {
      await removeOwnLeftovers();
      if (!gathered.isRunning) return false;
      if (this.#mayHaveBegunUnheard()) uploads.lookAgain();
      await uploads.finish(this.#ctx, journal, (path) => this.#isInSource(path));
      return true;
    } catch (error) {
      if (!this.#ctx.signal.aborted)
        warn(`Something unfinished may be left in the target: ${toErrorRecord(error).message}`);
      return false;
    }
  }
}
