/** What a verification answers: plain records for people, for `--json` and for exit codes. */
import type { ErrorRecord } from '../core/errors.ts';
import type { LayoutName, ObjectClass } from '../layout/layout.ts';

/**
 * - `missing`: in the source, not in the target.
 * - `extra`: in the target, not in the source.
 * - `wrong-size`, `wrong-content`: the target's object is not the source's, or not what its path says.
 * - `damaged`: the bytes are not what the object's own path says, and the target is not to blame; `side` says whose.
 * - `unreadable`: nothing can be said, because a read failed for good, or because a folder cannot be listed: then the
 *   folder is named, and each object that the other side has in it.
 */
export type Problem = 'missing' | 'extra' | 'wrong-size' | 'wrong-content' | 'damaged' | 'unreadable';

/** `both`: source and target hold the same wrong bytes. */
export type ProblemSide = 'source' | 'target' | 'both';

export interface VerifyException {
  readonly problem: Problem;
  readonly side: ProblemSide;
  /** Logical path. */
  readonly path: string;
  /** One clause: what was expected and what was found. */
  readonly detail: string;
  readonly error?: ErrorRecord;
}

/**
 * What a match rests on, strongest first.
 * - `digest`: the target's bytes were read and are what the object's path says.
 * - `content`: both sides were read and hold the same bytes.
 * - `md5`: both listings state the same MD5.
 * - `size`: same path and same size, nothing else.
 */
export type MatchGround = 'digest' | 'content' | 'md5' | 'size';

/** Counted in full; the first ten ids. */
export interface RowsSummary {
  /** Of the metadata backup. */
  readonly rows: number;
  /** Rows whose blob is not in the target. */
  readonly lacking: { readonly count: number; readonly first: readonly string[] };
  /** Of those: not in the source either. */
  readonly lackingInSource: { readonly count: number; readonly first: readonly string[] };
}

export interface VerifySummary {
  readonly event: 'summary';
  readonly source: string;
  readonly target: string;
  readonly layout: LayoutName;
  readonly isDeep: boolean;
  readonly allowsExtra: boolean;
  /** Both listings were compared to their ends. */
  readonly isComplete: boolean;
  readonly isStopped: boolean;
  /** Found on both sides, missing in the target, or not to be seen on one side. */
  readonly objectsCompared: number;
  readonly objectsMatched: number;
  readonly matchedBy: Readonly<Record<MatchGround, number>>;
  readonly matchedByClass: Readonly<Record<ObjectClass, number>>;
  readonly objectsMissing: number;
  readonly objectsExtra: number;
  readonly objectsWrongSize: number;
  readonly objectsWrongContent: number;
  readonly objectsDamaged: number;
  readonly objectsUnreadable: number;
  /** In the source; a folder that is not opened (snapshots) counts as one. */
  readonly objectsLeftOut: number;
  readonly objectsLeftOutTarget: number;
  /** The first ten paths, source and target together. */
  readonly leftOut: readonly string[];
  /** Sum of the source's sizes of matched objects. */
  readonly bytesMatched: number;
  /** Bytes read from both sides. */
  readonly bytesRead: number;
  /** Objects that read wrong once and right when read again. */
  readonly objectsReadAgain: number;
  /** Requests that failed for a moment and were sent again. */
  readonly requestsRepeated: number;
  readonly seconds: number;
  /** The first hundred; every one was handed to `onException`. */
  readonly exceptions: readonly VerifyException[];
  /** Where there was a metadata backup. */
  readonly rows?: RowsSummary;
  /** Why the comparison ended early, if it did. */
  readonly stoppedBy?: ErrorRecord;
}

/** 0 equal, and all there that the metadata names; 1 something could not be read; 3 not equal or damaged; 130 stopped by the user. */
export function verifyExitCodeOf(summary: VerifySummary): 0 | 1 | 3 | 130 {
  const unequal =
    summary.objectsMissing +
    summary.objectsWrongSize +
    summary.objectsWrongContent +
    summary.objectsDamaged +
    (summary.rows?.lacking.count ?? 0) +
    (summary.allowsExtra ? 0 : summary.objectsExtra);
  if (unequal > 0) return 3;
  if (summary.isStopped) return 130;
  if (summary.objectsUnreadable > 0 || summary.stoppedBy !== undefined) return 1;
  return summary.isComplete ? 0 : 1;
}
