/**
 * How many retries one thread may spend on one backend. Attempts of a single call are limited anyway; this limits them
 * all together, so that a backend which is sick gets fewer requests, not more. A retry that is not earned yet waits.
 */

/** Everything that a thread has in flight (32 objects, two parts each) may be hit by one blip and go again unhindered. */
const TOKENS_MAX = 64;
/** In the long run a backend that mostly works gets at most a fifth more requests than it answers well. */
const EARNED_PER_SUCCESS = 0.2;
/** Without any success there must still be a way on: as many a second and thread as one impatient user would send. */
const EARNED_PER_SECOND = 5;

export class RetryBudget {
  readonly #now: () => number;
  #tokens = TOKENS_MAX;
  #atMs: number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#atMs = now();
  }

  earn(): void {
    this.#tokens = Math.min(TOKENS_MAX, this.#tokens + EARNED_PER_SUCCESS);
  }

  /** Spends one retry. @returns how many milliseconds it has to wait until it is earned. */
  spend(): number {
    const now = this.#now();
    const earned = ((now - this.#atMs) * EARNED_PER_SECOND) / 1000;
    this.#atMs = now;
    this.#tokens = Math.min(TOKENS_MAX, this.#tokens + earned) - 1;
    return this.#tokens >= 0 ? 0 : (-this.#tokens * 1000) / EARNED_PER_SECOND;
  }
}
