/**
 * A copy inside the service is visible before it is proved. A run that ended in between leaves an object of the right
 * name and size that nobody has vouched for; the next one does.
 */
import { isStorageError } from '../core/errors.ts';
import { type CopyContext, type CopyItem, ObjectChanged } from './context.ts';
import { hashRanges } from './second-opinion.ts';

/** Smaller objects are streamed: a copy inside the service would take as many requests, and save nothing. */
export const SERVER_COPY_BYTES_MIN = 64 * 1024;

/** The sha256 that proves a copy of this object; undefined for objects that are never copied inside the service. */
export function sha256ForCopy({ classified }: CopyItem, sizeBytes: number): string | undefined {
  const { contentDigest } = classified;
  if (contentDigest?.algorithm !== 'sha256' || sizeBytes < SERVER_COPY_BYTES_MIN) return undefined;
  return contentDigest.hex;
}

type Doubts = Pick<CopyContext, 'doubtsCopies' | 'uploads'>;

/** May it be a copy that nobody has seen proved? An upload that is open for its key is the mark of one. */
export function isUnseenCopy({ doubtsCopies, uploads }: Doubts, item: CopyItem): boolean {
  if (!doubtsCopies && !uploads.has(item.targetKey)) return false;
  return sha256ForCopy(item, item.source.sizeBytes) !== undefined;
}

/**
 * What of a copy that nobody has seen proved: it stays where it is right. Otherwise it goes where the target is ours, since
 * whatever comes next may fail, and the run after that would take it for equal by its size.
 */
export async function settleUnseenCopy(
  ctx: CopyContext,
  item: CopyItem,
): Promise<'equal' | 'differs' | 'conflict'> {
  try {
    if (await isProvedCopy(ctx, item)) return 'equal';
    if (ctx.ownsTarget) {
      await ctx.target.remove(ctx, item.targetKey);
      return 'differs';
    }
  } catch (error) {
    ctx.counters.count('serverCopiesUnseen');
    throw error;
  }
  ctx.counters.count('serverCopiesUnseen');
  return 'conflict';
}

/** Does the target hold the bytes of the digest? Asks for the sum that the service computed, else reads them. */
async function isProvedCopy(ctx: CopyContext, item: CopyItem): Promise<boolean> {
  const { sizeBytes } = item.source;
  const wanted = sha256ForCopy(item, sizeBytes);
  const { serverCopy } = ctx.target;
  // What an upload marks was to be read back: its source may have had a sum, which may have been copied along.
  const isMarked = ctx.uploads.has(item.targetKey);
  try {
    if (ctx.serverSide?.computes && serverCopy && !isMarked) {
      const kept = await serverCopy.look(ctx, item.targetKey);
      // Other copies are only made of objects without one, so this one was computed, or checked when it was written.
      if (kept.sha256 !== undefined) return kept.sha256 === wanted;
    }
    return (await hashRanges(ctx, ctx.target, item.targetKey, sizeBytes)) === wanted;
  } catch (error) {
    if (isStorageError(error, 'not-found') || error instanceof ObjectChanged) return false;
    throw error;
  }
}
