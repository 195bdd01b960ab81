import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Maybe } from '../../../src/drivers/fs/fs-calls.ts';
import { OrderedWalk, type Visit } from '../../../src/drivers/fs/ordered-walk.ts';

/** A leaf hands out its name, a branch its children; `turns` is how long its visit takes, 0 answering at once. */
interface Branch {
  readonly name: string;
  readonly turns: number;
  readonly children?: readonly Branch[];
  readonly fails?: boolean;
}

const anyTree: fc.Arbitrary<readonly Branch[]> = fc.letrec<{ branch: Branch; branches: Branch[] }>((tie) => ({
  branches: fc.array(tie('branch'), { maxLength: 5, depthIdentifier: 'tree' }),
  branch: fc.record(
    {
      name: fc.string({ minLength: 1, maxLength: 3 }),
      turns: fc.integer({ min: 0, max: 4 }),
      children: fc.option(tie('branches'), { nil: undefined, depthIdentifier: 'tree' }),
    },
    { requiredKeys: ['name', 'turns'] },
  ) as fc.Arbitrary<Branch>,
})).branches;

function inOrder(branches: readonly Branch[]): readonly Branch[] {
  return branches.flatMap((branch) => (branch.children === undefined ? [branch] : inOrder(branch.children)));
}

class Watcher {
  visiting = 0;
  visitingMax = 0;
  visited = 0;

  readonly visit = (branch: Branch): Maybe<Visit<Branch, Branch>> => {
    this.visited += 1;
    const found = branch.children === undefined ? { item: branch } : { children: branch.children };
    if (branch.turns > 0) return this.#later(branch, found);
    if (branch.fails) throw new Error(branch.name);
    return found;
  };

  async #later(branch: Branch, found: Visit<Branch, Branch>): Promise<Visit<Branch, Branch>> {
    this.visiting += 1;
    this.visitingMax = Math.max(this.visitingMax, this.visiting);
    for (let turn = 0; turn < branch.turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    this.visiting -= 1;
    if (branch.fails) throw new Error(branch.name);
    return found;
  }
}

async function collect(walk: OrderedWalk<Branch, Branch>): Promise<readonly Branch[]> {
  const items: Branch[] = [];
  for (let item = await walk.next(); item !== undefined; item = await walk.next()) items.push(item);
  return items;
}

function leaf(name: string, turns = 1): Branch {
  return { name, turns };
}

describe('OrderedWalk', () => {
  it('hands out every leaf once and in order, however long visits take and however many run', async () => {
    await fc.assert(
      fc.asyncProperty(
        anyTree,
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 10 }),
        async (tree, visitsMax, waitingMax) => {
          const watcher = new Watcher();
          const walk = new OrderedWalk(tree, watcher.visit, { visitsMax: () => visitsMax, waitingMax });
          assert.deepEqual(await collect(walk), inOrder(tree));
          assert.ok(watcher.visitingMax <= visitsMax, `${watcher.visitingMax} visits at once`);
          assert.equal(watcher.visiting, 0);
        },
      ),
      { numRuns: 400 },
    );
  });

  it('keeps its order when the number of visits at once changes under way', async () => {
    await fc.assert(
      fc.asyncProperty(
        anyTree,
        fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1 }),
        async (tree, limits) => {
          let asked = 0;
          const visitsMax = () => {
            asked += 1;
            return limits[asked % limits.length] ?? 1;
          };
          const walk = new OrderedWalk(tree, new Watcher().visit, { visitsMax, waitingMax: 8 });
          assert.deepEqual(await collect(walk), inOrder(tree));
        },
      ),
    );
  });

  it('waits for nothing when every visit answers at once', () => {
    const branches = [{ name: 'a', turns: 0, children: [leaf('b', 0), leaf('c', 0)] }, leaf('d', 0)];
    const walk = new OrderedWalk<Branch, Branch>(branches, new Watcher().visit, {
      visitsMax: () => 1,
      waitingMax: 1,
    });
    const names = [walk.next(), walk.next(), walk.next()].map((item) =>
      item instanceof Promise ? 'late' : item?.name,
    );
    assert.deepEqual(names, ['b', 'c', 'd']);
    assert.equal(walk.next(), undefined);
    assert.equal(walk.next(), undefined);
  });

  it('looks ahead over folders: a deep tree takes as long as its depth, not as its number of folders', async () => {
    const folders = Array.from({ length: 32 }, (_, index) => ({
      name: `${index}`,
      turns: 1,
      children: [leaf(`${index}`)],
    }));
    const watcher = new Watcher();
    const walk = new OrderedWalk<Branch, Branch>(folders, watcher.visit, {
      visitsMax: () => 64,
      waitingMax: 1_000,
    });
    assert.equal((await collect(walk)).length, 32);
    assert.ok(watcher.visitingMax >= 32, `only ${watcher.visitingMax} visits at once`);
  });

  it('fetches no more ahead than it may, even if nobody takes anything', async () => {
    const leaves = Array.from({ length: 500 }, (_, index) => leaf(`${index}`));
    const watcher = new Watcher();
    const walk = new OrderedWalk<Branch, Branch>(leaves, watcher.visit, {
      visitsMax: () => 4,
      waitingMax: 20,
    });
    await walk.next();
    for (let turn = 0; turn < 200; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    assert.ok(watcher.visited <= 22, `${watcher.visited} visited after one was taken`);
  });

  it('throws what a visit threw when its turn comes, after everything before it', async () => {
    for (const turns of [0, 1, 3]) {
      const tree = [leaf('a', 3), { name: 'bad', turns, fails: true }, leaf('c')];
      const walk = new OrderedWalk<Branch, Branch>(tree, new Watcher().visit, {
        visitsMax: () => 4,
        waitingMax: 9,
      });
      assert.equal((await walk.next())?.name, 'a');
      await assert.rejects(async () => walk.next(), /^Error: bad$/);
    }
  });

  it('begins nothing more once it is stopped', async () => {
    const leaves = Array.from({ length: 100 }, (_, index) => leaf(`${index}`));
    const watcher = new Watcher();
    const walk = new OrderedWalk<Branch, Branch>(leaves, watcher.visit, {
      visitsMax: () => 4,
      waitingMax: 50,
    });
    await walk.next();
    walk.stop();
    const { visited } = watcher;
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(watcher.visited, visited);
    assert.equal(watcher.visiting, 0);
  });
});
