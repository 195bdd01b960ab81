/** Listings side by side: the same objects in the same order as of one listing, and never more at once than may be. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { listAhead } from '../../../src/copy/listing-ahead.ts';
import { ListingOutOfOrder, orderChecked } from '../../../src/copy/sorted-listing.ts';
import { compareUtf8 } from '../../../src/core/byte-order.ts';
import type { CallContext, ListPage, ListQuery, StorageDriver } from '../../../src/drivers/driver.ts';

interface Service {
  /** In the order in which it lists them. */
  readonly keys: readonly string[];
  readonly pageObjects: number;
  /** Ends a listing behind `upTo`, as the hint allows, and marks pages as the S3 driver does. */
  readonly takesHints: boolean;
  /** Turns of the event loop that the nth page of all takes. */
  readonly turnsOf: (page: number) => number;
  /** The nth page of all fails. */
  readonly failsAt?: number;
}

/** A service that counts what it is asked. */
class Counted {
  readonly queries: ListQuery[] = [];
  pages = 0;
  atOnce = 0;
  atOnceMax = 0;
  open = 0;
  readonly #service: Service;

  constructor(service: Service) {
    this.#service = service;
  }

  get driver(): StorageDriver {
    return {
      list: (ctx: CallContext, query: ListQuery) => this.#list(ctx, query),
    } as unknown as StorageDriver;
  }

  async *#list({ signal }: CallContext, query: ListQuery): AsyncGenerator<ListPage> {
    const { keys, pageObjects, takesHints, turnsOf, failsAt } = this.#service;
    this.queries.push(query);
    const { prefix, after, upTo } = query;
    const wanted = keys.filter(
      (key) => key.startsWith(prefix) && (after === undefined || compareUtf8(key, after) > 0),
    );
    this.open += 1;
    try {
      for (let at = 0; at === 0 || at < wanted.length; at += pageObjects) {
        this.pages += 1;
        this.atOnce += 1;
        this.atOnceMax = Math.max(this.atOnceMax, this.atOnce);
        const number = this.pages;
        for (let turns = turnsOf(number); turns > 0; turns -= 1) await turn();
        this.atOnce -= 1;
        signal.throwIfAborted();
        if (number === failsAt) throw new Error(`page ${number} failed`);
        const page = wanted.slice(at, at + pageObjects);
        const behind =
          takesHints && upTo !== undefined ? page.findIndex((key) => compareUtf8(key, upTo) > 0) : -1;
        const given = behind < 0 ? page : page.slice(0, behind);
        const isLast = takesHints && (behind >= 0 || at + pageObjects >= wanted.length);
        const objects = given.map((key) => ({ key, sizeBytes: key.length }));
        yield { objects, prefixes: [], ...(takesHints ? { isAscending: true, isLast } : {}) };
        if (isLast) return;
      }
    } finally {
      this.open -= 1;
    }
  }
}

/** A clock on which every look takes long: whoever reads seems to wait. */
function slowClock(msPerLook = 50): () => number {
  let ms = 0;
  return () => {
    ms += msPerLook;
    return ms;
  };
}

const CTX = { signal: new AbortController().signal };

async function keysOf(pages: AsyncIterable<ListPage>, upTo?: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { objects } of pages) keys.push(...objects.map(({ key }) => key));
  // A listing may go on behind its range; whoever joins it ends there.
  return upTo === undefined ? keys : keys.filter((key) => compareUtf8(key, upTo) <= 0);
}

const key = fc.oneof(
  fc.stringMatching(/^p\/[0-9a-f]{1,4}(\/[a-c]{0,2})?$/),
  fc.string({
    unit: fc.constantFrom('p', '/', 'a', 'b', '~', ' ', 'é', '\u{fffd}', '😀'),
    minLength: 1,
    maxLength: 5,
  }),
);
const mayBe = fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: key });
const world = fc.record({
  keys: fc.oneof(
    fc.uniqueArray(key, { minLength: 40, maxLength: 80 }),
    fc.uniqueArray(key, { maxLength: 40 }),
  ),
  borders: fc.uniqueArray(key, { maxLength: 12 }),
  pageObjects: fc.integer({ min: 1, max: 6 }),
  takesHints: fc.boolean(),
  turns: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 20 }),
  prefix: fc.constantFrom('', '', 'p', 'p/', 'p/a'),
  after: mayBe,
  upTo: mayBe,
  lanesMax: fc.integer({ min: 1, max: 6 }),
  pagesMax: fc.integer({ min: 1, max: 6 }),
});

describe('listAhead()', () => {
  it('gives what one listing gives, in order, whatever the keys, borders, pages and delays', async () => {
    let several = 0;
    await fc.assert(
      fc.asyncProperty(world, async (given) => {
        const keys = given.keys.toSorted(compareUtf8);
        const borders = given.borders.toSorted(compareUtf8);
        const { prefix, after, upTo, turns, lanesMax, pagesMax } = given;
        const service = new Counted({
          ...given,
          keys,
          turnsOf: (page) => turns[page % turns.length] ?? 0,
        });
        const query = {
          prefix,
          ...(after === undefined ? {} : { after }),
          ...(upTo === undefined ? {} : { upTo }),
        };
        const options = { borders, lanesMax, pagesMax, now: slowClock() };
        const found = await keysOf(orderChecked(listAhead(CTX, service.driver, query, options)), upTo);
        const wanted = keys.filter(
          (one) =>
            one.startsWith(prefix) &&
            (after === undefined || compareUtf8(one, after) > 0) &&
            (upTo === undefined || compareUtf8(one, upTo) <= 0),
        );
        assert.deepEqual(found, wanted);
        assert.ok(
          service.atOnceMax <= Math.min(lanesMax, pagesMax + 1),
          `${service.atOnceMax} pages at once`,
        );
        assert.equal(service.open, 0, 'a listing was left open');
        if (service.queries.length > 1) several += 1;
      }),
      { numRuns: 1_500 },
    );
    assert.ok(several > 300, `only ${several} were made of several listings`);
  });

  const hex = Array.from(
    { length: 4_096 },
    (_, index) => `blobs/${index.toString(16).padStart(3, '0')}0/data`,
  );
  const sixteen = [...'123456789abcdef'].map((digit) => `blobs/${digit}`);
  const many = { keys: hex, pageObjects: 32, takesHints: true, turnsOf: () => 5 };

  it('asks for several pages at once while they are waited for, and for few that are not needed', async () => {
    const service = new Counted(many);
    const query = { prefix: 'blobs/' };
    const found = await keysOf(listAhead(CTX, service.driver, query, { borders: sixteen, now: slowClock() }));
    assert.deepEqual(found, hex);
    assert.ok(service.atOnceMax >= 5, `${service.atOnceMax} pages at once`);
    assert.ok(service.pages < (4_096 / 32) * 1.6, `${service.pages} pages instead of ${4_096 / 32}`);
  });

  it('finds places between two borders, and without any, where the range is long', async () => {
    for (const borders of [['blobs/8'], []]) {
      const service = new Counted(many);
      const query = { prefix: 'blobs/', after: 'blobs/0', upTo: 'blobs/f' };
      const found = await keysOf(listAhead(CTX, service.driver, query, { borders, now: slowClock() }));
      assert.deepEqual(
        found,
        hex.filter((one) => one > 'blobs/0' && one <= 'blobs/f'),
      );
      assert.ok(service.atOnceMax >= 4, `${service.atOnceMax} pages at once`);
    }
  });

  it('is one listing where nobody waits, and where the first page is all there is', async () => {
    const service = new Counted(many);
    const query = { prefix: 'blobs/' };
    await keysOf(listAhead(CTX, service.driver, query, { borders: sixteen, now: () => 0 }));
    assert.deepEqual(service.queries, [query]);
    const small = new Counted({ ...many, keys: hex.slice(0, 10) });
    await keysOf(listAhead(CTX, small.driver, query, { borders: sixteen, now: slowClock() }));
    assert.deepEqual(small.queries, [query]);
  });

  it('begins with as many listings as the one before was worth, once it knows that there is more than a page', async () => {
    const pace = { lanes: 1 };
    const query = { prefix: 'blobs/' };
    const options = { borders: sixteen, pace, now: slowClock() };
    await keysOf(listAhead(CTX, new Counted(many).driver, query, options));
    assert.ok(pace.lanes >= 4, `${pace.lanes} listings`);
    const second = new Counted(many);
    const pages = listAhead(CTX, second.driver, query, { ...options, now: () => 0 });
    await pages.next();
    assert.equal(second.queries.length, pace.lanes);
    assert.deepEqual(await keysOf(pages), hex.slice(32));
    assert.ok(pace.lanes < 4, 'nobody waited, and there are as many');
    const small = new Counted({ ...many, keys: hex.slice(0, 10) });
    await keysOf(listAhead(CTX, small.driver, query, { ...options, pace: { lanes: 8 } }));
    assert.deepEqual(small.queries, [query]);
  });

  it('holds no more pages than may be, whoever reads them slowly', async () => {
    const service = new Counted(many);
    const pagesMax = 5;
    const pages = listAhead(
      CTX,
      service.driver,
      { prefix: 'blobs/' },
      { borders: sixteen, pagesMax, now: slowClock() },
    );
    let taken = 0;
    for await (const { objects } of pages) {
      taken += 1;
      assert.ok(objects.length > 0 || taken > 0);
      for (let turns = 0; turns < 40; turns += 1) await turn();
      // Beside what was taken, the page that is read next may be there; pages behind a border are taken as well.
      assert.ok(service.pages - taken <= pagesMax + 1, `${service.pages - taken} pages are held`);
    }
    assert.ok(taken >= 4_096 / 32);
  });

  it('gives all that came before a page that fails, then the failure, and ends every listing', async () => {
    for (const failsAt of [1, 2, 5, 20]) {
      const service = new Counted({ ...many, failsAt });
      const found: string[] = [];
      const read = async (): Promise<void> => {
        const pages = listAhead(
          CTX,
          service.driver,
          { prefix: 'blobs/' },
          { borders: sixteen, now: slowClock() },
        );
        for await (const { objects } of pages) found.push(...objects.map((object) => object.key));
      };
      await assert.rejects(read(), { message: `page ${failsAt} failed` });
      assert.deepEqual(found, hex.slice(0, found.length));
      assert.equal(service.open, 0);
    }
  });

  it('ends every listing when its reader leaves early, or when it is aborted', async () => {
    const service = new Counted(many);
    for await (const _ of listAhead(
      CTX,
      service.driver,
      { prefix: 'blobs/' },
      { borders: sixteen, now: slowClock() },
    ))
      if (service.queries.length > 3) break;
    assert.equal(service.open, 0);
    const { pages } = service;
    for (let turns = 0; turns < 20; turns += 1) await turn();
    assert.equal(service.pages, pages, 'more was asked for afterwards');

    const cancel = new AbortController();
    const aborted = listAhead(
      cancel,
      service.driver,
      { prefix: 'blobs/' },
      { borders: sixteen, now: slowClock() },
    );
    await aborted.next();
    cancel.abort(new Error('stopped'));
    await assert.rejects(async () => void (await keysOf(aborted)), { message: 'stopped' });
    assert.equal(service.open, 0);
  });

  it('shows a listing out of order to whoever checks it', async () => {
    const keys = [...hex.slice(0, 700), ...hex.slice(800, 810).reverse(), ...hex.slice(810)];
    for (const pageObjects of [3, 32, 1_000]) {
      const service = new Counted({ ...many, keys, pageObjects, takesHints: false });
      const pages = listAhead(
        CTX,
        service.driver,
        { prefix: 'blobs/' },
        { borders: sixteen, now: slowClock() },
      );
      await assert.rejects(keysOf(orderChecked(pages)), ListingOutOfOrder);
    }
  });
});
