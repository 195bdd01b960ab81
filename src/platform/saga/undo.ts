/** Takes back what a run has changed, the last first, and looks at what each undo came to. */
import type { Outcome, StepFailure } from './outcome.ts';
import type { Phases, Thrown } from './phases.ts';
import { stepsToUndo } from './progress.ts';
import type { SagaLog } from './saga-log.ts';
import type { Effect, Step } from './step.ts';

/**
 * Ends at the first undo that is not shown to have its effect: what came before it may rest on it (a registry that still
 * uses its new storage must not be made writable). The run stays open then, and the next one tries again from there.
 * @param failure what went wrong; undefined: the undo was asked for.
 */
export async function undoRun(
  steps: readonly Step[],
  log: SagaLog,
  phases: Phases,
  failure: StepFailure | undefined,
): Promise<Outcome> {
  const toUndo = stepsToUndo(steps, phases.progress);
  const undone: string[] = [];
  for (const step of toUndo) {
    const wrong = await undoStep(step, phases);
    if (wrong !== undefined) {
      const remaining = toUndo.slice(undone.length + 1).map(({ id }) => id);
      const undo = {
        step: step.id,
        title: step.title,
        why: wrong.why,
        ...(wrong.hint === undefined ? {} : { hint: wrong.hint }),
      };
      return { is: 'not-undone', failure, undo, ways: phases.ways(step), remaining };
    }
    undone.push(step.id);
  }
  log.end('undone');
  return { is: 'undone', wasUndone: false, failure, steps: undone };
}

/**
 * The undo is done whether or not the step seems to have had its effect: a call that was given up on may act later, and
 * only a later call overrules it. So where the effect was never seen, an undo that failed is not made good by a look that
 * finds all well. An undo that has been done already is only looked at.
 */
async function undoStep(
  step: Step,
  phases: Phases,
): Promise<Exclude<Effect | Thrown, { readonly is: 'shown' }> | undefined> {
  const { undo, state } = phases.progress.of(step.id);
  if (undo === 'ended') {
    const seen = await phases.undone(step);
    if (seen.is === 'shown') return undefined;
  }
  const thrown = await phases.undo(step);
  if (thrown && state === 'begun') return thrown;
  // What was refused is looked at once, and not waited for.
  const seen = await phases.undone(step, thrown?.wasRefused === true);
  if (seen.is === 'shown') return undefined;
  return thrown ?? seen;
}
