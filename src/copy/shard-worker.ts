/** One thread's share of a job: opens its own ends of both storages, runs shards one after another, counts in shared memory. */
import { CounterWriter, type Side } from '../core/counters.ts';
import { toErrorRecord } from '../core/errors.ts';
import type { Binding, StorageDriver } from '../drivers/driver.ts';
import type { DriverSpec, OpenDriver } from '../drivers/spec.ts';
import { RateLimit, withLimits } from '../drivers/wrap/limit.ts';
import { withCounters } from '../drivers/wrap/observe.ts';
import { DEFAULT_RETRIES, RetryOwner } from '../drivers/wrap/retry.ts';
import { layoutNamed } from '../layout/layouts.ts';
import type { CopyContext } from './context.ts';
import { OpenUploads } from './open-uploads.ts';
import { runShard } from './run-shard.ts';
import { ServerSide } from './server-side.ts';
import type {
  ControlMessage,
  PassSettings,
  ShardReply,
  ShardTask,
  WorkerData,
  WorkerReport,
} from './shard.ts';
import { SlabPool } from './slab-pool.ts';

interface Engine {
  readonly jobId: string;
  readonly base: CopyContext;
  readonly cancel: AbortController;
  close(): Promise<void>;
}

export class ShardWorker {
  readonly #counters: CounterWriter;
  readonly #openDriver: OpenDriver;
  readonly #channel: BroadcastChannel;
  readonly #reports: BroadcastChannel;
  #engine: Promise<Engine> | undefined;
  readonly #cancelled: Int32Array;

  constructor(data: WorkerData, openDriver: OpenDriver) {
    this.#counters = new CounterWriter(data.counters);
    this.#openDriver = openDriver;
    this.#cancelled = new Int32Array(data.cancelled);
    this.#channel = new BroadcastChannel(data.channel);
    this.#channel.onmessage = (event) => this.#onControl((event as { data: ControlMessage }).data);
    this.#reports = new BroadcastChannel(`${data.channel}-reports`);
    // The channels must not keep a finished thread alive.
    for (const channel of [this.#channel, this.#reports]) (channel as unknown as { unref(): void }).unref();
  }

  async run(task: ShardTask): Promise<ShardReply> {
    const nothing = { exceptions: [], leftOut: [], warnings: [], extras: [] };
    let engine: Engine;
    try {
      engine = await this.#engineOf(task.pass);
    } catch (error) {
      return { ok: false, result: nothing, error: toErrorRecord(error), isCancelled: false };
    }
    this.#counters.gauge('workersBusy', 1);
    try {
      const { stoppedBy, ...result } = await runShard(
        { ...engine.base, uploads: new OpenUploads(task.uploads) },
        task.pass,
        task.shard,
      );
      if (stoppedBy === undefined) return { ok: true, result };
      const isCancelled = engine.cancel.signal.aborted;
      return { ok: false, result, error: toErrorRecord(stoppedBy), isCancelled };
    } finally {
      this.#counters.gauge('workersBusy', -1);
    }
  }

  #engineOf(pass: PassSettings): Promise<Engine> {
    const known = this.#engine;
    // A thread serves one job at a time; its drivers and slabs stay for the next shard.
    this.#engine = (async () => {
      const old = await known?.catch(() => undefined);
      if (old?.jobId === pass.jobId) return old;
      await old?.close();
      return this.#open(pass);
    })();
    return this.#engine;
  }

  async #open(pass: PassSettings): Promise<Engine> {
    const cancel = new AbortController();
    if (Atomics.load(this.#cancelled, 0) === 1) cancel.abort();
    const [source, target] = await Promise.all([
      this.#wrapped(pass, pass.source, 'source'),
      this.#wrapped(pass, pass.target, 'target'),
    ]);
    const base: CopyContext = {
      source,
      target,
      layout: layoutNamed(pass.layout),
      slabs: new SlabPool(pass.slabBudgetBytes, (delta) => this.#counters.gauge('slabBytesUsed', delta)),
      counters: this.#counters,
      signal: cancel.signal,
      isFrozen: pass.isFrozen,
      readsTwice: pass.readsTwice,
      ownsTarget: pass.ownsTarget,
      partBytes: pass.partBytes,
      readsBack: checksNothing(pass.target.binding),
      ...(pass.serverSide ? { serverSide: new ServerSide(pass.serverSide) } : {}),
      report: (report: WorkerReport) => this.#reports.postMessage(report),
      uploads: new OpenUploads(),
    };
    return {
      jobId: pass.jobId,
      base,
      cancel,
      close: async () => void (await Promise.all([source.close(), target.close()])),
    };
  }

  /** Innermost first: driver, counters, limits, retries; so that every attempt is counted and every attempt is paced. */
  async #wrapped(pass: PassSettings, spec: DriverSpec, side: Side): Promise<StorageDriver> {
    const driver = await this.#openDriver(spec, side);
    const counted = withCounters(driver, side, this.#counters);
    // Bytes are counted against the limit where they come in: what goes out is the same again.
    const bytes = side === 'source' ? pass.bandwidthBytesPerSecond : undefined;
    const limited = withLimits(counted, {
      requests: pass.requestsPerSecond === undefined ? undefined : new RateLimit(pass.requestsPerSecond),
      bytes: bytes === undefined ? undefined : new RateLimit(bytes),
    });
    const policy = { ...DEFAULT_RETRIES, outageMsMax: pass.outageMsMax };
    const { name } = driver;
    return new RetryOwner(limited, policy, {
      onRetry: (operation) => this.#counters.retry(side, operation),
      onBackend: (news) => this.#report({ type: 'backend', side, name, ...news }),
    }).driver;
  }

  #report(report: WorkerReport): void {
    this.#reports.postMessage(report);
  }

  #onControl(message: ControlMessage): void {
    void this.#engine?.then(
      (engine) => {
        if (engine.jobId === message.jobId) engine.cancel.abort();
      },
      () => undefined,
    );
  }
}

/** Only servers that can be asked have a binding; a file system's is its fsync. */
function checksNothing(binding: Binding | undefined): boolean {
  return binding !== undefined && !binding.payloadSha256 && !binding.contentMd5;
}
