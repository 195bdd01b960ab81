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
import { judgeWhole } from './judge.ts';

/** Reads of one object whose bytes look wrong, before it is given up. */
const READS_MAX = 4;

interface ProvedBytes {
  readonly sha256: string;
  readonly proof: Proof;
  readonly read: ReadResult;
}

/** @throws ObjectChanged, WrongBytes, StorageError. */
export async function copyWhole(ctx: CopyContext, item: CopyItem, sizeBytes: number): Promise<CopyOutcome> {
  const slab = await ctx.slabs.acquire(sizeBytes, ctx.signal);
  try {
    const proved = await readProved(ctx, item, slab.bytes);
    await ctx.target.write(ctx, item.targetKey, bodyOfBytes(slab.bytes), {
      sha256: proved.sha256,
      ...(proved.read.attributes ? { attributes: proved.read.attributes } : {}),
    });
    if (ctx.readsBack) await readBack(ctx, item, slab.bytes, proved.sha256);
    return { state: 'copied', bytes: sizeBytes, proof: proved.proof };
  } finally {
    slab.release();
  }
}

/**
 * Fills `bytes` with the object and says how it is known to be right. Bytes that look wrong are read again over another
 * connection: two different reads are the transport's fault, two equal ones the source's.
 */
async function readProved(ctx: CopyContext, item: CopyItem, bytes: Uint8Array): Promise<ProvedBytes> {
  let previous: string | undefined;
  let reason = '';
  for (let count = 1; count <= READS_MAX; count += 1) {
    const read = await readOnce(ctx, item, bytes, previous !== undefined);
    const sha256 = hash('sha256', bytes, 'hex');
    const { md5MayBeOpaque } = ctx.source.facts;
    const verdict = judgeWhole(item.classified, bytes, sha256, { ...read, md5MayBeOpaque });
    if (verdict.is === 'right') return { sha256, proof: verdict.by, read };
    if (verdict.is === 'unknown') {
      const wantsSecond = ctx.readsTwice || verdict.looksWrong;
      if (!wantsSecond) return { sha256, proof: 'none', read };
      if (previous === sha256) return { sha256, proof: ctx.readsTwice ? 'twice' : 'none', read };
      reason = 'two reads of it gave different bytes';
    } else {
      reason = verdict.reason;
      if (previous === sha256) throw new WrongBytes(reason, true);
    }
    previous = sha256;
  }
  throw new WrongBytes(`${reason}, and every read gave other bytes: the connection corrupts them`, false);
}

async function readOnce(
  ctx: CopyContext,
  item: CopyItem,
  bytes: Uint8Array,
  isFresh: boolean,
): Promise<ReadResult> {
  const read = await ctx.source.read(ctx, item.source.key, bytes, {
    isWhole: true,
    ...(isFresh ? { isFresh } : {}),
  });
  if (read.totalBytes !== bytes.length) throw new ObjectChanged(read.totalBytes);
  return read;
}

/** For a target that checks nothing. The slab is reused: its bytes are already hashed. */
async function readBack(ctx: CopyContext, item: CopyItem, bytes: Uint8Array, sha256: string): Promise<void> {
  const back = await ctx.target.read(ctx, item.targetKey, bytes, { isWhole: true, isFresh: true });
  if (back.totalBytes === bytes.length && hash('sha256', bytes, 'hex') === sha256) return;
  await ctx.target.remove(ctx, item.targetKey);
  throw new WrongBytes('the target gave back other bytes than were written to it', false);
}
