import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Joined, joinListings, type Listing } from '../../../src/copy/join.ts';
import type { ListPage } from '../../../src/drivers/driver.ts';

/** Byte order, said independently of the code under test. */
function byBytes(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}

/** A listing that remembers how it was used. */
class Side {
  pagesAsked = 0;
  isClosed = false;
  readonly #keys: readonly string[];
  readonly #cuts: readonly number[];
  readonly #prefix: string;

  /** @param cuts objects in each page, in turn; 0 is an empty page. */
  constructor(paths: readonly string[], cuts: readonly number[], prefix: string) {
    this.#keys = [...paths].sort(byBytes).map((path) => prefix + path);
    this.#cuts = cuts;
    this.#prefix = prefix;
  }

  listing(upTo?: string): Listing {
    return { pages: this.#pages(), keyPrefix: this.#prefix, upTo };
  }

  async *#pages(): AsyncGenerator<ListPage> {
    try {
      let at = 0;
      for (let page = 0; at < this.#keys.length || page < this.#cuts.length; page += 1) {
        this.pagesAsked += 1;
        const count = this.#cuts[page] ?? 3;
        const keys = this.#keys.slice(at, at + count);
        at += count;
        yield { objects: keys.map((key) => ({ key, sizeBytes: Buffer.byteLength(key) })), prefixes: [] };
      }
    } finally {
      this.isClosed = true;
    }
  }
}

async function collect(source: Listing, target: Listing): Promise<Joined[]> {
  const all: Joined[] = [];
  for await (const batch of joinListings(source, target)) all.push(...batch);
  return all;
}

/** Characters on both sides of `/`, of `~`, and of the place where UTF-16 order and byte order part. */
const character = fc.constantFrom(
  ...['a', 'b', '/', '-', '.', '_', '~', '0', 'é', '\u{d7ff}', '\u{e000}', '\u{fffd}', '\u{10000}', '😀'],
);
const path = fc.string({ unit: character, minLength: 1, maxLength: 4 });
const pathSet = fc.uniqueArray(path, { maxLength: 30 });
const cuts = fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 8 });
const prefix = fc.constantFrom('', 'root/', '😀/deep/er/');

describe('joinListings()', () => {
  it('gives each source path up to the border once, in byte order, with what the target has there', async () => {
    const border = fc.option(path, { nil: undefined });
    await fc.assert(
      fc.asyncProperty(
        ...([pathSet, pathSet, cuts, cuts, prefix, prefix, border] as const),
        async (ours, theirs, ourCuts, theirCuts, ourPrefix, theirPrefix, upTo) => {
          const source = new Side(ours, ourCuts, ourPrefix);
          const target = new Side(theirs, theirCuts, theirPrefix);
          const joined = await collect(source.listing(upTo), target.listing(upTo));
          const expected = ours
            .filter((one) => upTo === undefined || byBytes(one, upTo) <= 0)
            .sort(byBytes)
            .map((one) => [one, ourPrefix + one, theirs.includes(one) ? theirPrefix + one : undefined]);
          assert.deepEqual(
            joined.map((one) => [one.path, one.source.key, one.target?.key]),
            expected,
          );
          assert.ok(source.isClosed && target.isClosed, 'a listing was left open');
        },
      ),
      { numRuns: 500 },
    );
  });

  it('pairs paths whose order in bytes is not that of UTF-16 units', async () => {
    const source = new Side(['\u{fffd}', '😀', 'a'], [1, 1, 1], '');
    const joined = await collect(source.listing(), new Side(['😀', 'a'], [1, 1], '').listing());
    assert.deepEqual(
      joined.map((one) => [one.path, one.target?.key]),
      [
        ['a', 'a'],
        ['\u{fffd}', undefined],
        ['😀', '😀'],
      ],
    );
  });

  it('asks for no page behind the one in which the border lies', async () => {
    const paths = Array.from({ length: 90 }, (_, index) => `k${String(index).padStart(2, '0')}`);
    const cut = Array.from({ length: 9 }, () => 10);
    const source = new Side(paths, cut, '');
    const target = new Side(paths, cut, '');
    const joined = await collect(source.listing('k14'), target.listing('k14'));
    assert.equal(joined.length, 15);
    assert.deepEqual([source.pagesAsked, target.pagesAsked], [2, 2]);
    assert.ok(source.isClosed && target.isClosed);
  });

  it('reads no more of the target than the source reaches', async () => {
    const target = new Side(['a', 'b', 'c', 'd', 'e', 'f'], [1, 1, 1, 1, 1, 1], '');
    const joined = await collect(new Side(['b'], [1], '').listing(), target.listing());
    assert.equal(joined[0]?.target?.key, 'b');
    assert.equal(joined.length, 1);
    assert.ok(target.pagesAsked <= 2, `${target.pagesAsked} pages were asked for`);
    assert.ok(target.isClosed);
  });

  it('gives the first objects before the source has listed its second page', async () => {
    const source = new Side(['a', 'b', 'c'], [2, 1], '');
    const batches = joinListings(source.listing(), new Side([], [], '').listing());
    const first = await batches.next();
    assert.deepEqual(
      first.value?.map((one: Joined) => one.path),
      ['a', 'b'],
    );
    assert.equal(source.pagesAsked, 1);
    await batches.return(undefined);
    assert.ok(source.isClosed);
  });

  it('passes on the failure of either side and closes the other', async () => {
    async function* failing(): AsyncGenerator<ListPage> {
      yield { objects: [{ key: 'a', sizeBytes: 1 }], prefixes: [] };
      throw new Error('the listing broke');
    }
    const broken = (): Listing => ({ pages: failing(), keyPrefix: '', upTo: undefined });
    const left = new Side(['a', 'b'], [1, 1], '');
    await assert.rejects(collect(left.listing(), broken()), /the listing broke/);
    assert.ok(left.isClosed);
    const right = new Side(['a', 'b'], [1, 1], '');
    await assert.rejects(collect(broken(), right.listing()), /the listing broke/);
    assert.ok(right.isClosed);
  });
});
