import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { setImmediate as settled } from 'node:timers/promises';
import { MessageChannel } from 'node:worker_threads';
import type { ControlMessage, PassSettings, Shard, ShardTask, WorkerReport } from '../../src/copy/shard.ts';
import { ShardWorker } from '../../src/copy/shard-worker.ts';
import { allocateCounters, CounterReader } from '../../src/core/counters.ts';
import { ConfigError } from '../../src/core/errors.ts';
import type { Binding } from '../../src/drivers/driver.ts';
import { openMemoryDriver } from '../../src/drivers/memory/memory-driver.ts';
import { forgetStore, type MemoryStore, storeNamed } from '../../src/drivers/memory/memory-store.ts';
import type { DriverSpec, OpenDriver } from '../../src/drivers/spec.ts';
import { type Fault, FaultDriver, fails, Gate, hangs } from '../support/fault-driver.ts';
import { blobPath } from '../unit/copy/registry-names.ts';

const BLOBS: Shard = { id: 'blobs-1', phase: 'blobs', range: { prefix: 'docker/registry/v2/blobs/' } };
const BLOB = blobPath('a blob');

interface Bench {
  readonly source: MemoryStore;
  readonly target: MemoryStore;
  readonly worker: ShardWorker;
  readonly counters: CounterReader;
  readonly opened: (readonly [DriverSpec, string])[];
  readonly closed: string[];
  readonly drivers: FaultDriver[];
  /** What it reported. */
  readonly told: WorkerReport[];
  /** The cell that tells a thread what it may have missed. */
  readonly cancelled: SharedArrayBuffer;
  task(settings?: Partial<PassSettings>): ShardTask;
}

interface BenchOptions {
  readonly sourceFaults?: readonly Fault[];
  readonly targetFaults?: readonly Fault[];
  readonly open?: OpenDriver;
}

function benchFor(test: TestContext, options: BenchOptions = {}): Bench {
  const names = { source: `source-${randomUUID()}`, target: `target-${randomUUID()}` };
  test.after(() => {
    for (const name of Object.values(names)) forgetStore(name);
  });
  const memory = allocateCounters(1);
  const told: WorkerReport[] = [];
  const cancelled = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const opened: (readonly [DriverSpec, string])[] = [];
  const closed: string[] = [];
  const drivers: FaultDriver[] = [];
  const open: OpenDriver = async (spec, role) => {
    opened.push([spec, role]);
    assert.ok(spec.storage.kind === 'memory');
    const faults = role === 'source' ? options.sourceFaults : options.targetFaults;
    const driver = new FaultDriver(openMemoryDriver(spec.storage), faults);
    driver.close = async () => void closed.push(role);
    drivers.push(driver);
    return driver;
  };
  const pass: PassSettings = {
    jobId: 'job 1',
    source: { storage: { kind: 'memory', name: names.source }, engine: 'direct' },
    target: { storage: { kind: 'memory', name: names.target }, engine: 'direct' },
    sourcePrefix: '',
    targetPrefix: '',
    layout: 'distribution',
    isFrozen: true,
    readsTwice: false,
    ownsTarget: true,
    concurrency: 4,
    partBytes: 4096,
    slabBudgetBytes: 16_384,
    outageMsMax: 60_000,
  };
  return {
    source: storeNamed(names.source),
    target: storeNamed(names.target),
    worker: new ShardWorker({ counters: memory, cancelled }, options.open ?? open, (report) =>
      told.push(report),
    ),
    counters: new CounterReader(memory),
    opened,
    closed,
    drivers,
    told,
    cancelled,
    task: (settings = {}) => ({ pass: { ...pass, ...settings }, shard: BLOBS, uploads: [] }),
  };
}

const CANCEL: ControlMessage = { type: 'cancel' };

describe('ShardWorker', () => {
  it('opens both ends once for all shards of a job, and anew for another job', async (t) => {
    const bench = benchFor(t);
    bench.source.put(BLOB, Buffer.from('a blob'), undefined);
    for (let round = 0; round < 3; round += 1) {
      assert.deepEqual(await bench.worker.run(bench.task()), {
        ok: true,
        result: { exceptions: [], leftOut: [], warnings: [], extras: [] },
      });
    }
    assert.equal(bench.opened.length, 2);
    assert.equal(bench.counters.objects('copied'), 1);
    assert.equal(bench.counters.objects('skipped'), 2);

    await bench.worker.run(bench.task({ jobId: 'job 2' }));
    assert.equal(bench.opened.length, 4);
    assert.deepEqual([...bench.closed].sort(), ['source', 'target']);
    assert.equal(bench.counters.gauge('workersBusy'), 0);
  });

  it('counts each attempt of a request, and repeats what may pass', async (t) => {
    const once: Fault = { on: 'read', does: fails('unavailable', { isTransient: true }) };
    const bench = benchFor(t, { sourceFaults: [once] });
    bench.source.put(BLOB, Buffer.from('a blob'), undefined);
    assert.equal((await bench.worker.run(bench.task())).ok, true);
    assert.equal(bench.counters.objects('copied'), 1);
    assert.equal(bench.counters.retries('source', 'read'), 1);
    assert.equal(bench.counters.requests('source', 'read', 'ok'), 1);
    assert.equal(bench.counters.requests('source', 'read', 'network'), 1);
    assert.equal(bench.counters.requests('target', 'write', 'ok'), 1);
  });

  it('tells when a backend stops answering and when it is back, and loses nothing by it', async (t) => {
    const silent = fails('unavailable', { isTransient: true });
    const bench = benchFor(t, {
      sourceFaults: [
        { on: 'read', times: 4, does: silent },
        { on: 'stat', does: silent },
      ],
    });
    const texts = ['one', 'two', 'three', 'four'];
    for (const text of texts) bench.source.put(blobPath(text), Buffer.from(text), undefined);
    const reply = await bench.worker.run(bench.task());
    assert.ok(reply.ok);
    assert.deepEqual(reply.result.exceptions, []);
    assert.equal(bench.counters.objects('copied'), texts.length);
    const reports = bench.told.filter(({ type }) => type === 'backend');
    assert.equal(reports.length, 2);
    const { name } = bench.drivers[0] ?? {};
    for (const [index, state] of ['waiting', 'back'].entries()) {
      assert.partialDeepStrictEqual(reports[index], { type: 'backend', side: 'source', name, state });
    }
    bench.drivers[0]?.assertUsedUp();
  });

  it('ends with what is wrong once a backend has been away for too long', async (t) => {
    const silent = fails('unavailable', { isTransient: true });
    const bench = benchFor(t, {
      sourceFaults: [
        { on: 'read', times: 'always', does: silent },
        { on: 'stat', times: 'always', does: silent },
      ],
    });
    for (const text of ['one', 'two', 'three', 'four']) {
      bench.source.put(blobPath(text), Buffer.from(text), undefined);
    }
    const reply = await bench.worker.run(bench.task({ outageMsMax: 400 }));
    assert.ok(!reply.ok);
    assert.equal(reply.isCancelled, false);
    assert.equal(reply.error.storage?.scope, 'backend');
    assert.match(reply.error.message, /has not answered since/);
    assert.deepEqual(reply.result.exceptions, []);
  });

  it('answers, and does not reject, when a storage cannot be opened, and tries again for the next shard', async (t) => {
    let attempts = 0;
    const bench = benchFor(t, {
      open: async ({ storage }) => {
        attempts += 1;
        if (attempts <= 2) throw new ConfigError('There are no credentials', { hint: 'give some' });
        assert.ok(storage.kind === 'memory');
        return openMemoryDriver(storage);
      },
    });
    const reply = await bench.worker.run(bench.task());
    assert.ok(!reply.ok);
    assert.deepEqual(reply.error, {
      name: 'ConfigError',
      message: 'There are no credentials',
      hint: 'give some',
    });
    assert.equal(reply.isCancelled, false);
    assert.equal((await bench.worker.run(bench.task())).ok, true);
  });

  for (const broken of ['source', 'target'] as const) {
    it(`leaves nothing open where the ${broken} cannot be opened`, async (t) => {
      const closed: string[] = [];
      const bench = benchFor(t, {
        open: async ({ storage }, role) => {
          if (role === broken) throw new ConfigError('There are no credentials');
          assert.ok(storage.kind === 'memory');
          const driver = openMemoryDriver(storage);
          driver.close = async () => void closed.push(role);
          return driver;
        },
      });
      assert.equal((await bench.worker.run(bench.task())).ok, false);
      assert.deepEqual(closed, [broken === 'source' ? 'target' : 'source']);
    });
  }

  it('answers with what ended a shard early, as a record that survives the way to another thread', async (t) => {
    const full: Fault = { on: 'write', does: fails('no-space', { scope: 'backend' }) };
    const bench = benchFor(t, { targetFaults: [full] });
    bench.source.put(BLOB, Buffer.from('a blob'), undefined);
    const reply = await bench.worker.run(bench.task());
    assert.ok(!reply.ok);
    assert.equal(reply.error.storage?.kind, 'no-space');
    assert.equal(reply.isCancelled, false);
    assert.deepEqual(structuredClone(reply), reply);
    assert.equal(bench.counters.gauge('workersBusy'), 0);
  });

  it('tells how far it is', async (t) => {
    const bench = benchFor(t);
    bench.source.put(BLOB, Buffer.from('a blob'), undefined);
    assert.equal((await bench.worker.run(bench.task())).ok, true);
    const [start] = bench.told;
    assert.ok(start?.type === 'cursor');
    const { values, ...rest } = start;
    assert.deepEqual(rest, { type: 'cursor', shard: 'blobs-1', row: 0 });
    assert.ok(values instanceof Float64Array);
  });

  it('stops when its job is cancelled, and says that it was', async (t) => {
    const { promise: isReading, resolve } = Promise.withResolvers<void>();
    const bench = benchFor(t, { sourceFaults: [{ on: 'read', does: hangs(resolve) }] });
    bench.source.put(BLOB, Buffer.from('a blob'), undefined);
    const { port1, port2 } = new MessageChannel();
    const running = bench.worker.run({ ...bench.task(), control: port2 });
    await isReading;
    port1.postMessage(CANCEL);
    const reply = await running;
    assert.ok(!reply.ok);
    assert.equal(reply.isCancelled, true);
    assert.deepEqual(reply.result.exceptions, []);
    assert.equal(bench.target.get(BLOB), undefined);
  });

  it('hears nothing more of a shard that is over, while the next one runs', async (t) => {
    const gate = new Gate();
    const bench = benchFor(t, { sourceFaults: [{ on: 'read', does: gate.effect }] });
    const before = new MessageChannel();
    assert.equal((await bench.worker.run({ ...bench.task(), control: before.port2 })).ok, true);
    bench.source.put(BLOB, Buffer.from('a blob'), undefined);
    const running = bench.worker.run(bench.task());
    await gate.reached;
    before.port1.postMessage(CANCEL);
    // A port that still listened would have heard it after that.
    for (let turn = 0; turn < 3; turn += 1) await settled();
    gate.open();
    assert.equal((await running).ok, true);
    assert.ok(bench.target.get(BLOB));
  });

  it('begins nothing for a job that was cancelled before its first shard came', async (t) => {
    const bench = benchFor(t);
    bench.source.put(BLOB, Buffer.from('a blob'), undefined);
    // The message itself came before this thread could hear it.
    Atomics.store(new Int32Array(bench.cancelled), 0, 1);
    const reply = await bench.worker.run(bench.task());
    assert.ok(!reply.ok && reply.isCancelled);
    assert.equal(bench.target.get(BLOB), undefined);
  });

  it('reads back exactly where it is told to, whatever the target was seen to check', async (t) => {
    const nothing: Binding = {
      payloadSha256: false,
      contentMd5: false,
      partCrc32: false,
      objectCrc32: false,
      storesSha256: false,
    };
    for (const [binding, readsBack] of [
      [undefined, false],
      [undefined, true],
      [nothing, true],
      [{ ...nothing, contentMd5: true }, false],
      [{ ...nothing, payloadSha256: true }, true],
    ] as const) {
      const bench = benchFor(t);
      bench.source.put(BLOB, Buffer.from('a blob'), undefined);
      const { pass } = bench.task();
      const target: DriverSpec = { ...pass.target, ...(binding ? { binding } : {}) };
      assert.equal((await bench.worker.run(bench.task({ target, readsBack }))).ok, true);
      assert.equal(bench.drivers[1]?.callsOf('read').length, readsBack ? 1 : 0, JSON.stringify(binding));
      assert.deepEqual(bench.opened[1]?.[0], target);
    }
  });
});
