/** How many shards are planned, running, done or failed, kept from what the coordinator announces. */
import type { CopyEvent, ShardState } from '../core/events.ts';

export const SHARD_STATES: readonly ShardState[] = ['planned', 'running', 'done', 'failed'];

export class ShardBoard {
  readonly #states = new Map<string, ShardState>();
  #announced = 0;
  #split = 0;

  hear(event: CopyEvent): void {
    if (event.event === 'planned') this.#announced += event.shards;
    if (event.event === 'split') {
      this.#announced += event.into.length;
      this.#split += event.into.length;
    }
    if (event.event === 'shard') this.#states.set(event.shard, event.state);
  }

  /** Shards that others gave away while they ran. */
  get split(): number {
    return this.#split;
  }

  /** A phase announces a number of shards, a shard that is split some more; they are named one by one as they begin. */
  counts(): Readonly<Record<ShardState, number>> {
    const counts: Record<ShardState, number> = { planned: 0, running: 0, done: 0, failed: 0 };
    for (const state of this.#states.values()) counts[state] += 1;
    counts.planned += Math.max(0, this.#announced - this.#states.size);
    return counts;
  }
}
