/** Waiting that ends with the signal. */
import timers from 'node:timers/promises';

/** Node's timers hold 31 bits and fire at once for anything longer. */
const PAUSE_MS_MAX = 2 ** 31 - 1;

/** Waits so many milliseconds, at most 24 days; rejects with the signal's reason. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  try {
    await timers.setTimeout(Math.min(ms, PAUSE_MS_MAX), undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}
