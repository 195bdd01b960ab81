/** How `--memory`, a bound for the resident set of the whole process, is divided. */
import { ConfigError } from '../core/errors.ts';

const MIB = 1024 ** 2;
/**
 * What the process holds besides bytes in flight: Node with this program's modules, and per thread an isolate, its
 * heap and its connections. Measured as peak RSS less slabs over 300,000 objects (docs/performance.md).
 */
export const PROCESS_BYTES = 84 * MIB;
export const THREAD_BYTES = 26 * MIB;
const SLAB_BUDGET_MIN = 1 * MIB;
/** Parts of 8 MiB: large enough for full speed per request, small enough that several fit. */
const PART_BYTES_WANTED = 8 * MIB;
const PART_BYTES_MIN = 256 * 1024;

export interface MemoryPlan {
  /** Bytes in flight, per thread. */
  readonly slabBudgetBytes: number;
  readonly partBytes: number;
}

/** The default of `--memory`: 192 MiB at two threads and 64 MiB for each further one. */
export function defaultMemoryBytes(threads: number): number {
  return (192 + 64 * Math.max(0, threads - 2)) * MIB;
}

export function planMemory(memoryBytes: number, threads: number, partBytes: 'auto' | number): MemoryPlan {
  const least = PROCESS_BYTES + threads * (THREAD_BYTES + SLAB_BUDGET_MIN);
  if (memoryBytes < least) {
    throw new ConfigError(
      `--memory ${Math.floor(memoryBytes / MIB)}MiB is too little for ${threads} threads: they need ${Math.ceil(least / MIB)}MiB`,
      { hint: 'Raise --memory or lower --threads' },
    );
  }
  const slabBudgetBytes = Math.floor((memoryBytes - PROCESS_BYTES) / threads - THREAD_BYTES);
  if (partBytes !== 'auto') return { slabBudgetBytes, partBytes };
  // At least four parts in flight, so that reading, hashing and writing overlap.
  let fitting = PART_BYTES_WANTED;
  while (fitting > PART_BYTES_MIN && fitting * 4 > slabBudgetBytes) fitting /= 2;
  return { slabBudgetBytes, partBytes: fitting };
}
