import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as settled } from 'node:timers/promises';
import fc from 'fast-check';
import { type Missing, ObjectWindow, type WindowObject } from '../../../src/copy/object-window.ts';

const PART_BYTES = 100;
const BUDGET_BYTES = 400;

function newWindow(concurrency = 4): ObjectWindow {
  return new ObjectWindow({
    concurrency,
    partBytes: PART_BYTES,
    slabBudgetBytes: BUDGET_BYTES,
    onFailure: (error) => assert.fail(String(error)),
  });
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await settled();
}

/** Objects that end when they are told to. */
class Work {
  readonly window: ObjectWindow;
  /** In the order in which they began. */
  readonly begun: string[] = [];
  readonly #ends = new Map<string, () => void>();

  constructor(window: ObjectWindow) {
    this.window = window;
  }

  add(path: string, sizeBytes: number, more: Partial<WindowObject> = {}): void {
    this.window.add({ path, sizeBytes, ...more }, async () => {
      this.begun.push(path);
      await new Promise<void>((resolve) => this.#ends.set(path, resolve));
      return undefined;
    });
  }

  get running(): readonly string[] {
    return [...this.#ends.keys()].sort();
  }

  async end(path = this.running[0] ?? ''): Promise<void> {
    const end = this.#ends.get(path);
    assert.ok(end, `${path} does not run`);
    this.#ends.delete(path);
    end();
    await turns();
  }

  async endAll(): Promise<void> {
    const drained = this.window.drain();
    await turns();
    while (this.#ends.size > 0) await this.end();
    await drained;
  }
}

describe('ObjectWindow', { timeout: 120_000 }, () => {
  it('remembers what a repository lacks, however many others come before its tags', async () => {
    const window = newWindow();
    // As a listing tells of a folder that it comes to a page before its neighbours are joined.
    window.lacks('late', 'failed');
    for (let at = 0; at < 500; at += 1) {
      await window.room();
      window.add({ path: `early-${at}`, sizeBytes: 1, repository: `early-${at}` }, async () => undefined);
    }
    await window.drain();
    let lacking: Missing | undefined;
    window.add({ path: 'late', sizeBytes: 1, repository: 'late', isTag: true }, async (what) => {
      lacking = what;
      return undefined;
    });
    await window.drain();
    assert.equal(lacking, 'failed');
  });

  it('begins the largest of those that wait, and each in its turn where sizes are alike', async () => {
    const work = new Work(newWindow(1));
    work.add('first', 1);
    await turns();
    for (const [path, sizeBytes] of [
      ['a', 3],
      ['b', 60],
      ['c', 60],
      ['d', 9],
      ['e', 90],
    ] as const) {
      work.add(path, sizeBytes);
    }
    await work.endAll();
    // Each fourth place is the oldest one's.
    assert.deepEqual(work.begun, ['first', 'e', 'b', 'a', 'c', 'd']);
  });

  it('begins a small one although larger ones keep coming', async () => {
    const work = new Work(newWindow(1));
    work.add('running', 50);
    await turns();
    work.add('small', 1);
    for (let at = 0; at < 8; at += 1) {
      work.add(`large ${at}`, 90);
      await work.end();
    }
    assert.ok(work.begun.indexOf('small') > 1, 'it was not even overtaken');
    assert.ok(work.begun.indexOf('small') <= 4, `begun: ${work.begun.join(', ')}`);
    await work.endAll();
  });

  it('begins what goes before everything else', async () => {
    const work = new Work(newWindow(1));
    work.add('running', 50);
    await turns();
    work.add('large', 10_000);
    work.window.addFirst(async () => void work.begun.push('flush'));
    await work.end();
    assert.deepEqual(work.begun, ['running', 'flush', 'large']);
    await work.endAll();
  });

  it('works on no more objects of several parts than use the slabs twice over, and on others beside them', async () => {
    const work = new Work(newWindow(8));
    for (const path of ['50 GB', '60 GB', '70 GB']) work.add(path, Number.parseInt(path, 10) * 1e9);
    for (let at = 0; at < 6; at += 1) work.add(`small ${at}`, PART_BYTES);
    await turns();
    const largeOnes = work.running.filter((path) => path.endsWith('GB'));
    assert.deepEqual(largeOnes, ['60 GB', '70 GB']);
    assert.equal(work.running.length, 8, 'a place stayed empty');
    for (const path of work.running.filter((one) => one.startsWith('small'))) await work.end(path);
    assert.equal(work.begun.includes('50 GB'), false);
    await work.end('60 GB');
    assert.deepEqual(work.running, ['50 GB', '70 GB']);
    await work.endAll();
  });

  it('begins an object larger than everything, and many that are just over one part', async () => {
    const work = new Work(newWindow(8));
    for (let at = 0; at < 9; at += 1) work.add(`two parts ${at}`, PART_BYTES + 1);
    await turns();
    assert.equal(work.running.length, Math.floor((2 * BUDGET_BYTES) / (PART_BYTES + 1)));
    await work.endAll();
    work.add('huge', Number.MAX_SAFE_INTEGER);
    await turns();
    assert.deepEqual(work.running, ['huge']);
    await work.endAll();
  });

  it('looks ahead as far as paths are short, and no further than memory goes', async () => {
    const counts: number[] = [];
    for (const length of [150, 1_000]) {
      const work = new Work(newWindow(1));
      let count = 0;
      for (; work.window.room() === undefined; count += 1) work.add(`${count}`.padEnd(length, 'x'), 1);
      counts.push(count);
      await work.endAll();
    }
    const [short = 0, long = 0] = counts;
    assert.ok(short >= 900 && short <= 1_100, `${short} objects`);
    assert.ok(long >= 200 && long <= 250, `${long} objects`);
  });

  it('looks ahead as far as places need, however long paths are', async () => {
    const work = new Work(newWindow(200));
    let count = 0;
    for (; work.window.room() === undefined; count += 1) work.add(`${count}`.padEnd(4_000, 'x'), 1);
    assert.equal(count, 800);
    await work.endAll();
  });

  it('hands over every second object that waits, the largest first, and none that has begun or is too small', async () => {
    const work = new Work(newWindow(2));
    const gone: string[] = [];
    const add = (path: string, sizeBytes: number): void =>
      work.add(path, sizeBytes, { onTakenOver: () => gone.push(path) });
    add('running 1', 9_000);
    add('running 2', 9_000);
    await turns();
    for (const size of [1_000, 5_000, 3_000, 20]) add(`waits ${size}`, size);
    work.add('stays', 7_000);
    const given = work.window.handOver(100);
    assert.deepEqual(given, ['waits 5000', 'waits 1000']);
    assert.deepEqual(gone, given);
    await work.endAll();
    assert.deepEqual([...work.begun].sort(), ['running 1', 'running 2', 'stays', 'waits 20', 'waits 3000']);
    assert.deepEqual(work.window.handOver(0), []);
  });

  it('begins and ends every object once, tags behind what came before them, in whatever order', async () => {
    const object = fc.record({
      sizeBytes: fc.constantFrom(0, 1, 50, 99, 101, 500, 1_000_000),
      repository: fc.constantFrom(undefined, 'a', 'b'),
      isTag: fc.boolean(),
      canGo: fc.boolean(),
      endsAtOnce: fc.boolean(),
    });
    const handOverAt = fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 3 });
    const objects = fc.array(object, { minLength: 1, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(
        objects,
        handOverAt,
        fc.integer({ min: 1, max: 6 }),
        async (given, at, concurrency) => {
          const window = newWindow(concurrency);
          const ended = new Map<number, number>();
          for (const [number, { sizeBytes, repository, isTag, canGo, endsAtOnce }] of given.entries()) {
            await window.room();
            const before = given.flatMap((other, index) =>
              index < number && other.repository === repository && !other.isTag ? [index] : [],
            );
            const end = (): void => void ended.set(number, (ended.get(number) ?? 0) + 1);
            const takes = canGo && repository === undefined ? { onTakenOver: end } : {};
            window.add({ path: `${number}`, sizeBytes, repository, isTag, ...takes }, async () => {
              const waits = isTag && repository !== undefined;
              assert.ok(!waits || before.every((index) => ended.has(index)), `tag ${number} went before`);
              if (!endsAtOnce) await settled();
              end();
              return undefined;
            });
            if (at.includes(number)) window.handOver(0);
          }
          await window.drain();
          assert.deepEqual(
            given.map((_, number) => ended.get(number)),
            given.map(() => 1),
          );
        },
      ),
      { numRuns: 300 },
    );
  });
});
