/**
 * The independent check that a target holds what its source holds. It shares the drivers and the layouts with the copy
 * and nothing else: listings are joined here, objects are read and hashed here.
 */
import type { Side } from '../core/counters.ts';
import { ConfigError, type StorageError, toErrorRecord } from '../core/errors.ts';
import { Unlisted } from '../core/unlisted.ts';
import type { StorageDriver } from '../drivers/driver.ts';
import { DEFAULT_RETRIES, type RetryPolicy, withRetries } from '../drivers/wrap/retry.ts';
import type { DigestIndex } from '../layout/digests/digest-index.ts';
import type { Classified, Layout } from '../layout/layout.ts';
import { BufferPool, largeBuffersFor } from './buffers.ts';
import { type Alone, isSurelyAlone, lookAgain } from './check-alone.ts';
import {
  type CheckOptions,
  checkPair,
  type PairToCheck,
  type Verdict,
  verdictFromListings,
} from './check-pair.ts';
import { type JoinedPair, joinListings } from './join.ts';
import { type ListedObject, listPaths } from './listing.ts';
import { LookAhead } from './look-ahead.ts';
import { RowCheck, withRowDigest } from './row-check.ts';
import type { VerifyException, VerifySummary } from './summary.ts';
import { Tally, type VerifyProgress } from './tally.ts';

const DEFAULT_CONCURRENCY = 16;
const DEFAULT_MEMORY_BYTES = 192 * 1024 * 1024;
/** Pairs waiting per running check: enough that a slow object does not stop the others, few enough to stay small. */
const LOOK_AHEAD_PER_CHECK = 4;
const PROGRESS_EVERY_MS = 200;

export interface VerifyOptions {
  readonly source: StorageDriver;
  readonly target: StorageDriver;
  /** What stands before the logical path in each side's keys. */
  readonly sourcePrefix: string;
  readonly targetPrefix: string;
  readonly layout: Layout;
  /** Read every object of the target back and hash it. */
  readonly isDeep: boolean;
  /** Objects that only the target has are counted and named, but are no failure. */
  readonly allowExtra: boolean;
  /** What blobs that are named by an id must hash to: each row's blob must be in the target. */
  readonly digests?: DigestIndex;
  readonly signal: AbortSignal;
  /** Objects read at once; default 16. */
  readonly concurrency?: number;
  /** Bound for the resident set of the process, which bounds how many large objects are read at once. */
  readonly memoryBytes?: number;
  /** How failed requests are repeated; the drivers must not repeat them as well. */
  readonly retries?: RetryPolicy;
  /** Called at most five times a second, and once at the end. */
  readonly onProgress?: (progress: VerifyProgress) => void;
  /** Every exception as it is found; the summary keeps the first hundred. */
  readonly onException?: (exception: VerifyException) => void;
  /** Each path that the metadata names, and the source has, and the target has not. */
  readonly onRowMissing?: (path: string) => void;
}

/**
 * Rejects with a ConfigError or StorageError when nothing could be compared at all; after that every outcome, an abort
 * included, is in the summary.
 */
export async function runVerify(options: VerifyOptions): Promise<VerifySummary> {
  const run = new VerifyRun(options);
  return await run.toEnd();
}

class VerifyRun {
  readonly #options: VerifyOptions;
  readonly #tally: Tally;
  readonly #check: CheckOptions;
  /** Ends listings and reads when the user stops the run, or the run itself fails. */
  readonly #stop = new AbortController();
  readonly #lookAhead: LookAhead;
  readonly #rows: RowCheck | undefined;
  readonly #unlisted = { source: new Unlisted(), target: new Unlisted() };
  readonly #startedMs = performance.now();
  #progressMs = 0;

  constructor(options: VerifyOptions) {
    const { source, target, layout, isDeep, allowExtra, concurrency = DEFAULT_CONCURRENCY } = options;
    this.#options = options;
    const head = { source: source.name, target: target.name, layout, isDeep, allowsExtra: allowExtra };
    this.#tally = new Tally(head, (exception) => options.onException?.(exception));
    this.#check = {
      source: this.#retrying(source),
      target: this.#retrying(target),
      isDeep,
      buffers: new BufferPool(largeBuffersFor(options.memoryBytes ?? DEFAULT_MEMORY_BYTES, concurrency)),
      signal: AbortSignal.any([options.signal, this.#stop.signal]),
      onBytes: (count) => this.#onBytes(count),
    };
    const { digests: index, targetPrefix } = options;
    this.#rows = index && new RowCheck({ index, targetPrefix, ...this.#check });
    this.#lookAhead = new LookAhead({ concurrency, inHandMax: concurrency * LOOK_AHEAD_PER_CHECK });
  }

  async toEnd(): Promise<VerifySummary> {
    let failure: { readonly error: unknown } | undefined;
    try {
      await this.#compareAll();
    } catch (error) {
      failure = { error };
      this.#stop.abort(error);
      await this.#lookAhead.settle();
    }
    const isStopped = this.#options.signal.aborted;
    if (failure !== undefined && !isStopped && this.#tally.isEmpty) throw failure.error;
    if (failure === undefined && this.#tally.isEmpty) throw this.#nothingFound();
    this.#options.onProgress?.(this.#tally.progress());
    return this.#tally.summary({
      isComplete: failure === undefined,
      isStopped: failure !== undefined && isStopped,
      seconds: (performance.now() - this.#startedMs) / 1000,
      ...(failure === undefined || isStopped ? {} : { stoppedBy: toErrorRecord(failure.error) }),
      ...(this.#rows ? { rows: this.#rows.summary() } : {}),
    });
  }

  async #compareAll(): Promise<void> {
    this.#check.signal.throwIfAborted();
    for await (const pair of joinListings(this.#list('source'), this.#list('target'))) {
      this.#tally.path = pair.path;
      await this.#compare(pair, await this.#rows?.find(pair.path));
    }
    await this.#rows?.finish();
    await this.#lookAhead.finish();
  }

  #retrying(driver: StorageDriver): StorageDriver {
    return withRetries(driver, this.#options.retries ?? DEFAULT_RETRIES, () => {
      this.#tally.retries += 1;
    });
  }

  #list(side: Side): AsyncGenerator<readonly ListedObject[]> {
    const { options, tally } = { options: this.#options, tally: this.#tally };
    return listPaths({
      driver: this.#check[side],
      keyPrefix: side === 'source' ? options.sourcePrefix : options.targetPrefix,
      layout: options.layout,
      signal: this.#check.signal,
      onListed: (count) => {
        if (side === 'source') tally.listedSource += count;
        else tally.listedTarget += count;
        this.#tick();
      },
      onLeftOut: (path) => tally.leaveOut(side, path),
      onUnlistable: (path, error) => {
        this.#unlisted[side].add(path, error);
        this.#unreadable(path, side, error, 0);
      },
    });
  }

  /** @param digest what the metadata says that it must hash to. */
  async #compare(joined: JoinedPair, digest: string | undefined): Promise<void> {
    if (joined.target === undefined || joined.source === undefined) return this.#compareAlone(joined, digest);
    const pair: PairToCheck = { ...joined, classified: this.#classify(joined.path, digest) };
    const verdict = verdictFromListings(pair, this.#check);
    if (verdict !== undefined) return this.#settle(pair, verdict);
    await this.#lookAhead.add(async () => {
      const checked = await checkPair(pair, this.#check);
      this.#settle(checked.pair, checked.verdict);
    });
  }

  /** Not in the listing of the other side, which says something only if that side could list the folder. */
  async #compareAlone(joined: JoinedPair, digest: string | undefined): Promise<void> {
    const { path } = joined;
    const listed = joined.source ?? joined.target;
    const isMissing = joined.source !== undefined;
    const alone: Alone = { path, info: listed.info, listedBy: isMissing ? 'source' : 'target' };
    const sourceBytes = isMissing ? listed.info.sizeBytes : 0;
    const absentFrom = isMissing ? 'target' : 'source';
    const error = this.#unlisted[absentFrom].hiding(path);
    if (error) return this.#unreadable(path, absentFrom, error, sourceBytes);
    const problem = isMissing ? 'missing' : 'extra';
    const isRowLacking = isMissing && digest !== undefined;
    if (isSurelyAlone(alone, this.#check)) {
      if (isRowLacking) this.#rowMissing(path);
      return this.#note(path, problem, sourceBytes);
    }
    await this.#lookAhead.add(async () => {
      const found = await lookAgain(alone, this.#keyPrefixes, this.#check);
      if (isRowLacking && found.is !== 'both') this.#rowMissing(path);
      if (found.is === 'alone') this.#note(path, problem, isMissing ? found.sizeBytes : 0);
      if (found.is === 'unreadable') this.#tally.problem(found.exception, sourceBytes);
      if (found.is === 'both') {
        const pair = { path, ...found.sides, classified: this.#classify(path, digest) };
        const checked = await checkPair(pair, this.#check);
        this.#settle(checked.pair, checked.verdict);
      }
      this.#tick();
    });
  }

  #rowMissing(path: string): void {
    this.#rows?.missing(path);
    this.#options.onRowMissing?.(path);
  }

  #classify(path: string, digest: string | undefined): Classified {
    return withRowDigest(this.#options.layout.classify(path), digest);
  }

  get #keyPrefixes(): Readonly<Record<Side, string>> {
    return { source: this.#options.sourcePrefix, target: this.#options.targetPrefix };
  }

  #unreadable(path: string, side: Side, error: StorageError, sourceBytes: number): void {
    const exception = { problem: 'unreadable', side, path, detail: error.message } as const;
    this.#tally.problem({ ...exception, error: toErrorRecord(error) }, sourceBytes);
    this.#tick();
  }

  #note(path: string, problem: 'missing' | 'extra', sourceBytes: number): void {
    const detail = problem === 'missing' ? 'not in the target' : 'not in the source';
    this.#tally.problem({ problem, side: 'target', path, detail }, sourceBytes);
    this.#tick();
  }

  #settle({ source, classified }: PairToCheck, verdict: Verdict): void {
    const { sizeBytes } = source.info;
    if ('ground' in verdict) {
      this.#tally.match(verdict.ground, classified.objectClass, sizeBytes);
      if (verdict.wasReadAgain) this.#tally.readAgain += 1;
    } else {
      this.#tally.problem(verdict.exception, sizeBytes);
    }
    this.#tick();
  }

  #onBytes(count: number): void {
    this.#tally.bytesRead += count;
    this.#tick();
  }

  #tick(): void {
    if (this.#options.onProgress === undefined) return;
    const now = performance.now();
    if (now - this.#progressMs < PROGRESS_EVERY_MS) return;
    this.#progressMs = now;
    this.#options.onProgress(this.#tally.progress());
  }

  #nothingFound(): ConfigError {
    const { source, target } = this.#options;
    return new ConfigError(`Nothing to verify: neither ${source.name} nor ${target.name} holds an object`, {
      hint: 'Check the root directory on both sides; "blobferry probe" shows what is found there',
    });
  }
}
