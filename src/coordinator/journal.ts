/**
 * The journal of a job: what is copied where, whether the target was empty when it began, its passes and what went
 * wrong in them. SQLite in exclusive mode: its lock is the job's lock and ends with the process that holds it.
 */
import { chmodSync, closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { ConfigError } from '../core/errors.ts';
import type { CopyOptions, Engine } from '../core/job.ts';
import type { Binding, Upload } from '../drivers/driver.ts';
import { explainJournalError } from './journal-errors.ts';
import { readHolder, removeHolder, writeHolder } from './journal-holder.ts';
import { JOURNAL_VERSION, upgradeJournal } from './journal-schema.ts';
import { FLUSHED, PassJournal } from './pass-journal.ts';

export const FILE_NAME = 'journal.sqlite';
/** So many uploads of strangers are remembered; where there are more, only journaled ones count as ours. */
export const STRANGERS_MAX = 10_000;

/** A pass that has no end: the process was killed, or the machine went down. */
export interface InterruptedPass {
  readonly beganMs: number;
  /** The last time it wrote something here. */
  readonly lastSignMs: number;
  readonly shardsDone: number;
  /** Of the phases that had been planned. */
  readonly shards: number;
}

export class Journal {
  readonly path: string;
  readonly #directory: string;
  readonly #database: DatabaseSync;
  #pass: PassJournal | undefined;

  private constructor(directory: string, database: DatabaseSync) {
    this.path = join(directory, FILE_NAME);
    this.#directory = directory;
    this.#database = database;
  }

  /**
   * @param identity what makes two runs the same job: both storages, without secrets.
   * @throws ConfigError for a journal that is another job's, another process's, of a newer version, damaged or not to be
   * written; nothing in it is changed then.
   */
  static open(directory: string, identity: string): Journal {
    const path = join(directory, FILE_NAME);
    let database: DatabaseSync | undefined;
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      makePrivate(path);
      database = new DatabaseSync(path);
      // Exclusive before WAL: then no shared-memory file is needed, and a second process meets a locked file. A log of
      // 1 MiB at most keeps the whole journal small.
      database.exec(
        `PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 128; PRAGMA journal_size_limit = 1048576;`,
      );
      database.exec('BEGIN IMMEDIATE');
      const journal = new Journal(directory, database);
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
      throw explainJournalError(path, error, readHolder(directory));
    }
  }

  /** Was the target's root empty when this job began? Undefined until `claim` has said so. */
  get ownsTarget(): boolean | undefined {
    const value = this.#meta('ownsTarget');
    return value === undefined ? undefined : value === 'true';
  }

  /** Uploads that were open below the target's root before this job began; undefined where that is not known. */
  get strangers(): ReadonlySet<string> | undefined {
    if (this.#meta('strangers') !== 'known') return undefined;
    return new Set(
      this.#database
        .prepare('SELECT id FROM stranger')
        .all()
        .map((row) => String(row['id'])),
    );
  }

  /**
   * Said once per job, before it writes anything to the target.
   * @param strangers ids of open uploads; undefined where they could not be listed.
   */
  claim(ownsTarget: boolean, strangers: readonly string[] | undefined): void {
    const isKnown = strangers !== undefined && strangers.length <= STRANGERS_MAX;
    this.#inTransaction(() => {
      this.#setMeta('ownsTarget', String(ownsTarget));
      this.#setMeta(FLUSHED, String(ownsTarget));
      this.#setMeta('strangers', isKnown ? 'known' : 'unknown');
      const insert = this.#database.prepare('INSERT OR IGNORE INTO stranger (id) VALUES (?)');
      for (const id of isKnown ? strangers : []) insert.run(id);
    });
  }

  /** Ask before the next pass begins. */
  get interrupted(): InterruptedPass | undefined {
    const pass = this.#database
      .prepare('SELECT started_ms, seen_ms, ended_ms FROM pass ORDER BY id DESC LIMIT 1')
      .get();
    if (pass === undefined || pass['ended_ms'] !== null) return undefined;
    const shards = this.#database
      .prepare("SELECT count(*) AS shards, count(*) FILTER (WHERE state = 'done') AS done FROM shard")
      .get();
    return {
      beganMs: Number(pass['started_ms']),
      lastSignMs: Number(pass['seen_ms'] ?? pass['started_ms']),
      shardsDone: Number(shards?.['done']),
      shards: Number(shards?.['shards']),
    };
  }

  /**
   * May the target hold something that was written by a run which ended too early to see whether it arrived? So it is
   * until a pass has gone well through everything. Ask before the next pass begins.
   */
  get hasUnseenWrites(): boolean {
    return this.#hasEndedEarly('1');
  }

  /**
   * The same of runs that read back what they wrote: what they left is looked at by whoever comes next, also where that
   * one's own writes are bound, by another engine or by a server that has learned to check.
   */
  get hasUnreadWrites(): boolean {
    return this.#hasEndedEarly("options ->> 'readsBack' = 1");
  }

  #hasEndedEarly(condition: string): boolean {
    const row = this.#database
      .prepare(
        `SELECT count(*) AS n FROM pass
         WHERE (ended_ms IS NULL OR summary ->> 'isStopped' = 1 OR summary ->> 'stoppedBy' IS NOT NULL)
           AND ${condition}
           AND id > (SELECT coalesce(max(id), 0) FROM pass
             WHERE summary ->> 'isComplete' = 1 AND summary ->> 'objectsUnsettled' = 0
               AND summary ->> 'objectsDamaged' = 0)`,
      )
      .get();
    return row?.['n'] !== 0;
  }

  /**
   * May there be copies that the service made by itself, without anybody having seen their proof? Where they are read
   * back, open uploads mark them, unless one came to an end that was not seen.
   */
  get hasUnseenCopies(): boolean {
    const row = this.#database
      .prepare(
        `SELECT count(*) AS n FROM pass
         WHERE (summary ->> 'serverCopiesUnseen' > 0 OR (refusals ->> 'computesCopySha256' = 1
             AND (ended_ms IS NULL OR summary ->> 'isStopped' = 1 OR summary ->> 'stoppedBy' IS NOT NULL)))
           AND id > (SELECT coalesce(max(id), 0) FROM pass
             WHERE summary ->> 'isComplete' = 1 AND summary ->> 'objectsUnsettled' = 0
               AND summary ->> 'objectsDamaged' = 0 AND summary ->> 'serverCopiesUnseen' = 0)`,
      )
      .get();
    return row?.['n'] !== 0;
  }

  /** Uploads that this job began and that nobody has seen end. */
  get openUploads(): readonly Upload[] {
    return this.#database
      .prepare('SELECT id, key FROM upload ORDER BY key, id')
      .all()
      .map((row) => ({ id: String(row['id']), key: String(row['key']) }));
  }

  /** Runs of this job that may have left something unfinished behind. */
  get runsUntidied(): readonly string[] {
    return this.#database
      .prepare('SELECT run FROM pass WHERE run IS NOT NULL AND is_tidied = 0 ORDER BY id')
      .all()
      .map((row) => String(row['run']));
  }

  /** What those runs left behind is gone, or is an open upload and in `uploads`, the whole list of them now. */
  tidied(runs: readonly string[], uploads: readonly Upload[]): void {
    this.#inTransaction(() => {
      const done = this.#database.prepare('UPDATE pass SET is_tidied = 1 WHERE run = ?');
      for (const run of runs) done.run(run);
      const known = new Set(this.openUploads.map(nameOf));
      const insert = this.#database.prepare('INSERT INTO upload (id, key, opened_ms) VALUES (?, ?, ?)');
      for (const upload of uploads) {
        if (!known.delete(nameOf(upload))) insert.run(upload.id, upload.key, Date.now());
      }
      const remove = this.#database.prepare('DELETE FROM upload WHERE id = ? AND key = ?');
      for (const upload of this.openUploads) {
        if (known.has(nameOf(upload))) remove.run(upload.id, upload.key);
      }
    });
  }

  /** What the last pass that asked saw the target refuse. Ask before the next pass begins. */
  lastBinding(engine: Engine): Binding | undefined {
    const row = this.#database
      .prepare(
        "SELECT refusals FROM pass WHERE refusals IS NOT NULL AND options ->> 'engine' = ? ORDER BY id DESC LIMIT 1",
      )
      .get(engine);
    return row === undefined ? undefined : (JSON.parse(String(row['refusals'])) as Binding);
  }

  /**
   * @param run as in `DriverSpec.runId`.
   * @param epoch the read-only epoch that the pass belongs to.
   */
  beginPass(run: string, options: CopyOptions, epoch?: string): PassJournal {
    const { journalDirectory: _here, digests: _index, ...asked } = options;
    const kept = epoch === undefined ? asked : { ...asked, epoch };
    const nowMs = Date.now();
    let pass = 0;
    const wasFlushed = this.#meta(FLUSHED) === 'true';
    this.#inTransaction(() => {
      const insert = this.#database.prepare(
        'INSERT INTO pass (run, started_ms, seen_ms, is_frozen, options) VALUES (?, ?, ?, ?, ?)',
      );
      const { lastInsertRowid } = insert.run(
        run,
        nowMs,
        nowMs,
        options.isFrozen ? 1 : 0,
        JSON.stringify(kept),
      );
      pass = Number(lastInsertRowid);
      // Shards and their cursors are worth something within one pass only.
      this.#database.exec('DELETE FROM shard');
      this.#setMeta(FLUSHED, 'false');
    });
    this.#pass = new PassJournal(this.#database, this.path, { pass, wasFlushed });
    return this.#pass;
  }

  close(): void {
    this.#pass?.stop();
    removeHolder(this.#directory);
    try {
      this.#database.close();
    } catch {
      // What was committed is in the file or in its log; whoever opens it next brings them together.
    }
  }

  #prepare(identity: string): void {
    const tables = this.#database
      .prepare("SELECT count(*) AS n FROM sqlite_master WHERE type = 'table'")
      .get();
    const isNew = tables?.['n'] === 0;
    const version = isNew ? 0 : Number(this.#meta('version'));
    if (!(version <= JOURNAL_VERSION)) {
      throw new ConfigError(
        `The journal ${this.path} has version ${version}, this blobferry writes ${JOURNAL_VERSION}`,
        { hint: 'Use the blobferry that began this job, or another --journal folder' },
      );
    }
    const known = isNew ? identity : this.#meta('identity');
    if (known !== identity) {
      throw new ConfigError(`The journal ${this.path} belongs to another job: ${known}`, {
        hint: 'Give this job a --journal folder of its own',
      });
    }
    if (version === JOURNAL_VERSION) return;
    upgradeJournal(this.#database, version);
    this.#setMeta('version', String(JOURNAL_VERSION));
    this.#setMeta('identity', identity);
  }

  #inTransaction(work: () => void): void {
    try {
      this.#database.exec('BEGIN');
      work();
      this.#database.exec('COMMIT');
    } catch (error) {
      // A full disk may have ended the transaction already.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw explainJournalError(this.path, error);
    }
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

function nameOf({ id, key }: Upload): string {
  return `${id} ${key}`;
}

/**
 * It names every object that failed, which is nobody else's business. An existing file is not opened here: closing it
 * again would take away the lock that another journal of this process may have on it.
 */
function makePrivate(path: string): void {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) closeSync(openSync(path, 'a', 0o600));
  else if ((stats.mode & 0o077) !== 0) chmodSync(path, stats.mode & 0o700);
}
