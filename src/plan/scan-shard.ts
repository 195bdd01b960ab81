/** One shard of a plan: lists both sides as the copy would, and says of each object what would become of it. */
import type { CopyContext, CopyItem } from '../copy/context.ts';
import { differenceByListing } from '../copy/equal.ts';
import { type Joined, joinListings, type Listing, type OnExtra } from '../copy/join.ts';
import type { Shard } from '../copy/shard.ts';
import { belongsToPhaseOne, isInRange, listShard } from '../copy/shard-range.ts';
import { ListingOutOfOrder } from '../copy/sorted-listing.ts';
import { bestSizeOf, sizedBatches, surelyListedBytes } from '../copy/true-sizes.ts';
import { sha256ForCopy } from '../copy/unseen-copy.ts';
import { compareUtf8 } from '../core/byte-order.ts';
import type { Side } from '../core/counters.ts';
import type { StorageError } from '../core/errors.ts';
import type { ServerSideSummary } from '../core/job.ts';
import { Unlisted } from '../core/unlisted.ts';
import type { ListPage, ObjectInfo, StorageDriver } from '../drivers/driver.ts';
import { mayBeDeleted } from '../layout/deletable.ts';
import { KeyClashes } from './key-clash.ts';
import {
  type ObjectRequests,
  readsOf,
  requestsInside,
  requestsToCopy,
  type TransferLimits,
} from './requests.ts';
import type { Sample } from './sample.ts';
import type { PlanState, UnlistablePath } from './summary.ts';
import { type Counted, Tally } from './tally.ts';

/** Undecided objects that are compared afterwards: no more than these of each shard, and only small ones. */
const TO_COMPARE_MAX = 1_000;
const COMPARED_BYTES_MAX = 64 * 1024;

export interface ScanInput {
  readonly ctx: CopyContext;
  readonly sourcePrefix: string;
  readonly targetPrefix: string;
  readonly limits: TransferLimits;
  /** Why the target cannot hold a key, as a clause; undefined when it can. */
  readonly whyInvalidKey: (key: string) => string | undefined;
  readonly sample: Sample;
  /** How the service is expected to copy by itself. */
  readonly serverSide: ServerSideSummary['way'];
  /** Which of these logical paths are objects on either side, for a target with folders. */
  readonly objectsAmong: (paths: readonly string[]) => Promise<readonly string[]>;
  readonly onListed: (objects: number, bytes: number) => void;
}

export interface ScannedShard {
  readonly tally: Tally;
  readonly toCompare: readonly { readonly item: CopyItem; readonly counted: Counted }[];
  /** Missing objects whose folders the target may have behind this shard. */
  readonly openKeys: readonly Counted[];
  /** Two shards may meet the same one. */
  readonly unlistable: readonly UnlistablePath[];
  readonly warnings: readonly string[];
}

export async function scanShard(input: ScanInput, shard: Shard): Promise<ScannedShard> {
  try {
    return await new ShardScan(input, shard).run({ isSorting: shard.isUnsorted === true });
  } catch (error) {
    if (!(error instanceof ListingOutOfOrder)) throw error;
    const scanned = await new ShardScan(input, shard).run({ isSorting: true });
    return { ...scanned, warnings: [`${error.message}: shard ${shard.id} sorts its listings first`] };
  }
}

interface Judgement {
  readonly state: PlanState;
  readonly why?: string;
}

class ShardScan {
  readonly #input: ScanInput;
  readonly #shard: Shard;
  readonly #tally = new Tally();
  readonly #toCompare: { readonly item: CopyItem; readonly counted: Counted }[] = [];
  /** Of source and target together, where the target has folders. */
  readonly #clashes: KeyClashes<Counted | undefined> | undefined;
  /** Paths of the target that were listed and not yet passed by the source. */
  #targetPaths: string[] = [];
  #targetAt = 0;
  readonly #refused = new Set<Counted>();
  readonly #unlisted: Readonly<Record<Side, Unlisted>> = { source: new Unlisted(), target: new Unlisted() };
  readonly #unlistable: UnlistablePath[] = [];

  constructor(input: ScanInput, shard: Shard) {
    this.#input = input;
    this.#shard = shard;
    this.#clashes = input.ctx.target.facts.hasFolders ? new KeyClashes() : undefined;
  }

  async run(options: { readonly isSorting: boolean }): Promise<ScannedShard> {
    const { ctx, sourcePrefix, targetPrefix, onListed } = this.#input;
    const source = this.#listing(ctx.source, sourcePrefix, options);
    const target = this.#listing(ctx.target, targetPrefix, options);
    const watched = { ...target, pages: this.#watched(target) };
    await this.#openAbove();
    const onExtra: OnExtra = (path, object, isBehind) => this.#noteExtra(path, object, isBehind);
    const joinedBatches = joinListings(source, watched, onExtra);
    const matters = (joined: Joined): boolean => this.#isMoreThanEqual(joined);
    for await (const batch of sizedBatches(ctx, joinedBatches, { matters })) {
      ctx.signal.throwIfAborted();
      let bytes = 0;
      for (const joined of batch) {
        this.#look(joined);
        bytes += bestSizeOf(joined);
      }
      this.#tally.listedSource += batch.length;
      onListed(batch.length, bytes);
    }
    this.#passTarget(undefined);
    const { upTo } = this.#shard.range;
    const open = upTo === undefined ? [] : (this.#clashes?.openBehind(upTo) ?? []);
    return {
      tally: this.#tally,
      toCompare: this.#toCompare,
      openKeys: open.flatMap(({ value }) => value ?? []),
      unlistable: this.#unlistable,
      warnings: [],
    };
  }

  #listing(driver: StorageDriver, keyPrefix: string, { isSorting }: { isSorting: boolean }): Listing {
    const isSource = driver === this.#input.ctx.source;
    return listShard(this.#input.ctx, driver, {
      shard: this.#shard,
      keyPrefix,
      isSorting,
      prune: (folder) => this.#staysOutOf(folder, isSource),
      onUnlistable: (path, error) => {
        // What is left out may well be its owner's alone (`lost+found`).
        if (!this.#leavesOut(path, undefined, isSource)) {
          this.#noteUnlistable(isSource ? 'source' : 'target', path, error);
        }
        return true;
      },
    });
  }

  #noteUnlistable(side: Side, path: string, error: StorageError): void {
    if (!this.#unlisted[side].add(path, error)) return;
    const { message, hint } = error;
    this.#unlistable.push({ side, path, why: message, ...(hint === undefined ? {} : { hint }) });
  }

  /** Objects of earlier shards that stand where folders of this one would be. */
  async #openAbove(): Promise<void> {
    if (!this.#clashes) return;
    const { prefix, after = prefix } = this.#shard.range;
    const names = after.replace(/\/$/, '').split('/');
    const above = names.map((_, index) => names.slice(0, index + 1).join('/')).filter((path) => path !== '');
    for (const path of await this.#input.objectsAmong(above)) this.#clashes.open(path, undefined);
  }

  /** Keeps the target's paths until the source has come to them: the join gives only what the source has. */
  async *#watched({ pages, keyPrefix }: Listing): AsyncGenerator<ListPage> {
    for await (const page of pages) {
      this.#tally.listedTarget += page.objects.length;
      if (this.#clashes) {
        const paths = page.objects.map(({ key }) => key.slice(keyPrefix.length));
        this.#targetPaths = [...this.#targetPaths.slice(this.#targetAt), ...paths];
        this.#targetAt = 0;
      }
      yield page;
    }
  }

  #noteExtra(path: string, { sizeBytes, isPlaceholder }: ObjectInfo, isBehind: boolean): void {
    // Behind the source's last object nothing else lets the target's paths go, and they may be many.
    if (isBehind) this.#passTarget(path, true);
    if (!isInRange(this.#shard.range, path)) return;
    if (this.#isOfPhaseOne(path) || this.#leavesOut(path, sizeBytes, false, isPlaceholder)) return;
    if (this.#unlisted.source.hiding(path)) return;
    const { layout } = this.#input.ctx;
    const { objectClass } = layout.classify(path);
    this.#tally.addExtra(path, objectClass, sizeBytes, mayBeDeleted(layout, path));
  }

  #look({ path, source, target }: Joined): void {
    const { ctx, limits, targetPrefix, sample } = this.#input;
    if (
      this.#isOfPhaseOne(path) ||
      this.#leavesOut(path, surelyListedBytes(source), true, source.isPlaceholder)
    )
      return;
    if (!target && this.#unlisted.target.hiding(path)) {
      this.#tally.objectsUnseen += 1;
      return;
    }
    const classified = ctx.layout.classify(path);
    const item: CopyItem = { path, classified, source, target, targetKey: targetPrefix + path };
    const requests = this.#requestsFor(item);
    const sizeBytes = bestSizeOf(item);
    const counted: Counted = {
      path,
      objectClass: classified.objectClass,
      sizeBytes,
      requests,
      compareReads: readsOf(sizeBytes, limits),
    };
    this.#passTarget(path);
    const { state, why } = this.#judge(item, requests);
    this.#clashes?.open(path, state === 'missing' ? counted : undefined);
    this.#tally.add(state, counted, why);
    const isRead = !requests?.inside;
    if (isRead && (state === 'missing' || state === 'differing')) sample.offer(path, source);
    if (state !== 'undecided' || sizeBytes > COMPARED_BYTES_MAX) return;
    if (this.#toCompare.length < TO_COMPARE_MAX) this.#toCompare.push({ item, counted });
  }

  /** Asked of objects whose size is unsure, as the copy asks. */
  #isMoreThanEqual({ path, source, target }: Joined): boolean {
    const { ctx, targetPrefix } = this.#input;
    if (this.#isOfPhaseOne(path) || ctx.layout.leavesOut(path, undefined)) return false;
    const classified = ctx.layout.classify(path);
    return (
      differenceByListing({ path, classified, source, target, targetKey: targetPrefix + path }, ctx) !==
      'equal'
    );
  }

  #requestsFor(item: CopyItem): ObjectRequests | undefined {
    const { limits, serverSide, ctx } = this.#input;
    const { sizeBytes } = item.source;
    const way = serverSide === 'read-back' && !ctx.ownsTarget ? 'none' : serverSide;
    const isFit = way !== 'none' && sha256ForCopy(item, sizeBytes) !== undefined;
    const inside = isFit ? requestsInside(sizeBytes, way, limits) : undefined;
    return inside ? { reads: 0, parts: 0, inside } : requestsToCopy(sizeBytes, limits);
  }

  #judge(item: CopyItem, requests: ObjectRequests | undefined): Judgement {
    const { ctx, whyInvalidKey } = this.#input;
    const holder = this.#clashes?.holderOf(item.path);
    if (item.target) {
      const difference = differenceByListing(item, ctx);
      if (difference === 'compare') return { state: 'undecided' };
      if (difference === 'equal') return { state: 'equal' };
      const why = `${item.target.sizeBytes} bytes in the target, ${item.source.sizeBytes} in the source`;
      return { state: difference === 'conflict' ? 'conflicting' : 'differing', why };
    }
    const why = whyInvalidKey(item.targetKey) ?? (holder && besideSentence(holder.key));
    if (why !== undefined) return { state: 'impossible', why };
    if (!requests) {
      return { state: 'impossible', why: `${item.source.sizeBytes} bytes are more than one upload takes` };
    }
    return { state: 'missing' };
  }

  /**
   * Lets the target's paths go by up to this one, or all of them; one may need the place of a source's object.
   * @param isExtra the path is the target's alone.
   */
  #passTarget(path: string | undefined, isExtra = false): void {
    if (!this.#clashes) return;
    for (; this.#targetAt < this.#targetPaths.length; this.#targetAt += 1) {
      const key = this.#targetPaths[this.#targetAt];
      if (key === undefined || (path !== undefined && compareUtf8(key, path) > 0)) return;
      // A listing may begin before its shard does and go on behind it.
      if (!isInRange(this.#shard.range, key)) continue;
      // The path itself is the source's business.
      if (key === path && !isExtra) continue;
      const holder = this.#clashes.holderOf(key);
      if (holder?.value) this.#refuse(holder.value, besideSentence(key));
      this.#clashes.open(key, undefined);
    }
  }

  #refuse(counted: Counted, why: string): void {
    // The stack may give it again for the next key below it; what was impossible before stays so for its first reason.
    if (this.#refused.has(counted)) return;
    this.#refused.add(counted);
    this.#tally.move(counted, 'missing', 'impossible', why);
  }

  #isOfPhaseOne(path: string): boolean {
    return belongsToPhaseOne(this.#shard, this.#input.ctx.layout, path);
  }

  #staysOutOf(folder: string, isSource: boolean): boolean {
    const { layout } = this.#input.ctx;
    if (!this.#isOfPhaseOne(folder) && !layout.staysOutOf(folder)) return false;
    return this.#leavesOut(folder, undefined, isSource);
  }

  #leavesOut(
    path: string,
    sizeBytes: number | undefined,
    isSource: boolean,
    isPlaceholder?: boolean,
  ): boolean {
    if (sizeBytes === undefined && this.#isOfPhaseOne(path)) return true;
    if (!this.#input.ctx.layout.leavesOut(path, sizeBytes, isPlaceholder)) return false;
    if (isSource && isInRange(this.#shard.range, path)) this.#tally.leaveOut(path);
    return true;
  }
}

export function besideSentence(key: string): string {
  return `"${key}" is an object as well, and in a tree of folders one of the two would be a folder`;
}
