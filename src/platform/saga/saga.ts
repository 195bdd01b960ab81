/**
 * Runs the steps of a migration in their order, and again after any interruption. Whether a step is done is decided by
 * what is so, never by what was sent: one that was begun and not ended is looked at before it is done again.
 *
 *     a reversible or reading step fails    everything is undone, each undo's effect checked
 *     after a forward step was begun        nothing is undone by itself; the run stays open and can be gone on with
 *     what a step rests on did not hold     that and everything resting on it start anew
 */
import { ConfigError } from '../../core/errors.ts';
import { pause } from '../../transport/pause.ts';
import type { Outcome, StepFailure } from './outcome.ts';
import { Phases, type PhasesOptions, Stopped, type Thrown } from './phases.ts';
import {
  demandPlan,
  isCovered,
  planText,
  type Question,
  type StartAt,
  startAt,
  stepNamed,
  stepsUntil,
} from './plan.ts';
import { brokenWith, holders, nextStep, type Progress, stepsToUndo } from './progress.ts';
import type { SagaLog } from './saga-log.ts';
import type { Step } from './step.ts';
import { undoRun } from './undo.ts';

export interface SagaOptions extends PhasesOptions {
  readonly yes: boolean;
  readonly yesForward: boolean;
  /** Id of the last step to run. */
  readonly until?: string | undefined;
  /** Id of the first one. */
  readonly startAt?: string | undefined;
  /** What this run of the program does not check, or allows all the same: kept in the journal. */
  readonly caveats?: readonly string[] | undefined;
  /** Asks a person about these steps. Not called where a flag has answered. */
  readonly ask: (question: Question, steps: readonly Step[]) => Promise<boolean>;
  /** Between two looks at what has to hold while a person thinks; default 5 s. */
  readonly watchMs?: number | undefined;
  /** What is so when the run is stuck behind a forward step: the first sentence that is told. */
  readonly stuck?: ((progress: Progress, signal: AbortSignal) => string | Promise<string>) | undefined;
}

const WATCH_MS = 5_000;

/** So often may what others rest on break before the run is given up. */
const BREAKS_MAX = 3;

/**
 * Goes on with the open run, or begins one.
 * @throws ConfigError for flags that fit no step, a journal of another plan, or one that cannot be written any more.
 */
export async function runSaga(steps: readonly Step[], log: SagaLog, options: SagaOptions): Promise<Outcome> {
  demandPlan(steps);
  return stoppable(() => new Runner(steps, log, options).run());
}

/** `--undo`: takes back what the open run has changed, as long as that is possible. @throws as `runSaga`. */
export async function undoSaga(steps: readonly Step[], log: SagaLog, options: SagaOptions): Promise<Outcome> {
  demandPlan(steps);
  return stoppable(() => new Runner(steps, log, options).undo());
}

async function stoppable(work: () => Promise<Outcome>): Promise<Outcome> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Stopped) return { is: 'stopped', before: error.step, isAnswer: false };
    throw error;
  }
}

class Runner {
  readonly #steps: readonly Step[];
  readonly #log: SagaLog;
  readonly #options: SagaOptions;
  readonly #phases: Phases;
  #breaks = 0;
  #hasConfirmed = false;

  constructor(steps: readonly Step[], log: SagaLog, options: SagaOptions) {
    this.#steps = steps;
    this.#log = log;
    this.#options = options;
    this.#phases = new Phases(steps, log, options);
  }

  async run(): Promise<Outcome> {
    const { until: untilId, startAt: startId } = this.#options;
    const until = untilId === undefined ? undefined : stepNamed(this.#steps, untilId, '--until');
    const first = startId === undefined ? undefined : stepNamed(this.#steps, startId, '--start-at');
    if (this.#log.last?.end === 'done') return { is: 'done', wasDone: true };
    const isResumed = this.#demandSamePlan();
    const { turned } = this.#phases.progress;
    if (turned) return await this.#goOnUndoing(turned);
    // Before anybody is asked: what broke meanwhile has to be done again.
    const failure = isResumed ? await this.#checkHeld() : undefined;
    if (failure) return await this.#failed(failure);
    const steps = stepsUntil(this.#steps, until);
    const found = first && startAt(this.#steps, first, this.#phases.progress);
    const left = steps.filter((step) => found?.again.includes(step) || this.#isLeft(step, found));
    const next = left[0];
    // What cannot be taken back is asked about by itself, when it is about to begin.
    const isForward = next?.kind === 'forward';
    if (next && !isForward && !(await this.#agrees('begin', left, next))) return notAgreed(next);
    if (!isResumed) this.#log.begin(planText(this.#steps));
    if (first && found) await this.#startAt(first, found, isResumed);
    return await this.#loop(steps, until);
  }

  async undo(): Promise<Outcome> {
    const { last } = this.#log;
    // It may have been killed between its last word in the journal and its last word to whoever asks again.
    if (last?.end === 'undone') return { is: 'undone', wasUndone: true, failure: undefined, steps: [] };
    if (last === undefined || last.end !== undefined) {
      const why =
        last?.end === 'done' ? 'the migration is complete' : 'nothing of this migration has been begun';
      throw new ConfigError(`There is nothing to undo: ${why}`);
    }
    this.#demandSamePlan();
    const { progress } = this.#phases;
    if (progress.turned) return await this.#goOnUndoing(progress.turned);
    if (progress.isPastForward) {
      return await this.#stuck({
        step: '',
        title: '',
        why: 'a step that cannot be taken back was begun, so nothing is undone',
      });
    }
    const toUndo = stepsToUndo(this.#steps, progress);
    const [next] = toUndo;
    if (next && !(await this.#agrees('undo', toUndo, next))) return { ...notAgreed(next), isUndo: true };
    this.#noteCaveats();
    this.#phases.note('', 'turned');
    return await undoRun(this.#steps, this.#log, this.#phases, undefined);
  }

  async #loop(steps: readonly Step[], until: Step | undefined): Promise<Outcome> {
    this.#noteCaveats();
    for (;;) {
      const step = nextStep(steps, this.#phases.progress);
      if (!step) break;
      const came = await this.#step(step);
      if (came === 'not-agreed') return notAgreed(step);
      const failure =
        came === 'anew' ? undefined : await this.#checkRestsOn(step, came === 'done' ? undefined : came);
      if (failure) return await this.#failed(failure);
    }
    if (until && nextStep(this.#steps, this.#phases.progress)) return { is: 'until', step: until.id };
    this.#log.end('done');
    return { is: 'done', wasDone: false };
  }

  /** Once in a run: what was allowed at one time stays true of what was done then. */
  #noteCaveats(): void {
    for (const caveat of this.#options.caveats ?? []) {
      const isKnown = this.#log.entries.some(({ what, text }) => what === 'caveat' && text === caveat);
      if (!isKnown) this.#phases.note('', 'caveat', caveat);
    }
  }

  /** `anew`: something before it has to be done first. */
  async #step(step: Step): Promise<StepFailure | 'done' | 'anew' | 'not-agreed'> {
    if (this.#phases.progress.of(step.id).state === 'begun') {
      const effect = await this.#phases.effect(step, true);
      if (effect.is === 'shown') return 'done';
    }
    const checked = await this.#phases.check(step);
    if (checked.is === 'thrown' || checked.is === 'blocked') return failureOf(step, checked);
    if (checked.is === 'todo') {
      if (step.kind !== 'forward') return await this.#do(step);
      if (!(await this.#agreesForward(step))) return 'not-agreed';
      // An answer may take hours.
      const breaks = this.#breaks;
      const failure = await this.#checkHeld(checked.isUntouched ? step : undefined);
      return failure ?? (this.#breaks > breaks ? 'anew' : await this.#do(step));
    }
    const effect = await this.#phases.effect(step);
    return effect.is === 'shown' ? 'done' : failureOf(step, effect);
  }

  /** What is so counts: a call that failed may have acted, and one that went well may not. */
  async #do(step: Step): Promise<StepFailure | 'done'> {
    const thrown = await this.#phases.do(step);
    // Whoever waits for what takes time would wait for what never comes.
    if (thrown?.wasRefused) return failureOf(step, thrown);
    const effect = await this.#phases.effect(step);
    return effect.is === 'shown' ? 'done' : failureOf(step, thrown ?? effect);
  }

  /** A step that failed because what it rests on broke is no failure: it starts anew with that. */
  async #checkRestsOn(step: Step, failed?: StepFailure): Promise<StepFailure | undefined> {
    if ((step.restsOn ?? []).length === 0) return failed;
    const breaks = this.#breaks;
    const failure = await this.#checkHeld();
    return failure ?? (this.#breaks > breaks ? undefined : failed);
  }

  /** What broke is reset together with what rests on it. @returns a failure where it breaks again and again. */
  async #checkHeld(untouched?: Step): Promise<StepFailure | undefined> {
    for (const holder of holders(this.#steps, this.#phases.progress, untouched)) {
      const held = await this.#phases.held(holder);
      if (held.is === 'held') continue;
      this.#breaks += 1;
      if (this.#breaks > BREAKS_MAX)
        return failureOf(holder, { why: `its effect does not hold: ${held.why}` });
      for (const step of brokenWith(holder, this.#steps, this.#phases.progress)) {
        this.#phases.startAnew(step, held.why);
      }
      // It was given for what has to be done anew now.
      this.#hasConfirmed = false;
    }
    return undefined;
  }

  async #failed(failure: StepFailure): Promise<Outcome> {
    const { progress } = this.#phases;
    if (progress.isPastForward) return await this.#stuck(failure);
    if (!this.#steps.some(({ id, kind }) => kind === 'reversible' && progress.of(id).isOurs)) {
      this.#log.end('refused');
      return { is: 'refused', failure };
    }
    this.#phases.note(failure.step, 'turned', failure.why);
    return await undoRun(this.#steps, this.#log, this.#phases, failure);
  }

  async #stuck(failure: StepFailure): Promise<Outcome> {
    const { progress } = this.#phases;
    const first =
      (await this.#whatIsSo(failure)) ?? 'The migration is behind a step that cannot be taken back';
    const failed = this.#steps.find(({ id }) => id === failure.step);
    const passed = this.#steps.findLast(
      ({ id, kind }) => kind === 'forward' && progress.of(id).state !== 'fresh',
    );
    const ways = this.#phases.ways(failed?.ways ? failed : passed);
    return { is: 'stuck-forward', failure, first: this.#phases.safe(first), ways };
  }

  async #whatIsSo({ step }: StepFailure): Promise<string | undefined> {
    const { signal, stuck } = this.#options;
    try {
      return await stuck?.(this.#phases.progress, signal);
    } catch (error) {
      if (signal.aborted) throw new Stopped(step);
      throw error;
    }
  }

  async #goOnUndoing({ step, text }: { readonly step: string; readonly text: string }): Promise<Outcome> {
    const title = this.#steps.find(({ id }) => id === step)?.title ?? '';
    const failure = step === '' ? undefined : { step, title, why: text };
    return await undoRun(this.#steps, this.#log, this.#phases, failure);
  }

  /** @returns is a run open? */
  #demandSamePlan(): boolean {
    const { last } = this.#log;
    if (last === undefined || last.end !== undefined) return false;
    if (last.plan === planText(this.#steps)) return true;
    throw new ConfigError('The migration that was begun has other steps than this one', {
      hint: 'Go on with the same file and the same blobferry, or undo with those',
    });
  }

  #isLeft(step: Step, found: StartAt | undefined): boolean {
    if (found?.skipped.includes(step) || found?.proved.includes(step)) return false;
    return ['fresh', 'begun'].includes(this.#phases.progress.of(step.id).state);
  }

  /** Nothing need be asked where nothing is changed. */
  async #agrees(question: Question, steps: readonly Step[], next: Step): Promise<boolean> {
    if (isCovered(question, this.#options) || steps.every(({ kind }) => kind === 'read')) return true;
    return await this.#asked(question, steps, next);
  }

  /** Once for all that follow, in each run of the program: whoever agreed to the last one may not be there any more. */
  async #agreesForward(step: Step): Promise<boolean> {
    if (this.#hasConfirmed) return true;
    const isFlag = isCovered('forward', this.#options);
    const steps = this.#steps.slice(this.#steps.indexOf(step));
    if (!isFlag && !(await this.#asked('forward', steps, step))) return false;
    this.#phases.note(step.id, 'confirmed', isFlag ? 'by --yes-forward' : 'by an answer');
    this.#hasConfirmed = true;
    return true;
  }

  async #asked(question: Question, steps: readonly Step[], next: Step): Promise<boolean> {
    const { signal, ask } = this.#options;
    if (signal.aborted) throw new Stopped(next.id);
    const answered = new AbortController();
    const watching = this.#watch(AbortSignal.any([signal, answered.signal]));
    try {
      return await ask(question, steps);
    } catch (error) {
      if (signal.aborted) throw new Stopped(next.id);
      throw error;
    } finally {
      answered.abort();
      await watching;
    }
  }

  /** An answer may take hours, and what nobody watched meanwhile could not be shown to have held. */
  async #watch(until: AbortSignal): Promise<void> {
    const { watchMs = WATCH_MS } = this.#options;
    const run = this.#log.last;
    if (run === undefined || run.end !== undefined) return;
    while (!until.aborted) {
      await pause(watchMs, until).catch(() => undefined);
      if (until.aborted) return;
      for (const { id } of holders(this.#steps, this.#phases.progress)) {
        await this.#phases.watch(id).catch(() => undefined);
      }
    }
  }

  async #startAt(first: Step, found: StartAt, isResumed: boolean): Promise<void> {
    for (const step of found.proved) {
      const checked = await this.#phases.check(step);
      const effect = checked.is === 'done' ? await this.#phases.effect(step) : checked;
      if (effect.is === 'shown') continue;
      if (!isResumed) this.#log.end('refused');
      const why = 'why' in effect ? `: ${effect.why}` : '';
      throw new ConfigError(
        `--start-at ${first.id} leaves out "${step.title}", which is not shown to be done${why}`,
        {
          hint: 'Run without --start-at',
        },
      );
    }
    for (const step of found.skipped) this.#phases.note(step.id, 'skipped', `--start-at ${first.id}`);
    for (const step of found.again) this.#phases.startAnew(step, `--start-at ${first.id}`);
  }
}

function notAgreed(next: Step): Extract<Outcome, { readonly is: 'stopped' }> {
  return { is: 'stopped', before: next.id, isAnswer: true };
}

function failureOf({ id, title }: Step, { why, hint }: Omit<Thrown, 'is'>): StepFailure {
  return { step: id, title, why, ...(hint === undefined ? {} : { hint }) };
}
