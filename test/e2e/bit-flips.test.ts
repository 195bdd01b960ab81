/**
 * The rows of docs/backends.md: a bit that is turned over on its way to each service, or from it, never ends in a wrong
 * byte that nobody tells of. What each target says of itself must be what its row says.
 */
import assert from 'node:assert/strict';
import { after, describe, it, type TestContext } from 'node:test';
import type { CopySummary } from '../../src/core/job.ts';
import { FLIP_ROWS, type FlipRow, FlipServers, type FlipStore } from '../support/flip-stores.ts';
import {
  copyBetween,
  FLIP_TREE,
  folderSpec,
  isOf,
  isPart,
  LARGE,
  PART_BYTES,
  SMALL,
  SMALL_BYTES,
} from '../support/flip-world.ts';
import { readTree } from '../support/tree.ts';

const servers = new FlipServers();
after(() => servers.close());

async function open(t: TestContext, row: FlipRow): Promise<FlipStore> {
  const store = await row.open(servers);
  t.after(() => store.close());
  return store;
}

/** Every path of the tree that is there has its bytes. @returns the paths that are there. */
async function pathsThatAreRight(store: FlipStore): Promise<readonly string[]> {
  const paths = (await store.paths()).filter((path) => FLIP_TREE.objects.has(path));
  for (const path of paths) {
    const bytes = FLIP_TREE.objects.get(path) ?? assert.fail();
    assert.ok(bytes.equals(await store.get(path)), `${path} has wrong bytes`);
  }
  return [...paths].sort();
}

const ALL_PATHS = [...FLIP_TREE.objects.keys()].sort();
const UP_SMALL = {
  way: 'up',
  bytesMin: SMALL_BYTES,
  match: (target: string) => !isPart(target),
} as const;
const UP_PART = { way: 'up', bytesMin: PART_BYTES, match: isPart } as const;

function told(summary: CopySummary): readonly string[] {
  return summary.exceptions.map(({ state, path, error }) => `${state} ${path}: ${error.message}`);
}

for (const [name, row] of Object.entries(FLIP_ROWS)) {
  describe(name, { skip: row.skip }, () => {
    const { engine } = row;

    it('gets bytes that were changed once on their way once more, and is equal', async (t) => {
      const store = await open(t, row);
      const flips = [store.proxy.flip({ ...UP_SMALL, times: 1 }), store.proxy.flip({ ...UP_PART, times: 1 })];
      const { summary, exitCode } = await copyBetween(t, await folderSpec(t, FLIP_TREE), store.spec, {
        engine,
      });
      assert.deepEqual(told(summary), []);
      assert.equal(exitCode, 0);
      assert.deepEqual(
        flips.map(({ length }) => length),
        [1, 1],
        'both bits were turned over',
      );
      assert.deepEqual([summary.writesWrong, summary.readsWrong], [2, 0]);
      assert.deepEqual(await pathsThatAreRight(store), ALL_PATHS);
      console.log(name, '|', summary.binding);
    });

    it('shows nothing of what is changed each time, which fails by name', async (t) => {
      const store = await open(t, row);
      const flips = [store.proxy.flip(UP_SMALL), store.proxy.flip(UP_PART)];
      const { summary, exitCode } = await copyBetween(t, await folderSpec(t, FLIP_TREE), store.spec, {
        engine,
      });
      assert.equal(exitCode, 1);
      assert.ok(
        flips.every(({ length }) => length > 1),
        'each was tried again',
      );
      assert.deepEqual(
        summary.exceptions
          .filter(({ path }) => path.includes('/blobs/'))
          .map(({ state, path }) => `${state} ${path}`)
          .sort(),
        [`failed ${LARGE}`, `failed ${SMALL}`].sort(),
      );
      const there = await pathsThatAreRight(store);
      assert.ok(!there.includes(SMALL) && !there.includes(LARGE), there.join());
      assert.ok(!there.some((path) => path.includes('/repositories/')), 'no name is there without its blobs');
    });

    if (!row.isSource) return;

    it('is read once more where what it gives was changed once', async (t) => {
      const store = await filled(t, row);
      const flips = [LARGE, SMALL].map((path) =>
        store.proxy.flip({ way: 'down', bytesMin: SMALL_BYTES, match: isOf(path), times: 1 }),
      );
      const target = await folderSpec(t);
      const { summary, exitCode } = await copyBetween(t, store.spec, target, { engine });
      assert.deepEqual(told(summary), []);
      assert.equal(exitCode, 0);
      assert.deepEqual(
        flips.map(({ length }) => length),
        [1, 1],
      );
      assert.deepEqual([summary.writesWrong, summary.readsWrong], [0, 2]);
      assert.deepEqual([...(await filesOf(target)).keys()].sort(), ALL_PATHS);
    });

    it('is damaged as far as anyone can see where the same bit is changed each time: nothing of it is written', async (t) => {
      const store = await filled(t, row);
      const flips = store.proxy.flip({ way: 'down', bytesMin: SMALL_BYTES, match: isOf(SMALL) });
      const target = await folderSpec(t);
      const { summary, exitCode } = await copyBetween(t, store.spec, target, { engine });
      assert.equal(exitCode, 3, told(summary).join('\n'));
      assert.ok(flips.length > 1);
      assert.match(told(summary).join('\n'), new RegExp(`damaged ${SMALL}`));
      assert.ok(!(await filesOf(target)).has(SMALL));
    });
  });
}

async function filled(t: TestContext, row: FlipRow): Promise<FlipStore> {
  const store = await open(t, row);
  for (const [path, bytes] of FLIP_TREE.objects) await store.put(path, bytes);
  return store;
}

/** Files of a target, each of which has the bytes of the tree. */
async function filesOf(spec: { readonly kind: string }): Promise<ReadonlyMap<string, unknown>> {
  assert.ok('rootDirectory' in spec && typeof spec.rootDirectory === 'string');
  const { rootDirectory } = spec;
  return readTree(rootDirectory);
}
