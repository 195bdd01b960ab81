/**
 * What one pass writes into the journal while it runs. Small news are collected and committed together: a commit is a
 * flush to the disk. A failed write is told once and ends the writing, because a run that is not journaled must stop.
 */
import type { DatabaseSync } from 'node:sqlite';
import type { Shard } from '../copy/shard.ts';
import type { ConfigError, ErrorRecord } from '../core/errors.ts';
import type { CopyException, CopySummary } from '../core/job.ts';
import type { Binding, Upload } from '../drivers/driver.ts';
import { explainJournalError } from './journal-errors.ts';
import { namesInColumn } from './journal-json.ts';

/** A lost cursor costs nothing but words. */
const SHARDS_DELAY_MS = 1_000;
/** An upload that is open and not journaled may be nobody's after a crash. */
const UPLOADS_DELAY_MS = 50;

type JournaledState = 'running' | 'done' | 'failed';

interface ShardNews {
  state?: JournaledState;
  attempts?: number;
  cursor?: string | undefined;
}

/** Name of the word on whether everything in the target survives a power cut. */
export const FLUSHED = 'flushed';

export class PassJournal {
  /** Did all that was in the target when this pass began survive a power cut? False where that is not known. */
  readonly wasFlushed: boolean;
  readonly #database: DatabaseSync;
  readonly #path: string;
  readonly #pass: number;
  /** Before anything moves a failure ends the run by itself. */
  #onFailure: (error: ConfigError) => void = rethrow;
  #untold: ConfigError | undefined;
  /** What can wait for the next commit, in order. */
  #writes: (() => void)[] = [];
  readonly #shards = new Map<string, ShardNews>();
  /** By id and key. */
  readonly #uploads = new Map<string, { readonly upload: Upload; readonly isOpen: boolean }>();
  #timer: NodeJS.Timeout | undefined;
  #dueMs = Number.POSITIVE_INFINITY;
  #isOver = false;

  constructor(
    database: DatabaseSync,
    path: string,
    { pass, wasFlushed }: { readonly pass: number; readonly wasFlushed: boolean },
  ) {
    this.wasFlushed = wasFlushed;
    this.#database = database;
    this.#path = path;
    this.#pass = pass;
  }

  /** Told at most once; nothing is written after that. */
  set onFailure(listener: (error: ConfigError) => void) {
    this.#onFailure = listener;
    if (this.#untold) listener(this.#untold);
  }

  /**
   * What the target was seen to refuse, in words and as found. Written at once: it says what a run that dies a moment
   * later may have left.
   * @param readsBack is everything that is written read back, be it asked for or not?
   */
  bound(words: string, binding: Binding | undefined, readsBack: boolean): void {
    this.#commit(() => {
      const update = this.#database.prepare(
        "UPDATE pass SET binding = ?, refusals = ?, options = json_set(options, '$.readsBack', json(?)) WHERE id = ?",
      );
      const refusals = binding === undefined ? null : JSON.stringify(binding);
      update.run(words, refusals, String(readsBack), this.#pass);
    });
  }

  planned(shards: readonly Shard[]): void {
    // Whoever plans may take them off the list one by one.
    const all = [...shards];
    this.#write(() => {
      const insert = this.#database.prepare(
        "INSERT INTO shard (id, phase, range, state, attempts, updated_ms) VALUES (?, ?, ?, 'planned', 0, ?)",
      );
      for (const { id, phase, range } of all) insert.run(id, phase, JSON.stringify(range), Date.now());
    });
  }

  /** A shard gave others away. `shard`: what it still is. */
  split({ id, range }: Shard, given: readonly Shard[]): void {
    this.planned(given);
    this.#write(() => {
      this.#database.prepare('UPDATE shard SET range = ? WHERE id = ?').run(JSON.stringify(range), id);
    });
  }

  /** @param attempts threads that have begun it so far; as before where absent. */
  shard(id: string, state: JournaledState, attempts?: number): void {
    const news = this.#newsOf(id);
    news.state = state;
    if (attempts !== undefined) news.attempts = attempts;
  }

  /** @param after the last logical path that is settled. */
  cursor(id: string, after: string | undefined): void {
    this.#newsOf(id).cursor = after;
  }

  upload(upload: Upload, isOpen: boolean): void {
    this.#uploads.set(`${upload.id} ${upload.key}`, { upload, isOpen });
    this.#commitWithin(UPLOADS_DELAY_MS);
  }

  addExceptions(exceptions: readonly CopyException[]): void {
    if (exceptions.length === 0) return;
    this.#commit(() => {
      const insert = this.#database.prepare(
        'INSERT INTO exception (pass, state, path, error) VALUES (?, ?, ?, ?)',
      );
      for (const { state, path, error } of exceptions)
        insert.run(this.#pass, state, path, JSON.stringify(error));
    });
  }

  /**
   * Logical paths that `--delete-extra` is about to remove, or was when the last pass ended early.
   * Setting it throws where it cannot be written.
   */
  get removing(): readonly string[] {
    const row = this.#database.prepare("SELECT value FROM meta WHERE name = 'removing'").get();
    return row === undefined ? [] : namesInColumn(String(row['value']), this.#path);
  }

  set removing(paths: readonly string[]) {
    this.#commit(() => {
      const upsert = `INSERT INTO meta (name, value) VALUES ('removing', ?)
        ON CONFLICT (name) DO UPDATE SET value = excluded.value`;
      this.#database.prepare(upsert).run(JSON.stringify(paths));
    });
    if (this.#isOver) throw new Error(`Nothing is removed that the journal ${this.#path} does not know of`);
  }

  /** Everything in the target survives a power cut; written with the pass's end. */
  flushed(): void {
    this.#write(() => {
      this.#database.prepare("UPDATE meta SET value = 'true' WHERE name = ?").run(FLUSHED);
    });
  }

  /** @throws ConfigError where it cannot be written, unless `onFailure` was told already. */
  end(summary: CopySummary, isTidied: boolean): void {
    this.#end(JSON.stringify(summary), isTidied);
  }

  /** The pass ended before anything moved. @throws as `end`. */
  giveUp(error: ErrorRecord): void {
    if (this.wasFlushed) this.flushed();
    this.#end(JSON.stringify({ event: 'error', message: error.message }), false);
  }

  #end(summary: string, isTidied: boolean): void {
    this.#onFailure = rethrow;
    this.#commit(() => {
      const update = this.#database.prepare(
        'UPDATE pass SET ended_ms = ?, summary = ?, is_tidied = ? WHERE id = ?',
      );
      update.run(Date.now(), summary, isTidied ? 1 : 0, this.#pass);
    });
    this.stop();
  }

  /** Nothing is written any more; what was not committed is forgotten. */
  stop(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  #write(work: () => void): void {
    this.#writes.push(work);
    this.#commitWithin(SHARDS_DELAY_MS);
  }

  #newsOf(id: string): ShardNews {
    const known = this.#shards.get(id);
    if (known) return known;
    const news: ShardNews = {};
    this.#shards.set(id, news);
    this.#commitWithin(SHARDS_DELAY_MS);
    return news;
  }

  #commitWithin(delayMs: number): void {
    const dueMs = performance.now() + delayMs;
    if (this.#isOver || dueMs >= this.#dueMs) return;
    clearTimeout(this.#timer);
    this.#dueMs = dueMs;
    this.#timer = setTimeout(() => this.#commitUnasked(), delayMs);
  }

  /** Before anybody listens nobody could catch what a timer throws. */
  #commitUnasked(): void {
    try {
      this.#commit(() => undefined);
    } catch (error) {
      this.#untold = error as ConfigError;
    }
  }

  /** Writes what was collected together with what is at hand. */
  #commit(work: () => void): void {
    if (this.#isOver) return;
    clearTimeout(this.#timer);
    this.#dueMs = Number.POSITIVE_INFINITY;
    try {
      this.#database.exec('BEGIN');
      for (const write of this.#writes) write();
      work();
      this.#writeNews();
      this.#database.exec('COMMIT');
      this.#writes = [];
      this.#shards.clear();
      this.#uploads.clear();
    } catch (error) {
      this.stop();
      this.#rollBack();
      this.#onFailure(explainJournalError(this.#path, error));
    }
  }

  #writeNews(): void {
    const nowMs = Date.now();
    this.#database.prepare('UPDATE pass SET seen_ms = ? WHERE id = ?').run(nowMs, this.#pass);
    if (this.#shards.size > 0) {
      const update = this.#database.prepare(
        `UPDATE shard SET state = coalesce(?, state), attempts = coalesce(?, attempts),
           cursor = coalesce(?, cursor), updated_ms = ? WHERE id = ?`,
      );
      for (const [id, { state, attempts, cursor }] of this.#shards)
        update.run(state ?? null, attempts ?? null, cursor ?? null, nowMs, id);
    }
    if (this.#uploads.size === 0) return;
    const insert = this.#database.prepare(
      'INSERT OR REPLACE INTO upload (id, key, opened_ms) VALUES (?, ?, ?)',
    );
    const remove = this.#database.prepare('DELETE FROM upload WHERE id = ? AND key = ?');
    for (const { upload, isOpen } of this.#uploads.values()) {
      if (isOpen) insert.run(upload.id, upload.key, nowMs);
      else remove.run(upload.id, upload.key);
    }
  }

  #rollBack(): void {
    try {
      // A full disk may have ended the transaction already.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
    } catch {
      // The first failure is the one to tell.
    }
  }
}

function rethrow(error: ConfigError): never {
  throw error;
}
