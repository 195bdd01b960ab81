/**
 * Waits for the promise, but no longer than until the signal; rejects with the signal's reason then. What the promise
 * was doing goes on unheard, so it must not be something that still uses the caller's memory.
 */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  // Where the signal was first nobody else hears of it, and a rejection nobody hears of ends the process.
  promise.catch(() => undefined);
  signal.throwIfAborted();
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** The same items, waiting for each no longer than until the signal; rejects with the signal's reason then. */
export async function* untilAborted<T>(items: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = items[Symbol.asyncIterator]();
  try {
    for (;;) {
      const step = await orAborted(iterator.next(), signal);
      if (step.done) return;
      yield step.value;
    }
  } finally {
    const closing = Promise.resolve(iterator.return?.());
    // One that stalls cannot be closed before it goes on, and nobody hears of it then.
    if (signal.aborted) closing.catch(() => undefined);
    else await closing;
  }
}
