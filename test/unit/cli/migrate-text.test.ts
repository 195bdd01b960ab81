import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { demandApart } from '../../../src/cli/migration/apart.ts';
import { afterwards } from '../../../src/cli/migration/caveats.ts';
import { EngineProgressLine } from '../../../src/cli/migration/engine-progress.ts';
import { Narrator, planLines, progressLines, titleLines } from '../../../src/cli/migration/migrate-text.ts';
import { Output } from '../../../src/cli/output.ts';
import type { Migration } from '../../../src/platform/migration.ts';
import { progressOf } from '../../../src/platform/saga/progress.ts';
import type { Entry, What } from '../../../src/platform/saga/saga-log.ts';
import type { Step } from '../../../src/platform/saga/step.ts';
import { fakeHost } from './fake-host.ts';

function step(id: string, kind: Step['kind'], changes = ''): Step {
  return {
    id,
    title: `Do ${id}`,
    changes,
    kind,
    check: async () => ({ is: 'todo' }),
    do: async () => undefined,
    effect: async () => ({ is: 'shown', evidence: '' }),
  };
}

const STEPS = [
  step('preflight', 'read'),
  step('live', 'read', 'Writes to the target'),
  step('gc', 'forward'),
];

function entry(id: string, what: What, text = ''): Entry {
  return { atMs: 0, step: id, what, text };
}

/** What is told of these entries, one after the other. */
function told(...entries: readonly Entry[]): readonly string[] {
  const narrator = new Narrator(STEPS);
  return entries.flatMap((one) => narrator.line(one) ?? []);
}

describe('the plan of a migration', () => {
  it('says of each step what it changes, and whether there is a way back', () => {
    assert.deepEqual(planLines(STEPS), [
      '  1  preflight  Do preflight',
      '                changes nothing of the registry',
      '  2  live       Do live',
      '                changes nothing of the registry: Writes to the target',
      '  3  gc         Do gc',
      '                CANNOT be taken back',
    ]);
    assert.deepEqual(titleLines(STEPS.slice(1)), ['  1  live  Do live', '  2  gc    Do gc']);
  });

  it('says of a run that was begun which steps are done', () => {
    const progress = progressOf(STEPS, [entry('preflight', 'effect-shown'), entry('live', 'do-begun')]);
    assert.deepEqual(progressLines(STEPS, progress), [
      '      done  preflight  Do preflight',
      '     begun  live       Do live',
      '            gc         Do gc',
    ]);
  });
});

describe('what is told while a migration runs', () => {
  it('says what failed once, and of what was begun before only that it is not done', () => {
    const failed = told(
      entry('live', 'do-begun'),
      entry('live', 'do-failed', 'no answer'),
      entry('live', 'effect-begun'),
      entry('live', 'effect-missing', 'nothing was copied'),
    );
    assert.deepEqual(failed, ['Do live …', '  failed: Do live: no answer']);
    const resumed = told(entry('live', 'effect-begun'), entry('live', 'effect-missing', 'not there'));
    assert.deepEqual(resumed, ['  not done yet: Do live']);
    const waited = told(
      entry('live', 'do-begun'),
      entry('live', 'do-ended'),
      entry('live', 'effect-missing', 'not there'),
    );
    assert.deepEqual(waited, ['Do live …', '  failed: Do live: not there']);
  });

  it('leaves the findings of the preflight to themselves', () => {
    const lines = told(
      entry('preflight', 'reset', '--start-at preflight'),
      entry('preflight', 'do-begun'),
      entry('preflight', 'do-failed', 'One check failed'),
      entry('preflight', 'effect-missing', 'it was not done'),
    );
    assert.deepEqual(lines, ['Do preflight …']);
    assert.deepEqual(told(entry('live', 'reset', 'it broke')), ['  starts anew: Do live: it broke']);
  });
});

describe('the progress of a pass', () => {
  const at = (objects: number, bytesMoved: number) =>
    ({
      what: 'pass',
      objects,
      objectsMoved: objects,
      bytesMoved,
      objectsWrong: 0,
      objectsTotal: 400,
    }) as const;

  it('is a plain line every five seconds where nothing can be redrawn', () => {
    const host = fakeHost();
    let nowMs = 0;
    const line = new EngineProgressLine(new Output(host), () => nowMs);
    line.tell(at(0, 0));
    nowMs = 4_000;
    line.tell(at(50, 50 * 1024 ** 2));
    assert.equal(host.stderr.text, '');
    nowMs = 5_000;
    line.tell(at(100, 100 * 1024 ** 2));
    assert.match(
      host.stderr.text,
      /^copying: 25 %, 100 of 400 objects seen, .*20 objects\/s, about 15 s left\n$/,
    );
    line.end();
    // Another pass begins at nothing.
    line.tell({ ...at(1, 1), what: 'verify' });
    assert.equal(host.stderr.text.split('\n').length, 2);
  });

  it('is one live line on a terminal, and gone when the pass is', () => {
    const host = fakeHost({ isTTY: true });
    const line = new EngineProgressLine(new Output(host), () => 0);
    line.tell(at(100, 0));
    assert.match(host.stderr.text, /25 % {2}copying/);
    line.end();
    assert.ok(host.stderr.text.endsWith('\r\u001b[2K'));
  });
});

describe('a migration', () => {
  const migration: Migration = {
    file: '/srv/move.yml',
    source: 'file:///srv/old',
    target: 'file:///srv/new',
    passes: 'auto',
    platform: { kind: 'none' },
    backups: '/srv/backups',
    journal: '/srv/journal',
    report: '/srv/report',
    windowMsMax: undefined,
  };
  const storages = {
    source: { kind: 'fs', rootDirectory: '/srv/old' },
    target: { kind: 'fs', rootDirectory: '/srv/new' },
  } as const;

  it('keeps what it writes of itself out of both storages', () => {
    demandApart(migration, storages);
    demandApart({ ...migration, journal: '/srv/old-journal' }, storages);
    const inside = /^The folder "backups" of the migration, \/srv\/new\/b, lies inside the target$/;
    assert.throws(() => demandApart({ ...migration, backups: '/srv/new/b' }, storages), { message: inside });
    assert.throws(
      () => demandApart({ ...migration, journal: '/srv/old' }, storages),
      /lies inside the source/,
    );
    assert.throws(() => demandApart({ ...migration, report: '/srv/old/x/y' }, storages), /"report"/);
  });

  it('of a plain registry leaves nothing to be said at its end', () => {
    assert.deepEqual(afterwards(migration), []);
  });
});
