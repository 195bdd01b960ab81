/** The thread pool: one shard at a time per thread. */
import { flushCompileCache } from 'node:module';
import { setImmediate as turn } from 'node:timers/promises';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type { ControlMessage, ShardReply, ShardTask, WorkerData, WorkerReport } from '../copy/shard.ts';
import type { TokenAnswer } from '../copy/thread-tokens.ts';
import type { CounterMemory } from '../core/counters.ts';

/** After this the run answers Ctrl-C even if a thread does not: 3 s are promised. */
const CANCEL_PATIENCE_MS = 2_500;

export interface PoolOptions {
  readonly threads: number;
  readonly workerUrl: URL;
  readonly counters: CounterMemory;
  /** What threads tell while they run a shard. */
  readonly onReport: (report: WorkerReport) => void;
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
  /** By shard: how to reach the thread that runs it. */
  readonly #controls = new Map<string, MessagePort>();
  /** Rejects once no thread can be had any more. */
  readonly #broken = Promise.withResolvers<never>();
  readonly #cancelled = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  #timer: NodeJS.Timeout | undefined;

  constructor(options: PoolOptions) {
    const workerData: WorkerData = { counters: options.counters, cancelled: this.#cancelled.buffer };
    this.#broken.promise.catch(() => undefined);
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
      resourceLimits: { maxYoungGenerationSizeMb: 6, maxOldGenerationSizeMb: 32 },
    });
    // A thread that breaks without a task, while it starts or between two, is told here. Piscina does not replace one
    // that broke while it started, so a task that waits when none is left would wait for ever.
    // No BroadcastChannel: its first message loads all of undici, 16 MiB and 0.04 s of CPU in every thread.
    this.#pool.on('message', (report: WorkerReport) => options.onReport(report));
    let last: unknown = new Error('Its threads ended while they started');
    this.#pool.on('error', (error) => {
      last = error;
    });
    this.#pool.on('workerDestroy', () => {
      setImmediate(() => {
        if (this.#pool.threads.length === 0 && this.#pool.queueSize > 0) this.#broken.reject(last);
      });
    });
  }

  get isCancelled(): boolean {
    return Atomics.load(this.#cancelled, 0) === 1;
  }

  /** Rejects where the thread itself is gone; what it had reported until then has been told. */
  async run(task: ShardTask): Promise<ShardReply> {
    const { port1: control, port2 } = new MessageChannel();
    this.#controls.set(task.shard.id, control);
    try {
      // Piscina's type of it is that of a newer `postMessage`; it takes a list and nothing else.
      const transferList: object = [port2];
      const reply: Promise<ShardReply> = this.#pool.run(
        { ...task, control: port2 },
        { name: 'copyShard', transferList },
      );
      return await Promise.race([reply, this.#broken.promise]);
    } catch (error) {
      await this.#reportsHeard();
      throw error;
    } finally {
      this.#controls.delete(task.shard.id);
      control.close();
    }
  }

  /** Whoever runs this shard is to give some of it away; it answers with a report. */
  share(shard: string): void {
    this.#controls.get(shard)?.postMessage({ type: 'share' } satisfies ControlMessage);
  }

  /** To the thread that runs this shard; another one that has begun it anew asks again. */
  answer(shard: string, answer: TokenAnswer): void {
    this.#controls.get(shard)?.postMessage(answer satisfies ControlMessage);
  }

  /** Threads stop their requests and answer; one that does not is ended. */
  cancel(): void {
    if (Atomics.exchange(this.#cancelled, 0, 1) === 1) return;
    for (const control of this.#controls.values())
      control.postMessage({ type: 'cancel' } satisfies ControlMessage);
    this.#timer = setTimeout(() => void this.#pool.destroy(), CANCEL_PATIENCE_MS);
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#pool.destroy();
    await this.#reportsHeard();
  }

  /** A message lies in our queue before its thread can end; it is read within a turn of the event loop. */
  async #reportsHeard(): Promise<void> {
    await turn();
    await turn();
  }
}
