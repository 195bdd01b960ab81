/** Follows a migration by its journal and its calls, and kills it at one moment. */
import { setImmediate as turn } from 'node:timers/promises';
import type { Gate, WorldCall } from '../../support/msr/migrate-world.ts';
import type { Moment, Seen, SeenCall } from './moments.ts';

/** One run of the program. */
interface Run {
  readonly moment: Moment | undefined;
  readonly kill: AbortController;
  readonly ended: PromiseWithResolvers<void>;
  isOver: boolean;
}

export interface KillRun {
  readonly signal: AbortSignal;
  readonly onLine: (line: string) => void;
  /** Call it when the process is gone. */
  over(): void;
}

/** Makes the next container with this command wait for the promise once it runs. */
type HoldContainer = (command: string, until: Promise<unknown>, onHeld: () => void) => void;

export class Watcher implements Gate {
  readonly #lines: [string, string][] = [];
  readonly #calls: SeenCall[] = [];
  /** `step what` of this world, whatever run it was. */
  readonly #shown = new Set<string>();
  readonly #holdContainer: HoldContainer;
  #run: Run | undefined;
  #step = '';
  #phase = '';
  #met = 0;
  #release: (() => void) | undefined;

  constructor(holdContainer: HoldContainer) {
    this.#holdContainer = holdContainer;
  }

  get seen(): Seen {
    return { lines: this.#lines, calls: this.#calls };
  }

  /** Was this entry ever made in this world? */
  hasSeen(step: string, what: string): boolean {
    return this.#shown.has(`${step} ${what}`);
  }

  begin(moment: Moment | undefined): KillRun {
    const run: Run = { moment, kill: new AbortController(), ended: Promise.withResolvers(), isOver: false };
    this.#run = run;
    this.#step = '';
    this.#phase = '';
    this.#met = 0;
    return {
      signal: run.kill.signal,
      onLine: (line) => this.#hear(line),
      over: () => {
        run.isOver = true;
        run.ended.resolve();
      },
    };
  }

  /** A container that runs on ends. */
  release(): void {
    this.#release?.();
    this.#release = undefined;
  }

  async asked({ to, call }: WorldCall): Promise<boolean> {
    const run = await this.#current();
    if (!run) return false;
    const what = shortOf(to, call);
    if (what === 'docker wait') this.release();
    if (run.kill.signal.aborted) return await this.#neverMind(run);
    const moment = this.#momentOf(what, ['asked', 'acting', 'answered']);
    const [step, phase, visit] = [this.#step, this.#phase, this.#lines.length];
    this.#calls.push({ step, phase, visit, call: what, isChange: isChange(to, call) });
    if (!moment) return true;
    this.#met += 1;
    if (this.#met <= moment.skip) return true;
    if (moment.when === 'asked') {
      run.kill.abort();
      return await this.#neverMind(run);
    }
    if (moment.when === 'acting') {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#release = resolve;
      this.#holdContainer(what.replace('docker run ', ''), promise, () => run.kill.abort());
    }
    return true;
  }

  async answered({ to, call }: WorldCall): Promise<boolean> {
    const run = this.#run;
    if (!run || run.isOver) return false;
    if (run.kill.signal.aborted) return await this.#neverMind(run);
    if (!this.#momentOf(shortOf(to, call), ['answered']) || this.#met <= (run.moment?.skip ?? 0)) return true;
    run.kill.abort();
    return await this.#neverMind(run);
  }

  /** Undefined: nothing runs, and what still comes is from the dead. */
  async #current(): Promise<Run | undefined> {
    // What it had written before it called lies in the pipe already.
    await turn();
    await turn();
    const run = this.#run;
    return run === undefined || run.isOver ? undefined : run;
  }

  async #neverMind(run: Run): Promise<false> {
    await run.ended.promise;
    return false;
  }

  #momentOf(call: string, when: readonly Moment['when'][]): Moment | undefined {
    const moment = this.#run?.moment;
    if (!moment || !when.includes(moment.when) || moment.what !== call) return undefined;
    return moment.step === this.#step && moment.phase === this.#phase ? moment : undefined;
  }

  #hear(line: string): void {
    const [, step = '', what = ''] = /"event":"step".*?"step":"([^"]*)","what":"([^"]*)"/.exec(line) ?? [];
    if (what === '') return;
    this.#lines.push([step, what]);
    this.#shown.add(`${step} ${what}`);
    this.#step = step;
    // What is called behind a phase belongs to its step, and to none of its phases.
    this.#phase = what.endsWith('-begun') ? what.slice(0, -'-begun'.length) : '';
    this.#met = 0;
    const moment = this.#run?.moment;
    if (moment?.when === 'line' && moment.step === step && moment.what === what) this.#run?.kill.abort();
  }
}

/** Without what differs from run to run. */
function shortOf(to: WorldCall['to'], call: string): string {
  if (to === 'docker') return call;
  const [method = '', url = ''] = call.split(' ');
  const [path = '', query = ''] = url.split('?');
  if (to === 's3') return `s3 ${method} ${/list-type|uploads/.test(query) ? 'a list' : 'an object'}`;
  const plain = path
    .replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '*')
    .replace(/^(\/v2\/).*\/(\w+)\/[^/]*$/, '$1*/$2/*');
  return `${method} ${plain}`;
}

function isChange(to: WorldCall['to'], call: string): boolean {
  if (to === 'docker') return /^docker (run|rm)/.test(call);
  return !/^(GET|HEAD) /.test(call);
}
