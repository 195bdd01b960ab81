import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../../src/core/errors.ts';
import { exitCodeOfOutcome, type Outcome } from '../../../../src/platform/saga/outcome.ts';
import type { Question } from '../../../../src/platform/saga/plan.ts';
import { runSaga, type SagaOptions } from '../../../../src/platform/saga/saga.ts';
import type { Entry } from '../../../../src/platform/saga/saga-log.ts';
import type { Step } from '../../../../src/platform/saga/step.ts';
import { MemoryLog } from './memory-log.ts';
import { Killed, SagaWorld, type StepSpec } from './saga-world.ts';

/** As a migration: crons away, a live pass, read-only, the final pass that rests on it, a switch, restore, and behind. */
const STEPS: readonly StepSpec[] = [
  { id: 'preflight', kind: 'read' },
  { id: 'crons', kind: 'reversible' },
  { id: 'live', kind: 'read', isOptional: true },
  { id: 'read-only', kind: 'reversible' },
  { id: 'final', kind: 'read', restsOn: ['read-only'] },
  { id: 'switch', kind: 'reversible' },
  { id: 'restore', kind: 'forward' },
  { id: 'pull', kind: 'read' },
  { id: 'writable', kind: 'forward' },
];

function world(changed: Readonly<Record<string, Partial<StepSpec>>> = {}): SagaWorld {
  return new SagaWorld(STEPS.map((spec) => ({ ...spec, ...changed[spec.id] })));
}

const YES = { yes: true, yesForward: true };
const DONE = STEPS.map(({ id }) => `do ${id}`);

/** The outcome, which is of this kind. */
function as<K extends Outcome['is']>(
  outcome: Outcome | undefined,
  is: K,
): Extract<Outcome, { readonly is: K }> {
  assert.equal(outcome?.is, is, JSON.stringify(outcome));
  return outcome as Extract<Outcome, { readonly is: K }>;
}

describe('runSaga()', () => {
  it('does every step once, in order, and tells what the journal is told', async () => {
    const told: Entry[] = [];
    const one = world();
    as(await one.process({ ...YES, onEntry: (entry) => told.push(entry) }), 'done');
    assert.deepEqual(one.calls, DONE);
    assert.deepEqual(told, one.log.entries);
    assert.deepEqual(
      told.filter(({ step }) => step === 'crons').map(({ what }) => what),
      ['check-begun', 'check-todo', 'do-begun', 'do-ended', 'effect-begun', 'effect-shown'],
    );
  });

  it('does nothing again once the migration is complete', async () => {
    const one = world();
    await one.process(YES);
    assert.equal(as(await one.process(), 'done').wasDone, true);
    assert.deepEqual(one.calls, DONE);
  });

  it('leaves alone what others have done, and does not take it back either', async () => {
    const one = world({ crons: { isSet: true }, switch: { do: ['throws-before'] } });
    assert.deepEqual(as(await one.process(YES), 'undone').steps, ['switch', 'read-only']);
    assert.deepEqual([one.value('crons'), one.value('read-only')], [true, false]);
    assert.ok(!one.calls.includes('do crons') && !one.calls.includes('undo crons'));
  });

  it('believes what is so: an answer that was lost is no failure, and one without effect is', async () => {
    as(await world({ 'read-only': { do: ['throws-after'] } }).process(YES), 'done');
    const { failure } = as(await world({ 'read-only': { do: ['silent'] } }).process(YES), 'undone');
    assert.equal(failure?.why, 'read-only is not there');
  });

  it('refuses where nothing was changed yet, and then begins anew', async () => {
    const one = world({ preflight: { check: ['blocked'] } });
    const { failure } = as(await one.process(YES), 'refused');
    assert.deepEqual(failure, {
      step: 'preflight',
      title: 'Step preflight',
      why: 'preflight is blocked',
      hint: 'ask ***',
    });
    as(await one.process(YES), 'done');
    assert.deepEqual(
      one.log.runs.map(({ end }) => end),
      ['refused', 'done'],
    );
  });

  it('does not go on with the run of another plan', async () => {
    const one = world();
    await one.process({ ...YES, until: 'crons' });
    const fewer = new SagaWorld(STEPS.slice(1));
    await assert.rejects(
      runSaga(fewer.steps(one.log), one.log, optionsOf()),
      /has other steps than this one/,
    );
  });

  it('names secrets neither in the journal nor in what it says, and lets no step keep one', async () => {
    const one = world({ preflight: { check: ['throws'] } });
    const { why } = as(await one.process(YES), 'refused').failure;
    assert.equal(why, 'preflight cannot be checked with ***');
    const log = new MemoryLog();
    const step: Step = {
      ...plain('keeper'),
      do: async ({ memory }) => memory.keep('settings', { password: 'hun"ter' }),
    };
    const outcome = await runSaga([step], log, { ...optionsOf(), secrets: () => ['hun"ter'] });
    assert.match(as(outcome, 'refused').failure.why, /would keep a secret in the journal as "settings"/);
  });
});

describe('a step that fails before any forward step', () => {
  it('is undone with all that came before it, the last first', async () => {
    const one = world({ switch: { do: ['throws-after'], effect: ['blocked'] } });
    const outcome = as(await one.process(YES), 'undone');
    assert.equal(exitCodeOfOutcome(outcome), 4);
    assert.deepEqual(outcome.steps, ['switch', 'read-only', 'crons']);
    assert.deepEqual(one.calls.slice(-3), ['undo switch', 'undo read-only', 'undo crons']);
    assert.deepEqual(outcome.failure, { step: 'switch', title: 'Step switch', why: 'the answer is lost' });
  });

  it('is undone also when it only reads', async () => {
    const one = world({ final: { do: ['throws-before'] } });
    assert.deepEqual(as(await one.process(YES), 'undone').steps, ['read-only', 'crons']);
  });

  it('is overruled even where it seems to have done nothing, as it may act late', async () => {
    const one = world({ 'read-only': { do: ['late'] } });
    as(await one.process(YES), 'undone');
    assert.ok(one.calls.includes('undo read-only'));
  });

  it('is not taken for undone where it may act late and the undo was refused', async () => {
    const one = world({ 'read-only': { do: ['late'], undo: ['throws-before'] } });
    const outcome = as(await one.process(YES), 'not-undone');
    assert.deepEqual([outcome.undo.why, outcome.remaining], ['refused', ['crons']]);
    as(await one.process(YES), 'undone');
  });

  it('stops undoing where one undo is not shown, says what is left, and goes on there', async () => {
    const one = world({
      switch: { effect: ['blocked'] },
      'read-only': { undo: ['silent', 'throws-before'] },
    });
    const outcome = as(await one.process(YES), 'not-undone');
    assert.equal(exitCodeOfOutcome(outcome), 5);
    assert.deepEqual(outcome.remaining, ['crons']);
    assert.deepEqual([outcome.undo.step, outcome.undo.why], ['read-only', 'read-only is not back']);
    assert.deepEqual(outcome.ways.back, ['take back read-only']);
    assert.deepEqual([one.value('read-only'), one.value('crons')], [true, true]);
    const again = as(await one.process(YES), 'not-undone');
    assert.equal(again.undo.why, 'refused');
    assert.equal(again.failure?.why, 'switch is not there');
    assert.equal(exitCodeOfOutcome(as(await one.process(YES), 'undone')), 4);
    assert.deepEqual([one.value('read-only'), one.value('crons')], [false, false]);
    as(await one.process(YES), 'done');
  });

  it('only looks at an undo that was done when the program ended', async () => {
    const one = world({ switch: { effect: ['blocked'] } });
    one.onTick = () => {
      const last = one.log.entries.at(-1);
      if (last?.step === 'switch' && last.what === 'undone-begun') throw new Killed();
    };
    assert.equal(await one.process(YES), undefined);
    one.onTick = () => undefined;
    as(await one.process(YES), 'undone');
    assert.equal(one.calls.filter((call) => call === 'undo switch').length, 1);
  });
});

describe('a step that fails behind a forward step', () => {
  it('undoes nothing, and says what is so and both ways', async () => {
    const one = world({ pull: { do: ['throws-before'] } });
    const outcome = as(
      await one.process({ ...YES, stuck: () => 'The registry is read-only' }),
      'stuck-forward',
    );
    assert.equal(exitCodeOfOutcome(outcome), 5);
    assert.equal(outcome.first, 'The registry is read-only');
    assert.deepEqual(outcome.ways, { forward: ['finish pull ***'], back: ['take back pull'] });
    assert.ok(!one.calls.some((call) => call.startsWith('undo')));
    as(await one.process(YES), 'done');
    assert.deepEqual(one.calls, [...DONE.slice(0, -1), 'do pull', 'do writable']);
  });

  it('may be the forward step itself, from the moment it was begun', async () => {
    const one = world({ restore: { do: ['throws-before'] } });
    as(await one.process(YES), 'stuck-forward');
    const blocked = world({ restore: { check: ['blocked'] } });
    as(await blocked.process(YES), 'undone');
  });

  it('is not undone when asked either', async () => {
    const one = world({ restore: { do: ['throws-after'] }, pull: { check: ['blocked'] } });
    as(await one.process(YES), 'stuck-forward');
    const outcome = as(await one.process({ ...YES, isUndo: true }), 'stuck-forward');
    assert.match(outcome.failure.why, /nothing is undone/);
    assert.deepEqual(outcome.ways.back, ['take back restore']);
    assert.ok(one.value('read-only'));
  });
});

describe('what others rest on', () => {
  it('makes them start anew with it when it broke while the program was away', async () => {
    const one = world();
    await one.process({ ...YES, until: 'final' });
    one.break('read-only', true);
    as(await one.process(YES), 'done');
    assert.deepEqual(one.calls.slice(3), ['do read-only', 'do final', 'do final', ...DONE.slice(5)]);
  });

  it('makes them start anew when it broke while somebody thought about a forward step', async () => {
    const one = world();
    const asked: Question[] = [];
    const ask: SagaOptions['ask'] = async (question) => {
      if (question === 'forward' && asked.length === 1) one.break('read-only', false);
      asked.push(question);
      return true;
    };
    as(await one.process({ ask }), 'done');
    assert.deepEqual(asked, ['begin', 'forward', 'forward']);
    const again = one.calls.slice(one.calls.indexOf('do switch'));
    assert.deepEqual(again, ['do switch', 'do read-only', 'do final', ...DONE.slice(6)]);
  });

  it('has to hold for a forward step that was begun, as long as nothing came of that', async () => {
    const one = world({ restore: { do: ['throws-before'] } });
    as(await one.process(YES), 'stuck-forward');
    one.break('read-only', false);
    as(await one.process(YES), 'done');
    const again = one.calls.slice(one.calls.indexOf('do restore') + 1);
    assert.deepEqual(again, ['do read-only', 'do final', ...DONE.slice(6)]);
    const late = world({ restore: { do: ['late'] } });
    as(await late.process(YES), 'stuck-forward');
    as(await late.process(YES), 'done');
    assert.equal(late.calls.filter((call) => call === 'do final').length, 1);
  });

  it('is a failure when it breaks again and again', async () => {
    const one = world();
    one.onTick = () => {
      const last = one.log.entries.at(-1);
      if (last?.step === 'final' && last.what === 'do-begun') one.break('read-only', true);
    };
    const { failure } = as(await one.process(YES), 'undone');
    assert.equal(failure?.why, 'its effect does not hold: read-only may have been away');
  });

  it('takes what a step kept with it, except what was so before, and counts its attempts', async () => {
    const log = new MemoryLog();
    const seen: unknown[] = [];
    const holder: Step = {
      ...plain('holder'),
      check: async () => ({ is: seen.length < 2 ? 'todo' : 'done' }),
      do: async ({ memory, attempt, run }) => {
        seen.push([attempt, memory.get('once'), memory.keepFirst('before', attempt), run === log.last?.id]);
        memory.keep('once', attempt);
      },
      effect: async () => ({ is: 'shown', evidence: '' }),
      held: async () => (seen.length < 2 ? { is: 'unknown', why: 'away' } : { is: 'held' }),
    };
    const rests: Step = { ...plain('rests'), restsOn: ['holder'] };
    const forward: Step = { ...plain('forward'), kind: 'forward' };
    as(await runSaga([holder, rests, forward], log, optionsOf()), 'done');
    assert.deepEqual(seen, [
      [1, undefined, 1, true],
      [2, undefined, 1, true],
    ]);
  });
});

describe('agreement', () => {
  it('is asked for once before anything changes and once before the first forward step', async () => {
    const asked: (readonly [Question, readonly string[]])[] = [];
    const ask: SagaOptions['ask'] = async (question, steps) => {
      asked.push([question, steps.map(({ id }) => id)]);
      return true;
    };
    as(await world().process({ ask }), 'done');
    assert.deepEqual(asked, [
      ['begin', STEPS.map(({ id }) => id)],
      ['forward', ['restore', 'pull', 'writable']],
    ]);
  });

  it('by --yes covers no forward step, and by --yes-forward no other', async () => {
    for (const [flags, expected] of [
      [{ yes: true }, ['forward']],
      [{ yesForward: true }, ['begin']],
      [YES, []],
    ] as const) {
      const asked: Question[] = [];
      await world().process({ ...flags, ask: async (question) => asked.push(question) > 0 });
      assert.deepEqual(asked, expected);
    }
  });

  it('that is not given leaves everything as it is, for another time', async () => {
    const one = world();
    assert.deepEqual(await one.process({ ask: async () => false }), {
      is: 'stopped',
      before: 'preflight',
      isAnswer: true,
    });
    assert.deepEqual([one.calls, one.log.runs], [[], []]);
    const later = await one.process({ ask: async (question) => question === 'begin' });
    assert.deepEqual(later, { is: 'stopped', before: 'restore', isAnswer: true });
    assert.ok(one.value('read-only'));
    as(await one.process(YES), 'done');
  });

  it('is asked for once where what is left cannot be taken back', async () => {
    const one = world();
    await one.process({ yes: true, ask: async () => false });
    const asked: Question[] = [];
    as(await one.process({ ask: async (question) => asked.push(question) > 0 }), 'done');
    assert.deepEqual(asked, ['forward']);
  });

  it('is not asked for where nothing is changed', async () => {
    const asked: Question[] = [];
    const outcome = await world().process({
      until: 'preflight',
      ask: async (question) => asked.push(question) > 0,
    });
    assert.deepEqual([outcome?.is, asked], ['until', []]);
  });
});

describe('--until', () => {
  it('ends behind that step, and the next run goes on', async () => {
    const one = world();
    const outcome = as(await one.process({ ...YES, until: 'read-only' }), 'until');
    assert.equal(exitCodeOfOutcome(outcome), 0);
    assert.deepEqual(one.calls, DONE.slice(0, 4));
    as(await one.process({ ...YES, until: 'crons' }), 'until');
    assert.deepEqual(one.calls, DONE.slice(0, 4));
    as(await one.process(YES), 'done');
  });

  it('asks for what has to be done again because it broke meanwhile', async () => {
    const one = world();
    await one.process({ ...YES, until: 'final' });
    one.break('read-only', true);
    const asked: string[] = [];
    const ask: SagaOptions['ask'] = async (_question, steps) => asked.push(...steps.map(({ id }) => id)) > 0;
    as(await one.process({ until: 'final', ask }), 'until');
    assert.deepEqual([asked, one.calls.at(-1)], [['read-only', 'final'], 'do final']);
  });

  it('must name a step', async () => {
    await assert.rejects(world().process({ ...YES, until: 'restoer' }), /--until names no step .*"restoer"/);
  });
});

describe('--start-at', () => {
  it('leaves out what may be left out, and runs what only reads', async () => {
    const one = world();
    as(await one.process({ ...YES, until: 'crons' }), 'until');
    as(await one.process({ ...YES, startAt: 'read-only' }), 'done');
    assert.deepEqual(
      one.calls,
      DONE.filter((call) => call !== 'do live'),
    );
  });

  it('believes nobody that a change was made: it looks', async () => {
    const refused = world();
    await assert.rejects(
      refused.process({ ...YES, startAt: 'read-only' }),
      (error: unknown) =>
        error instanceof ConfigError && /leaves out "Step crons", which is not shown/.test(error.message),
    );
    assert.deepEqual(refused.calls, []);
    assert.equal(refused.log.last?.end, 'refused');
    const one = world({ crons: { isSet: true } });
    as(await one.process({ ...YES, startAt: 'read-only' }), 'done');
    assert.deepEqual(one.calls.slice(0, 2), ['do preflight', 'do read-only']);
  });

  it('repeats what was done from there on, and what changed nothing is not undone by that', async () => {
    const one = world();
    await one.process({ ...YES, until: 'switch' });
    as(await one.process({ ...YES, startAt: 'live', until: 'switch' }), 'until');
    assert.deepEqual(one.calls.slice(6), ['do live', 'do final']);
    as(await one.process({ ...YES, isUndo: true }), 'undone');
    assert.deepEqual(one.calls.slice(8), ['undo switch', 'undo read-only', 'undo crons']);
  });

  it('repeats nothing that lies before a forward step which was begun', async () => {
    const one = world({ pull: { do: ['throws-before'] } });
    await one.process(YES);
    await assert.rejects(
      one.process({ ...YES, startAt: 'final' }),
      /would repeat "Step final", and "Step restore"/,
    );
    as(await one.process({ ...YES, startAt: 'pull' }), 'done');
  });
});

describe('--undo', () => {
  it('takes back an open run, after a kill too', async () => {
    const one = world();
    await one.process({ ...YES, until: 'switch' });
    assert.equal(await one.process({ ...YES, killAt: 4 }), undefined);
    const outcome = as(await one.process({ yes: true, isUndo: true }), 'undone');
    assert.equal(exitCodeOfOutcome(outcome), 0);
    assert.deepEqual(outcome.steps, ['switch', 'read-only', 'crons']);
    const calls = one.calls.length;
    const again = as(await one.process({ ...YES, isUndo: true }), 'undone');
    assert.deepEqual([again.wasUndone, again.steps, exitCodeOfOutcome(again)], [true, [], 0]);
    assert.equal(one.calls.length, calls);
  });

  it('asks first, and is not begun where the answer is no', async () => {
    const one = world();
    await one.process({ ...YES, until: 'crons' });
    const asked: string[] = [];
    const ask: SagaOptions['ask'] = async (question, steps) =>
      asked.push(question, ...steps.map(({ id }) => id)) < 1;
    const stopped = as(await one.process({ ask, isUndo: true }), 'stopped');
    assert.equal(stopped.isUndo, true);
    assert.deepEqual([asked, one.value('crons')], [['undo', 'crons'], true]);
  });

  it('has nothing to do once the migration is complete', async () => {
    const one = world();
    await one.process(YES);
    await assert.rejects(one.process({ ...YES, isUndo: true }), /the migration is complete/);
  });
});

describe('Ctrl-C', () => {
  for (const [title, what] of [
    ['inside a step', 'do-begun'],
    ['between two steps', 'effect-shown'],
    ['in a look', 'check-begun'],
  ] as const) {
    it(`${title} ends the run where it is, and the next one goes on`, async () => {
      const one = world();
      const controller = new AbortController();
      const onEntry = (entry: Entry): void => {
        if (entry.step === 'read-only' && entry.what === what) controller.abort(new Error('stop'));
      };
      one.onTick = () => {
        if (controller.signal.aborted && what !== 'effect-shown') throw controller.signal.reason;
      };
      const outcome = as(await one.process({ ...YES, signal: controller.signal, onEntry }), 'stopped');
      assert.equal(exitCodeOfOutcome(outcome), 130);
      assert.equal(outcome.before, what === 'effect-shown' ? 'final' : 'read-only');
      assert.ok(!one.calls.some((call) => call.startsWith('undo')));
      one.onTick = () => undefined;
      as(await one.process(YES), 'done');
    });
  }

  it('while undoing leaves the rest of it to the next run', async () => {
    const one = world({ switch: { effect: ['blocked'] } });
    const controller = new AbortController();
    const onEntry = ({ step, what }: Entry): void => {
      if (step === 'switch' && what === 'undone-shown') controller.abort(new Error('stop'));
    };
    as(await one.process({ ...YES, signal: controller.signal, onEntry }), 'stopped');
    const outcome = as(await one.process(), 'undone');
    assert.deepEqual([exitCodeOfOutcome(outcome), outcome.steps], [4, ['read-only', 'crons']]);
  });
});

describe('a plan', () => {
  const good = plain('a');
  const undoing: Pick<Required<Step>, 'undo' | 'undone'> = {
    undo: async () => undefined,
    undone: async () => ({ is: 'shown', evidence: '' }),
  };
  for (const [title, steps, expected] of [
    ['two steps of one name', [good, good], /"a" is there twice/],
    ['an id that is no plain word', [{ ...good, id: 'A b' }], /no plain word/],
    [
      'a reversible step without an undo',
      [{ ...good, kind: 'reversible' }],
      /is reversible, without an undo/,
    ],
    ['a forward step with one', [{ ...good, kind: 'forward', ...undoing }], /is forward, with an undo/],
    [
      'a change that may be left out',
      [{ ...good, kind: 'forward', isOptional: true }],
      /may be left out, and changes/,
    ],
    [
      'one that may be left out, and others rest on it',
      [
        { ...good, isOptional: true },
        { ...plain('b'), restsOn: ['a'] },
        { ...plain('c'), kind: 'forward' },
      ],
      /"a" may be left out, and others rest on it/,
    ],
    [
      'one that rests on what comes later',
      [{ ...good, restsOn: ['b'] }, plain('b')],
      /rests on "b", which does not stand/,
    ],
    [
      'rest without an end',
      [good, { ...plain('b'), restsOn: ['a'] }],
      /"a" is rested on, and the first forward step/,
    ],
  ] as const) {
    it(`is refused with ${title}`, async () => {
      await assert.rejects(runSaga(steps, new MemoryLog(), optionsOf()), expected);
    });
  }
});

function plain(id: string): Step {
  let isDone = false;
  return {
    id,
    title: id,
    changes: '',
    kind: 'read',
    check: async () => ({ is: isDone ? 'done' : 'todo' }),
    do: async () => {
      isDone = true;
    },
    effect: async () =>
      isDone ? { is: 'shown', evidence: '' } : { is: 'missing', why: `${id} is not done` },
  };
}

function optionsOf(): SagaOptions {
  return { signal: new AbortController().signal, ...YES, ask: async () => true };
}
