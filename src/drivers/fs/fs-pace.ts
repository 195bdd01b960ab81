/** Whether calls of one sort answer so quickly that waiting for them is cheaper than handing them to the thread pool. */

/** `remote`: never block the thread on it. `local`: as quick as it shows itself to be. */
export type Distance = 'remote' | 'local';

/** Above the cost of a way through the thread pool (10-50 us, measured), below a seek or a round trip. */
const SLOW_CALL_MS = 0.2;
/** A cold cache warms up: after so many calls through the pool the next group is made directly again. */
const POOLED_CALLS = 4_096;

export class Pace {
  readonly #distance: Distance;
  readonly #groupCalls: number;
  #isFast: boolean;
  #calls = 0;
  #slowCalls = 0;

  /**
   * Calls are judged in groups of `groupCalls`: a quarter of slow ones is more than a busy machine or a garbage
   * collection explains, and sends what follows through the pool.
   */
  constructor(distance: Distance, groupCalls: number) {
    this.#distance = distance;
    this.#groupCalls = groupCalls;
    this.#isFast = distance === 'local';
  }

  get isFast(): boolean {
    return this.#isFast;
  }

  direct<T>(call: () => T): T {
    const startedMs = performance.now();
    try {
      return call();
    } finally {
      this.record(performance.now() - startedMs);
    }
  }

  record(tookMs: number): void {
    this.#calls += 1;
    if (tookMs > SLOW_CALL_MS) this.#slowCalls += 1;
    if (this.#slowCalls * 4 >= this.#groupCalls) this.#judge(false);
    else if (this.#calls >= this.#groupCalls) this.#judge(true);
  }

  countPooled(): void {
    this.#calls += 1;
    if (this.#distance === 'local' && this.#calls >= POOLED_CALLS) this.#judge(true);
  }

  #judge(isFast: boolean): void {
    this.#isFast = isFast;
    this.#calls = 0;
    this.#slowCalls = 0;
  }
}
