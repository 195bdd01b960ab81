/**
 * Sizes that a listing does not tell: Swift lists a large object as empty. Where an object is there already its size need
 * not be known; what is copied or compared has its size asked first, a few objects at a time, so that those behind it
 * know how large it is when they are put in order.
 */
import { isStorageError, StorageError } from '../core/errors.ts';
import type { ObjectInfo } from '../drivers/driver.ts';
import type { CopyContext } from './context.ts';
import type { Joined } from './join.ts';

/** Objects whose sizes are asked at once, before any of them goes on. */
const ASKED_AT_ONCE = 32;

/** One object on both sides, as listed. */
export type Pair = Pick<Joined, 'source' | 'target'>;
interface Sides extends Pick<CopyContext, 'source' | 'target' | 'signal'> {
  /** As of the calls: told of each failure after which the size is asked for again. */
  readonly onRetry?: (error: StorageError) => void;
}

export function isUnsure({ source, target }: Pair): boolean {
  return source.isSizeUnsure === true || target?.isSizeUnsure === true;
}

/** Nothing in the two listings says that the sizes differ. */
export function mayBeSameSize({ source, target }: Pair): boolean {
  return target !== undefined && (source.sizeBytes === target.sizeBytes || isUnsure({ source, target }));
}

/** The best that is known of the size: where the two are taken for equal, one side tells for both. */
export function bestSizeOf({ source, target }: Pair): number {
  return source.isSizeUnsure && target ? target.sizeBytes : source.sizeBytes;
}

/** As layouts are asked about an object: an empty one may be left out, one that only looks empty may not. */
export function surelyListedBytes({ sizeBytes, isSizeUnsure }: ObjectInfo): number | undefined {
  return isSizeUnsure ? undefined : sizeBytes;
}

/**
 * The same object with what `stat` says of each side whose size is unsure; a target that is gone is none.
 * @throws StorageError where the source's size cannot be had.
 */
export async function withTrueSizes<P extends Pair>(ctx: Sides, object: P): Promise<P> {
  const { source, target } = object;
  const [ours, theirs] = await Promise.all([
    source.isSizeUnsure ? ctx.source.stat(ctx, source.key) : source,
    target?.isSizeUnsure ? statIfThere(ctx, target.key) : target,
  ]);
  return { ...object, source: ours, target: theirs };
}

async function statIfThere(ctx: Sides, key: string): Promise<ObjectInfo | undefined> {
  try {
    return await ctx.target.stat(ctx, key);
  } catch (error) {
    if (isStorageError(error, 'not-found')) return undefined;
    throw error;
  }
}

interface SizedOptions {
  /** Is this object, which has an unsure size, more than skipped? */
  readonly matters: (joined: Joined) => boolean;
  /** One whose size is not had at once goes on without, so that those behind it need not wait for all its attempts. */
  readonly goesOn?: boolean;
}

/**
 * Batches of a join in which every size that matters is the true one. An object whose size cannot be had goes on as it was
 * listed, with the error, which is its outcome when its turn comes; so does one that is still asked, with what will be
 * known of it.
 */
export async function* sizedBatches(
  ctx: Sides,
  batches: AsyncIterable<readonly Joined[]>,
  { matters, goesOn = false }: SizedOptions,
): AsyncGenerator<readonly Joined[]> {
  const { source, target, signal } = ctx;
  const sized = (joined: Joined): Joined | Promise<Joined> => {
    if (!isUnsure(joined) || !matters(joined)) return joined;
    const failedOnce = Promise.withResolvers<void>();
    const sizing = withTrueSizes({ source, target, signal, onRetry: () => failedOnce.resolve() }, joined);
    const whenKnown = sizing.catch((error: unknown): Joined => {
      if (error instanceof StorageError && error.details.scope === 'object')
        return { ...joined, sizeError: error };
      throw error;
    });
    if (!goesOn) return whenKnown;
    return Promise.race([whenKnown, failedOnce.promise.then((): Joined => ({ ...joined, sizing }))]);
  };
  for await (const batch of batches) {
    if (!batch.some(isUnsure)) {
      yield batch;
      continue;
    }
    for (let at = 0; at < batch.length; at += ASKED_AT_ONCE) {
      yield await Promise.all(batch.slice(at, at + ASKED_AT_ONCE).map(sized));
    }
  }
}
