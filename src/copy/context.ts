/** What copying one object needs; made once per thread and pass. */
import type { CounterWriter, Side } from '../core/counters.ts';
import type { StorageError } from '../core/errors.ts';
import type { ObjectInfo, StorageDriver } from '../drivers/driver.ts';
import type { DigestIndex } from '../layout/digests/digest-index.ts';
import type { Classified, Layout } from '../layout/layout.ts';
import type { ListedMd5s } from './listed-md5s.ts';
import type { OpenUploads } from './open-uploads.ts';
import type { ServerSide } from './server-side.ts';
import type { WorkerReport } from './shard.ts';
import type { SlabPool } from './slab-pool.ts';
import type { WrittenKeys } from './written-keys.ts';

export interface CopyContext {
  readonly source: StorageDriver;
  readonly target: StorageDriver;
  readonly layout: Layout;
  readonly slabs: SlabPool;
  readonly counters: CounterWriter;
  /** How many objects may be worked on now: more could only wait for their requests; absent: as many as the pass says. */
  readonly objectsNow?: () => number;
  readonly signal: AbortSignal;
  readonly isFrozen: boolean;
  readonly readsTwice: boolean;
  readonly ownsTarget: boolean;
  readonly partBytes: number;
  /** The target was seen to check nothing, or it is asked for: what was written is read back. */
  readonly readsBack: boolean;
  /** Whoever wrote an object may have died before it was read back: that the size is right shows nothing. */
  readonly doubtsTarget?: boolean;
  /** Both sides are on one service, which may copy by itself. */
  readonly serverSide?: ServerSide | undefined;
  /** A run or a thread died, or could not see the end of a copy inside the service: its digest is looked at first. */
  readonly doubtsCopies?: boolean;
  readonly report: (report: WorkerReport) => void;
  /** Uploads of an earlier run that may be continued. */
  readonly uploads: OpenUploads;
  /** What blobs that are named by an id must hash to. */
  readonly digests?: DigestIndex | undefined;
  /** What this thread has seen of the MD5s in listings; absent: nothing is made of it. */
  readonly listedMd5s?: ListedMd5s | undefined;
  /** Told of each object before it becomes visible. */
  readonly written?: WrittenKeys | undefined;
}

/** One object to look at. */
export interface CopyItem {
  /** Logical path. */
  readonly path: string;
  readonly classified: Classified;
  readonly source: ObjectInfo;
  readonly targetKey: string;
  /** As the target's listing has it; absent where it has none. */
  readonly target: ObjectInfo | undefined;
  /** Why its size, which is unsure, could not be had. */
  readonly sizeError?: StorageError;
  /** What will be known of both sides, where its size is unsure and being asked for. */
  readonly sizing?: Promise<Pick<CopyItem, 'source' | 'target'>>;
}

/** How the bytes that were written are known to be the right ones. */
export type Proof =
  /** They have the digest that is known of them. */
  | 'digest'
  /** The service copied them, and the sha256 that it computed is that digest. */
  | 'service'
  /** The service copied them, and read back they have that digest. */
  | 'readBack'
  /** They have a checksum that the source keeps. */
  | 'stored'
  /** Two reads gave the same. */
  | 'twice'
  | 'none';

export type CopyOutcome =
  | {
      readonly state: 'copied';
      readonly bytes: number;
      readonly proof: Proof;
      /** No byte of it came here, save for what was read back. */
      readonly isServerSide?: boolean;
    }
  | { readonly state: 'skipped'; readonly bytes: number }
  | { readonly state: 'failed' | 'damaged' | 'unsettled' | 'vanished' | 'conflict'; readonly error: Error };

/** The object is no longer what the listing said, or changed between two of its ranges: begin again. */
export class ObjectChanged extends Error {
  /** The size it has now, where that is known. */
  readonly totalBytes: number | undefined;
  /** @param cause what else it was that wants a new beginning: then that is what to tell where none helps. */
  constructor(totalBytes: number | undefined, cause?: Error) {
    super('The object changed while it was read', cause === undefined ? undefined : { cause });
    this.name = 'ObjectChanged';
    this.totalBytes = totalBytes;
  }
}

/**
 * Bytes that are not what they should be. `isStable`: two reads over two connections gave the same ones. `of`: which
 * side gave them.
 */
export class WrongBytes extends Error {
  readonly isStable: boolean;
  readonly of: Side;
  constructor(reason: string, isStable: boolean, of: Side = 'source') {
    super(reason);
    this.name = 'WrongBytes';
    this.isStable = isStable;
    this.of = of;
  }
}
