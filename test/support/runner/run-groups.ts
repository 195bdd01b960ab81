/**
 * Runs groups of test files, a few files at a time, and reports each when it is over. Groups that run as many files at a
 * time follow each other without a pause: no core waits for the last file of a group.
 */
import { glob } from 'node:fs/promises';
import { join, relative } from 'node:path';
import pLimit from 'p-limit';
import type { FileResult, Report } from './report.ts';
import { type FileLimits, runFile, type TestEvent } from './run-file.ts';
import { SLOWEST } from './slowest.ts';
import { Totals } from './totals.ts';

export interface Group {
  /** The folder's name. */
  readonly name: string;
  readonly filesAtOnce: number;
  /** Names of files in the folder, without `.test.ts`; default: all. */
  readonly only?: readonly string[];
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
  for (const batch of batchesOf(groups)) {
    const files = (await Promise.all(batch.map((group) => filesOf(root, group)))).flat();
    await runFiles({ root, files, signal }, batch[0]?.filesAtOnce ?? 1, (result) => {
      for (const event of result.events) totals.see(event);
      report.file(result);
    });
  }
  await report.end(closingLines(totals, performance.now() - started));
  return totals;
}

/** Neighbours that run as many files at a time. */
function batchesOf(groups: readonly Group[]): readonly (readonly Group[])[] {
  const batches: Group[][] = [];
  for (const group of groups) {
    const last = batches.at(-1);
    if (last?.[0]?.filesAtOnce === group.filesAtOnce) last.push(group);
    else batches.push([group]);
  }
  return batches;
}

interface TestFile {
  readonly path: string;
  readonly limits: FileLimits;
}

interface FilesRun {
  readonly root: string;
  readonly files: readonly TestFile[];
  readonly signal: AbortSignal;
}

async function runFiles(
  { root, files, signal }: FilesRun,
  atOnce: number,
  show: (result: FileResult) => void,
): Promise<void> {
  const limit = pLimit(atOnce);
  const runOne = async ({ path, limits }: TestFile): Promise<void> => {
    if (signal.aborted) return;
    const started = performance.now();
    const events: TestEvent[] = [];
    await runFile(path, limits, signal, (event) => events.push(event));
    show({ name: relative(root, path), events, milliseconds: performance.now() - started });
  };
  await Promise.all(files.map((file) => limit(runOne, file)));
}

async function filesOf(root: string, { name, only, limits }: Group): Promise<readonly TestFile[]> {
  const names: string[] = [];
  for await (const file of glob('**/*.test.ts', { cwd: join(root, name) })) names.push(join(name, file));
  const wanted = only?.map((one) => join(name, `${one}.test.ts`));
  const missing = wanted?.find((one) => !names.includes(one));
  if (missing !== undefined) throw new Error(`There is no test file ${missing}`);
  return slowestFirst(wanted ?? names).map((one) => ({ path: join(root, one), limits }));
}

/** @param names begin with their group; the others follow by their names. */
export function slowestFirst(names: readonly string[]): readonly string[] {
  const sorted = [...names].sort();
  return [
    ...SLOWEST.filter((name) => names.includes(name)),
    ...sorted.filter((name) => !SLOWEST.includes(name)),
  ];
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
