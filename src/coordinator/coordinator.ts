/**
 * The control plane of one run: preflight, journal, what earlier runs left, then the pass. No byte of an object passes
 * here.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import type { PassSettings } from '../copy/shard.ts';
import type { PermitMemory } from '../core/concurrency/permit-memory.ts';
import { allocateCounters, type CounterMemory, CounterReader, CounterWriter } from '../core/counters.ts';
import { toErrorRecord } from '../core/errors.ts';
import type { CopySummary } from '../core/job.ts';
import { mustReadBack } from '../drivers/binding.ts';
import type { Binding, CallContext } from '../drivers/driver.ts';
import { storageIdentity } from '../drivers/spec-name.ts';
import { type DetectedSource, detectSource } from '../layout/find-registry.ts';
import { keyPrefixOf, keyRuleText } from '../layout/key-rule.ts';
import type { Layout } from '../layout/layout.ts';
import { findArchived, refuseArchived, selfTieringText } from './archived.ts';
import { Concurrency } from './concurrency.ts';
import { ExtraDeletion, refuseDeletion } from './delete-extra.ts';
import { type CopyEnvironment, type CopyJob, type Ends, openEnds } from './ends.ts';
import { namedExtrasMax } from './extras.ts';
import { Journal } from './journal.ts';
import { probePrefix, removeLeftovers, removeTemporaries } from './leftovers.ts';
import { type MemoryPlan, planMemory } from './memory.ts';
import type { PassOrder } from './order.ts';
import { Pass } from './pass.ts';
import type { PassJournal } from './pass-journal.ts';
import { warmThreadModules } from './pool.ts';
import { bindTarget, claimTarget, describeBinding, refuseEmptySource, refuseOverlap } from './preflight.ts';
import { findServerSide, type ServerSideFound, whyNotServerSide } from './server-side.ts';
import { counterRows } from './shard-runner.ts';
import { Gathered } from './summary.ts';
import { TargetUploads } from './target-uploads.ts';

/**
 * One pass. Rejects with ConfigError or StorageError before anything moved; after that every outcome is in the summary.
 * @param order of a pass that belongs to a migration.
 */
export async function runCopy(
  job: CopyJob,
  environment: CopyEnvironment,
  order?: PassOrder,
): Promise<CopySummary> {
  const { options } = job;
  const { objectsMax } = planThreadMemory(job);
  await refuseOverlap(job.source, job.target);
  const rows = counterRows(options.threads);
  const counters = allocateCounters(rows);
  const runId = order?.runId ?? randomBytes(6).toString('hex');
  const perThreadMax = options.concurrency === 'auto' ? objectsMax : undefined;
  const concurrency = new Concurrency({ threads: options.threads, rows, perThreadMax });
  const mine = { counters: new CounterWriter(counters), concurrency, runId };
  const ends = await openEnds(job, environment, mine);
  concurrency.start();
  try {
    const ctx: CallContext = { signal: environment.signal };
    const found = await detectSource(ends.source, ctx, job.source, options.layout);
    refuseEmptySource(ends.source, found);
    const { layout } = found;
    const warnings = order ? [] : await demandReadable(ctx, { job, environment, ends, layout });
    const journal = Journal.open(options.journalDirectory, identityOf(job, layout));
    try {
      const parts = {
        job,
        environment,
        counters,
        concurrency,
        runId,
        ends,
        layout,
        found,
        warnings,
        journal,
        order,
      };
      const run = new Run(parts);
      return await run.copy(ctx);
    } finally {
      journal.close();
    }
  } finally {
    concurrency.stop();
    await Promise.all([ends.source.close(), ends.target.close()]);
  }
}

/** @returns what is worth a warning. @throws ConfigError where objects of the source are archived. */
async function demandReadable(
  ctx: CallContext,
  { job, environment, ends, layout }: Pick<RunParts, 'job' | 'environment' | 'ends' | 'layout'>,
): Promise<readonly string[]> {
  // As many requests as a listing of the pass, so with all its patience and within the limits.
  const { source, target } = ends.patient;
  const archived = await findArchived(ctx, {
    source,
    storage: job.source,
    sourcePrefix: keyPrefixOf(job.source),
    layout,
    threads: job.options.threads,
    target: { driver: target, keyPrefix: keyPrefixOf(job.target) },
    onListing: () => environment.onEvent({ event: 'checking', what: 'archived objects' }),
  });
  refuseArchived(ends.source, archived);
  const warning = archived && selfTieringText(archived);
  return warning === undefined ? [] : [warning];
}

interface RunParts {
  readonly job: CopyJob;
  readonly environment: CopyEnvironment;
  readonly counters: CounterMemory;
  readonly concurrency: Concurrency;
  readonly runId: string;
  readonly ends: Ends;
  readonly layout: Layout;
  /** Of the source: why it is this layout, and what is worth a warning. */
  readonly found: DetectedSource;
  readonly warnings: readonly string[];
  readonly journal: Journal;
  readonly order: PassOrder | undefined;
}

class Run {
  readonly #parts: RunParts;
  readonly #keyPrefix: string;
  readonly #gathered: Gathered;

  constructor(parts: RunParts) {
    this.#parts = parts;
    this.#keyPrefix = keyPrefixOf(parts.job.target);
    this.#gathered = new Gathered(new CounterReader(parts.counters), parts.order?.damageMax);
  }

  async copy(ctx: CallContext): Promise<CopySummary> {
    const { job, environment, ends, layout, journal, runId, order } = this.#parts;
    const { openDriver } = environment;
    const known = order?.knowsTarget ? journal.lastBinding(job.options.engine) : undefined;
    const place = { target: ends.target, storage: job.target, keyPrefix: this.#keyPrefix, openDriver };
    const uploads = await TargetUploads.open(place);
    try {
      const { intoNonempty } = job.options;
      const claim = { layout, intoNonempty, journal, uploadsOpen: () => uploads.idsOpen(ctx) };
      const ownsTarget = await claimTarget(ctx, ends.target, this.#keyPrefix, claim);
      refuseDeletion(job.options, ownsTarget, ends.target.name);
      const { interrupted, runsUntidied, hasUnseenWrites, hasUnreadWrites, hasUnseenCopies } = journal;
      const passJournal = journal.beginPass(runId, job.options, this.#parts.order?.epoch);
      const unseen = { hasUnseenWrites, hasUnreadWrites, hasUnseenCopies };
      const found = { uploads, ownsTarget, interrupted, runsUntidied, ...unseen, known };
      const pass = await this.#begin(ctx, passJournal, found);
      return await pass.run();
    } finally {
      await uploads.close();
    }
  }

  /** What can go wrong here ends the run before anything moves. */
  async #begin(
    ctx: CallContext,
    passJournal: PassJournal,
    found: {
      readonly uploads: TargetUploads;
      readonly ownsTarget: boolean;
      readonly interrupted: Journal['interrupted'];
      readonly runsUntidied: readonly string[];
      readonly hasUnseenWrites: boolean;
      readonly hasUnreadWrites: boolean;
      readonly hasUnseenCopies: boolean;
      readonly known: Binding | undefined;
    },
  ): Promise<Pass> {
    try {
      const binding = await this.#bind(ctx, passJournal, found.known);
      if (found.interrupted) {
        this.#parts.environment.onEvent({ event: 'interrupted', ...found.interrupted });
      }
      await this.#tidy(ctx, found);
      const serverSide = await this.#findServerSide(ctx, binding, found.ownsTarget);
      return await this.#pass(passJournal, { ...found, binding, serverSide });
    } catch (error) {
      passJournal.giveUp(toErrorRecord(error));
      throw error;
    }
  }

  /** @param known what an earlier pass saw, where that is enough. */
  async #bind(
    ctx: CallContext,
    passJournal: PassJournal,
    known: Binding | undefined,
  ): Promise<Binding | undefined> {
    const { job, environment, ends, layout, found, warnings, runId } = this.#parts;
    const folder = probePrefix(this.#keyPrefix, runId);
    const copies = whyNotServerSide(job, job.options, layout) === undefined;
    const binding =
      known ?? (await bindTarget(ctx, ends.target, job.target, folder, environment.openDriver, { copies }));
    const words = describeBinding(ends.target, binding, job.options);
    passJournal.bound(words, binding, readsAllBack(job, binding));
    environment.onEvent({
      event: 'started',
      source: ends.source.name,
      target: ends.target.name,
      layout: `${layout.name} (${found.reason})`,
      keyRules: { source: keyRuleText(job.source), target: keyRuleText(job.target) },
    });
    for (const warning of [...found.warnings, ...warnings]) this.#warn(`source: ${warning}`);
    environment.onEvent({ event: 'bound', binding: words });
    environment.onCounters(new CounterReader(this.#parts.counters));
    environment.onFlows?.(this.#parts.concurrency.read);
    return binding;
  }

  async #findServerSide(
    ctx: CallContext,
    binding: Binding | undefined,
    ownsTarget: boolean,
  ): Promise<ServerSideFound> {
    const { job, environment, ends, layout, runId } = this.#parts;
    const found = await findServerSide(ctx, job, {
      ends,
      layout,
      sourcePrefix: keyPrefixOf(job.source),
      probePrefix: probePrefix(this.#keyPrefix, runId),
      binding,
      ownsTarget,
    });
    if (found.warning !== undefined) this.#warn(found.warning);
    environment.onEvent({ event: 'server-side', ...found.summary });
    return found;
  }

  /** Removes what runs of this job that died left unfinished, and finds the uploads that can be gone on with. */
  async #tidy(
    ctx: CallContext,
    found: {
      readonly uploads: TargetUploads;
      readonly ownsTarget: boolean;
      readonly runsUntidied: readonly string[];
    },
  ): Promise<void> {
    const { job, environment, ends, layout, journal, runId } = this.#parts;
    const { uploads, ownsTarget, runsUntidied } = found;
    const place = { target: ends.target, storage: job.target, keyPrefix: this.#keyPrefix };
    const failure = await removeLeftovers(
      ctx,
      { ...place, openDriver: environment.openDriver },
      runsUntidied,
    );
    if (failure)
      this.#warn(`Something that an interrupted run left in the target is still there: ${failure.message}`);
    await uploads.begin(ctx, {
      layout,
      journal,
      ownsTarget,
      runs: runsUntidied,
      runId,
      isTidied: failure === undefined,
      abortsStrangers: job.options.abortsUploads,
      patient: ends.patient.target,
      warn: (message) => this.#warn(message),
    });
  }

  async #pass(
    journal: PassJournal,
    found: {
      readonly uploads: TargetUploads;
      readonly ownsTarget: boolean;
      readonly hasUnseenWrites: boolean;
      readonly hasUnreadWrites: boolean;
      readonly hasUnseenCopies: boolean;
      readonly binding: Binding | undefined;
      readonly serverSide: ServerSideFound;
    },
  ): Promise<Pass> {
    const { job, environment, counters, concurrency, ends, layout, runId } = this.#parts;
    const { options } = job;
    const { uploads, ownsTarget, hasUnseenCopies, binding, serverSide } = found;
    await warmThreadModules(environment.workerUrl);
    const memory = planThreadMemory(job);
    const readsBack = readsAllBack(job, binding);
    const doubts = {
      doubtsTarget: found.hasUnreadWrites || (readsBack && found.hasUnseenWrites),
      doubtsCopies: hasUnseenCopies,
    };
    const known = {
      layout,
      binding,
      readsBack,
      ownsTarget,
      ...doubts,
      serverSide: serverSide.settings,
      runId,
    };
    const givesTokens = environment.tokenDeskOf !== undefined;
    const all = { ...known, ...memory, permits: concurrency.memory, givesTokens };
    const settings = settingsOf(job, all, this.#parts.order);
    return new Pass({
      environment,
      options,
      settings,
      layout,
      ends,
      counters,
      gathered: this.#gathered,
      deletion: new ExtraDeletion(options),
      uploads,
      journal,
      journalPath: this.#parts.journal.path,
      binding: describeBinding(ends.target, binding, options),
      serverSide: serverSide.summary,
      warn: (message) => this.#warn(message),
      removeOwnLeftovers: () =>
        removeTemporaries({ storage: job.target, openDriver: environment.openDriver }, [runId]),
    });
  }

  #warn(message: string): void {
    this.#gathered.warn(message);
    this.#parts.environment.onEvent({ event: 'warning', message });
  }
}

function planThreadMemory({ source, target, options }: CopyJob): MemoryPlan {
  const { memoryBytes, threads, partBytes } = options;
  const kinds = [source.kind, target.kind];
  return planMemory({ memoryBytes, threads, partBytes, residentBytes: process.memoryUsage.rss(), kinds });
}

/** Because it is asked for, or because nothing that comes with each body was seen to be compared with it. */
function readsAllBack({ target: { kind }, options }: CopyJob, binding: Binding | undefined): boolean {
  return options.readsBack === true || mustReadBack(binding, { kind, engine: options.engine });
}

/** What makes two runs the same job. Names carry no secrets. */
export function identityOf(job: Pick<CopyJob, 'source' | 'target'>, layout: Layout): string {
  const from = `${storageIdentity(job.source)} /${keyPrefixOf(job.source)}`;
  const to = `${storageIdentity(job.target)} /${keyPrefixOf(job.target)}`;
  return `${from} -> ${to}, layout ${layout.name}`;
}

function settingsOf(
  job: CopyJob,
  found: {
    readonly layout: Layout;
    readonly binding: Binding | undefined;
    readonly readsBack: boolean;
    readonly slabBudgetBytes: number;
    readonly partBytes: number;
    readonly objectsMax: number;
    readonly permits: PermitMemory;
    readonly givesTokens: boolean;
    readonly ownsTarget: boolean;
    readonly doubtsTarget: boolean;
    readonly doubtsCopies: boolean;
    readonly serverSide: ServerSideFound['settings'];
    readonly runId: string;
  },
  order: PassOrder | undefined,
): PassSettings {
  const { options } = job;
  const { layout, binding, runId } = found;
  const { bandwidthBytesPerSecond, requestsPerSecond } = options;
  return {
    jobId: randomUUID(),
    source: { storage: job.source, engine: options.engine },
    target: { storage: job.target, engine: options.engine, runId, ...(binding ? { binding } : {}) },
    sourcePrefix: keyPrefixOf(job.source),
    targetPrefix: keyPrefixOf(job.target),
    layout: layout.name,
    isFrozen: options.isFrozen,
    readsTwice: options.readsTwice,
    readsBack: found.readsBack,
    keepsGoing: options.keepGoing,
    ownsTarget: found.ownsTarget,
    doubtsTarget: found.doubtsTarget,
    doubtsCopies: found.doubtsCopies,
    ...(found.serverSide ? { serverSide: found.serverSide } : {}),
    concurrency: options.concurrency === 'auto' ? found.objectsMax : options.concurrency,
    permits: found.permits,
    givesTokens: found.givesTokens,
    partBytes: found.partBytes,
    slabBudgetBytes: found.slabBudgetBytes,
    outageMsMax: options.outageMsMax,
    ...(options.deletesExtra ? { extrasMax: namedExtrasMax(options.deleteMax) } : {}),
    ...(bandwidthBytesPerSecond === undefined ? {} : { bandwidthBytesPerSecond }),
    ...(requestsPerSecond === undefined ? {} : { requestsPerSecond }),
    ...(options.digests === undefined ? {} : { digests: options.digests }),
    ...(order === undefined ? {} : { written: order.written }),
  };
}
