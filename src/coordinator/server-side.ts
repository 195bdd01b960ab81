/**
 * May the service of the target copy by itself? Asked before the first object moves: whether both sides are on one
 * service, or the source gives out addresses that the target's fetches from, is in their settings; whether it may and can
 * read the source is tried, with a copy that is removed again.
 */
import { randomUUID } from 'node:crypto';
import type { Reach, ServerSideSettings } from '../copy/server-side.ts';
import { SERVER_COPY_BYTES_MIN } from '../copy/unseen-copy.ts';
import { isStorageError, StorageError } from '../core/errors.ts';
import type { CopyOptions, ServerSideSummary } from '../core/job.ts';
import type {
  Binding,
  CallContext,
  CopySource,
  ObjectInfo,
  ServerCopyFacet,
  StorageDriver,
} from '../drivers/driver.ts';
import { isPrivateAddress } from '../drivers/private-host.ts';
import type { OpenDriver, S3Spec, StorageSpec } from '../drivers/spec.ts';
import { isAwsHost } from '../drivers/spec-name.ts';
import { isSameService } from '../layout/key-rule.ts';
import type { Layout } from '../layout/layout.ts';
import type { CopyJob, Ends } from './ends.ts';

const TIDY_MS = 5_000;
/** What is copied on trial is the smallest object of the first page; a large one would take its time. */
const TRIAL_BYTES_MAX = 1024 ** 3;
/** A service that waits for a source that it does not reach gives up before that, mostly. */
const TRIAL_MS_MAX = 60_000;

export const WHY_NOT_MARKED =
  'the service is not known to compute the sha256 of what it copies, and in a target that held something before nothing marks for sure what has not been read back yet';

interface Storages {
  readonly source: StorageSpec;
  readonly target: StorageSpec;
}

/** By the settings alone: how could the target's service come to the source? */
function reachOf({ source, target }: Storages): { readonly reach: Reach } | { readonly whyNot: string } {
  if (source.kind === 's3' && target.kind === 's3') {
    return isSameService(source, target)
      ? { reach: { bucket: source.bucket } }
      : { whyNot: 'the two sides are on different services' };
  }
  if (target.kind !== 'azure' || (source.kind !== 's3' && source.kind !== 'azure'))
    return { whyNot: 'the service of the target copies nothing from a source of this kind' };
  const { endpoint } = source;
  const isOutOfReach = endpoint !== undefined && isPrivateAddress(endpoint);
  if (isOutOfReach && !isPrivateAddress(target.endpoint))
    return { whyNot: 'the address of the source is one of a private network, which Azure does not come to' };
  return { reach: 'addresses' };
}

/** By the settings alone: could a service copy from one to the other? Then why not otherwise; undefined: it could. */
export function whyNotServerSide(
  storages: Storages,
  { serverSide, engine, readsBack }: Pick<CopyOptions, 'serverSide' | 'engine' | 'readsBack'>,
  layout: Layout,
): string | undefined {
  if (serverSide === 'never') return '--server-side never was given';
  if (readsBack) return 'every object is to be read back';
  const way = reachOf(storages);
  if ('whyNot' in way) return way.whyNot;
  if (engine === 'sdk') return 'the SDK engine streams every object';
  if (layout.name === 'raw') return 'objects without a digest are proved only by passing through';
  return undefined;
}

export interface ServerSideFound {
  /** Absent: every object passes through this machine. */
  readonly settings?: ServerSideSettings;
  readonly summary: ServerSideSummary;
  /** What was refused although the settings promised it. */
  readonly warning?: string;
}

export async function findServerSide(
  ctx: CallContext,
  job: CopyJob,
  found: {
    readonly ends: Ends;
    readonly layout: Layout;
    readonly sourcePrefix: string;
    /** Everything that reads a storage looks away from what is below it. */
    readonly probePrefix: string;
    readonly binding: Binding | undefined;
    readonly ownsTarget: boolean;
  },
): Promise<ServerSideFound> {
  const why = whyNotServerSide(job, job.options, found.layout);
  if (why !== undefined) return streamed(why);
  const way = reachOf(job);
  if ('whyNot' in way) return streamed(way.whyNot);
  const { reach } = way;
  const computes = found.binding?.computesCopySha256 === true;
  if (!computes && !found.ownsTarget) return streamed(WHY_NOT_MARKED);
  const refusal = await tryCopy(ctx, found.ends, reach, found);
  if (refusal !== undefined) {
    const what =
      reach === 'addresses'
        ? 'The service of the target could copy by itself, but does not fetch from the source'
        : "Both sides are on one service, but it does not copy from one to the other with the target's credentials";
    const warning = `${what}, so objects pass through this machine: ${refusal}`;
    return { ...streamed(refusal), warning };
  }
  const words = reach === 'addresses' ? FETCHED : wordsOf(computes);
  return {
    settings: { reach, computes },
    summary: { way: computes ? 'service' : 'read-back', why: words },
  };
}

/**
 * The same without writing anything: a look at an object with the target's credentials stands for the trial, and what is
 * known of the service's maker for what it was seen to do.
 */
export async function expectedServerSide(
  ctx: CallContext,
  given: {
    readonly source: StorageSpec;
    readonly target: StorageSpec;
    readonly serverSide: CopyOptions['serverSide'];
    readonly layout: Layout;
    readonly from: StorageDriver;
    readonly sourcePrefix: string;
    readonly openDriver: OpenDriver;
  },
): Promise<ServerSideSummary> {
  const { source, target, serverSide, layout, from, sourcePrefix, openDriver } = given;
  const why = whyNotServerSide(given, { serverSide, engine: 'direct' }, layout);
  if (why !== undefined) return streamed(why).summary;
  // Whether it does can only be found out by writing.
  if (source.kind !== 's3' || target.kind !== 's3')
    return { way: 'read-back', why: `expected, if it comes to the source: ${FETCHED}` };
  const object = await smallestOfFirstPage(ctx, from, sourcePrefix);
  if (object === undefined) return streamed('the source has nothing to look at').summary;
  const storage = { ...target, bucket: source.bucket, rootDirectory: source.rootDirectory };
  const others = await openDriver({ storage, engine: 'direct' }, 'source');
  try {
    await others.stat(ctx, object.key);
  } catch (error) {
    ctx.signal.throwIfAborted();
    if (!isStorageError(error)) throw error;
    return streamed(`the target's credentials do not reach the source: ${error.message}`).summary;
  } finally {
    await others.close();
  }
  return isAws(target)
    ? { way: 'service', why: 'expected of Amazon S3: it computes the sha256 of what it copies' }
    : {
        way: 'read-back',
        why: 'expected: blobs larger than one part are copied inside the service, and read back',
      };
}

const FETCHED =
  'blobs larger than one part are fetched from the source by the service of the target, and read back';

function isAws({ endpoint }: S3Spec): boolean {
  return endpoint === undefined || isAwsHost(URL.parse(endpoint)?.hostname ?? '');
}

function streamed(why: string): ServerSideFound {
  return { summary: { way: 'none', why } };
}

function wordsOf(computes: boolean): string {
  return computes
    ? `blobs of at least ${SERVER_COPY_BYTES_MIN / 1024} KiB are copied inside the service, which was seen to compute the sha256 of what it copies`
    : 'blobs larger than one part are copied inside the service and read back, as it was not seen to compute the sha256 of what it copies';
}

/** @returns why it cannot be done. */
async function tryCopy(
  ctx: CallContext,
  { source, target }: Ends,
  reach: Reach,
  { sourcePrefix, probePrefix }: { readonly sourcePrefix: string; readonly probePrefix: string },
): Promise<string | undefined> {
  const facet = target.serverCopy;
  const from = reach === 'addresses' ? source.addresses : source.serverCopy;
  if (!facet || !from) return 'the driver cannot ask for it';
  const object = await smallestOfFirstPage(ctx, source, sourcePrefix);
  if (object?.version === undefined || object.sizeBytes > facet.copyBytesMax)
    return 'the source has nothing that it could be tried with';
  const { key, sizeBytes, version } = object;
  const one = { key, sizeBytes, version };
  const probe = `${probePrefix}${randomUUID()}`;
  try {
    const { addresses } = source;
    if (reach !== 'addresses') await tryOn(ctx, facet, { ...reach, ...one }, probe);
    else if (addresses) await tryOn(ctx, facet, { addresses, ...one }, probe);
    return undefined;
  } catch (error) {
    ctx.signal.throwIfAborted();
    if (!isStorageError(error)) throw error;
    return error.message;
  } finally {
    await target.remove({ signal: AbortSignal.timeout(TIDY_MS) }, probe).catch(() => undefined);
  }
}

async function tryOn(
  { signal }: CallContext,
  facet: ServerCopyFacet,
  source: CopySource,
  key: string,
): Promise<void> {
  const late = AbortSignal.timeout(TRIAL_MS_MAX);
  try {
    await facet.copy({ signal: AbortSignal.any([signal, late]) }, source, key);
  } catch (error) {
    if (!late.aborted || signal.aborted) throw error;
    throw new StorageError(`there was no answer within ${TRIAL_MS_MAX / 1_000} s`, {
      kind: 'timeout',
      backend: 'target',
      operation: 'copy',
      isTransient: false,
      scope: 'object',
    });
  }
}

async function smallestOfFirstPage(
  ctx: CallContext,
  source: StorageDriver,
  prefix: string,
): Promise<ObjectInfo | undefined> {
  for await (const { objects } of source.list(ctx, { prefix })) {
    const known = objects.filter(({ version, sizeBytes }) => version !== undefined && sizeBytes > 0);
    const smallest = known.reduce<ObjectInfo | undefined>(
      (least, one) => (least && least.sizeBytes <= one.sizeBytes ? least : one),
      undefined,
    );
    if (smallest && smallest.sizeBytes <= TRIAL_BYTES_MAX) return smallest;
  }
  return undefined;
}
