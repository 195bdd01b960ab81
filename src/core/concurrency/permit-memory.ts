/**
 * Where the threads of a process and the controllers meet: shared memory. Each thread has a row that it alone writes and
 * counts in; the limits that it keeps to are written by the controllers' side alone. Rows say now and then that their
 * thread lives, and what one that died held comes back to the others when it has been silent for a while.
 */
import { SIDES, type Side } from '../counters.ts';

/**
 * Few, because what is known of a class is learnt from its own requests: `list` (listings of objects, parts, uploads),
 * `read` (objects and what is known of them), `write` (everything that changes the backend).
 */
export const REQUEST_CLASSES = ['list', 'read', 'write'] as const;
export type RequestClass = (typeof REQUEST_CLASSES)[number];

const CLASSES = REQUEST_CLASSES.length;
const FLOWS = SIDES.length * CLASSES;

/** The requests of one class to one side have this number everywhere below. */
export function flowOf(side: Side, requestClass: RequestClass): number {
  return SIDES.indexOf(side) * CLASSES + REQUEST_CLASSES.indexOf(requestClass);
}

/** Doubles per row and flow that only ever grow, but for the last one. */
const SUMS = ['answered', 'refused', 'troubled', 'bytes', 'waited', 'retryAfterMs'] as const;
const SUM = { answered: 0, refused: 1, troubled: 2, bytes: 3, waited: 4, retryAfterMs: 5 } as const;
/** 32-bit cells per row and flow. */
const IN_FLIGHT = 0;
const WAITING = 1;
const LIMIT = 2;
const CELLS = 3;
/** Doubles per flow: the rate that is kept to (0: none), until when nothing may be sent (0: never), the window. */
const PER_SECOND = 0;
const HELD_UNTIL = 1;
const WINDOW = 2;
const CONTROLS = 3;
/** Doubles per row. */
const BEATS = 2;
/** A thread that has not said for so long that it lives is taken for dead; it may be computing, and come back. */
export const SILENT_MS_MAX = 5_000;

export interface PermitMemory {
  readonly rows: number;
  readonly sums: SharedArrayBuffer;
  readonly cells: SharedArrayBuffer;
  readonly controls: SharedArrayBuffer;
  /** Per row: when its thread last said that it lives, in milliseconds (0: never), and how busy it was, 0 to 1. */
  readonly beats: SharedArrayBuffer;
  /** Nanoseconds, one clock for each rate that all threads keep to together: per flow, then per side twice. */
  readonly clocks: SharedArrayBuffer;
}

/** @param limit of each flow, in each row, until the controllers know better. */
export function allocatePermits(rows: number, limit: number): PermitMemory {
  const cells = new Int32Array(new SharedArrayBuffer(rows * FLOWS * CELLS * Int32Array.BYTES_PER_ELEMENT));
  for (let at = LIMIT; at < cells.length; at += CELLS) cells[at] = limit;
  const doubles = (count: number) => new SharedArrayBuffer(count * Float64Array.BYTES_PER_ELEMENT);
  return {
    rows,
    sums: doubles(rows * FLOWS * SUMS.length),
    cells: cells.buffer,
    controls: doubles(FLOWS * CONTROLS),
    beats: doubles(rows * BEATS),
    clocks: doubles(FLOWS + 2 * SIDES.length),
  };
}

/** The same in all threads of a process. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** One cell that all threads move on together: the clock of a rate. */
export interface SharedClock {
  readonly cells: BigInt64Array;
  readonly at: number;
}

export function clockOfFlow(memory: PermitMemory, flow: number): SharedClock {
  return { cells: new BigInt64Array(memory.clocks), at: flow };
}

/** Of what the user allows a side: requests, or bytes. */
export function clockOfLimit(memory: PermitMemory, side: Side, what: 'requests' | 'bytes'): SharedClock {
  const at = FLOWS + 2 * SIDES.indexOf(side) + (what === 'requests' ? 0 : 1);
  return { cells: new BigInt64Array(memory.clocks), at };
}

export type RequestOutcome = 'answered' | 'refused' | 'troubled';

/** One thread's view of one flow. */
export class FlowRow {
  readonly #sums: Float64Array;
  readonly #cells: Int32Array;
  readonly #controls: Float64Array;

  constructor(memory: PermitMemory, row: number, flow: number) {
    if (!(row >= 0 && row < memory.rows)) throw new RangeError(`There is no row ${row} of ${memory.rows}`);
    const index = row * FLOWS + flow;
    const doubleBytes = Float64Array.BYTES_PER_ELEMENT;
    this.#sums = new Float64Array(memory.sums, index * SUMS.length * doubleBytes, SUMS.length);
    this.#cells = new Int32Array(memory.cells, index * CELLS * Int32Array.BYTES_PER_ELEMENT, CELLS);
    this.#controls = new Float64Array(memory.controls, flow * CONTROLS * doubleBytes, CONTROLS);
  }

  /** Requests a second of all threads together; 0: not bounded. */
  get perSecond(): number {
    return this.#controls[PER_SECOND] ?? 0;
  }

  /** By `monotonicMs`; 0: nothing is held back. */
  get heldUntilMs(): number {
    return this.#controls[HELD_UNTIL] ?? 0;
  }

  /** How many may be in flight. */
  get limit(): number {
    return this.#cells[LIMIT] ?? 0;
  }

  get hasRoom(): boolean {
    return (this.#cells[IN_FLIGHT] ?? 0) < this.limit;
  }

  begin(): void {
    this.#addCell(IN_FLIGHT, 1);
  }

  end(): void {
    this.#addCell(IN_FLIGHT, -1);
  }

  wait(by: 1 | -1): void {
    this.#addCell(WAITING, by);
    if (by === 1) this.#add(SUM.waited, 1);
  }

  count(outcome: RequestOutcome, bytes: number): void {
    this.#add(SUM[outcome], 1);
    if (bytes > 0) this.#add(SUM.bytes, bytes);
  }

  refusedFor(retryAfterMs: number): void {
    this.#sums[SUM.retryAfterMs] = retryAfterMs;
  }

  #add(at: number, by: number): void {
    this.#sums[at] = (this.#sums[at] ?? 0) + by;
  }

  #addCell(at: number, by: number): void {
    this.#cells[at] = (this.#cells[at] ?? 0) + by;
  }
}

/**
 * Says that the thread of a row lives.
 * @param busy share of the time since the last beat in which it had something to do, 0 to 1.
 */
export function beat(memory: PermitMemory, row: number, nowMs: number, busy: number): void {
  new Float64Array(memory.beats).set([nowMs, busy], row * BEATS);
}

/** What all living threads together did and hold, of one flow. */
export interface FlowSums {
  readonly answered: number;
  readonly refused: number;
  readonly troubled: number;
  readonly bytes: number;
  /** How many had to wait for a place. */
  readonly waited: number;
  readonly inFlight: number;
  /** Of now. */
  readonly waiting: number;
}

/** The controllers' view of everything. */
export class PermitControls {
  readonly #memory: PermitMemory;
  readonly #sums: Float64Array;
  readonly #cells: Int32Array;
  readonly #controls: Float64Array;
  readonly #beats: Float64Array;

  constructor(memory: PermitMemory) {
    this.#memory = memory;
    this.#sums = new Float64Array(memory.sums);
    this.#cells = new Int32Array(memory.cells);
    this.#controls = new Float64Array(memory.controls);
    this.#beats = new Float64Array(memory.beats);
  }

  /** Rows of threads that live. */
  living(nowMs: number): readonly number[] {
    const rows: number[] = [];
    for (let row = 0; row < this.#memory.rows; row += 1) {
      const beatMs = this.#beats[row * BEATS] ?? 0;
      if (beatMs > 0 && nowMs - beatMs < SILENT_MS_MAX) rows.push(row);
    }
    return rows;
  }

  /** 0 to 1. */
  busy(row: number): number {
    return this.#beats[row * BEATS + 1] ?? 0;
  }

  /** What was done stays counted when its thread dies; what it held does not. */
  sums(flow: number, living: readonly number[]): FlowSums {
    const sums = { answered: 0, refused: 0, troubled: 0, bytes: 0, waited: 0, inFlight: 0, waiting: 0 };
    for (let row = 0; row < this.#memory.rows; row += 1) {
      const at = (row * FLOWS + flow) * SUMS.length;
      sums.answered += this.#sums[at + SUM.answered] ?? 0;
      sums.refused += this.#sums[at + SUM.refused] ?? 0;
      sums.troubled += this.#sums[at + SUM.troubled] ?? 0;
      sums.bytes += this.#sums[at + SUM.bytes] ?? 0;
      sums.waited += this.#sums[at + SUM.waited] ?? 0;
    }
    for (const row of living) {
      sums.inFlight += this.#cell(row, flow, IN_FLIGHT);
      sums.waiting += this.#cell(row, flow, WAITING);
    }
    return sums;
  }

  /** Places that the thread of a row uses and waits for. */
  demand(row: number, flow: number): number {
    return this.#cell(row, flow, IN_FLIGHT) + this.#cell(row, flow, WAITING);
  }

  /** What the last refusals asked for, the longest; 0: nothing. Forgets it. */
  takeRetryAfterMs(flow: number): number {
    let longestMs = 0;
    for (let row = 0; row < this.#memory.rows; row += 1) {
      const at = (row * FLOWS + flow) * SUMS.length + SUM.retryAfterMs;
      longestMs = Math.max(longestMs, this.#sums[at] ?? 0);
      this.#sums[at] = 0;
    }
    return longestMs;
  }

  setLimit(row: number, flow: number, limit: number): void {
    this.#cells[(row * FLOWS + flow) * CELLS + LIMIT] = limit;
  }

  /** @param window 0: none. */
  set(flow: number, { perSecond, heldUntilMs, window }: FlowControls): void {
    this.#controls[flow * CONTROLS + PER_SECOND] = perSecond;
    this.#controls[flow * CONTROLS + HELD_UNTIL] = heldUntilMs;
    this.#controls[flow * CONTROLS + WINDOW] = window;
  }

  get(flow: number): FlowControls {
    return {
      perSecond: this.#controls[flow * CONTROLS + PER_SECOND] ?? 0,
      heldUntilMs: this.#controls[flow * CONTROLS + HELD_UNTIL] ?? 0,
      window: this.#controls[flow * CONTROLS + WINDOW] ?? 0,
    };
  }

  #cell(row: number, flow: number, cell: number): number {
    return this.#cells[(row * FLOWS + flow) * CELLS + cell] ?? 0;
  }
}

/** 0 stands for: not bounded. */
export interface FlowControls {
  readonly perSecond: number;
  readonly heldUntilMs: number;
  readonly window: number;
}
