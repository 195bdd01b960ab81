/** Ctrl-C and SIGTERM: the first one stops the command in good order, the second one ends it at once. */
import process from 'node:process';
import { EXIT_STOPPED } from './failure.ts';

/** The promise is 3 s; what is in flight gets most of it, starting Node and writing the summary the rest. */
const GRACE_MS = 2_500;
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

export class StoppedByUser extends Error {
  constructor() {
    super('Stopped by the user');
    this.name = 'StoppedByUser';
  }
}

export interface Stopper {
  readonly signal: AbortSignal;
  dispose(): void;
}

export interface StopperOptions {
  readonly onStop: () => void;
  /** Ends the process; replaced in tests. */
  readonly exit?: (code: number) => void;
  readonly graceMs?: number;
}

export function listenForStop(options: StopperOptions): Stopper {
  const { exit = (code) => process.exit(code), graceMs = GRACE_MS } = options;
  const controller = new AbortController();
  let deadline: NodeJS.Timeout | undefined;
  const stop = (): void => {
    if (controller.signal.aborted) {
      exit(EXIT_STOPPED);
      return;
    }
    options.onStop();
    // Objects become visible only when they are complete, so ending hard loses nothing but the summary.
    deadline = setTimeout(() => exit(EXIT_STOPPED), graceMs);
    controller.abort(new StoppedByUser());
  };
  for (const name of SIGNALS) process.on(name, stop);
  return {
    signal: controller.signal,
    dispose: () => {
      clearTimeout(deadline);
      for (const name of SIGNALS) process.off(name, stop);
    },
  };
}
