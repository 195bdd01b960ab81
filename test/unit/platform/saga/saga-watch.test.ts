/** What a step rests on is looked at while it works, and while people think. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { BlobferryError } from '../../../../src/core/errors.ts';
import { runSaga, type SagaOptions } from '../../../../src/platform/saga/saga.ts';
import type { Step } from '../../../../src/platform/saga/step.ts';
import { MemoryLog } from './memory-log.ts';

const OPTIONS: SagaOptions = {
  signal: new AbortController().signal,
  yes: true,
  yesForward: true,
  ask: async () => true,
};

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
    effect: async () => (isDone ? { is: 'shown', evidence: '' } : { is: 'missing', why: 'not done' }),
  };
}

describe('a step that others rest on', () => {
  /** `held` of the first one is counted; the second rests on it, the last one is forward. */
  const watched = (more: Partial<Step>, looks: { count: number; breaksAt?: number }): readonly Step[] => [
    {
      ...plain('window'),
      held: async () => {
        looks.count += 1;
        return looks.count === looks.breaksAt ? { is: 'lost', why: 'it was lifted' } : { is: 'held' };
      },
    },
    { ...plain('final'), restsOn: ['window'], ...more },
    { ...plain('restore'), kind: 'forward' },
  ];

  it('is looked at by a step while it works, without a word in the journal', async () => {
    const looks = { count: 0, breaksAt: 2 };
    const found: unknown[] = [];
    const log = new MemoryLog();
    let isDone = false;
    const steps = watched(
      {
        do: async ({ heldOf }) => {
          found.push(await heldOf('window'), await heldOf('window'));
          isDone = true;
        },
        effect: async () => (isDone ? { is: 'shown', evidence: '' } : { is: 'missing', why: 'not yet' }),
      },
      looks,
    );
    assert.equal((await runSaga(steps, log, OPTIONS)).is, 'done');
    assert.deepEqual(found, [{ is: 'held' }, { is: 'lost', why: 'it was lifted' }]);
    assert.equal(log.entries.filter(({ what }) => what === 'held-begun').length, looks.count - 2);
    await assert.rejects(
      new Promise((resolve, reject) => {
        const odd: Step = {
          ...plain('odd'),
          do: async ({ heldOf }) => void heldOf('nobody').then(resolve, reject),
        };
        void runSaga([odd], new MemoryLog(), OPTIONS);
      }),
      /There is no step "nobody"/,
    );
  });

  it('is watched while somebody thinks about an answer', async () => {
    const looks = { count: 0 };
    const ask: SagaOptions['ask'] = async () => {
      const before = looks.count;
      while (looks.count < before + 3) await setImmediate();
      return true;
    };
    const options = { ...OPTIONS, yesForward: false, ask, watchMs: 1 };
    assert.equal((await runSaga(watched({}, looks), new MemoryLog(), options)).is, 'done');
    const { count } = looks;
    for (let turns = 0; turns < 20; turns += 1) await setImmediate();
    assert.equal(looks.count, count, 'and not afterwards');
  });

  it('and broke makes no failure of a step that ended for that reason', async () => {
    let windows = 0;
    let finals = 0;
    let isBroken = false;
    const steps: readonly Step[] = [
      {
        ...plain('window'),
        check: async () => ({ is: 'todo' }),
        do: async () => {
          windows += 1;
          isBroken = false;
        },
        effect: async () => ({ is: 'shown', evidence: '' }),
        held: async () => (isBroken ? { is: 'lost', why: 'it was lifted' } : { is: 'held' }),
      },
      {
        ...plain('final'),
        restsOn: ['window'],
        check: async () => ({ is: 'todo' }),
        do: async () => {
          finals += 1;
          isBroken = finals === 1;
          if (finals < 3) throw new Error('it was ended');
        },
        effect: async () =>
          finals < 3 ? { is: 'missing', why: 'not all of it' } : { is: 'shown', evidence: '' },
      },
      { ...plain('restore'), kind: 'forward' },
    ];
    const outcome = await runSaga(steps, new MemoryLog(), OPTIONS);
    // Where nothing broke, the second attempt failed for a reason of its own.
    assert.deepEqual([outcome.is, windows, finals], ['refused', 2, 2]);
  });
});

describe('a step that was refused', () => {
  class Refused extends BlobferryError {
    readonly mayHaveActed: boolean;
    constructor(mayHaveActed: boolean) {
      super('it was refused');
      this.mayHaveActed = mayHaveActed;
    }
  }

  it('is not waited for, unless it may have acted all the same', async () => {
    for (const mayHaveActed of [false, true]) {
      let looks = 0;
      const step: Step = {
        ...plain('switch'),
        do: async () => Promise.reject(new Refused(mayHaveActed)),
        effect: async () => {
          looks += 1;
          return { is: 'missing', why: 'not there after half an hour' };
        },
      };
      const outcome = await runSaga([step], new MemoryLog(), OPTIONS);
      assert.ok(outcome.is === 'refused');
      assert.deepEqual([outcome.failure.why, looks], ['it was refused', mayHaveActed ? 1 : 0]);
    }
  });
});

describe('a step that an earlier run has begun', () => {
  it('is looked at without waiting for what may never have been sent', async () => {
    const log = new MemoryLog();
    const glances: boolean[] = [];
    const stop = new AbortController();
    let isDone = false;
    const step: Step = {
      ...plain('switch'),
      check: async () => ({ is: 'todo' }),
      do: async () => {
        if (!stop.signal.aborted) {
          stop.abort();
          throw new Error('killed before it sent anything');
        }
        isDone = true;
      },
      effect: async ({ isGlance }) => {
        glances.push(isGlance);
        return isDone ? { is: 'shown', evidence: '' } : { is: 'missing', why: 'not there' };
      },
    };
    assert.equal((await runSaga([step], log, { ...OPTIONS, signal: stop.signal })).is, 'stopped');
    assert.equal((await runSaga([step], log, OPTIONS)).is, 'done');
    assert.deepEqual(glances, [true, false]);
  });
});
