/** How `--memory`, a bound for the resident set of the whole process, is divided. */
import { ConfigError } from '../core/errors.ts';

const MIB = 1024 ** 2;
/**
 * What the process holds besides bytes in flight: Node with this program's modules, and per thread an isolate, its heap
 * (see the pool's resourceLimits) and its connections. Measured as peak RSS of 20,000 small objects, S3 to S3, at 2
 * threads: 80 MiB before the threads start, 156 MiB in the end.
 */
const PROCESS_BYTES = 84 * MIB;
const THREAD_BYTES = 36 * MIB;
/** One part of S3's least size (5 MiB, a block of 8), and objects that fit beside none. */
const SLAB_BUDGET_MIN = 8 * MIB;
/** Large enough for full speed per request. */
const PART_BYTES_WANTED = 8 * MIB;
/**
 * In flight in every thread. A part is read and then written: where a connection gives 80 MB/s and an answer takes 20 ms,
 * two parts of 8 MiB move 67 MB/s and three of 6 MiB 96 MB/s.
 */
const PARTS_WANTED = 3;
/** What S3 takes; smaller ones only where there is no memory for two of these. */
const PART_BYTES_LEAST = 5 * MIB;
const PART_STEP_BYTES = 64 * 1024;

/**
 * Room for so many objects in work is in what a thread holds anyway: with two threads, 4,000 small objects a second where a
 * request takes 20 ms. Each further one has its connections (0.1 MiB without TLS); an eighth goes to them of what a thread
 * has for bytes in flight above what fills any line.
 */
const OBJECTS_ANYWAY = 96;
const OBJECTS_MOST = 512;
const OBJECT_BYTES = 256 * 1024;
const SLAB_BUDGET_ENOUGH = 96 * MIB;
const OBJECTS_SHARE = 1 / 8;

export interface MemoryPlan {
  /** Bytes in flight, per thread. */
  readonly slabBudgetBytes: number;
  readonly partBytes: number;
  /** Objects that one thread may work on at once, and requests to one side that it may have in flight. */
  readonly objectsMax: number;
}

export interface MemoryInput {
  readonly memoryBytes: number;
  readonly threads: number;
  readonly partBytes: 'auto' | number;
  /** Resident set of this process before its threads start. */
  readonly residentBytes: number;
  /** Of the drivers of both sides; some cost a thread more. */
  readonly kinds?: readonly string[];
}

/**
 * What one side takes in every thread beside S3's: pages of XML or JSON as text, and Google's library for tokens. Peak RSS of
 * 50,000 small objects at 2 threads was 174 to 187 MiB to S3, 180 to 205 to Azure (179 to 193 with this), 189 to 204 to Cloud
 * Storage, where it does not help small objects.
 */
const SIDE_BYTES: Readonly<Record<string, number>> = { azure: 8 * MIB, gcs: 8 * MIB };

/** The default of `--memory`: 192 MiB at two threads and 64 MiB for each further one. */
export function defaultMemoryBytes(threads: number): number {
  return (192 + 64 * Math.max(0, threads - 2)) * MIB;
}

/** @throws ConfigError where that many threads cannot work in that little memory. */
export function planMemory({
  memoryBytes,
  threads,
  partBytes,
  residentBytes,
  kinds = [],
}: MemoryInput): MemoryPlan {
  const least = PROCESS_BYTES + threads * (THREAD_BYTES + SLAB_BUDGET_MIN);
  if (memoryBytes < least) {
    throw new ConfigError(
      `--memory ${Math.floor(memoryBytes / MIB)}MiB is too little for ${threads} threads: they need ${Math.ceil(least / MIB)}MiB`,
      { hint: 'Raise --memory or lower --threads' },
    );
  }
  // What is resident already counts as it is: a first run from sources, which strips types, holds 30 MiB more.
  const shared = Math.max(PROCESS_BYTES, residentBytes);
  const sideBytes = Math.max(0, ...kinds.map((kind) => SIDE_BYTES[kind] ?? 0));
  const share = Math.floor((memoryBytes - shared) / threads) - THREAD_BYTES - sideBytes;
  const forObjects = OBJECTS_SHARE * Math.max(0, share - SLAB_BUDGET_ENOUGH);
  const more = Math.min(OBJECTS_MOST - OBJECTS_ANYWAY, Math.floor(forObjects / OBJECT_BYTES));
  const objectsMax = OBJECTS_ANYWAY + more;
  const slabBudgetBytes = Math.max(SLAB_BUDGET_MIN, share - more * OBJECT_BYTES);
  if (partBytes !== 'auto') return { slabBudgetBytes, partBytes, objectsMax };
  return { slabBudgetBytes, partBytes: partBytesFor(slabBudgetBytes), objectsMax };
}

function partBytesFor(slabBudgetBytes: number): number {
  const least = Math.min(PART_BYTES_LEAST, slabBudgetBytes / 2);
  const fitting = Math.max(least, Math.min(PART_BYTES_WANTED, slabBudgetBytes / PARTS_WANTED));
  return Math.floor(fitting / PART_STEP_BYTES) * PART_STEP_BYTES;
}
