/** What is so when a step behind the point of no return failed: the first sentence that is told, after a look. */
import type { Progress } from '../saga/progress.ts';
import { lookAtReplicas } from './look-at-replicas.ts';
import type { MsrConnection } from './msr-connection.ts';
import { isMsrError } from './msr-error.ts';
import type { ReadOnlyEvidence } from './read-only-evidence.ts';

/** Looks first: what should be so is not always what is. */
export async function stuckNow(msr: MsrConnection, progress: Progress, signal: AbortSignal): Promise<string> {
  try {
    const { evidence } = await lookAtReplicas(msr, signal);
    return stuckText(progress, evidence.is);
  } catch (error) {
    if (isMsrError(error)) return stuckText(progress, 'unknown');
    throw error;
  }
}

function stuckText(progress: Progress, seen: ReadOnlyEvidence['is']): string {
  const state = (step: string): string => progress.of(step).state;
  if (state('writable') === 'done') {
    return 'The registry works on its new storage and takes writes; what comes after that failed';
  }
  if (state('writable') === 'begun') return writableText(seen);
  if (seen === 'writable') {
    return 'The registry TAKES WRITES, and should not yet: make it read-only before anybody pushes to it';
  }
  if (state('destroy') !== 'fresh' && state('restore') !== 'done') {
    return seen === 'read-only'
      ? 'The registry is still read-only, and not shown to be restored; the old storage is untouched'
      : 'The registry is still read-only or does not run at all: its replicas are destroyed, and not restored yet; the old storage is untouched';
  }
  return seen === 'read-only'
    ? 'The registry is still read-only, and the old storage is untouched'
    : 'The registry was read-only and nothing was done to end that, but whether it still is cannot be seen now; the old storage is untouched';
}

function writableText(seen: ReadOnlyEvidence['is']): string {
  if (seen === 'read-only') return 'The registry is still read-only, on its new storage';
  if (seen === 'writable') return 'The registry takes writes on its new storage already';
  return 'The registry may take writes on its new storage already: whether it still is read-only is not known';
}
