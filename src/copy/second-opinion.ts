/** What to think of a large object whose bytes look wrong, or that nothing can be compared with. */
import { createHash } from 'node:crypto';
import type { StorageDriver } from '../drivers/driver.ts';
import { type CopyContext, type CopyItem, ObjectChanged, type Proof, WrongBytes } from './context.ts';
import type { Verdict } from './judge.ts';
import { readRanges } from './read-ranges.ts';

export const READS_DIFFER = 'two reads of it gave different bytes';

export interface Finished {
  readonly sha256: string;
  readonly verdict: Verdict;
}

/**
 * The proof, for bytes that are right or cannot be judged. Otherwise the object is read again over other connections:
 * the same bytes once more are the source's fault, different ones the transport's.
 * @throws WrongBytes
 */
export async function settleVerdict(
  ctx: CopyContext,
  item: CopyItem,
  sizeBytes: number,
  first: Finished,
): Promise<Proof> {
  const { verdict } = first;
  if (verdict.is === 'right') return verdict.by;
  if (verdict.is === 'unknown' && !ctx.readsTwice && !verdict.looksWrong) return 'none';
  const second = await hashRanges(ctx, ctx.source, item.source.key, sizeBytes);
  const isSame = second === first.sha256;
  if (!isSame) throw new WrongBytes(READS_DIFFER, false);
  if (verdict.is === 'wrong') throw new WrongBytes(verdict.reason, true);
  return ctx.readsTwice ? 'twice' : 'none';
}

/** For a target that checks nothing. @throws WrongBytes */
export function verifyReadBack(
  ctx: CopyContext,
  item: CopyItem,
  sizeBytes: number,
  sha256: string,
): Promise<void> {
  return keepIfRight(ctx, item, async () => (await hashOfTarget(ctx, item, sizeBytes)) === sha256);
}

/** What was written or copied there, read over connections of their own; undefined where it has another size. */
export async function hashOfTarget(
  ctx: CopyContext,
  item: CopyItem,
  sizeBytes: number,
): Promise<string | undefined> {
  try {
    return await hashRanges(ctx, ctx.target, item.targetKey, sizeBytes);
  } catch (error) {
    // It is the target's object that is another one, not the source's that changed.
    if (error instanceof ObjectChanged) return undefined;
    throw error;
  }
}

/**
 * Removes what was written unless it is seen to be right, be it wrong, unreadable or cut short by an abort: the next
 * run would take it for equal by its size.
 * @throws WrongBytes
 */
export async function keepIfRight(
  ctx: CopyContext,
  item: CopyItem,
  isRight: () => Promise<boolean>,
): Promise<void> {
  try {
    if (await isRight()) return;
  } catch (error) {
    await removeFromTarget(ctx, item).catch(() => undefined);
    throw error;
  }
  await removeFromTarget(ctx, item);
  throw new WrongBytes('the target gave back other bytes than were written to it', false, 'target');
}

/** Goes through even when the run is being cancelled, so it has a clock of its own. */
async function removeFromTarget(ctx: CopyContext, item: CopyItem): Promise<void> {
  await ctx.target.remove({ signal: AbortSignal.timeout(cleanUpMs(ctx)) }, item.targetKey);
}

/** A cancelled run answers within 3 s, so its tidying up must be quicker. */
export function cleanUpMs(ctx: CopyContext): number {
  return ctx.signal.aborted ? 1_500 : 30_000;
}

export async function hashRanges(
  ctx: CopyContext,
  driver: StorageDriver,
  key: string,
  sizeBytes: number,
): Promise<string> {
  const hasher = createHash('sha256');
  for await (const piece of readRanges(ctx, {
    driver,
    key,
    from: 0,
    to: sizeBytes,
    sizeBytes,
    isFresh: true,
  })) {
    hasher.update(piece.bytes);
  }
  return hasher.digest('hex');
}
