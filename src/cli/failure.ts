/** How an error that ended a command is told, and the exit code it becomes. */
import { inspect } from 'node:util';
import { BlobferryError, ConfigError, IntegrityError, StorageError } from '../core/errors.ts';

export const EXIT_INCOMPLETE = 1;
export const EXIT_USAGE = 2;
export const EXIT_STOPPED = 130;

/**
 * A command throws only before anything moved or was compared; later failures are in its summary. So a storage that
 * cannot be used at all is the operator's to mend, like a wrong setting.
 */
export function exitCodeOfFailure(error: unknown): 1 | 2 | 3 {
  if (error instanceof ConfigError || error instanceof StorageError) return EXIT_USAGE;
  if (error instanceof IntegrityError) return 3;
  return 1;
}

export interface ToldFailure {
  readonly message: string;
  readonly hint?: string;
}

/** One sentence and what to do about it. */
export function tellFailure(error: unknown): ToldFailure {
  if (error instanceof BlobferryError) {
    return { message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) };
  }
  const message = error instanceof Error ? error.message : String(error);
  return {
    message: `This should not have happened: ${message}`,
    hint: 'It is a mistake in blobferry; run again with BLOBFERRY_DEBUG=1 to see where it is',
  };
}

/** Lines for stderr; the stack, with all causes, only where somebody asked for it. */
export function failureText(error: unknown, isDebugging: boolean): string {
  const { message, hint } = tellFailure(error);
  const lines = [`blobferry: ${message}`];
  if (hint !== undefined) lines.push(`  ${capitalized(hint)}`);
  if (isDebugging) lines.push(inspect(error));
  return lines.join('\n');
}

/** Hints are clauses to whoever wrote them and a line of their own here. */
export function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
