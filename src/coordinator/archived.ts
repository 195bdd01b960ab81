/**
 * Objects of the source that cannot be read before they are restored: found before anything is written, by listing the
 * source once more (see docs/decisions/0009-archived-objects.md). Only listings that are asked for it tell the class of
 * an object, and only of storages that have archives.
 */
import pLimit from 'p-limit';
import type { Shard } from '../copy/shard.ts';
import { belongsToPhaseOne, isInRange } from '../copy/shard-range.ts';
import { ConfigError, isStorageError } from '../core/errors.ts';
import { plausibleMd5 } from '../core/listed-md5.ts';
import type { CallContext, ObjectInfo, StorageDriver } from '../drivers/driver.ts';
import type { StorageSpec } from '../drivers/spec.ts';
import { isAwsHost } from '../drivers/spec-name.ts';
import type { Layout } from '../layout/layout.ts';
import { planShards } from './plan-shards.ts';

/** Listings at once: a listing waits for each of its pages. */
const LISTINGS_AT_ONCE = 8;
/** Objects looked at closely at once, in each listing. */
const LOOKS_AT_ONCE = 16;
/** Of so many it is made sure that they are archived and needed; more are only counted. */
const NAMED_MAX = 10;

interface ArchivedObject {
  /** Logical path. */
  readonly path: string;
  readonly tier: string;
}

export interface Archived {
  readonly count: number;
  /** The first ten that were met, each of them looked at. */
  readonly named: readonly ArchivedObject[];
  /** Objects that the service itself moves between tiers, which may be archived without a listing's telling. */
  readonly selfTiering: number;
  readonly objectsListed: number;
}

export interface ArchivedInput {
  readonly source: StorageDriver;
  readonly storage: StorageSpec;
  readonly sourcePrefix: string;
  readonly layout: Layout;
  readonly threads: number;
  /** What it already has need not be read again; absent where nothing is to be copied. */
  readonly target?: { readonly driver: StorageDriver; readonly keyPrefix: string };
  /** Look at no more than about so many objects; default: at all. */
  readonly objectsMax?: number;
  /** Called before a listing of everything. */
  readonly onListing?: () => void;
}

/** @returns undefined where the storage has no archive: nothing was listed but the first page of an S3 service. */
export async function findArchived(ctx: CallContext, input: ArchivedInput): Promise<Archived | undefined> {
  if (!(await mayHoldArchived(ctx, input))) return undefined;
  input.onListing?.();
  const search = new Search(input);
  const shards = await shardsOf(ctx, input);
  if (shards === undefined) await search.list(ctx, undefined);
  else {
    const limit = pLimit(LISTINGS_AT_ONCE);
    const stop = new AbortController();
    const signal = AbortSignal.any([ctx.signal, stop.signal]);
    const all = shards.map((shard) =>
      limit(() => search.list({ ...ctx, signal }, shard)).catch((error: unknown) => {
        stop.abort(error);
        throw error;
      }),
    );
    // No listing outlives the first failure, which is the one to tell.
    const settled = await Promise.allSettled(all);
    if (settled.some(({ status }) => status === 'rejected')) throw stop.signal.reason;
  }
  return search.found();
}

/** @throws ConfigError naming them, with what to do. */
export function refuseArchived(source: StorageDriver, archived: Archived | undefined): void {
  if (archived === undefined || archived.count === 0) return;
  throw new ConfigError(archivedText(source.name, archived), { hint: restoreHint(source.kind) });
}

export function archivedText(name: string, { count, named }: Archived): string {
  const what = count === 1 ? '1 object is archived' : `${count} objects are archived`;
  const names = named.map(({ path, tier }) => `${JSON.stringify(path)} (${tier})`).join(', ');
  const more = count > named.length ? ` and ${count - named.length} more` : '';
  return `Cannot read all of ${name}: ${what} and must be restored first: ${names}${more}`;
}

export function restoreHint(kind: string): string {
  return kind === 'azure'
    ? 'rehydrate them to the tier hot, cool or cold (Set Blob Tier), wait until that is done, then run again'
    : 'restore them for as long as the copy takes (RestoreObject, or S3 Batch Operations), wait until that is done, then run again: a restored object is read like any other';
}

/** A sentence for objects of which no listing tells whether they can be read. */
export function selfTieringText({ selfTiering }: Archived): string | undefined {
  if (selfTiering === 0) return undefined;
  const objects =
    selfTiering === 1 ? '1 object of the source has' : `${selfTiering} objects of the source have`;
  return `${objects} a class (INTELLIGENT_TIERING) of which no listing tells what is in its archive tiers; whatever is there cannot be read and will be named as failed`;
}

/** Other services than AWS mostly know one class: the first page decides whether theirs are looked at. */
async function mayHoldArchived(
  ctx: CallContext,
  { source, storage, sourcePrefix }: ArchivedInput,
): Promise<boolean> {
  if (storage.kind === 'azure') return true;
  if (storage.kind !== 's3') return false;
  const host = storage.endpoint === undefined ? undefined : URL.parse(storage.endpoint)?.hostname;
  if (host === undefined || isAwsHost(host)) return true;
  // With HMAC keys Cloud Storage is used as S3; whatever it has it gives at once.
  if (host === 'googleapis.com' || host.endsWith('.googleapis.com')) return false;
  for await (const { objects } of source.list(ctx, { prefix: sourcePrefix, tellsTier: true })) {
    return objects.some(({ tier }) => tier !== undefined);
  }
  return false;
}

/** Undefined: one listing of everything, in whatever order it comes. */
async function shardsOf(ctx: CallContext, input: ArchivedInput): Promise<readonly Shard[] | undefined> {
  const { source: driver, sourcePrefix: keyPrefix, layout, threads, objectsMax } = input;
  if (objectsMax !== undefined || driver.facts.listOrder === 'unsorted') return undefined;
  const plan = { driver, keyPrefix, layout, threads };
  const shards = [...(await planShards(ctx, plan, 'blobs')), ...(await planShards(ctx, plan, 'names'))];
  return shards.some(({ isUnsorted }) => isUnsorted) ? undefined : shards;
}

class Search {
  readonly #input: ArchivedInput;
  readonly #named: ArchivedObject[] = [];
  #count = 0;
  #selfTiering = 0;
  #objectsListed = 0;

  constructor(input: ArchivedInput) {
    this.#input = input;
  }

  found(): Archived {
    const named = this.#named
      .toSorted((left, right) => Buffer.compare(Buffer.from(left.path), Buffer.from(right.path)))
      .slice(0, NAMED_MAX);
    return { count: this.#count, named, selfTiering: this.#selfTiering, objectsListed: this.#objectsListed };
  }

  async list(ctx: CallContext, shard: Shard | undefined): Promise<void> {
    const { source, sourcePrefix, objectsMax = Number.POSITIVE_INFINITY } = this.#input;
    const { prefix = '', after, upTo } = shard?.range ?? {};
    const pages = source.list(ctx, {
      prefix: sourcePrefix + prefix,
      ...(after === undefined ? {} : { after: sourcePrefix + after }),
      ...(upTo === undefined ? {} : { upTo: sourcePrefix + upTo }),
      tellsTier: true,
    });
    const limit = pLimit(LOOKS_AT_ONCE);
    for await (const { objects } of pages) {
      ctx.signal.throwIfAborted();
      this.#objectsListed += objects.length;
      const archived = objects.filter((object) => this.#isArchived(object, shard));
      await Promise.all(archived.map((object) => limit(() => this.#look(ctx, object))));
      if (this.#objectsListed >= objectsMax) return;
    }
  }

  #isArchived(
    { key, sizeBytes, tier, archived, isPlaceholder }: ObjectInfo,
    shard: Shard | undefined,
  ): boolean {
    if (tier === undefined) return false;
    const { layout, sourcePrefix } = this.#input;
    const path = key.slice(sourcePrefix.length);
    if (shard && (!isInRange(shard.range, path) || belongsToPhaseOne(shard, layout, path))) return false;
    if (layout.leavesOut(path, sizeBytes, isPlaceholder)) return false;
    if (archived === 'maybe') this.#selfTiering += 1;
    return archived === 'yes';
  }

  async #look(ctx: CallContext, object: ObjectInfo): Promise<void> {
    const path = object.key.slice(this.#input.sourcePrefix.length);
    if (this.#named.length < NAMED_MAX) {
      if ((await this.#isInTarget(ctx, object, path)) || (await this.#canBeRead(ctx, object))) return;
      this.#named.push({ path, tier: object.tier ?? '' });
    }
    this.#count += 1;
  }

  /** What a pass would find equal by its listings is not read by it. */
  async #isInTarget(ctx: CallContext, object: ObjectInfo, path: string): Promise<boolean> {
    const { target, layout } = this.#input;
    if (!target) return false;
    try {
      const found = await target.driver.stat(ctx, target.keyPrefix + path);
      if (found.sizeBytes !== object.sizeBytes) return false;
      const md5 = plausibleMd5(found);
      return layout.classify(path).isImmutable || (md5 !== undefined && md5 === object.md5);
    } catch (error) {
      if (isStorageError(error) && error.details.scope === 'object') return false;
      throw error;
    }
  }

  /**
   * A class of this name may be none of an archive at another service, and a service may not tell what it has restored:
   * one byte does. Azure tells of each blob whether it is archived now.
   */
  async #canBeRead(ctx: CallContext, { key }: ObjectInfo): Promise<boolean> {
    const { source, storage } = this.#input;
    if (storage.kind !== 's3') return false;
    try {
      await source.read(ctx, key, Buffer.alloc(1), {});
      return true;
    } catch (error) {
      // Whatever else is wrong with it, the copy says.
      if (isStorageError(error) && error.details.scope === 'object')
        return error.details.backendCode !== 'InvalidObjectState';
      throw error;
    }
  }
}
