import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it, type TestContext } from 'node:test';
import { Journal } from '../../../src/coordinator/journal.ts';
import { ConfigError } from '../../../src/core/errors.ts';
import type { CopyException, CopySummary } from '../../../src/core/job.ts';
import { tempFolderFor } from '../../support/temp.ts';

const JOURNAL_URL = new URL('../../../src/coordinator/journal.ts', import.meta.url).href;

/** Another process that opens the journal, writes to it and then holds it until it is killed. */
async function holderOf(test: TestContext, directory: string): Promise<ChildProcess> {
  const script = `
    import { Journal } from ${JSON.stringify(JOURNAL_URL)};
    const journal = Journal.open(process.argv[1], 'a -> b');
    journal.ownsTarget = true;
    journal.beginPass(false, 'bound');
    journal.addExceptions([{ state: 'failed', path: 'held', error: { name: 'Error', message: 'why' } }]);
    process.stdout.write('open');
    setInterval(() => undefined, 1000);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  test.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  const [said] = (await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])) as [unknown];
  assert.equal(String(said), 'open');
  return child;
}

function refusal(directory: string, identity = 'a -> b'): ConfigError {
  let journal: Journal | undefined;
  try {
    journal = Journal.open(directory, identity);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    assert.ok(error.hint !== undefined && error.hint !== '', 'there is no hint what to do');
    return error;
  } finally {
    journal?.close();
  }
  return assert.fail('the journal was opened');
}

interface Row {
  readonly [column: string]: unknown;
}

function rows(directory: string, query: string): readonly Row[] {
  const database = new DatabaseSync(join(directory, 'journal.sqlite'), { readOnly: true });
  try {
    return database.prepare(query).all();
  } finally {
    database.close();
  }
}

describe('Journal', () => {
  it('makes its folder, for its owner only, and names its file', async (t) => {
    const directory = join(await tempFolderFor(t, 'journal'), 'deep', 'er');
    const journal = Journal.open(directory, 'a -> b');
    assert.equal(journal.path, join(directory, 'journal.sqlite'));
    journal.close();
    assert.equal((await stat(directory)).mode & 0o777, 0o700);
  });

  it('remembers whether the target was empty when the job began', async (t) => {
    const directory = await tempFolderFor(t, 'journal');
    for (const known of [undefined, true, false]) {
      const journal = Journal.open(directory, 'a -> b');
      assert.equal(journal.ownsTarget, known);
      journal.ownsTarget = known === undefined;
      assert.equal(journal.ownsTarget, known === undefined);
      journal.close();
    }
  });

  it('keeps passes with their exceptions and summaries', async (t) => {
    const directory = await tempFolderFor(t, 'journal');
    const exceptions: CopyException[] = [
      { state: 'failed', path: 'a "quoted" 😀 path', error: { name: 'Error', message: 'why' } },
      {
        state: 'damaged',
        path: 'b',
        error: { name: 'IntegrityError', message: 'wrong', hint: 'restore it' },
      },
    ];
    for (const isFrozen of [false, true]) {
      const journal = Journal.open(directory, 'a -> b');
      journal.beginPass(isFrozen, 'bound by sha256');
      journal.addExceptions([]);
      journal.addExceptions(exceptions.slice(0, 1));
      journal.addExceptions(exceptions.slice(1));
      journal.endPass({ objectsCopied: 5 } as CopySummary);
      journal.close();
    }
    assert.deepEqual(
      rows(directory, 'SELECT id, is_frozen, binding FROM pass ORDER BY id').map((row) => ({ ...row })),
      [
        { id: 1, is_frozen: 0, binding: 'bound by sha256' },
        { id: 2, is_frozen: 1, binding: 'bound by sha256' },
      ],
    );
    const [pass] = rows(directory, 'SELECT summary, started_ms, ended_ms FROM pass WHERE id = 2');
    assert.equal(JSON.parse(String(pass?.['summary'])).objectsCopied, 5);
    assert.ok(Number(pass?.['ended_ms']) >= Number(pass?.['started_ms']));
    const kept = rows(directory, 'SELECT state, path, error FROM exception WHERE pass = 2');
    assert.deepEqual(
      kept.map(({ state, path, error }) => ({ state, path, error: JSON.parse(String(error)) })),
      exceptions,
    );
  });

  it('takes a list of exceptions whole or not at all', async (t) => {
    const directory = await tempFolderFor(t, 'journal');
    const journal = Journal.open(directory, 'a -> b');
    journal.beginPass(false, 'bound');
    const fine: CopyException = { state: 'failed', path: 'a', error: { name: 'Error', message: 'why' } };
    const broken = { ...fine, path: undefined as unknown as string };
    assert.throws(() => journal.addExceptions([fine, broken]));
    journal.addExceptions([{ ...fine, path: 'b' }]);
    journal.close();
    assert.deepEqual(
      rows(directory, 'SELECT path FROM exception').map((row) => row['path']),
      ['b'],
    );
  });

  it('refuses another job, and names the one it belongs to', async (t) => {
    const directory = await tempFolderFor(t, 'journal');
    Journal.open(directory, 'a -> b').close();
    const { message, hint } = refusal(directory, 'a -> c');
    assert.match(message, /journal\.sqlite belongs to another job: a -> b$/);
    assert.match(hint ?? '', /--journal folder of its own/);
    Journal.open(directory, 'a -> b').close();
  });

  it('refuses a second process at once, in words, and takes it after a kill -9 of the first', async (t) => {
    const directory = await tempFolderFor(t, 'journal');
    const holder = await holderOf(t, directory);
    const { message, hint } = refusal(directory);
    assert.match(message, /^Another blobferry is at work on the journal .*journal\.sqlite$/);
    assert.match(hint ?? '', /Wait until it ends or stop it/);
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    const journal = Journal.open(directory, 'a -> b');
    assert.equal(journal.ownsTarget, true, 'what the killed process knew is lost');
    journal.close();
    assert.deepEqual(
      rows(directory, 'SELECT path FROM exception').map((row) => row['path']),
      ['held'],
    );
  });

  it('refuses a second opener in the same process', async (t) => {
    const directory = await tempFolderFor(t, 'journal');
    const journal = Journal.open(directory, 'a -> b');
    assert.match(refusal(directory).message, /Another blobferry is at work/);
    journal.close();
    Journal.open(directory, 'a -> b').close();
  });

  it('is no other job’s lock by the name of its folder', async (t) => {
    const folder = await tempFolderFor(t, 'journal');
    await writeFile(join(folder, 'locked'), 'a file, not a folder');
    const { message } = refusal(join(folder, 'locked', 'busy'));
    assert.match(message, /^Cannot use the journal .*ENOTDIR/);
  });

  it('refuses a file that is damaged or no journal, and leaves it as it is', async (t) => {
    const folder = await tempFolderFor(t, 'journal');
    const garbage = Buffer.alloc(8192, 'no database at all ');
    const path = join(folder, 'journal.sqlite');
    await writeFile(path, garbage);
    const { message, hint } = refusal(folder);
    assert.match(message, /journal\.sqlite is damaged, or no journal: .*not a database/);
    assert.match(hint ?? '', /Move it away and run again with --into-nonempty/);
    assert.ok((await readFile(path)).equals(garbage));
  });

  it('refuses a journal that was cut off', async (t) => {
    const folder = await tempFolderFor(t, 'journal');
    const journal = Journal.open(folder, 'a -> b');
    journal.beginPass(false, 'bound');
    journal.close();
    const path = join(folder, 'journal.sqlite');
    await truncate(path, 4096);
    assert.match(refusal(folder).message, /journal\.sqlite is damaged, or no journal: /);
  });

  it('refuses a database that another program made', async (t) => {
    const folder = await tempFolderFor(t, 'journal');
    const database = new DatabaseSync(join(folder, 'journal.sqlite'));
    database.exec('CREATE TABLE songs (name TEXT)');
    database.close();
    const { message, hint } = refusal(folder);
    assert.match(message, /journal\.sqlite is damaged, or no journal: no such table: meta/);
    assert.match(hint ?? '', /Move it away/);
  });

  it('refuses a journal that a newer blobferry wrote', async (t) => {
    const folder = await tempFolderFor(t, 'journal');
    Journal.open(folder, 'a -> b').close();
    const database = new DatabaseSync(join(folder, 'journal.sqlite'));
    database.exec("UPDATE meta SET value = '2' WHERE name = 'version'");
    database.close();
    const { message, hint } = refusal(folder);
    assert.match(message, /has version 2, this blobferry writes 1$/);
    assert.match(hint ?? '', /Use the blobferry that began this job/);
  });

  it('begins anew in an empty file, as a process leaves it that is killed at its start', async (t) => {
    const folder = await tempFolderFor(t, 'journal');
    await writeFile(join(folder, 'journal.sqlite'), '');
    const journal = Journal.open(folder, 'a -> b');
    assert.equal(journal.ownsTarget, undefined);
    journal.close();
  });
});
