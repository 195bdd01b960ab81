import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it, type TestContext } from 'node:test';
import { Journal, STRANGERS_MAX } from '../../../src/coordinator/journal.ts';
import { ConfigError } from '../../../src/core/errors.ts';
import type { CopyException, CopySummary } from '../../../src/core/job.ts';
import { tempFolderFor } from '../../support/temp.ts';
import { BINDING, OPTIONS, RUN } from './journal-samples.ts';

const JOURNAL_URL = new URL('../../../src/coordinator/journal.ts', import.meta.url).href;

/** Another process that opens the journal, writes to it and then holds it until it is killed. */
async function holderOf(test: TestContext, directory: string): Promise<ChildProcess> {
  const script = `
    import { Journal } from ${JSON.stringify(JOURNAL_URL)};
    const journal = Journal.open(process.argv[1], 'a -> b');
    journal.claim(true, ['theirs']);
    const pass = journal.beginPass('a1b2c3d4e5f6', { isFrozen: false });
    pass.planned([
      { id: 'blobs-1', phase: 'blobs', range: { prefix: 'a' } },
      { id: 'blobs-2', phase: 'blobs', range: { prefix: 'b' } },
    ]);
    pass.shard('blobs-1', 'done', 1);
    pass.upload({ id: 'kept', key: 'held' }, true);
    pass.addExceptions([{ state: 'failed', path: 'held', error: { name: 'Error', message: 'why' } }]);
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

function literally(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
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

  it('is for its owner only, with all its files, even where it was not', async (t) => {
    const directory = await tempFolderFor(t, 'journal');
    Journal.open(directory, 'a -> b').close();
    await chmod(join(directory, 'journal.sqlite'), 0o644);
    const journal = Journal.open(directory, 'a -> b');
    journal.beginPass(RUN, OPTIONS);
    const files = await readdir(directory);
    assert.ok(files.includes('journal.sqlite-wal') && files.includes('holder'), files.join());
    for (const file of files) assert.equal((await stat(join(directory, file))).mode & 0o777, 0o600, file);
    journal.close();
    assert.deepEqual(await readdir(directory), ['journal.sqlite']);
  });

  it('remembers whether the target was empty when the job began, and what was open there', async (t) => {
    for (const [owns, strangers] of [
      [true, ['one', 'two', 'one']],
      [false, []],
      [true, undefined],
    ] as const) {
      const directory = await tempFolderFor(t, 'journal');
      const first = Journal.open(directory, 'a -> b');
      assert.equal(first.ownsTarget, undefined);
      assert.equal(first.strangers, undefined);
      first.claim(owns, strangers);
      first.close();
      const second = Journal.open(directory, 'a -> b');
      assert.equal(second.ownsTarget, owns);
      assert.deepEqual(second.strangers, strangers && new Set(strangers));
      second.close();
    }
  });

  it('knows of no stranger for sure where there are more of them than it keeps', async (t) => {
    const directory = await tempFolderFor(t, 'journal');
    const journal = Journal.open(directory, 'a -> b');
    journal.claim(
      true,
      Array.from({ length: STRANGERS_MAX + 1 }, (_, at) => `upload ${at}`),
    );
    assert.equal(journal.strangers, undefined);
    assert.equal(journal.ownsTarget, true);
    journal.close();
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
      const pass = journal.beginPass(RUN, { ...OPTIONS, isFrozen });
      pass.bound('bound by sha256', BINDING, false);
      pass.addExceptions([]);
      pass.addExceptions(exceptions.slice(0, 1));
      pass.addExceptions(exceptions.slice(1));
      pass.end({ objectsCopied: 5 } as CopySummary, true);
      journal.close();
    }
    const passes = rows(directory, 'SELECT id, is_frozen, binding, refusals, options FROM pass ORDER BY id');
    assert.deepEqual(
      passes.map((row) => ({ ...row, refusals: JSON.parse(String(row['refusals'])), options: undefined })),
      [
        { id: 1, is_frozen: 0, binding: 'bound by sha256', refusals: BINDING, options: undefined },
        { id: 2, is_frozen: 1, binding: 'bound by sha256', refusals: BINDING, options: undefined },
      ],
    );
    const { journalDirectory: _none, ...options } = OPTIONS;
    assert.deepEqual(JSON.parse(String(passes[0]?.['options'])), { ...options, readsBack: false });
    const [pass] = rows(directory, 'SELECT summary, started_ms, ended_ms FROM pass WHERE id = 2');
    assert.equal(JSON.parse(String(pass?.['summary'])).objectsCopied, 5);
    assert.ok(Number(pass?.['ended_ms']) >= Number(pass?.['started_ms']));
    const kept = rows(directory, 'SELECT state, path, error FROM exception WHERE pass = 2');
    assert.deepEqual(
      kept.map(({ state, path, error }) => ({ state, path, error: JSON.parse(String(error)) })),
      exceptions,
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
    assert.match(
      message,
      new RegExp(
        `^Another blobferry \\(process ${holder.pid} on ${literally(hostname())}, since 20..-..-.. ..:.. UTC\\) is at work on the journal .*journal\\.sqlite$`,
      ),
    );
    assert.match(hint ?? '', /Wait until it ends or stop it/);
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    const journal = Journal.open(directory, 'a -> b');
    assert.equal(journal.ownsTarget, true, 'what the killed process knew is lost');
    const { interrupted } = journal;
    assert.ok(interrupted && interrupted.lastSignMs >= interrupted.beganMs);
    assert.deepEqual([interrupted.shardsDone, interrupted.shards], [1, 2]);
    assert.deepEqual(journal.runsUntidied, [RUN]);
    assert.deepEqual(journal.openUploads, [{ id: 'kept', key: 'held' }]);
    journal.close();
    assert.deepEqual(
      rows(directory, 'SELECT path FROM exception').map((row) => row['path']),
      ['held'],
    );
  });

  it('refuses a second opener in the same process', async (t) => {
    const directory = await tempFolderFor(t, 'journal');
    const journal = Journal.open(directory, 'a -> b');
    assert.match(refusal(directory).message, /^Another blobferry .*is at work/);
    journal.close();
    Journal.open(directory, 'a -> b').close();
  });

  it('is no other job’s lock by the name of its folder', async (t) => {
    const folder = await tempFolderFor(t, 'journal');
    await writeFile(join(folder, 'locked'), 'a file, not a folder');
    const { message } = refusal(join(folder, 'locked', 'busy'));
    assert.match(message, /^Cannot use the journal .*ENOTDIR/);
    assert.equal(message.match(/ENOTDIR/g)?.length, 1, 'the code is said once');
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
    journal.beginPass(RUN, OPTIONS);
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
    database.exec("UPDATE meta SET value = '3' WHERE name = 'version'");
    database.close();
    const { message, hint } = refusal(folder);
    assert.match(message, /has version 3, this blobferry writes 2$/);
    assert.match(hint ?? '', /Use the blobferry that began this job/);
  });

  it('goes on with a journal of version 1, and takes no upload for its own that it does not know', async (t) => {
    const folder = await tempFolderFor(t, 'journal');
    const database = new DatabaseSync(join(folder, 'journal.sqlite'));
    database.exec(`
      CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
      CREATE TABLE pass (
        id INTEGER PRIMARY KEY, started_ms INTEGER NOT NULL, ended_ms INTEGER, is_frozen INTEGER NOT NULL,
        binding TEXT, summary TEXT) STRICT;
      CREATE TABLE exception (
        pass INTEGER NOT NULL REFERENCES pass(id), state TEXT NOT NULL, path TEXT NOT NULL, error TEXT NOT NULL) STRICT;
      INSERT INTO meta VALUES ('version', '1'), ('identity', 'a -> b'), ('ownsTarget', 'true'), ('holder', 'process 1');
      INSERT INTO pass VALUES (1, 1000, NULL, 0, 'bound', NULL);
      INSERT INTO exception VALUES (1, 'failed', 'old', '{}');
    `);
    database.close();
    assert.match(refusal(folder, 'a -> c').message, /belongs to another job: a -> b$/);
    const journal = Journal.open(folder, 'a -> b');
    assert.equal(journal.ownsTarget, true);
    assert.equal(journal.strangers, undefined);
    assert.deepEqual(journal.interrupted, { beganMs: 1000, lastSignMs: 1000, shardsDone: 0, shards: 0 });
    assert.deepEqual(journal.runsUntidied, []);
    const pass = journal.beginPass(RUN, OPTIONS);
    pass.upload({ id: 'new', key: 'k' }, true);
    pass.end({} as CopySummary, true);
    journal.close();
    const again = Journal.open(folder, 'a -> b');
    assert.equal(again.interrupted, undefined);
    assert.deepEqual(again.openUploads, [{ id: 'new', key: 'k' }]);
    again.close();
    assert.deepEqual(
      rows(folder, 'SELECT path FROM exception').map((row) => row['path']),
      ['old'],
    );
  });

  it('knows what a run may have left unfinished until that is tidied, and the uploads that are open', async (t) => {
    const folder = await tempFolderFor(t, 'journal');
    const journal = Journal.open(folder, 'a -> b');
    journal.beginPass('000000000001', OPTIONS).stop();
    journal.beginPass('000000000002', OPTIONS).giveUp({ name: 'Error', message: 'no bucket' });
    journal.beginPass('000000000003', OPTIONS).end({} as CopySummary, true);
    const pass = journal.beginPass('000000000004', OPTIONS);
    pass.upload({ id: '1', key: 'a' }, true);
    pass.upload({ id: '2', key: 'a' }, true);
    pass.upload({ id: '1', key: 'a' }, false);
    pass.end({} as CopySummary, false);
    assert.deepEqual(journal.openUploads, [{ id: '2', key: 'a' }]);
    assert.deepEqual(journal.runsUntidied, ['000000000001', '000000000002', '000000000004']);
    journal.tidied(['000000000001', '000000000002'], [{ id: '3', key: 'b' }]);
    assert.deepEqual(journal.runsUntidied, ['000000000004']);
    assert.deepEqual(journal.openUploads, [{ id: '3', key: 'b' }]);
    journal.close();
  });

  it('knows whether a run may not have seen what became of its writes, until a pass has gone well', async (t) => {
    const journal = Journal.open(await tempFolderFor(t, 'journal'), 'a -> b');
    const end = (run: number, summary: Partial<CopySummary>) =>
      journal.beginPass(`${run}`.padStart(12, '0'), OPTIONS).end(summary as CopySummary, true);
    const well = { isComplete: true, isStopped: false, objectsUnsettled: 0, objectsDamaged: 0 };
    assert.equal(journal.hasUnseenWrites, false);
    end(1, { ...well, isComplete: false });
    assert.equal(journal.hasUnseenWrites, false, 'it was not stopped');
    journal.beginPass('000000000002', OPTIONS).stop();
    assert.equal(journal.hasUnseenWrites, true);
    end(3, { ...well, isComplete: false });
    end(4, { ...well, objectsUnsettled: 1 });
    end(5, { ...well, objectsDamaged: 1 });
    journal.beginPass('000000000006', OPTIONS).giveUp({ name: 'Error', message: 'no bucket' });
    assert.equal(journal.hasUnseenWrites, true, 'nothing of this went well through everything');
    end(7, well);
    assert.equal(journal.hasUnseenWrites, false);
    end(8, { ...well, isComplete: false, isStopped: true });
    assert.equal(journal.hasUnseenWrites, true);
    end(9, well);
    end(10, { ...well, isComplete: false, stoppedBy: { name: 'Error', message: 'a deaf thread' } });
    assert.equal(journal.hasUnseenWrites, true);
    journal.close();
  });

  it('knows whether such a run read back what it wrote, be that asked for or not', async (t) => {
    const journal = Journal.open(await tempFolderFor(t, 'journal'), 'a -> b');
    journal.beginPass('000000000001', OPTIONS).bound('', BINDING, false);
    assert.deepEqual([journal.hasUnseenWrites, journal.hasUnreadWrites], [true, false]);
    journal.beginPass('000000000002', OPTIONS).bound('', undefined, true);
    journal.beginPass('000000000003', OPTIONS).bound('', BINDING, false);
    assert.deepEqual([journal.hasUnseenWrites, journal.hasUnreadWrites], [true, true]);
    const well = { isComplete: true, isStopped: false, objectsUnsettled: 0, objectsDamaged: 0 };
    journal.beginPass('000000000004', OPTIONS).end(well as CopySummary, true);
    assert.deepEqual([journal.hasUnseenWrites, journal.hasUnreadWrites], [false, false]);
    journal.close();
  });

  it('begins anew in an empty file, as a process leaves it that is killed at its start', async (t) => {
    const folder = await tempFolderFor(t, 'journal');
    await writeFile(join(folder, 'journal.sqlite'), '');
    const journal = Journal.open(folder, 'a -> b');
    assert.equal(journal.ownsTarget, undefined);
    journal.close();
  });
});
