/** What a running copy tells a progress display: sums from shared memory, and shards from events. */
import { type CounterReader, OBJECT_STATES } from '../core/counters.ts';
import type { CopyEvent, ShardState } from '../core/events.ts';
import { type OutageChange, Outages } from '../core/outages.ts';
import type { ProgressReading } from './progress.ts';

interface PhaseState {
  readonly name: string;
  /** Sums when the phase began. */
  readonly objectsBefore: number;
  readonly bytesBefore: number;
}

export class CopyProgress {
  readonly #now: () => number;
  readonly #outages = new Outages();
  #counters: CounterReader | undefined;
  #phase: PhaseState = { name: 'planning', objectsBefore: 0, bytesBefore: 0 };
  readonly #announced = new Map<string, number>();
  #shards = new Map<string, ShardState>();

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  useCounters(counters: CounterReader): void {
    this.#counters = counters;
  }

  /** @returns what it changed about backends that are waited for. */
  hear(event: CopyEvent): OutageChange | undefined {
    if (event.event === 'planned') this.#announced.set(event.phase, event.shards);
    if (event.event === 'split') {
      const { name } = this.#phase;
      this.#announced.set(name, (this.#announced.get(name) ?? 0) + event.into.length);
    }
    if (event.event === 'shard') this.#shards.set(event.shard, event.state);
    if (event.event === 'phase') {
      const { objects, bytes } = this.#done();
      this.#phase = { name: event.phase, objectsBefore: objects, bytesBefore: bytes };
      this.#shards = new Map();
    }
    return this.#outages.hear(event, this.#now());
  }

  read(): ProgressReading {
    const { objects, bytes } = this.#done();
    const share = this.#share();
    return {
      phase: this.#phase.name,
      objectsDone: objects,
      objectsKnown: (this.#counters?.count('listedSource') ?? 0) - (this.#counters?.count('leftOut') ?? 0),
      bytesDone: bytes,
      errors: this.#errors(),
      phaseObjects: objects - this.#phase.objectsBefore,
      phaseBytes: bytes - this.#phase.bytesBefore,
      ...(share === undefined ? {} : { share }),
      ...this.#waiting(),
    };
  }

  #waiting(): Pick<ProgressReading, 'waiting'> {
    const waiting = this.#outages.current.map(({ side, reason, sinceMs }) => {
      return { side, reason, seconds: (this.#now() - sinceMs) / 1000 };
    });
    return waiting.length === 0 ? {} : { waiting };
  }

  /** Settled in any way: what was skipped is done, too, and so is what failed. */
  #done(): { readonly objects: number; readonly bytes: number } {
    let objects = 0;
    let bytes = 0;
    for (const state of OBJECT_STATES) {
      objects += this.#counters?.objects(state) ?? 0;
      bytes += this.#counters?.bytes(state) ?? 0;
    }
    return { objects, bytes };
  }

  #errors(): number {
    const wrong = ['failed', 'damaged', 'conflict', 'unsettled'] as const;
    return wrong.reduce((sum, state) => sum + (this.#counters?.objects(state) ?? 0), 0);
  }

  /** Shards cut the key space evenly; one that is running counts half, as nothing tells how far it is. */
  #share(): number | undefined {
    let ended = 0;
    let running = 0;
    for (const state of this.#shards.values()) {
      if (state === 'done' || state === 'failed') ended += 1;
      if (state === 'running') running += 1;
    }
    const all = Math.max(this.#announced.get(this.#phase.name) ?? 0, this.#shards.size);
    return all === 0 || ended === 0 ? undefined : (ended + running / 2) / all;
  }
}
