/** What a goal is, and what may come of looking at it. */
import type { Parameters } from '../plan/parameters.ts';
import type { RunRecord } from '../records.ts';
import type { CellResult } from '../report/summarise.ts';
import type { StepName } from './steps.ts';

export interface Verdict {
  /** Undefined: it was not measured. */
  readonly value?: number;
  readonly unit: string;
  /** In words. */
  readonly target: string;
  /** What the machine itself needs, measured in the same run; in the value's unit. */
  readonly floor?: number;
  /** Undefined: it was not measured. */
  readonly isReached?: boolean;
  /** What else there is to know of it. */
  readonly note: string;
}

/** What the steps gave; those that were not run, or whose bench failed, are not there. */
export interface Found
  extends Pick<Parameters, 'limitPerSecond' | 'limitedSeconds' | 'bandwidthBytesPerSecond'> {
  readonly results: ReadonlyMap<StepName, CellResult>;
  readonly runs: ReadonlyMap<StepName, readonly RunRecord[]>;
}

export interface Goal {
  readonly name: string;
  readonly title: string;
  /** What has to be run for it; none: it is read off whatever is run. */
  readonly steps: readonly StepName[];
  judge(found: Found): Verdict;
}
