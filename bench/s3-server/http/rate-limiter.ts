/** Spreads bytes over time; debts below what a timer can measure are carried on instead of waited for. */
const WAIT_MS_MIN = 2;
/** Who comes later than told by so much was kept by a busy machine, and catches up. */
const LATE_MS_MAX = 10;

export class RateLimiter {
  readonly bytesPerSecond: number;
  #freeAtMs = 0;

  constructor(bytesPerSecond: number) {
    this.bytesPerSecond = bytesPerSecond;
  }

  /** What may be moved in one go: about 10 ms worth. */
  get sliceBytes(): number {
    return Math.max(1, Math.floor(this.bytesPerSecond / 100));
  }

  /** Counts bytes that were moved. @returns milliseconds until the next ones may be. */
  take(bytes: number): number {
    const now = performance.now();
    const from = now - this.#freeAtMs > LATE_MS_MAX ? now : this.#freeAtMs;
    this.#freeAtMs = from + (bytes * 1000) / this.bytesPerSecond;
    const wait = this.#freeAtMs - now;
    return wait < WAIT_MS_MIN ? 0 : wait;
  }
}
