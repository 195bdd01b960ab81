/** A rate that all threads of a process keep to together: each reserves its place in time on one shared clock. */
import { monotonicMs, type SharedClock } from '../../core/concurrency/permit-memory.ts';

const NS_PER_MS = 1e6;
/** What may be saved up while nobody asks: a limit is kept over any second. */
const SAVED_MS = 250;

export interface RateLimitOptions {
  /** Shared with the other threads; a clock of its own where absent. */
  readonly clock?: SharedClock;
  /** Milliseconds; the same in all threads that share the clock. */
  readonly now?: () => number;
  /** So much of the rate may be saved up, or one unit if that is more; default 250. */
  readonly savedMs?: number;
}

/**
 * May go into debt: a request larger than what is saved up waits until it is paid for and goes out whole. Nothing is
 * held, so a thread that dies takes nothing along but the turn that it waited for.
 */
export class RateLimit {
  readonly #perSecond: () => number;
  readonly #clock: SharedClock;
  readonly #now: () => number;
  readonly #savedMs: number;

  /** @param perSecond or what tells it, where it changes; 0: no limit now. */
  constructor(perSecond: number | (() => number), options: RateLimitOptions = {}) {
    this.#perSecond = typeof perSecond === 'number' ? () => perSecond : perSecond;
    this.#clock = options.clock ?? { cells: new BigInt64Array(new SharedArrayBuffer(8)), at: 0 };
    this.#now = options.now ?? monotonicMs;
    this.#savedMs = options.savedMs ?? SAVED_MS;
  }

  /** Takes `amount` and says how many milliseconds to wait before using it. */
  take(amount: number): number {
    const { cells, at } = this.#clock;
    for (;;) {
      const found = Atomics.load(cells, at);
      const nowNs = this.#now() * NS_PER_MS;
      const nextNs = this.#paidUntilNs(found, nowNs, amount);
      // Whoever says the rate, another thread perhaps, has just given it up.
      if (nextNs === undefined) return 0;
      if (Atomics.compareExchange(cells, at, found, BigInt(nextNs)) === found) {
        return Math.max(0, (nextNs - nowNs) / NS_PER_MS);
      }
    }
  }

  /** What `take(1)` would say, but takes nothing. */
  get aheadMs(): number {
    const nowNs = this.#now() * NS_PER_MS;
    const nextNs = this.#paidUntilNs(Atomics.load(this.#clock.cells, this.#clock.at), nowNs, 1) ?? nowNs;
    return Math.max(0, (nextNs - nowNs) / NS_PER_MS);
  }

  /** Where the clock stands behind `amount` more; undefined where there is no rate. */
  #paidUntilNs(found: bigint, nowNs: number, amount: number): number | undefined {
    const perSecond = this.#perSecond();
    if (perSecond === 0) return undefined;
    const unitNs = (1000 * NS_PER_MS) / perSecond;
    const savedNs = Math.max(unitNs, this.#savedMs * NS_PER_MS);
    // 0: nobody has taken anything yet.
    const paidUntilNs = found === 0n ? Number.NEGATIVE_INFINITY : Number(found);
    return Math.ceil(Math.max(paidUntilNs, nowNs - savedNs) + amount * unitNs) || 1;
  }
}
