/** One shard: list both sides, join, copy what differs. The same code under the thread pool and under any other scheduler. */

import type { ObjectState, Side } from '../core/counters.ts';
import { type StorageError, toErrorRecord } from '../core/errors.ts';
import { followSignal } from '../core/followed-signal.ts';
import { Unlisted } from '../core/unlisted.ts';
import type { StorageDriver } from '../drivers/driver.ts';
import type { Classified } from '../layout/layout.ts';
import type { CopyContext, CopyItem, CopyOutcome } from './context.ts';
import { copyObject } from './copy-object.ts';
import { Cuts } from './cuts.ts';
import { FoundExtras } from './found-extras.ts';
import { FoundRows, withRow } from './found-rows.ts';
import { type Joined, joinListings, type Listing, type OnExtra } from './join.ts';
import { type Missing, ObjectWindow } from './object-window.ts';
import { countProof, heldBack, isGood, missingAfter, notSeen } from './outcomes.ts';
import type { PassSettings, Shard, ShardResult } from './shard.ts';
import { ShardExceptions } from './shard-exceptions.ts';
import { belongsToPhaseOne, isInRange, listShard } from './shard-range.ts';
import { Sharing } from './sharing.ts';
import { ListingOutOfOrder } from './sorted-listing.ts';
import { Tally } from './tally.ts';
import { bestSizeOf, mayBeSameSize, sizedBatches, surelyListedBytes } from './true-sizes.ts';

const LEFT_OUT_NAMED_MAX = 10;

export interface ShardOutcome extends ShardResult {
  /** What ended the shard before its end; everything up to there is in the result. */
  readonly stoppedBy?: unknown;
}

export interface ShardOptions {
  /** A cursor may be reported after so many objects; default 5,000. */
  readonly cursorObjects?: number;
  /** As of the window. */
  readonly lookAheadBytes?: number;
  /** Is given what makes the shard give some of itself away, as reported then. */
  readonly onBegin?: (share: () => Promise<void>) => void;
  /** As of the search for a border. */
  readonly worthBytes?: number;
}

export async function runShard(
  base: CopyContext,
  pass: PassSettings,
  shard: Shard,
  options: ShardOptions = {},
): Promise<ShardOutcome> {
  const run = new ShardRun(base, pass, shard, options);
  options.onBegin?.(() => run.share());
  try {
    await run.copy({ isSorting: shard.isUnsorted === true });
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

/** What one way through the shard works with. */
interface Lane {
  readonly window: ObjectWindow;
  readonly cuts: Cuts;
}

class ShardRun {
  readonly #base: CopyContext;
  readonly #pass: PassSettings;
  readonly #shard: Shard;
  readonly #sharing: Sharing;
  readonly #exceptions = new ShardExceptions();
  readonly #leftOut = new Set<string>();
  readonly #warnings: string[] = [];
  readonly #extras: FoundExtras;
  #rows: FoundRows | undefined;
  #unlisted = newUnlisted();
  readonly #tally: Tally;
  readonly #options: ShardOptions;

  constructor(base: CopyContext, pass: PassSettings, shard: Shard, options: ShardOptions) {
    this.#base = base;
    this.#pass = pass;
    this.#shard = shard;
    this.#options = options;
    this.#extras = new FoundExtras(base.layout, pass.extrasMax ?? 0);
    this.#tally = new Tally(base.counters);
    this.#sharing = new Sharing({ base, shard, tally: this.#tally, pass, worthBytes: options.worthBytes });
    if (shard.isUnsorted) this.#sorts('The listing of folders is out of order');
  }

  share(): Promise<void> {
    return this.#sharing.share();
  }

  result(stoppedBy: unknown): ShardOutcome {
    const refusal = this.#base.serverSide?.takeNotice();
    return {
      exceptions: this.#exceptions.all,
      leftOut: [...this.#leftOut],
      warnings: this.#warnings,
      ...(refusal === undefined ? {} : { serverSideRefusal: refusal }),
      ...this.#extras.result(),
      ...(this.#rows ? { rows: this.#rows.result() } : {}),
      ...this.#sharing.end(),
      ...(stoppedBy === undefined ? {} : { stoppedBy }),
    };
  }

  #sorts(reason: string): void {
    this.#warnings.push(`${reason}: shard ${this.#shard.id} sorts its listings first`);
    this.#base.counters.count('sortedShards');
  }

  startOver(reason: string): void {
    this.#sorts(reason);
    this.#exceptions.clear();
    this.#leftOut.clear();
    this.#extras.clear();
    this.#unlisted = newUnlisted();
    this.#tally.startOver();
  }

  async copy(options: { readonly isSorting: boolean }): Promise<void> {
    const stop = followSignal(this.#base.signal);
    const ctx: CopyContext = {
      ...this.#base,
      signal: stop.signal,
      doubtsTarget: this.#pass.doubtsTarget === true,
      doubtsCopies: this.#pass.doubtsCopies === true,
    };
    const concurrency = ctx.objectsNow ?? this.#pass.concurrency;
    const { partBytes, slabs } = ctx;
    const window = new ObjectWindow({
      concurrency,
      partBytes,
      slabBudgetBytes: slabs.budgetBytes,
      lookAheadBytes: this.#options.lookAheadBytes,
      onFailure: (error) => stop.abort(error),
    });
    const cuts = this.#newCuts(ctx, window);
    this.#sharing.begin({ window, cuts, isSorting: options.isSorting });
    this.#reportCursor(ctx, undefined, ctx.counters.values());
    try {
      const rows = this.#newRows(ctx);
      const listed = joinListings(
        this.#listing(ctx, ctx.source, this.#pass.sourcePrefix, { ...options, cuts, window }),
        this.#listing(ctx, ctx.target, this.#pass.targetPrefix, { ...options, cuts, window }),
        this.#extrasListener(ctx),
      );
      const joined = rows ? rows.joined(listed) : listed;
      const matters = (object: Joined): boolean => this.#isMoreThanSkipped(ctx, object);
      for await (const batch of sizedBatches(ctx, joined, { matters, goesOn: true })) {
        this.#tally.listed(batch.length);
        cuts.listed(batch.length);
        // They are told at the shard's end, so whoever goes on must meet them again.
        if (!this.#extras.isEmpty) cuts.block();
        for (const object of batch) {
          const isOthers = this.#sharing.passesBy(object.path);
          rows?.passed(object, this.#sharing.range);
          if (rows?.isEmpty === false) cuts.block();
          if (isOthers) continue;
          const working = this.#admit(ctx, { window, cuts }, object);
          if (!working) continue;
          cuts.countSkipped();
          await working;
        }
        cuts.countSkipped();
      }
      await window.drain();
      await rows?.rest(this.#sharing.range);
      await ctx.target.flush(ctx);
    } catch (error) {
      cuts.countSkipped();
      stop.abort(error);
      await window.drain().catch(() => undefined);
      throw error;
    } finally {
      stop.release();
    }
  }

  /** Only blobs have rows, so other shards do not look for them. */
  #newRows({ digests }: CopyContext): FoundRows | undefined {
    this.#rows =
      digests && this.#shard.phase === 'blobs' ? new FoundRows(digests, this.#shard.range) : undefined;
    return this.#rows;
  }

  #newCuts(ctx: CopyContext, window: ObjectWindow): Cuts {
    return new Cuts({
      counters: ctx.counters,
      tally: this.#tally,
      everyObjects: this.#options.cursorObjects,
      onCursor: (after, values, onSent) =>
        window.addFirst(async () => {
          await ctx.target.flush(ctx);
          this.#reportCursor(ctx, after, values);
          onSent();
        }),
    });
  }

  #reportCursor(ctx: CopyContext, after: string | undefined, values: Float64Array): void {
    const { row } = ctx.counters;
    const where = after === undefined ? {} : { after };
    ctx.report({ type: 'cursor', shard: this.#shard.id, ...where, row, values });
  }

  #listing(
    ctx: CopyContext,
    driver: StorageDriver,
    keyPrefix: string,
    options: Lane & { readonly isSorting: boolean },
  ): Listing {
    const isSource = driver === ctx.source;
    const listing = listShard(ctx, driver, {
      shard: this.#sharing.rest,
      keyPrefix,
      isSorting: options.isSorting,
      prune: (folder) => this.#prunes(ctx, folder, isSource ? options.cuts : undefined),
      onUnlistable: (path, error) => {
        if (this.#isNotMissed(ctx, path, isSource ? options.cuts : undefined)) return true;
        return isSource ? this.#goesOnWithout(ctx, options, path, error) : this.#targetHides(path, error);
      },
    });
    if (isSource) return { ...listing, pages: this.#sharing.ofSource(listing.pages, keyPrefix) };
    return { ...listing, pages: this.#sharing.ofTarget(listing.pages, keyPrefix) };
  }

  /** Pages are joined in batches; objects of one whose whole answer is "equal by listing" cost no promise. */
  #admit(ctx: CopyContext, lane: Lane, joined: Joined): Promise<void> | undefined {
    const { path, source } = joined;
    const { cuts } = lane;
    if (this.#isOfPhaseOne(path)) {
      cuts.settle(cuts.admit(path), true);
      return undefined;
    }
    if (ctx.layout.leavesOut(path, surelyListedBytes(source), source.isPlaceholder)) {
      const segment = cuts.admit(path);
      if (isInRange(this.#sharing.range, path)) {
        this.#countLeftOut(path);
        cuts.count(segment, 'leftOut');
      }
      cuts.settle(segment, true);
      return undefined;
    }
    const classified = withRow(ctx.layout.classify(path), joined.row);
    if (this.#isThere(ctx, joined, classified)) {
      this.#rows?.seen(joined);
      cuts.skip(path, classified.objectClass, bestSizeOf(joined));
      return undefined;
    }
    return this.#lookInto(ctx, lane, joined, classified);
  }

  #lookInto(ctx: CopyContext, lane: Lane, joined: Joined, classified: Classified): Promise<void> | undefined {
    const { window, cuts } = lane;
    const { path, source } = joined;
    const segment = cuts.admit(path);
    const count = (state: ObjectState, bytes: number): void => {
      this.#tally.object(state, classified.objectClass, bytes);
      cuts.object(segment, state, classified.objectClass, bytes);
    };
    const item: CopyItem = { ...joined, classified, targetKey: this.#pass.targetPrefix + path };
    const { repository, objectClass } = classified;
    const takenOver = this.#sharing.takenOver(segment, repository);
    const isTag = objectClass === 'tag';
    const object = { path, sizeBytes: source.sizeBytes, repository, isTag, ...takenOver };
    const task = async (lacking: Missing | undefined): Promise<Missing | undefined> => {
      const outcome = await this.#outcome(ctx, item, lacking);
      this.#record(ctx, item, outcome, count);
      // Another thread may have taken it over until now.
      const isKnown = this.#rows?.seen(joined) ?? true;
      cuts.settle(segment, isKnown && isGood(outcome, ctx.isFrozen));
      return missingAfter(outcome, ctx.isFrozen);
    };
    const room = window.room();
    if (room) return room.then(() => window.add(object, task));
    window.add(object, task);
    return undefined;
  }

  /** Is that all that need be known of it? */
  #isThere(ctx: CopyContext, joined: Joined, { isImmutable }: Classified): boolean {
    return isImmutable && mayBeSameSize(joined) && !this.#mayBeUnseen(ctx, joined.path);
  }

  /** Asked of objects whose size is unsure, before their turn. */
  #isMoreThanSkipped(ctx: CopyContext, joined: Joined): boolean {
    const { path } = joined;
    if (this.#isOfPhaseOne(path) || ctx.layout.leavesOut(path, undefined)) return false;
    return !this.#isThere(ctx, joined, ctx.layout.classify(path));
  }

  #mayBeUnseen(ctx: CopyContext, path: string): boolean {
    if (ctx.doubtsTarget || ctx.doubtsCopies) return true;
    return ctx.uploads.has(this.#pass.targetPrefix + path);
  }

  async #outcome(ctx: CopyContext, item: CopyItem, lacking: Missing | undefined): Promise<CopyOutcome> {
    ctx.signal.throwIfAborted();
    ctx.counters.gauge('objectsInFlight', 1);
    ctx.counters.gauge('bytesInFlight', item.source.sizeBytes);
    try {
      const hidden = this.#unlisted.target.hiding(item.path);
      if (hidden) return notSeen(item, hidden);
      return lacking ? heldBack(item, lacking) : await copyObject(ctx, item);
    } finally {
      ctx.counters.gauge('objectsInFlight', -1);
      ctx.counters.gauge('bytesInFlight', -item.source.sizeBytes);
    }
  }

  #record(
    ctx: CopyContext,
    item: CopyItem,
    outcome: CopyOutcome,
    count: (state: ObjectState, bytes: number) => void,
  ): void {
    if (outcome.state === 'skipped' || outcome.state === 'copied') {
      count(outcome.state, outcome.bytes);
      if (outcome.state === 'copied') countProof(ctx.counters, outcome);
      return;
    }
    count(outcome.state, item.source.sizeBytes);
    this.#exceptions.add(item.path, outcome, ctx.isFrozen);
  }

  #extrasListener(ctx: CopyContext): OnExtra | undefined {
    if (this.#pass.extrasMax === undefined) return undefined;
    return (path, { sizeBytes, isPlaceholder }) => {
      if (this.#isOfPhaseOne(path) || ctx.layout.leavesOut(path, sizeBytes, isPlaceholder)) return;
      if (this.#unlisted.source.hiding(path)) return;
      // A listing may begin before its shard does; what lies there is another shard's.
      if (isInRange(this.#sharing.range, path)) this.#extras.add(path);
    };
  }

  #isOfPhaseOne(path: string): boolean {
    return belongsToPhaseOne(this.#shard, this.#base.layout, path);
  }

  /** Listings of both sides ask before they go into a folder, and ask again where one is repeated. */
  #prunes(ctx: CopyContext, folder: string, cuts: Cuts | undefined): boolean {
    const isClosed = this.#isOfPhaseOne(folder) || ctx.layout.staysOutOf(folder);
    return isClosed && this.#isNotMissed(ctx, folder, cuts);
  }

  /** Left out as a whole, and counted as one, on the source's side. */
  #isNotMissed(ctx: CopyContext, path: string, cuts: Cuts | undefined): boolean {
    if (this.#isOfPhaseOne(path)) return true;
    if (cuts) this.#sharing.tell(path);
    if (!ctx.layout.leavesOut(path, undefined)) return false;
    // A walk passes through folders of its neighbours' ranges; each is counted in its own.
    if (cuts && isInRange(this.#sharing.range, path) && cuts.folder(path)) this.#countLeftOut(path);
    return true;
  }

  /** A folder of the source that cannot be listed is one failed thing, where the run was told to keep going. */
  #goesOnWithout(ctx: CopyContext, { cuts, window }: Lane, path: string, error: StorageError): boolean {
    if (!this.#pass.keepsGoing || this.#exceptions.isFull) return false;
    this.#sharing.tell(path);
    const { after, upTo } = this.#sharing.range;
    // A border between two shards is a folder's name: what it holds belongs to the second one.
    const isOurs = (isInRange(this.#sharing.range, path) && upTo !== path) || after?.startsWith(path);
    if (!this.#unlisted.source.add(path, error) || !isOurs) return true;
    this.#tally.object('failed', 'other', 0);
    cuts.object(cuts.block(), 'failed', 'other', 0);
    this.#exceptions.addFolder(path, toErrorRecord(error));
    const { repository, objectClass } = ctx.layout.classify(
      path.endsWith('/') ? `${path}current/link` : path,
    );
    // Links that are not seen are missing in the target, so the tags behind them stay behind.
    if (objectClass !== 'tag' && repository !== undefined) window.lacks(repository, 'failed');
    return true;
  }

  /** Nothing is written where it is not known what the target has there. */
  #targetHides(path: string, error: StorageError): boolean {
    if (this.#pass.keepsGoing) this.#unlisted.target.add(path, error);
    return this.#pass.keepsGoing === true;
  }

  #countLeftOut(path: string): void {
    this.#tally.leftOut();
    if (this.#leftOut.size < LEFT_OUT_NAMED_MAX) this.#leftOut.add(path);
  }
}

function newUnlisted(): Readonly<Record<Side, Unlisted>> {
  return { source: new Unlisted(), target: new Unlisted() };
}
