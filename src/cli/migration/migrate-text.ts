/** What people read of a migration: its plan, what is found, what each step comes to. */
import type { Finding } from '../../platform/preflight/finding.ts';
import type { Question } from '../../platform/saga/plan.ts';
import type { Progress } from '../../platform/saga/progress.ts';
import type { Entry, What } from '../../platform/saga/saga-log.ts';
import type { Step } from '../../platform/saga/step.ts';

const KINDS = {
  read: 'changes nothing of the registry',
  reversible: 'can be taken back',
  forward: 'CANNOT be taken back',
} as const;

/** One line for each step, and what it changes below it. */
export function planLines(steps: readonly Step[]): readonly string[] {
  const wide = Math.max(...steps.map(({ id }) => id.length));
  return steps.flatMap(({ id, title, changes, kind }, index) => [
    `${String(index + 1).padStart(3)}  ${id.padEnd(wide)}  ${title}`,
    `${' '.repeat(wide + 7)}${KINDS[kind]}${changes === '' ? '' : `: ${changes}`}`,
  ]);
}

/** One line for each step of a run that was begun: those that are done, and those that are left. */
export function progressLines(steps: readonly Step[], progress: Progress): readonly string[] {
  const wide = Math.max(...steps.map(({ id }) => id.length));
  return steps.map(({ id, title }) => {
    const { state } = progress.of(id);
    const mark = { fresh: '', begun: 'begun', done: 'done', skipped: 'left out' }[state];
    return `${mark.padStart(10)}  ${id.padEnd(wide)}  ${title}`;
  });
}

/** Without what they change: whoever is asked has just read it, or it is about to be taken back. */
export function titleLines(steps: readonly Step[]): readonly string[] {
  const wide = Math.max(...steps.map(({ id }) => id.length));
  return steps.map(
    ({ id, title }, index) => `${String(index + 1).padStart(3)}  ${id.padEnd(wide)}  ${title}`,
  );
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

/** Tells a run line by line. What was said of a step just now is not said again in other words. */
export class Narrator {
  readonly #steps: readonly Step[];
  /** What was told last of each step. */
  readonly #last = new Map<string, What>();

  constructor(steps: readonly Step[]) {
    this.#steps = steps;
  }

  /** Undefined where an entry is for the journal alone. */
  line(entry: Entry): string | undefined {
    const { step, what } = entry;
    const before = this.#last.get(step);
    if (!what.endsWith('-begun') || what === 'do-begun' || what === 'undo-begun') this.#last.set(step, what);
    const title = this.#steps.find(({ id }) => id === step)?.title ?? step;
    // Each problem was shown by itself, and the end of the run repeats them all.
    if (step === PREFLIGHT && ['do-failed', 'effect-missing', 'reset'].includes(what)) return undefined;
    if (what === 'effect-missing') {
      if (before === 'do-failed') return undefined;
      // What an earlier run has begun is looked at first, and then done.
      if (before === undefined) return `  not done yet: ${title}`;
    }
    return entryLine(entry, title);
  }
}

const PREFLIGHT = 'preflight';

function entryLine({ what, text }: Entry, title: string): string | undefined {
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
      return `What was changed is taken back now${text === '' ? '' : `: ${text}`}`;
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
