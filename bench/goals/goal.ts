/** What a goal is, and what may come of looking at it. */
import type { Parameters } from '../plan/parameters.ts';
import type { RunRecord } from '../records.ts';
import type { CellResult } from '../report/summarise.ts';
import type { StepName } from './steps.ts';
import type { Verdict } from './verdict.ts';

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
