/** Which backends are waited for, made of what each thread says of its own waiting. */
import { SIDES, type Side } from './counters.ts';
import type { CopyEvent } from './events.ts';

export interface Outage {
  readonly side: Side;
  readonly name: string;
  /** By the clock that `hear` is given. */
  readonly sinceMs: number;
  /** The last error, without the name of the backend. */
  readonly reason: string;
}

interface Waiting {
  threads: number;
  outage: Outage;
}

/** What an event changed for all threads together. */
export type OutageChange =
  | { readonly is: 'away'; readonly outage: Outage }
  | { readonly is: 'back'; readonly outage: Outage; readonly ms: number };

export class Outages {
  readonly #waiting = new Map<Side, Waiting>();
  readonly #pastMs: Record<Side, number> = { source: 0, target: 0 };

  /** A backend is away from the first thread that waits for it until the last one does no more. */
  hear(event: CopyEvent, nowMs: number): OutageChange | undefined {
    if (event.event !== 'backend') return undefined;
    const { side, name, state, reason } = event;
    const known = this.#waiting.get(side);
    if (state === 'waiting') {
      if (known) {
        known.threads += 1;
        return undefined;
      }
      const outage = { side, name, reason, sinceMs: nowMs };
      this.#waiting.set(side, { threads: 1, outage });
      return { is: 'away', outage };
    }
    if (!known) return undefined;
    known.threads -= 1;
    if (known.threads > 0) return undefined;
    this.#waiting.delete(side);
    const ms = nowMs - known.outage.sinceMs;
    this.#pastMs[side] += ms;
    return { is: 'back', outage: known.outage, ms };
  }

  /** Those that last. */
  get current(): readonly Outage[] {
    return SIDES.flatMap((side) => this.#waiting.get(side)?.outage ?? []);
  }

  threadsWaiting(side: Side): number {
    return this.#waiting.get(side)?.threads ?? 0;
  }

  /** All outages of a side so far, the present one included. */
  totalMs(side: Side, nowMs: number): number {
    const since = this.#waiting.get(side)?.outage.sinceMs;
    return this.#pastMs[side] + (since === undefined ? 0 : nowMs - since);
  }
}
