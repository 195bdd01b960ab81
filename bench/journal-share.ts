/**
 * What the journal costs of a copy of small objects, S3 to S3, by a CPU profile of the whole process:
 *
 *     node bench/journal-share.ts [--small 20000]
 *
 * Prints one JSON line. A sample counts as the journal's where one of its functions is on the stack, so that SQLite's
 * time and its waiting for the disk are in it.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { copyWorkload } from './support/copy-workload.ts';

const JOURNAL = /\/coordinator\/(pass-)?journal(-[a-z]+)?\.ts$/;
const INTERVAL_US = '200';

interface Frame {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string };
  readonly children?: readonly number[];
}

interface Profile {
  readonly nodes: readonly Frame[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

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
    const flags = ['--cpu-prof', '--cpu-prof-interval', INTERVAL_US, '--cpu-prof-dir', folder];
    const place = journalFolder === undefined ? [] : ['--journal', journalFolder];
    await copyWorkload({ objects, seed: 'journal' }, place, flags);
    let busyUs = 0;
    let journalUs = 0;
    for (const file of readdirSync(folder)) {
      const sums = sumsOf(JSON.parse(readFileSync(join(folder, file), 'utf8')) as Profile);
      busyUs += sums.busyUs;
      journalUs += sums.journalUs;
    }
    const [busySeconds, journalSeconds] = [busyUs / 1e6, journalUs / 1e6];
    return { objects, busySeconds, journalSeconds, share: journalUs / busyUs };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function sumsOf({ nodes, samples, timeDeltas }: Profile): {
  readonly busyUs: number;
  readonly journalUs: number;
} {
  const idle = new Set(
    nodes.filter(({ callFrame }) => callFrame.functionName === '(idle)').map(({ id }) => id),
  );
  const journal = new Set<number>();
  // A node comes before its children.
  for (const { id, callFrame, children = [] } of nodes) {
    if (JOURNAL.test(callFrame.url)) journal.add(id);
    if (journal.has(id)) for (const child of children) journal.add(child);
  }
  let busyUs = 0;
  let journalUs = 0;
  for (const [at, id] of samples.entries()) {
    const us = timeDeltas[at] ?? 0;
    if (!idle.has(id)) busyUs += us;
    if (journal.has(id)) journalUs += us;
  }
  return { busyUs, journalUs };
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({ options: { small: { type: 'string', default: '20000' } } });
  console.log(JSON.stringify(await measureJournalShare(Number(values.small))));
}
