/** What to think of a large object whose bytes look wrong, or that nothing can be compared with. */
import { createHash } from 'node:crypto';
import type { StorageDriver } from '../drivers/driver.ts';
import { type CopyContext, type CopyItem, type Proof, WrongBytes } from './context.ts';
import type { Verdict } from './judge.ts';
import { readRanges } from './read-ranges.ts';

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
  if (verdict.is === 'wrong') throw new WrongBytes(verdict.reason, isSame);
  if (!isSame) throw new WrongBytes('two reads of it gave different bytes', false);
  return ctx.readsTwice ? 'twice' : 'none';
}

/** For a target that checks nothing. What is not right is removed again. @throws WrongBytes */
export async function verifyReadBack(
  ctx: CopyContext,
  item: CopyItem,
  sizeBytes: number,
  sha256: string,
): Promise<void> {
  const back = await hashRanges(ctx, ctx.target, item.targetKey, sizeBytes);
  if (back === sha256) return;
  await ctx.target.remove(ctx, item.targetKey);
  throw new WrongBytes('the target gave back other bytes than were written to it', false);
}

async function hashRanges(
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
