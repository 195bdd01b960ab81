/** What people are told at the end: first what is so, then why, then what to do. */
import type { Outcome, StepFailure } from './outcome.ts';
import type { Step, Ways } from './step.ts';

/**
 * Lines, the most important first; no secrets, as there are none in an outcome.
 * @param changed what the run has changed and left so: where a run ends early, that is what somebody has to know.
 */
export function outcomeText(
  outcome: Outcome,
  steps: readonly Step[],
  changed: readonly Step[] = [],
): readonly string[] {
  const titleOf = (id: string): string => steps.find((step) => step.id === id)?.title ?? id;
  const titles = (ids: readonly string[]): readonly string[] => ids.map((id) => `  ${titleOf(id)}`);
  switch (outcome.is) {
    case 'done':
      return [outcome.wasDone ? 'The migration was complete already' : 'The migration is complete'];
    case 'until':
      return [`Ended behind "${titleOf(outcome.step)}", as asked`, ...leftSo(changed)];
    case 'refused':
      return ['Nothing was changed', ...reason(outcome.failure, AGAIN)];
    case 'undone':
      if (outcome.wasUndone) return ['Everything was taken back already'];
      return [
        outcome.steps.length === 0
          ? 'Nothing had to be undone'
          : 'Everything that was changed is as it was before, and was seen to be:',
        ...titles(outcome.steps),
        ...reason(outcome.failure, AGAIN),
      ];
    case 'not-undone':
      return [
        `NOT everything is as it was before: "${outcome.undo.title}" is not shown to be undone: ${outcome.undo.why}`,
        ...ways('Do this first, then run the same migration with --undo:', outcome.ways.back),
        ...(outcome.undo.hint === undefined ? [] : [outcome.undo.hint]),
        ...(outcome.remaining.length === 0
          ? []
          : ['Still to be undone after that:', ...titles(outcome.remaining)]),
        ...reason(outcome.failure),
      ];
    case 'stuck-forward':
      return [outcome.first, ...reason(outcome.failure), ...bothWays(outcome.ways)];
    case 'stopped':
      return [stoppedText(outcome, titleOf(outcome.before)), ...leftSo(changed)];
  }
}

function stoppedText(
  { isAnswer, isUndo }: Extract<Outcome, { readonly is: 'stopped' }>,
  before: string,
): string {
  if (isUndo) return 'Nothing was taken back, as nobody agreed to it';
  return isAnswer ? `Not gone on with "${before}", as nobody agreed to it` : `Stopped at "${before}"`;
}

function leftSo(changed: readonly Step[]): readonly string[] {
  if (changed.length === 0) return ['Nothing was changed. Run the same migration again to go on'];
  const isForward = changed.some(({ kind }) => kind === 'forward');
  return [
    'This was changed, and stays so:',
    ...changed.map(({ title }) => `  ${title}`),
    isForward
      ? 'Run the same migration again to go on; there is no way back by itself any more'
      : 'Run the same migration again to go on, or with --undo to take it back',
  ];
}

const AGAIN = 'Mend that, then run the same migration again';

/** @param otherwise what to do where the failure itself does not say. */
function reason(failure: StepFailure | undefined, otherwise?: string): readonly string[] {
  if (failure === undefined) return [];
  const { title, why, hint = otherwise } = failure;
  return [`${title === '' ? '' : `"${title}": `}${why}`, ...(hint === undefined ? [] : [hint])];
}

function bothWays({ forward, back }: Ways): readonly string[] {
  return [
    'Nothing was undone. Run the same migration again to try to go on',
    ...ways('By hand, forward:', forward),
    ...ways('By hand, back:', back),
  ];
}

function ways(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [title, ...lines.map((line) => `  ${line}`)];
}
