/** The control plane of one pass: preflight, plan, feed the pool, gather what came of it. No byte of an object passes here. */
import { randomUUID } from 'node:crypto';
import type { PassSettings, Phase } from '../copy/shard.ts';
import { allocateCounters, CounterReader, CounterWriter, type Operation } from '../core/counters.ts';
import { toErrorRecord } from '../core/errors.ts';
import type { CopyListener } from '../core/events.ts';
import type { CopyOptions, CopySummary } from '../core/job.ts';
import type { Binding, CallContext, StorageDriver } from '../drivers/driver.ts';
import type { OpenDriver, StorageSpec } from '../drivers/spec.ts';
import { storageName } from '../drivers/spec-name.ts';
import { RateLimit, withLimits } from '../drivers/wrap/limit.ts';
import { withCounters } from '../drivers/wrap/observe.ts';
import { DEFAULT_RETRIES, withRetries } from '../drivers/wrap/retry.ts';
import { detectLayout } from '../layout/detect.ts';
import { keyPrefixOf } from '../layout/key-rule.ts';
import type { Layout } from '../layout/layout.ts';
import { ExtraDeletion, refuseDeletion } from './delete-extra.ts';
import { namedExtrasMax } from './extras.ts';
import { Journal } from './journal.ts';
import { type MemoryPlan, planMemory } from './memory.ts';
import { planShards } from './plan-shards.ts';
import { ShardPool, warmThreadModules } from './pool.ts';
import { bindTarget, claimTarget, describeBinding, refuseEmptySource, refuseOverlap } from './preflight.ts';
import { Gathered } from './summary.ts';

/** Objects in flight per thread: keeps connections busy at tens of milliseconds a request. */
const CONCURRENCY_AUTO = 32;
/** Before anything moves a wrong setting is likelier than a passing fault, and someone is waiting for the answer. */
const PREFLIGHT_ATTEMPTS = 3;

export interface CopyEnvironment {
  readonly openDriver: OpenDriver;
  /** Where the worker entry lies. */
  readonly workerUrl: URL;
  readonly onEvent: CopyListener;
  /** Called once, before anything moves: live sums for progress and metrics. */
  readonly onCounters: (counters: CounterReader) => void;
  readonly signal: AbortSignal;
}

export interface CopyJob {
  readonly source: StorageSpec;
  readonly target: StorageSpec;
  readonly options: CopyOptions;
}

interface Ends {
  readonly source: StorageDriver;
  readonly target: StorageDriver;
  /** The same for the work itself: with all its retries, and within the limits. */
  readonly patient: { readonly source: StorageDriver; readonly target: StorageDriver };
}

/**
 * One pass. Rejects with ConfigError or StorageError before anything moved; after that every outcome is in the summary.
 */
export async function runCopy(job: CopyJob, environment: CopyEnvironment): Promise<CopySummary> {
  const { options } = job;
  planThreadMemory(options);
  await refuseOverlap(job.source, job.target);
  // One row per thread, one for this one, and some for threads that replace a crashed one.
  const counters = allocateCounters(2 * options.threads + 1);
  const writer = new CounterWriter(counters);
  const reader = new CounterReader(counters);
  const ends = await openEnds(job, environment, writer);
  let journal: Journal | undefined;
  try {
    const ctx: CallContext = { signal: environment.signal };
    const prefixes = { source: keyPrefixOf(job.source), target: keyPrefixOf(job.target) };
    const { layout, reason } = await detectLayout(ends.source, ctx, prefixes.source, options.layout);
    await refuseEmptySource(ctx, ends.source, prefixes.source, layout);
    journal = Journal.open(options.journalDirectory, identityOf(job, layout));
    const ownsTarget = await claimTarget(ctx, ends.target, prefixes.target, options, journal);
    refuseDeletion(options, ownsTarget, ends.target.name);
    const binding = await bindTarget(ctx, ends.target, job.target, prefixes.target, environment.openDriver);
    const words = describeBinding(ends.target, binding);
    environment.onEvent({
      event: 'started',
      source: ends.source.name,
      target: ends.target.name,
      layout: `${layout.name} (${reason})`,
    });
    environment.onEvent({ event: 'bound', binding: words });
    environment.onCounters(reader);
    journal.beginPass(options.isFrozen, words);
    await warmThreadModules(environment.workerUrl);
    const memory = planThreadMemory(options);
    const pass = new Pass({
      environment,
      journal,
      ends,
      layout,
      threads: options.threads,
      keepGoing: options.keepGoing,
      gathered: new Gathered(reader),
      deletion: new ExtraDeletion(options),
      settings: settingsOf(job, layout, binding, { ...memory, ...{ ownsTarget, prefixes } }),
    });
    const pool = new ShardPool({
      threads: options.threads,
      workerUrl: environment.workerUrl,
      counters,
      jobId: pass.jobId,
    });
    const summary = await pass.run(pool, { binding: words, options, journalPath: journal.path });
    journal.endPass(summary);
    return summary;
  } finally {
    journal?.close();
    await Promise.all([ends.source.close(), ends.target.close()]);
  }
}

async function openEnds(job: CopyJob, environment: CopyEnvironment, counters: CounterWriter): Promise<Ends> {
  const { engine, requestsPerSecond } = job.options;
  const open = async (storage: StorageSpec, side: 'source' | 'target') => {
    const driver = withCounters(await environment.openDriver({ storage, engine }, side), side, counters);
    const requests = requestsPerSecond === undefined ? undefined : new RateLimit(requestsPerSecond);
    const limited = withLimits(driver, { requests, bytes: undefined });
    const onRetry = (operation: Operation) => counters.retry(side, operation);
    return {
      hasty: withRetries(driver, { ...DEFAULT_RETRIES, attemptsMax: PREFLIGHT_ATTEMPTS }, onRetry),
      patient: withRetries(limited, DEFAULT_RETRIES, onRetry),
    };
  };
  const source = await open(job.source, 'source');
  try {
    const target = await open(job.target, 'target');
    const patient = { source: source.patient, target: target.patient };
    return { source: source.hasty, target: target.hasty, patient };
  } catch (error) {
    await source.hasty.close();
    throw error;
  }
}

function planThreadMemory({ memoryBytes, threads, partBytes }: CopyOptions): MemoryPlan {
  return planMemory({ memoryBytes, threads, partBytes, residentBytes: process.memoryUsage.rss() });
}

/** What makes two runs the same job. Names carry no secrets. */
export function identityOf(job: Pick<CopyJob, 'source' | 'target'>, layout: Layout): string {
  const from = `${storageName(job.source)} /${keyPrefixOf(job.source)}`;
  const to = `${storageName(job.target)} /${keyPrefixOf(job.target)}`;
  return `${from} -> ${to}, layout ${layout.name}`;
}

function settingsOf(
  job: CopyJob,
  layout: Layout,
  binding: Binding | undefined,
  found: {
    readonly slabBudgetBytes: number;
    readonly partBytes: number;
    readonly ownsTarget: boolean;
    readonly prefixes: { readonly source: string; readonly target: string };
  },
): PassSettings {
  const { options } = job;
  const share = (total: number | undefined) => (total === undefined ? undefined : total / options.threads);
  const bandwidth = share(options.bandwidthBytesPerSecond);
  const requests = share(options.requestsPerSecond);
  return {
    jobId: randomUUID(),
    source: { storage: job.source, engine: options.engine },
    target: { storage: job.target, engine: options.engine, ...(binding ? { binding } : {}) },
    sourcePrefix: found.prefixes.source,
    targetPrefix: found.prefixes.target,
    layout: layout.name,
    isFrozen: options.isFrozen,
    readsTwice: options.readsTwice,
    ownsTarget: found.ownsTarget,
    concurrency: options.concurrency === 'auto' ? CONCURRENCY_AUTO : options.concurrency,
    partBytes: found.partBytes,
    slabBudgetBytes: found.slabBudgetBytes,
    outageMsMax: options.outageMsMax,
    ...(options.deletesExtra ? { extrasMax: namedExtrasMax(options.deleteMax) } : {}),
    ...(bandwidth === undefined ? {} : { bandwidthBytesPerSecond: bandwidth }),
    ...(requests === undefined ? {} : { requestsPerSecond: requests }),
  };
}

interface PassParts {
  readonly environment: CopyEnvironment;
  readonly journal: Journal;
  readonly ends: Ends;
  readonly layout: Layout;
  readonly threads: number;
  readonly keepGoing: boolean;
  readonly gathered: Gathered;
  readonly deletion: ExtraDeletion;
  readonly settings: PassSettings;
}

class Pass {
  readonly #parts: PassParts;

  constructor(parts: PassParts) {
    this.#parts = parts;
  }

  get jobId(): string {
    return this.#parts.settings.jobId;
  }

  async run(
    pool: ShardPool,
    about: { readonly binding: string; readonly options: CopyOptions; readonly journalPath: string },
  ): Promise<CopySummary> {
    const { environment, gathered, deletion, journal, ends, layout, keepGoing, settings } = this.#parts;
    const startMs = performance.now();
    const onAbort = () => {
      gathered.cancelled();
      pool.cancel();
    };
    environment.signal.addEventListener('abort', onAbort, { once: true });
    if (environment.signal.aborted) onAbort();
    try {
      await this.#phase(pool, 'blobs');
      if (gathered.isRunning && (keepGoing || gathered.failedObjects === 0)) await this.#phase(pool, 'names');
      else if (gathered.isRunning)
        gathered.warn('Names were not copied because blobs failed: see --keep-going');
    } finally {
      environment.signal.removeEventListener('abort', onAbort);
      await pool.close();
    }
    const deleted = await deletion.run(
      { signal: environment.signal },
      {
        ...settings,
        ...ends.patient,
        layout,
        gathered,
        journal,
        onEvent: environment.onEvent,
        noteExceptions: (exceptions) => journal.addExceptions(exceptions),
      },
    );
    return gathered.summary({
      ...deleted,
      source: ends.source.name,
      target: ends.target.name,
      layout: layout.name,
      engine: about.options.engine,
      binding: about.binding,
      isFrozen: about.options.isFrozen,
      isStopped: environment.signal.aborted,
      seconds: (performance.now() - startMs) / 1000,
      journal: about.journalPath,
    });
  }

  async #phase(pool: ShardPool, phase: Phase): Promise<void> {
    const { environment, ends, layout, threads, gathered, settings } = this.#parts;
    const input = { driver: ends.source, keyPrefix: settings.sourcePrefix, layout, threads };
    try {
      const shards = [...(await planShards({ signal: environment.signal }, input, phase))];
      environment.onEvent({ event: 'planned', phase, shards: shards.length });
      environment.onEvent({ event: 'phase', phase });
      gathered.planned(shards.length);
      const lanes = Array.from({ length: threads }, async () => {
        for (let shard = shards.shift(); shard && gathered.isRunning; shard = shards.shift()) {
          await this.#shard(pool, shard);
        }
      });
      await Promise.all(lanes);
    } catch (error) {
      gathered.stop(toErrorRecord(error));
    }
  }

  async #shard(pool: ShardPool, shard: Awaited<ReturnType<typeof planShards>>[number]): Promise<void> {
    const { environment, gathered, deletion, journal, settings } = this.#parts;
    environment.onEvent({ event: 'shard', shard: shard.id, state: 'running' });
    try {
      const reply = await pool.run({ pass: settings, shard, uploads: [] });
      gathered.add(reply.result);
      deletion.found.add(reply.result);
      journal.addExceptions(reply.result.exceptions);
      for (const message of reply.result.warnings) environment.onEvent({ event: 'warning', message });
      environment.onEvent({ event: 'shard', shard: shard.id, state: reply.ok ? 'done' : 'failed' });
      if (reply.ok) {
        gathered.done();
        return;
      }
      if (reply.isCancelled) gathered.cancelled();
      else gathered.stop(reply.error);
    } catch (error) {
      // The thread itself broke: out of memory, or ended because it did not answer a cancel.
      environment.onEvent({ event: 'shard', shard: shard.id, state: 'failed' });
      gathered.stop(toErrorRecord(error));
    }
    // One shard that cannot go on means that nothing can: the others stop where they are.
    pool.cancel();
  }
}
