/** Repeats of a failed storage call. Drivers never retry by themselves, and here nothing above does either. */
import { setTimeout as sleep } from 'node:timers/promises';
import { StorageError } from '../core/errors.ts';

export interface Patience {
  /** Calls in all, the first one included. */
  readonly attemptsMax: number;
  readonly delayMsMin: number;
  readonly delayMsMax: number;
}

/** About a minute in all: longer than a server's restart, shorter than an operator's patience. */
export const DEFAULT_PATIENCE: Patience = { attemptsMax: 8, delayMsMin: 250, delayMsMax: 20_000 };

export function isTransient(error: unknown): error is StorageError {
  return error instanceof StorageError && error.details.isTransient;
}

/** Waits before the next attempt: exponential with full jitter in its upper half, or as long as the server asked. */
export async function waitBeforeAttempt(
  attempt: number,
  error: StorageError,
  patience: Patience,
  signal: AbortSignal,
): Promise<void> {
  const cap = Math.min(patience.delayMsMax, patience.delayMsMin * 2 ** (attempt - 1));
  const jittered = cap / 2 + Math.random() * (cap / 2);
  const asked = Math.min(error.details.retryAfterMs ?? 0, patience.delayMsMax);
  await sleep(Math.max(jittered, asked), undefined, { signal }).catch(() => signal.throwIfAborted());
}

export async function patiently<T>(
  call: () => Promise<T>,
  patience: Patience,
  signal: AbortSignal,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    signal.throwIfAborted();
    try {
      return await call();
    } catch (error) {
      signal.throwIfAborted();
      if (!isTransient(error) || attempt >= patience.attemptsMax) throw error;
      await waitBeforeAttempt(attempt, error, patience, signal);
    }
  }
}
