/** Runs groups of test files, a few files at a time, and reports each when it is over. */
import { glob } from 'node:fs/promises';
import { join, relative } from 'node:path';
import pLimit from 'p-limit';
import type { FileResult, Report } from './report.ts';
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
  readonly report: Report;
  readonly signal: AbortSignal;
}

export async function runGroups({ root, groups, report, signal }: GroupsRun): Promise<Totals> {
  const started = performance.now();
  const totals = new Totals();
  for (const group of groups) {
    const files = await filesOf(join(root, group.name));
    await runGroup({ root, group, files, signal }, (result) => {
      for (const event of result.events) totals.see(event);
      report.file(result);
    });
  }
  await report.end(closingLines(totals, performance.now() - started));
  return totals;
}

interface GroupFiles {
  readonly root: string;
  readonly group: Group;
  readonly files: readonly string[];
  readonly signal: AbortSignal;
}

async function runGroup(run: GroupFiles, show: (result: FileResult) => void): Promise<void> {
  const { root, group, files, signal } = run;
  const limit = pLimit(group.filesAtOnce);
  const runOne = async (file: string): Promise<void> => {
    if (signal.aborted) return;
    const started = performance.now();
    const events: TestEvent[] = [];
    await runFile(file, group.limits, signal, (event) => events.push(event));
    show({ name: relative(root, file), events, milliseconds: performance.now() - started });
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
