import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import {
  allocateCounters,
  CLASSES,
  CounterReader,
  CounterWriter,
  GAUGES,
  LATENCY_BUCKETS,
  OBJECT_STATES,
  OPERATIONS,
  OUTCOMES,
  restoreRow,
  SIDES,
} from '../../../src/core/counters.ts';

const COUNTERS = new URL('../../../src/core/counters.ts', import.meta.url).href;
const THREADS = 4;
const ROUNDS = 50_000;

/** Counts the same things as fast as it can, and waits for the others so that all count at once. */
const WRITER = `
  import { workerData } from 'node:worker_threads';
  const { CounterWriter } = await import(workerData.module);
  const { memory, gate, threads, rounds } = workerData;
  const counters = new CounterWriter(memory);
  const arrived = new Int32Array(gate);
  if (Atomics.add(arrived, 0, 1) === threads - 1) Atomics.notify(arrived, 0);
  else while (Atomics.load(arrived, 0) < threads) Atomics.wait(arrived, 0, Atomics.load(arrived, 0), 50);
  for (let round = 0; round < rounds; round += 1) {
    counters.object('copied', 'blob', 3);
    counters.request('source', 'read', 'ok', 0.003);
    counters.wire('target', 1_000_000);
    counters.gauge('objectsInFlight', 1);
    counters.gauge('objectsInFlight', -1);
    counters.count('unproved');
    counters.retry('target', 'part');
  }
`;

describe('Counters of several threads', () => {
  it('add up to what all threads counted', async () => {
    const memory = allocateCounters(THREADS);
    const gate = new SharedArrayBuffer(4);
    const data = { module: COUNTERS, memory, gate, threads: THREADS, rounds: ROUNDS };
    const url = new URL(`data:text/javascript,${encodeURIComponent(WRITER)}`);
    const workers = Array.from({ length: THREADS }, () => new Worker(url, { workerData: data }));
    const codes = await Promise.all(workers.map(async (worker) => (await once(worker, 'exit'))[0]));
    assert.deepEqual(codes, [0, 0, 0, 0]);
    const total = THREADS * ROUNDS;
    const reader = new CounterReader(memory);
    assert.equal(reader.objects('copied'), total);
    assert.equal(reader.bytes('copied', 'blob'), 3 * total);
    assert.equal(reader.requests('source', 'read', 'ok'), total);
    assert.equal(reader.wire('target'), 1_000_000 * total);
    assert.equal(reader.gauge('objectsInFlight'), 0);
    assert.equal(reader.count('unproved'), total);
    assert.equal(reader.retries('target', 'part'), total);
    assert.equal(reader.retries('source', 'part'), 0);
    const { buckets, sumSeconds } = reader.latency('source', 'read');
    assert.equal(buckets[LATENCY_BUCKETS.indexOf(0.005)], total);
    assert.equal(
      buckets.reduce((sum, count) => sum + count, 0),
      total,
    );
    assert.ok(Math.abs(sumSeconds - 0.003 * total) < 0.01);
  });
});

describe('Counters', () => {
  it('keep every kind of count apart from every other', () => {
    const memory = allocateCounters(2);
    const writer = new CounterWriter(memory);
    const reader = new CounterReader(memory);
    let next = 1;
    const expectations: (readonly [() => number, number])[] = [];
    const expectLater = (read: () => number): number => {
      next += 1;
      expectations.push([read, next]);
      return next;
    };
    for (const state of OBJECT_STATES) {
      for (const objectClass of CLASSES) {
        const bytes = expectLater(() => reader.bytes(state, objectClass));
        writer.object(
          state,
          objectClass,
          bytes,
          expectLater(() => reader.objects(state, objectClass)),
        );
      }
    }
    for (const gauge of GAUGES)
      writer.gauge(
        gauge,
        expectLater(() => reader.gauge(gauge)),
      );
    for (const side of SIDES) {
      writer.wire(
        side,
        expectLater(() => reader.wire(side)),
      );
      for (const operation of OPERATIONS) {
        for (const outcome of OUTCOMES) {
          const times = expectLater(() => reader.requests(side, operation, outcome));
          for (let count = 0; count < times; count += 1) writer.request(side, operation, outcome, 0);
        }
      }
    }
    for (const [read, expected] of expectations) assert.equal(read(), expected);
  });

  it('sort seconds into the bucket whose bound they do not exceed', () => {
    const memory = allocateCounters(1);
    const writer = new CounterWriter(memory);
    const reader = new CounterReader(memory);
    for (const [seconds, bucket] of [
      [0, 0],
      [0.001, 0],
      [0.0010001, 1],
      [60, LATENCY_BUCKETS.length - 1],
      [60.1, LATENCY_BUCKETS.length],
      [1e9, LATENCY_BUCKETS.length],
    ] as const) {
      const before = reader.latency('target', 'list').buckets[bucket] ?? 0;
      writer.request('target', 'list', 'ok', seconds);
      assert.equal(reader.latency('target', 'list').buckets[bucket], before + 1, `${seconds} s`);
    }
    assert.deepEqual(reader.latency('source', 'list').buckets, LATENCY_BUCKETS.map(() => 0).concat(0));
  });

  it('stay exact for the bytes of the largest sites', () => {
    const memory = allocateCounters(1);
    const writer = new CounterWriter(memory);
    writer.object('copied', 'blob', 2 ** 53 - 2);
    writer.object('copied', 'blob', 1);
    assert.equal(new CounterReader(memory).bytes('copied'), 2 ** 53 - 1);
  });

  it('of a dead thread go back to where its shard is gone on with; what did happen stays counted', () => {
    const memory = allocateCounters(2);
    const other = new CounterWriter(memory);
    const dead = new CounterWriter(memory);
    const reader = new CounterReader(memory);
    other.object('copied', 'blob', 1);
    other.gauge('workersBusy', 1);
    dead.object('skipped', 'blob', 10, 5);
    dead.object('copied', 'blob', 7);
    dead.count('leftOut', 2);
    const values = dead.values();
    dead.object('copied', 'blob', 100);
    dead.object('skipped', 'tag', 71);
    dead.object('failed', 'link', 71);
    dead.count('leftOut');
    dead.count('unproved');
    dead.wire('source', 1_000);
    dead.gauge('workersBusy', 1);
    assert.equal(values.buffer instanceof ArrayBuffer, true, 'the copy is still shared');
    restoreRow(memory, dead.row, values);
    assert.deepEqual([reader.objects('copied'), reader.bytes('copied')], [3, 108]);
    // The object that was copied since will be met again and counted as skipped.
    assert.deepEqual([reader.objects('skipped'), reader.bytes('skipped')], [4, -90]);
    assert.deepEqual([reader.objects('failed'), reader.count('leftOut')], [0, 2]);
    assert.deepEqual([reader.count('unproved'), reader.wire('source')], [1, 1_000]);
    assert.equal(reader.gauge('workersBusy'), 1, 'another thread’s gauge');
    assert.throws(() => restoreRow(memory, 2, values), RangeError);
  });
});
