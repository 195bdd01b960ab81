/** How long a copy may take, from what a sample of it took to read. Pure. */

/** Reading a group of objects of the sample, as many at once as a copy's thread does. */
export interface GroupMeasure {
  readonly objects: number;
  readonly bytes: number;
  readonly seconds: number;
}

/** Small objects cost by number, large ones by bytes, so they are measured and reckoned apart. */
export interface SampleResult {
  readonly small: GroupMeasure;
  readonly large: GroupMeasure;
  /** Share of the time in which this thread was at work and not waiting, 0 to 1. */
  readonly busyShare: number;
  /** Objects that could not be read; a copy would meet the same. */
  readonly unreadable: readonly { readonly path: string; readonly why: string }[];
  /** Objects that were gone when their turn came. */
  readonly vanished: number;
}

/** Up to this size an object belongs to the small ones: latency and work per request weigh more than its bytes. */
export const SMALL_BYTES_MAX = 256 * 1024;

/** What is to be copied, by the same border. */
export interface WorkToDo {
  readonly smallObjects: number;
  readonly largeBytes: number;
}

export interface EstimateInput {
  readonly work: WorkToDo;
  readonly sample: SampleResult;
  readonly listSeconds: number;
  readonly threads: number;
}

/** Seconds from start to end of a copy. */
export interface Expected {
  /** Were writing free: listing and reading overlap, the longer one counts. */
  readonly secondsLeast: number;
  /** Were writing as slow as reading, and nothing overlapped. */
  readonly secondsMost: number;
}

/** Undefined where there are objects to copy that the sample has none like. */
export function estimate({ work, sample, listSeconds, threads }: EstimateInput): Expected | undefined {
  const small = scaled(work.smallObjects, sample.small.objects, sample.small.seconds);
  const large = scaled(work.largeBytes, sample.large.bytes, sample.large.seconds);
  if (small === undefined || large === undefined) return undefined;
  // The sample was read by one thread. Several share its work; what it waited for, they may all wait for.
  const readSeconds = (small + large) * (1 - sample.busyShare + sample.busyShare / threads);
  return {
    secondsLeast: Math.max(listSeconds, readSeconds),
    secondsMost: listSeconds + 2 * readSeconds,
  };
}

function scaled(wanted: number, measured: number, seconds: number): number | undefined {
  if (wanted === 0) return 0;
  return measured === 0 ? undefined : (wanted / measured) * seconds;
}
