/**
 * What a copy would do and about how long it would take. Lists both sides shard by shard as the copy does, so that its
 * counts and its requests are the copy's; compares what listings cannot tell; reads a sample. Writes nothing.
 */
import { planMemory } from '../coordinator/memory.ts';
import { firstKey } from '../coordinator/preflight.ts';
import { WHY_NOT_MARKED } from '../coordinator/server-side.ts';
import type { CopyContext } from '../copy/context.ts';
import { OpenUploads } from '../copy/open-uploads.ts';
import { SlabPool } from '../copy/slab-pool.ts';
import { allocateCounters, CounterWriter, type Side } from '../core/counters.ts';
import type { ServerSideSummary } from '../core/job.ts';
import type { CallContext, StorageDriver } from '../drivers/driver.ts';
import { DEFAULT_RETRIES, type RetryPolicy, withRetries } from '../drivers/wrap/retry.ts';
import type { Layout } from '../layout/layout.ts';
import { costOf, type Prices } from './cost.ts';
import { estimate } from './estimate.ts';
import { type PlanProgress, PlanRun } from './plan-run.ts';
import { Requests, transferLimits, withRequests } from './requests.ts';
import { Sample } from './sample.ts';
import type { PlanSummary } from './summary.ts';

export interface PlanOptions {
  /** Opened for reading; closed by the caller. */
  readonly source: StorageDriver;
  readonly target: StorageDriver;
  readonly sourcePrefix: string;
  readonly targetPrefix: string;
  /** How either side makes keys of logical paths, in words. */
  readonly keyRules: PlanSummary['keyRules'];
  /** Asked first, over a driver that counts what it asks. */
  readonly detect: (source: StorageDriver, ctx: CallContext) => Promise<Layout>;
  /** What a copy refuses to begin with, asked over the same drivers. @returns what is worth a warning. */
  readonly refuseUnreadable?: (
    ends: { readonly source: StorageDriver; readonly target: StorageDriver },
    layout: Layout,
    ctx: CallContext,
  ) => Promise<readonly string[]>;
  /** Was the target empty when the job of these two storages began? Undefined where none has begun yet. */
  readonly ownedBefore: (layout: Layout) => Promise<boolean | undefined>;
  /** How the service is expected to copy by itself; default: not at all. */
  readonly serverSide?: (layout: Layout, ctx: CallContext) => Promise<ServerSideSummary>;
  /** Why the target cannot hold a key, as a clause; undefined when it can. */
  readonly whyInvalidKey: (key: string) => string | undefined;
  /** As the copy would be given them. */
  readonly threads: number;
  readonly memoryBytes: number;
  readonly partBytes: 'auto' | number;
  /** Read for the estimate in all; 0 reads nothing for it. */
  readonly sampleBytes: number;
  readonly prices?: Prices;
  readonly signal: AbortSignal;
  /** Chooses the sample; 0 ≤ value < 1. */
  readonly random?: () => number;
  readonly retries?: RetryPolicy;
  readonly onProgress?: (progress: PlanProgress) => void;
}

const NOT_INSIDE: ServerSideSummary = { way: 'none', why: 'it was not asked about' };

/** Rejects with what a copy would meet before it moves anything: ConfigError, StorageError; and when aborted. */
export async function runPlan(options: PlanOptions): Promise<PlanSummary> {
  const startMs = performance.now();
  const plain = { source: retrying(options, 'source'), target: retrying(options, 'target') };
  const kinds = [plain.source.kind, plain.target.kind];
  // The copy counts what is resident when it starts; a plan of the default takes the figure of the installed program.
  const memory = planMemory({ ...options, residentBytes: 0, kinds });
  const requests = new Requests();
  const source = withRequests(plain.source, 'source', requests);
  const target = withRequests(plain.target, 'target', requests);
  const call: CallContext = { signal: options.signal };
  const layout = await options.detect(source, call);
  const warnings = (await options.refuseUnreadable?.({ source, target }, layout, call)) ?? [];
  const serverSide = (await options.serverSide?.(layout, call)) ?? NOT_INSIDE;
  const known = await options.ownedBefore(layout);
  // A copy looks once per job.
  const found = await firstKey(call, known === undefined ? target : plain.target, options.targetPrefix);
  const slabs = new SlabPool(memory.slabBudgetBytes);
  const ctx: CopyContext = {
    source,
    target,
    layout,
    slabs,
    counters: new CounterWriter(allocateCounters(1)),
    signal: options.signal,
    isFrozen: false,
    readsTwice: false,
    ownsTarget: known ?? found === undefined,
    partBytes: memory.partBytes,
    readsBack: false,
    report: () => undefined,
    uploads: new OpenUploads(),
  };
  const sample = new Sample(options.random ?? Math.random);
  const run = new PlanRun({
    ...options,
    ctx,
    plain,
    sample,
    requests,
    limits: transferLimits(plain.target, { ...memory, slabBytesMax: slabs.slabBytesMax }),
    serverSide: serverSide.way,
    hasBinding: options.target.binding !== undefined,
    onProgress: options.onProgress ?? (() => undefined),
  });
  const listSeconds = await run.scan();
  await run.compare();
  const measured = await run.measure(options.sampleBytes);
  const result = run.result();
  const expected = estimate({ work: run.work, sample: measured, listSeconds, threads: options.threads });
  return {
    event: 'summary',
    source: source.name,
    target: target.name,
    layout: layout.name,
    keyRules: options.keyRules,
    keyPrefixes: { source: options.sourcePrefix, target: options.targetPrefix },
    targetIsEmpty: found === undefined,
    ...(found === undefined ? {} : { targetHolds: found }),
    needsIntoNonempty: known === undefined && found !== undefined,
    ...result,
    warnings: [...warnings, ...result.warnings],
    serverSide:
      serverSide.way === 'read-back' && !ctx.ownsTarget ? { way: 'none', why: WHY_NOT_MARKED } : serverSide,
    threads: options.threads,
    memoryBytes: options.memoryBytes,
    partBytes: memory.partBytes,
    listSeconds,
    sample: measured,
    ...(expected ? { expected } : {}),
    ...(options.prices ? { cost: costOf(options.prices, result.requests, result.bytesRead) } : {}),
    seconds: (performance.now() - startMs) / 1000,
  };
}

function retrying(options: PlanOptions, side: Side): StorageDriver {
  return withRetries(options[side], options.retries ?? DEFAULT_RETRIES, () => undefined);
}
