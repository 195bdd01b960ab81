/**
 * How many requests of one class may be in flight: more, as long as more are answered for it. A trial raises the window
 * by half and keeps it if the work done per second follows; else the old one is kept, and the next trial waits longer.
 * Pure: time comes with the samples.
 */

/** A trial must bring this share of what it would bring if only waiting bounded the throughput. */
const GAIN_SHARE_MIN = 0.3;
/** More of it where no processor has time to spare: throughput then changes for many reasons, most of all at the start. */
const GAIN_SHARE_BUSY = 0.75;
const GROWTH = 1.5;
const EPOCH_MS_MIN = 300;
const EPOCH_MS_MAX = 3_000;
/** Every place of the window is to have been used so often before an epoch tells anything. */
const TURNOVERS = 2;
/** Of an epoch that begins with a new window: requests that still belong to the old one. */
const SETTLING_TURNOVERS = 1;
const REST_MS_MIN = 2_000;
const REST_MS_MAX = 30_000;
/** So many timeouts and server errors in an epoch, and this share of its requests, halve the window. */
const TROUBLES_MIN = 3;
const TROUBLE_SHARE = 0.1;

export interface WindowSample {
  readonly elapsedMs: number;
  /** Requests that were answered as they should. */
  readonly answered: number;
  /** What they came to: requests and bytes in one figure. */
  readonly work: number;
  /** Requests that got no answer, or one that is the server's own fault. */
  readonly troubled: number;
  /** Did requests wait for a place in the window? */
  readonly isFull: boolean;
  /** Had the processors no time to spare? */
  readonly isBusy: boolean;
}

interface Epoch {
  elapsedMs: number;
  fullMs: number;
  busyMs: number;
  answered: number;
  work: number;
  troubled: number;
}

/** A larger window, or the old one once more, to see whether it was the larger one that brought the gain. */
interface Trial {
  readonly from: number;
  readonly to: number;
  /** With the old window. */
  readonly before: number;
  /** With the larger one, once that is known. */
  readonly during?: number;
}

interface Measured {
  readonly workPerMs: number;
  readonly isFull: boolean;
  readonly isBusy: boolean;
}

export interface WindowBounds {
  readonly min: number;
  readonly start: number;
  readonly max: number;
}

export class WindowFinder {
  readonly #bounds: WindowBounds;
  #window: number;
  #epoch: Epoch = emptyEpoch();
  #settling = 0;
  #trial: Trial | undefined;
  #restMs = 0;
  #nextRestMs = REST_MS_MIN;

  constructor(bounds: WindowBounds) {
    this.#bounds = bounds;
    this.#window = bounds.start;
  }

  get window(): number {
    return this.#window;
  }

  /** What was measured so far says nothing: something else than the window bounded the requests. */
  forget(): void {
    this.#epoch = emptyEpoch();
    if (this.#trial) this.#window = this.#trial.from;
    this.#trial = undefined;
  }

  step(sample: WindowSample): void {
    this.#restMs = Math.max(0, this.#restMs - sample.elapsedMs);
    if (this.#settling > 0) {
      this.#settling -= sample.answered + sample.troubled;
      if (sample.troubled === 0) return;
    }
    const epoch = this.#epoch;
    epoch.elapsedMs += sample.elapsedMs;
    epoch.answered += sample.answered;
    epoch.troubled += sample.troubled;
    if (sample.isBusy) epoch.busyMs += sample.elapsedMs;
    if (sample.isFull) {
      // Only such time is compared: in between the process may have had nothing to send, as at the end of a shard.
      epoch.fullMs += sample.elapsedMs;
      epoch.work += sample.work;
    }
    const isTurned = epoch.answered + epoch.troubled >= TURNOVERS * this.#window;
    const isLong = epoch.fullMs >= EPOCH_MS_MIN && isTurned;
    if (!isLong && epoch.elapsedMs < EPOCH_MS_MAX) return;
    this.#epoch = emptyEpoch();
    this.#judge(epoch);
  }

  #judge(epoch: Epoch): void {
    if (epoch.troubled >= TROUBLES_MIN && epoch.troubled > TROUBLE_SHARE * epoch.answered) {
      this.#trial = undefined;
      this.#restMs = REST_MS_MIN;
      this.#become(Math.max(this.#bounds.min, Math.floor(this.#window / 2)));
      return;
    }
    // Nothing came back at all: that is no throughput to compare with.
    if (epoch.answered === 0) {
      this.forget();
      return;
    }
    const isFull = epoch.fullMs >= EPOCH_MS_MIN;
    const isBusy = epoch.busyMs >= epoch.elapsedMs / 2;
    const workPerMs = epoch.work / epoch.fullMs;
    const trial = this.#trial;
    this.#trial = undefined;
    if (trial) this.#judgeTrial(trial, { workPerMs, isFull, isBusy });
    if (this.#trial || !isFull || this.#restMs > 0 || this.#window >= this.#bounds.max) return;
    const to = Math.min(this.#bounds.max, Math.ceil(this.#window * GROWTH));
    this.#trial = { from: this.#window, to, before: workPerMs };
    this.#become(to);
  }

  #judgeTrial(trial: Trial, { workPerMs, isFull, isBusy }: Measured): void {
    const { from, to, before, during } = trial;
    const isWorth = (after: number, less: number): boolean =>
      after / less - 1 >= (isBusy ? GAIN_SHARE_BUSY : GAIN_SHARE_MIN) * (to / from - 1);
    if (during !== undefined) {
      if (!isWorth(during, workPerMs)) this.#rest();
      else this.#become(to);
    } else if (!isFull) {
      // Something else bounds the throughput now, so nothing was learnt and nothing is lost.
      this.#nextRestMs = REST_MS_MIN;
    } else if (!isWorth(workPerMs, before)) {
      this.#rest();
      this.#become(from);
    } else if (isBusy) {
      this.#trial = { ...trial, during: workPerMs };
      this.#become(from);
    } else {
      this.#nextRestMs = REST_MS_MIN;
    }
  }

  #rest(): void {
    this.#restMs = this.#nextRestMs;
    this.#nextRestMs = Math.min(REST_MS_MAX, 2 * this.#nextRestMs);
  }

  #become(window: number): void {
    this.#window = window;
    this.#settling = SETTLING_TURNOVERS * window;
  }
}

function emptyEpoch(): Epoch {
  return { elapsedMs: 0, fullMs: 0, busyMs: 0, answered: 0, work: 0, troubled: 0 };
}
