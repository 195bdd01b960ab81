/** Runs one phase of one step: in the journal before it and after it, and whatever it throws turned into a record. */
import { BlobferryError } from '../../core/errors.ts';
import { withoutSecrets } from '../../drivers/http/said.ts';
import { type Progress, progressOf } from './progress.ts';
import type { Entry, Json, RunRecord, SagaLog, What } from './saga-log.ts';
import type { Checked, Effect, Held, Step, StepContext, StepMemory, Ways } from './step.ts';

/** The user stopped the run: nothing more is begun, nothing is undone, and the next run goes on from here. */
export class Stopped extends Error {
  /** Id of the step that was not begun, or not ended. */
  readonly step: string;

  constructor(step: string) {
    super('Stopped by the user');
    this.name = 'Stopped';
    this.step = step;
  }
}

export interface PhasesOptions {
  readonly signal: AbortSignal;
  readonly onEntry?: ((entry: Entry) => void) | undefined;
  /** What must never get into the journal. */
  readonly secrets?: (() => Iterable<string>) | undefined;
}

/** A phase that threw. */
export interface Thrown {
  readonly is: 'thrown';
  readonly why: string;
  readonly hint?: string;
  /** It was refused: nothing will come of it, however long one looks. */
  readonly wasRefused?: true;
}

type PhaseName = 'check' | 'do' | 'effect' | 'held' | 'undo' | 'undone';

const TEXT_UNITS_MAX = 2_000;
/** A word this short would black out half of every sentence, and is no secret. */
const SECRET_UNITS_MIN = 4;

export class Phases {
  readonly #steps: readonly Step[];
  readonly #log: SagaLog;
  readonly #options: PhasesOptions;

  constructor(steps: readonly Step[], log: SagaLog, options: PhasesOptions) {
    this.#steps = steps;
    this.#log = log;
    this.#options = options;
  }

  get progress(): Progress {
    return progressOf(this.#steps, this.#log.last?.end === undefined ? this.#log.entries : []);
  }

  get run(): RunRecord {
    const { last } = this.#log;
    if (last?.end !== undefined || last === undefined) throw new TypeError('No run is open');
    return last;
  }

  note(step: string, what: What, text = ''): void {
    const entry = this.#entry(step, what, text);
    this.#log.append(entry);
    this.#options.onEntry?.(entry);
  }

  startAnew(step: Step, why: string): void {
    const entry = this.#entry(step.id, 'reset', why);
    this.#log.reset(entry);
    this.#options.onEntry?.(entry);
  }

  async check(step: Step): Promise<Checked | Thrown> {
    const checked = await this.#phase(step, 'check', () => step.check(this.#context(step)));
    if (checked.is === 'blocked') this.note(step.id, 'check-blocked', sentences(checked));
    else if (checked.is !== 'thrown') this.note(step.id, `check-${checked.is}`);
    return checked;
  }

  /** @returns undefined when it went well. */
  async do(step: Step): Promise<Thrown | undefined> {
    const done = await this.#phase(step, 'do', () => step.do(this.#context(step)));
    if (done?.is === 'thrown') return done;
    this.note(step.id, 'do-ended');
    return undefined;
  }

  /** @param isGlance nothing is waited for. */
  async effect(step: Step, isGlance = false): Promise<Effect | Thrown> {
    return this.#seen(step, 'effect', () => step.effect({ ...this.#context(step), isGlance }));
  }

  async held(step: Step): Promise<Held> {
    const held = await this.#phase<Held>(step, 'held', () => this.#look(step));
    // Where nobody can say that it held, it is taken to have broken.
    if (held.is === 'thrown') return { is: 'unknown', why: held.why };
    this.note(step.id, `held-${held.is}`, held.is === 'held' ? '' : held.why);
    return held;
  }

  /** The same as one look of many, of which the journal says nothing: what it finds is kept by the step itself. */
  async watch(id: string): Promise<Held> {
    const step = this.#steps.find((one) => one.id === id);
    if (!step) throw new TypeError(`There is no step "${id}"`);
    try {
      return this.#safely(await this.#look(step));
    } catch (error) {
      if (this.#options.signal.aborted) throw new Stopped(id);
      return { is: 'unknown', why: this.#thrown(error).why };
    }
  }

  async undo(step: Step): Promise<Thrown | undefined> {
    const undone = await this.#phase(step, 'undo', async () => step.undo?.(this.#context(step)));
    if (undone?.is === 'thrown') return undone;
    this.note(step.id, 'undo-ended');
    return undefined;
  }

  /** @param isGlance nothing is waited for. */
  async undone(step: Step, isGlance = false): Promise<Effect | Thrown> {
    const nothing: Effect = { is: 'missing', why: 'the step cannot be undone' };
    const ctx = { ...this.#context(step), isGlance };
    return this.#seen(step, 'undone', async () => (await step.undone?.(ctx)) ?? nothing);
  }

  ways(step: Step | undefined): Ways {
    const none: Ways = { forward: [], back: [] };
    try {
      const ways = step?.ways?.(this.#context(step)) ?? none;
      const plain = (lines: readonly string[]) => lines.map((line) => this.safe(line));
      return { forward: plain(ways.forward), back: plain(ways.back) };
    } catch {
      // What to do by hand is in the manual too; what went wrong before is the news.
      return none;
    }
  }

  /** Without secrets. */
  safe(text: string): string {
    return withoutSecrets(text, this.#secrets(), '***');
  }

  async #look(step: Step): Promise<Held> {
    if (step.held) return await step.held(this.#context(step));
    const effect = await step.effect(this.#context(step));
    return effect.is === 'shown' ? { is: 'held' } : { is: 'lost', why: effect.why };
  }

  async #seen(step: Step, name: 'effect' | 'undone', call: () => Promise<Effect>): Promise<Effect | Thrown> {
    const effect = await this.#phase(step, name, call);
    if (effect.is === 'shown') this.note(step.id, `${name}-shown`, effect.evidence);
    else if (effect.is === 'missing') this.note(step.id, `${name}-missing`, sentences(effect));
    return effect;
  }

  async #phase<T>(step: Step, name: PhaseName, call: () => Promise<T>): Promise<T | Thrown> {
    const { signal } = this.#options;
    if (signal.aborted) throw new Stopped(step.id);
    this.note(step.id, `${name}-begun`);
    try {
      return this.#safely(await call());
    } catch (error) {
      // It stays begun in the journal: the next run looks at what came of it.
      if (signal.aborted) throw new Stopped(step.id);
      const thrown = this.#thrown(error);
      this.note(step.id, `${name}-failed`, sentences(thrown));
      return thrown;
    }
  }

  /** What a step says of itself goes to people and into reports, as it goes into the journal. */
  #safely<T>(said: T): T {
    if (typeof said !== 'object' || said === null) return said;
    const texts = Object.entries(said).map(([name, text]) => [
      name,
      typeof text === 'string' ? this.safe(text) : text,
    ]);
    return Object.fromEntries(texts) as T;
  }

  #thrown(error: unknown): Thrown {
    const why = this.safe(error instanceof Error ? error.message : String(error));
    const hint =
      error instanceof BlobferryError && error.hint !== undefined ? this.safe(error.hint) : undefined;
    const wasRefused =
      error instanceof BlobferryError && 'mayHaveActed' in error && error.mayHaveActed === false;
    return {
      is: 'thrown',
      why,
      ...(hint === undefined ? {} : { hint }),
      ...(wasRefused ? { wasRefused } : {}),
    };
  }

  #entry(step: string, what: What, text: string): Entry {
    const said = this.safe(text);
    const short = said.length > TEXT_UNITS_MAX ? `${said.slice(0, TEXT_UNITS_MAX)}…` : said;
    return { atMs: Date.now(), step, what, text: short };
  }

  #context(step: Step): StepContext {
    return {
      signal: this.#options.signal,
      run: this.run.id,
      attempt: this.progress.of(step.id).attempt,
      isGlance: false,
      memory: this.#memory(step.id),
      memoryOf: (other) => ({ get: (name) => this.#log.get(other, name) }),
      heldOf: (other) => this.watch(other),
    };
  }

  #memory(step: string): StepMemory {
    const get = (name: string): Json | undefined => this.#log.get(step, name);
    const put = (name: string, value: Json, isFirst: boolean): void => {
      const text = JSON.stringify(value);
      const held = this.#secrets().some((secret) => text.includes(JSON.stringify(secret).slice(1, -1)));
      if (held) throw new TypeError(`The step "${step}" would keep a secret in the journal as "${name}"`);
      this.#log.put(step, name, value, isFirst);
    };
    return {
      get,
      keep: (name, value) => put(name, value, false),
      keepFirst: (name, value) => {
        const first = get(name);
        if (first !== undefined) return first;
        put(name, value, true);
        return value;
      },
    };
  }

  #secrets(): readonly string[] {
    return [...(this.#options.secrets?.() ?? [])].filter((secret) => secret.length >= SECRET_UNITS_MIN);
  }
}

function sentences({ why, hint }: { readonly why: string; readonly hint?: string }): string {
  return hint === undefined ? why : `${why}. ${hint}`;
}
