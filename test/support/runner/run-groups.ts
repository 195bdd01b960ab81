/** Runs groups of test files, a few files at a time, and reports them one after another. */
import { glob } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { finished } from 'node:stream/promises';
import { spec } from 'node:test/reporters';
import pLimit from 'p-limit';
import { type FileLimits, runFile, type TestEvent } from './run-file.ts';
import { Totals } from './totals.ts';

export interface Group {
  /** The folder's name. */
  readonly name: string;
  readonly filesAtOnce: number;
  readonly limits: FileLimits;
}

export interface GroupsRun {
  /** The folder that holds the groups' folders. */
  readonly root: string;
  readonly groups: readonly Group[];
  readonly output: NodeJS.WritableStream;
  readonly signal: AbortSignal;
}

export async function runGroups({ root, groups, output, signal }: GroupsRun): Promise<Totals> {
  const started = performance.now();
  const totals = new Totals();
  const events = new PassThrough({ objectMode: true });
  const reporter = events.pipe(new spec());
  reporter.pipe(output, { end: false });
  for (const group of groups) {
    const files = await filesOf(join(root, group.name));
    await runGroup({ group, files, signal }, (event) => {
      totals.see(event);
      events.write(event);
    });
  }
  for (const message of closingLines(totals, performance.now() - started)) {
    events.write({ type: 'test:diagnostic', data: { nesting: 0, message, level: 'info' } });
  }
  events.end();
  await finished(reporter);
  return totals;
}

interface GroupFiles {
  readonly group: Group;
  readonly files: readonly string[];
  readonly signal: AbortSignal;
}

/** Whichever file started first is shown as it goes; the events of the others wait for their turn. */
async function runGroup(run: GroupFiles, show: (event: TestEvent) => void): Promise<void> {
  const { group, files, signal } = run;
  const limit = pLimit(group.filesAtOnce);
  const waiting = new Map<string, TestEvent[]>(files.map((file) => [file, []]));
  const done = new Set<string>();
  const showTurn = (): void => {
    for (const [file, events] of waiting) {
      for (const event of events.splice(0)) show(event);
      if (!done.has(file)) return;
      waiting.delete(file);
    }
  };
  const runOne = async (file: string): Promise<void> => {
    if (signal.aborted) return;
    await runFile(file, group.limits, signal, (event) => {
      waiting.get(file)?.push(event);
      showTurn();
    });
    done.add(file);
    showTurn();
  };
  await Promise.all(files.map((file) => limit(runOne, file)));
}

async function filesOf(folder: string): Promise<readonly string[]> {
  const files: string[] = [];
  for await (const file of glob('**/*.test.ts', { cwd: folder })) files.push(join(folder, file));
  return files.sort();
}

/** In the words of node's own runner. */
function closingLines(totals: Totals, milliseconds: number): readonly string[] {
  return [
    `tests ${totals.tests}`,
    `suites ${totals.suites}`,
    `pass ${totals.passed}`,
    `fail ${totals.failed}`,
    `skipped ${totals.skipped}`,
    `duration_ms ${Math.round(milliseconds)}`,
  ];
}
