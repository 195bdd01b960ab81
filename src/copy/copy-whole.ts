/** Copies an object that fits one slab: read it, prove it, write it, all from the same memory. */
import { hash } from 'node:crypto';
import { bodyOfBytes } from '../drivers/body.ts';
import type { ReadResult } from '../drivers/driver.ts';
import {
  type CopyContext,
  type CopyItem,
  type CopyOutcome,
  ObjectChanged,
  type Proof,
  WrongBytes,
} from './context.ts';
import { judgeWhole, type Verdict } from './judge.ts';
import { keepIfRight, READS_DIFFER } from './second-opinion.ts';

interface ProvedBytes {
  readonly sha256: string;
  readonly proof: Proof;
  readonly read: ReadResult;
}

/** @throws ObjectChanged, WrongBytes, StorageError. */
export async function copyWhole(ctx: CopyContext, item: CopyItem, sizeBytes: number): Promise<CopyOutcome> {
  const slab =
    ctx.slabs.acquireNow(sizeBytes, ctx.signal) ?? (await ctx.slabs.acquire(sizeBytes, ctx.signal));
  try {
    const first = await readJudged(ctx, item, slab.bytes, false);
    const proved = proofOf(ctx, first) ?? (await readAgain(ctx, item, slab.bytes, first));
    ctx.written?.note({ key: item.path, sizeBytes, sha256: proved.sha256 });
    await ctx.target.write(ctx, item.targetKey, bodyOfBytes(slab.bytes), {
      sha256: proved.sha256,
      ...(proved.read.attributes ? { attributes: proved.read.attributes } : {}),
    });
    if (ctx.readsBack) await readBackWhole(ctx, item, slab.bytes, proved.sha256);
    return { state: 'copied', bytes: sizeBytes, proof: proved.proof };
  } finally {
    slab.release();
  }
}

/** How the first read is known to be right; undefined where it must be read again. */
function proofOf(ctx: CopyContext, { sha256, read, verdict }: JudgedRead): ProvedBytes | undefined {
  if (verdict.is === 'right') return { sha256, read, proof: verdict.by };
  const isTakenAsItIs = verdict.is === 'unknown' && !ctx.readsTwice && !verdict.looksWrong;
  return isTakenAsItIs ? { sha256, read, proof: 'none' } : undefined;
}

/**
 * Bytes that look wrong are read again over another connection: two different reads are the transport's fault, two
 * equal ones the source's.
 */
async function readAgain(
  ctx: CopyContext,
  item: CopyItem,
  bytes: Uint8Array,
  first: JudgedRead,
): Promise<ProvedBytes> {
  const second = await readJudged(ctx, item, bytes, true);
  if (second.verdict.is === 'right') {
    ctx.counters.count('wrongReads');
    return { ...second, proof: second.verdict.by };
  }
  if (second.sha256 !== first.sha256) throw new WrongBytes(READS_DIFFER, false);
  if (second.verdict.is === 'wrong') throw new WrongBytes(second.verdict.reason, true);
  return { ...second, proof: ctx.readsTwice ? 'twice' : 'none' };
}

interface JudgedRead {
  readonly sha256: string;
  readonly verdict: Verdict;
  readonly read: ReadResult;
}

async function readJudged(
  ctx: CopyContext,
  item: CopyItem,
  bytes: Uint8Array,
  isFresh: boolean,
): Promise<JudgedRead> {
  const read = await ctx.source.read(ctx, item.source.key, bytes, {
    isWhole: true,
    ...(isFresh ? { isFresh } : {}),
  });
  if (read.totalBytes !== bytes.length) throw new ObjectChanged(read.totalBytes);
  if (read.bytesRead !== bytes.length) throw new ObjectChanged(undefined);
  const sha256 = hash('sha256', bytes, 'hex');
  const { md5MayBeOpaque } = ctx.source.facts;
  return { sha256, read, verdict: judgeWhole(item.classified, bytes, sha256, { ...read, md5MayBeOpaque }) };
}

/** The slab is reused: its bytes are already hashed. */
function readBackWhole(ctx: CopyContext, item: CopyItem, bytes: Uint8Array, sha256: string): Promise<void> {
  return keepIfRight(ctx, item, async () => {
    const back = await ctx.target.read(ctx, item.targetKey, bytes, { isWhole: true, isFresh: true });
    return back.totalBytes === bytes.length && hash('sha256', bytes, 'hex') === sha256;
  });
}
