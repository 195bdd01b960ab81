/** One thread's share of a job: opens its own ends of both storages, runs shards one after another, counts in shared memory. */
import { allocatePermits, clockOfLimit } from '../core/concurrency/permit-memory.ts';
import { CounterWriter, type Side } from '../core/counters.ts';
import { toErrorRecord } from '../core/errors.ts';
import { isRefusalOfBytes } from '../drivers/binding.ts';
import type { StorageDriver } from '../drivers/driver.ts';
import type { DriverSpec, OpenDriver } from '../drivers/spec.ts';
import { withCounters } from '../drivers/wrap/observe.ts';
import { Permits } from '../drivers/wrap/permits.ts';
import { RateLimit } from '../drivers/wrap/rate-limit.ts';
import { DEFAULT_RETRIES, RetryOwner } from '../drivers/wrap/retry.ts';
import { withPermits } from '../drivers/wrap/with-permits.ts';
import { DigestIndex } from '../layout/digests/digest-index.ts';
import { layoutNamed } from '../layout/layouts.ts';
import type { CopyContext } from './context.ts';
import { ListedMd5s } from './listed-md5s.ts';
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
import { blockBytesFor, SlabPool } from './slab-pool.ts';
import { ThreadTokens } from './thread-tokens.ts';
import { WrittenKeys } from './written-keys.ts';

const UNBOUNDED = 2 ** 30;
/** Objects beside those whose requests have places: that some wait for one shows that more could be used. */
const OBJECTS_BETWEEN = 4;

interface Engine {
  readonly jobId: string;
  readonly base: CopyContext;
  readonly cancel: AbortController;
  close(): Promise<void>;
}

export class ShardWorker {
  readonly #counters: CounterWriter;
  readonly #openDriver: OpenDriver;
  readonly #tell: (report: WorkerReport) => void;
  readonly #tokens: ThreadTokens;
  #engine: Promise<Engine> | undefined;
  /** Of what runs now. */
  #share: (() => Promise<void>) | undefined;
  readonly #cancelled: Int32Array;

  /** @param tell takes what is reported while a shard runs. */
  constructor(data: WorkerData, openDriver: OpenDriver, tell: (report: WorkerReport) => void) {
    this.#counters = new CounterWriter(data.counters);
    this.#openDriver = openDriver;
    this.#cancelled = new Int32Array(data.cancelled);
    this.#tell = tell;
    this.#tokens = new ThreadTokens(tell);
  }

  async run(task: ShardTask): Promise<ShardReply> {
    const { control, pass } = task;
    control?.on('message', (message: ControlMessage) => this.#onControl(message, pass.jobId));
    // It must not keep a finished thread alive.
    control?.unref();
    this.#tokens.begin(task.shard.id);
    try {
      return await this.#run(task);
    } finally {
      control?.close();
    }
  }

  async #run(task: ShardTask): Promise<ShardReply> {
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
        {
          onBegin: (share) => {
            this.#share = share;
          },
        },
      );
      if (stoppedBy === undefined) return { ok: true, result };
      const isCancelled = engine.cancel.signal.aborted;
      return { ok: false, result, error: toErrorRecord(stoppedBy), isCancelled };
    } finally {
      this.#share = undefined;
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
    const permits = { source: this.#permits(pass, 'source'), target: this.#permits(pass, 'target') };
    const digests = pass.digests === undefined ? undefined : await DigestIndex.open(pass.digests);
    const { source, target } = await this.#openBoth(pass, permits).catch(async (error: unknown) => {
      await digests?.close();
      throw error;
    });
    const written = pass.written && new WrittenKeys(pass.written, this.#counters.row);
    const base: CopyContext = {
      source,
      target,
      layout: layoutNamed(pass.layout),
      slabs: new SlabPool(
        pass.slabBudgetBytes,
        (delta) => this.#counters.gauge('slabBytesUsed', delta),
        blockBytesFor(pass.partBytes),
      ),
      counters: this.#counters,
      objectsNow: () =>
        Math.min(
          pass.concurrency,
          OBJECTS_BETWEEN + permits.source.places('read') + permits.target.places('write'),
        ),
      signal: cancel.signal,
      isFrozen: pass.isFrozen,
      readsTwice: pass.readsTwice,
      ownsTarget: pass.ownsTarget,
      partBytes: pass.partBytes,
      readsBack: pass.readsBack === true,
      ...(pass.serverSide ? { serverSide: new ServerSide(pass.serverSide) } : {}),
      report: this.#tell,
      uploads: new OpenUploads(),
      digests,
      listedMd5s: new ListedMd5s(),
      written,
    };
    return {
      jobId: pass.jobId,
      base,
      cancel,
      close: async () => {
        written?.close();
        await Promise.all([source.close(), target.close(), digests?.close()]);
      },
    };
  }

  /** One side that cannot be opened leaves nothing of the other one open. */
  async #openBoth(
    pass: PassSettings,
    permits: Readonly<Record<Side, Permits>>,
  ): Promise<Readonly<Record<Side, StorageDriver>>> {
    const [source, target] = await Promise.allSettled([
      this.#wrapped(pass, pass.source, 'source', permits.source),
      this.#wrapped(pass, pass.target, 'target', permits.target),
    ]);
    if (source.status === 'fulfilled' && target.status === 'fulfilled')
      return { source: source.value, target: target.value };
    for (const side of [source, target]) if (side.status === 'fulfilled') await side.value.close();
    for (const side of Object.values(permits)) side.close();
    throw source.status === 'rejected' ? source.reason : (target as PromiseRejectedResult).reason;
  }

  /** Innermost first: driver, counters, permits, retries; so that every attempt is counted and every attempt waits its turn. */
  async #wrapped(pass: PassSettings, spec: DriverSpec, side: Side, permits: Permits): Promise<StorageDriver> {
    const tokens = pass.givesTokens === true ? this.#tokens.source(side) : undefined;
    const driver = withCounters(await this.#openDriver(spec, side, tokens), side, this.#counters);
    const policy = { ...DEFAULT_RETRIES, outageMsMax: pass.outageMsMax };
    const { name } = driver;
    return new RetryOwner(withPermits(driver, permits), policy, {
      onRetry: (operation, error) => {
        this.#counters.retry(side, operation);
        if (side === 'target' && isRefusalOfBytes(error)) this.#counters.count('wrongWrites');
      },
      onBackend: (news) => this.#tell({ type: 'backend', side, name, ...news }),
      probe: driver,
    }).driver;
  }

  #permits(pass: PassSettings, side: Side): Permits {
    const { row } = this.#counters;
    const memory = pass.permits ?? allocatePermits(row + 1, UNBOUNDED);
    const limit = (what: 'requests' | 'bytes', perSecond: number | undefined): RateLimit | undefined =>
      perSecond === undefined
        ? undefined
        : new RateLimit(perSecond, { clock: clockOfLimit(memory, side, what) });
    return new Permits({
      memory,
      row,
      side,
      requests: limit('requests', pass.requestsPerSecond),
      // Bytes are counted against the limit where they come in: what goes out is the same again.
      bytes: limit('bytes', side === 'source' ? pass.bandwidthBytesPerSecond : undefined),
    });
  }

  #onControl(message: ControlMessage, jobId: string): void {
    if (message.type === 'share') {
      void this.#share?.();
      return;
    }
    if (message.type === 'token') {
      this.#tokens.hear(message);
      return;
    }
    void this.#engine?.then(
      (engine) => {
        if (engine.jobId === jobId) engine.cancel.abort();
      },
      () => undefined,
    );
  }
}
