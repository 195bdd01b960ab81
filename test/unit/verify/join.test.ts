import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { compareUtf8 } from '../../../src/core/byte-order.ts';
import { BufferPool, LARGE_BUFFER_BYTES, largeBuffersFor } from '../../../src/verify/buffers.ts';
import { joinListings } from '../../../src/verify/join.ts';
import { type ListedObject, listPaths } from '../../../src/verify/listing.ts';
import { FakeStore, storageError, TEST_LAYOUT } from './fake-store.ts';

async function* inPages(paths: readonly string[], pageSize: number): AsyncGenerator<readonly ListedObject[]> {
  const sorted = [...paths].sort(compareUtf8);
  for (let at = 0; at < sorted.length; at += pageSize) {
    yield sorted.slice(at, at + pageSize).map((path) => ({ path, info: { key: path, sizeBytes: 1 } }));
  }
}

const paths = fc.uniqueArray(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 4 }), { maxLength: 40 });
const pageSize = fc.integer({ min: 1, max: 7 });

describe('joinListings()', () => {
  it('gives every path once, in order, with the sides it is on, whatever the pages', async () => {
    await fc.assert(
      fc.asyncProperty(paths, paths, pageSize, pageSize, async (left, right, leftPage, rightPage) => {
        const joined: string[] = [];
        for await (const pair of joinListings(inPages(left, leftPage), inPages(right, rightPage))) {
          joined.push(`${pair.source ? 's' : '-'}${pair.target ? 't' : '-'} ${pair.path}`);
        }
        const expected = [...new Set([...left, ...right])]
          .sort(compareUtf8)
          .map((path) => `${left.includes(path) ? 's' : '-'}${right.includes(path) ? 't' : '-'} ${path}`);
        assert.deepEqual(joined, expected);
      }),
    );
  });

  it('passes on a failure that happens while the page before it is still used', async () => {
    async function* failing(): AsyncGenerator<readonly ListedObject[]> {
      yield [{ path: 'a', info: { key: 'a', sizeBytes: 1 } }];
      throw new Error('listing broke');
    }
    const seen: string[] = [];
    await assert.rejects(async () => {
      for await (const pair of joinListings(failing(), inPages(['a', 'b'], 1))) seen.push(pair.path);
    }, /listing broke/);
    assert.deepEqual(seen, ['a']);
  });
});

describe('listPaths()', () => {
  it('does not open folders the layout stays out of, and names them once, like what cannot be listed', async () => {
    const store = new FakeStore('pruned', { prefix: 'root/' });
    store.put('repos/app/_uploads/1', 'x');
    store.put('repos/app/note', 'x');
    const asked: boolean[] = [];
    const failure = storageError(store, 'root/x/', 'denied');
    store.onList = (infos, { prune, onUnlistable }) => {
      asked.push(prune?.('root/repos/app/_uploads/') ?? false, prune?.('root/repos/app/') ?? false);
      prune?.('root/repos/app/_uploads/');
      for (const name of ['root/x/', 'root/x/', 'root/repos/app/_uploads/1/'])
        asked.push(onUnlistable?.(name, failure) ?? false);
      return infos.filter(({ key }) => !key.includes('_uploads'));
    };
    const leftOut: string[] = [];
    const unlistable: string[] = [];
    const listed: string[] = [];
    const listing = listPaths({
      driver: store,
      keyPrefix: 'root/',
      layout: { ...TEST_LAYOUT, staysOutOf: (folder) => TEST_LAYOUT.leavesOut(folder, undefined) },
      signal: new AbortController().signal,
      onListed: () => undefined,
      onLeftOut: (path) => leftOut.push(path),
      onUnlistable: (path, error) => unlistable.push(`${path} ${error.kind}`),
    });
    for await (const batch of listing) listed.push(...batch.map(({ path }) => path));
    assert.deepEqual(asked, [true, false, true, true, true]);
    assert.deepEqual(leftOut, ['repos/app/_uploads/', 'repos/app/_uploads/1/']);
    assert.deepEqual(unlistable, ['x/ denied']);
    assert.deepEqual(listed, ['repos/app/note']);
  });
});

describe('BufferPool', () => {
  const signal = new AbortController().signal;

  it('hands out no more large buffers than it may, and the same ones again', async () => {
    const pool = new BufferPool(2);
    const first = await pool.take(LARGE_BUFFER_BYTES, signal);
    const second = await pool.take(LARGE_BUFFER_BYTES, signal);
    let third: Buffer | undefined;
    const waiting = pool.take(LARGE_BUFFER_BYTES, signal).then((buffer) => {
      third = buffer;
    });
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(third, undefined);
    pool.giveBack(first);
    await waiting;
    assert.equal(third, first);
    assert.notEqual(first, second);
  });

  it('stops waiting when the run is stopped, without losing a buffer', async () => {
    const pool = new BufferPool(1);
    const only = await pool.take(LARGE_BUFFER_BYTES, signal);
    const controller = new AbortController();
    const waiting = pool.take(LARGE_BUFFER_BYTES, controller.signal);
    controller.abort(new Error('stopped'));
    await assert.rejects(waiting, /stopped/);
    pool.giveBack(only);
    assert.equal(await pool.take(LARGE_BUFFER_BYTES, signal), only);
  });

  it('fits the memory it is given, and never goes below one large buffer', () => {
    const mib = 1024 * 1024;
    assert.equal(largeBuffersFor(192 * mib, 16), 8);
    assert.equal(largeBuffersFor(1024 * mib, 16), 16);
    assert.equal(largeBuffersFor(1, 16), 1);
  });
});
