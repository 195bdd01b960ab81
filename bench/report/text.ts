/** Figures as text: for the terminal, and the words that the page uses as well. */
import { formatBytes, formatCount, formatObjects } from '../../src/cli/units.ts';
import type { Cell } from '../plan/cell.ts';
import type { BenchLine, RunRecord, ServerShare } from '../records.ts';
import type { Agreement, CellResult, CopierResult, Figures, Spread } from './summarise.ts';

/** What one looks at in a workload: small objects cost by the piece, large ones by the byte. */
export interface CostUnit {
  readonly name: string;
  read(figures: Figures): Spread | undefined;
}

const PER_OBJECT: CostUnit = { name: 'CPU ms/object', read: (figures) => figures.cpuMsPerObject };
const PER_GIB: CostUnit = { name: 'CPU s/GiB', read: (figures) => figures.cpuSecondsPerGib };
const PER_THOUSAND: CostUnit = {
  name: 'CPU ms/1,000 keys',
  read: ({ cpuMsPerObject: one }) =>
    one && {
      median: one.median * 1000,
      min: one.min * 1000,
      max: one.max * 1000,
      values: one.values.map((value) => value * 1000),
    },
};

export function costUnitOf({ workload }: Pick<Cell, 'workload'>): CostUnit {
  if (workload === 'small') return PER_OBJECT;
  return workload === 'listing' ? PER_THOUSAND : PER_GIB;
}

/** Two or three digits that say something. */
export function formatNumber(value: number): string {
  const size = Math.abs(value);
  if (size >= 100) return formatCount(value);
  if (size >= 10) return value.toFixed(1);
  return size >= 1 ? value.toFixed(2) : value.toPrecision(2);
}

/** What a server's CPU comes to in the unit of the copier's cost. */
export function serverCost(
  { workload }: Pick<Cell, 'workload'>,
  share: ServerShare | undefined,
  { objects, bytes }: Pick<CellResult, 'objects' | 'bytes'>,
): string {
  if (!share) return '–';
  const isByPiece = workload === 'small' || workload === 'listing';
  const scale = workload === 'listing' ? 1_000_000 : 1000;
  const cost = isByPiece ? (share.cpuSeconds / objects) * scale : share.cpuSeconds / (bytes / 1024 ** 3);
  return formatNumber(cost);
}

export function formatSpread(spread: Spread | undefined): string {
  return spread ? formatNumber(spread.median) : '–';
}

/** How far the runs are apart, as a share of their median. */
function formatScatter(spread: Spread | undefined): string {
  if (!spread || spread.values.length < 2 || spread.median <= 0) return '';
  return `±${Math.round(((spread.max - spread.min) / 2 / spread.median) * 100)} %`;
}

/** One line while the bench runs; empty for lines that say nothing to people. */
export function progressLine(line: BenchLine): string {
  switch (line.kind) {
    case 'bench':
      return [
        `${line.machine.cpu}, ${line.machine.cores} cores, ${formatBytes(line.machine.memoryBytes)}, load ${line.machine.load}`,
        ...line.copiers.map(({ name, version }) => `${name}: ${version}`),
        ...line.missing.map(({ missing }) => `not here: ${missing}`),
      ].join('\n');
    case 'run':
      return runLine(line);
    case 'floor':
    case 'goal':
      return '';
    case 'absence':
      return `${idOf(line.cell)}  ${line.copier}  not run: ${line.reason}`;
    case 'trial': {
      const codes = Object.keys(line.refusals).join(', ');
      const said = line.reason ?? codes;
      return `trial ${line.route}/${line.scheme}  ${line.copier}  ${line.trial}: ${line.outcome}${said ? ` (${said})` : ''}`;
    }
    case 'end':
      return `done after ${line.seconds} s, load ${line.load}`;
  }
}

function runLine(run: RunRecord): string {
  const head = `${idOf(run.cell)}  ${run.repeat}  ${run.copier}  ${run.set}`;
  if (run.outcome === 'failed') return `${head}  FAILED: ${run.reason}`;
  const { wallSeconds = 0, userSeconds = 0, systemSeconds = 0, rssBytesMax = 0, source, target } = run;
  const server = (source?.cpuSeconds ?? 0) + (target?.cpuSeconds ?? 0);
  const requests = (source?.requests ?? 0) + (target?.requests ?? 0);
  return (
    `${head}  ${wallSeconds.toFixed(2)} s, CPU ${(userSeconds + systemSeconds).toFixed(2)} s, ` +
    `${formatBytes(rssBytesMax)}, ${formatCount(requests)} requests, servers' CPU ${server.toFixed(2)} s`
  );
}

function idOf({ workload, route, scheme, condition }: Cell): string {
  return `${workload}/${route}/${scheme}/${condition}`;
}

/** Tables for the terminal, one a cell. */
export function resultText(results: readonly CellResult[]): string {
  return results.map(cellText).join('\n\n');
}

function cellText(result: CellResult): string {
  const { id, cell, objects, bytes, floors, copiers } = result;
  const unit = costUnitOf(cell);
  const head = [
    ...['', unit.name, '', 'CPU s', 'wall s', 'memory', 'start CPU s', 'requests', 'servers CPU s'],
    ...['source’s', 'target’s', 'CPU × ours', 'wall × ours'],
  ];
  const rows = [
    ...[...floors].map(([name, figures]) => [`(${name})`, ...figureCells(unit, figures)]),
    ...copiers.filter((one) => one.outcome === 'ok').map((one) => copierRow(result, one)),
  ];
  const others = copiers
    .filter((one) => one.outcome !== 'ok')
    .map((one) => `  ${one.copier}: ${one.outcome === 'failed' ? 'FAILED' : 'not run'}: ${one.reason}`);
  const title = `${id}: ${formatObjects(objects)}, ${formatBytes(bytes)}`;
  return [title, ...table([head, ...rows]).map((line) => `  ${line}`), ...others].join('\n');
}

function copierRow(cell: CellResult, result: CopierResult): readonly string[] {
  const unit = costUnitOf(cell.cell);
  const { copier, figures, source, target } = result;
  const requests = (source?.requests ?? 0) + (target?.requests ?? 0);
  const servers = (source?.cpuSeconds ?? 0) + (target?.cpuSeconds ?? 0);
  return [
    copier,
    ...(figures ? figureCells(unit, figures) : ['–', '', '–', '–', '–', '–']),
    formatCount(requests),
    servers.toFixed(2),
    serverCost(cell.cell, source, cell),
    serverCost(cell.cell, target, cell),
    ...timesOurs(cell, result),
  ];
}

/** How many times blobferry's CPU and time this copier takes, each over the whole where its cost is not known. */
function timesOurs({ cell, copiers }: CellResult, { copier, figures }: CopierResult): readonly string[] {
  const ours = copiers.find((one) => one.copier === 'blobferry')?.figures;
  if (copier === 'blobferry' || !figures || !ours) return ['', ''];
  const unit = costUnitOf(cell);
  const [cost, ourCost] = [unit.read(figures), unit.read(ours)];
  const [theirs, own] = cost && ourCost ? [cost, ourCost] : [figures.cpuSeconds, ours.cpuSeconds];
  return [
    [theirs, own],
    [figures.wallSeconds, ours.wallSeconds],
  ].map(([theirs, own]) =>
    theirs && own && own.median > 0 ? `× ${formatNumber(theirs.median / own.median)}` : '–',
  );
}

function figureCells(unit: CostUnit, figures: Figures): readonly string[] {
  const cost = unit.read(figures);
  return [
    formatSpread(cost),
    formatScatter(cost),
    formatSpread(figures.cpuSeconds),
    formatSpread(figures.wallSeconds),
    formatBytes(figures.rssBytesMax.median),
    formatSpread(figures.startCpuSeconds),
  ];
}

export function agreementText(agreements: readonly Agreement[]): string {
  if (agreements.length === 0) return 'The two benches have no cell and copier in common';
  const rows = agreements.map(({ id, copier, first, second, difference, repeats }) => [
    id,
    copier,
    formatNumber(first),
    formatNumber(second),
    `${(difference * 100).toFixed(1)} %`,
    String(repeats),
  ]);
  return table([['', '', 'first, ms/object', 'second', 'apart', 'repeats'], ...rows]).join('\n');
}

/** @param sides `l` or `r` for each column; default: the first one to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[], sides = 'l'): readonly string[] {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((text, at) => (sides[at] === 'l' ? text.padEnd(widths[at] ?? 0) : text.padStart(widths[at] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}
