/** Servers that list as one walks through folders: all of `a/` before `a-b/`, and `start-after` by that order, too. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { listAhead } from '../../../src/copy/listing-ahead.ts';
import { ListingLane } from '../../../src/copy/listing-lane.ts';
import { listShard } from '../../../src/copy/shard-range.ts';
import { ListingOutOfOrder, orderChecked } from '../../../src/copy/sorted-listing.ts';
import { compareUtf8 } from '../../../src/core/byte-order.ts';
import type { CallContext, ListPage, ListQuery, StorageDriver } from '../../../src/drivers/driver.ts';
import { prefetchedPages } from '../../../src/drivers/paging.ts';
import { type CopyWorld, inWorld } from './copy-world.ts';
import { layerLinkPath, linkText, otherPath, tagPath } from './registry-names.ts';

const PAGE_OBJECTS = 7;

function compareAsFolders(left: string, right: string): number {
  const [ours, theirs] = [left.split('/'), right.split('/')];
  for (const [at, one] of ours.entries()) {
    const other = theirs[at];
    if (other === undefined) return 1;
    if (one !== other) return compareUtf8(one, other);
  }
  return ours.length - theirs.length;
}

interface Fetched {
  readonly page: ListPage;
  readonly next?: string;
}

function pageOf(keys: readonly string[], query: ListQuery, token: string | undefined): Fetched {
  const { prefix, delimiter, upTo } = query;
  const from = token ?? query.after;
  const all = keys.filter((key) => key.startsWith(prefix)).sort(compareAsFolders);
  if (delimiter !== undefined) {
    const folders = all.map((key) => key.slice(0, key.indexOf(delimiter, prefix.length) + 1));
    return { page: { objects: [], prefixes: [...new Set(folders)].filter((folder) => folder !== '') } };
  }
  const left = from === undefined ? all : all.filter((key) => compareAsFolders(key, from) > 0);
  const page = left.slice(0, PAGE_OBJECTS);
  const isAscending = page.every((key, at) => at === 0 || compareUtf8(page[at - 1] ?? '', key) < 0);
  // As drivers do: a page that ascends and reaches behind the range is the last one.
  const within = isAscending && upTo !== undefined ? page.filter((key) => compareUtf8(key, upTo) <= 0) : page;
  const objects = within.map((key) => ({ key, sizeBytes: 71 }));
  const behind = page[within.length];
  if (behind !== undefined) return { page: { objects, prefixes: [], behind } };
  const next = page.at(-1);
  if (next === undefined || left.length === page.length) return { page: { objects, prefixes: [] } };
  return { page: { objects, prefixes: [] }, next };
}

function listedAsFolders(driver: StorageDriver, keys: () => readonly string[]): StorageDriver {
  const list = (_: CallContext, query: ListQuery) =>
    prefetchedPages(query, { backend: driver.name, operation: 'list' }, async (token) =>
      pageOf(keys(), query, token),
    );
  return new Proxy(driver, {
    get: (target, name) => {
      if (name === 'list') return list;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

async function inSuchAWorld(test: (world: CopyWorld) => Promise<void>): Promise<void> {
  let made: CopyWorld | undefined;
  const wrap = (driver: StorageDriver): StorageDriver =>
    driver.name.includes('source-')
      ? listedAsFolders(driver, () => [...(made?.source.keys() ?? [])])
      : driver;
  await inWorld({ threads: 1, wrap }, async (world) => {
    made = world;
    await test(world);
  });
}

const WHOLE: ListQuery = { prefix: '' };
const NAMES = Array.from({ length: 24 }, (_, at) => `r${String(at).padStart(2, '0')}`);

describe('A source that lists as one walks through folders', { timeout: 60_000 }, () => {
  it('is copied whole where a border would lie between two names that it has in another order', async () => {
    for (const twin of NAMES) {
      await inSuchAWorld(async (world) => {
        for (const name of [...NAMES, `${twin}-x`]) {
          world.put(layerLinkPath(name, 'one'), linkText('one'));
          world.put(tagPath(name, 'v1'), linkText('one'));
        }
        await world.pass();
        assert.deepEqual([...world.target.keys()].sort(), [...world.source.keys()].sort());
        const total = 2 * (NAMES.length + 1);
        assert.equal(world.counters.objects('copied'), total);
        assert.equal(world.counters.count('listedSource'), total);
        assert.ok(world.counters.count('sortedShards') > 0);
      });
    }
  });

  it('is noticed by what comes before the range behind what lies in it', async () => {
    await inSuchAWorld(async (world) => {
      world.put(layerLinkPath('a-b', 'one'), linkText('one'));
      // So many that the other one comes with the next page.
      for (let at = 0; at < PAGE_OBJECTS; at += 1) world.put(layerLinkPath('a', `${at}`), linkText(`${at}`));
      const after = otherPath('a/');
      const shard = { id: 'names-1', phase: 'names', range: { prefix: '', after } } as const;
      const outcome = await world.shard(shard);
      assert.equal(outcome.stoppedBy, undefined);
      assert.match(outcome.warnings.join(), /out of order.*sorts its listings first/);
    });
  });

  it('is sorted as a whole, whatever lies behind the beginning of the range for the server', async () => {
    await inSuchAWorld(async (world) => {
      const paths = ['a', 'a-b', 'b'].map((name) => world.put(layerLinkPath(name, 'one'), linkText('one')));
      const [a, ab] = paths;
      assert.ok(a !== undefined && ab !== undefined);
      const { pages } = listShard(world.ctx, world.ctx.source, {
        shard: { id: 'names-1', phase: 'names', range: { prefix: '', after: ab, upTo: a } },
        keyPrefix: '',
        isSorting: true,
        prune: () => false,
      });
      const found: string[] = [];
      for await (const { objects } of pages) found.push(...objects.map(({ key }) => key));
      assert.deepEqual(found, [a]);
    });
  });

  for (const takesHints of [true, false]) {
    it(`is noticed where listings side by side meet, which ${takesHints ? 'end' : 'do not end'} where they are told to`, async () => {
      for (const [at, twin] of [...NAMES, ...NAMES, ...NAMES, ...NAMES].entries()) {
        const objects = 1 + ((at * 7) % 13);
        const keys = [...NAMES, `${twin}-x`].flatMap((name) =>
          Array.from({ length: objects }, (_, number) => `org/${name}/_layers/${number}`),
        );
        const every4th = NAMES.filter((_, number) => number % 4 === at % 4);
        const borders = every4th.map((name) => `org/${name}${at % 5 === 0 ? '-x/' : ''}`);
        const list: StorageDriver['list'] = (_, query) =>
          prefetchedPages(query, { backend: 'source', operation: 'list' }, async (token) => {
            const { upTo: _upTo, ...whole } = query;
            return pageOf(keys, takesHints ? query : whole, token);
          });
        let nowMs = 0;
        const pages = listAhead({ signal: new AbortController().signal }, { list } as StorageDriver, WHOLE, {
          borders,
          pace: { lanes: 6 },
          // Each page is long in coming.
          now: () => {
            nowMs += 50;
            return nowMs;
          },
        });
        await assert.rejects(async () => {
          for await (const _ of orderChecked(pages));
        }, ListingOutOfOrder);
      }
    });
  }

  it('is asked where it goes on behind a border, whoever cuts off what lies there', async () => {
    const cut = { objects: [{ key: 'a', sizeBytes: 1 }], prefixes: [], behind: 'd', isLast: true };
    const whole = { objects: ['a', 'd'].map((key) => ({ key, sizeBytes: 1 })), prefixes: [] };
    for (const page of [cut, whole]) {
      const pages = (async function* one() {
        yield page;
      })();
      const lane = new ListingLane(pages, { after: undefined, border: 'c', onPage: () => undefined });
      await lane.fetch();
      assert.deepEqual(
        lane.take()?.objects.map(({ key }) => key),
        ['a'],
      );
      assert.equal(lane.behind, 'd');
    }
  });

  it('is told from one whose listing of folders broke off and began anew', async () => {
    await inWorld({ threads: 1 }, async (world) => {
      for (const name of NAMES) world.put(layerLinkPath(name, 'one'), linkText('one'));
      const { list } = world.sourceDriver;
      world.sourceDriver.list = async function* again(ctx, query) {
        for await (const page of list.call(world.sourceDriver, ctx, query)) {
          yield { ...page, prefixes: [...page.prefixes, ...page.prefixes] };
        }
      };
      const shards = await world.plan('names');
      assert.ok(shards.length > 2);
      assert.ok(shards.every(({ isUnsorted }) => !isUnsorted));
    });
  });
});
