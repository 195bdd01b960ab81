/**
 * The bench: `npm run bench`, `npm run bench -- --help`. Results go to a file of JSON lines, progress to stderr and a
 * table to stdout. It exits with 0 when the bench itself went well (a peer that failed is a result), 1 when it did not
 * or blobferry failed, 2 for wrong usage, 130 for Ctrl-C.
 */
import { appendFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isFound } from './copiers/copier.ts';
import { findCopiers } from './copiers/find-copiers.ts';
import { floorsOf } from './floors/floors.ts';
import { chooseGoals, goalCopiers, measureGoals } from './goals/measure-goals.ts';
import { goalsText } from './goals/table.ts';
import { describeMachine } from './measure/machine.ts';
import { type BenchOptions, HELP, parseOptions, UsageError } from './options.ts';
import { allCells, chooseCells, ROUTES, WORKLOADS } from './plan/cell.ts';
import { renderPage } from './report/page.ts';
import { agreementsOf, type Bench, readBench, resultsOf } from './report/summarise.ts';
import { agreementText, progressLine, resultText } from './report/text.ts';
import { runBench, type WriteLine } from './run/run-bench.ts';

/** Who the goals name. */
const GOAL_COPIERS = ['blobferry', 'rclone', 'rclone-new', 'mc'];
const RESULTS = fileURLToPath(new URL('./results/', import.meta.url));

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  switch (options.mode) {
    case 'help':
      process.stdout.write(HELP);
      return 0;
    case 'list':
      return list(options);
    case 'report':
      return report(options);
    case 'compare': {
      const [first, second] = options.files.map(readFile);
      if (first && second) process.stdout.write(`${agreementText(agreementsOf(first, second))}\n`);
      return 0;
    }
    case 'run':
      return run(options);
    case 'goals':
      return goals(options);
  }
}

async function goals(options: BenchOptions): Promise<number> {
  assertLinux();
  const { patterns, parameters, isQuick, folder, copiers } = options;
  refuseUnknown(() => chooseGoals(patterns));
  const names = copiers.length > 0 ? copiers : GOAL_COPIERS;
  const searches = goalCopiers(await search({ ...options, copiers: names }), copiers);
  const file = options.out ?? join(RESULTS, `goals-${stamp()}.jsonl`);
  const plan = { patterns, parameters, isQuick, folder, searches };
  const { records, failures } = await measureGoals(plan, lineWriter(file, 0));
  const end = failures.map((text) => `FAILED: ${text}\n`).join('');
  process.stdout.write(`${goalsText(records)}\n\n${end}results: ${relative(process.cwd(), file)}\n`);
  return failures.length === 0 ? 0 : 1;
}

function assertLinux(): void {
  if (process.platform !== 'linux')
    throw new UsageError('The bench measures with what Linux keeps in /proc, and so runs on Linux only');
}

function stamp(): string {
  return new Date().toISOString().replaceAll(':', '').slice(0, 15);
}

async function run(options: BenchOptions): Promise<number> {
  assertLinux();
  const cells = choose(options);
  const searches = await search(options);
  const files = filesFor(options);
  await runBench({ ...options, cells, searches }, files.map(lineWriter));
  const benches = files.map(readFile);
  for (const [at, bench] of benches.entries()) {
    const file = relative(process.cwd(), files[at] ?? '');
    process.stdout.write(`${resultText(resultsOf(bench))}\n\nresults: ${file}\n`);
  }
  const [first, second] = benches;
  if (first && second) process.stdout.write(`\n${agreementText(agreementsOf(first, second))}\n`);
  return benches.some(isOwnFailure) ? 1 : 0;
}

function filesFor({ out, isTwice }: BenchOptions): readonly string[] {
  const file = out ?? join(RESULTS, `${stamp()}.jsonl`);
  if (!isTwice) return [file];
  const stem = file.replace(/\.jsonl$/, '');
  return [`${stem}-1.jsonl`, `${stem}-2.jsonl`];
}

/** Lines that several benches have in common are told once. */
function lineWriter(file: string, index: number): WriteLine {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, '');
  return (line) => {
    appendFileSync(file, `${JSON.stringify(line)}\n`);
    const text = index === 0 || line.kind === 'run' ? progressLine(line) : '';
    if (text !== '') process.stderr.write(`${text}\n`);
  };
}

function isOwnFailure({ lines }: Bench): boolean {
  return lines.some(
    (line) => line.kind === 'run' && line.copier.startsWith('blobferry') && line.outcome === 'failed',
  );
}

async function list(options: BenchOptions): Promise<number> {
  const cells = allCells(options.isQuick);
  const chosen = new Set(choose(options).map(({ id }) => id));
  const out = ['Cells (* runs):', ...cells.map((cell) => `  ${chosen.has(cell.id) ? '*' : ' '} ${cell.id}`)];
  out.push('', 'Copiers:');
  for (const one of await search(options))
    out.push(isFound(one) ? `  * ${one.name}: ${one.version}` : `    ${one.missing}`);
  out.push('', 'Floors:');
  for (const workload of WORKLOADS) {
    for (const route of ROUTES)
      out.push(`  ${workload}/${route}: ${floorsOf({ workload, route }).join(', ') || '–'}`);
  }
  process.stdout.write(`${out.join('\n')}\n`);
  return 0;
}

function report(options: BenchOptions): number {
  const files =
    options.files.length > 0
      ? options.files
      : readdirSync(RESULTS)
          .filter((name) => name.endsWith('.jsonl'))
          .map((name) => join(RESULTS, name));
  if (files.length === 0) throw new UsageError('There are no results yet: run the bench first');
  const benches = files.map(readFile);
  const out = options.out ?? join(RESULTS, 'report.html');
  mkdirSync(dirname(out), { recursive: true });
  writeFileSync(out, renderPage(benches));
  process.stdout.write(`${relative(process.cwd(), out)}\n`);
  return 0;
}

function readFile(file: string): Bench {
  try {
    return readBench(basename(file), readFileSync(file, 'utf8'));
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function choose({ isQuick, patterns }: BenchOptions): ReturnType<typeof chooseCells> {
  return refuseUnknown(() => chooseCells(allCells(isQuick), patterns));
}

function refuseUnknown<T>(find: () => T): T {
  try {
    return find();
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

async function search({
  copiers,
  peers,
}: Pick<BenchOptions, 'copiers' | 'peers'>): ReturnType<typeof findCopiers> {
  try {
    return await findCopiers({ names: copiers, commands: peers, commit: describeMachine().commit });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

try {
  process.exitCode = await main();
} catch (error) {
  const isUsage = error instanceof UsageError;
  const text = error instanceof Error ? (isUsage ? error.message : (error.stack ?? error.message)) : error;
  process.stderr.write(`${text}\n`);
  process.exitCode = isUsage ? 2 : 1;
}
