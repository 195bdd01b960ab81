import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as settled } from 'node:timers/promises';
import { ShardQueue } from '../../../src/coordinator/shard-queue.ts';
import type { Shard } from '../../../src/copy/shard.ts';

function shard(id: string): Shard {
  return { id, phase: 'blobs', range: { prefix: '' } };
}

class Lanes {
  readonly asked: string[] = [];
  readonly queue: ShardQueue;
  /** What each lane got. */
  readonly got: (string | undefined)[] = [];

  constructor(ids: readonly string[]) {
    this.queue = new ShardQueue(ids.map(shard), (id) => this.asked.push(id));
  }

  begin(...ids: string[]): void {
    for (const id of ids) this.queue.begun(id);
  }

  async take(count: number): Promise<void> {
    for (let lane = 0; lane < count; lane += 1) void this.queue.next().then((one) => this.got.push(one?.id));
    await settled();
  }
}

describe('ShardQueue', () => {
  it('asks nobody while shards wait, and one for each thread that has none', async () => {
    const lanes = new Lanes(['a', 'b', 'c']);
    await lanes.take(3);
    lanes.begin('a', 'b', 'c');
    assert.deepEqual([lanes.got, lanes.asked], [['a', 'b', 'c'], []]);
    await lanes.take(2);
    assert.deepEqual(lanes.asked, ['c', 'b']);
  });

  it('gives what was given away to who waits, and asks those next who were asked least', async () => {
    const lanes = new Lanes(['a', 'b']);
    await lanes.take(3);
    lanes.begin('a', 'b');
    await settled();
    lanes.queue.answered('b', [shard('b.1')]);
    await settled();
    lanes.begin('b.1');
    assert.deepEqual(lanes.got, ['a', 'b', 'b.1']);
    await lanes.take(3);
    assert.deepEqual(lanes.asked, ['b', 'b.1', 'a', 'b']);
  });

  it('does not ask again who gave nothing, but the next one', async () => {
    const lanes = new Lanes(['a', 'b']);
    await lanes.take(3);
    lanes.begin('a', 'b');
    await settled();
    lanes.queue.answered('b', []);
    await settled();
    lanes.queue.answered('a', []);
    await settled();
    assert.deepEqual(lanes.asked, ['b', 'a']);
    assert.deepEqual(lanes.got, ['a', 'b']);
  });

  it('asks no thread that would not hear it, and again where the one that was asked died', async () => {
    const lanes = new Lanes(['a']);
    await lanes.take(2);
    assert.deepEqual(lanes.asked, []);
    lanes.begin('a');
    await settled();
    assert.deepEqual(lanes.asked, ['a']);
    lanes.queue.interrupted('a');
    await settled();
    assert.deepEqual(lanes.asked, ['a']);
    lanes.begin('a');
    await settled();
    assert.deepEqual(lanes.asked, ['a', 'a']);
  });

  it('lets every thread go once nothing runs, and not before', async () => {
    const lanes = new Lanes(['a', 'b']);
    await lanes.take(4);
    lanes.queue.ended('a');
    await settled();
    assert.equal(lanes.got.length, 2);
    lanes.queue.ended('b');
    await settled();
    assert.deepEqual(lanes.got, ['a', 'b', undefined, undefined]);
  });
});
