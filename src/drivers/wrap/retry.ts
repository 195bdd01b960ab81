/**
 * The one owner of retries. A driver never retries; what is retried here is one request with its whole body, which is
 * why bodies can be opened again. Waits grow from 0.2 s to 20 s with full jitter, and Retry-After wins.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Operation } from '../../core/counters.ts';
import { StorageError } from '../../core/errors.ts';
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
      if (error.details.backendCode !== 'wire-stale') await pause(ctx, policy, count, error);
    }
  }
}

function pause(ctx: CallContext, policy: RetryPolicy, count: number, error: StorageError): Promise<void> {
  const ceiling = Math.min(policy.delayMsMax, policy.delayMsMin * 2 ** (count - 1));
  const delay = Math.max(error.details.retryAfterMs ?? 0, ceiling * (0.5 + policy.random() / 2));
  return sleep(delay, undefined, { signal: ctx.signal }).catch(() => {
    throw ctx.signal.reason;
  });
}

/** A driver whose requests are repeated while the failure may pass. */
export function withRetries(driver: StorageDriver, policy: RetryPolicy, onRetry: OnRetry): StorageDriver {
  const run = <T>(ctx: CallContext, operation: Operation, attempt: () => Promise<T>): Promise<T> =>
    retried(ctx, policy, (error) => onRetry(operation, error), attempt);
  const { multipart } = driver;
  return {
    kind: driver.kind,
    name: driver.name,
    facts: driver.facts,
    ...(driver.binding ? { binding: driver.binding } : {}),
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
 * A listing that breaks goes on behind the last key it gave, so that no key comes twice and none is left out. Common
 * prefixes may come twice.
 */
async function* retriedList(
  driver: StorageDriver,
  ctx: CallContext,
  query: ListQuery,
  policy: RetryPolicy,
  onRetry: OnRetry,
): AsyncGenerator<ListPage> {
  let after = query.after;
  let isBroken = false;
  const begin = () =>
    driver.list(ctx, after === undefined ? query : { ...query, after })[Symbol.asyncIterator]();
  const onBroken = (error: StorageError) => {
    isBroken = true;
    onRetry('list', error);
  };
  let pages = begin();
  try {
    for (;;) {
      const step = await retried(ctx, policy, onBroken, () => {
        if (isBroken) pages = begin();
        isBroken = false;
        return pages.next();
      });
      if (step.done) return;
      after = step.value.objects.at(-1)?.key ?? after;
      yield step.value;
    }
  } finally {
    // A caller that stops early must not leave the driver's listing open.
    await pages.return?.();
  }
}
