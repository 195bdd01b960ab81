/** What is so when a step behind the point of no return failed: the first sentence that is told. */
import type { Progress } from '../saga/progress.ts';

export function stuckText(progress: Progress): string {
  const state = (step: string): string => progress.of(step).state;
  if (state('writable') === 'done') {
    return 'The registry works on its new storage and takes writes; what comes after that failed';
  }
  if (state('writable') === 'begun') {
    return 'The registry may take writes on its new storage already: whether it still is read-only is not known';
  }
  if (state('destroy') !== 'fresh' && state('restore') !== 'done') {
    return 'The registry is still read-only or does not run at all: its replicas are destroyed, and not restored yet; the old storage is untouched';
  }
  return 'The registry is still read-only, and the old storage is untouched';
}
