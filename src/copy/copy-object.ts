/** One object from "listed" to its outcome: compared, copied, begun again when it changed, and judged when it is wrong. */
import { IntegrityError, isStorageError, StorageError } from '../core/errors.ts';
import type { MultipartFacet } from '../drivers/driver.ts';
import { type CopyContext, type CopyItem, type CopyOutcome, ObjectChanged, WrongBytes } from './context.ts';
import { copyParts } from './copy-parts.ts';
import { copyServerSide } from './copy-server-side.ts';
import { copyStreamed } from './copy-streamed.ts';
import { copyWhole } from './copy-whole.ts';
import { differenceByContent, differenceByListing } from './equal.ts';
import { objectBytesMaxOf } from './plan-parts.ts';
import type { ServerSide } from './server-side.ts';
import { bestSizeOf, isUnsure, withTrueSizes } from './true-sizes.ts';
import { NotNoted } from './written-keys.ts';

/** An object that changes while it is read, or is corrupted on its way, is begun again this often. */
const STARTS_MAX = 4;

/** Rejects only for what ends the whole run: an abort, or an error of scope `backend`. */
export async function copyObject(ctx: CopyContext, listed: CopyItem): Promise<CopyOutcome> {
  let item = listed;
  try {
    if (listed.sizeError) throw listed.sizeError;
    if (listed.sizing) item = { ...listed, ...(await listed.sizing) };
    // Mostly it was asked before.
    const mustAsk = isUnsure(item) && differenceByListing(item, ctx) !== 'equal';
    if (mustAsk) item = await withTrueSizes(ctx, item);
  } catch (error) {
    return outcomeOfError(ctx, listed, error);
  }
  let sizeBytes: number | undefined = item.source.sizeBytes;
  try {
    const byListing = differenceByListing(item, ctx);
    const difference = byListing === 'compare' ? await differenceByContent(ctx, item) : byListing;
    if (difference === 'equal') return { state: 'skipped', bytes: bestSizeOf(item) };
    if (difference === 'conflict') return conflict(ctx, item);
  } catch (error) {
    if (!(error instanceof ObjectChanged)) return outcomeOfError(ctx, item, error);
    sizeBytes = error.totalBytes;
  }
  for (let start = 1; ; start += 1) {
    try {
      sizeBytes ??= (await ctx.source.stat(ctx, item.source.key)).sizeBytes;
      return await transfer(ctx, item, sizeBytes);
    } catch (error) {
      if (start >= STARTS_MAX || !mayGoBetter(error)) return outcomeOfError(ctx, item, error);
      countRestart(ctx, error);
      if (error instanceof ObjectChanged) sizeBytes = error.totalBytes;
    }
  }
}

function countRestart({ counters }: CopyContext, why: unknown): void {
  counters.count('restartedObjects');
  if (why instanceof WrongBytes) counters.count(why.of === 'source' ? 'wrongReads' : 'wrongWrites');
}

function mayGoBetter(error: unknown): boolean {
  return error instanceof ObjectChanged || (error instanceof WrongBytes && !error.isStable);
}

function wholeBytesMax({ partBytes, slabs, target }: CopyContext): number {
  return Math.min(partBytes, slabs.slabBytesMax, target.facts.writeBytesMax);
}

function transfer(ctx: CopyContext, item: CopyItem, sizeBytes: number): Promise<CopyOutcome> {
  const { serverSide } = ctx;
  // The service, or a library, makes it visible before all of its bytes have been seen here.
  if (serverSide?.isOn || ctx.target.streamUpload) ctx.written?.note({ key: item.path, sizeBytes });
  return serverSide?.isOn ? letCopy(ctx, serverSide, item, sizeBytes) : stream(ctx, item, sizeBytes);
}

async function letCopy(
  ctx: CopyContext,
  serverSide: ServerSide,
  item: CopyItem,
  sizeBytes: number,
): Promise<CopyOutcome> {
  const size = { sizeBytes, isSmall: sizeBytes <= wholeBytesMax(ctx) };
  return (await copyServerSide(ctx, serverSide, item, size)) ?? stream(ctx, item, sizeBytes);
}

function stream(ctx: CopyContext, item: CopyItem, sizeBytes: number): Promise<CopyOutcome> {
  const { multipart, streamUpload } = ctx.target;
  if (sizeBytes <= wholeBytesMax(ctx)) return copyWhole(ctx, item, sizeBytes);
  if (streamUpload) return copyStreamed(ctx, item, sizeBytes, streamUpload);
  if (multipart && sizeBytes > objectBytesMaxOf(multipart)) throw tooLarge(ctx, item, sizeBytes, multipart);
  if (multipart) return copyParts(ctx, item, sizeBytes, multipart);
  throw new Error(`The driver of ${ctx.target.name} can write no large objects`);
}

/** Said before anything of it is read or written. */
function tooLarge(
  { target }: CopyContext,
  { targetKey }: CopyItem,
  sizeBytes: number,
  multipart: MultipartFacet,
): StorageError {
  const most = objectBytesMaxOf(multipart);
  return new StorageError(
    `Cannot write "${targetKey}" in ${target.name}: it has ${sizeBytes} bytes, an object there has at most ${most}`,
    {
      kind: 'unsupported',
      backend: target.name,
      operation: 'write',
      key: targetKey,
      isTransient: false,
      scope: 'object',
    },
    { hint: 'Remove it from the source if nobody needs it, or choose a target that takes larger objects' },
  );
}

function conflict(ctx: CopyContext, item: CopyItem): CopyOutcome {
  const { source, target } = item;
  const what =
    target?.sizeBytes === source.sizeBytes
      ? `with other bytes than in ${ctx.source.name}`
      : `with ${target?.sizeBytes} bytes, in ${ctx.source.name} with ${source.sizeBytes}`;
  const message = `"${item.path}" is in ${ctx.target.name} ${what}: blobferry does not overwrite content of a name that must not change`;
  const hint = 'Find out which of the two is right; remove the wrong one by hand, then run again';
  return { state: 'conflict', error: new IntegrityError(message, { hint }) };
}

/** @throws what ends the run. */
async function outcomeOfError(ctx: CopyContext, item: CopyItem, error: unknown): Promise<CopyOutcome> {
  if (ctx.signal.aborted) throw ctx.signal.reason;
  if (error instanceof StorageError && error.details.scope === 'backend') throw error;
  if (error instanceof NotNoted) throw error;
  if (error instanceof WrongBytes) return wrongBytes(ctx, item, error);
  if (error instanceof ObjectChanged) {
    return error.cause === undefined ? changed(ctx, item) : outcomeOfError(ctx, item, error.cause);
  }
  if (isStorageError(error, 'not-found')) return missing(ctx, item, error);
  return { state: 'failed', error: error instanceof Error ? error : new Error(String(error)) };
}

function wrongBytes(ctx: CopyContext, item: CopyItem, error: WrongBytes): CopyOutcome {
  const message = `"${item.path}" of ${ctx.source.name} was not copied: ${error.message}`;
  if (!error.isStable) {
    const hint = 'Something on the way changes bytes: check the network, then run again';
    return { state: 'failed', error: new IntegrityError(message, { cause: error, hint }) };
  }
  if (ctx.isFrozen) {
    const hint = 'The source holds it like this: restore it from a backup, or push the image again';
    return { state: 'damaged', error: new IntegrityError(message, { cause: error, hint }) };
  }
  const hint = 'It may still be in the making: run again, or with --frozen once the source is read-only';
  return { state: 'unsettled', error: new IntegrityError(message, { cause: error, hint }) };
}

function changed(ctx: CopyContext, item: CopyItem): CopyOutcome {
  const message = `"${item.path}" of ${ctx.source.name} was not copied: it changed each time it was read`;
  if (ctx.isFrozen) {
    const hint = 'The source was said to be read-only but is written to: stop the writers, then run again';
    return { state: 'failed', error: new IntegrityError(message, { hint }) };
  }
  return {
    state: 'unsettled',
    error: new IntegrityError(message, { hint: 'Run again once it is left alone' }),
  };
}

/** Gone only counts when a stat says so too; otherwise it is the target that lacks something, or a passing fault. */
async function missing(ctx: CopyContext, item: CopyItem, error: StorageError): Promise<CopyOutcome> {
  try {
    await ctx.source.stat(ctx, item.source.key);
    return { state: 'failed', error };
  } catch (statError) {
    if (!isStorageError(statError, 'not-found')) return outcomeOfError(ctx, item, statError);
  }
  const message = `"${item.path}" is gone from ${ctx.source.name} since it was listed`;
  const hint = ctx.isFrozen
    ? 'The source was said to be read-only but objects are deleted from it'
    : undefined;
  return { state: 'vanished', error: new IntegrityError(message, { cause: error, hint }) };
}
