/** How a run of a migration ended, and the exit code it becomes. */
import type { Ways } from './step.ts';

export interface StepFailure {
  /** Id of the step; empty: none in particular. */
  readonly step: string;
  readonly title: string;
  /** One sentence. */
  readonly why: string;
  readonly hint?: string;
}

export type Outcome =
  | { readonly is: 'done'; readonly wasDone: boolean }
  /** As `--until` asked. */
  | { readonly is: 'until'; readonly step: string }
  /** Nothing was changed. */
  | { readonly is: 'refused'; readonly failure: StepFailure }
  /** Each undo was seen to have its effect. `failure` is undefined where the undo was asked for. */
  | {
      readonly is: 'undone';
      /** By an earlier run of the program. */
      readonly wasUndone: boolean;
      readonly failure: StepFailure | undefined;
      readonly steps: readonly string[];
    }
  /** One undo is not shown; it and those of `remaining`, which come after it, are left as they are. */
  | {
      readonly is: 'not-undone';
      readonly failure: StepFailure | undefined;
      readonly undo: StepFailure;
      readonly ways: Ways;
      readonly remaining: readonly string[];
    }
  /** There is no way back by itself. */
  | {
      readonly is: 'stuck-forward';
      readonly failure: StepFailure;
      readonly first: string;
      readonly ways: Ways;
    }
  /** By the user, or because nobody agreed to go on; `isUndo`: to take anything back. */
  | {
      readonly is: 'stopped';
      readonly before: string;
      readonly isAnswer: boolean;
      readonly isUndo?: true;
    };

export function exitCodeOfOutcome(outcome: Outcome): 0 | 2 | 4 | 5 | 130 {
  switch (outcome.is) {
    case 'done':
    case 'until':
      return 0;
    case 'refused':
      return 2;
    case 'undone':
      return outcome.failure === undefined ? 0 : 4;
    case 'not-undone':
    case 'stuck-forward':
      return 5;
    case 'stopped':
      return 130;
  }
}
