/** Listings decide what is copied and what is called equal: every key once, in order, with its size. */
import assert from 'node:assert/strict';
import { compareUtf8 } from '../../src/core/byte-order.ts';
import type { ListQuery } from '../../src/drivers/driver.ts';
import { assertRefused, bytesFor, type DriverCase, listAll, manyKeys, put, putKeys } from './case.ts';

/** In the order of their UTF-8 bytes. */
const ORDERED = [
  'a!',
  'a-b/x',
  'a.b/x',
  'a/b-c/d',
  'a/b.c',
  'a/b/c',
  'a/b0',
  'a/x',
  'a0',
  'a\u00e9/x',
  'a\u{1f600}/x',
  'ab',
  'ab-c/x',
  'abc',
  'b/\ud7ff',
  'b/\ue000',
  'b/\ufffd',
  'b/\u{10000}',
  'b/\u{1f600}',
].sort((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)));

/** What a listing of these keys must be, by the words of the port. */
function expectedListing(keys: readonly string[], query: ListQuery): { keys: string[]; prefixes: string[] } {
  const found = { keys: [] as string[], prefixes: [] as string[] };
  for (const key of [...keys].sort(compareUtf8)) {
    if (!key.startsWith(query.prefix)) continue;
    if (query.after !== undefined && compareUtf8(key, query.after) <= 0) continue;
    const cut = query.delimiter === undefined ? -1 : key.indexOf('/', query.prefix.length);
    if (cut < 0) found.keys.push(key);
    else if (found.prefixes.at(-1) !== key.slice(0, cut + 1)) found.prefixes.push(key.slice(0, cut + 1));
  }
  return found;
}

/** mulberry32: the same choices on every machine. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const NAMES = ['a', 'b', 'a-b', 'a.b', 'a0', 'ab', '\ufffd', '\u{1f600}', '\u00fc', 'A', '~', '!', ' '];

/** Keys that a folder tree can hold: none is a folder of another. */
function randomKeys(random: () => number): readonly string[] {
  const pick = () => NAMES[Math.floor(random() * NAMES.length)] ?? 'a';
  const keys = new Set<string>();
  for (let count = 0; count < 60; count += 1) {
    const key = Array.from({ length: 1 + Math.floor(random() * 4) }, pick).join('/');
    const clashes = [...keys].some((other) => other.startsWith(`${key}/`) || key.startsWith(`${other}/`));
    if (!clashes) keys.add(key);
  }
  return [...keys];
}

function randomQuery(random: () => number, keys: readonly string[]): ListQuery {
  const cutOf = () => {
    const key = keys[Math.floor(random() * keys.length)] ?? '';
    const points = [...key];
    return points.slice(0, Math.floor(random() * (points.length + 1))).join('');
  };
  const prefix = random() < 0.3 ? '' : cutOf();
  const after =
    random() < 0.5 ? undefined : random() < 0.5 ? keys[Math.floor(random() * keys.length)] : cutOf();
  const delimiter = random() < 0.4 ? '/' : undefined;
  return {
    prefix,
    // An empty start is no start, and where a group begins in its middle servers differ.
    ...(after === undefined || after === '' || delimiter !== undefined ? {} : { after }),
    ...(delimiter === undefined ? {} : { delimiter }),
  };
}

export const LISTING_CASES: readonly DriverCase[] = [
  {
    name: 'list() of empty storage, and of a prefix without keys, gives nothing',
    run: async (driver, ctx) => {
      assert.deepEqual((await listAll(driver, ctx)).keys, []);
      await putKeys(driver, ctx, ['some/key']);
      for (const prefix of ['other', 'some/key/', 'some/key2', 'some/kex', 'some/k/', 'other/deep/folder/']) {
        const flat = await listAll(driver, ctx, { prefix });
        assert.deepEqual([flat.keys, flat.prefixes], [[], []], `prefix "${prefix}"`);
        const grouped = await listAll(driver, ctx, { prefix, delimiter: '/' });
        assert.deepEqual([grouped.keys, grouped.prefixes], [[], []]);
      }
    },
  },
  {
    name: 'list() ascends by the UTF-8 bytes of whole keys',
    requires: ['byteOrder'],
    run: async (driver, ctx) => {
      await putKeys(driver, ctx, [...ORDERED].reverse());
      assert.deepEqual((await listAll(driver, ctx)).keys, ORDERED);
    },
  },
  {
    name: 'list() gives every key once with its size, over all pages',
    run: async (driver, ctx, { manyObjects, lacks }) => {
      const keys = manyKeys(manyObjects);
      await putKeys(driver, ctx, keys);
      const { pages, objects } = await listAll(driver, ctx);
      assert.ok(pages.length >= 3, `${manyObjects} objects fill more than two pages`);
      assert.deepEqual(
        objects.map(({ key, sizeBytes }) => [key, sizeBytes]).sort(),
        keys.map((key) => [key, Buffer.byteLength(key)]),
      );
      if (!lacks.includes('byteOrder'))
        assert.deepEqual(
          objects.map(({ key }) => key),
          keys,
        );
      assert.deepEqual(
        pages.flatMap((page) => page.prefixes),
        [],
      );
    },
  },
  {
    name: 'list() with a delimiter gives every group once, over all pages',
    run: async (driver, ctx, { manyObjects }) => {
      const keys = manyKeys(manyObjects);
      await putKeys(driver, ctx, [...keys, 'many/zz', 'other']);
      const groups = [...new Set(keys.map((key) => key.slice(0, -1)))];
      const below = await listAll(driver, ctx, { prefix: 'many/', delimiter: '/' });
      assert.deepEqual([...below.prefixes].sort(), groups);
      assert.deepEqual(below.keys, ['many/zz']);
      const top = await listAll(driver, ctx, { delimiter: '/' });
      assert.deepEqual([top.keys, top.prefixes], [['other'], ['many/']]);
    },
  },
  {
    name: 'list() gives the size and, where it has one, the MD5 of what was last written',
    run: async (driver, ctx) => {
      for (const sizeBytes of [10, 70_000, 0, 3]) {
        await put(driver, ctx, 'growing', bytesFor('growing', sizeBytes));
        const { objects } = await listAll(driver, ctx, { prefix: 'growing' });
        assert.deepEqual(
          objects.map((object) => object.sizeBytes),
          [sizeBytes],
        );
        assert.equal((await driver.stat(ctx, 'growing')).sizeBytes, sizeBytes);
      }
    },
  },
  {
    name: 'list() that is asked for tiers gives the same objects, none of them archived',
    run: async (driver, ctx) => {
      const keys = ['a-b', 'a/b-c', 'b/x'];
      await putKeys(driver, ctx, keys);
      const plain = await listAll(driver, ctx, { prefix: '' });
      const told = await listAll(driver, ctx, { prefix: '', tellsTier: true });
      assert.deepEqual(
        told.objects.map(({ tier: _, archived, ...object }) => ({ ...object, archived })),
        plain.objects.map((object) => ({ ...object, archived: undefined })),
      );
      assert.equal(told.objects.length, keys.length);
    },
  },
  {
    name: 'list() takes prefixes that end in the middle of a name, and prefixes that are a key',
    run: async (driver, ctx) => {
      const keys = ['p/aa', 'p/ab/x', 'p/ab/y', 'p/abc', 'p/abcd/z', 'p/b', 'pa', 'q/p/ab/x'];
      await putKeys(driver, ctx, keys);
      for (const prefix of ['p', 'p/', 'p/a', 'p/ab', 'p/ab/', 'p/ab/x', 'p/abc', 'p/abcd/', 'q']) {
        assert.deepEqual(
          [...(await listAll(driver, ctx, { prefix })).keys].sort(),
          keys.filter((key) => key.startsWith(prefix)).sort(),
          `prefix "${prefix}"`,
        );
      }
      const grouped = await listAll(driver, ctx, { prefix: 'p/ab', delimiter: '/' });
      assert.deepEqual([grouped.keys, grouped.prefixes], [['p/abc'], ['p/ab/', 'p/abcd/']]);
    },
  },
  {
    name: 'list() with after leaves out that key and all before it, whether it exists or not',
    requires: ['byteOrder'],
    run: async (driver, ctx) => {
      await putKeys(driver, ctx, ORDERED);
      const starts = [
        ...ORDERED,
        '!',
        'a',
        'a/',
        'a/b',
        'a/b/',
        'a/b/zzz',
        'a/zzz',
        'b',
        'b/',
        'c',
        '\u{10ffff}',
      ];
      for (const after of starts) {
        for (const prefix of ['', 'a', 'a/', 'a/b', 'b/']) {
          const { keys } = await listAll(driver, ctx, { prefix, after });
          assert.deepEqual(
            keys,
            expectedListing(ORDERED, { prefix, after }).keys,
            `"${prefix}" after "${after}"`,
          );
        }
      }
    },
  },
  {
    name: 'list() with after and a delimiter begins behind it',
    requires: ['byteOrder'],
    run: async (driver, ctx) => {
      const keys = ['g/a', 'g/b/1', 'g/b/2', 'g/c', 'g/d/1', 'g/e'];
      await putKeys(driver, ctx, keys);
      for (const after of ['g/', 'g/a', 'g/aa', 'g/bb', 'g/c', 'g/dd', 'g/e']) {
        const query = { prefix: 'g/', after, delimiter: '/' } as const;
        const listed = await listAll(driver, ctx, query);
        const found = { keys: listed.keys, prefixes: listed.prefixes };
        assert.deepEqual(found, expectedListing(keys, query), `after "${after}"`);
      }
    },
  },
  {
    name: 'list() from the last key of any page goes on without a gap or a repetition',
    requires: ['byteOrder'],
    run: async (driver, ctx, { manyObjects }) => {
      const keys = manyKeys(manyObjects);
      await putKeys(driver, ctx, keys);
      const { pages } = await listAll(driver, ctx, { prefix: 'many/' });
      for (const page of pages) {
        const after = page.objects.at(-1)?.key;
        assert.ok(after !== undefined, 'no page without keys');
        const rest = await listAll(driver, ctx, { prefix: 'many/', after });
        assert.deepEqual(rest.keys, keys.slice(keys.indexOf(after) + 1));
      }
    },
  },
  {
    name: 'list() agrees with the words of the port for random keys and queries',
    requires: ['byteOrder'],
    run: async (driver, ctx) => {
      const random = seeded(20_261_123);
      const keys = randomKeys(random);
      await putKeys(driver, ctx, keys);
      for (let count = 0; count < 80; count += 1) {
        const query = randomQuery(random, keys);
        const listed = await listAll(driver, ctx, query);
        const found = { keys: listed.keys, prefixes: listed.prefixes };
        assert.deepEqual(found, expectedListing(keys, query), JSON.stringify(query));
      }
    },
  },
  {
    name: 'list() does not open folders that are pruned',
    requires: ['filePaths'],
    run: async (driver, ctx) => {
      const keys = ['n/a/1', 'n/b/2', 'n/b/c/3', 'n/b-c/4', 'n/d'];
      await putKeys(driver, ctx, keys);
      const asked: string[] = [];
      const prune = (folder: string) => {
        asked.push(folder);
        return folder === 'n/b/';
      };
      assert.deepEqual((await listAll(driver, ctx, { prune })).keys, ['n/a/1', 'n/b-c/4', 'n/d']);
      assert.deepEqual(asked.sort(), ['n/', 'n/a/', 'n/b-c/', 'n/b/']);
      const grouped = await listAll(driver, ctx, { prefix: 'n/', delimiter: '/', prune });
      assert.deepEqual([grouped.keys, grouped.prefixes], [['n/d'], ['n/a/', 'n/b-c/']]);
    },
  },
  {
    name: 'list() can be left after its first page',
    run: async (driver, ctx, { manyObjects }) => {
      await putKeys(driver, ctx, manyKeys(manyObjects));
      for await (const page of driver.list(ctx, { prefix: '' })) {
        assert.ok(page.objects.length > 0);
        break;
      }
      assert.equal((await listAll(driver, ctx)).keys.length, manyObjects);
    },
  },
  {
    name: 'what is listed can be looked at and read under the very key that was listed',
    run: async (driver, ctx) => {
      await putKeys(driver, ctx, ORDERED);
      for (const { key, sizeBytes } of (await listAll(driver, ctx)).objects) {
        assert.equal((await driver.stat(ctx, key)).sizeBytes, sizeBytes);
        const bytes = new Uint8Array(sizeBytes);
        await driver.read(ctx, key, bytes, { isWhole: true });
        assert.equal(Buffer.from(bytes).toString(), key);
      }
      await assertRefused(driver.stat(ctx, 'a/b'), driver, 'not-found', 'a/b');
    },
  },
];
