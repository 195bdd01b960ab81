/** A migration of four switches, each a file, that kills itself where it is told to. */
import { appendFileSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { runSaga } from '../../src/platform/saga/saga.ts';
import { SagaJournal } from '../../src/platform/saga/saga-journal.ts';
import type { Step, StepKind } from '../../src/platform/saga/step.ts';

/** `point`: `do-begun crons`, `acted crons` …; empty: nowhere. `failing`: the step that fails. */
const [folder = '', point = '', failing = ''] = process.argv.slice(2);

function reached(here: string): void {
  if (here === point) process.kill(process.pid, 'SIGKILL');
}

function step(id: string, kind: StepKind): Step {
  const file = join(folder, id);
  const call = (what: string): void => appendFileSync(join(folder, 'calls'), `${what} ${id}\n`);
  const undoing = {
    undo: async (): Promise<void> => {
      call('undo');
      rmSync(file, { force: true });
      reached(`unacted ${id}`);
    },
    undone: async () =>
      existsSync(file)
        ? ({ is: 'missing', why: `${id} is there` } as const)
        : ({ is: 'shown', evidence: `${id} is gone` } as const),
  };
  return {
    id,
    title: id,
    changes: `Makes ${id}`,
    kind,
    check: async () => ({ is: existsSync(file) ? 'done' : 'todo' }),
    do: async () => {
      call('do');
      if (id === failing) throw new Error('refused');
      writeFileSync(file, '');
      reached(`acted ${id}`);
    },
    effect: async () =>
      existsSync(file) ? { is: 'shown', evidence: id } : { is: 'missing', why: `${id} is not there` },
    ...(kind === 'reversible' ? undoing : {}),
  };
}

const steps = [
  step('crons', 'reversible'),
  step('read-only', 'reversible'),
  step('switch', 'reversible'),
  step('restore', 'forward'),
];
const journal = SagaJournal.open(join(folder, 'journal'), 'four switches');
const outcome = await runSaga(steps, journal, {
  signal: new AbortController().signal,
  yes: true,
  yesForward: true,
  ask: async () => false,
  onEntry: ({ step: id, what }) => reached(`${what} ${id}`),
});
journal.close();
process.stdout.write(`${outcome.is}\n`);
