/** What an earlier pass of the same job found out, for whoever only wants to know: the journal is not touched. */
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { FILE_NAME } from './journal.ts';

/**
 * Was the target's root empty when this job began? Undefined where there is no such journal, or where it cannot tell.
 * Reads a copy: opening the journal itself would write beside it, and would fail while a copy has it locked.
 */
export async function peekOwnsTarget(directory: string, identity: string): Promise<boolean | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'blobferry-journal-'));
  try {
    const path = join(folder, FILE_NAME);
    await copyFile(join(directory, FILE_NAME), path);
    // There while a copy runs, and after one that was killed.
    await copyFile(join(directory, `${FILE_NAME}-wal`), `${path}-wal`).catch(() => undefined);
    return readOwnsTarget(path, identity);
  } catch {
    // None there, damaged, or of another version: the copy says so when it opens it.
    return undefined;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function readOwnsTarget(path: string, identity: string): boolean | undefined {
  const database = new DatabaseSync(path);
  try {
    const select = database.prepare('SELECT value FROM meta WHERE name = ?');
    const meta = (name: string): unknown => select.get(name)?.['value'];
    const owns = meta('ownsTarget');
    if (meta('identity') !== identity || owns === undefined) return undefined;
    return owns === 'true';
  } finally {
    database.close();
  }
}
