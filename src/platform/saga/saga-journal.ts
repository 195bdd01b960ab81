/**
 * The journal of a migration: one SQLite file, private, locked by the process that uses it, each write flushed to the
 * disk before the next step of anything. It knows what was changed and how it was before: as long as a run is open it must
 * not be lost. No secret is in it.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { explainJournalError } from '../../coordinator/journal-errors.ts';
import { readHolder, removeHolder, writeHolder } from '../../coordinator/journal-holder.ts';
import { ConfigError } from '../../core/errors.ts';
import type { Entry, Json, RunEnd, RunRecord, SagaLog, What } from './saga-log.ts';

export const SAGA_FILE_NAME = 'saga.sqlite';
const VERSION = '1';

/** A run without an end is open, and there is one of those at most. */
const SCHEMA = `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE run (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL, began_ms INTEGER NOT NULL, ended_ms INTEGER, state TEXT,
    plan TEXT NOT NULL) STRICT;
  CREATE UNIQUE INDEX one_open_run ON run ((1)) WHERE ended_ms IS NULL;
  CREATE TABLE entry (
    number INTEGER PRIMARY KEY, run TEXT NOT NULL, at_ms INTEGER NOT NULL, step TEXT NOT NULL, what TEXT NOT NULL,
    text TEXT NOT NULL) STRICT;
  CREATE TABLE memory (
    run TEXT NOT NULL, step TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, is_first INTEGER NOT NULL,
    PRIMARY KEY (run, step, name)) STRICT, WITHOUT ROWID;
`;

export class SagaJournal implements SagaLog {
  readonly path: string;
  readonly #directory: string;
  readonly #database: DatabaseSync;
  #last: RunRecord | undefined;
  #entries: Entry[] = [];

  private constructor(directory: string, database: DatabaseSync) {
    this.path = join(directory, SAGA_FILE_NAME);
    this.#directory = directory;
    this.#database = database;
  }

  /**
   * @param directory a folder of its own, made where it is missing.
   * @param identity what makes two runs the same migration, without secrets.
   * @throws ConfigError for a journal of another migration, another process, another version, or a damaged one.
   */
  static open(directory: string, identity: string): SagaJournal {
    const path = join(directory, SAGA_FILE_NAME);
    let database: DatabaseSync | undefined;
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      makePrivate(path);
      database = new DatabaseSync(path);
      database.exec(
        `PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 128; PRAGMA journal_size_limit = 1048576;`,
      );
      database.exec('BEGIN IMMEDIATE');
      const journal = new SagaJournal(directory, database);
      journal.#prepare(identity);
      database.exec('COMMIT');
      writeHolder(directory, Date.now());
      return journal;
    } catch (error) {
      try {
        database?.close();
      } catch {
        // What it says of a damaged file is said already.
      }
      throw explain(path, error, readHolder(directory));
    }
  }

  get last(): RunRecord | undefined {
    return this.#last;
  }

  get entries(): readonly Entry[] {
    return this.#entries;
  }

  begin(plan: string): RunRecord {
    const run = { id: randomBytes(6).toString('hex'), beganMs: Date.now(), plan };
    this.#write(() => {
      const insert = this.#database.prepare('INSERT INTO run (id, began_ms, plan) VALUES (?, ?, ?)');
      insert.run(run.id, run.beganMs, plan);
    });
    this.#entries = [];
    this.#last = { ...run, end: undefined, endedMs: undefined };
    return this.#last;
  }

  end(end: RunEnd): void {
    const run = this.#open;
    const endedMs = Date.now();
    this.#write(() => {
      this.#database
        .prepare('UPDATE run SET ended_ms = ?, state = ? WHERE id = ? AND ended_ms IS NULL')
        .run(endedMs, end, run.id);
    });
    this.#last = { ...run, end, endedMs };
  }

  append(entry: Entry): void {
    this.#write(() => this.#insert(entry));
    this.#entries.push(entry);
  }

  reset(entry: Entry): void {
    this.#write(() => {
      this.#insert(entry);
      const forget = this.#database.prepare('DELETE FROM memory WHERE run = ? AND step = ? AND is_first = 0');
      forget.run(this.#open.id, entry.step);
    });
    this.#entries.push(entry);
  }

  get(step: string, name: string): Json | undefined {
    const row = this.#database
      .prepare('SELECT value FROM memory WHERE run = ? AND step = ? AND name = ?')
      .get(this.#last?.id ?? '', step, name);
    return row === undefined ? undefined : (JSON.parse(String(row['value'])) as Json);
  }

  put(step: string, name: string, value: Json, isFirst: boolean): void {
    this.#write(() => {
      this.#database
        .prepare('INSERT OR REPLACE INTO memory (run, step, name, value, is_first) VALUES (?, ?, ?, ?, ?)')
        .run(this.#open.id, step, name, JSON.stringify(value), isFirst ? 1 : 0);
    });
  }

  close(): void {
    removeHolder(this.#directory);
    try {
      this.#database.close();
    } catch {
      // What was committed is in the file or in its log; whoever opens it next brings them together.
    }
  }

  get #open(): RunRecord {
    if (this.#last === undefined || this.#last.end !== undefined) throw new TypeError('No run is open');
    return this.#last;
  }

  #insert({ atMs, step, what, text }: Entry): void {
    this.#database
      .prepare('INSERT INTO entry (run, at_ms, step, what, text) VALUES (?, ?, ?, ?, ?)')
      .run(this.#open.id, atMs, step, what, text);
  }

  #prepare(identity: string): void {
    const tables = this.#database
      .prepare("SELECT count(*) AS n FROM sqlite_master WHERE type = 'table'")
      .get();
    if (tables?.['n'] === 0) {
      this.#database.exec(SCHEMA);
      const insert = this.#database.prepare('INSERT INTO meta (name, value) VALUES (?, ?)');
      insert.run('version', VERSION);
      insert.run('identity', identity);
      return;
    }
    const meta = (name: string): string =>
      String(this.#database.prepare('SELECT value FROM meta WHERE name = ?').get(name)?.['value']);
    if (meta('version') !== VERSION) {
      throw new ConfigError(
        `The journal ${this.path} has version ${meta('version')}, this blobferry writes ${VERSION}`,
        { hint: 'Use the blobferry that began this migration' },
      );
    }
    if (meta('identity') !== identity) {
      throw new ConfigError(`The journal ${this.path} belongs to another migration: ${meta('identity')}`, {
        hint: 'Give this migration a journal folder of its own',
      });
    }
    this.#read();
  }

  #read(): void {
    const run = this.#database.prepare('SELECT * FROM run ORDER BY number DESC LIMIT 1').get();
    if (run === undefined) return;
    const id = String(run['id']);
    this.#last = {
      id,
      beganMs: Number(run['began_ms']),
      end: run['ended_ms'] === null ? undefined : (String(run['state']) as RunEnd),
      endedMs: run['ended_ms'] === null ? undefined : Number(run['ended_ms']),
      plan: String(run['plan']),
    };
    this.#entries = this.#database
      .prepare('SELECT at_ms, step, what, text FROM entry WHERE run = ? ORDER BY number')
      .all(id)
      .map((row) => ({
        atMs: Number(row['at_ms']),
        step: String(row['step']),
        what: String(row['what']) as What,
        text: String(row['text']),
      }));
  }

  #write(work: () => void): void {
    try {
      this.#database.exec('BEGIN');
      work();
      this.#database.exec('COMMIT');
    } catch (error) {
      // A full disk may have ended the transaction already.
      if (this.#database.isOpen && this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error instanceof TypeError ? error : explain(this.path, error);
    }
  }
}

const KEEP =
  'Mend that and run again. Do not remove this journal: it knows what was changed, and how it was before';

function explain(path: string, error: unknown, holder?: string): ConfigError {
  const said = explainJournalError(path, error, holder);
  if (said === error || said.message.startsWith('Another blobferry')) return said;
  return new ConfigError(said.message, { cause: error, hint: KEEP });
}

/**
 * It names the people's own registry and what is wrong with it. An existing file is not opened here: closing it again
 * would take away the lock that another journal of this process may have on it.
 */
function makePrivate(path: string): void {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) closeSync(openSync(path, 'a', 0o600));
  else if ((stats.mode & 0o077) !== 0) chmodSync(path, stats.mode & 0o700);
}
