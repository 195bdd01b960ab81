/**
 * What the journal costs of a copy of small objects, S3 to S3, by a CPU profile of the whole process:
 *
 *     node bench/journal-share.ts [--small 20000]
 *
 * Prints one JSON line. A sample counts as the journal's where one of its functions is on the stack, so that SQLite's
 * time and its waiting for the disk are in it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { copyWorkload } from './support/copy-workload.ts';
import { profileFlags, readProfiles } from './support/cpu-profile.ts';

const JOURNAL = /\/coordinator\/(pass-)?journal(-[a-z]+)?\.ts$/;

export interface JournalShare {
  readonly objects: number;
  /** Of all threads, idle time taken off. */
  readonly busySeconds: number;
  readonly journalSeconds: number;
  /** 0 to 1. */
  readonly share: number;
}

/** @param journalFolder where another disk than that of temporary files is to be waited for, or none. */
export async function measureJournalShare(objects: number, journalFolder?: string): Promise<JournalShare> {
  const folder = mkdtempSync(join(tmpdir(), 'blobferry-profile-'));
  try {
    const place = journalFolder === undefined ? [] : ['--journal', journalFolder];
    await copyWorkload({ objects, seed: 'journal' }, place, profileFlags(folder));
    const { busySeconds, matchedSeconds } = readProfiles(folder, JOURNAL);
    return { objects, busySeconds, journalSeconds: matchedSeconds, share: matchedSeconds / busySeconds };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({ options: { small: { type: 'string', default: '20000' } } });
  console.log(JSON.stringify(await measureJournalShare(Number(values.small))));
}
