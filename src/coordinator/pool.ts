/** The thread pool: one shard at a time per thread. */
import { flushCompileCache } from 'node:module';
import { Piscina } from 'piscina';
import type { ControlMessage, ShardReply, ShardTask, WorkerData } from '../copy/shard.ts';
import type { CounterMemory } from '../core/counters.ts';

/** After this the run answers Ctrl-C even if a thread does not: 3 s are promised. */
const CANCEL_PATIENCE_MS = 2_500;

export interface PoolOptions {
  readonly threads: number;
  readonly workerUrl: URL;
  readonly counters: CounterMemory;
  /** Names the control channel of this process's job. */
  readonly jobId: string;
}

/**
 * Loads what the threads will load and writes the compile cache, so that each of them finds it there instead of
 * stripping types by itself: about 40 MB and 0.2 s of CPU per thread on a first run.
 */
export async function warmThreadModules(workerUrl: URL): Promise<void> {
  await import(workerUrl.href);
  flushCompileCache();
}

export class ShardPool {
  readonly #pool: Piscina;
  readonly #channel: BroadcastChannel;
  readonly #jobId: string;
  readonly #cancelled = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  #timer: NodeJS.Timeout | undefined;

  constructor(options: PoolOptions) {
    const channel = `blobferry-${options.jobId}`;
    const workerData: WorkerData = {
      counters: options.counters,
      channel,
      cancelled: this.#cancelled.buffer,
    };
    this.#jobId = options.jobId;
    this.#channel = new BroadcastChannel(channel);
    this.#pool = new Piscina({
      filename: options.workerUrl.href,
      workerData,
      minThreads: options.threads,
      maxThreads: options.threads,
      idleTimeout: Number.POSITIVE_INFINITY,
      maxQueue: options.threads,
      concurrentTasksPerWorker: 1,
      // Piscina's default parks an idle thread in Atomics.wait, which stops its sockets and timers.
      atomics: 'disabled',
      recordTiming: false,
      // The bytes in flight live outside the heap; small young generations keep the resident set flat.
      resourceLimits: { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 48 },
    });
  }

  run(task: ShardTask): Promise<ShardReply> {
    return this.#pool.run(task, { name: 'copyShard' });
  }

  /** Threads stop their requests and answer; one that does not is ended. */
  cancel(): void {
    if (Atomics.exchange(this.#cancelled, 0, 1) === 1) return;
    const message: ControlMessage = { type: 'cancel', jobId: this.#jobId };
    this.#channel.postMessage(message);
    this.#timer = setTimeout(() => void this.#pool.destroy(), CANCEL_PATIENCE_MS);
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#channel.close();
    await this.#pool.destroy();
  }
}
