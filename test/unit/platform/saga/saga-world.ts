/** A world with switches that the steps of a saga turn, faults for each of them, and a process that can die anywhere. */
import assert from 'node:assert/strict';
import type { Outcome } from '../../../../src/platform/saga/outcome.ts';
import { runSaga, type SagaOptions, undoSaga } from '../../../../src/platform/saga/saga.ts';
import type { SagaLog } from '../../../../src/platform/saga/saga-log.ts';
import type {
  Checked,
  Effect,
  Held,
  Step,
  StepContext,
  StepKind,
} from '../../../../src/platform/saga/step.ts';
import { MemoryLog } from './memory-log.ts';

/** `late`: it is given up on, and acts when nobody looks any more, unless something newer overrules it. */
export type DoFault = 'ok' | 'throws-before' | 'throws-after' | 'silent' | 'late';
export type LookFault = 'ok' | 'blocked' | 'throws';

export interface StepSpec {
  readonly id: string;
  readonly kind: StepKind;
  readonly isOptional?: true;
  readonly restsOn?: readonly string[];
  /** Somebody has done it before. */
  readonly isSet?: boolean;
  /** One for each call, then all is well. */
  readonly do?: readonly DoFault[];
  readonly check?: readonly LookFault[];
  readonly effect?: readonly LookFault[];
  readonly undo?: readonly DoFault[];
}

export class Killed extends Error {}

interface Switch {
  value: boolean;
  pending: boolean | undefined;
  readonly faults: {
    readonly do: DoFault[];
    readonly check: LookFault[];
    readonly effect: LookFault[];
    readonly undo: DoFault[];
  };
}

const SECRET = 'the-secret-of-msr';

export class SagaWorld {
  readonly specs: readonly StepSpec[];
  readonly log = new MemoryLog(() => this.tick());
  /** `do a`, `undo a` … in their order. */
  readonly calls: string[] = [];
  readonly outcomes: Outcome[] = [];
  readonly #switches: ReadonlyMap<string, Switch>;
  /** What was so when the run began. */
  #before = new Map<string, boolean>();
  /** How often what others rest on was broken by somebody. */
  breaks = 0;
  /** Breaks so far when the last attempt of a step began. */
  readonly #restedAt = new Map<string, number>();
  #ticks = 0;
  #killAt = Number.POSITIVE_INFINITY;
  #isDead = false;
  #hasAgreed = false;
  /** Called at each tick: tests do what others do meanwhile. */
  onTick: (tick: number) => void = () => undefined;

  constructor(specs: readonly StepSpec[]) {
    this.specs = specs;
    this.#switches = new Map(
      specs.map((spec) => [
        spec.id,
        {
          value: spec.isSet === true,
          pending: undefined,
          faults: {
            do: [...(spec.do ?? [])],
            check: [...(spec.check ?? [])],
            effect: [...(spec.effect ?? [])],
            undo: [...(spec.undo ?? [])],
          },
        },
      ]),
    );
  }

  /** One run of the program. @returns undefined where it was killed. */
  async process(
    given: Partial<SagaOptions> & { readonly killAt?: number | undefined; readonly isUndo?: boolean } = {},
  ): Promise<Outcome | undefined> {
    const { killAt, isUndo, ask = async () => true, ...options } = given;
    this.#ticks = 0;
    this.#killAt = killAt ?? Number.POSITIVE_INFINITY;
    this.#isDead = false;
    this.#hasAgreed = options.yesForward === true;
    const { last } = this.log;
    if (last === undefined || last.end !== undefined) {
      this.#before = new Map([...this.#switches].map(([id, { value }]) => [id, value]));
    }
    try {
      const outcome = await (isUndo ? undoSaga : runSaga)(this.steps(this.log), this.log, {
        signal: new AbortController().signal,
        yes: false,
        yesForward: false,
        secrets: () => [SECRET],
        ...options,
        ask: async (question, steps) => {
          this.tick();
          const answer = await ask(question, steps);
          if (question === 'forward') this.#hasAgreed ||= answer;
          return answer;
        },
      });
      this.outcomes.push(outcome);
      this.#judge(outcome);
      return outcome;
    } catch (error) {
      if (error instanceof Killed) return undefined;
      throw error;
    } finally {
      this.#isDead = true;
      // No write may follow the end of a process.
    }
  }

  get ticks(): number {
    return this.#ticks;
  }

  value(id: string): boolean {
    return this.#switch(id).value;
  }

  /** Somebody else does. */
  set(id: string, value: boolean): void {
    this.#switch(id).value = value;
    this.#before.set(id, value);
  }

  /** Somebody lifts what others rest on, and perhaps puts it back; behind a forward step it is over with resting. */
  break(id: string, isBack: boolean): void {
    if (this.#hasActed) return;
    this.breaks += 1;
    if (!isBack && this.value(id)) this.set(id, false);
  }

  steps(log: SagaLog): readonly Step[] {
    return this.specs.map((spec) => this.#step(spec, log));
  }

  tick(): void {
    if (this.#isDead) throw new Killed('after the end');
    this.#ticks += 1;
    this.onTick(this.#ticks);
    if (this.#ticks < this.#killAt) return;
    this.#isDead = true;
    throw new Killed(`at ${this.#ticks}`);
  }

  #step(spec: StepSpec, log: SagaLog): Step {
    const { id, kind, isOptional, restsOn } = spec;
    const one = this.#switch(id);
    const isThere = (ctx: StepContext): boolean =>
      kind === 'read' ? ctx.memory.get('seen') === true : one.value;
    const undoing =
      kind !== 'reversible'
        ? {}
        : {
            undo: async (ctx: StepContext): Promise<void> => {
              assert.ok(
                log.entries.some(({ what }) => what === 'turned'),
                `${id} is undone without a word`,
              );
              this.#demandNoted(id, 'undo-begun');
              this.calls.push(`undo ${id}`);
              this.#act(one, one.faults.undo.shift(), ctx.memory.get('before') === true, () => undefined);
            },
            undone: async (ctx: StepContext): Promise<Effect> => {
              this.tick();
              const before = ctx.memory.get('before');
              const isBack = before === undefined || one.value === before;
              return isBack
                ? { is: 'shown', evidence: `${id} is back` }
                : { is: 'missing', why: `${id} is not back` };
            },
          };
    return {
      id,
      title: `Step ${id}`,
      changes: `Turns ${id}`,
      kind,
      ...(isOptional ? { isOptional } : {}),
      ...(restsOn ? { restsOn } : {}),
      check: async (ctx): Promise<Checked> => {
        this.tick();
        const fault = one.faults.check.shift();
        if (fault === 'throws') throw new Error(`${id} cannot be checked with ${SECRET}`);
        if (fault === 'blocked') return { is: 'blocked', why: `${id} is blocked`, hint: `ask ${SECRET}` };
        if (isThere(ctx)) return { is: 'done' };
        return {
          is: 'todo',
          ...(kind === 'forward' && one.pending === undefined ? { isUntouched: true } : {}),
        };
      },
      do: async (ctx): Promise<void> => {
        this.#demandNoted(id, 'do-begun');
        assert.equal(isThere(ctx), false, `${id} is done twice`);
        if (kind === 'forward') this.#demandForward(id);
        this.calls.push(`do ${id}`);
        this.#restedAt.set(id, this.breaks);
        if (kind === 'reversible') ctx.memory.keepFirst('before', one.value);
        this.#act(one, one.faults.do.shift(), true, () => {
          if (kind === 'read') ctx.memory.keep('seen', true);
        });
      },
      effect: async (ctx): Promise<Effect> => {
        this.tick();
        const fault = one.faults.effect.shift();
        if (fault === 'throws') throw new Error(`${id} cannot be seen with ${SECRET}`);
        if (!isThere(ctx) || fault === 'blocked') return { is: 'missing', why: `${id} is not there` };
        ctx.memory.keep('epoch', this.breaks);
        return { is: 'shown', evidence: `${id} is there, says ${SECRET}` };
      },
      held: async (ctx): Promise<Held> => {
        this.tick();
        if (!isThere(ctx)) return { is: 'lost', why: `${id} is not there any more` };
        return ctx.memory.get('epoch') === this.breaks
          ? { is: 'held' }
          : { is: 'unknown', why: `${id} may have been away` };
      },
      ways: () => ({ forward: [`finish ${id} ${SECRET}`], back: [`take back ${id}`] }),
      ...undoing,
    };
  }

  #act(one: Switch, fault: DoFault | undefined, value: boolean, more: () => void): void {
    this.tick();
    if (fault === 'throws-before') throw new Error('refused');
    // What is newer overrules what is still on its way.
    one.pending = undefined;
    if (fault === 'silent') return;
    if (fault === 'late') {
      one.pending = value;
      throw new Error('no answer');
    }
    one.value = value;
    more();
    this.tick();
    if (fault === 'throws-after') throw new Error('the answer is lost');
  }

  #demandNoted(id: string, what: string): void {
    this.tick();
    const last = this.log.entries.at(-1);
    assert.deepEqual([last?.step, last?.what], [id, what], 'the journal does not know what is being done');
  }

  #demandForward(id: string): void {
    assert.ok(this.#hasAgreed, `${id} is done without anybody having agreed`);
    if (this.#hasActed) return;
    for (const { id: rested, restsOn } of this.specs) {
      if (!restsOn) continue;
      assert.equal(this.#restedAt.get(rested), this.breaks, `${rested} rests on what was broken`);
    }
  }

  /** What must be so for each way to end. */
  #judge(outcome: Outcome): void {
    const reversible = this.specs.filter(({ kind }) => kind === 'reversible');
    if (outcome.is === 'undone' || outcome.is === 'refused') {
      for (const { id } of reversible) {
        const one = this.#switch(id);
        assert.equal(one.pending ?? one.value, this.#before.get(id), `${id} is not as it was`);
      }
    }
    if (outcome.is === 'done') {
      for (const { id, kind } of this.specs) {
        if (kind !== 'read') assert.ok(this.#switch(id).value, `${id} is not done`);
      }
    }
    const hasForward = this.#isPastForward;
    assert.equal(outcome.is === 'stuck-forward' ? hasForward : true, true, 'stuck before any forward step');
    if (['undone', 'not-undone', 'refused'].includes(outcome.is)) assert.equal(hasForward, false, outcome.is);
    assert.doesNotMatch(JSON.stringify([outcome, this.log.all]), new RegExp(SECRET));
  }

  /** Has anything come of a forward step, or may it? */
  get #hasActed(): boolean {
    const forward = this.specs.filter(({ kind }) => kind === 'forward').map(({ id }) => this.#switch(id));
    return forward.some(({ value, pending }) => value || pending !== undefined);
  }

  get #isPastForward(): boolean {
    return this.log.entries.some(
      ({ step, what }) =>
        (what === 'do-begun' || what === 'effect-shown') && this.#spec(step).kind === 'forward',
    );
  }

  #spec(id: string): StepSpec {
    const spec = this.specs.find((one) => one.id === id);
    assert.ok(spec, id);
    return spec;
  }

  #switch(id: string): Switch {
    const one = this.#switches.get(id);
    assert.ok(one, id);
    return one;
  }
}

/** Each end of a phase follows its beginning, each do a look that found it to be done, each undo the word to undo. */
export function demandOrder(log: MemoryLog): void {
  for (const run of log.runs) {
    const entries = log.all.filter((one) => one.run === run.id).map(({ entry }) => entry);
    let isTurned = false;
    for (const [at, { step, what }] of entries.entries()) {
      const [phase = '', end] = what.split('-');
      const before = entries[at - 1];
      if (what === 'turned') isTurned = true;
      if (end === 'begun') assert.equal(isTurned, phase.startsWith('undo'), `${what} of ${step}`);
      if (end !== undefined && end !== 'begun') {
        assert.deepEqual([before?.step, before?.what], [step, `${phase}-begun`], `${what} of ${step}`);
      }
      if (what !== 'do-begun') continue;
      const looked = entries
        .slice(0, at)
        .findLast((one) => one.step === step && one.what.startsWith('check-'));
      assert.equal(looked?.what, 'check-todo', `${step} is done without a look`);
    }
  }
}
