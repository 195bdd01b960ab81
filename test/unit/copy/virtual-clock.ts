/** Time that passes only when a test says so: nothing sleeps, and the same seed gives the same order of events. */
import { setImmediate as settled } from 'node:timers/promises';

interface Timer {
  readonly atTick: number;
  readonly order: number;
  readonly resolve: () => void;
}

export class VirtualClock {
  #now = 0;
  #order = 0;
  #timers: Timer[] = [];

  sleep(ticks: number): Promise<void> {
    return new Promise((resolve) => {
      this.#order += 1;
      this.#timers.push({ atTick: this.#now + ticks, order: this.#order, resolve });
    });
  }

  /** Lets time pass until nothing waits for it any more. */
  async run(): Promise<void> {
    for (;;) {
      // All promises that can settle without time do so before the next tick.
      await settled();
      this.#timers.sort((left, right) => left.atTick - right.atTick || left.order - right.order);
      const next = this.#timers.shift();
      if (next === undefined) return;
      this.#now = next.atTick;
      next.resolve();
    }
  }
}
