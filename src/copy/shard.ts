/** What crosses between coordinator and workers: plain records. */
import type { MessagePort } from 'node:worker_threads';
import type { PermitMemory } from '../core/concurrency/permit-memory.ts';
import type { CounterMemory, Side } from '../core/counters.ts';
import type { ErrorRecord } from '../core/errors.ts';
import type { CopyException } from '../core/job.ts';
import type { Upload } from '../drivers/driver.ts';
import type { DriverSpec } from '../drivers/spec.ts';
import type { LayoutName } from '../layout/layout.ts';
import type { ServerSideSettings } from './server-side.ts';
import type { TokenAnswer, TokenWanted } from './thread-tokens.ts';
import type { WrittenPlace } from './written-keys.ts';

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
  /**
   * Where the range can be cut: ascending logical paths inside it, at most 63, about as many keys between any two. None
   * lies inside a repository's own folders, and none need be an object's name. A range that was shortened since may
   * leave some of them outside.
   */
  readonly borders?: readonly string[];
  /** The source was seen to list its names in another order than by their bytes: listings are sorted first. */
  readonly isUnsorted?: boolean;
  /** Single objects inside the range that other threads have taken over. */
  readonly without?: readonly string[];
}

/** What a thread gives away of the shard it runs, so that no other is idle; nothing of it has begun. */
export interface GivenAway {
  /** Where the shard ends now; absent: where it did. */
  readonly upTo?: string;
  /** Single objects of what stays. */
  readonly objects: readonly string[];
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
  /** As `CopyContext.readsBack`. */
  readonly readsBack?: boolean;
  /** A folder that cannot be listed is a failure like an object's; else it ends the run. */
  readonly keepsGoing?: boolean;
  /** The target's root was empty when this job began: what differs there is this job's own and may be replaced. */
  readonly ownsTarget: boolean;
  /**
   * A run or a thread died that may have written something and not read it back: a size is then no proof, and what is
   * found is read.
   */
  readonly doubtsTarget?: boolean;
  /** As `CopyContext.doubtsCopies`. */
  readonly doubtsCopies?: boolean;
  /** Absent: every object passes through this machine. */
  readonly serverSide?: ServerSideSettings;
  /** Objects that one thread works on at once, at most. */
  readonly concurrency: number;
  /** Threads ask the main thread for tokens; absent: their drivers log in by themselves. */
  readonly givesTokens?: boolean;
  /** Where all threads keep to the same limits of requests; absent: each goes by itself. */
  readonly permits?: PermitMemory;
  readonly partBytes: number;
  /** Bytes in flight per thread. */
  readonly slabBudgetBytes: number;
  /** Of all threads together, where they have permits. */
  readonly bandwidthBytesPerSecond?: number;
  readonly requestsPerSecond?: number;
  /** A backend that does not answer is waited for so long. */
  readonly outageMsMax: number;
  /** Count the objects that only the target has, and name so many of each shard; absent: do not look for them. */
  readonly extrasMax?: number;
  /** An index of digests (see DigestIndex); absent: blobs that are named by an id have none. */
  readonly digests?: string;
  /** Where the names of what is written are noted; absent: nowhere. */
  readonly written?: WrittenPlace;
}

export interface ShardTask {
  readonly pass: PassSettings;
  readonly shard: Shard;
  /** Uploads of this job that are open for keys of this shard: continued, or aborted once they are not needed. */
  readonly uploads: readonly Upload[];
  /** Where control messages come from while the shard runs. */
  readonly control?: MessagePort;
}

/** So many failures in one shard end the run: something general is wrong, and lists must stay bounded. */
export const EXCEPTIONS_MAX = 10_000;

/** How a shard's blobs and the rows of a metadata backup agree: counted in full, ten ids of each. */
export interface RowsResult {
  /** Blobs of the source without a row. */
  readonly pending: { readonly count: number; readonly first: readonly string[] };
  /** Rows without a blob in the source. */
  readonly lacking: { readonly count: number; readonly first: readonly string[] };
}

export interface ShardResult {
  readonly exceptions: readonly CopyException[];
  readonly leftOut: readonly string[];
  readonly warnings: readonly string[];
  /** Why this thread lets the service copy no further objects by itself; every thread comes to it for itself. */
  readonly serverSideRefusal?: string;
  /** Logical paths that only the target has and that may be deleted: the first `extrasMax`. */
  readonly extras: readonly string[];
  /** How many more of those there are. */
  readonly extrasUnnamed?: number;
  /** Objects that only the target has and that are never deleted: blobs, and what lies among them. */
  readonly extrasKept?: number;
  /** Where there are digests. */
  readonly rows?: RowsResult;
  /** All that was given away while the shard ran. */
  readonly givenAway?: GivenAway;
}

/** What a worker thread is started with. */
export interface WorkerData {
  readonly counters: CounterMemory;
  /** One 32-bit cell, 1 once the job is cancelled: so that none begins what is over already. */
  readonly cancelled: SharedArrayBuffer;
}

export type ControlMessage =
  | { readonly type: 'cancel' }
  /** A thread has nothing to do: whoever runs this shard gives some of it away, or says that it does not. */
  | { readonly type: 'share' }
  | TokenAnswer;

/** What a thread tells its parent while it runs a shard. */
export type WorkerReport =
  /** Sent before the first part of an upload, and when the upload is completed or aborted. */
  | { readonly type: 'upload'; readonly upload: Upload; readonly state: 'open' | 'closed' }
  /**
   * Everything of the shard up to and including `after` (a logical path; absent at the shard's start) is settled without
   * an exception, and survives a power cut. `row` and `values` are the thread's counters at that moment, so that a
   * thread that dies later can have its shard gone on with by another.
   */
  | {
      readonly type: 'cursor';
      readonly shard: string;
      readonly after?: string;
      readonly row: number;
      readonly values: Float64Array;
    }
  /** The answer to `share`; sent before anything else is done with what was given away. */
  | { readonly type: 'shared'; readonly shard: string; readonly given: GivenAway }
  | TokenWanted
  | {
      readonly type: 'backend';
      readonly side: Side;
      readonly name: string;
      readonly state: 'waiting' | 'back';
      readonly reason: string;
    };

export type ShardReply =
  | { readonly ok: true; readonly result: ShardResult }
  /** The shard ended early; what it had found until then comes along. */
  | {
      readonly ok: false;
      readonly result: ShardResult;
      readonly error: ErrorRecord;
      readonly isCancelled: boolean;
    };
