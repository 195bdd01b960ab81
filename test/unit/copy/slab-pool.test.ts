import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as settled } from 'node:timers/promises';
import fc from 'fast-check';
import { blockBytesFor, type Slab, SlabPool } from '../../../src/copy/slab-pool.ts';
import { VirtualClock } from './virtual-clock.ts';

const BLOCK = 4096;
const never = new AbortController().signal;

interface Part {
  readonly sizeBytes: number;
  readonly readTicks: number;
  readonly sendTicks: number;
}

interface ObjectPlan {
  readonly parts: readonly Part[];
  readonly startTick: number;
  readonly abortTick: number | undefined;
}

/** Objects that use a pool as copying does, watched from outside. */
class Watched {
  readonly pool: SlabPool;
  readonly clock = new VirtualClock();
  readonly #live = new Map<Slab, number>();
  /** Requests in the order they were made; a granted one must be the first that still waits. */
  readonly #asked: number[] = [];
  #requests = 0;
  used = 0;
  usedMax = 0;
  finished = 0;

  constructor(budgetBytes: number) {
    this.pool = new SlabPool(budgetBytes, (delta) => {
      this.used += delta;
      this.usedMax = Math.max(this.usedMax, this.used);
    });
  }

  /** Parts are asked for in order, read side by side, hashed in order, sent, given back. */
  async object(plan: ObjectPlan): Promise<void> {
    const abort = new AbortController();
    const { abortTick } = plan;
    await this.clock.sleep(plan.startTick);
    if (abortTick !== undefined) void this.clock.sleep(abortTick).then(() => abort.abort('enough'));
    let hashed: Promise<unknown> = Promise.resolve();
    const sends: Promise<void>[] = [];
    for (const part of plan.parts) {
      const slab = await this.#acquire(part.sizeBytes, abort.signal);
      if (slab === undefined) break;
      hashed = Promise.all([hashed, this.clock.sleep(part.readTicks)]);
      sends.push(this.#send(slab, hashed, part.sendTicks));
    }
    await Promise.all(sends);
    this.finished += 1;
  }

  async #acquire(sizeBytes: number, signal: AbortSignal): Promise<Slab | undefined> {
    const request = this.#requests++;
    this.#asked.push(request);
    try {
      const slab = await this.pool.acquire(sizeBytes, signal);
      assert.equal(this.#asked.shift(), request, 'a later request was granted before an earlier one');
      this.#checkNew(slab, sizeBytes);
      slab.bytes.fill(request % 251);
      this.#live.set(slab, request);
      return slab;
    } catch (error) {
      if (error !== 'enough') throw error;
      this.#asked.splice(this.#asked.indexOf(request), 1);
      return undefined;
    }
  }

  #checkNew(slab: Slab, sizeBytes: number): void {
    assert.equal(slab.bytes.byteLength, sizeBytes);
    const from = slab.bytes.byteOffset;
    for (const other of this.#live.keys()) {
      const otherFrom = other.bytes.byteOffset;
      const isApart =
        from + sizeBytes <= otherFrom || otherFrom + other.bytes.byteLength <= from || sizeBytes === 0;
      assert.ok(isApart, `${from}+${sizeBytes} lies in ${otherFrom}+${other.bytes.byteLength}`);
    }
    assert.equal(this.pool.usedBytes, this.used);
    assert.ok(this.used <= this.pool.budgetBytes, `${this.used} of ${this.pool.budgetBytes} in use`);
  }

  async #send(slab: Slab, hashed: Promise<unknown>, ticks: number): Promise<void> {
    await hashed;
    await this.clock.sleep(ticks);
    const mark = (this.#live.get(slab) ?? -1) % 251;
    assert.ok(
      slab.bytes.every((byte) => byte === mark),
      'someone else wrote into a live slab',
    );
    this.#live.delete(slab);
    slab.release();
  }
}

/** Resolves without time passing, or the promise still waits. */
async function isWaiting(promise: Promise<unknown>): Promise<boolean> {
  let isSettled = false;
  void promise.then(
    () => {
      isSettled = true;
    },
    () => {
      isSettled = true;
    },
  );
  await settled();
  return !isSettled;
}

function objectPlans(sizeBytesMax: number, canAbort: boolean): fc.Arbitrary<readonly ObjectPlan[]> {
  const part = fc.record({
    sizeBytes: fc.integer({ min: 0, max: sizeBytesMax }),
    readTicks: fc.integer({ min: 0, max: 5 }),
    sendTicks: fc.integer({ min: 0, max: 20 }),
  });
  const object = fc.record({
    parts: fc.array(part, { minLength: 1, maxLength: 6 }),
    startTick: fc.integer({ min: 0, max: 10 }),
    abortTick: canAbort
      ? fc.option(fc.integer({ min: 0, max: 25 }), { nil: undefined })
      : fc.constant(undefined),
  });
  return fc.array(object, { minLength: 1, maxLength: 12 });
}

async function runAll(budgetBytes: number, plans: readonly ObjectPlan[]): Promise<Watched> {
  const watched = new Watched(budgetBytes);
  const failures: unknown[] = [];
  for (const plan of plans) watched.object(plan).catch((error: unknown) => failures.push(error));
  await watched.clock.run();
  if (failures.length > 0) throw failures[0];
  assert.equal(watched.finished, plans.length, 'deadlock: some objects wait and nothing moves');
  assert.equal(watched.used, 0);
  assert.equal(watched.pool.usedBytes, 0);
  // Memory that came back in pieces is one piece again.
  const largest = watched.pool.acquire(watched.pool.slabBytesMax, never);
  assert.equal(await isWaiting(largest), false, 'the largest slab cannot be had though nothing is in use');
  return watched;
}

describe('SlabPool', () => {
  it('never deadlocks, overlaps or exceeds its budget with room for two of the largest slabs', async () => {
    await fc.assert(
      fc.asyncProperty(objectPlans(4 * BLOCK, false), async (plans) => {
        const watched = await runAll(2 * 4 * BLOCK, plans);
        assert.ok(watched.usedMax > 0);
      }),
      { numRuns: 300 },
    );
  });

  it('keeps the same promises for odd budgets and for requests that are given up', async () => {
    const cases = fc
      .integer({ min: BLOCK, max: 40 * BLOCK })
      .chain((budget) => fc.tuple(fc.constant(budget), objectPlans(slabBytesMaxOf(budget), true)));
    await fc.assert(
      fc.asyncProperty(cases, async ([budget, plans]) => {
        const watched = await runAll(budget, plans);
        assert.ok(watched.usedMax <= budget);
      }),
      { numRuns: 300 },
    );
  });

  it('holds as many parts as its budget has room for, whatever their size is', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 * 1024 ** 2 }),
        fc.integer({ min: 1, max: 5 }),
        (partBytes, parts) => {
          const blockBytes = blockBytesFor(partBytes);
          // The smallest block has at least 2 KiB and is rounded up to 64 bytes: 3 % at most.
          const eachBytes = Math.max(BLOCK, Math.ceil(partBytes * 1.04));
          const pool = new SlabPool(parts * eachBytes, () => undefined, blockBytes);
          for (let part = 0; part < parts; part += 1) {
            assert.ok(pool.acquireNow(partBytes, never), `part ${part + 1} of ${parts} has no slab`);
          }
        },
      ),
    );
  });

  it('refuses a slab that could never be granted, at once and with both sizes', async () => {
    const pool = new SlabPool(3 * BLOCK);
    assert.equal(pool.slabBytesMax, 2 * BLOCK);
    await assert.rejects(pool.acquire(2 * BLOCK + 1, never), {
      name: 'RangeError',
      message: 'A slab of 8193 bytes is over the limit of 8192',
    });
    assert.equal(pool.usedBytes, 0);
  });

  it('is not made with a budget that holds no slab: every request would wait for ever', () => {
    for (const budget of [0, BLOCK - 1, -BLOCK, Number.NaN]) {
      assert.throws(() => new SlabPool(budget), { name: 'RangeError', message: /holds no slab/ });
    }
    assert.equal(new SlabPool(BLOCK).slabBytesMax, BLOCK);
  });

  it('lets no small request overtake a large one that waits', async () => {
    const pool = new SlabPool(4 * BLOCK);
    const first = await pool.acquire(1, never);
    const large = pool.acquire(4 * BLOCK, never);
    const small = pool.acquire(1, never);
    assert.equal(await isWaiting(large), true);
    assert.equal(await isWaiting(small), true, 'the small one overtook the large one');
    assert.equal(pool.acquireNow(1, never), undefined, 'one that does not wait overtook both');
    first.release();
    (await large).release();
    (await small).release();
    assert.equal(pool.usedBytes, 0);
  });

  it('rejects with the reason of the signal while waiting, and lets the next ones go on', async () => {
    const pool = new SlabPool(2 * BLOCK);
    const first = await pool.acquire(BLOCK, never);
    const abort = new AbortController();
    const large = pool.acquire(2 * BLOCK, abort.signal);
    const small = pool.acquire(BLOCK, never);
    const rejected = assert.rejects(large, /no longer wanted/);
    abort.abort(new Error('no longer wanted'));
    await rejected;
    (await small).release();
    first.release();
    assert.equal(pool.usedBytes, 0);
  });

  it('grants nothing to a signal that is aborted already', async () => {
    const pool = new SlabPool(2 * BLOCK);
    const aborted = AbortSignal.abort(new Error('too late'));
    await assert.rejects(pool.acquire(1, aborted), /too late/);
    assert.equal(pool.acquireNow(1, aborted), undefined);
    assert.equal(pool.usedBytes, 0);
  });

  it('keeps no listener on a signal once its request is settled', async () => {
    const pool = new SlabPool(BLOCK);
    const signal = new CountingSignal();
    const first = await pool.acquire(1, signal.signal);
    const second = pool.acquire(1, signal.signal);
    assert.equal(signal.listeners, 1);
    first.release();
    (await second).release();
    assert.equal(signal.listeners, 0);
  });

  it('gives at once what is free, and leaves it to a waiting request to be refused', async () => {
    const pool = new SlabPool(2 * BLOCK);
    assert.equal(pool.acquireNow(2 * BLOCK + 1, never), undefined);
    const slab = pool.acquireNow(BLOCK + 1, never);
    assert.equal(slab?.bytes.length, BLOCK + 1);
    assert.equal(pool.usedBytes, 2 * BLOCK);
    assert.equal(pool.acquireNow(1, never), undefined);
    const next = pool.acquire(1, never);
    slab?.release();
    (await next).release();
    assert.equal(pool.usedBytes, 0);
  });

  it('says so when a slab is given back twice', async () => {
    const pool = new SlabPool(BLOCK);
    const slab = await pool.acquire(10, never);
    slab.release();
    assert.throws(() => slab.release(), /released twice/);
    assert.equal(pool.usedBytes, 0);
  });
});

function slabBytesMaxOf(budget: number): number {
  return new SlabPool(budget).slabBytesMax;
}

class CountingSignal {
  readonly signal = new AbortController().signal;
  listeners = 0;

  constructor() {
    const { signal } = this;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      this.listeners += 1;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      this.listeners -= 1;
      remove(...args);
    };
  }
}
