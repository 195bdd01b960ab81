import type { Asker } from './ask.ts';
import type { Host, Output } from './output.ts';

/** What every command gets. */
export interface CommandContext {
  readonly output: Output;
  readonly env: Host['env'];
  readonly asker: () => Asker;
  /** Aborts when the user stops the command. */
  readonly signal: AbortSignal;
  readonly version: string;
}
