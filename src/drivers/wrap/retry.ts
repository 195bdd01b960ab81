/**
 * The one owner of retries. A driver never retries; what is retried here is one request with its whole body, which is
 * why bodies can be opened again. Waits grow from 0.2 s to 20 s, the half of each by chance, and Retry-After wins. All
 * retries of a thread and backend together have a budget, and while a backend does not answer at all its calls wait.
 */
import type { Operation } from '../../core/counters.ts';
import { StorageError } from '../../core/errors.ts';
import { pause } from '../../transport/pause.ts';
import type { CallContext, StorageDriver } from '../driver.ts';
import { Denials } from './denials.ts';
import { type BackendNews, OutageGate } from './outage-gate.ts';
import { retriedDriver } from './retried-driver.ts';
import { RetryBudget } from './retry-budget.ts';
import { isSilence, shortReason } from './silence.ts';

export interface RetryPolicy {
  /** Attempts in all, the first included; those that meet an outage do not count. */
  readonly attemptsMax: number;
  readonly delayMsMin: number;
  readonly delayMsMax: number;
  /** A backend that does not answer is waited for so long; absent: its calls fail after their attempts. */
  readonly outageMsMax?: number;
  /** 0 ≤ value < 1. */
  readonly random: () => number;
}

export const DEFAULT_RETRIES: RetryPolicy = {
  attemptsMax: 8,
  delayMsMin: 200,
  delayMsMax: 20_000,
  random: Math.random,
};

/** A longer Retry-After is not waited for where no other limit is given. */
const RETRY_AFTER_MS_MAX = 10 * 60_000;

export type OnRetry = (operation: Operation, error: StorageError) => void;

export interface RetryListener {
  readonly onRetry: OnRetry;
  readonly onBackend?: (news: BackendNews) => void;
  /** What is asked whether the backend is there; default: the driver itself. Its calls must not wait for permits. */
  readonly probe?: StorageDriver;
}

/** A driver whose requests are repeated while the failure may pass. */
export function withRetries(driver: StorageDriver, policy: RetryPolicy, onRetry: OnRetry): StorageDriver {
  return new RetryOwner(driver, policy, { onRetry }).driver;
}

/** What one call has used up of its patience. */
interface Attempts {
  failed: number;
  outages: number;
  stale: number;
}

/** Owns the retries of one thread for one side. */
export class RetryOwner {
  /** What it was given, with retries. */
  readonly driver: StorageDriver;
  readonly #policy: RetryPolicy;
  readonly #onRetry: OnRetry;
  readonly #budget = new RetryBudget();
  readonly #denials = new Denials();
  readonly #gate: OutageGate;

  constructor(driver: StorageDriver, policy: RetryPolicy, { onRetry, onBackend, probe }: RetryListener) {
    this.#policy = policy;
    this.#onRetry = onRetry;
    this.#gate = new OutageGate({
      driver: probe ?? driver,
      limitMs: policy.outageMsMax,
      onNews: onBackend ?? (() => undefined),
      random: policy.random,
    });
    this.driver = retriedDriver(driver, (ctx, operation, attempt) => this.#run(ctx, operation, attempt));
  }

  async #run<T>(
    ctx: CallContext,
    operation: Operation,
    attempt: (isLast: boolean) => Promise<T>,
  ): Promise<T> {
    const attempts: Attempts = { failed: 0, outages: 0, stale: 0 };
    for (;;) {
      if (!this.#gate.isOpen) await this.#gate.pass(ctx.signal);
      try {
        const result = await attempt(attempts.failed + 1 >= this.#policy.attemptsMax);
        this.#gate.answered();
        this.#budget.earn();
        this.#denials.succeeded(operation);
        return result;
      } catch (error) {
        // A cancelled call must not be started again.
        if (ctx.signal.aborted) throw ctx.signal.reason;
        if (!(error instanceof StorageError)) throw error;
        const failure = this.#judged(operation, error);
        if (!failure.details.isTransient) throw failure;
        await this.#beforeNext(ctx, attempts, failure);
        this.#onRetry(operation, failure);
        ctx.onRetry?.(failure);
      }
    }
  }

  /** Notes what the failure says of the backend. @returns the failure, or the larger one that it is a part of. */
  #judged(operation: Operation, error: StorageError): StorageError {
    const { kind, scope, status, isTransient, retryAfterMs = 0 } = error.details;
    if (isSilence(error)) this.#gate.silent(error);
    else if (status !== undefined) this.#gate.answered();
    // Whatever may not be copied inside the service is streamed, so no object fails for it.
    const isFatal = operation !== 'copy';
    if (kind === 'denied' && scope === 'object' && isFatal) return this.#denials.denied(operation, error);
    const limitMs = this.#policy.outageMsMax ?? RETRY_AFTER_MS_MAX;
    return isTransient && retryAfterMs > limitMs ? asksForTooLong(error, retryAfterMs, limitMs) : error;
  }

  /** Waits until the next attempt may begin. @throws the failure when there is none. */
  async #beforeNext(ctx: CallContext, attempts: Attempts, failure: StorageError): Promise<void> {
    const { attemptsMax } = this.#policy;
    if (!this.#gate.isOpen && (await this.#gate.pass(ctx.signal))) {
      // An object that brings the server down each time it is asked for must have an end, too.
      attempts.outages += 1;
      if (attempts.outages < attemptsMax) return;
    }
    attempts.failed += 1;
    if (attempts.failed >= attemptsMax) throw failure;
    if (failure.details.backendCode === 'wire-stale') {
      // A kept connection that the server had closed tells nothing about the server: the next one starts at once.
      attempts.stale += 1;
      if (attempts.stale === 1) return;
    }
    const delayMs = delayOf(this.#policy, attempts.failed, failure.details.retryAfterMs);
    await pause(Math.max(delayMs, this.#budget.spend()), ctx.signal);
  }
}

function delayOf(policy: RetryPolicy, count: number, retryAfterMs = 0): number {
  const ceiling = Math.min(policy.delayMsMax, policy.delayMsMin * 2 ** (count - 1));
  return Math.max(retryAfterMs, ceiling * (0.5 + policy.random() / 2));
}

/** Every further request would be answered like this one, so it ends the run. */
function asksForTooLong(error: StorageError, retryAfterMs: number, limitMs: number): StorageError {
  const { details } = error;
  return new StorageError(
    `${details.backend} asks to be left alone for ${seconds(retryAfterMs)}, longer than the ${seconds(limitMs)} that are waited: ${shortReason(error)}`,
    { ...details, isTransient: false, scope: 'backend' },
    { cause: error, hint: 'Run again after that time, or with a longer --outage-limit' },
  );
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000).toLocaleString('en-US')} s`;
}
