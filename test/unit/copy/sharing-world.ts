/** Threads that share shards as the coordinator has them share, all in this one: they may die at any of their reports. */
import assert from 'node:assert/strict';
import { ShardQueue } from '../../../src/coordinator/shard-queue.ts';
import { counterRows, ShardRunner } from '../../../src/coordinator/shard-runner.ts';
import type { ShardOutcome } from '../../../src/copy/run-shard.ts';
import type { Phase, Shard, ShardReply, ShardTask, WorkerReport } from '../../../src/copy/shard.ts';
import { allocateCounters, CounterReader, CounterWriter } from '../../../src/core/counters.ts';
import type { CopyWorld } from './copy-world.ts';

export interface SharingOptions {
  readonly threads: number;
  /** Each number ends the next thread at so many reports; the others live. */
  readonly deaths?: readonly number[];
  /** Whole phases as single shards, so that much is shared. */
  readonly isOneShard?: boolean;
}

export class SharingWorld {
  readonly counters: CounterReader;
  readonly outcomes: ShardOutcome[] = [];
  /** All shards that ran, as they were when they began. */
  readonly shards: Shard[] = [];
  /** What was given away, in the order it was. */
  readonly given: Shard[] = [];
  readonly #world: CopyWorld;
  readonly #options: SharingOptions;
  readonly #memory = allocateCounters(counterRows(16) + 64);
  readonly #runner: ShardRunner;
  readonly #sharers = new Map<string, () => Promise<void>>();
  readonly #deaths: number[];
  #queue: ShardQueue | undefined;

  constructor(world: CopyWorld, options: SharingOptions) {
    this.#world = world;
    this.#options = options;
    this.#deaths = [...(options.deaths ?? [])];
    this.counters = new CounterReader(this.#memory);
    this.#runner = new ShardRunner({
      pool: { isCancelled: false, run: (task) => this.#thread(task) },
      settings: world.settings(),
      counters: this.#memory,
      threads: 16,
      uploadsOf: () => [],
      onAttempt: ({ id }, attempt) => {
        if (attempt > 1) this.#queue?.interrupted(id);
      },
      onDeath: () => undefined,
      onShared: (shard, given) => {
        this.given.push(...given);
        this.#queue?.answered(shard.id, given);
      },
      warn: () => undefined,
    });
  }

  async phase(phase: Phase): Promise<void> {
    const shards = this.#options.isOneShard ? this.#whole(phase) : await this.#world.plan(phase);
    const queue = new ShardQueue(shards, (id) => this.ask(id));
    this.#queue = queue;
    await Promise.all(
      Array.from({ length: this.#options.threads }, async () => {
        for (let shard = await queue.next(); shard; shard = await queue.next()) {
          this.shards.push(shard);
          const reply = await this.#runner.run(shard);
          assert.ok(reply.ok);
          this.outcomes.push(reply.result);
          queue.ended(shard.id);
        }
      }),
    );
  }

  #whole(phase: Phase): readonly Shard[] {
    const prefixes = phase === 'blobs' ? this.#world.ctx.layout.blobPrefixes : [''];
    return prefixes.map((prefix, at) => ({ id: `${phase}-${at + 1}`, phase, range: { prefix } }));
  }

  ask(id: string): void {
    // One that has just ended does not answer any more.
    void this.#sharers.get(id)?.();
  }

  async #thread({ shard }: ShardTask): Promise<ShardReply> {
    const stop = new AbortController();
    const diesAt = this.#deaths.shift() ?? Number.POSITIVE_INFINITY;
    let reports = 0;
    const report = (one: WorkerReport): void => {
      if (stop.signal.aborted) return;
      if (one.type === 'cursor') {
        this.#runner.hear(one);
        this.#queue?.begun(one.shard);
      }
      if (one.type === 'shared' && this.#runner.hearShared(one).length === 0)
        this.#queue?.answered(one.shard, []);
      reports += 1;
      if (reports === diesAt) stop.abort(new Error('out of memory'));
    };
    const counters = new CounterWriter(this.#memory);
    const onBegin = (share: () => Promise<void>): void => {
      this.#sharers.set(shard.id, share);
    };
    const outcome = await this.#world.shard(shard, { counters, signal: stop.signal, report }, { onBegin });
    this.#sharers.delete(shard.id);
    if (stop.signal.aborted) throw new Error('worker exited with code: 9');
    if (outcome.stoppedBy !== undefined) throw outcome.stoppedBy;
    return { ok: true, result: outcome };
  }
}
