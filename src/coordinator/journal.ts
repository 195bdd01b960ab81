/**
 * The journal of a job: what is copied where, whether the target was empty when it began, its passes and what went
 * wrong in them. SQLite in exclusive mode: its lock is the job's lock and ends with the process that holds it.
 */
import { mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { ConfigError } from '../core/errors.ts';
import type { CopyException, CopySummary } from '../core/job.ts';

export const FILE_NAME = 'journal.sqlite';
const VERSION = 1;

const SCHEMA = `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE pass (
    id INTEGER PRIMARY KEY, started_ms INTEGER NOT NULL, ended_ms INTEGER, is_frozen INTEGER NOT NULL,
    binding TEXT, summary TEXT) STRICT;
  CREATE TABLE exception (
    pass INTEGER NOT NULL REFERENCES pass(id), state TEXT NOT NULL, path TEXT NOT NULL, error TEXT NOT NULL) STRICT;
`;

export class Journal {
  readonly path: string;
  readonly #database: DatabaseSync;
  #pass = 0;

  private constructor(path: string, database: DatabaseSync) {
    this.path = path;
    this.#database = database;
  }

  /** @param identity what makes two runs the same job: both storages, without secrets. */
  static open(directory: string, identity: string): Journal {
    const path = join(directory, FILE_NAME);
    let database: DatabaseSync | undefined;
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      database = new DatabaseSync(path);
      // Exclusive before WAL: then no shared-memory file is needed, and a second process meets a locked file.
      database.exec(
        'PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;',
      );
      database.exec('BEGIN IMMEDIATE');
      const journal = new Journal(path, database);
      journal.#prepare(identity);
      database.exec('COMMIT');
      return journal;
    } catch (error) {
      database?.close();
      throw explain(path, error);
    }
  }

  /** Was the target's root empty when this job began? Undefined until `begin` has said so. */
  get ownsTarget(): boolean | undefined {
    const value = this.#meta('ownsTarget');
    return value === undefined ? undefined : value === 'true';
  }

  set ownsTarget(value: boolean) {
    this.#setMeta('ownsTarget', String(value));
  }

  /** Logical paths that `--delete-extra` was about to remove when this was last written. */
  get removing(): readonly string[] {
    return JSON.parse(this.#meta('removing') ?? '[]') as readonly string[];
  }

  set removing(paths: readonly string[]) {
    this.#setMeta('removing', JSON.stringify(paths));
  }

  beginPass(isFrozen: boolean, binding: string): void {
    const insert = this.#database.prepare(
      'INSERT INTO pass (started_ms, is_frozen, binding) VALUES (?, ?, ?)',
    );
    this.#pass = Number(insert.run(Date.now(), isFrozen ? 1 : 0, binding).lastInsertRowid);
  }

  addExceptions(exceptions: readonly CopyException[]): void {
    if (exceptions.length === 0) return;
    const insert = this.#database.prepare(
      'INSERT INTO exception (pass, state, path, error) VALUES (?, ?, ?, ?)',
    );
    this.#database.exec('BEGIN');
    try {
      for (const { state, path, error } of exceptions)
        insert.run(this.#pass, state, path, JSON.stringify(error));
      this.#database.exec('COMMIT');
    } catch (error) {
      // A full disk may have ended the transaction already.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  endPass(summary: CopySummary): void {
    const update = this.#database.prepare('UPDATE pass SET ended_ms = ?, summary = ? WHERE id = ?');
    update.run(Date.now(), JSON.stringify(summary), this.#pass);
  }

  close(): void {
    this.#database.close();
  }

  #prepare(identity: string): void {
    const tables = this.#database
      .prepare("SELECT count(*) AS n FROM sqlite_master WHERE type = 'table'")
      .get();
    if (tables?.['n'] === 0) {
      this.#database.exec(SCHEMA);
      this.#setMeta('version', String(VERSION));
      this.#setMeta('identity', identity);
    }
    const version = Number(this.#meta('version'));
    if (version !== VERSION) {
      throw new ConfigError(
        `The journal ${this.path} has version ${version}, this blobferry writes ${VERSION}`,
        {
          hint: 'Use the blobferry that began this job, or another --journal folder',
        },
      );
    }
    if (this.#meta('identity') !== identity) {
      throw new ConfigError(`The journal ${this.path} belongs to another job: ${this.#meta('identity')}`, {
        hint: 'Give this job a --journal folder of its own',
      });
    }
    this.#setMeta('holder', `process ${process.pid} on ${hostname()}`);
  }

  #meta(name: string): string | undefined {
    const row = this.#database.prepare('SELECT value FROM meta WHERE name = ?').get(name);
    return row === undefined ? undefined : String(row['value']);
  }

  #setMeta(name: string, value: string): void {
    const upsert =
      'INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value';
    this.#database.prepare(upsert).run(name, value);
  }
}

/** Primary result codes: https://www.sqlite.org/rescode.html */
const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

function explain(path: string, error: unknown): unknown {
  if (error instanceof ConfigError) return error;
  const { message, code, errcode } = error as NodeJS.ErrnoException & { readonly errcode?: number };
  // The upper bits say more than is asked here.
  const result = errcode === undefined ? undefined : errcode & 0xff;
  if (result === SQLITE_BUSY || result === SQLITE_LOCKED) {
    return new ConfigError(`Another blobferry is at work on the journal ${path}`, {
      cause: error,
      hint: 'Wait until it ends or stop it; two runs of one job at once would disturb each other',
    });
  }
  if (result === SQLITE_CORRUPT || result === SQLITE_NOTADB || /^no such (table|column)/.test(message)) {
    return new ConfigError(`The file ${path} is damaged, or no journal: ${message}`, {
      cause: error,
      hint: 'Move it away and run again with --into-nonempty: what was copied is found again',
    });
  }
  return new ConfigError(`Cannot use the journal ${path}: ${message}${code ? ` (${code})` : ''}`, {
    cause: error,
    hint: 'Check that the folder can be written, or choose another with --journal',
  });
}
