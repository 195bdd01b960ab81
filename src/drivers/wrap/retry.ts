/**
 * The one owner of retries. A driver never retries; what is retried here is one request with its whole body, which is
 * why bodies can be opened again. Waits grow from 0.2 s to 20 s, the half of each by chance, and Retry-After wins.
 */
import { compareUtf8 } from '../../core/byte-order.ts';
import type { Operation } from '../../core/counters.ts';
import { StorageError } from '../../core/errors.ts';
import { pause } from '../../transport/pause.ts';
import type { CallContext, ListPage, ListQuery, MultipartFacet, StorageDriver } from '../driver.ts';

export interface RetryPolicy {
  /** Attempts in all, the first included. */
  readonly attemptsMax: number;
  readonly delayMsMin: number;
  readonly delayMsMax: number;
  /** 0 ≤ value < 1. */
  readonly random: () => number;
}

export const DEFAULT_RETRIES: RetryPolicy = {
  attemptsMax: 8,
  delayMsMin: 200,
  delayMsMax: 20_000,
  random: Math.random,
};

export type OnRetry = (operation: Operation, error: StorageError) => void;

export async function retried<T>(
  ctx: CallContext,
  policy: RetryPolicy,
  onRetry: (error: StorageError) => void,
  attempt: () => Promise<T>,
): Promise<T> {
  for (let count = 1; ; count += 1) {
    try {
      return await attempt();
    } catch (error) {
      // A cancelled call must not be started again.
      if (ctx.signal.aborted) throw ctx.signal.reason;
      if (!(error instanceof StorageError) || !error.details.isTransient || count >= policy.attemptsMax)
        throw error;
      onRetry(error);
      // A kept connection that the server had closed tells nothing about the server: the next one starts at once.
      if (error.details.backendCode !== 'wire-stale')
        await pause(delayOf(policy, count, error.details.retryAfterMs), ctx.signal);
    }
  }
}

function delayOf(policy: RetryPolicy, count: number, retryAfterMs = 0): number {
  const ceiling = Math.min(policy.delayMsMax, policy.delayMsMin * 2 ** (count - 1));
  return Math.max(retryAfterMs, ceiling * (0.5 + policy.random() / 2));
}

/** A driver whose requests are repeated while the failure may pass. */
export function withRetries(driver: StorageDriver, policy: RetryPolicy, onRetry: OnRetry): StorageDriver {
  const run = <T>(ctx: CallContext, operation: Operation, attempt: () => Promise<T>): Promise<T> =>
    retried(ctx, policy, (error) => onRetry(operation, error), attempt);
  const { multipart, binding } = driver;
  return {
    kind: driver.kind,
    name: driver.name,
    facts: driver.facts,
    ...(binding
      ? { binding: { probe: (ctx, prefix) => run(ctx, 'write', () => binding.probe(ctx, prefix)) } }
      : {}),
    // Upload sends its parts itself and cannot be repeated from outside without reading the source again.
    ...(driver.streamUpload ? { streamUpload: driver.streamUpload } : {}),
    ...(multipart ? { multipart: retriedMultipart(multipart, run) } : {}),
    list: (ctx, query) => retriedList(driver, ctx, query, policy, onRetry),
    stat: (ctx, key) => run(ctx, 'stat', () => driver.stat(ctx, key)),
    read: (ctx, key, into, options) => run(ctx, 'read', () => driver.read(ctx, key, into, options)),
    write: (ctx, key, body, options) => run(ctx, 'write', () => driver.write(ctx, key, body, options)),
    remove: (ctx, key) => run(ctx, 'remove', () => driver.remove(ctx, key)),
    flush: (ctx) => run(ctx, 'flush', () => driver.flush(ctx)),
    close: () => driver.close(),
  };
}

type Run = <T>(ctx: CallContext, operation: Operation, attempt: () => Promise<T>) => Promise<T>;

function retriedMultipart(multipart: MultipartFacet, run: Run): MultipartFacet {
  return {
    partBytesMin: multipart.partBytesMin,
    partBytesMax: multipart.partBytesMax,
    partsMax: multipart.partsMax,
    partChecksum: multipart.partChecksum,
    begin: (ctx, key) => run(ctx, 'begin', () => multipart.begin(ctx, key)),
    putPart: (ctx, upload, part) => run(ctx, 'part', () => multipart.putPart(ctx, upload, part)),
    complete: (ctx, upload, parts, options) =>
      run(ctx, 'complete', () => multipart.complete(ctx, upload, parts, options)),
    abort: (ctx, upload) => run(ctx, 'abort', () => multipart.abort(ctx, upload)),
    listParts: (ctx, upload) => run(ctx, 'list', () => multipart.listParts(ctx, upload)),
    listUploads: (ctx, prefix) => run(ctx, 'list', () => multipart.listUploads(ctx, prefix)),
  };
}

/**
 * A listing that breaks goes on behind the last key it gave, so that no key comes twice and none is left out. One that
 * is not sorted, by its word or as it shows, begins anew instead: its keys come twice, but what lies "behind the last
 * key" of it is not what is missing. Common prefixes may come twice.
 */
async function* retriedList(
  driver: StorageDriver,
  ctx: CallContext,
  query: ListQuery,
  policy: RetryPolicy,
  onRetry: OnRetry,
): AsyncGenerator<ListPage> {
  let isSorted = driver.facts.listOrder === 'bytes';
  let last = query.after;
  let breaks = 0;
  const { onUnlistable } = query;
  // What may pass is asked for again first; the last attempt goes on without whatever it cannot list.
  const patient: ListQuery = onUnlistable
    ? {
        ...query,
        onUnlistable: (name, error) =>
          (!error.details.isTransient || breaks + 1 >= policy.attemptsMax) && onUnlistable(name, error),
      }
    : query;
  let pages = driver.list(ctx, patient)[Symbol.asyncIterator]();
  let isBroken = false;
  const attempt = (): Promise<IteratorResult<ListPage>> => {
    if (isBroken) {
      const after = isSorted ? last : query.after;
      pages = driver.list(ctx, after === undefined ? patient : { ...patient, after })[Symbol.asyncIterator]();
    }
    isBroken = false;
    return pages.next();
  };
  const onBreak = (error: StorageError): void => {
    isBroken = true;
    breaks += 1;
    onRetry('list', error);
  };
  try {
    for (;;) {
      const step = await retried(ctx, policy, onBreak, attempt);
      breaks = 0;
      if (step.done) return;
      for (const { key } of step.value.objects) {
        isSorted &&= last === undefined || compareUtf8(last, key) < 0;
        last = key;
      }
      yield step.value;
    }
  } finally {
    // A caller that stops early must not leave an open folder behind.
    await pages.return?.();
  }
}
