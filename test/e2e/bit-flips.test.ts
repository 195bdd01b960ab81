/**
 * The rows of docs/backends.md: a bit that is turned over on its way to each service, or from it, never ends in a wrong
 * byte that nobody tells of. What each target says of itself must be what its row says.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { CopySummary } from '../../src/core/job.ts';
import type { StorageSpec } from '../../src/drivers/spec.ts';
import { bindingWords } from '../support/backends-table.ts';
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
  verifyBetween,
} from '../support/flip-world.ts';
import { seededBytes } from '../support/seeded.ts';
import { makeSmallTree } from '../support/small-tree.ts';
import { readTree } from '../support/tree.ts';

const NOTE = 'a-note-of-ten-thousand-bytes';

const servers = new FlipServers();
before(() => servers.start());
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
      assert.equal(summary.binding, await bindingWords(name));
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

/** Objects of each class, all in one piece: only such have an MD5. */
const AT_REST: ReadonlyMap<string, Buffer> = new Map([
  ...makeSmallTree({ seed: 'at rest', blobBytes: [5_000, 71] }).objects,
  [`docker/registry/v2/${NOTE}`, seededBytes('at rest', NOTE, 10_000)],
]);
const CHANGED = { blob: '/blobs/', link: '/_layers/', tag: '/current/link', other: NOTE } as const;

describe('a bit that is changed at rest, in one object of each class', () => {
  for (const [name, row] of Object.entries(FLIP_ROWS)) {
    if (!row.isSource || row.engine === 'sdk') continue;

    it(`is found by what is listed and read without --deep as docs/backends.md says: ${name}`, {
      skip: row.skip,
    }, async (t) => {
      const [one, other] = [await open(t, row), await open(t, row)];
      const folder = await folderSpec(t, { objects: AT_REST, blobs: [], tag: '' });
      for (const [path, bytes] of AT_REST) {
        await one.put(path, bytes);
        await other.put(path, isChanged(path) ? changed(bytes) : bytes);
      }
      const found = async (source: StorageSpec, isDeep: boolean): Promise<readonly string[]> =>
        (await verifyBetween(source, other.spec, isDeep)).exceptions
          .filter(({ problem }) => problem === 'wrong-content')
          .map(({ path }) => classOf(path))
          .sort();
      assert.deepEqual(await found(folder, false), ['tag']);
      // Where both sides list true MD5s, objects whose MD5s differ are read.
      const byMd5 = row.kind === 'gcs' || row.kind === 'swift';
      assert.deepEqual(await found(one.spec, false), byMd5 ? ['blob', 'link', 'other', 'tag'] : ['tag']);
      assert.deepEqual(await found(folder, true), ['blob', 'link', 'other', 'tag']);
    });
  }
});

/** One object of each class. */
function isChanged(path: string): boolean {
  const first = Object.values(CHANGED).map((mark) => [...AT_REST.keys()].find((one) => one.includes(mark)));
  return first.includes(path);
}

function classOf(path: string): string {
  return Object.entries(CHANGED).find(([, mark]) => path.includes(mark))?.[0] ?? path;
}

function changed(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy[copy.length - 1] = (copy.at(-1) ?? 0) ^ 1;
  return copy;
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
