/** Random sagas with random faults and deaths: whatever happens, nothing is done twice, lost or left half undone. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type DoFault, demandOrder, type LookFault, SagaWorld, type StepSpec } from './saga-world.ts';

const DO_FAULT = fc.constantFrom<DoFault>('ok', 'throws-before', 'throws-after', 'silent', 'late');
const LOOK_FAULT = fc.constantFrom<LookFault>('ok', 'ok', 'blocked', 'throws');
const FAULTS = fc.record({
  isSet: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  do: rarely(DO_FAULT),
  check: rarely(LOOK_FAULT),
  effect: rarely(LOOK_FAULT),
  undo: rarely(DO_FAULT),
});

function rarely<T>(fault: fc.Arbitrary<T>): fc.Arbitrary<T[]> {
  return fc.oneof(
    { weight: 4, arbitrary: fc.constant<T[]>([]) },
    { weight: 1, arbitrary: fc.array(fault, { maxLength: 2 }) },
  );
}

function stepsOf(...kinds: readonly StepSpec['kind'][]): fc.Arbitrary<readonly Omit<StepSpec, 'id'>[]> {
  return fc
    .array(fc.tuple(fc.constantFrom(...kinds), FAULTS), { maxLength: 3 })
    .map((steps) =>
      steps.map(([kind, faults]) => ({ ...faults, kind, isSet: kind !== 'read' && faults.isSet })),
    );
}

/** Some before, one that others rest on, some that rest on it, forward steps, and some behind. */
const SAGA: fc.Arbitrary<readonly StepSpec[]> = fc
  .record({
    before: stepsOf('read', 'reversible'),
    holder: FAULTS,
    rests: fc.array(FAULTS, { minLength: 1, maxLength: 2 }),
    between: stepsOf('read', 'reversible'),
    forward: FAULTS,
    behind: stepsOf('read', 'reversible', 'forward'),
  })
  .map(({ before, holder, rests, between, forward, behind }) => {
    const name = (letter: string) => (spec: Omit<StepSpec, 'id'>, at: number) => ({
      ...spec,
      id: `${letter}${at}`,
    });
    return [
      ...before.map(name('a')),
      { ...holder, id: 'holder', kind: 'reversible' as const },
      ...rests.map((spec, at) => ({
        ...spec,
        id: `r${at}`,
        kind: 'read' as const,
        isSet: false,
        restsOn: ['holder'],
      })),
      ...between.map(name('b')),
      { ...forward, id: 'forward', kind: 'forward' as const },
      ...behind.map(name('f')),
    ];
  });

/** One run of the program: when it dies, what is answered, and what others do to the holder. */
const PROCESS = fc.record({
  killAt: fc.option(fc.integer({ min: 1, max: 90 }), { nil: undefined, freq: 3 }),
  agrees: fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
  breaks: fc.oneof(
    { weight: 5, arbitrary: fc.constant('no' as const) },
    { weight: 1, arbitrary: fc.constantFrom('away' as const, 'meanwhile' as const) },
  ),
  isBack: fc.boolean(),
  isUndo: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
});

const PROCESSES_MAX = 80;

async function processes(
  world: SagaWorld,
  plans: readonly (typeof PROCESS extends fc.Arbitrary<infer T> ? T : never)[],
): Promise<void> {
  for (const { killAt, agrees, breaks, isBack, isUndo } of plans) {
    if (breaks === 'away') world.break('holder', isBack);
    // In the middle of what rests on it: later nobody could see it before the first forward step.
    world.onTick = () => {
      const isResting = world.log.last?.end === undefined && world.log.entries.at(-1)?.step === 'r0';
      if (breaks !== 'meanwhile' || !isResting || world.log.entries.at(-1)?.what !== 'do-begun') return;
      world.onTick = () => undefined;
      world.break('holder', isBack);
    };
    const { last } = world.log;
    const canUndo = isUndo && last !== undefined && last.end === undefined;
    const outcome = await world.process({ killAt, ask: async () => agrees, isUndo: canUndo });
    if (outcome?.is === 'done') return;
  }
  world.onTick = () => undefined;
}

async function converge(world: SagaWorld): Promise<void> {
  for (let left = PROCESSES_MAX; left > 0; left -= 1) {
    const outcome = await world.process();
    assert.ok(outcome);
    if (outcome.is === 'done') return;
  }
  assert.fail(`it never ends well: ${JSON.stringify(world.outcomes.at(-1))}`);
}

describe('any saga', () => {
  it('keeps its promises through faults, deaths, refusals and what others do, and ends well when they end', async () => {
    await fc.assert(
      fc.asyncProperty(SAGA, fc.array(PROCESS, { maxLength: 6 }), async (specs, plans) => {
        const world = new SagaWorld(specs);
        await processes(world, plans);
        demandOrder(world.log);
        await converge(world);
        demandOrder(world.log);
      }),
      { numRuns: 400 },
    );
  });

  it('ends right when it is killed at any one point, and run again', async () => {
    await fc.assert(
      fc.asyncProperty(SAGA, async (specs) => {
        const whole = new SagaWorld(specs);
        await whole.process();
        const ticks = whole.ticks;
        for (let killAt = 1; killAt <= ticks; killAt += 1) {
          const world = new SagaWorld(specs);
          assert.equal(await world.process({ killAt }), undefined, `${killAt} of ${ticks}`);
          await converge(world);
          demandOrder(world.log);
        }
      }),
      { numRuns: 12 },
    );
  });

  it('starts anew what rested on something that broke, wherever it is killed then', async () => {
    await fc.assert(
      fc.asyncProperty(SAGA, fc.boolean(), async (specs, isBack) => {
        const upTo = async (): Promise<SagaWorld> => {
          const world = new SagaWorld(
            specs.map(({ id, kind, restsOn }) => ({ id, kind, ...(restsOn ? { restsOn } : {}) })),
          );
          await world.process({ yes: true, ask: async (question) => question !== 'forward' });
          world.break('holder', isBack);
          return world;
        };
        const whole = await upTo();
        await whole.process();
        for (let killAt = 1; killAt <= whole.ticks; killAt += 1) {
          const world = await upTo();
          assert.equal(await world.process({ killAt }), undefined);
          await converge(world);
          demandOrder(world.log);
        }
      }),
      { numRuns: 8 },
    );
  });

  it('never passes a forward step that nobody agrees to', async () => {
    await fc.assert(
      fc.asyncProperty(SAGA, async (specs) => {
        const world = new SagaWorld(specs);
        for (let run = 0; run < 12; run += 1) {
          await world.process({ yes: true, ask: async (question) => question !== 'forward' });
        }
        const forward = specs.filter(({ kind }) => kind === 'forward').map(({ id }) => `do ${id}`);
        assert.deepEqual(
          world.calls.filter((call) => forward.includes(call)),
          [],
        );
      }),
      { numRuns: 60 },
    );
  });
});
