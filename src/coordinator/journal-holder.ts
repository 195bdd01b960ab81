/**
 * Who holds the journal, in a file beside it: a locked database cannot be asked. It serves the message alone; the lock
 * is SQLite's, so a file that a killed process left behind is in nobody's way.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

const FILE_NAME = 'holder';
const TEXT_MAX = 200;

/** Call with the lock won. */
export function writeHolder(directory: string, nowMs: number): void {
  const since = new Date(nowMs).toISOString().slice(0, 16).replace('T', ' ');
  const text = `process ${process.pid} on ${hostname()}, since ${since} UTC`;
  try {
    writeFileSync(join(directory, FILE_NAME), `${text}\n`, { mode: 0o600 });
  } catch {
    // A message will say less; what cannot be written at all shows in the journal itself.
  }
}

/** Undefined where nobody has said so. */
export function readHolder(directory: string): string | undefined {
  try {
    const text = readFileSync(join(directory, FILE_NAME), 'utf8').trim();
    return /^process \d+ on [\x20-\x7e]+$/.test(text) && text.length <= TEXT_MAX ? text : undefined;
  } catch {
    return undefined;
  }
}

/** Call with the lock still held. */
export function removeHolder(directory: string): void {
  try {
    rmSync(join(directory, FILE_NAME), { force: true });
  } catch {
    // As above.
  }
}
