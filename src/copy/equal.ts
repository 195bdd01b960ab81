/** Need this object be copied? Design rule "equal". */
import { createHash } from 'node:crypto';
import { isStorageError } from '../core/errors.ts';
import { plausibleMd5 } from '../core/listed-md5.ts';
import type { ObjectInfo, StorageDriver } from '../drivers/driver.ts';
import { type CopyContext, type CopyItem, ObjectChanged } from './context.ts';
import { readRanges } from './read-ranges.ts';
import { isUnsure, mayBeSameSize, withTrueSizes } from './true-sizes.ts';
import { isUnseenCopy, settleUnseenCopy } from './unseen-copy.ts';

export type Difference = 'equal' | 'differs' | 'conflict';

/**
 * Decides from the two listings alone where that is possible; `compare` means the contents must be read. Of an immutable
 * object whose size is unsure, that it is there is enough.
 */
export function differenceByListing(
  item: CopyItem,
  ctx: Pick<CopyContext, 'ownsTarget' | 'doubtsTarget' | 'doubtsCopies' | 'uploads' | 'listedMd5s'>,
): Difference | 'compare' {
  const { ownsTarget, doubtsTarget } = ctx;
  const { source, target, classified } = item;
  if (!target) return 'differs';
  const hasSameSize = mayBeSameSize(item);
  if (classified.isImmutable) {
    if (hasSameSize) return doubtsTarget || isUnseenCopy(ctx, item) ? 'compare' : 'equal';
    // Someone else's object under a name that promises other content is never overwritten.
    return ownsTarget ? 'differs' : 'conflict';
  }
  if (!hasSameSize) return 'differs';
  const listed = { source: plausibleMd5(source), target: plausibleMd5(target) };
  if (listed.source === undefined || listed.target === undefined) return 'compare';
  if (listed.source !== listed.target) return ctx.listedMd5s?.trusts() ? 'differs' : 'compare';
  ctx.listedMd5s?.agreed();
  return 'equal';
}

/** Reads what must be read: one side where the other lists a true MD5 that agrees, else both. */
export async function differenceByContent(ctx: CopyContext, item: CopyItem): Promise<Difference> {
  if (isUnsure(item)) return differenceByTrueSizes(ctx, item);
  const { source, target, classified } = item;
  if (!target) return 'differs';
  const different = classified.isImmutable && !ctx.ownsTarget ? 'conflict' : 'differs';
  if (isUnseenCopy(ctx, item)) return settleUnseenCopy(ctx, item);
  const ours = await contentHashes(ctx, ctx.source, source);
  const listed = { source: plausibleMd5(source), target: plausibleMd5(target) };
  if (listed.target !== undefined) {
    if (listed.target === ours.md5) {
      // The source's listing told another one.
      if (listed.source === undefined) ctx.listedMd5s?.agreed();
      else ctx.listedMd5s?.misled();
      return 'equal';
    }
    if (!ctx.target.facts.md5MayBeOpaque) return different;
    // Where the source lists one too, that was looked at before.
    if (!classified.isImmutable && listed.source === undefined && ctx.listedMd5s?.trusts()) return different;
  }
  const theirs = await contentHashes(ctx, ctx.target, target).catch((error: unknown) => {
    // Whoever removed or replaced it since it was listed: what is there now is not known to be equal.
    if (isStorageError(error, 'not-found') || error instanceof ObjectChanged) return undefined;
    throw error;
  });
  if (ours.sha256 !== theirs?.sha256) return different;
  if (listed.target !== undefined) ctx.listedMd5s?.misled();
  return 'equal';
}

async function differenceByTrueSizes(ctx: CopyContext, item: CopyItem): Promise<Difference> {
  const sized = await withTrueSizes(ctx, item);
  const difference = differenceByListing(sized, ctx);
  return difference === 'compare' ? differenceByContent(ctx, sized) : difference;
}

async function contentHashes(
  ctx: CopyContext,
  driver: StorageDriver,
  object: ObjectInfo,
): Promise<{ readonly sha256: string; readonly md5: string }> {
  const sha256 = createHash('sha256');
  const md5 = createHash('md5');
  const { key, sizeBytes } = object;
  for await (const piece of readRanges(ctx, { driver, key, from: 0, to: sizeBytes, sizeBytes })) {
    sha256.update(piece.bytes);
    md5.update(piece.bytes);
  }
  return { sha256: sha256.digest('hex'), md5: md5.digest('hex') };
}
