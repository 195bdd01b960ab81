/** What a copy is asked to do and what it answers: plain records that cross threads, files and the network. */
import type { ErrorRecord } from './errors.ts';

export type LayoutChoice = 'auto' | 'registry' | 'raw';
export type Engine = 'direct' | 'sdk';
export type ServerSideChoice = 'auto' | 'never';

/** The options of one pass; names and meaning as the CLI's flags. */
export interface CopyOptions {
  readonly layout: LayoutChoice;
  /** The source is read-only: mismatches are damage, missing objects are failures. */
  readonly isFrozen: boolean;
  readonly threads: number;
  /** Objects in flight per thread. */
  readonly concurrency: 'auto' | number;
  readonly partBytes: 'auto' | number;
  /** Bound for the resident set of the whole process. */
  readonly memoryBytes: number;
  readonly bandwidthBytesPerSecond?: number;
  readonly requestsPerSecond?: number;
  readonly engine: Engine;
  /** `auto`: one service that holds both sides copies by itself what it can be proved to have copied right. */
  readonly serverSide: ServerSideChoice;
  /** Objects without a digest or a stored checksum are read twice. */
  readonly readsTwice: boolean;
  /** An index of digests (see DigestIndex), for blobs that are named by an id; absent: they have none. */
  readonly digests?: string;
  /** What was written is read back, whatever the target was seen to check; absent: only where it checks nothing. */
  readonly readsBack?: boolean;
  readonly intoNonempty: boolean;
  readonly keepGoing: boolean;
  /** Remove from the target what only it has and what may change: links, tags, others; never blobs. */
  readonly deletesExtra: boolean;
  /** More such objects than this are not deleted but asked about. */
  readonly deleteMax: number;
  /** Abort uploads below the target's root that this job did not begin. */
  readonly abortsUploads: boolean;
  /** A backend that does not answer is waited for so long. */
  readonly outageMsMax: number;
  /** Folder of the journal. */
  readonly journalDirectory: string;
}

/**
 * An object that did not end as copied or equal. `extra`: it is in the target only, or was taken to be, and
 * `--delete-extra` did not remove it.
 */
export interface CopyException {
  readonly state: 'failed' | 'damaged' | 'vanished' | 'unsettled' | 'conflict' | 'extra';
  /** Logical path. */
  readonly path: string;
  readonly error: ErrorRecord;
}

/** How objects went whose bytes need not pass through this machine. */
export interface ServerSideSummary {
  /** `service`: proved by the sha256 that the service computes; `read-back`: by reading them back; `none`: not at all. */
  readonly way: 'service' | 'read-back' | 'none';
  /** In words, for either. */
  readonly why: string;
}

/** The last line of `--json`, and what people are shown. Exit codes follow from it (see `exitCodeOf`). */
export interface CopySummary {
  readonly event: 'summary';
  readonly source: string;
  readonly target: string;
  readonly layout: 'distribution' | 'msr' | 'raw';
  readonly engine: Engine;
  /** What the target was seen to refuse, in words, best proof first. */
  readonly binding: string;
  readonly isFrozen: boolean;
  readonly isComplete: boolean;
  readonly isStopped: boolean;
  readonly objectsCopied: number;
  readonly objectsSkipped: number;
  readonly objectsFailed: number;
  readonly objectsDamaged: number;
  readonly objectsUnproved: number;
  /**
   * Of those copied, by what each is known to be right: its digest, as its bytes passed; the digest, by the sha256 that
   * the service computed of its own copy, or by reading that copy back; a checksum that the source keeps; two equal
   * reads; nothing.
   */
  readonly objectsByProof: Readonly<
    Record<'digest' | 'service' | 'readBack' | 'stored' | 'twice' | 'none', number>
  >;
  readonly serverSide: ServerSideSummary;
  /** Of those copied: by the service, and their bytes. */
  readonly objectsServerSide: number;
  readonly bytesServerSide: number;
  /** Copies of the service that were not right: each was removed, and its object read. */
  readonly serverCopiesWrong: number;
  /** Copies of the service whose end was not seen: the next run looks at what they may have left. */
  readonly serverCopiesUnseen: number;
  /** Reads that gave changed bytes, which was noticed: made again. */
  readonly readsWrong: number;
  /** Bodies that the target refused as changed, or gave back changed: sent again. */
  readonly writesWrong: number;
  readonly objectsVanished: number;
  readonly objectsUnsettled: number;
  readonly objectsConflicting: number;
  readonly objectsLeftOut: number;
  /** Removed from the target by `--delete-extra`. */
  readonly objectsDeleted: number;
  /** Found in the target only, among what `--delete-extra` may remove; 0 without it. */
  readonly objectsExtra: number;
  /** Names of the first hundred of them. */
  readonly extra: readonly string[];
  /** Blobs found in the target only, which are never removed; 0 without `--delete-extra`. */
  readonly objectsExtraKept: number;
  /**
   * What `--delete-extra` came to; absent without it. `done`: every removal was tried; `too-many`: more than `max`,
   * so nothing was removed; `unclean`: nothing was removed because other things went wrong; `ended`: it ended early.
   */
  readonly deletion?: { readonly state: 'done' | 'too-many' | 'unclean' | 'ended'; readonly max: number };
  /** Uploads below the target's root that this job did not begin and that are still open. */
  readonly uploadsOpen: number;
  /** The first ten. */
  readonly leftOut: readonly string[];
  readonly bytesCopied: number;
  readonly bytesSkipped: number;
  /** Of `bytesCopied`: in parts that an interrupted run had sent, found right and not sent again. */
  readonly bytesReused: number;
  readonly seconds: number;
  /** Shards that others gave away while they ran, so that no thread was idle. */
  readonly shardsSplit: number;
  readonly objectsByClass: Readonly<
    Record<'blob' | 'link' | 'tag' | 'other', { copied: number; skipped: number }>
  >;
  /** The first hundred; all of them are in the journal. */
  readonly exceptions: readonly CopyException[];
  /**
   * How blobs that are named by an id and the rows of a metadata backup agree, where there was one: blobs of the source
   * without a row, and rows without a blob in the source; ids, ten of each.
   */
  readonly digests?: Readonly<
    Record<'pending' | 'lacking', { readonly count: number; readonly first: readonly string[] }>
  >;
  /** Why the run ended early, if it did. */
  readonly stoppedBy?: ErrorRecord;
  readonly warnings: readonly string[];
  readonly journal: string;
}

/** 0 done; 1 failed, unsettled or unreadable; 3 integrity; 130 stopped by the user. Never 0 when an object was lost. */
export function exitCodeOf(summary: CopySummary): 0 | 1 | 3 | 130 {
  if (summary.objectsDamaged > 0 || summary.objectsConflicting > 0) return 3;
  if (summary.isStopped) return 130;
  const vanishedIsLoss = summary.isFrozen && summary.objectsVanished > 0;
  if (summary.objectsFailed > 0 || summary.objectsUnsettled > 0 || vanishedIsLoss) return 1;
  if (summary.objectsDeleted < summary.objectsExtra) return 1;
  return summary.isComplete && summary.stoppedBy === undefined ? 0 : 1;
}
