import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import { mkdir, readdir, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { externallySorted, ListingOutOfOrder, orderChecked } from '../../../src/copy/sorted-listing.ts';
import { compareUtf8 } from '../../../src/core/byte-order.ts';
import { BlobferryError } from '../../../src/core/errors.ts';
import type { ListPage, ObjectInfo } from '../../../src/drivers/driver.ts';
import { tempFolderFor } from '../../support/temp.ts';

/** @param isMarked pages that ascend say so. */
async function* pagesOf(
  objects: readonly ObjectInfo[],
  pageObjects: number,
  isMarked = false,
): AsyncGenerator<ListPage> {
  for (let at = 0; at < objects.length; at += pageObjects) {
    const page = objects.slice(at, at + pageObjects);
    const isAscending =
      isMarked &&
      page.every(({ key }, index) => index === 0 || compareUtf8(page[index - 1]?.key ?? '', key) < 0);
    yield { objects: page, prefixes: [], ...(isAscending ? { isAscending } : {}) };
  }
}

function objectsOf(keys: readonly string[]): readonly ObjectInfo[] {
  return keys.map((key, sizeBytes) => ({ key, sizeBytes }));
}

async function collect(pages: AsyncIterable<ListPage>): Promise<ObjectInfo[]> {
  const objects: ObjectInfo[] = [];
  for await (const page of pages) objects.push(...page.objects);
  return objects;
}

/** The same keys on every run, in no order. */
function shuffledKeys(count: number): readonly string[] {
  const step = 7_919;
  return Array.from(
    { length: count },
    (_, index) => `blobs/${String((index * step) % count).padStart(7, '0')}/data`,
  );
}

const anyKey = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.string({
    unit: fc.constantFrom('a', 'b', '/', '-', '\ufffd', '\u{1f600}', '\n', '"', '\\'),
    maxLength: 4,
  }),
);

describe('orderChecked()', () => {
  it('passes every page on as long as keys strictly ascend by UTF-8 bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(anyKey), fc.integer({ min: 1, max: 5 }), async (keys, pageObjects) => {
        const objects = objectsOf([...keys].sort(compareUtf8));
        for (const isMarked of [false, true])
          assert.deepEqual(await collect(orderChecked(pagesOf(objects, pageObjects, isMarked))), objects);
      }),
    );
  });

  it('refuses the page with the first key that does not ascend, wherever the pages are cut', async () => {
    const cases: readonly (readonly string[])[] = [
      ['a', 'c', 'b', 'd'],
      ['a', 'b', 'b', 'd'],
      ['a', 'a/x', 'a-b', 'b'],
      ['a', '\u{1f600}', '\ufffd', '\u{1f601}'],
    ];
    for (const keys of cases) {
      for (const [pageObjects, isMarked] of [1, 2, 3, 4].flatMap((size) => [
        [size, false] as const,
        [size, true] as const,
      ])) {
        const seen: string[] = [];
        const told: ListingOutOfOrder[] = [];
        const read = async () => {
          const checked = orderChecked(pagesOf(objectsOf(keys), pageObjects, isMarked), (error) =>
            told.push(error),
          );
          for await (const page of checked) seen.push(...page.objects.map((object) => object.key));
        };
        await assert.rejects(read(), (error) => {
          assert.ok(error instanceof ListingOutOfOrder && error instanceof BlobferryError);
          assert.deepEqual([error.previousKey, error.key], keys.slice(1, 3));
          assert.deepEqual(told, [error]);
          return true;
        });
        assert.deepEqual(seen, keys.slice(0, Math.floor(2 / pageObjects) * pageObjects));
      }
    }
  });

  it('ends the listing it reads when the caller leaves early', async () => {
    let isEnded = false;
    const pages = async function* (): AsyncGenerator<ListPage> {
      try {
        yield* pagesOf(objectsOf(['a', 'b', 'c']), 1);
      } finally {
        isEnded = true;
      }
    };
    for await (const page of orderChecked(pages())) {
      assert.equal(page.objects.length, 1);
      break;
    }
    assert.ok(isEnded);
  });
});

describe('externallySorted()', () => {
  it('gives every key once, in byte order, as it came last', async (t) => {
    const directory = await tempFolderFor(t, 'sort');
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyKey, { maxLength: 60 }),
        fc.integer({ min: 1, max: 7 }),
        fc.integer({ min: 1, max: 70 }),
        fc.integer({ min: 2, max: 4 }),
        async (keys, pageObjects, entriesInMemory, runsMergedMax) => {
          const last = new Map(objectsOf(keys).map((object) => [object.key, object]));
          const expected = [...last.values()].sort((left, right) => compareUtf8(left.key, right.key));
          const pages = pagesOf(objectsOf(keys), pageObjects);
          const sorted = externallySorted(pages, { directory, entriesInMemory, runsMergedMax });
          assert.deepEqual(await collect(sorted), expected);
        },
      ),
      { numRuns: 200 },
    );
    assert.deepEqual(await readdir(directory), []);
  });

  it('keeps everything that is known of an object', async (t) => {
    const directory = await tempFolderFor(t, 'sort');
    const objects: readonly ObjectInfo[] = [
      { key: 'b', sizeBytes: 2 ** 40, md5: 'd41d8cd98f00b204e9800998ecf8427e', version: '"x-2"' },
      { key: 'a', sizeBytes: 0 },
      { key: 'half a pair \ud83d', sizeBytes: 1, version: 'line\nbreak' },
    ];
    const sorted = await collect(externallySorted(pagesOf(objects, 2), { directory, entriesInMemory: 1 }));
    assert.deepEqual(sorted, [objects[1], objects[0], objects[2]]);
  });

  it('holds few entries: 200,000 are sorted with 1,000 in memory, and the files are gone afterwards', async (t) => {
    const directory = await tempFolderFor(t, 'sort');
    const count = 200_000;
    const keys = shuffledKeys(count);
    let filesMax = 0;
    const pages = async function* (): AsyncGenerator<ListPage> {
      yield* pagesOf(objectsOf(keys), 1_000);
      const [folder] = await readdir(directory);
      filesMax = (await readdir(join(directory, folder ?? ''))).length;
    };
    let seen = 0;
    let previous = '';
    for await (const page of externallySorted(pages(), { directory, entriesInMemory: 1_000 })) {
      assert.ok(page.objects.length <= 1_000);
      for (const { key, sizeBytes } of page.objects) {
        assert.ok(compareUtf8(previous, key) < 0);
        assert.equal(keys[sizeBytes], key);
        previous = key;
        seen += 1;
      }
    }
    assert.equal(seen, count);
    assert.equal(filesMax, 200, 'what did not fit in memory lay on disk');
    assert.deepEqual(await readdir(directory), []);
  });

  it('writes nothing to disk when everything fits in memory', async (t) => {
    const directory = await tempFolderFor(t, 'sort');
    const sorted = externallySorted(pagesOf(objectsOf(shuffledKeys(5_000)), 1_000), { directory });
    for await (const page of sorted) {
      assert.equal(page.objects.length, 1_000);
      assert.deepEqual(await readdir(directory), []);
    }
  });

  it('removes its files when the listing fails, when the caller leaves early, and when a run is damaged', async (t) => {
    const directory = await tempFolderFor(t, 'sort');
    const options = { directory, entriesInMemory: 10 };
    const objects = objectsOf(shuffledKeys(5_000));
    const reason = new Error('the backend is gone');
    const failing = async function* (): AsyncGenerator<ListPage> {
      yield* pagesOf(objects, 100);
      assert.equal((await readdir(directory)).length, 1);
      throw reason;
    };
    await assert.rejects(collect(externallySorted(failing(), options)), reason);
    assert.deepEqual(await readdir(directory), []);

    for await (const page of externallySorted(pagesOf(objects, 100), options)) {
      assert.equal(page.objects.length, 1_000);
      break;
    }
    assert.deepEqual(await readdir(directory), []);

    const damaging = async function* (): AsyncGenerator<ListPage> {
      yield* pagesOf(objects, 100);
      const [folder] = await readdir(directory);
      await truncate(join(directory, folder ?? '', 'run-3'), 53);
    };
    await assert.rejects(collect(externallySorted(damaging(), options)), (error) => {
      assert.ok(error instanceof BlobferryError);
      assert.match(error.message, /Cannot sort the listing in ".*": Temporary file .* of 10 entries/);
      return true;
    });
    assert.deepEqual(await readdir(directory), []);
  });

  it('says where it could not write, and what to do', async (t) => {
    const directory = join(await tempFolderFor(t, 'sort'), 'missing');
    const sorted = () =>
      collect(externallySorted(pagesOf(objectsOf(['b', 'a']), 1), { directory, entriesInMemory: 1 }));
    await assert.rejects(sorted(), (error) => {
      assert.ok(error instanceof BlobferryError && error.hint?.includes('TMPDIR'));
      assert.match(error.message, /ENOENT/);
      return true;
    });
    await mkdir(directory, constants.S_IRWXU);
    assert.deepEqual(
      (await sorted()).map(({ key }) => key),
      ['a', 'b'],
    );
  });

  it('refuses a listing with groups, which it would lose', async () => {
    const pages = async function* (): AsyncGenerator<ListPage> {
      yield { objects: [], prefixes: ['a/'] };
    };
    await assert.rejects(collect(externallySorted(pages())), TypeError);
  });
});
