/**
 * What each request of one thread to one side waits for: its turn where requests a second are bounded, and a place among
 * those in flight. A request that need not wait costs no promise. The limits are found out elsewhere (see
 * `core/concurrency/`); here they are kept to, and what becomes of the requests is counted for that.
 */
import {
  beat,
  clockOfFlow,
  FlowRow,
  flowOf,
  monotonicMs,
  type PermitMemory,
  type RequestClass,
} from '../../core/concurrency/permit-memory.ts';
import type { Side } from '../../core/counters.ts';
import { StorageError } from '../../core/errors.ts';
import { pause } from '../../transport/pause.ts';
import { orAborted } from '../or-aborted.ts';
import { RateLimit } from './rate-limit.ts';

const BEAT_MS = 500;
/** Requests that could have gone while no timer ran go at once, but not more than this. */
const SAVED_MS = 10;
/** Shorter waits are below what a timer can measure. */
const WAIT_MS_MIN = 1;
/** A turn that is further off is not taken yet: by then the rate may be another one, or none. */
const TURN_MS_MAX = 250;

export interface PermitsOptions {
  readonly memory: PermitMemory;
  /** Of this thread. */
  readonly row: number;
  readonly side: Side;
  /** What the user allows. */
  readonly requests?: RateLimit | undefined;
  readonly bytes?: RateLimit | undefined;
  /** Milliseconds, the same in all threads. */
  readonly now?: () => number;
}

interface Waiter {
  readonly signal: AbortSignal;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

export interface PermitRequest {
  readonly requestClass: RequestClass;
  /** How much the user's limit of bytes counts it for. */
  readonly bytes: number;
  /**
   * False: counted, but waits for no place. A body that comes from the other side while it is sent needs requests there,
   * and those may wait for memory that is held by requests which wait for a place here.
   */
  readonly needsPlace: boolean;
}

export class Permits {
  readonly #lanes: Readonly<Record<RequestClass, Lane>>;
  readonly #options: PermitsOptions;
  readonly #timer: NodeJS.Timeout;
  #utilization = performance.eventLoopUtilization();

  constructor(options: PermitsOptions) {
    this.#options = options;
    const lane = (requestClass: RequestClass) => new Lane(options, flowOf(options.side, requestClass));
    this.#lanes = { list: lane('list'), read: lane('read'), write: lane('write') };
    this.#beat();
    this.#timer = setInterval(() => this.#beat(), BEAT_MS);
    this.#timer.unref();
  }

  /** Makes the call once it may be made. Rejects with the signal's reason while it waits. */
  run<T>(signal: AbortSignal, request: PermitRequest, call: () => Promise<T>): Promise<T> {
    const lane = this.#lanes[request.requestClass];
    const { requests, bytes } = this.#options;
    if (!requests && !bytes && lane.enter(request.needsPlace)) return this.#made(lane, request.bytes, call);
    const allowedInMs = Math.max(
      requests?.take(1) ?? 0,
      (request.bytes > 0 && bytes?.take(request.bytes)) || 0,
    );
    return lane
      .wait(signal, request.needsPlace, allowedInMs)
      .then(() => this.#made(lane, request.bytes, call));
  }

  /** How many requests of a class this thread may have in flight now. */
  places(requestClass: RequestClass): number {
    return this.#lanes[requestClass].places;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #made<T>(lane: Lane, bytes: number, call: () => Promise<T>): Promise<T> {
    let made: Promise<T>;
    try {
      made = call();
    } catch (error) {
      lane.leave(error, 0);
      throw error;
    }
    return made.then(
      (result) => {
        lane.leave(undefined, bytes);
        return result;
      },
      (error: unknown) => {
        lane.leave(error, 0);
        throw error;
      },
    );
  }

  #beat(): void {
    const { memory, row, now = monotonicMs } = this.#options;
    const before = this.#utilization;
    this.#utilization = performance.eventLoopUtilization();
    beat(memory, row, now(), performance.eventLoopUtilization(this.#utilization, before).utilization);
    // A limit may have been raised while nothing came back that would have noticed.
    for (const lane of Object.values(this.#lanes)) lane.admit();
  }
}

/** The requests of one class. */
class Lane {
  readonly #row: FlowRow;
  readonly #now: () => number;
  readonly #pace: RateLimit;
  readonly #waiters: Waiter[] = [];
  /** Settles when the last of those who want a turn has one, or wants none any more. */
  #lastTurn: Promise<void> | undefined;
  /** How many wait with each signal, and what ends them. */
  readonly #bySignal = new Map<AbortSignal, { count: number; readonly onAbort: () => void }>();

  constructor({ memory, row, now = monotonicMs }: PermitsOptions, flow: number) {
    this.#row = new FlowRow(memory, row, flow);
    this.#now = now;
    const clock = clockOfFlow(memory, flow);
    this.#pace = new RateLimit(() => this.#row.perSecond, { clock, now, savedMs: SAVED_MS });
  }

  get places(): number {
    return this.#row.limit;
  }

  /** @returns whether the request may be made without any waiting; then it is in flight. */
  enter(needsPlace: boolean): boolean {
    const row = this.#row;
    if (this.#isBounded) return false;
    if (needsPlace && (this.#waiters.length > 0 || !row.hasRoom)) return false;
    row.begin();
    return true;
  }

  /** @param leastMs waited in any case. */
  wait(signal: AbortSignal, needsPlace: boolean, leastMs: number): Promise<void> {
    if (leastMs >= WAIT_MS_MIN || this.#isBounded || !needsPlace || signal.aborted)
      return this.#waitLong(signal, needsPlace, leastMs);
    if (this.enter(needsPlace)) return Promise.resolve();
    // The usual case at full speed: only a place is missing, and what waits for one costs no more than that.
    return this.#place(signal).then(() => {
      if (!this.#isBounded) return undefined;
      this.#leave();
      return this.#waitLong(signal, needsPlace, 0);
    });
  }

  /** Is there a rate to keep to, or a pause? */
  get #isBounded(): boolean {
    return this.#row.perSecond !== 0 || this.#row.heldUntilMs !== 0;
  }

  async #waitLong(signal: AbortSignal, needsPlace: boolean, leastMs: number): Promise<void> {
    signal.throwIfAborted();
    if (leastMs >= WAIT_MS_MIN) await pause(leastMs, signal);
    for (;;) {
      // Turns are given out for the time in which there are any.
      while (this.#heldMs > 0) await pause(Math.max(WAIT_MS_MIN, this.#heldMs), signal);
      const hasTurn = await this.#turn(signal);
      if (this.#heldMs > 0) continue;
      if (!needsPlace || (this.#waiters.length === 0 && this.#row.hasRoom)) this.#row.begin();
      else await this.#place(signal);
      if (this.#heldMs === 0 && (hasTurn || this.#row.perSecond === 0)) return;
      // The server has refused others meanwhile.
      this.#leave();
    }
  }

  /** @returns whether there was one to wait for. */
  async #turn(signal: AbortSignal): Promise<boolean> {
    const turnMs = await this.#takeTurn(signal);
    if (turnMs === undefined) return false;
    if (turnMs >= WAIT_MS_MIN) await pause(turnMs, signal);
    return true;
  }

  /** One after the other, in their order. @returns how far off it is; undefined: there is no rate any more. */
  async #takeTurn(signal: AbortSignal): Promise<number | undefined> {
    const before = this.#lastTurn;
    const taken = Promise.withResolvers<void>();
    this.#lastTurn = taken.promise;
    try {
      if (before) await orAborted(before, signal);
      while (this.#row.perSecond !== 0) {
        const waitMs = this.#pace.aheadMs - TURN_MS_MAX;
        if (waitMs <= 0) return this.#pace.take(1);
        await pause(Math.max(WAIT_MS_MIN, Math.min(waitMs, TURN_MS_MAX)), signal);
      }
      return undefined;
    } finally {
      if (this.#lastTurn === taken.promise) this.#lastTurn = undefined;
      taken.resolve();
    }
  }

  /** @param error of the call; undefined: it was answered. */
  leave(error: unknown, bytes: number): void {
    if (error === undefined) this.#row.count('answered', bytes);
    else if (error instanceof StorageError) this.#countError(error);
    this.#leave();
  }

  /** Gives places to those who wait. */
  admit(): void {
    while (this.#waiters.length > 0 && this.#row.hasRoom) {
      const waiter = this.#waiters.shift();
      if (!waiter) return;
      this.#row.wait(-1);
      this.#forget(waiter.signal);
      this.#row.begin();
      waiter.resolve();
    }
  }

  #leave(): void {
    this.#row.end();
    if (this.#waiters.length > 0) this.admit();
  }

  #countError({ details }: StorageError): void {
    const { kind, status, backendCode, retryAfterMs } = details;
    if (kind === 'throttled') {
      this.#row.count('refused', 0);
      if (retryAfterMs !== undefined) this.#row.refusedFor(retryAfterMs);
    } else if (kind === 'timeout' || (kind === 'unavailable' && backendCode !== 'wire-stale')) {
      this.#row.count('troubled', 0);
    } else if (status !== undefined) {
      this.#row.count('answered', 0);
    }
  }

  get #heldMs(): number {
    const { heldUntilMs } = this.#row;
    return heldUntilMs === 0 ? 0 : Math.max(0, heldUntilMs - this.#now());
  }

  #place(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ signal, resolve, reject });
      this.#row.wait(1);
      const known = this.#bySignal.get(signal);
      if (known) {
        known.count += 1;
        return;
      }
      const onAbort = () => this.#drop(signal);
      this.#bySignal.set(signal, { count: 1, onAbort });
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** One listener per signal, and none where nobody waits: a signal that follows another one lives as long as it has one. */
  #forget(signal: AbortSignal): void {
    const known = this.#bySignal.get(signal);
    if (!known) return;
    known.count -= 1;
    if (known.count > 0) return;
    signal.removeEventListener('abort', known.onAbort);
    this.#bySignal.delete(signal);
  }

  #drop(signal: AbortSignal): void {
    this.#bySignal.delete(signal);
    const waiters = this.#waiters.splice(0);
    for (const waiter of waiters) {
      if (waiter.signal !== signal) {
        this.#waiters.push(waiter);
        continue;
      }
      this.#row.wait(-1);
      waiter.reject(signal.reason);
    }
  }
}
