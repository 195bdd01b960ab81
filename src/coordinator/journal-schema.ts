/**
 * The tables of a journal. No table has a row per object: shards are hundreds, exceptions and open uploads are few.
 *
 *     meta       what the job is, whether the target's root was empty, whether its open uploads were known then
 *     pass       one per run of the process; without an end it was interrupted
 *     shard      of the last pass only: how far each was
 *     exception  what did not end as copied or equal, of all passes
 *     upload     multipart uploads of this job that are open
 *     stranger   ids of uploads that were open below the target's root before the job began
 */
import type { DatabaseSync } from 'node:sqlite';

export const JOURNAL_VERSION = 2;

/** The step to each version; a new journal takes all of them, an old one those it lacks. */
const STEPS: readonly string[] = [
  `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE pass (
    id INTEGER PRIMARY KEY, started_ms INTEGER NOT NULL, ended_ms INTEGER, is_frozen INTEGER NOT NULL,
    binding TEXT, summary TEXT) STRICT;
  CREATE TABLE exception (
    pass INTEGER NOT NULL REFERENCES pass(id), state TEXT NOT NULL, path TEXT NOT NULL, error TEXT NOT NULL) STRICT;
  `,
  `
  ALTER TABLE pass ADD COLUMN run TEXT;
  ALTER TABLE pass ADD COLUMN options TEXT;
  ALTER TABLE pass ADD COLUMN refusals TEXT;
  ALTER TABLE pass ADD COLUMN seen_ms INTEGER;
  ALTER TABLE pass ADD COLUMN is_tidied INTEGER NOT NULL DEFAULT 0;
  CREATE TABLE shard (
    id TEXT PRIMARY KEY, phase TEXT NOT NULL, range TEXT NOT NULL, state TEXT NOT NULL, cursor TEXT,
    attempts INTEGER NOT NULL, updated_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE upload (
    id TEXT NOT NULL, key TEXT NOT NULL, opened_ms INTEGER NOT NULL, PRIMARY KEY (id, key)) STRICT, WITHOUT ROWID;
  CREATE TABLE stranger (id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
  `,
];

/** @param version of the journal as it is; 0: an empty file. */
export function upgradeJournal(database: DatabaseSync, version: number): void {
  for (const step of STEPS.slice(version)) database.exec(step);
}
