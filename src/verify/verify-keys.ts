/**
 * Reads single objects of the target back, by name and without a listing, and compares each with its digest, with what
 * was noted when it was written, or with the source: the check of what a pass has written.
 */
import type { Side } from '../core/counters.ts';
import { parseDigest } from '../core/digest.ts';
import { isStorageError, toErrorRecord } from '../core/errors.ts';
import type { StorageDriver } from '../drivers/driver.ts';
import { DEFAULT_RETRIES, type RetryPolicy, withRetries } from '../drivers/wrap/retry.ts';
import type { DigestIndex } from '../layout/digests/digest-index.ts';
import { RowsAlong } from '../layout/digests/rows-along.ts';
import type { Classified, Layout } from '../layout/layout.ts';
import { blobIdIn } from '../layout/msr.ts';
import { BufferPool, largeBuffersFor } from './buffers.ts';
import { type CheckOptions, checkPair, onSide, type PairToCheck, SideError } from './check-pair.ts';
import { LookAhead } from './look-ahead.ts';
import { hashObject } from './read-object.ts';
import { withRowDigest } from './row-check.ts';
import type { VerifyException, VerifySummary } from './summary.ts';
import { Tally, type VerifyProgress } from './tally.ts';

const DEFAULT_CONCURRENCY = 16;
const DEFAULT_MEMORY_BYTES = 192 * 1024 * 1024;
const LOOK_AHEAD_PER_CHECK = 4;
const PROGRESS_EVERY_MS = 200;

/** What is known of an object that was written. */
export interface KeyToVerify {
  /** Logical path. */
  readonly key: string;
  /** Of the source when it was written. */
  readonly sizeBytes: number;
  /** Of the bytes that were read from the source; lower-case hex. */
  readonly sha256?: string;
  /** The target was read and had this sha256 since it was written last: only the metadata's word is still lacking. */
  readonly isSeen?: boolean;
}

/**
 * - `right`; `gone`: neither side has it any more.
 * - `pending`: equal to the source, and no row says what a blob of its id must hash to.
 * - `unsettled`: a live source has changed or lost it since.
 */
export type KeyOutcome =
  | { readonly is: 'right' | 'gone' | 'pending'; readonly key: KeyToVerify }
  | { readonly is: 'wrong' | 'unsettled'; readonly key: KeyToVerify; readonly exception: VerifyException };

export interface VerifyKeysOptions {
  readonly source: StorageDriver;
  readonly target: StorageDriver;
  readonly sourcePrefix: string;
  readonly targetPrefix: string;
  readonly layout: Layout;
  /** In ascending order of keys, each once. */
  readonly keys: AsyncIterable<readonly KeyToVerify[]>;
  readonly digests?: DigestIndex;
  /** The source may change: what differs because of that is unsettled. */
  readonly isLive: boolean;
  readonly signal: AbortSignal;
  readonly concurrency?: number;
  readonly memoryBytes?: number;
  readonly retries?: RetryPolicy;
  /** Told of each key once, in any order. */
  readonly onKey: (outcome: KeyOutcome) => void;
  readonly onProgress?: (progress: VerifyProgress) => void;
}

/** Never rejects for an object's sake; a run that ended early says so in its summary, and why. */
export async function runVerifyKeys(options: VerifyKeysOptions): Promise<VerifySummary> {
  return await new KeysRun(options).toEnd();
}

class KeysRun {
  readonly #options: VerifyKeysOptions;
  readonly #tally: Tally;
  readonly #check: CheckOptions;
  readonly #stop = new AbortController();
  readonly #lookAhead: LookAhead;
  readonly #rows: RowsAlong | undefined;
  readonly #startedMs = performance.now();
  #progressMs = 0;

  constructor(options: VerifyKeysOptions) {
    const { source, target, layout, digests, concurrency = DEFAULT_CONCURRENCY } = options;
    this.#options = options;
    const head = { source: source.name, target: target.name, layout, isDeep: true, allowsExtra: true };
    this.#tally = new Tally(head, () => undefined);
    this.#rows = digests && new RowsAlong(digests);
    this.#check = {
      source: this.#retrying(source),
      target: this.#retrying(target),
      isDeep: true,
      buffers: new BufferPool(largeBuffersFor(options.memoryBytes ?? DEFAULT_MEMORY_BYTES, concurrency)),
      signal: AbortSignal.any([options.signal, this.#stop.signal]),
      onBytes: (count) => {
        this.#tally.bytesRead += count;
        this.#tick();
      },
    };
    this.#lookAhead = new LookAhead({ concurrency, inHandMax: concurrency * LOOK_AHEAD_PER_CHECK });
  }

  async toEnd(): Promise<VerifySummary> {
    let failure: { readonly error: unknown } | undefined;
    try {
      await this.#checkAll();
    } catch (error) {
      failure = { error };
      this.#stop.abort(error);
      await this.#lookAhead.settle();
    }
    const isStopped = this.#options.signal.aborted;
    this.#options.onProgress?.(this.#tally.progress());
    return this.#tally.summary({
      isComplete: failure === undefined,
      isStopped: failure !== undefined && isStopped,
      seconds: (performance.now() - this.#startedMs) / 1000,
      ...(failure === undefined || isStopped ? {} : { stoppedBy: toErrorRecord(failure.error) }),
    });
  }

  async #checkAll(): Promise<void> {
    this.#check.signal.throwIfAborted();
    for await (const batch of this.#options.keys) {
      for (const key of batch) {
        this.#tally.path = key.key;
        const row = blobIdIn(key.key) === undefined ? undefined : await this.#rows?.find(key.key);
        await this.#lookAhead.add(() => this.#settle(key, row?.sha256));
      }
    }
    await this.#lookAhead.finish();
  }

  #retrying(driver: StorageDriver): StorageDriver {
    return withRetries(driver, this.#options.retries ?? DEFAULT_RETRIES, () => {
      this.#tally.retries += 1;
    });
  }

  async #settle(key: KeyToVerify, row: string | undefined): Promise<void> {
    const { layout, onKey } = this.#options;
    const classified = withRowDigest(layout.classify(key.key), row);
    const outcome = await this.#outcome(key, classified);
    if ('exception' in outcome) this.#tally.problem(outcome.exception, key.sizeBytes);
    else if (outcome.is !== 'gone') {
      const ground = classified.contentDigest || classified.linkDigest ? 'digest' : 'content';
      this.#tally.match(ground, classified.objectClass, key.sizeBytes);
    }
    onKey(outcome);
    this.#tick();
  }

  async #outcome(key: KeyToVerify, classified: Classified): Promise<KeyOutcome> {
    const isPending = classified.contentDigest === undefined && blobIdIn(key.key) !== undefined;
    if (key.isSeen && key.sha256 !== undefined && blobIdIn(key.key) !== undefined) {
      if (isPending) return { is: 'pending', key };
      if (classified.contentDigest?.hex === key.sha256) return { is: 'right', key };
    } else if (classified.contentDigest === undefined && classified.linkDigest === undefined) {
      const sha256 = await this.#shaIfAsNoted(key, classified);
      if (sha256 !== undefined)
        return isPending ? { is: 'pending', key: { ...key, isSeen: true } } : { is: 'right', key };
    }
    const { pair, verdict } = await checkPair(this.#pair(key, classified), this.#check);
    if ('exception' in verdict) return this.#judged(key, pair, verdict.exception);
    if (!isPending) return { is: 'right', key };
    const { sha256: _noted, isSeen: _seen, ...unseen } = key;
    return { is: 'pending', key: unseen };
  }

  /** Does the target hold what was read from the source? Where it does not, the source is asked what it holds now. */
  async #shaIfAsNoted(key: KeyToVerify, { isLink }: Classified): Promise<string | undefined> {
    if (key.sha256 === undefined) return undefined;
    const { target } = this.#check;
    const targetKey = this.#options.targetPrefix + key.key;
    const request = {
      driver: target,
      key: targetKey,
      listedBytes: key.sizeBytes,
      algorithm: 'sha256',
    } as const;
    try {
      const read = await onSide('target', this.#check.signal, () => hashObject(request, this.#check));
      if (read.hex !== key.sha256) return undefined;
      // Equal bytes are no match where they are a link that names nothing.
      if (isLink && parseDigest(read.content?.toString('latin1') ?? '') === undefined) return undefined;
      return read.hex;
    } catch (error) {
      if (error instanceof SideError) return undefined;
      throw error;
    }
  }

  #pair({ key, sizeBytes }: KeyToVerify, classified: Classified): PairToCheck {
    const side = (prefix: string) => ({ path: key, info: { key: prefix + key, sizeBytes } });
    const { sourcePrefix, targetPrefix } = this.#options;
    return { path: key, source: side(sourcePrefix), target: side(targetPrefix), classified };
  }

  async #judged(key: KeyToVerify, pair: PairToCheck, exception: VerifyException): Promise<KeyOutcome> {
    const { problem } = exception;
    const isGone = {
      source:
        (isNotThere(exception, 'source') || problem === 'missing') && (await this.#isAbsent('source', pair)),
      target: problem === 'missing',
    };
    if (isGone.source && (isGone.target || (await this.#isAbsent('target', pair))))
      return { is: 'gone', key };
    const { isLive } = this.#options;
    const mayChange = !pair.classified.isImmutable || isGone.source || isGone.target;
    // One that was changed is copied by the next pass, and one that is missing was noted and never written.
    const isUnsettled = isLive && mayChange && problem !== 'damaged';
    return { is: isUnsettled ? 'unsettled' : 'wrong', key, exception };
  }

  async #isAbsent(side: Side, pair: PairToCheck): Promise<boolean> {
    const { signal } = this.#check;
    try {
      await onSide(side, signal, () => this.#check[side].stat({ signal }, pair[side].info.key));
      return false;
    } catch (failure) {
      if (failure instanceof SideError) return isStorageError(failure.error, 'not-found');
      throw failure;
    }
  }

  #tick(): void {
    if (this.#options.onProgress === undefined) return;
    const now = performance.now();
    if (now - this.#progressMs < PROGRESS_EVERY_MS) return;
    this.#progressMs = now;
    this.#options.onProgress(this.#tally.progress());
  }
}

function isNotThere({ problem, side, error }: VerifyException, of: Side): boolean {
  return problem === 'unreadable' && side === of && error?.storage?.kind === 'not-found';
}
