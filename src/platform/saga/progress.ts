/** How far a run is: a pure function of what its journal says. */
import type { Entry, What } from './saga-log.ts';
import type { Step } from './step.ts';

interface StepProgress {
  /** `begun`: `do` was begun, and nobody has seen what came of it. */
  readonly state: 'fresh' | 'begun' | 'done' | 'skipped';
  /** `do` was begun in this run, and is not shown to be undone. */
  readonly isOurs: boolean;
  /** `ended`: the undo was done, and nobody has seen what came of it. */
  readonly undo: 'no' | 'begun' | 'ended';
  readonly attempt: number;
}

export interface Progress {
  readonly of: (step: string) => StepProgress;
  /** Was a forward step begun, or found done? There is no way back by itself then. */
  readonly isPastForward: boolean;
  /** Why the run is being undone; undefined while it is not. */
  readonly turned: { readonly step: string; readonly text: string } | undefined;
}

const FRESH: StepProgress = { state: 'fresh', isOurs: false, undo: 'no', attempt: 1 };

export function progressOf(steps: readonly Step[], entries: readonly Entry[]): Progress {
  const known = new Map<string, StepProgress>();
  const of = (step: string): StepProgress => known.get(step) ?? FRESH;
  const forward = new Set(steps.filter(({ kind }) => kind === 'forward').map(({ id }) => id));
  let isPastForward = false;
  let turned: Progress['turned'];
  for (const { step, what, text } of entries) {
    if (what === 'turned') turned = { step, text };
    known.set(step, after(of(step), what));
    if (forward.has(step)) isPastForward ||= of(step).state !== 'fresh';
  }
  return { of, isPastForward, turned };
}

function after(before: StepProgress, what: What): StepProgress {
  switch (what) {
    case 'do-begun':
      return { ...before, state: 'begun', isOurs: true, undo: 'no' };
    case 'effect-shown':
      return { ...before, state: 'done' };
    case 'skipped':
      return { ...before, state: 'skipped' };
    case 'reset':
      return { ...before, state: 'fresh', attempt: before.attempt + 1 };
    case 'undo-begun':
      return { ...before, undo: 'begun' };
    case 'undo-ended':
      return { ...before, undo: 'ended' };
    case 'undone-shown':
      return { ...before, state: 'fresh', isOurs: false, undo: 'no' };
    default:
      return before;
  }
}

/** The first step whose effect nobody has seen; undefined: there is none left. */
export function nextStep(steps: readonly Step[], progress: Progress): Step | undefined {
  return steps.find(({ id }) => ['fresh', 'begun'].includes(progress.of(id).state));
}

/** What this run has changed, or may have, and not taken back. */
export function changedSteps(steps: readonly Step[], progress: Progress): readonly Step[] {
  return steps.filter(({ id, kind }) => kind !== 'read' && progress.of(id).isOurs);
}

/** Those to undo, in the order of undoing. */
export function stepsToUndo(steps: readonly Step[], progress: Progress): readonly Step[] {
  return steps.filter(({ id, kind }) => kind === 'reversible' && progress.of(id).isOurs).toReversed();
}

/**
 * Steps on which others rest and which have to hold now: shown, and not yet behind the first forward step, which ends
 * what they were for.
 * @param untouched a forward step of which nothing came, though it may have been begun.
 */
export function holders(steps: readonly Step[], progress: Progress, untouched?: Step): readonly Step[] {
  const isPast = (step: Step): boolean => step.kind === 'forward' && progress.of(step.id).state !== 'fresh';
  if (steps.some((step) => step !== untouched && isPast(step))) return [];
  const rested = new Set(steps.flatMap(({ restsOn }) => restsOn ?? []));
  return steps.filter(({ id }) => rested.has(id) && progress.of(id).state === 'done');
}

/**
 * What starts anew when the effect of this step broke: what was done on the strength of it, and then itself. In that
 * order: a run that ends in between still finds it broken.
 */
export function brokenWith(holder: Step, steps: readonly Step[], progress: Progress): readonly Step[] {
  const rests = steps.filter(
    ({ id, restsOn }) => restsOn?.includes(holder.id) && progress.of(id).state !== 'fresh',
  );
  return [...rests, holder];
}
