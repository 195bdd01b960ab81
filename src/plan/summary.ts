/** What a plan answers: plain records for people, for `--json` and for exit codes. */
import type { Side } from '../core/counters.ts';
import type { ServerSideSummary } from '../core/job.ts';
import type { LayoutName, ObjectClass } from '../layout/layout.ts';
import type { Cost } from './cost.ts';
import type { Expected, SampleResult } from './estimate.ts';
import type { RequestCounts } from './requests.ts';

/**
 * What a copy would do with an object.
 * - `missing`: the target has none; copied.
 * - `differing`: the target has other content under a name that may change, or that this job wrote; replaced.
 * - `equal`: nothing to do.
 * - `undecided`: same size, and no checksum tells; a copy reads both and then copies it or not.
 * - `conflicting`: the target has other content under a name that must not change; left as it is, exit code 3.
 * - `impossible`: the target cannot hold it; the copy of it fails.
 */
export const PLAN_STATES = [
  'missing',
  'differing',
  'equal',
  'undecided',
  'conflicting',
  'impossible',
] as const;
export type PlanState = (typeof PLAN_STATES)[number];

export interface Amount {
  readonly objects: number;
  readonly bytes: number;
}

/** A path, and where that is not plain from the list it is in, why. */
export interface NamedPath {
  readonly path: string;
  readonly why?: string;
}

/** A folder (its name ends in a slash) or file that a side cannot list: what it holds is not in the plan. */
export interface UnlistablePath {
  readonly side: Side;
  readonly path: string;
  readonly why: string;
  readonly hint?: string;
}

/** Requests that depend on what only writing to the target can tell. */
export interface PossibleRequests {
  readonly side: Side;
  readonly upTo: number;
  readonly why: string;
}

export interface PlanSummary {
  readonly event: 'summary';
  readonly source: string;
  readonly target: string;
  readonly layout: LayoutName;
  /** What stands before every logical path in the keys of either side. */
  readonly keyPrefixes: { readonly source: string; readonly target: string };
  /** The same in words. */
  readonly keyRules: { readonly source: string; readonly target: string };
  /** Nothing that a copy would miss lies under the target's root. */
  readonly targetIsEmpty: boolean;
  /** The first object found there. */
  readonly targetHolds?: string;
  /** A copy refuses this target unless `--into-nonempty` is given. */
  readonly needsIntoNonempty: boolean;
  readonly objects: Readonly<Record<PlanState, Amount>>;
  readonly objectsByClass: Readonly<Record<ObjectClass, Readonly<Record<PlanState, Amount>>>>;
  /** Missing and differing ones. */
  readonly objectsToCopy: number;
  readonly bytesToCopy: number;
  readonly objectsLeftOut: number;
  readonly listedSource: number;
  readonly listedTarget: number;
  /** The first ones of each. */
  readonly leftOut: readonly string[];
  readonly differing: readonly NamedPath[];
  readonly conflicting: readonly NamedPath[];
  readonly impossible: readonly NamedPath[];
  /** What only the target has, without what the layout leaves out; a copy leaves it alone unless told otherwise. */
  readonly extraByClass: Readonly<Record<ObjectClass, Amount>>;
  /** The first ten. */
  readonly extra: readonly string[];
  /** Of them, what `copy --frozen --delete-extra` would remove; 0 where that is refused. */
  readonly objectsToDelete: number;
  /** Was the target empty when the job began? Otherwise `--delete-extra` is refused. */
  readonly mayDeleteExtra: boolean;
  /** How many folders and files could not be listed, and the first of them. */
  readonly unlistable: { readonly count: number; readonly named: readonly UnlistablePath[] };
  /** Objects of the source that the target has in such a folder or not: in none of the sums above. */
  readonly objectsUnseen: number;
  /** By side and operation, for one copy that meets no fault. */
  readonly requests: RequestCounts;
  readonly possibleRequests: readonly PossibleRequests[];
  /** How the service is expected to copy by itself; only a copy finds out what it computes. */
  readonly serverSide: ServerSideSummary;
  /** Of those to copy: what the service copies, and its bytes. */
  readonly objectsServerSide: number;
  readonly bytesServerSide: number;
  /** Bytes that leave each side; those of undecided objects are taken to be read on both. */
  readonly bytesRead: Readonly<Record<Side, number>>;
  readonly threads: number;
  /** Bound for the resident set of the process that copies. */
  readonly memoryBytes: number;
  readonly partBytes: number;
  readonly listSeconds: number;
  readonly sample: SampleResult;
  /** Absent where nothing was sampled that it could rest on. */
  readonly expected?: Expected;
  /** Only where a price file was given. */
  readonly cost?: Cost;
  readonly warnings: readonly string[];
  /** Of the plan itself. */
  readonly seconds: number;
}

/** 0: nothing known stands against a copy; 1: some objects cannot be copied, read or listed; 3: conflicts with what is there. */
export function planExitCodeOf(summary: PlanSummary): 0 | 1 | 3 {
  if (summary.objects.conflicting.objects > 0) return 3;
  const failing = [
    summary.objects.impossible.objects,
    summary.sample.unreadable.length,
    summary.unlistable.count,
  ];
  return failing.some((count) => count > 0) ? 1 : 0;
}
