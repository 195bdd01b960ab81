/**
 * Lets the service of the target copy an object by itself, from a bucket of its own or from an address. Its word proves
 * nothing: the copy has the digest of its path by a sha256 that the service was seen to compute, or it is read back; else
 * it is removed, and the object streamed like any other.
 */
import pLimit from 'p-limit';
import { isStorageError, type StorageError } from '../core/errors.ts';
import type {
  CallContext,
  CopySource,
  KeptObject,
  PartReceipt,
  ServerCopyFacet,
  Upload,
} from '../drivers/driver.ts';
import { type CopyContext, type CopyItem, type CopyOutcome, ObjectChanged } from './context.ts';
import { abortUpload } from './continued-upload.ts';
import { beginWhole, completeWhole } from './copy-parts.ts';
import { planParts } from './plan-parts.ts';
import { cleanUpMs, hashOfTarget } from './second-opinion.ts';
import type { ServerSide } from './server-side.ts';
import { sha256ForCopy } from './unseen-copy.ts';

const PARTS_AT_ONCE = 4;
const PART_BYTES_MIN = 5 * 1024 ** 2;
const PARTS_MAX = 10_000;

/** One object that is to be copied, and what it needs. */
interface Task {
  readonly facet: ServerCopyFacet;
  readonly item: CopyItem;
  readonly source: CopySource;
  /** Of the content, as its path says. */
  readonly sha256: string;
  /** A copy may be in the target, or get there yet, that nobody has proved. */
  isUnseen: boolean;
}

/**
 * Undefined where the object is better streamed, or must be: nothing of it is in the target then.
 * @param isSmall it would be streamed in one request, which costs less than a copy that is read back.
 * @throws ObjectChanged, StorageError.
 */
export async function copyServerSide(
  ctx: CopyContext,
  serverSide: ServerSide,
  item: CopyItem,
  { sizeBytes, isSmall }: { readonly sizeBytes: number; readonly isSmall: boolean },
): Promise<CopyOutcome | undefined> {
  const sha256 = sha256ForCopy(item, sizeBytes);
  const facet = ctx.target.serverCopy;
  const readsBack = ctx.ownsTarget && !isSmall && ctx.target.multipart !== undefined;
  if (!facet || sha256 === undefined || !(serverSide.computes || readsBack)) return undefined;
  if (sizeBytes > facet.copyBytesMax * PARTS_MAX) return undefined;
  try {
    const found = await lookAt(ctx, serverSide, item.source.key);
    if (found === undefined) return undefined;
    if (found.sizeBytes !== sizeBytes) throw new ObjectChanged(found.sizeBytes);
    const source = sourceOf(ctx, serverSide, found);
    if (source === undefined) return undefined;
    const task: Task = { facet, item, source, sha256, isUnseen: false };
    // A sha256 that the source has may have been copied along, which proves nothing.
    const isComputed = serverSide.computes && !found.hasSha256 && sizeBytes <= facet.copyBytesMax;
    if (!isComputed && !readsBack) return undefined;
    const outcome = await (isComputed ? copyComputed(ctx, task) : copyReadBack(ctx, task));
    serverSide.copied();
    return outcome;
  } catch (error) {
    ctx.signal.throwIfAborted();
    const isOtherVersion = isStorageError(error, 'precondition');
    // A service that asks another one may take every version for another; a stream finds out what there is.
    if (isOtherVersion && serverSide.reach !== 'addresses') throw new ObjectChanged(undefined);
    // Whether it is gone for its own credentials, too, shows when it is read.
    if (isStorageError(error, 'not-found') && error.details.scope === 'object') return undefined;
    if (!isOtherVersion && !isRefusal(error)) throw error;
    serverSide.refused(error.message);
    return undefined;
  }
}

/** Whether a sum is kept with it matters to a service that computes sums. */
async function lookAt(ctx: CopyContext, { reach }: ServerSide, key: string): Promise<KeptObject | undefined> {
  if (reach !== 'addresses') return await ctx.source.serverCopy?.look(ctx, key);
  return { ...(await ctx.source.stat(ctx, key)), hasSha256: false };
}

/** Undefined where the source does not say which version it is, or gives out no addresses. */
function sourceOf(
  { source: { addresses } }: CopyContext,
  { reach }: ServerSide,
  { key, sizeBytes, version }: KeptObject,
): CopySource | undefined {
  if (version === undefined) return undefined;
  if (reach !== 'addresses') return { bucket: reach.bucket, key, sizeBytes, version };
  return addresses && { addresses, key, sizeBytes, version };
}

async function copyComputed(ctx: CopyContext, task: Task): Promise<CopyOutcome | undefined> {
  const { facet, item, source } = task;
  const stated = await seen(ctx, task, (call) => facet.copy(call, source, item.targetKey));
  if (stated.sha256 === undefined) return await judged(ctx, task, () => hashOfCopy(ctx, task), 'readBack');
  return await judged(ctx, task, async () => stated.sha256, 'service');
}

/**
 * An upload that stays open until the copy is proved marks it for a run that comes after this one: it is found by the
 * same listing that finds other unfinished uploads, whatever became of the journal.
 */
async function copyReadBack(ctx: CopyContext, task: Task): Promise<CopyOutcome | undefined> {
  const { facet, item, source } = task;
  const { multipart } = ctx.target;
  if (!multipart) return undefined;
  const marks = [...ctx.uploads.take(item.targetKey), await beginReported(ctx, facet, item.targetKey)];
  const isWhole = source.sizeBytes <= facet.copyBytesMax;
  try {
    if (isWhole) await seen(ctx, task, (call) => facet.copy(call, source, item.targetKey));
    else await copyParts(ctx, task);
    return await judged(ctx, task, () => hashOfCopy(ctx, task), 'readBack');
  } finally {
    // They stay where nobody knows what the service still does, as in a run that is being stopped.
    if (!ctx.signal.aborted && !task.isUnseen)
      for (const mark of marks) await abortUpload(ctx, multipart, mark);
  }
}

function hashOfCopy(ctx: CopyContext, { item, source }: Task): Promise<string | undefined> {
  return hashOfTarget(ctx, item, source.sizeBytes);
}

async function beginReported(ctx: CopyContext, facet: ServerCopyFacet, key: string): Promise<Upload> {
  const upload = await beginWhole(ctx, facet, key);
  ctx.report({ type: 'upload', upload, state: 'open' });
  return upload;
}

/** More than one copy takes: in ranges, several at once, that become visible together. */
async function copyParts(ctx: CopyContext, task: Task): Promise<void> {
  const { facet, item, source } = task;
  const limits = { partBytesMin: PART_BYTES_MIN, partBytesMax: facet.copyBytesMax, partsMax: PARTS_MAX };
  const plan = planParts(source.sizeBytes, facet.copyBytesMax, limits);
  const upload = await beginReported(ctx, facet, item.targetKey);
  try {
    const limit = pLimit(PARTS_AT_ONCE);
    const stop = new AbortController();
    const signal = AbortSignal.any([ctx.signal, stop.signal]);
    const copying = plan.map((part) =>
      limit(async (): Promise<PartReceipt> => {
        signal.throwIfAborted();
        return await facet.copyPart({ signal }, upload, source, part);
      }).catch((error: unknown) => {
        stop.abort(error);
        throw error;
      }),
    );
    // The upload is not aborted while parts are still on their way.
    await Promise.allSettled(copying);
    if (stop.signal.aborted) throw stop.signal.reason;
    const parts = await Promise.all(copying);
    const { sizeBytes } = source;
    await seen(ctx, task, (call) => completeWhole(call, facet, upload, parts, { sizeBytes }));
    ctx.report({ type: 'upload', upload, state: 'closed' });
  } catch (error) {
    if (ctx.target.multipart) await abortUpload(ctx, ctx.target.multipart, upload);
    throw error;
  }
}

/** A copy whose answer did not come may still become visible, at any time, whatever is said to one that is asked for anew. */
async function seen<T>(ctx: CopyContext, task: Task, copy: (call: CallContext) => Promise<T>): Promise<T> {
  let isLost = false;
  const onRetry = (error: StorageError): void => {
    isLost ||= error.kind !== 'throttled';
  };
  try {
    return await copy({ signal: ctx.signal, onRetry });
  } catch (error) {
    const isNotDone = isRefusal(error) || isStorageError(error, 'precondition', 'not-found');
    if (isLost || !isNotDone) {
      noteUnseen(ctx, task);
      if (!ctx.signal.aborted) await remove(ctx, task.item).catch(() => undefined);
    }
    throw error;
  }
}

function noteUnseen(ctx: CopyContext, task: Task): void {
  task.isUnseen = true;
  ctx.counters.count('serverCopiesUnseen');
}

/** Keeps the copy if it has the right digest. Otherwise it goes, and what the source really holds is found by reading it. */
async function judged(
  ctx: CopyContext,
  task: Task,
  digestOf: () => Promise<string | undefined>,
  proof: 'service' | 'readBack',
): Promise<CopyOutcome | undefined> {
  const { item, source, sha256 } = task;
  let isRight = false;
  try {
    isRight = (await digestOf()) === sha256;
  } catch (error) {
    await remove(ctx, item).catch(() => noteUnseen(ctx, task));
    throw error;
  }
  if (isRight) return { state: 'copied', bytes: source.sizeBytes, proof, isServerSide: true };
  ctx.counters.count('serverCopiesWrong');
  try {
    await remove(ctx, item);
  } catch (error) {
    noteUnseen(ctx, task);
    throw error;
  }
  return undefined;
}

/** Goes through even when the run is being cancelled, so it has a clock of its own. */
async function remove(ctx: CopyContext, { targetKey }: CopyItem): Promise<void> {
  await ctx.target.remove({ signal: AbortSignal.timeout(cleanUpMs(ctx)) }, targetKey);
}

/** The service does not do it, or not with these credentials; nothing was copied. */
function isRefusal(error: unknown): error is Error {
  if (!isStorageError(error, 'denied', 'unsupported', 'unexpected')) return false;
  return error.details.scope === 'object' && !error.details.isTransient;
}
