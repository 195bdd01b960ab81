/**
 * Shows how far a command is: one live line on a terminal, a plain line every few seconds elsewhere. It reads sums when
 * it draws and costs the work nothing.
 */
import type { Output } from './output.ts';
import { formatByteRate, formatBytes, formatCount, formatDuration, formatObjects } from './units.ts';

/** What is known at one moment; all numbers only grow. */
export interface ProgressReading {
  /** What is being done now, one word. */
  readonly phase: string;
  /** Objects settled in any way. */
  readonly objectsDone: number;
  /** Objects seen in listings so far; listing goes on while objects are copied. */
  readonly objectsKnown: number;
  readonly bytesDone: number;
  /** Objects that failed, are damaged, or are not equal. */
  readonly errors: number;
  /** Share of this phase's key space that is finished, 0 to 1; undefined while nothing can be said. */
  readonly share?: number;
  /** Done in this phase; what the share is a share of. */
  readonly phaseObjects: number;
  readonly phaseBytes: number;
  /** Backends that do not answer and are waited for; absent while all is well. */
  readonly waiting?: readonly BackendWait[];
}

interface BackendWait {
  readonly side: 'source' | 'target';
  readonly reason: string;
  /** Since it is waited for. */
  readonly seconds: number;
}

export interface ProgressOptions {
  readonly output: Output;
  readonly read: () => ProgressReading;
  /** Replaces the plain lines, for `--json`. */
  readonly onReading?: (reading: ProgressReading) => void;
  readonly now?: () => number;
}

const LIVE_EVERY_MS = 200;
const PLAIN_EVERY_MS = 5_000;
/** Rates are over this span: long enough to be steady, short enough to show a change. */
const RATE_SPAN_MS = 10_000;

export class Progress {
  readonly #options: ProgressOptions;
  readonly #now: () => number;
  readonly #rates: Rates;
  readonly #isLive: boolean;
  #timer: NodeJS.Timeout | undefined;
  #plainMs: number;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#rates = new Rates(this.#now());
    this.#plainMs = this.#now();
    this.#isLive = options.output.isLive && options.onReading === undefined;
  }

  start(): void {
    this.#timer = setInterval(() => this.tick(), LIVE_EVERY_MS);
    this.#timer.unref();
  }

  /** Draws what is due. */
  tick(): void {
    const now = this.#now();
    const reading = this.#options.read();
    this.#rates.add(now, reading);
    if (this.#isLive) {
      this.#options.output.showLive(liveLine(reading, this.#rates, this.#options.output.columns));
    } else if (now - this.#plainMs >= PLAIN_EVERY_MS) {
      this.#plainMs = now;
      if (this.#options.onReading) this.#options.onReading(reading);
      else this.#options.output.say(plainLine(reading, this.#rates));
    }
  }

  stop(): void {
    clearInterval(this.#timer);
    if (this.#isLive) this.#options.output.showLive('');
  }
}

interface Sample {
  readonly atMs: number;
  readonly objects: number;
  readonly bytes: number;
}

/** Objects and bytes per second over the last seconds. */
export class Rates {
  readonly #samples: Sample[];

  constructor(startMs: number) {
    this.#samples = [{ atMs: startMs, objects: 0, bytes: 0 }];
  }

  add(atMs: number, { objectsDone, bytesDone }: ProgressReading): void {
    this.#samples.push({ atMs, objects: objectsDone, bytes: bytesDone });
    while ((this.#samples[1]?.atMs ?? atMs) < atMs - RATE_SPAN_MS) this.#samples.shift();
  }

  get objectsPerSecond(): number {
    return this.#rate((sample) => sample.objects);
  }

  get bytesPerSecond(): number {
    return this.#rate((sample) => sample.bytes);
  }

  #rate(value: (sample: Sample) => number): number {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return 0;
    return ((value(last) - value(first)) * 1000) / (last.atMs - first.atMs);
  }
}

interface Eta {
  readonly byBytes: number;
  readonly byObjects: number;
}

/** Below this share of the key space an estimate would only be noise. */
const SHARE_MIN = 0.02;

/**
 * Seconds left of this phase, by either measure, taking the rest of the key space to be like what is done: digests spread blobs
 * evenly over it. Undefined while there is too little to go by.
 */
export function estimate(reading: ProgressReading, rates: Rates): Eta | undefined {
  const { share, phaseObjects, phaseBytes } = reading;
  if (share === undefined || share < SHARE_MIN || share > 1) return undefined;
  const left = (1 - share) / share;
  const byBytes = (phaseBytes * left) / rates.bytesPerSecond;
  const byObjects = (phaseObjects * left) / rates.objectsPerSecond;
  return Number.isFinite(byBytes) && Number.isFinite(byObjects) ? { byBytes, byObjects } : undefined;
}

/** Both measures where they disagree: many small objects last longer than their bytes tell. */
export function etaText(eta: Eta): string {
  const { byBytes, byObjects } = eta;
  const isAlike = Math.abs(byBytes - byObjects) <= Math.max(5, 0.2 * Math.max(byBytes, byObjects));
  if (isAlike) return `about ${inSeconds(Math.max(byBytes, byObjects))} left`;
  return `left: ${inSeconds(byBytes)} by bytes, ${inSeconds(byObjects)} by objects`;
}

/** An estimate is never better than a second. */
function inSeconds(seconds: number): string {
  return formatDuration(Math.max(1, Math.ceil(seconds))).replace('.0', '');
}

const BAR_CELLS = 20;

export function liveLine(reading: ProgressReading, rates: Rates, columns: number): string {
  const { share } = reading;
  const bar = share === undefined ? [] : [barOf(share), `${String(Math.floor(share * 100)).padStart(3)} %`];
  const line = [...bar, ...facts(reading, rates)].join('  ');
  // A line that wraps cannot be redrawn in place.
  return line.length < columns ? line : `${line.slice(0, Math.max(0, columns - 2))}…`;
}

function barOf(share: number): string {
  const filled = Math.max(0, Math.min(BAR_CELLS, Math.floor(share * BAR_CELLS)));
  return '█'.repeat(filled) + '░'.repeat(BAR_CELLS - filled);
}

export function plainLine(reading: ProgressReading, rates: Rates): string {
  const share = reading.share === undefined ? [] : [`${Math.floor(reading.share * 100)} %`];
  return [`${reading.phase}:`, [...share, ...facts(reading, rates).slice(1)].join(', ')].join(' ');
}

function facts(reading: ProgressReading, rates: Rates): readonly string[] {
  const { objectsDone, objectsKnown, bytesDone, errors, phase, waiting } = reading;
  const known = Math.max(objectsKnown, objectsDone);
  return [
    phase,
    // While listing goes on there may always be more.
    `${formatCount(objectsDone)} of ${formatObjects(known)} seen`,
    formatBytes(bytesDone),
    ...(waiting ? waiting.map(waitText) : speeds(reading, rates)),
    ...(errors === 0 ? [] : [`${formatCount(errors)} wrong`]),
  ];
}

/** While a backend is away, speed and time left would be guesses that get worse every second. */
function speeds(reading: ProgressReading, rates: Rates): readonly string[] {
  const eta = estimate(reading, rates);
  return [
    formatByteRate(rates.bytesPerSecond),
    `${formatObjects(rates.objectsPerSecond)}/s`,
    ...(eta === undefined ? [] : [etaText(eta)]),
  ];
}

function waitText({ side, seconds, reason }: BackendWait): string {
  return `waiting for the ${side}: no answer for ${inSeconds(seconds)} (${reason})`;
}
