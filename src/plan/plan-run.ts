/** The steps of a plan: scan the shards, compare what listings do not tell, read a sample, sum up. */
import pLimit from 'p-limit';
import { planShards } from '../coordinator/plan-shards.ts';
import type { CopyContext } from '../copy/context.ts';
import { differenceByContent } from '../copy/equal.ts';
import type { Shard } from '../copy/shard.ts';
import type { Side } from '../core/counters.ts';
import { isStorageError } from '../core/errors.ts';
import type { ServerSideSummary } from '../core/job.ts';
import type { StorageDriver } from '../drivers/driver.ts';
import { OBJECT_CLASSES } from '../layout/layout.ts';
import type { SampleResult, WorkToDo } from './estimate.ts';
import { Requests, type TransferLimits } from './requests.ts';
import type { Sample } from './sample.ts';
import { besideSentence, type ScannedShard, scanShard } from './scan-shard.ts';
import type { PlanSummary, PossibleRequests, UnlistablePath } from './summary.ts';
import { type Counted, Tally } from './tally.ts';

/** Shards listed at once: a listing waits for each of its pages, so several fill the time. */
const SHARDS_AT_ONCE = 8;
/** Undecided objects compared in all, and at once. */
const COMPARED_MAX = 1_000;
const COMPARED_AT_ONCE = 16;
const WARNINGS_MAX = 100;
const LEFT_OUT_NAMED = 10;
const EXTRA_NAMED = 10;
const UNLISTABLE_NAMED = 100;
/**
 * Listing the uploads that are open, before and after, and finding out an S3 server's checks: five PUTs, a HEAD, two
 * uploads with three parts, and removing everything.
 */
const BINDING_REQUESTS_MAX = 18;

/** An object that is copied on trial, and what the probe of the checks does more. */
const INSIDE_TRIAL: readonly PossibleRequests[] = [
  { side: 'source', upTo: 2, why: 'listing an object to try a copy inside the service with' },
  {
    side: 'target',
    upTo: 7,
    why: 'finding out whether the service copies by itself, and what it computes then, under names of its own',
  },
];

/** Numbers that only grow. */
export interface PlanProgress {
  readonly phase: 'listing' | 'comparing' | 'sampling';
  readonly objectsListed: number;
  readonly bytesListed: number;
  readonly shardsDone: number;
  readonly shards: number;
}

interface PlanRunParts {
  readonly ctx: CopyContext;
  /** Both ends without the counting of requests, for what only the plan asks. */
  readonly plain: Readonly<Record<Side, StorageDriver>>;
  readonly sourcePrefix: string;
  readonly targetPrefix: string;
  readonly whyInvalidKey: (key: string) => string | undefined;
  readonly threads: number;
  readonly limits: TransferLimits;
  readonly requests: Requests;
  readonly sample: Sample;
  readonly hasBinding: boolean;
  readonly serverSide: ServerSideSummary['way'];
  readonly onProgress: (progress: PlanProgress) => void;
}

type Sums = Pick<
  PlanSummary,
  | 'objects'
  | 'objectsByClass'
  | 'objectsToCopy'
  | 'bytesToCopy'
  | 'objectsLeftOut'
  | 'listedSource'
  | 'listedTarget'
  | 'leftOut'
  | 'differing'
  | 'conflicting'
  | 'impossible'
  | 'extraByClass'
  | 'extra'
  | 'objectsToDelete'
  | 'mayDeleteExtra'
  | 'unlistable'
  | 'objectsUnseen'
  | 'requests'
  | 'possibleRequests'
  | 'bytesRead'
  | 'objectsServerSide'
  | 'bytesServerSide'
  | 'warnings'
>;

export class PlanRun {
  readonly #parts: PlanRunParts;
  readonly #tally = new Tally();
  readonly #warnings: string[] = [];
  /** By side and path. */
  readonly #unlistable = new Map<string, UnlistablePath>();
  readonly #toCompare: ScannedShard['toCompare'][number][] = [];
  readonly #isObject = new Map<string, Promise<boolean>>();
  #progress: PlanProgress = {
    phase: 'listing',
    objectsListed: 0,
    bytesListed: 0,
    shardsDone: 0,
    shards: 0,
  };

  constructor(parts: PlanRunParts) {
    this.#parts = parts;
  }

  get work(): WorkToDo {
    return this.#tally;
  }

  /** @returns how long listing took, in seconds. */
  async scan(): Promise<number> {
    const startMs = performance.now();
    const { ctx, threads, sourcePrefix } = this.#parts;
    const input = { driver: ctx.source, keyPrefix: sourcePrefix, layout: ctx.layout, threads };
    const shards = [...(await planShards(ctx, input, 'blobs')), ...(await planShards(ctx, input, 'names'))];
    this.#tell({ shards: shards.length });
    // In the order of the shards, so that the first names are the first ones.
    for (const scanned of await this.#scanAll(shards)) {
      this.#gather(scanned);
      for (const counted of scanned.openKeys) await this.#refuseFolder(counted);
    }
    return (performance.now() - startMs) / 1000;
  }

  /** Reads what listings do not tell, as the copy will: the first objects that are small enough. */
  async compare(): Promise<void> {
    this.#tell({ phase: 'comparing' });
    const limit = pLimit(COMPARED_AT_ONCE);
    await Promise.all(this.#toCompare.map((one) => limit(() => this.#compareOne(one))));
  }

  /** The sample is the plan's own reading, and no part of what the copy will do. */
  measure(bytesMax: number): Promise<SampleResult> {
    this.#tell({ phase: 'sampling' });
    const { ctx, plain, sample } = this.#parts;
    return sample.measure({ ...ctx, source: plain.source }, bytesMax);
  }

  result(): Sums {
    const tally = this.#tally;
    const { ctx } = this.#parts;
    const objects = tally.amounts();
    const requests = new Requests();
    requests.addAll(this.#parts.requests);
    requests.addAll(tally.requests);
    const byClass = OBJECT_CLASSES.map((one) => [one, tally.amounts(one)] as const);
    const bytesToCopy = objects.missing.bytes + objects.differing.bytes;
    const bytesCompared = this.#parts.requests.bytesRead;
    return {
      objects,
      objectsByClass: Object.fromEntries(byClass) as PlanSummary['objectsByClass'],
      objectsToCopy: objects.missing.objects + objects.differing.objects,
      bytesToCopy,
      objectsLeftOut: tally.objectsLeftOut,
      listedSource: tally.listedSource,
      listedTarget: tally.listedTarget,
      leftOut: tally.leftOut.slice(0, LEFT_OUT_NAMED),
      differing: tally.differing,
      conflicting: tally.conflicting,
      impossible: tally.impossible,
      extraByClass: tally.extraByClass,
      extra: tally.extra.slice(0, EXTRA_NAMED),
      objectsToDelete: ctx.ownsTarget ? tally.objectsDeletable : 0,
      mayDeleteExtra: ctx.ownsTarget,
      unlistable: {
        count: this.#unlistable.size,
        named: [...this.#unlistable.values()].slice(0, UNLISTABLE_NAMED),
      },
      objectsUnseen: tally.objectsUnseen,
      requests: requests.counts(),
      possibleRequests: this.#possibleRequests(),
      bytesRead: {
        source: bytesToCopy - tally.bytesServerSide + bytesCompared.source + objects.undecided.bytes,
        target: tally.bytesReadBack + bytesCompared.target + objects.undecided.bytes,
      },
      objectsServerSide: tally.objectsServerSide,
      bytesServerSide: tally.bytesServerSide,
      warnings: this.#warnings,
    };
  }

  async #scanAll(shards: readonly Shard[]): Promise<readonly ScannedShard[]> {
    const { ctx } = this.#parts;
    const stop = new AbortController();
    const signal = AbortSignal.any([ctx.signal, stop.signal]);
    const limit = pLimit(SHARDS_AT_ONCE);
    const scans = shards.map((shard) =>
      limit(() => this.#scanOne({ ...ctx, signal }, shard)).catch((error: unknown) => {
        stop.abort(error);
        throw error;
      }),
    );
    // All are awaited before the first failure is told, so that no listing outlives the plan.
    const settled = await Promise.allSettled(scans);
    return settled.map((one) => {
      if (one.status === 'rejected') throw stop.signal.reason;
      return one.value;
    });
  }

  async #scanOne(ctx: CopyContext, shard: Shard): Promise<ScannedShard> {
    ctx.signal.throwIfAborted();
    const onListed = (objects: number, bytes: number): void =>
      this.#tell({
        objectsListed: this.#progress.objectsListed + objects,
        bytesListed: this.#progress.bytesListed + bytes,
      });
    const objectsAmong = (paths: readonly string[]) => this.#objectsAmong(ctx, paths);
    const scanned = await scanShard({ ...this.#parts, ctx, objectsAmong, onListed }, shard);
    this.#tell({ shardsDone: this.#progress.shardsDone + 1 });
    return scanned;
  }

  #gather({ tally, toCompare, unlistable, warnings }: ScannedShard): void {
    this.#tally.addAll(tally);
    for (const one of unlistable) this.#unlistable.set(`${one.side} ${one.path}`, one);
    this.#toCompare.push(...toCompare.slice(0, COMPARED_MAX - this.#toCompare.length));
    this.#warnings.push(...warnings.slice(0, WARNINGS_MAX - this.#warnings.length));
  }

  /** Asked for the borders of shards, which lie below the same few folders: each is asked about once. */
  async #objectsAmong(ctx: CopyContext, paths: readonly string[]): Promise<readonly string[]> {
    const found = await Promise.all(
      paths.map((path) => {
        const isObject = this.#isObject.get(path) ?? this.#askWhetherObject(ctx, path);
        this.#isObject.set(path, isObject);
        return isObject;
      }),
    );
    return paths.filter((_, index) => found[index]);
  }

  async #askWhetherObject(ctx: CopyContext, path: string): Promise<boolean> {
    const { plain, sourcePrefix, targetPrefix } = this.#parts;
    const found = await Promise.all([
      hasObject(ctx, plain.source, sourcePrefix, path),
      hasObject(ctx, plain.target, targetPrefix, path),
    ]);
    return found.includes(true);
  }

  /** The shard ended before the target could show what it has in the folder of this name. */
  async #refuseFolder(counted: Counted): Promise<void> {
    const { ctx, plain, targetPrefix } = this.#parts;
    const query = { prefix: `${targetPrefix}${counted.path}/`, onUnlistable: () => true };
    for await (const page of plain.target.list(ctx, query)) {
      const [first] = page.objects;
      if (!first) continue;
      const why = besideSentence(first.key.slice(targetPrefix.length));
      this.#tally.move(counted, 'missing', 'impossible', why);
      return;
    }
  }

  async #compareOne({ item, counted }: ScannedShard['toCompare'][number]): Promise<void> {
    const { ctx, sample } = this.#parts;
    ctx.signal.throwIfAborted();
    const difference = await differenceByContent(ctx, item).catch((error: unknown) => {
      ctx.signal.throwIfAborted();
      if (isStorageError(error) && error.details.scope === 'backend') throw error;
      // Gone, changed or unreadable by now: it stays undecided.
      return undefined;
    });
    if (difference === 'equal') this.#tally.move(counted, 'undecided', 'equal');
    if (difference !== 'differs') return;
    this.#tally.move(counted, 'undecided', 'differing', 'the same size, and other content');
    sample.offer(item.path, item.source);
  }

  /** Only a copy finds out what the target checks, as it must write for that. */
  #possibleRequests(): readonly PossibleRequests[] {
    const { hasBinding, plain, serverSide } = this.#parts;
    if (!hasBinding) return [];
    const { largeObjects, requests } = this.#tally;
    const rows: PossibleRequests[] = [
      {
        side: 'target',
        upTo: BINDING_REQUESTS_MAX,
        why: 'listing unfinished uploads, and finding out which checks the target makes, under a name of its own',
      },
      {
        side: 'target',
        upTo: plain.target.multipart?.partChecksum === 'sha256' ? largeObjects : 0,
        why: 'the size of each object sent in parts, where the target checks no CRC-32 of the whole',
      },
      {
        side: 'target',
        upTo: requests.of('source', 'read'),
        why: 'reading everything back, where the target is seen to check nothing',
      },
    ];
    if (serverSide !== 'none') rows.push(...INSIDE_TRIAL);
    return rows.filter(({ upTo }) => upTo > 0);
  }

  #tell(change: Partial<PlanProgress>): void {
    this.#progress = { ...this.#progress, ...change };
    this.#parts.onProgress(this.#progress);
  }
}

async function hasObject(
  ctx: CopyContext,
  driver: StorageDriver,
  keyPrefix: string,
  path: string,
): Promise<boolean> {
  try {
    const { sizeBytes } = await driver.stat(ctx, keyPrefix + path);
    return !ctx.layout.leavesOut(path, sizeBytes);
  } catch (error) {
    ctx.signal.throwIfAborted();
    // Only what is known to stand in the way is said to.
    if (isStorageError(error) && error.details.scope === 'object') return false;
    throw error;
  }
}
