/** Ten times a second: what all threads did goes to the controllers, and what those find goes to the threads. */
import { cpus } from 'node:os';
import { ClassController } from '../core/concurrency/class-controller.ts';
import {
  allocatePermits,
  type FlowSums,
  flowOf,
  monotonicMs,
  PermitControls,
  type PermitMemory,
  REQUEST_CLASSES,
  type RequestClass,
} from '../core/concurrency/permit-memory.ts';
import { shareOut } from '../core/concurrency/shares.ts';
import type { WindowBounds } from '../core/concurrency/window.ts';
import { SIDES, type Side } from '../core/counters.ts';

const TICK_MS = 100;
const PROCESSORS_MS = 500;
/** A processor or a thread that has something to do for this share of the time has none to spare. */
const BUSY = 0.9;
/** What else keeps the processors busy is no concern of threads that only wait, as those below this share of it do. */
const WAITING = 0.3;
const UNBOUNDED = 2 ** 30;
/** Per thread: what is begun with, and what is always left. */
const START = 16;
const LEAST = 4;

export interface ConcurrencyOptions {
  readonly threads: number;
  /** One for each thread there may ever be. */
  readonly rows: number;
  /** Requests of one class and side that one thread may have in flight; undefined: as many as its objects make. */
  readonly perThreadMax: number | undefined;
}

/** What a class of requests does and may do now. */
interface FlowState {
  readonly inFlight: number;
  /** undefined: not bounded. */
  readonly window: number | undefined;
  /** undefined: not bounded. */
  readonly perSecond: number | undefined;
}

export type ReadFlow = (side: Side, requestClass: RequestClass) => FlowState;

interface Flow {
  readonly number: number;
  readonly controller: ClassController;
  last: FlowSums;
}

export class Concurrency {
  readonly memory: PermitMemory;
  readonly #controls: PermitControls;
  readonly #flows: readonly Flow[];
  readonly #now: () => number;
  readonly #processors = new Processors();
  #tickedAtMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor({ threads, rows, perThreadMax }: ConcurrencyOptions, now: () => number = monotonicMs) {
    const bounds = perThreadMax === undefined ? undefined : boundsOf(threads, perThreadMax);
    this.memory = allocatePermits(rows, bounds ? Math.ceil(bounds.start / threads) : UNBOUNDED);
    this.#controls = new PermitControls(this.memory);
    this.#now = now;
    this.#tickedAtMs = now();
    this.#flows = SIDES.flatMap((side) =>
      REQUEST_CLASSES.map((requestClass) => {
        const number = flowOf(side, requestClass);
        return { number, controller: new ClassController(bounds), last: this.#controls.sums(number, []) };
      }),
    );
  }

  start(): void {
    this.#timer = setInterval(() => this.tick(), TICK_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  readonly read: ReadFlow = (side, requestClass) => {
    const flow = flowOf(side, requestClass);
    const { inFlight } = this.#controls.sums(flow, this.#controls.living(this.#now()));
    const { window, perSecond } = this.#controls.get(flow);
    return { inFlight, window: window || undefined, perSecond: perSecond || undefined };
  };

  tick(): void {
    const nowMs = this.#now();
    const elapsedMs = nowMs - this.#tickedAtMs;
    if (elapsedMs <= 0) return;
    this.#tickedAtMs = nowMs;
    this.#processors.look(nowMs);
    const living = this.#controls.living(nowMs);
    for (const flow of this.#flows) this.#step(flow, living, nowMs, elapsedMs);
  }

  #step(flow: Flow, living: readonly number[], nowMs: number, elapsedMs: number): void {
    const { number, controller, last } = flow;
    const controls = this.#controls;
    const sums = controls.sums(number, living);
    const demands = living.map((row) => controls.demand(row, number));
    const asking = living.filter((_, index) => (demands[index] ?? 0) > 0);
    flow.last = sums;
    controller.step({
      elapsedMs,
      answered: sums.answered - last.answered,
      refused: sums.refused - last.refused,
      troubled: sums.troubled - last.troubled,
      bytes: sums.bytes - last.bytes,
      inFlight: sums.inFlight,
      isFull: sums.waiting > 0,
      isBusy: this.#isBusy(asking),
      retryAfterMs: controls.takeRetryAfterMs(number),
    });
    const { window, perSecond, holdMs } = controller;
    controls.set(number, {
      perSecond: perSecond ?? 0,
      heldUntilMs: holdMs > 0 ? nowMs + holdMs : 0,
      window: window ?? 0,
    });
    if (window === undefined) return;
    for (const [index, share] of shareOut(window, demands).entries()) {
      controls.setLimit(living[index] ?? 0, number, share);
    }
  }

  #isBusy(rows: readonly number[]): boolean {
    const least = this.#processors.isBusy ? WAITING : BUSY;
    return rows.length > 0 && rows.every((row) => this.#controls.busy(row) >= least);
  }
}

/** Of the whole machine: a server beside this process may be what takes them. */
class Processors {
  isBusy = false;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #before = processorTimes();

  look(nowMs: number): void {
    if (nowMs - this.#lookedAtMs < PROCESSORS_MS) return;
    this.#lookedAtMs = nowMs;
    const now = processorTimes();
    const all = now.all - this.#before.all;
    if (all > 0) this.isBusy = 1 - (now.idle - this.#before.idle) / all >= BUSY;
    this.#before = now;
  }
}

function processorTimes(): { readonly idle: number; readonly all: number } {
  let [idle, all] = [0, 0];
  for (const { times } of cpus()) {
    idle += times.idle;
    all += times.idle + times.user + times.sys + times.nice + times.irq;
  }
  return { idle, all };
}

function boundsOf(threads: number, perThreadMax: number): WindowBounds {
  return {
    min: threads * Math.min(LEAST, perThreadMax),
    start: threads * Math.min(START, perThreadMax),
    max: threads * perThreadMax,
  };
}
