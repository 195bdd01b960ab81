/** What is kept of a migration for people who were not there: what was done, when, and what shows it. Plain JSON, no secrets. */
import { progressOf } from './progress.ts';
import type { Entry, Json, SagaLog } from './saga-log.ts';
import type { Step } from './step.ts';

export interface ReportInput {
  /** What was to be done: file, storages, procedure. */
  readonly about: Readonly<Record<string, Json>>;
  readonly steps: readonly Step[];
  readonly log: SagaLog;
  /** Sentences on what is wrong and was let be, beside the caveats of the journal. */
  readonly damage?: readonly string[];
  /** How the latest run of the program ended, and what it told. */
  readonly latest: { readonly outcome: string; readonly exitCode: number; readonly lines: readonly string[] };
}

export interface MigrationReport {
  readonly report: 1;
  /** 12 hex digits, the same over interruptions. */
  readonly run: string;
  readonly about: Readonly<Record<string, Json>>;
  /** ISO 8601. */
  readonly began: string;
  /** Null: it is open, and can be gone on with. */
  readonly ended: string | null;
  readonly end: 'done' | 'undone' | 'refused' | null;
  readonly latest: ReportInput['latest'];
  /** What was not checked, or allowed all the same, in any run of the program. */
  readonly caveats: readonly string[];
  /** Of the preflight. */
  readonly findings: Json;
  readonly steps: readonly ReportedStep[];
  /** Everything in its order. */
  readonly history: readonly {
    readonly at: string;
    readonly step: string;
    readonly what: string;
    readonly text: string;
  }[];
}

interface ReportedStep {
  readonly id: string;
  readonly title: string;
  readonly kind: Step['kind'];
  /** `begun`: nobody has seen what came of it. */
  readonly state: 'fresh' | 'begun' | 'done' | 'skipped';
  /** 1, and one more each time that it started anew. */
  readonly attempts: number;
  readonly began: string | null;
  readonly ended: string | null;
  /** Evidence of its effect; null: none that counts. */
  readonly proof: string | null;
  /** Evidence that it was taken back. */
  readonly undone: string | null;
  readonly troubles: readonly string[];
}

/** @returns undefined where nothing was begun. */
export function reportOf({
  about,
  steps,
  log,
  latest,
  damage = [],
}: ReportInput): MigrationReport | undefined {
  const { last, entries } = log;
  if (last === undefined) return undefined;
  return {
    report: 1,
    run: last.id,
    about,
    began: iso(last.beganMs),
    ended: last.endedMs === undefined ? null : iso(last.endedMs),
    end: last.end ?? null,
    latest,
    caveats: [...entries.filter(({ what }) => what === 'caveat').map(({ text }) => text), ...damage],
    findings: log.get('preflight', 'findings') ?? [],
    steps: steps.map((step) => stepOf(step, steps, entries)),
    history: entries.map(({ atMs, step, what, text }) => ({ at: iso(atMs), step, what, text })),
  };
}

function stepOf({ id, title, kind }: Step, steps: readonly Step[], entries: readonly Entry[]): ReportedStep {
  const { state, attempt } = progressOf(steps, entries).of(id);
  const own = entries.filter(({ step }) => step === id);
  const began = own.find(({ what }) => what === 'do-begun' || what === 'check-begun');
  const shown = state === 'done' ? own.findLast(({ what }) => what === 'effect-shown') : undefined;
  const undone = own.findLast(({ what }) => what === 'undone-shown');
  return {
    id,
    title,
    kind,
    state,
    attempts: attempt,
    began: began ? iso(began.atMs) : null,
    ended: shown ? iso(shown.atMs) : null,
    proof: shown?.text ?? null,
    undone: undone?.text ?? null,
    troubles: own.filter(({ what }) => TROUBLE.test(what)).map(({ text }) => text),
  };
}

const TROUBLE = /^(?:[a-z]+-(?:failed|missing|blocked|lost|unknown)|reset)$/;

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
