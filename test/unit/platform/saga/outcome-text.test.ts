import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Outcome } from '../../../../src/platform/saga/outcome.ts';
import { outcomeText } from '../../../../src/platform/saga/outcome-text.ts';
import type { Step } from '../../../../src/platform/saga/step.ts';
import { SagaWorld } from './saga-world.ts';

const STEPS = new SagaWorld([
  { id: 'crons', kind: 'reversible' },
  { id: 'read-only', kind: 'reversible' },
  { id: 'restore', kind: 'forward' },
]);
const FAILURE = { step: 'restore', title: 'Step restore', why: 'no such node', hint: 'Look at the log' };

function textOf(outcome: Outcome): readonly string[] {
  return outcomeText(outcome, STEPS.steps(STEPS.log));
}

describe('the end of a migration', () => {
  it('is told as it is when all went well, or as it was asked', () => {
    assert.deepEqual(textOf({ is: 'done', wasDone: false }), ['The migration is complete']);
    assert.deepEqual(textOf({ is: 'done', wasDone: true }), ['The migration was complete already']);
    assert.match(String(textOf({ is: 'until', step: 'crons' })), /Ended behind "Step crons"/);
    const stopped = textOf({ is: 'stopped', before: 'restore', isAnswer: true });
    assert.deepEqual(stopped[0], 'Not gone on with "Step restore", as nobody agreed to it');
    assert.equal(textOf({ is: 'stopped', before: 'crons', isAnswer: false })[0], 'Stopped at "Step crons"');
  });

  it('names what is left changed where a run ends early, and the way back while there is one', () => {
    const [crons, readOnly, restore] = STEPS.steps(STEPS.log);
    assert.ok(crons && readOnly && restore);
    const early: Outcome = { is: 'stopped', before: 'restore', isAnswer: false };
    const said = (...changed: readonly Step[]): readonly string[] =>
      outcomeText(early, STEPS.steps(STEPS.log), changed);
    assert.deepEqual(said().slice(1), ['Nothing was changed. Run the same migration again to go on']);
    assert.deepEqual(said(crons, readOnly).slice(1), [
      'This was changed, and stays so:',
      '  Step crons',
      '  Step read-only',
      'Run the same migration again to go on, or with --undo to take it back',
    ]);
    assert.match(
      said(crons, restore).at(-1) ?? '',
      /^Run the same migration again to go on; there is no way back/,
    );
    const until = outcomeText({ is: 'until', step: 'read-only' }, STEPS.steps(STEPS.log), [readOnly]);
    assert.ok(until.includes('  Step read-only'), until.join());
    const undo = outcomeText({ ...early, isAnswer: true, isUndo: true }, STEPS.steps(STEPS.log), [crons]);
    assert.deepEqual(undo.slice(0, 3), [
      'Nothing was taken back, as nobody agreed to it',
      'This was changed, and stays so:',
      '  Step crons',
    ]);
  });

  it('begins with what is so where a step failed', () => {
    assert.deepEqual(textOf({ is: 'refused', failure: FAILURE }), [
      'Nothing was changed',
      '"Step restore": no such node',
      'Look at the log',
    ]);
    assert.deepEqual(
      textOf({ is: 'undone', wasUndone: false, failure: FAILURE, steps: ['read-only', 'crons'] }).slice(0, 3),
      [
        'Everything that was changed is as it was before, and was seen to be:',
        '  Step read-only',
        '  Step crons',
      ],
    );
    const { hint: _, ...silent } = FAILURE;
    assert.equal(
      textOf({ is: 'undone', wasUndone: false, failure: silent, steps: ['crons'] }).at(-1),
      'Mend that, then run the same migration again',
    );
    assert.deepEqual(textOf({ is: 'undone', wasUndone: false, failure: undefined, steps: [] }), [
      'Nothing had to be undone',
    ]);
    assert.deepEqual(textOf({ is: 'undone', wasUndone: true, failure: undefined, steps: [] }), [
      'Everything was taken back already',
    ]);
  });

  it('says what to do first where an undo is not shown', () => {
    const undo = { step: 'read-only', title: 'Step read-only', why: 'replica a is read-only' };
    const ways = { forward: [], back: ['curl -X POST …'] };
    assert.deepEqual(textOf({ is: 'not-undone', failure: FAILURE, undo, ways, remaining: ['crons'] }), [
      'NOT everything is as it was before: "Step read-only" is not shown to be undone: replica a is read-only',
      'Do this first, then run the same migration with --undo:',
      '  curl -X POST …',
      'Still to be undone after that:',
      '  Step crons',
      '"Step restore": no such node',
      'Look at the log',
    ]);
  });

  it('names both ways behind a forward step, after the sentence that matters most', () => {
    const ways = { forward: ['docker run … restore'], back: ['docker run … restore of the old one'] };
    const lines = textOf({ is: 'stuck-forward', failure: FAILURE, first: 'The registry is read-only', ways });
    assert.deepEqual(lines, [
      'The registry is read-only',
      '"Step restore": no such node',
      'Look at the log',
      'Nothing was undone. Run the same migration again to try to go on',
      'By hand, forward:',
      '  docker run … restore',
      'By hand, back:',
      '  docker run … restore of the old one',
    ]);
  });
});
