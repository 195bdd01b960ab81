/** A process that always has something to send, and servers with a will of their own, in simulated time. */
import type { ClassController } from '../../../../src/core/concurrency/class-controller.ts';

export interface Answer {
  readonly atMs: number;
  readonly how: 'answered' | 'refused' | 'troubled';
  readonly retryAfterMs?: number;
}

export type Server = (nowMs: number) => Answer;

/** Answers after so long, however many ask. */
export function latencyBound(latencyMs: number, random: () => number = () => 0): Server {
  return (nowMs) => ({ atMs: nowMs + latencyMs * (1 + random()), how: 'answered' });
}

/** Works on one request after the other. */
export function capacityBound(
  perSecond: number,
  latencyMs: number,
  random: () => number = () => 0.5,
): Server {
  let freeAtMs = 0;
  return (nowMs) => {
    freeAtMs = Math.max(freeAtMs, nowMs) + (2 * random() * 1000) / perSecond;
    return { atMs: freeAtMs + latencyMs, how: 'answered' };
  };
}

export interface RateLimited {
  /** Of the time, as it may change. */
  readonly perSecond: (nowMs: number) => number;
  readonly burst: number;
  readonly latencyMs: number;
  readonly retryAfterMs?: number;
}

/** Refuses what is above its rate; what it refuses costs it nothing. */
export function rateLimited({ perSecond, burst, latencyMs, retryAfterMs }: RateLimited): Server {
  let tokens = burst;
  let countedAtMs = 0;
  return (nowMs) => {
    tokens = Math.min(burst, tokens + ((nowMs - countedAtMs) * perSecond(nowMs)) / 1000);
    countedAtMs = nowMs;
    const atMs = nowMs + latencyMs;
    if (tokens < 1) return { atMs, how: 'refused', ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
    tokens -= 1;
    return { atMs, how: 'answered' };
  };
}

/** Refuses a share of what comes, however little it is. */
export function moody(share: number, latencyMs: number, random: () => number): Server {
  return (nowMs) => ({ atMs: nowMs + latencyMs, how: random() < share ? 'refused' : 'answered' });
}

export interface Span {
  readonly answeredPerSecond: number;
  /** Of all requests, 0 to 1. */
  readonly refused: number;
  readonly windowMin: number;
  readonly windowMax: number;
}

const TICK_MS = 100;
const STEP_MS = 1;

export class SimulatedProcess {
  readonly controller: ClassController;
  nowMs = 0;
  isBusy = false;
  #inFlight: Answer[] = [];
  #nextAtMs = 0;
  #counts = { answered: 0, refused: 0, troubled: 0, retryAfterMs: 0, fullMs: 0 };
  #tickedAtMs = 0;

  constructor(controller: ClassController) {
    this.controller = controller;
  }

  /** Runs so long against a server. @param demandMax requests in flight that the process has work for. */
  run(server: Server, ms: number, demandMax = 256): Span {
    const endMs = this.nowMs + ms;
    let [answered, refused, windowMin, windowMax] = [0, 0, Number.POSITIVE_INFINITY, 0];
    while (this.nowMs < endMs) {
      const done = this.#settle();
      answered += done.answered;
      refused += done.refused;
      this.#send(server, demandMax);
      this.nowMs += STEP_MS;
      if (this.nowMs - this.#tickedAtMs < TICK_MS) continue;
      this.#tick();
      windowMin = Math.min(windowMin, this.controller.window ?? 0);
      windowMax = Math.max(windowMax, this.controller.window ?? 0);
    }
    const all = answered + refused;
    return {
      answeredPerSecond: (answered * 1000) / ms,
      refused: all === 0 ? 0 : refused / all,
      windowMin,
      windowMax,
    };
  }

  #settle(): { answered: number; refused: number } {
    const sums = { answered: 0, refused: 0, troubled: 0 };
    this.#inFlight = this.#inFlight.filter(({ atMs, how, retryAfterMs = 0 }) => {
      if (atMs > this.nowMs) return true;
      sums[how] += 1;
      this.#counts[how] += 1;
      this.#counts.retryAfterMs = Math.max(this.#counts.retryAfterMs, retryAfterMs);
      return false;
    });
    return sums;
  }

  #send(server: Server, demandMax: number): void {
    const { window = demandMax, perSecond, holdMs } = this.controller;
    if (holdMs > 0) return;
    const periodMs = perSecond === undefined ? 0 : 1000 / perSecond;
    this.#nextAtMs = Math.max(this.#nextAtMs, this.nowMs - 10);
    while (this.#inFlight.length < Math.min(window, demandMax) && this.#nextAtMs <= this.nowMs) {
      this.#nextAtMs += periodMs;
      this.#inFlight.push(server(this.nowMs));
    }
    if (this.#inFlight.length >= window && window < demandMax) this.#counts.fullMs += STEP_MS;
  }

  #tick(): void {
    const { fullMs, ...counts } = this.#counts;
    const elapsedMs = this.nowMs - this.#tickedAtMs;
    const inFlight = this.#inFlight.length;
    this.controller.step({
      elapsedMs,
      ...counts,
      bytes: 0,
      inFlight,
      isFull: fullMs > 0,
      isBusy: this.isBusy,
    });
    this.#tickedAtMs = this.nowMs;
    this.#counts = { answered: 0, refused: 0, troubled: 0, retryAfterMs: 0, fullMs: 0 };
  }
}

/** Mulberry32: 0 ≤ value < 1, the same for a seed everywhere. */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
