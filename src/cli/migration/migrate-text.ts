/** What people read of a migration: its plan, what is found, what each step comes to. */
import type { Finding } from '../../platform/preflight/finding.ts';
import type { Question } from '../../platform/saga/plan.ts';
import type { Entry } from '../../platform/saga/saga-log.ts';
import type { Step } from '../../platform/saga/step.ts';

const KINDS = {
  read: 'changes nothing',
  reversible: 'can be taken back',
  forward: 'CANNOT be taken back',
} as const;

/** One line for each step, and what it changes below it. */
export function planLines(steps: readonly Step[]): readonly string[] {
  const wide = Math.max(...steps.map(({ id }) => id.length));
  return steps.flatMap(({ id, title, changes, kind }, index) => [
    `${String(index + 1).padStart(3)}  ${id.padEnd(wide)}  ${title}`,
    `${' '.repeat(wide + 7)}${KINDS[kind]}${changes === 'Nothing' || changes === '' ? '' : `: ${changes}`}`,
  ]);
}

const QUESTIONS: Readonly<Record<Question, string>> = {
  begin: 'Go on with these steps?',
  forward: 'From here on nothing is taken back by itself. Go on?',
  undo: 'Take these steps back?',
};

export function questionOf(question: Question): string {
  return QUESTIONS[question];
}

export function findingLine({ item, is, text, hint }: Finding): string {
  const marks = { ok: 'ok', note: 'note', ask: 'ASK', problem: 'WRONG', unknown: '?' } as const;
  return `${marks[is].padStart(5)}  ${item}: ${text}${hint === undefined ? '' : `. ${hint}`}`;
}

/** Undefined where an entry is for the journal alone. */
export function entryLine({ step, what, text }: Entry, steps: readonly Step[]): string | undefined {
  const title = steps.find(({ id }) => id === step)?.title ?? step;
  switch (what) {
    case 'do-begun':
      return `${title} …`;
    case 'effect-shown':
      return `  done: ${title}${text === '' ? '' : `: ${text}`}`;
    case 'reset':
      return `  starts anew: ${title}: ${text}`;
    case 'skipped':
      return `  left out: ${title}`;
    case 'turned':
      return `Everything is taken back${text === '' ? '' : `: ${text}`}`;
    case 'undo-begun':
      return `Taking back: ${title} …`;
    case 'undone-shown':
      return `  taken back: ${title}: ${text}`;
    case 'check-failed':
    case 'check-blocked':
    case 'do-failed':
    case 'effect-missing':
    case 'undo-failed':
    case 'undone-missing':
      return `  failed: ${title}: ${text}`;
    default:
      return undefined;
  }
}
