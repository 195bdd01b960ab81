/** The goals: what a copy may cost, and how that is read off the runs of the steps. */
import { availableParallelism } from 'node:os';
import { defaultMemoryBytes } from '../../src/coordinator/memory.ts';
import type { FloorName } from '../floors/floors.ts';
import type { RunRecord } from '../records.ts';
import type { CellResult, CopierResult, Figures, Spread } from '../report/summarise.ts';
import { formatNumber } from '../report/text.ts';
import { limitedGoal, slowLargeGoal, slowSmallGoal } from './conditions.ts';
import type { Goal } from './goal.ts';
import { serviceGoals } from './services.ts';
import type { StepName } from './steps.ts';
import type { Verdict } from './verdict.ts';

const MIB = 1024 ** 2;
const OWN = 'blobferry';

type Read = (figures: Figures) => Spread | undefined;
const perObject: Read = ({ cpuMsPerObject }) => cpuMsPerObject;
const perGib: Read = ({ cpuSecondsPerGib }) => cpuSecondsPerGib;

export const GOALS: readonly Goal[] = [
  costGoal('small', 'small', 'ms/object', { limit: 0.08, read: perObject, floors: ['sha256', 'exchange'] }),
  wallGoal('small-wall', 'small', 4),
  costGoal('medium', 'medium', 's/GiB', { limit: 1.3, read: perGib, floors: ['sha256', 'pump'] }),
  wallGoal('medium-wall', 'medium', 1),
  largeGoal('large-put', 'large-put', 'PutObject', { limit: 1.3, floors: ['sha256', 'pump'] }),
  largeGoal('large-crc32', 'large', 'UploadPart', { limit: 1.5, floors: ['sha256', 'crc32', 'pump'] }),
  largeGoal('large-sha256', 'large-old', 'UploadPart', { limit: 1.9, floors: ['sha256', 'sha256', 'pump'] }),
  wallGoal('large-wall', 'large', 1),
  tlsGoal(),
  costGoal('files', 'files', 'ms/object', {
    limit: 0.08,
    read: perObject,
    floors: ['files', 'sha256', 'exchange'],
  }),
  listingGoal(),
  slowSmallGoal(),
  slowLargeGoal(),
  limitedGoal('limited'),
  limitedGoal('limited-silent'),
  ...serviceGoals(),
  memoryGoal(),
];

interface CostLimit {
  readonly limit: number;
  readonly read: Read;
  readonly floors: readonly FloorName[];
}

function costGoal(name: string, step: StepName, unit: string, { limit, read, floors }: CostLimit): Goal {
  return {
    name,
    steps: [step],
    title: `CPU, ${name}`,
    judge: ({ results }) => {
      const result = results.get(step);
      const value = medianOf(own(result), read);
      if (!result || value === undefined) return { unit, target: `≤ ${limit}`, note: '' };
      const floor = floorOf(result, read, floors);
      if (value <= 0) return { unit, target: `≤ ${limit}`, ...floor, note: TOO_FEW };
      return { value, unit, target: `≤ ${limit}`, ...floor, isReached: value <= limit, note: '' };
    },
  };
}

/** Half of the work cost as much as all of it. */
const TOO_FEW = 'too few objects: their cost is lost in that of the start';
const FLOOR_TIMES_MAX = 1.2;
/** Which blobferry sends to find out what the target checks. */
const PROBE_PARTS = 4;

/** One of the ways in which a large object can be bound; which one was taken is seen from the target's requests. */
function largeGoal(
  name: string,
  step: StepName,
  way: 'PutObject' | 'UploadPart',
  { limit, floors }: Pick<CostLimit, 'limit' | 'floors'>,
): Goal {
  const goal = costGoal(name, step, 's/GiB', { limit, read: perGib, floors });
  return {
    ...goal,
    judge: (found) => {
      const verdict = goal.judge(found);
      const target = `≤ ${limit}, ≤ ${FLOOR_TIMES_MAX} × floor`;
      const result = found.results.get(step);
      const requests = own(result)?.target?.operations ?? {};
      if (!result || verdict.value === undefined || verdict.floor === undefined)
        return { ...verdict, target };
      const taken = (requests['UploadPart'] ?? 0) > PROBE_PARTS ? 'UploadPart' : 'PutObject';
      if (taken !== way) {
        const what = taken === 'UploadPart' ? 'sent in parts' : 'sent by one PUT each';
        return { unit: verdict.unit, target, note: `${what} here, another row’s way` };
      }
      const times = verdict.value / verdict.floor;
      const isReached = verdict.value <= limit && times <= FLOOR_TIMES_MAX;
      return { ...verdict, target, isReached, note: `${times.toFixed(2)} × floor` };
    },
  };
}

function tlsGoal(): Goal {
  const target = '≤ 0.5 more than over http';
  return {
    name: 'large-tls',
    steps: ['large', 'large-tls'],
    title: 'CPU, large over TLS',
    judge: ({ results }) => {
      const [plain, tls] = [results.get('large'), results.get('large-tls')];
      const [http, https] = [plain, tls].map((result) => medianOf(own(result), perGib));
      if (!plain || !tls || http === undefined || https === undefined)
        return { unit: 's/GiB', target, note: '' };
      const [pump, tlsPump] = [plain, tls].map((result) => floorOf(result, perGib, ['pump']).floor);
      const floor = pump === undefined || tlsPump === undefined ? {} : { floor: tlsPump - pump };
      if (http <= 0 || https <= 0) return { unit: 's/GiB', target, note: TOO_FEW };
      const value = https - http;
      const note = `${formatNumber(https)} over TLS, ${formatNumber(http)} over http`;
      return { value, unit: 's/GiB', target, ...floor, isReached: value <= 0.5, note };
    },
  };
}

/** The whole run, start included: keys are cheap, and a million of them is what was promised. */
function listingGoal(): Goal {
  const [cpuMax, memoryMax] = [10, defaultMemoryBytes(availableParallelism())];
  const target = `≤ ${cpuMax}, ≤ ${memoryMax / MIB} MiB`;
  return {
    name: 'listing',
    steps: ['listing'],
    title: 'CPU, keys of both sides listed',
    judge: ({ runs, results }) => {
      const run = runs.get('listing')?.find(({ copier }) => copier === OWN);
      const [value, rss] = [run?.cpuSecondsScaled, run?.rssBytesMax];
      if (value === undefined || rss === undefined) return { unit: 's', target, note: '' };
      const floor = results.get('listing')?.floors.get('pump')?.cpuSeconds.median;
      const isReached = value <= cpuMax && rss <= memoryMax;
      const note = `${run?.objects.toLocaleString('en-US')} keys, ${Math.round(rss / MIB)} MiB`;
      return { value, unit: 's', target, ...(floor === undefined ? {} : { floor }), isReached, note };
    },
  };
}

function wallGoal(name: string, step: StepName, timesMin: number): Goal {
  const target = timesMin === 1 ? '> 1 of each peer’s' : `≥ ${timesMin} of each peer’s`;
  const unit = '× faster';
  return {
    name,
    steps: [step],
    title: `time, ${step}`,
    judge: ({ results }) => {
      const result = results.get(step);
      const wall = own(result)?.figures?.wallSeconds.median;
      const peers = result?.copiers.filter(({ copier }) => copier !== OWN) ?? [];
      const failed = peers.filter(({ figures }) => !figures).map(({ copier }) => `${copier} failed`);
      const measured = peers.flatMap(({ copier, figures }) =>
        figures && wall ? [{ copier, times: figures.wallSeconds.median / wall }] : [],
      );
      const words = measured.map(({ copier, times }) => `${copier} × ${formatNumber(times)}`);
      const note = [...words, ...failed].join(', ') || 'no peer was measured';
      if (measured.length === 0) return { unit, target, note };
      const value = Math.min(...measured.map(({ times }) => times));
      return { value, unit, target, isReached: timesMin === 1 ? value > 1 : value >= timesMin, note };
    },
  };
}

function memoryGoal(): Goal {
  const limit = defaultMemoryBytes(availableParallelism());
  return {
    name: 'memory',
    steps: [],
    title: 'memory, the most of all runs here',
    judge: ({ runs }) => {
      const all = [...runs].flatMap(([step, records]) =>
        // One PUT of a whole large object is what more memory was asked for.
        step === 'large-put'
          ? []
          : records.filter(isOwnRun).map((run) => ({ step, bytes: run.rssBytesMax ?? 0 })),
      );
      const target = `≤ ${limit / MIB}`;
      const most = all.toSorted((a, b) => b.bytes - a.bytes)[0];
      if (!most) return { unit: 'MiB', target, note: '' };
      const note = `${most.step}; for 10^4 to 10^6 objects: npm run campaign -- memory`;
      return { value: most.bytes / MIB, unit: 'MiB', target, isReached: most.bytes <= limit, note };
    },
  };
}

function isOwnRun({ copier, outcome }: RunRecord): boolean {
  return copier === OWN && outcome === 'ok';
}

function own(result: CellResult | undefined): CopierResult | undefined {
  return result?.copiers.find(({ copier }) => copier === OWN);
}

function medianOf(result: CopierResult | undefined, read: Read): number | undefined {
  return result?.figures && read(result.figures)?.median;
}

/** A floor that is named twice counts twice. Nothing where one of them is not there. */
function floorOf(
  result: CellResult | undefined,
  read: Read,
  names: readonly FloorName[],
): Pick<Verdict, 'floor'> {
  let floor = 0;
  for (const name of names) {
    const figures = result?.floors.get(name);
    const median = figures && read(figures)?.median;
    if (median === undefined) return {};
    floor += median;
  }
  return { floor };
}
