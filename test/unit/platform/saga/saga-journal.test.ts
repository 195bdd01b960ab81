import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../../src/core/errors.ts';
import { runSaga } from '../../../../src/platform/saga/saga.ts';
import { SAGA_FILE_NAME, SagaJournal } from '../../../../src/platform/saga/saga-journal.ts';
import type { Entry } from '../../../../src/platform/saga/saga-log.ts';
import type { Step } from '../../../../src/platform/saga/step.ts';
import { tempFolderFor } from '../../../support/temp.ts';

const JOB = 'old.yml -> new.yml at https://msr.example.com';

function entry(step: string, what: Entry['what'], text = ''): Entry {
  return { atMs: 1_795_000_000_000, step, what, text };
}

/** What opening it says. */
function refusal(directory: string, identity = JOB): ConfigError {
  try {
    SagaJournal.open(directory, identity).close();
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error;
  }
  assert.fail('it was opened');
}

describe('SagaJournal', () => {
  it('knows after it is opened again what it knew before', async (t) => {
    const directory = join(await tempFolderFor(t, 'saga'), 'a', 'b');
    const first = SagaJournal.open(directory, JOB);
    assert.equal(first.last, undefined);
    const run = first.begin('crons:reversible');
    assert.match(run.id, /^[0-9a-f]{12}$/);
    const entries = [entry('crons', 'do-begun'), entry('crons', 'effect-shown', 'two crons are gone')];
    for (const one of entries) first.append(one);
    first.put('crons', 'saved', [{ action: 'gc', schedule: '0 0 1 * * 0' }], true);
    first.put('crons', 'page', 1, false);
    first.put('crons', 'page', 2, false);
    first.close();
    const second = SagaJournal.open(directory, JOB);
    assert.deepEqual([second.last, second.entries], [run, entries]);
    assert.deepEqual(second.get('crons', 'saved'), [{ action: 'gc', schedule: '0 0 1 * * 0' }]);
    assert.deepEqual([second.get('crons', 'page'), second.get('other', 'page')], [2, undefined]);
    second.reset(entry('crons', 'reset', 'read-only was lifted'));
    second.end('undone');
    assert.throws(() => second.append(entry('crons', 'do-begun')), /No run is open/);
    second.close();
    const third = SagaJournal.open(directory, JOB);
    assert.equal(third.last?.end, 'undone');
    assert.deepEqual(third.entries.at(-1), entry('crons', 'reset', 'read-only was lifted'));
    assert.notEqual(third.begin('crons:reversible').id, run.id);
    assert.deepEqual([third.entries, third.get('crons', 'saved')], [[], undefined]);
    third.close();
  });

  it('forgets with a reset what the step kept, except what was so before it', async (t) => {
    const journal = SagaJournal.open(await tempFolderFor(t, 'saga'), JOB);
    journal.begin('a:read b:read');
    journal.put('a', 'before', false, true);
    journal.put('a', 'seen', true, false);
    journal.put('b', 'seen', true, false);
    journal.reset(entry('a', 'reset'));
    assert.deepEqual(
      [journal.get('a', 'before'), journal.get('a', 'seen'), journal.get('b', 'seen')],
      [false, undefined, true],
    );
    journal.close();
  });

  it('is for its owner alone, also where the file was there before', async (t) => {
    const directory = join(await tempFolderFor(t, 'saga'), 'journal');
    await mkdir(directory);
    await writeFile(join(directory, SAGA_FILE_NAME), '');
    await chmod(join(directory, SAGA_FILE_NAME), 0o644);
    const journal = SagaJournal.open(directory, JOB);
    journal.begin('a:read');
    for (const name of await readdir(directory)) {
      assert.equal((await stat(join(directory, name))).mode & 0o077, 0, name);
    }
    journal.close();
  });

  it('has at most one open run', async (t) => {
    const journal = SagaJournal.open(await tempFolderFor(t, 'saga'), JOB);
    journal.begin('a:read');
    assert.throws(() => journal.begin('a:read'), ConfigError);
    assert.equal(journal.last?.end, undefined);
    journal.append(entry('a', 'check-begun'));
    journal.end('done');
    journal.begin('a:read');
    journal.close();
  });

  it('is used by one process at a time', async (t) => {
    const directory = await tempFolderFor(t, 'saga');
    const journal = SagaJournal.open(directory, JOB);
    const { message, hint } = refusal(directory);
    assert.match(message, new RegExp(`^Another blobferry \\(process ${process.pid} on `));
    assert.match(String(hint), /two runs of one job at once/);
    journal.close();
    SagaJournal.open(directory, JOB).close();
  });

  it('belongs to one migration and one version', async (t) => {
    const directory = await tempFolderFor(t, 'saga');
    SagaJournal.open(directory, JOB).close();
    assert.match(refusal(directory, 'another').message, /belongs to another migration: old\.yml -> new\.yml/);
    const database = new DatabaseSync(join(directory, SAGA_FILE_NAME));
    database.exec("UPDATE meta SET value = '7' WHERE name = 'version'");
    database.close();
    assert.match(refusal(directory).message, /has version 7, this blobferry writes 1/);
  });

  it('is never to be removed, whatever is wrong with it', async (t) => {
    const directory = await tempFolderFor(t, 'saga');
    await writeFile(
      join(directory, SAGA_FILE_NAME),
      'no database, but long enough to be looked at '.repeat(100),
    );
    const { message, hint } = refusal(directory);
    assert.match(message, /is damaged, or no journal/);
    assert.match(String(hint), /Do not remove this journal/);
    await writeFile(join(directory, 'file'), '');
    assert.match(String(refusal(join(directory, 'file')).hint), /Do not remove/);
  });

  it('ends the run that it cannot record', async (t) => {
    const directory = await tempFolderFor(t, 'saga');
    const journal = SagaJournal.open(directory, JOB);
    let calls = 0;
    const step: Step = {
      id: 'a',
      title: 'A',
      changes: '',
      kind: 'read',
      check: async () => {
        journal.close();
        return { is: 'todo' };
      },
      do: async () => {
        calls += 1;
      },
      effect: async () => ({ is: 'shown', evidence: '' }),
    };
    const options = {
      signal: new AbortController().signal,
      yes: true,
      yesForward: true,
      ask: async () => true,
    };
    await assert.rejects(runSaga([step], journal, options), ConfigError);
    assert.equal(calls, 0);
  });

  it('holds no secret that a step or a server says', async (t) => {
    const directory = await tempFolderFor(t, 'saga');
    const journal = SagaJournal.open(directory, JOB);
    const step: Step = {
      id: 'a',
      title: 'A',
      changes: '',
      kind: 'read',
      check: async () => ({ is: 'todo' }),
      do: async () => {
        throw new Error('the server repeats tok-0123456789');
      },
      effect: async () => ({ is: 'missing', why: 'not with tok-0123456789' }),
    };
    const options = {
      signal: new AbortController().signal,
      yes: true,
      yesForward: true,
      ask: async () => true,
    };
    const outcome = await runSaga([step], journal, { ...options, secrets: () => ['tok-0123456789', 'e'] });
    assert.ok(outcome.is === 'refused');
    assert.equal(outcome.failure.why, 'the server repeats ***');
    journal.close();
    for (const name of await readdir(directory)) {
      assert.doesNotMatch((await readFile(join(directory, name))).toString('latin1'), /tok-0123456789/);
    }
  });
});
