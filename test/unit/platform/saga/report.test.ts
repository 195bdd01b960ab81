/** What is kept of a migration for people who were not there. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { reportOf } from '../../../../src/platform/saga/report.ts';
import { runSaga } from '../../../../src/platform/saga/saga.ts';
import type { Step } from '../../../../src/platform/saga/step.ts';
import { MemoryLog } from './memory-log.ts';

const LATEST = { outcome: 'done', exitCode: 0, lines: ['The migration is complete'] };

function step(id: string, kind: Step['kind'], more: Partial<Step> = {}): Step {
  return {
    id,
    title: `Step ${id}`,
    changes: '',
    kind,
    check: async () => ({ is: 'todo' }),
    do: async () => undefined,
    effect: async () => ({ is: 'shown', evidence: `${id} is so` }),
    ...(kind === 'reversible'
      ? { undo: async () => undefined, undone: async () => ({ is: 'shown', evidence: `${id} is as before` }) }
      : {}),
    ...more,
  };
}

async function reported(steps: readonly Step[], caveats: readonly string[] = []) {
  const log = new MemoryLog();
  const options = { signal: new AbortController().signal, yes: true, yesForward: true, caveats };
  await runSaga(steps, log, { ...options, ask: async () => false });
  const report = reportOf({ about: { source: 'file:///old' }, steps, log, latest: LATEST });
  assert.ok(report);
  return report;
}

describe('the report of a migration', () => {
  it('says of each step when it was done and what shows it, with every caveat and finding', async () => {
    const looked = step('preflight', 'read', {
      do: async ({ memory }) => memory.keep('findings', [{ item: 'clocks', is: 'ok', text: 'equal' }]),
    });
    const report = await reported([looked, step('writable', 'forward')], ['insecure: believed', 'more']);
    assert.deepEqual(
      [report.end, report.caveats, report.latest],
      ['done', ['insecure: believed', 'more'], LATEST],
    );
    assert.deepEqual(report.findings, [{ item: 'clocks', is: 'ok', text: 'equal' }]);
    assert.deepEqual(
      report.steps.map(({ id, state, proof, attempts }) => [id, state, proof, attempts]),
      [
        ['preflight', 'done', 'preflight is so', 1],
        ['writable', 'done', 'writable is so', 1],
      ],
    );
    const [first] = report.steps;
    assert.ok(
      first && String(first.began) <= String(first.ended) && String(first.ended) <= String(report.ended),
    );
    assert.ok(report.history.some(({ what }) => what === 'confirmed'));
    assert.equal(JSON.parse(JSON.stringify(report)).about.source, 'file:///old');
  });

  it('says what went wrong, and what was taken back', async () => {
    const bad = step('live', 'read', {
      do: async () => {
        throw new Error('3 objects failed');
      },
      effect: async () => ({ is: 'missing', why: 'no pass' }),
    });
    const report = await reported([step('crons', 'reversible'), bad]);
    assert.equal(report.end, 'undone');
    const [crons, live] = report.steps;
    assert.deepEqual([crons?.state, crons?.proof, crons?.undone], ['fresh', null, 'crons is as before']);
    assert.deepEqual([live?.proof, live?.troubles], [null, ['3 objects failed', 'no pass']]);
  });

  it('is none where nothing was begun', () => {
    assert.equal(reportOf({ about: {}, steps: [], log: new MemoryLog(), latest: LATEST }), undefined);
  });
});
