/** What a bench may be told: sizes of the workloads, what the slow network is like, how often and for how long. */

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

export interface Parameters {
  /** Objects of the workload `small`: half of them manifests of 1 to 5 KiB, half the links that name them. */
  readonly small: number;
  readonly medium: number;
  readonly mediumBytes: number;
  readonly large: number;
  readonly largeBytes: number;
  /** Layers of the workload `mixed`, log-normal in size. */
  readonly mixed: number;
  readonly mixedMedianBytes: number;
  /** Standard deviation of the logarithm of a layer's size. */
  readonly mixedSigma: number;
  /** How many more layers make the tail, and how large each of them is. */
  readonly mixedTail: number;
  readonly mixedTailBytes: number;
  /** Keys on both sides of the workload `listing`. */
  readonly listing: number;
  /** The large object of the trials; it has to be uploaded in parts. */
  readonly trialBytes: number;
  readonly latencyMs: number;
  /** Per connection and direction. */
  readonly bandwidthBytesPerSecond: number;
  /** Share of requests that are answered 503, from 0 to 1. */
  readonly refusedShare: number;
  /** Requests that a target takes before it answers 503. */
  readonly limitPerSecond: number;
  /** For how long a copy is to be under that limit, where the goals are measured. */
  readonly limitedSeconds: number;
  /** How many objects at once the peers are told to move; blobferry finds that out itself. */
  readonly transfers: number;
  readonly repeat: number;
  /** A copier that takes longer is ended, and has failed. */
  readonly limitSeconds: number;
  readonly seed: string;
  /** GET and PUT parts of the peers' multipart transfers. */
  readonly partBytes: number;
}

export const FULL: Parameters = {
  small: 50_000,
  medium: 4_000,
  mediumBytes: MIB,
  large: 16,
  largeBytes: 256 * MIB,
  mixed: 500,
  // Half of all layers are smaller than a MiB, and few make most of the bytes.
  mixedMedianBytes: MIB,
  mixedSigma: 2,
  mixedTail: 2,
  mixedTailBytes: GIB,
  listing: 1_000_000,
  trialBytes: 96 * MIB,
  latencyMs: 20,
  bandwidthBytesPerSecond: 80e6,
  refusedShare: 0.01,
  limitPerSecond: 1_500,
  limitedSeconds: 60,
  transfers: 64,
  repeat: 5,
  limitSeconds: 900,
  seed: 'bench',
  // More cost rclone memory and CPU time and made nobody faster here.
  partBytes: 8 * MIB,
};

/** Enough for figures of a few percent on a quiet machine, in some ten minutes. */
export const GOALS: Parameters = { ...FULL, medium: 2_000, large: 8, repeat: 3 };

/** Everything once and so small that a CI run has time for it: it shows that the bench works, and no speed. */
export const QUICK: Parameters = {
  ...FULL,
  small: 200,
  medium: 12,
  mediumBytes: MIB / 4,
  large: 2,
  largeBytes: 20 * MIB,
  mixed: 12,
  mixedSigma: 1,
  mixedTail: 1,
  mixedTailBytes: 12 * MIB,
  listing: 3_000,
  trialBytes: 24 * MIB,
  limitPerSecond: 100,
  limitedSeconds: 4,
  repeat: 1,
  limitSeconds: 60,
};
