/**
 * Runs shards on threads that may die: another thread goes on from where the dead one had reported to be, with what the
 * dead one had not given away.
 */
import type { PassSettings, Shard, ShardReply, ShardTask, WorkerReport } from '../copy/shard.ts';
import { type CounterMemory, restoreRow } from '../core/counters.ts';
import { BlobferryError } from '../core/errors.ts';
import type { Upload } from '../drivers/driver.ts';
import { SharedShards } from './shared-shards.ts';

const DEATHS_PER_SHARD_MAX = 3;

/** In all shards of a run. */
function deathsMax(threads: number): number {
  return 2 * threads + 4;
}

/** One row of counters for each thread there may ever be, so that none gets that of a living one. */
export function counterRows(threads: number): number {
  const own = 1;
  // Those of the beginning, their replacements, and what the pool starts while it is being taken down.
  return own + threads + deathsMax(threads) + threads;
}

type CursorReport = Extract<WorkerReport, { readonly type: 'cursor' }>;
type SharedReport = Extract<WorkerReport, { readonly type: 'shared' }>;

export interface ShardRunnerParts {
  readonly pool: { readonly isCancelled: boolean; run(task: ShardTask): Promise<ShardReply> };
  readonly settings: PassSettings;
  readonly counters: CounterMemory;
  readonly threads: number;
  readonly uploadsOf: (shard: Shard) => readonly Upload[];
  readonly onAttempt: (shard: Shard, attempt: number) => void;
  readonly onDeath: () => void;
  /** A shard gave these away. `shard`: what it still is. */
  readonly onShared: (shard: Shard, given: readonly Shard[]) => void;
  readonly warn: (message: string) => void;
}

export class ShardRunner {
  readonly #parts: ShardRunnerParts;
  /** First and last report of the shards that run. */
  readonly #cursors = new Map<string, { readonly first: CursorReport; last: CursorReport }>();
  readonly #shards = new SharedShards();
  #deaths = 0;

  constructor(parts: ShardRunnerParts) {
    this.#parts = parts;
  }

  /** What a dead thread had written and not yet flushed is met as equal by the next one, and flushed by nobody. */
  get hasLostThreads(): boolean {
    return this.#deaths > 0;
  }

  hear(report: CursorReport): void {
    const known = this.#cursors.get(report.shard);
    if (known) known.last = report;
    else this.#cursors.set(report.shard, { first: report, last: report });
  }

  /** @returns what was given away and had not been heard of. */
  hearShared({ shard: id, given }: SharedReport): readonly Shard[] {
    const shards = this.#shards.give(id, given);
    const rest = this.#shards.rest(id);
    if (rest && shards.length > 0) this.#parts.onShared(rest, shards);
    return shards;
  }

  /** @throws BlobferryError where threads die again and again, and what the pool says where the run was cancelled. */
  async run(shard: Shard): Promise<ShardReply> {
    const { pool, settings, uploadsOf, onAttempt } = this.#parts;
    this.#shards.begin(shard);
    try {
      for (let attempt = 1; ; attempt += 1) {
        onAttempt(shard, attempt);
        try {
          const rest = this.#shards.rest(shard.id) ?? shard;
          const pass = this.#shards.hasLost(shard.id) ? doubting(settings) : settings;
          const reply = await pool.run({ pass, shard: rest, uploads: uploadsOf(rest) });
          // Its reply may have come another, faster way than what it had told before.
          const given = reply.result.givenAway;
          if (given) this.hearShared({ type: 'shared', shard: shard.id, given });
          return reply;
        } catch (error) {
          if (pool.isCancelled) throw error;
          this.#afterDeath(shard.id, attempt, error);
        } finally {
          this.#cursors.delete(shard.id);
        }
      }
    } finally {
      this.#shards.end(shard.id);
    }
  }

  #afterDeath(id: string, deaths: number, error: unknown): void {
    const { settings, counters, threads, onDeath, warn } = this.#parts;
    onDeath();
    const reached = this.#cursors.get(id);
    // What only the target has was in the dead thread's memory: then the shard begins again.
    const cursor = settings.extrasMax === undefined ? reached?.last : reached?.first;
    if (cursor) restoreRow(counters, cursor.row, cursor.values);
    this.#deaths += 1;
    const why = whyItDied(error);
    if (deaths >= DEATHS_PER_SHARD_MAX || this.#deaths > deathsMax(threads)) {
      const where = deaths >= DEATHS_PER_SHARD_MAX ? `in shard ${id}` : 'in this run';
      const count = deaths >= DEATHS_PER_SHARD_MAX ? deaths : this.#deaths;
      throw new BlobferryError(`${count} worker threads died ${where}, the last one because it ${why}`, {
        cause: error,
        hint: 'Run again with a lower --concurrency or fewer --threads; it copies only what is missing',
      });
    }
    this.#shards.lost(id, cursor?.after);
    const after = this.#shards.rest(id)?.range.after;
    warn(
      `A worker thread died because it ${why}; another goes on with shard ${id}${after === undefined ? '' : ` behind "${after}"`}`,
    );
  }
}

function whyItDied(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ERR_WORKER_OUT_OF_MEMORY') return 'ran out of memory';
  const exited = /^worker exited with code: (\d+)$/.exec(String(message));
  return exited ? `ended with code ${exited[1]}` : `broke: ${message}`;
}

/** What a dead thread may have written is looked at by whoever comes to it. */
function doubting(settings: PassSettings): PassSettings {
  return { ...settings, doubtsTarget: settings.readsBack === true, doubtsCopies: true };
}
