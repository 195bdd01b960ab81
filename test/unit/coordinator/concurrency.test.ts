import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Concurrency } from '../../../src/coordinator/concurrency.ts';
import { beat, FlowRow, flowOf, SILENT_MS_MAX } from '../../../src/core/concurrency/permit-memory.ts';

const READ = flowOf('target', 'read');
const TICK_MS = 100;

class World {
  nowMs = 1_000_000;
  readonly concurrency: Concurrency;
  readonly rows: readonly FlowRow[];

  constructor(threads: number, perThreadMax: number | undefined) {
    const rows = threads + 2;
    this.concurrency = new Concurrency({ threads, rows, perThreadMax }, () => this.nowMs);
    this.rows = Array.from({ length: rows }, (_, row) => new FlowRow(this.concurrency.memory, row, READ));
  }

  /** Threads that live beat before each tick. */
  tick(...living: readonly number[]): void {
    this.nowMs += TICK_MS;
    for (const row of living) beat(this.concurrency.memory, row, this.nowMs, 0);
    this.concurrency.tick();
  }

  row(index: number): FlowRow {
    const row = this.rows[index];
    if (!row) throw new Error(`There is no row ${index}`);
    return row;
  }

  /** So many are in flight and so many wait. */
  demand(index: number, inFlight: number, waiting: number): void {
    for (let count = 0; count < inFlight; count += 1) this.row(index).begin();
    for (let count = 0; count < waiting; count += 1) this.row(index).wait(1);
  }

  get state() {
    return this.concurrency.read('target', 'read');
  }
}

describe('the concurrency of a process', () => {
  it('begins with equal shares, before any controller has run', () => {
    const world = new World(2, 96);
    assert.deepEqual(
      world.rows.slice(0, 2).map((row) => row.limit),
      [16, 16],
    );
  });

  it('gives what a thread does not need to the one that waits', () => {
    const world = new World(2, 96);
    world.demand(0, 16, 40);
    world.demand(1, 1, 0);
    world.tick(0, 1);
    assert.equal(world.row(0).limit, 31);
    assert.ok(world.row(1).limit >= 1);
  });

  it('brings back the places of a thread that died, and counts none of them as in flight', () => {
    const world = new World(2, 96);
    world.demand(0, 16, 40);
    world.demand(1, 16, 40);
    world.tick(0, 1);
    assert.equal(world.row(0).limit, 16);
    assert.equal(world.state.inFlight, 32);
    for (let ms = 0; ms <= SILENT_MS_MAX; ms += TICK_MS) world.tick(0);
    assert.equal(world.row(0).limit, 32);
    assert.equal(world.state.inFlight, 16);
  });

  it('has room for the thread that comes in the place of a dead one, whose row it does not have', () => {
    const world = new World(2, 96);
    world.demand(0, 16, 40);
    world.demand(1, 16, 40);
    for (let ms = 0; ms <= SILENT_MS_MAX; ms += TICK_MS) world.tick(0);
    world.demand(2, 0, 40);
    world.tick(0, 2);
    assert.deepEqual([world.row(0).limit, world.row(2).limit], [16, 16]);
  });

  it('tells the rate, and until when nothing may be sent, to every thread', () => {
    const world = new World(2, 96);
    world.tick(0, 1);
    for (let count = 0; count < 100; count += 1) {
      world.row(0).count('answered', 0);
      world.row(1).count('refused', 0);
    }
    world.row(1).refusedFor(2_000);
    world.tick(0, 1);
    assert.equal(world.row(0).perSecond, world.row(1).perSecond);
    assert.ok(world.row(0).perSecond > 0 && world.row(0).perSecond <= 1_000);
    assert.equal(world.row(0).heldUntilMs, world.nowMs + 2_000);
    assert.equal(world.state.perSecond, world.row(0).perSecond);
    for (let ms = 0; ms < 2_000; ms += TICK_MS) world.tick(0, 1);
    assert.equal(world.row(0).heldUntilMs, 0);
  });

  it('bounds nothing but the rate where a number of objects was given', () => {
    const world = new World(2, undefined);
    world.demand(0, 1_000, 0);
    world.tick(0, 1);
    assert.equal(world.row(0).hasRoom, true);
    assert.equal(world.state.window, undefined);
    world.row(0).count('refused', 0);
    world.row(0).count('refused', 0);
    world.row(0).count('refused', 0);
    world.tick(0, 1);
    assert.ok(world.row(0).perSecond > 0);
  });
});
