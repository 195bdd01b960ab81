/** Goals for networks and servers that are worse than a loopback: they are about speed, not CPU. */
import { availableParallelism, cpus } from 'node:os';
import type { RunRecord, ServerShare } from '../records.ts';
import type { SecondCounts } from '../s3-server/stats.ts';
import type { Found, Goal } from './goal.ts';

const OBJECTS_PER_SECOND_MIN = 4_000;
/** Of the machine's CPU, copier and servers together. */
const BUSY_SHARE_MIN = 0.9;
const FILLED_SHARE_MIN = 0.9;
/** As a copy has them that is told nothing. */
const THREADS = availableParallelism();
const LIMIT_SHARE_MIN = 0.9;
const REFUSED_SHARE_MAX = 0.03;

/** What the second half of the work took: start, and what it takes to find the right pace, fall out. */
interface Steady {
  readonly objectsPerSecond: number;
  readonly bytesPerSecond: number;
  /** Of the machine's CPU, from 0 to 1. */
  readonly busyShare: number;
}

export function steadyOf(runs: readonly RunRecord[] | undefined): Steady | undefined {
  const [half, full] = ['half', 'full'].map((name) =>
    runs?.find(({ set, copier, outcome }) => set === name && copier === 'blobferry' && outcome === 'ok'),
  );
  if (!half || !full) return undefined;
  const seconds = (full.wallSeconds ?? 0) - (half.wallSeconds ?? 0);
  if (seconds <= 0) return undefined;
  return {
    objectsPerSecond: (full.objects - half.objects) / seconds,
    bytesPerSecond: (full.bytes - half.bytes) / seconds,
    busyShare: (cpuOf(full) - cpuOf(half)) / (seconds * cpus().length),
  };
}

function cpuOf({ userSeconds = 0, systemSeconds = 0, source, target }: RunRecord): number {
  return userSeconds + systemSeconds + (source?.cpuSeconds ?? 0) + (target?.cpuSeconds ?? 0);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

export function slowSmallGoal(): Goal {
  const target = `≥ ${OBJECTS_PER_SECOND_MIN}, or CPU-bound`;
  const unit = 'objects/s';
  return {
    name: 'slow-small',
    steps: ['slow-small'],
    title: 'small, slow network',
    judge: ({ runs }) => {
      const steady = steadyOf(runs.get('slow-small'));
      if (!steady) return { unit, target, note: '' };
      const { objectsPerSecond: value, busyShare } = steady;
      const isReached = value >= OBJECTS_PER_SECOND_MIN || busyShare >= BUSY_SHARE_MIN;
      const note = `machine ${percent(busyShare)} busy`;
      return { value, unit, target, isReached, note };
    },
  };
}

/**
 * How much of their bandwidth the connections have that move a body of 1 MiB or more. A copy by one slow connection would
 * fill it as well, so what all of them move together must come to a full connection for every thread, each way.
 */
export function slowLargeGoal(): Goal {
  const target = `≥ ${FILLED_SHARE_MIN * 100} of their limit, ≥ ${THREADS} full each way, or CPU-bound`;
  const unit = '%';
  return {
    name: 'slow-large',
    steps: ['slow-large'],
    title: 'large, slow network: filled connections',
    judge: ({ runs, bandwidthBytesPerSecond }) => {
      const records = runs.get('slow-large');
      const full = records?.find(({ set, outcome }) => set === 'full' && outcome === 'ok');
      const steady = steadyOf(records);
      const shares = [rateOf(full?.source, 'largeBodiesOut'), rateOf(full?.target, 'largeBodiesIn')];
      const [from, to] = shares.map((rate) => rate && rate / bandwidthBytesPerSecond);
      if (!full || !steady || from === undefined || to === undefined) return { unit, target, note: '' };
      const { bytesPerSecond, busyShare } = steady;
      const value = Math.min(from, to) * 100;
      const connections = bytesPerSecond / bandwidthBytesPerSecond;
      const isFilled = value >= FILLED_SHARE_MIN * 100 && connections >= THREADS;
      const isReached = isFilled || busyShare >= BUSY_SHARE_MIN;
      const note = `${Math.round(bytesPerSecond / 1e6)} MB/s, ${connections.toFixed(1)} connections’ worth each way; machine ${percent(busyShare)} busy`;
      return { value, unit, target, isReached, note };
    },
  };
}

function rateOf(
  share: ServerShare | undefined,
  direction: 'largeBodiesIn' | 'largeBodiesOut',
): number | undefined {
  const moved = share?.[direction];
  return moved && moved.seconds > 0 ? moved.bytes / moved.seconds : undefined;
}

export interface Limited {
  /** By the second, from the middle of the time that was to be looked at. */
  readonly acceptedPerSecond: number;
  readonly refusedShare: number;
  readonly refusedShareOfAll: number;
  /** How many seconds of it there were. */
  readonly seconds: number;
}

/** @param fromSecond of the copy, which begins with its first request; its last second is not looked at. */
export function limitedOf(seconds: readonly SecondCounts[], fromSecond: number): Limited | undefined {
  const busy = ({ accepted, refused }: SecondCounts): boolean => accepted + refused > 0;
  const all = seconds.slice(seconds.findIndex(busy), seconds.findLastIndex(busy));
  const looked = all.slice(fromSecond);
  if (looked.length === 0) return undefined;
  return {
    acceptedPerSecond: sumOf(looked, 'accepted') / looked.length,
    refusedShare: refusedShareOf(looked),
    refusedShareOfAll: refusedShareOf(all),
    seconds: looked.length,
  };
}

function refusedShareOf(seconds: readonly SecondCounts[]): number {
  const refused = sumOf(seconds, 'refused');
  return refused / Math.max(1, refused + sumOf(seconds, 'accepted'));
}

function sumOf(seconds: readonly SecondCounts[], name: keyof SecondCounts): number {
  return seconds.reduce((sum, one) => sum + one[name], 0);
}

export function limitedGoal(step: 'limited' | 'limited-silent'): Goal {
  const target = `≥ ${LIMIT_SHARE_MIN * 100} of the limit, < ${REFUSED_SHARE_MAX * 100} % refused`;
  const unit = '%';
  return {
    name: step,
    steps: [step],
    title: step === 'limited' ? 'requests limited, Retry-After' : 'requests limited, no Retry-After',
    judge: (found) => {
      const limited = limitedIn(found, step);
      if (!limited) return { unit, target, note: '' };
      const value = (limited.acceptedPerSecond / found.limitPerSecond) * 100;
      const isReached = value >= LIMIT_SHARE_MIN * 100 && limited.refusedShare < REFUSED_SHARE_MAX;
      const { acceptedPerSecond, refusedShare, refusedShareOfAll, seconds } = limited;
      const note =
        `${Math.round(acceptedPerSecond)}/s accepted and ${percent(refusedShare)} refused in the last ${seconds} s, ` +
        `${percent(refusedShareOfAll)} refused of all`;
      return { value, unit, target, isReached, note };
    },
  };
}

/** A run with a failed object has no figures. */
function limitedIn({ runs, limitedSeconds }: Found, step: 'limited' | 'limited-silent'): Limited | undefined {
  const run = runs.get(step)?.find(({ copier, outcome }) => copier === 'blobferry' && outcome === 'ok');
  return run?.target?.seconds && limitedOf(run.target.seconds, Math.floor(limitedSeconds / 2));
}
