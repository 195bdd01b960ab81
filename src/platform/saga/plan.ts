/** Rules for the steps of a saga, and what `--until` and `--start-at` mean. Pure. */
import { ConfigError } from '../../core/errors.ts';
import type { Progress } from './progress.ts';
import type { Step } from './step.ts';

/** Ids and kinds: a run that was begun with another plan is not gone on with. */
export function planText(steps: readonly Step[]): string {
  return steps.map(({ id, kind }) => `${id}:${kind}`).join(' ');
}

/** @throws TypeError for a plan that could not be undone or told apart: a mistake of whoever wrote it. */
export function demandPlan(steps: readonly Step[]): void {
  const ids = steps.map(({ id }) => id);
  for (const [at, step] of steps.entries()) {
    const isRested = steps.some(({ restsOn }) => restsOn?.includes(step.id));
    const wrong =
      mistakeIn(step, ids.slice(0, at), isRested) ?? (isRested ? mistakeBehind(step, steps) : undefined);
    if (wrong !== undefined) throw new TypeError(`The step "${step.id}" ${wrong}`);
  }
}

function mistakeIn(step: Step, before: readonly string[], isRested: boolean): string | undefined {
  const { id, kind, undo, undone, isOptional, restsOn = [] } = step;
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(id)) return 'has an id that is no plain word';
  if (before.includes(id)) return 'is there twice';
  const canBeUndone = undo !== undefined && undone !== undefined;
  if (canBeUndone !== (kind === 'reversible'))
    return `is ${kind}, ${canBeUndone ? 'with' : 'without'} an undo`;
  if (isOptional && kind !== 'read') return 'may be left out, and changes something';
  if (isOptional && isRested) return 'may be left out, and others rest on it';
  const missing = restsOn.find((name) => !before.includes(name));
  return missing === undefined ? undefined : `rests on "${missing}", which does not stand before it`;
}

/** What others rest on holds until the first forward step: so there has to be one, and behind it. */
function mistakeBehind(step: Step, steps: readonly Step[]): string | undefined {
  const forward = steps.findIndex(({ kind }) => kind === 'forward');
  return forward > steps.indexOf(step)
    ? undefined
    : 'is rested on, and the first forward step is not behind it';
}

/** @throws ConfigError where there is no such step. */
export function stepNamed(steps: readonly Step[], id: string, flag: string): Step {
  const found = steps.find((step) => step.id === id);
  if (found) return found;
  throw new ConfigError(`${flag} names no step of this migration: "${id.slice(0, 60)}"`, {
    hint: `Its steps are ${steps.map((step) => step.id).join(', ')}`,
  });
}

/** Steps that are run when `--until` ends with this one; all of them where it is not given. */
export function stepsUntil(steps: readonly Step[], until: Step | undefined): readonly Step[] {
  return until === undefined ? steps : steps.slice(0, steps.indexOf(until) + 1);
}

export interface StartAt {
  /** Before it, and left out. */
  readonly skipped: readonly Step[];
  /** Before it, and to be found done before anything begins. Steps that only read are run as always. */
  readonly proved: readonly Step[];
  /** From it on, and done again. */
  readonly again: readonly Step[];
}

/**
 * What `--start-at` comes to. Nothing that changes the registry is taken for done on somebody's word, and nothing that
 * lies before a forward step which was begun is done again.
 * @throws ConfigError
 */
export function startAt(steps: readonly Step[], first: Step, progress: Progress): StartAt {
  const at = steps.indexOf(first);
  const isOpen = ({ id }: Step): boolean => ['fresh', 'begun'].includes(progress.of(id).state);
  const before = steps.slice(0, at).filter(isOpen);
  const again = steps.slice(at).filter((step) => step.kind !== 'forward' && !isOpen(step));
  const passed = steps
    .slice(at)
    .findLast(({ id, kind }) => kind === 'forward' && progress.of(id).state !== 'fresh');
  const [repeated] = again;
  if (passed && repeated && steps.indexOf(repeated) < steps.indexOf(passed)) {
    throw new ConfigError(
      `--start-at ${first.id} would repeat "${repeated.title}", and "${passed.title}" after it was begun already`,
      { hint: 'Run again without --start-at: it goes on where it was' },
    );
  }
  return {
    skipped: before.filter(({ isOptional }) => isOptional),
    proved: before.filter(({ kind }) => kind !== 'read'),
    again,
  };
}

/** What somebody has to agree to. */
export type Question = 'begin' | 'forward' | 'undo';

/** Do the flags answer it? `--yes` never covers what cannot be taken back. */
export function isCovered(
  question: Question,
  flags: { readonly yes: boolean; readonly yesForward: boolean },
): boolean {
  return question === 'forward' ? flags.yesForward : flags.yes;
}
