/** From the lines of benches to figures that can be compared: medians, and cost per object without the start. */
import type { SetName } from '../data/data-set.ts';
import { FLOORS } from '../floors/floors.ts';
import { type Cell, CONDITIONS, cellId, ROUTES, SCHEMES, WORKLOADS } from '../plan/cell.ts';
import type {
  AbsenceRecord,
  BenchLine,
  BenchRecord,
  EndRecord,
  Etags,
  FloorRecord,
  RunRecord,
  ServerShare,
  TrialRecord,
  Usage,
} from '../records.ts';
import { scaleToReference } from '../support/measured-run.ts';

/** One result file. */
export interface Bench {
  readonly name: string;
  readonly start: BenchRecord;
  /** Undefined for a bench that was broken off. */
  readonly end: EndRecord | undefined;
  readonly lines: readonly BenchLine[];
}

/** @throws Error where the text is no result file. */
export function readBench(name: string, text: string): Bench {
  const lines = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line, at) => {
      try {
        return JSON.parse(line) as BenchLine;
      } catch (error) {
        throw new Error(`${name}, line ${at + 1} is no JSON`, { cause: error });
      }
    });
  const start = lines.find((line) => line.kind === 'bench');
  if (start?.format !== 1) throw new Error(`${name} is no result file of this bench`);
  return { name, start, end: lines.find((line) => line.kind === 'end'), lines };
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly values: readonly number[];
}

/** What a copier's or a floor's runs of one cell cost. */
export interface Figures {
  readonly repeats: number;
  /** CPU milliseconds per object; (CPU of all − CPU of half) / the other half, scaled. */
  readonly cpuMsPerObject: Spread | undefined;
  readonly cpuSecondsPerGib: Spread | undefined;
  /** The same as measured, not scaled. */
  readonly cpuMsPerObjectMeasured: Spread | undefined;
  /** Of the whole workload, start included. */
  readonly cpuSeconds: Spread;
  readonly wallSeconds: Spread;
  readonly rssBytesMax: Spread;
  /** CPU of the copier that is not its objects'. */
  readonly startCpuSeconds: Spread | undefined;
}

export interface CopierResult {
  readonly copier: string;
  readonly outcome: 'ok' | 'failed' | 'cannot';
  readonly reason?: string;
  readonly figures?: Figures;
  /** Of the last run of the whole workload. */
  readonly source?: ServerShare;
  readonly target?: ServerShare;
  readonly etags?: Etags;
  readonly hashed?: string;
  readonly bound?: string;
  /** How many runs had bad parts planted at the target, and how many of those saw all of them refused. */
  readonly planted: number;
  readonly refused: number;
  readonly runs: number;
}

export interface CellResult {
  readonly cell: Cell;
  readonly id: string;
  readonly objects: number;
  readonly bytes: number;
  /** By name, those that were measured. */
  readonly floors: ReadonlyMap<string, Figures>;
  readonly copiers: readonly CopierResult[];
}

export function resultsOf({ lines }: Bench): readonly CellResult[] {
  const about = lines.filter(
    (line) => line.kind === 'run' || line.kind === 'absence' || line.kind === 'floor',
  );
  const groups = Map.groupBy(about, (line) => cellId(line.cell));
  return [...groups]
    .map(([id, some]) => cellResult(id, some))
    .filter((result) => result !== undefined)
    .toSorted((a, b) => orderOf(a.cell) - orderOf(b.cell));
}

export function trialsOf({ lines }: Bench): readonly TrialRecord[] {
  return lines.filter((line) => line.kind === 'trial');
}

function orderOf({ workload, route, scheme, condition }: Cell): number {
  const parts = [
    [CONDITIONS, condition],
    [SCHEMES, scheme],
    [ROUTES, route],
    [WORKLOADS, workload],
  ] as const;
  return parts.reduce((order, [names, name]) => order * 10 + (names as readonly string[]).indexOf(name), 0);
}

type CellLine = RunRecord | AbsenceRecord | FloorRecord;

function cellResult(id: string, lines: readonly CellLine[]): CellResult | undefined {
  const [first] = lines;
  if (!first) return undefined;
  const floors = new Map<string, Figures>();
  for (const floor of FLOORS) {
    const runs = lines.filter((line) => line.kind === 'floor').filter((line) => line.floor === floor);
    const figures = figuresOf(runs);
    if (figures) floors.set(floor, figures);
  }
  const names = new Set(lines.flatMap((line) => (line.kind === 'floor' ? [] : [line.copier])));
  const whole = lines.filter((line) => line.kind !== 'absence').find((line) => line.set === 'full');
  return {
    cell: first.cell,
    id,
    objects: whole?.objects ?? 0,
    bytes: whole?.bytes ?? 0,
    floors,
    copiers: [...names].map((name) => copierResult(name, lines)),
  };
}

function copierResult(copier: string, lines: readonly CellLine[]): CopierResult {
  const absence = lines.filter((line) => line.kind === 'absence').find((line) => line.copier === copier);
  const none = { planted: 0, refused: 0, runs: 0 };
  if (absence) return { copier, outcome: 'cannot', reason: absence.reason, ...none };
  const runs = lines.filter((line) => line.kind === 'run').filter((line) => line.copier === copier);
  const counts = {
    planted: runs.filter((run) => run.planted).length,
    refused: runs.filter((run) => run.planted?.isRefused).length,
    runs: runs.length,
  };
  const failed = runs.find((run) => run.outcome === 'failed');
  if (failed) return { copier, outcome: 'failed', reason: failed.reason ?? '', ...counts };
  const figures = figuresOf(runs);
  const last = runs.findLast((run) => run.set === 'full');
  return {
    copier,
    outcome: 'ok',
    ...(figures ? { figures } : {}),
    ...(last?.source ? { source: last.source } : {}),
    ...(last?.target ? { target: last.target } : {}),
    ...(last?.etags ? { etags: last.etags } : {}),
    ...(last?.hashed === undefined ? {} : { hashed: last.hashed }),
    ...(last?.bound === undefined ? {} : { bound: last.bound }),
    ...counts,
  };
}

interface Sized extends Partial<Usage> {
  readonly set: SetName;
  readonly repeat: number;
  readonly objects: number;
  readonly bytes: number;
}

type Costed = Sized & Usage;

function isCosted(run: Sized): run is Costed {
  return run.cpuSecondsScaled !== undefined;
}

function figuresOf(lines: readonly Sized[]): Figures | undefined {
  const runs = lines.filter(isCosted);
  const whole = runs.filter((run) => run.set === 'full');
  const cpuSeconds = spreadOf(whole.map(cpuOf));
  if (!cpuSeconds) return undefined;
  const pairs = whole.flatMap((full) => {
    const half = runs.find((run) => run.set === 'half' && run.repeat === full.repeat);
    return half ? [{ full, half }] : [];
  });
  const scaled = pairs.map(({ full, half }) => full.cpuSecondsScaled - half.cpuSecondsScaled);
  const measured = pairs.map(({ full, half }) => cpuOf(full) - cpuOf(half));
  const objects = pairs.map(({ full, half }) => full.objects - half.objects);
  const gibs = pairs.map(({ full, half }) => (full.bytes - half.bytes) / 1024 ** 3);
  const per = (seconds: readonly number[], units: readonly number[]): readonly number[] =>
    seconds.map((value, at) => value / (units[at] ?? Number.NaN));
  return {
    repeats: whole.length,
    cpuMsPerObject: spreadOf(per(scaled, objects).map((seconds) => seconds * 1000)),
    cpuSecondsPerGib: spreadOf(per(scaled, gibs)),
    cpuMsPerObjectMeasured: spreadOf(per(measured, objects).map((seconds) => seconds * 1000)),
    cpuSeconds,
    wallSeconds: spreadOf(whole.map((run) => run.wallSeconds)) ?? cpuSeconds,
    rssBytesMax: spreadOf(whole.map((run) => run.rssBytesMax)) ?? cpuSeconds,
    startCpuSeconds: spreadOf(
      pairs.map(({ half }, at) => {
        const perObject = (scaled[at] ?? 0) / (objects[at] ?? 1);
        return Math.max(
          0,
          scaleToReference(cpuOf(half), half.sha256SecondsPerGib) - perObject * half.objects,
        );
      }),
    ),
  };
}

function cpuOf({ userSeconds, systemSeconds }: Usage): number {
  return userSeconds + systemSeconds;
}

/** Undefined for no values. */
export function spreadOf(values: readonly number[]): Spread | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  const [min] = sorted;
  const max = sorted.at(-1);
  if (min === undefined || max === undefined) return undefined;
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? max;
  const lower = sorted[Math.ceil(middle) - 1] ?? min;
  return { median: (lower + upper) / 2, min, max, values };
}

/** The same cell and copier in two benches. */
export interface Agreement {
  readonly id: string;
  readonly copier: string;
  readonly first: number;
  readonly second: number;
  /** Difference of the medians of CPU per object, as a share of the smaller one. */
  readonly difference: number;
  readonly repeats: number;
}

export function agreementsOf(first: Bench, second: Bench): readonly Agreement[] {
  const others = new Map(resultsOf(second).map((result) => [result.id, result]));
  return resultsOf(first).flatMap(({ id, copiers }) =>
    copiers.flatMap(({ copier, figures }) => {
      const other = others.get(id)?.copiers.find((one) => one.copier === copier)?.figures;
      const [a, b] = [figures?.cpuMsPerObject, other?.cpuMsPerObject];
      if (!figures || !other || !a || !b) return [];
      const difference = Math.abs(a.median - b.median) / Math.min(a.median, b.median);
      const repeats = Math.min(figures.repeats, other.repeats);
      return [{ id, copier, first: a.median, second: b.median, difference, repeats }];
    }),
  );
}
