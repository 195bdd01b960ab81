import assert from 'node:assert/strict';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it, type TestContext } from 'node:test';
import { Journal } from '../../../src/coordinator/journal.ts';
import { upgradeJournal } from '../../../src/coordinator/journal-schema.ts';
import { PassJournal } from '../../../src/coordinator/pass-journal.ts';
import type { Shard } from '../../../src/copy/shard.ts';
import type { ConfigError } from '../../../src/core/errors.ts';
import type { CopyException, CopySummary } from '../../../src/core/job.ts';
import { tempFolderFor } from '../../support/temp.ts';
import { OPTIONS, RUN } from './journal-samples.ts';

const UPLOAD = { id: 'upload', key: 'key' };
const EXCEPTION: CopyException = { state: 'failed', path: 'a', error: { name: 'Error', message: 'why' } };

/** Counts commits, each of which is a flush to the disk. */
class CountingDatabase extends DatabaseSync {
  commits = 0;

  override exec(sql: string): void {
    super.exec(sql);
    if (sql === 'COMMIT') this.commits += 1;
  }
}

interface World {
  readonly database: CountingDatabase;
  readonly path: string;
  readonly pass: PassJournal;
  readonly failures: ConfigError[];
}

/** Timers are the test's; the database is a real one. */
async function worldFor(test: TestContext, pragmas = ''): Promise<World> {
  test.mock.timers.enable({ apis: ['setTimeout'] });
  const path = join(await tempFolderFor(test, 'pass-journal'), 'journal.sqlite');
  const database = new CountingDatabase(path);
  test.after(() => database.close());
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 128; ${pragmas}`);
  upgradeJournal(database, 0);
  database.exec("INSERT INTO pass (id, started_ms, is_frozen, run) VALUES (1, 0, 0, 'run')");
  const pass = new PassJournal(database, path, { pass: 1, wasFlushed: false });
  const failures: ConfigError[] = [];
  pass.onFailure = (error) => failures.push(error);
  return { database, path, pass, failures };
}

function shards(count: number): readonly Shard[] {
  return Array.from({ length: count }, (_, at) => ({
    id: `blobs-${at}`,
    phase: 'blobs',
    range: { prefix: 'docker/registry/v2/blobs/sha256/', after: `${at}`, upTo: `${at + 1}` },
  }));
}

describe('PassJournal', () => {
  it('commits what it hears of shards once a second, the last of it', async (t) => {
    const { database, pass } = await worldFor(t);
    pass.planned(shards(3));
    pass.bound('words', undefined, false);
    t.mock.timers.tick(1_000);
    const before = database.commits;
    assert.equal(database.prepare('SELECT binding FROM pass').get()?.['binding'], 'words');
    pass.shard('blobs-0', 'running', 1);
    for (let at = 0; at < 10_000; at += 1) pass.cursor(`blobs-${at % 2}`, `path ${at}`);
    pass.shard('blobs-1', 'done');
    t.mock.timers.tick(999);
    assert.equal(database.commits, before);
    t.mock.timers.tick(1);
    assert.equal(database.commits, before + 1);
    const rows = database.prepare('SELECT id, state, cursor, attempts FROM shard ORDER BY id').all();
    assert.deepEqual(
      rows.map((row) => ({ ...row })),
      [
        { id: 'blobs-0', state: 'running', cursor: 'path 9998', attempts: 1 },
        { id: 'blobs-1', state: 'done', cursor: 'path 9999', attempts: 0 },
        { id: 'blobs-2', state: 'planned', cursor: null, attempts: 0 },
      ],
    );
    t.mock.timers.tick(60_000);
    assert.equal(database.commits, before + 1, 'it commits although there is nothing new');
    pass.cursor('blobs-0', 'later');
    t.mock.timers.tick(1_000);
    assert.equal(database.commits, before + 2);
  });

  it('commits uploads within 50 ms, with whatever else waits, and only those that are open stay', async (t) => {
    const { database, pass } = await worldFor(t);
    pass.planned(shards(1));
    t.mock.timers.tick(1_000);
    const before = database.commits;
    pass.cursor('blobs-0', 'somewhere');
    for (let at = 0; at < 500; at += 1) {
      pass.upload({ ...UPLOAD, id: `${at}` }, true);
      if (at !== 7) pass.upload({ ...UPLOAD, id: `${at}` }, false);
    }
    t.mock.timers.tick(50);
    assert.equal(database.commits, before + 1);
    assert.deepEqual(
      database
        .prepare('SELECT id, key FROM upload')
        .all()
        .map((row) => ({ ...row })),
      [{ id: '7', key: 'key' }],
    );
    assert.equal(database.prepare('SELECT cursor FROM shard').get()?.['cursor'], 'somewhere');
    pass.upload({ ...UPLOAD, id: '7' }, false);
    t.mock.timers.tick(50);
    assert.equal(database.prepare('SELECT count(*) AS n FROM upload').get()?.['n'], 0);
  });

  it('writes at its end what was still waiting, and when it gave the last sign', async (t) => {
    const { database, pass } = await worldFor(t);
    pass.upload(UPLOAD, true);
    pass.end({ objectsCopied: 3 } as CopySummary, true);
    assert.equal(database.prepare('SELECT count(*) AS n FROM upload').get()?.['n'], 1);
    const row = database.prepare('SELECT seen_ms, ended_ms, summary, is_tidied FROM pass').get();
    assert.ok(Number(row?.['seen_ms']) > 0 && Number(row?.['ended_ms']) > 0);
    assert.equal(JSON.parse(String(row?.['summary'])).objectsCopied, 3);
    assert.equal(row?.['is_tidied'], 1);
  });

  it('says once that the disk is full, keeps what was committed, and writes nothing after that', async (t) => {
    const { database, pass, failures } = await worldFor(t, 'PRAGMA max_page_count = 20;');
    pass.addExceptions([EXCEPTION]);
    const long = { ...EXCEPTION, path: 'p'.repeat(3_000) };
    for (let at = 0; at < 50; at += 1) pass.addExceptions([long]);
    assert.equal(failures.length, 1);
    assert.match(
      failures[0]?.message ?? '',
      /^The journal .*journal\.sqlite cannot be written: the disk is full$/,
    );
    assert.match(failures[0]?.hint ?? '', /Make room there, then run again/);
    const kept = Number(database.prepare('SELECT count(*) AS n FROM exception').get()?.['n']);
    assert.ok(kept >= 1 && kept < 50, `${kept} kept`);
    database.exec('PRAGMA max_page_count = 1000');
    pass.addExceptions([EXCEPTION]);
    pass.upload(UPLOAD, true);
    t.mock.timers.tick(5_000);
    pass.end({} as CopySummary, true);
    assert.equal(database.prepare('SELECT count(*) AS n FROM exception').get()?.['n'], kept);
    assert.equal(database.prepare('SELECT ended_ms FROM pass').get()?.['ended_ms'], null);
    assert.throws(() => {
      pass.removing = ['a'];
    }, /Nothing is removed/);
    assert.equal(failures.length, 1);
  });

  it('takes a list of exceptions whole or not at all', async (t) => {
    const { database, pass, failures } = await worldFor(t);
    pass.addExceptions([EXCEPTION, { ...EXCEPTION, path: undefined as unknown as string }]);
    assert.equal(failures.length, 1);
    assert.equal(database.prepare('SELECT count(*) AS n FROM exception').get()?.['n'], 0);
  });

  it('rejects for its end where that cannot be written, as nobody is left to be told', async (t) => {
    const { pass, failures } = await worldFor(t, 'PRAGMA max_page_count = 20;');
    assert.throws(() => pass.end({ binding: 'x'.repeat(200_000) } as CopySummary, true), /the disk is full/);
    assert.deepEqual(failures, []);
  });

  it('says that the file is damaged where that shows only while it runs', async (t) => {
    const folder = await tempFolderFor(t, 'pass-journal');
    const path = join(folder, 'journal.sqlite');
    Journal.open(folder, 'a -> b').close();
    const look = new DatabaseSync(path);
    const page = Number(
      look.prepare("SELECT rootpage FROM sqlite_master WHERE name = 'exception'").get()?.['rootpage'],
    );
    const bytes = Number(look.prepare('PRAGMA page_size').get()?.['page_size']);
    look.close();
    const file = await open(path, 'r+');
    await file.write(Buffer.alloc(bytes, 0xa5), 0, bytes, (page - 1) * bytes);
    await file.close();
    const journal = Journal.open(folder, 'a -> b');
    t.after(() => journal.close());
    const pass = journal.beginPass(RUN, OPTIONS);
    const failures: ConfigError[] = [];
    pass.onFailure = (error) => failures.push(error);
    pass.addExceptions([EXCEPTION]);
    pass.addExceptions([EXCEPTION]);
    assert.equal(failures.length, 1);
    assert.match(failures[0]?.message ?? '', /journal\.sqlite is damaged, or no journal: .*malformed/);
    assert.match(failures[0]?.hint ?? '', /Move it away and run again/);
  });

  it('keeps a failure that nobody listens to yet for whoever does: a timer has no caller', async (t) => {
    const { database, path } = await worldFor(t);
    const pass = new PassJournal(database, path, { pass: 1, wasFlushed: false });
    database.exec('DROP TABLE pass');
    pass.flushed();
    t.mock.timers.tick(1_000);
    const failures: ConfigError[] = [];
    pass.onFailure = (error) => failures.push(error);
    assert.equal(failures.length, 1);
    assert.match(failures[0]?.message ?? '', /no such table: pass/);
    pass.flushed();
    t.mock.timers.tick(1_000);
    assert.equal(failures.length, 1, 'it is told once');
  });

  it('stays below 5 MB while a million objects are copied', async (t) => {
    const { database, pass } = await worldFor(t, 'PRAGMA synchronous = OFF;');
    const path = String(database.location());
    // As threads report: shards of 5,000 objects with a cursor each, and one object in fifty sent in parts.
    const all = shards(200);
    pass.planned(all);
    let largest = 0;
    for (const { id } of all) {
      pass.shard(id, 'running', 1);
      for (let at = 0; at < 100; at += 1)
        pass.upload({ id: `${id} ${'u'.repeat(120)} ${at}`, key: longPath(at) }, true);
      t.mock.timers.tick(50);
      for (let at = 0; at < 100; at += 1)
        pass.upload({ id: `${id} ${'u'.repeat(120)} ${at}`, key: longPath(at) }, false);
      pass.cursor(id, longPath(5_000));
      t.mock.timers.tick(1_000);
      pass.shard(id, 'done');
      t.mock.timers.tick(1_000);
      const sizes = await Promise.all([stat(path), stat(`${path}-wal`)]);
      largest = Math.max(largest, sizes[0].size + sizes[1].size);
    }
    pass.end({} as CopySummary, true);
    t.diagnostic(`largest: ${largest} bytes, ${database.commits} commits`);
    assert.ok(largest > 20_000 && largest < 5_000_000, `${largest} bytes`);
  });
});

function longPath(at: number): string {
  return `docker/registry/v2/repositories/team/group/application/_layers/sha256/${String(at).padStart(64, '0')}/link`;
}
