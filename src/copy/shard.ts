/** What crosses between coordinator and workers: plain records. */
import type { CounterMemory } from '../core/counters.ts';
import type { ErrorRecord } from '../core/errors.ts';
import type { CopyException } from '../core/job.ts';
import type { DriverSpec } from '../drivers/spec.ts';
import type { LayoutName } from '../layout/layout.ts';

/**
 * A disjoint slice of the logical paths: those that begin with `prefix` and lie behind `after` up to and including
 * `upTo`, in byte order.
 */
export interface KeyRange {
  readonly prefix: string;
  readonly after?: string;
  readonly upTo?: string;
}

export type Phase = 'blobs' | 'names';

export interface Shard {
  readonly id: string;
  readonly phase: Phase;
  readonly range: KeyRange;
}

/** The same for every shard of a pass. */
export interface PassSettings {
  readonly jobId: string;
  readonly source: DriverSpec;
  readonly target: DriverSpec;
  readonly sourcePrefix: string;
  readonly targetPrefix: string;
  readonly layout: LayoutName;
  readonly isFrozen: boolean;
  readonly readsTwice: boolean;
  /** The target's root was empty when this job began: what differs there is this job's own and may be replaced. */
  readonly ownsTarget: boolean;
  readonly concurrency: number;
  readonly partBytes: number;
  /** Bytes in flight per thread. */
  readonly slabBudgetBytes: number;
  /** Shares of one thread. */
  readonly bandwidthBytesPerSecond?: number;
  readonly requestsPerSecond?: number;
}

export interface ShardTask {
  readonly pass: PassSettings;
  readonly shard: Shard;
}

/** So many failures in one shard end the run: something general is wrong, and lists must stay bounded. */
export const EXCEPTIONS_MAX = 10_000;

export interface ShardResult {
  readonly exceptions: readonly CopyException[];
  readonly leftOut: readonly string[];
  readonly warnings: readonly string[];
}

/** What a worker thread is started with. */
export interface WorkerData {
  readonly counters: CounterMemory;
  /** Name of the BroadcastChannel that control messages come over. */
  readonly channel: string;
  /** One 32-bit cell, 1 once the job is cancelled: a thread that was still starting does not hear the message. */
  readonly cancelled: SharedArrayBuffer;
}

export interface ControlMessage {
  readonly type: 'cancel';
  readonly jobId: string;
}

export type ShardReply =
  | { readonly ok: true; readonly result: ShardResult }
  /** The shard ended early; what it had found until then comes along. */
  | {
      readonly ok: false;
      readonly result: ShardResult;
      readonly error: ErrorRecord;
      readonly isCancelled: boolean;
    };
