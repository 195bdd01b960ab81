/** Keeps this thread's heap from growing: without a limit V8 lets garbage pile up as long as the machine has room. */
import v8 from 'node:v8';

/**
 * To be called before anything large is loaded: modules survive, and make the young generation of this thread grow to
 * 20 MiB, which is never given back (seen with Google's library). Worker threads, which have limits of their own, begin at
 * theirs instead of growing to it, as they would not grow either.
 */
export function keepYoungGenerationSmall(): void {
  // Read at each collection, so it holds although the heap exists already.
  v8.setFlagsFromString('--semi-space-growth-factor=1');
  // In MiB, read when a heap is made: those of the threads, 3 of which are the 6 MiB of the pool.
  v8.setFlagsFromString('--min-semi-space-size=2');
}

/**
 * For commands that work on this thread: the old generation grows by 30 % between collections. Measured with a deep
 * verification of 150,000 links, together with the above: peak resident set 131 instead of 239 MB, for a quarter more CPU
 * time.
 */
export function keepHeapSmall(): void {
  v8.setFlagsFromString('--heap-growing-percent=30');
}
