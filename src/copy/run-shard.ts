/** One shard: list both sides, join, copy what differs. The same code under the thread pool and under any other scheduler. */

import type { CounterWriter } from '../core/counters.ts';
import { BlobferryError, toErrorRecord } from '../core/errors.ts';
import type { CopyException } from '../core/job.ts';
import type { ListPage, StorageDriver } from '../drivers/driver.ts';
import type { CopyContext, CopyItem, CopyOutcome } from './context.ts';
import { copyObject } from './copy-object.ts';
import { type Joined, joinListings, type Listing } from './join.ts';
import { type Missing, ObjectWindow } from './object-window.ts';
import { EXCEPTIONS_MAX, type PassSettings, type Shard, type ShardResult } from './shard.ts';
import { belongsToPhaseOne, isInRange, listShard } from './shard-range.ts';
import { ListingOutOfOrder } from './sorted-listing.ts';
import { Tally } from './tally.ts';

const LEFT_OUT_NAMED_MAX = 10;
const VANISHED_NAMED_MAX = 1_000;

export interface ShardOutcome extends ShardResult {
  /** What ended the shard before its end; everything up to there is in the result. */
  readonly stoppedBy?: unknown;
}

export async function runShard(base: CopyContext, pass: PassSettings, shard: Shard): Promise<ShardOutcome> {
  const run = new ShardRun(base, pass, shard);
  try {
    await run.copy({ isSorting: false });
  } catch (error) {
    if (!(error instanceof ListingOutOfOrder)) return run.result(error);
    try {
      run.startOver(error.message);
      await run.copy({ isSorting: true });
    } catch (second) {
      return run.result(second);
    }
  }
  return run.result(undefined);
}

class ShardRun {
  readonly #base: CopyContext;
  readonly #pass: PassSettings;
  readonly #shard: Shard;
  readonly #exceptions: CopyException[] = [];
  #failures = 0;
  #vanished = 0;
  readonly #leftOut = new Set<string>();
  readonly #warnings: string[] = [];
  readonly #extras: string[] = [];
  readonly #tally: Tally;

  constructor(base: CopyContext, pass: PassSettings, shard: Shard) {
    this.#base = base;
    this.#pass = pass;
    this.#shard = shard;
    this.#tally = new Tally(base.counters);
  }

  result(stoppedBy: unknown): ShardOutcome {
    return {
      exceptions: this.#exceptions,
      leftOut: [...this.#leftOut],
      warnings: this.#warnings,
      extras: this.#extras,
      ...(stoppedBy === undefined ? {} : { stoppedBy }),
    };
  }

  startOver(reason: string): void {
    this.#warnings.push(`${reason}: shard ${this.#shard.id} sorts its listings first`);
    this.#base.counters.count('sortedShards');
    this.#exceptions.length = 0;
    this.#failures = 0;
    this.#vanished = 0;
    this.#leftOut.clear();
    this.#extras.length = 0;
    this.#tally.startOver();
  }

  async copy(options: { readonly isSorting: boolean }): Promise<void> {
    const stop = new AbortController();
    const ctx: CopyContext = { ...this.#base, signal: AbortSignal.any([this.#base.signal, stop.signal]) };
    const window = new ObjectWindow(this.#pass.concurrency, (error) => stop.abort(error));
    try {
      const batches = joinListings(
        this.#listing(ctx, ctx.source, this.#pass.sourcePrefix, options),
        this.#listing(ctx, ctx.target, this.#pass.targetPrefix, options),
        this.#pass.extrasMax > 0 ? (path, { sizeBytes }) => this.#noteExtra(ctx, path, sizeBytes) : undefined,
      );
      for await (const batch of batches) {
        this.#tally.listed(batch.length);
        for (const joined of batch) await this.#admit(ctx, window, joined);
      }
      await window.drain();
      await ctx.target.flush(ctx);
    } catch (error) {
      stop.abort(error);
      await window.drain().catch(() => undefined);
      throw error;
    }
  }

  #listing(
    ctx: CopyContext,
    driver: StorageDriver,
    keyPrefix: string,
    options: { isSorting: boolean },
  ): Listing {
    const isSource = driver === ctx.source;
    const listing = listShard(ctx, driver, {
      shard: this.#shard,
      keyPrefix,
      isSorting: options.isSorting,
      prune: (folder) => this.#leavesOut(ctx, folder, undefined, isSource),
    });
    return isSource ? listing : { ...listing, pages: countedPages(listing.pages, ctx.counters) };
  }

  /** Pages are joined in batches; objects of one whose whole answer is "equal by listing" cost no promise. */
  async #admit(ctx: CopyContext, window: ObjectWindow, joined: Joined): Promise<void> {
    const { path, source, target } = joined;
    if (this.#isOfPhaseOne(path) || this.#leavesOut(ctx, path, source.sizeBytes, true)) return;
    const classified = ctx.layout.classify(path);
    if (target && classified.isImmutable && target.sizeBytes === source.sizeBytes) {
      this.#tally.object('skipped', classified.objectClass, source.sizeBytes);
      return;
    }
    const item: CopyItem = { path, classified, source, target, targetKey: this.#pass.targetPrefix + path };
    await window.room();
    window.add(classified.repository, classified.objectClass === 'tag', (lacking) =>
      this.#handle(ctx, item, lacking),
    );
  }

  async #handle(
    ctx: CopyContext,
    item: CopyItem,
    lacking: Missing | undefined,
  ): Promise<Missing | undefined> {
    ctx.signal.throwIfAborted();
    ctx.counters.gauge('objectsInFlight', 1);
    ctx.counters.gauge('bytesInFlight', item.source.sizeBytes);
    try {
      const outcome = lacking ? heldBack(item, lacking) : await copyObject(ctx, item);
      this.#record(ctx, item, outcome);
      return missingAfter(outcome, ctx.isFrozen);
    } finally {
      ctx.counters.gauge('objectsInFlight', -1);
      ctx.counters.gauge('bytesInFlight', -item.source.sizeBytes);
    }
  }

  #record(ctx: CopyContext, item: CopyItem, outcome: CopyOutcome): void {
    const { objectClass } = item.classified;
    if (outcome.state === 'skipped') {
      this.#tally.object('skipped', objectClass, outcome.bytes);
      return;
    }
    if (outcome.state === 'copied') {
      this.#tally.object('copied', objectClass, outcome.bytes);
      if (outcome.proof === 'none') ctx.counters.count('unproved');
      return;
    }
    this.#tally.object(outcome.state, objectClass, item.source.sizeBytes);
    const exception = { state: outcome.state, path: item.path, error: toErrorRecord(outcome.error) };
    if (outcome.state === 'vanished' && !ctx.isFrozen) {
      // Garbage collection under a live pass: no failure, however many, so only the list is kept short.
      this.#vanished += 1;
      if (this.#vanished <= VANISHED_NAMED_MAX) this.#exceptions.push(exception);
      return;
    }
    this.#exceptions.push(exception);
    this.#failures += 1;
    if (this.#failures >= EXCEPTIONS_MAX) {
      throw new BlobferryError(
        `${EXCEPTIONS_MAX} objects of one shard failed, the last one: ${outcome.error.message}`,
        {
          hint: 'Something general is wrong: mend it, then run again',
        },
      );
    }
  }

  /** Blobs are never deleted: nobody but the registry's garbage collection knows who needs them. */
  #noteExtra(ctx: CopyContext, path: string, sizeBytes: number): void {
    if (this.#extras.length > this.#pass.extrasMax || this.#isOfPhaseOne(path)) return;
    if (this.#leavesOut(ctx, path, sizeBytes, false) || !isInRange(this.#shard.range, path)) return;
    if (ctx.layout.classify(path).objectClass !== 'blob') this.#extras.push(path);
  }

  #isOfPhaseOne(path: string): boolean {
    return belongsToPhaseOne(this.#shard, this.#base.layout, path);
  }

  #leavesOut(ctx: CopyContext, path: string, sizeBytes: number | undefined, isSource: boolean): boolean {
    if (sizeBytes === undefined && this.#isOfPhaseOne(path)) return true;
    if (!ctx.layout.leavesOut(path, sizeBytes)) return false;
    // A walk passes through folders of its neighbours' ranges; each is counted in its own.
    if (isSource && isInRange(this.#shard.range, path)) {
      this.#tally.leftOut();
      if (this.#leftOut.size < LEFT_OUT_NAMED_MAX) this.#leftOut.add(path);
    }
    return true;
  }
}

async function* countedPages(
  pages: AsyncIterable<ListPage>,
  counters: CounterWriter,
): AsyncGenerator<ListPage> {
  for await (const page of pages) {
    counters.count('listedTarget', page.objects.length);
    yield page;
  }
}

/** Tags go without what the source itself lacks: damaged bytes, and what was deleted while it may be. */
function missingAfter({ state }: CopyOutcome, isFrozen: boolean): Missing | undefined {
  if (state === 'unsettled') return 'unsettled';
  if (state === 'vanished') return isFrozen ? 'failed' : undefined;
  return state === 'failed' || state === 'conflict' ? 'failed' : undefined;
}

function heldBack(item: CopyItem, lacking: Missing): CopyOutcome {
  const message = `"${item.path}" was held back: other objects of its repository did not reach the target`;
  const hint = lacking === 'failed' ? 'Mend those first, then run again' : 'Run again: it goes with them';
  return { state: lacking, error: new BlobferryError(message, { hint }) };
}
