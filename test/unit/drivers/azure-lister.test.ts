/** Listings that begin behind a key, over services that begin at a name, that do not, and that do so wrongly. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { planShards } from '../../../src/coordinator/plan-shards.ts';
import { findBorder } from '../../../src/copy/find-border.ts';
import type { Shard } from '../../../src/copy/shard.ts';
import { listShard } from '../../../src/copy/shard-range.ts';
import { compareUtf8 } from '../../../src/core/byte-order.ts';
import { isStorageError, StorageError } from '../../../src/core/errors.ts';
import { UploadMarks } from '../../../src/drivers/azure/azure-block-ids.ts';
import { AzureLister, type PageBegin } from '../../../src/drivers/azure/azure-lister.ts';
import type { AzureListPage } from '../../../src/drivers/azure/azure-listing.ts';
import { azureFacts } from '../../../src/drivers/azure/azure-object.ts';
import type { ListPage, ListQuery, StorageDriver } from '../../../src/drivers/driver.ts';
import type { AzureSpec } from '../../../src/drivers/spec.ts';
import { distributionLayout } from '../../../src/layout/distribution.ts';
import { blobPath, layerLinkPath, tagPath } from '../copy/registry-names.ts';

const CTX = { signal: new AbortController().signal };
const CALL = { backend: 'azure://account/container', operation: 'list' };

const STORAGE: AzureSpec = {
  kind: 'azure',
  accountName: 'account',
  container: 'container',
  endpoint: 'http://127.0.0.1',
  rootDirectory: '',
  hasSlashRoot: false,
  access: { type: 'shared-key', accountKey: '' },
  skipsTlsVerify: false,
};

/** How a service takes the name that a listing is to begin at. */
type Starts = 'at it' | 'ignored' | 'refused' | 'unavailable' | 'a key too late' | 'nowhere';

const byUtf16 = (left: string, right: string): number => (left < right ? -1 : left > right ? 1 : 0);

class Service {
  readonly #sorted: readonly string[];
  readonly #pageNames: number;
  readonly #order: (left: string, right: string) => number;
  starts: Starts;
  requests = 0;
  names = 0;

  constructor(keys: readonly string[], starts: Starts, { pageNames = 3, order = byUtf16 } = {}) {
    this.#sorted = [...new Set(keys)].sort(order);
    this.#pageNames = pageNames;
    this.#order = order;
    this.starts = starts;
  }

  page({ prefix, delimiter }: ListQuery, { marker, start }: PageBegin): AzureListPage {
    this.requests += 1;
    const isAsked = start !== undefined;
    if (isAsked && (this.starts === 'refused' || this.starts === 'unavailable')) throw refusal(this.starts);
    // A marker says how many entries were listed.
    const entries = this.#entries(prefix, delimiter, isAsked ? start : undefined);
    const from = Number(marker ?? 0);
    const listed = entries.slice(from, from + this.#pageNames);
    this.names += listed.length;
    const next = from + listed.length;
    return {
      objects: listed.filter((name) => !isFolder(name, delimiter)).map((key) => ({ key, sizeBytes: 1_000 })),
      prefixes: listed.filter((name) => isFolder(name, delimiter)),
      ...(next < entries.length ? { next: String(next) } : {}),
    };
  }

  #entries(prefix: string, delimiter: string | undefined, start: string | undefined): readonly string[] {
    const within = this.#sorted.filter((key) => key.startsWith(prefix));
    const grouped = within.map((key) => {
      const end = delimiter === undefined ? -1 : key.indexOf(delimiter, prefix.length);
      return end < 0 ? key : key.slice(0, end + 1);
    });
    const entries = [...new Set(grouped)];
    if (start === undefined || this.starts === 'ignored') return entries;
    if (this.starts === 'nowhere') return [];
    const at = entries.findIndex((name) => this.#order(name, start) >= 0);
    if (at < 0) return [];
    return entries.slice(this.starts === 'a key too late' ? at + 1 : at);
  }
}

function isFolder(name: string, delimiter: string | undefined): boolean {
  return delimiter !== undefined && name.endsWith(delimiter);
}

function refusal(why: 'refused' | 'unavailable'): StorageError {
  const isTransient = why === 'unavailable';
  const kind = isTransient ? 'unavailable' : 'unsupported';
  return new StorageError(why, { ...CALL, kind, isTransient, scope: 'object' });
}

function listerOf(service: Service): AzureLister {
  return new AzureLister({
    call: { ...CALL, service: 'a service', secrets: [] },
    marks: new UploadMarks(STORAGE),
    listOrder: 'bytes',
    page: async (_ctx, query, from) => service.page(query, from),
  });
}

async function keysOf(pages: AsyncIterable<ListPage>): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of pages) keys.push(...page.objects.map(({ key }) => key));
  return keys;
}

function expected(keys: readonly string[], { prefix, after = '', upTo }: ListQuery): readonly string[] {
  return [...new Set(keys)]
    .filter((key) => key.startsWith(prefix) && compareUtf8(key, after) > 0)
    .filter((key) => upTo === undefined || compareUtf8(key, upTo) <= 0)
    .sort(compareUtf8);
}

/** What lies behind `upTo` may be listed and is nobody's. */
function wanted(keys: readonly string[], { upTo }: ListQuery): readonly string[] {
  return keys.filter((key) => upTo === undefined || compareUtf8(key, upTo) <= 0);
}

const numbered = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `k/${String(index).padStart(6, '0')}`);

describe('a listing behind a key', () => {
  const KEY = fc
    .array(fc.constantFrom('a', 'b', 'c', '/', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{1f600}'), {
      minLength: 1,
      maxLength: 4,
    })
    .map((parts) => parts.join(''));
  const QUERY = fc.record({ prefix: fc.constantFrom('', 'a', 'a/', 'b'), ends: fc.tuple(KEY, KEY) });

  for (const [what, order] of [
    ['UTF-16', byUtf16],
    ['UTF-8', compareUtf8],
  ] as const) {
    for (const starts of ['at it', 'ignored', 'refused', 'a key too late', 'nowhere'] as const) {
      it(`is whole and in order where the service lists by ${what} and a name to begin at is taken: ${starts}`, async () => {
        await fc.assert(
          fc.asyncProperty(
            fc.array(KEY, { minLength: 8, maxLength: 60 }),
            fc.array(QUERY, { minLength: 4, maxLength: 8 }),
            fc.integer({ min: 1, max: 4 }),
            async (keys, queries, pageNames) => {
              const lister = listerOf(new Service(keys, starts, { pageNames, order }));
              for (const { prefix, ends } of queries) {
                const [after = '', upTo = ''] = ends.toSorted(compareUtf8);
                for (const query of [
                  { prefix, after },
                  { prefix, after, upTo },
                ]) {
                  const listed = await keysOf(lister.list(CTX, query));
                  assert.deepEqual(wanted(listed, query), expected(keys, query), JSON.stringify(query));
                }
              }
            },
          ),
          { numRuns: 100 },
        );
      });
    }
  }

  it('asks for what lies behind the key alone, once the service was seen to begin at a name', async () => {
    const keys = numbered(10_000);
    const service = new Service(keys, 'at it', { pageNames: 100 });
    const lister = listerOf(service);
    const query = { prefix: 'k/', after: 'k/009900' };
    assert.deepEqual(await keysOf(lister.list(CTX, query)), keys.slice(9_901));
    // One page and one that was asked for ahead, two to see that it does, and the one.
    assert.ok(service.requests <= 5, `${service.requests} requests`);
    service.requests = 0;
    assert.deepEqual(await keysOf(lister.list(CTX, query)), keys.slice(9_901));
    assert.equal(service.requests, 1);
  });

  for (const starts of ['ignored', 'refused', 'a key too late', 'nowhere'] as const) {
    it(`is no longer asked to begin at a name where that was ${starts}`, async () => {
      const keys = numbered(2_000);
      const service = new Service(keys, starts, { pageNames: 100 });
      const lister = listerOf(service);
      const query = { prefix: 'k/', after: 'k/001899' };
      for (let count = 0; count < 2; count += 1)
        assert.deepEqual(await keysOf(lister.list(CTX, query)), keys.slice(1_900));
      const before = service.requests;
      // It would be seen now, were it asked.
      if (starts !== 'a key too late') service.starts = 'at it';
      await keysOf(lister.list(CTX, query));
      assert.ok(service.requests - before >= 20, `${service.requests - before} requests`);
    });
  }

  it('fails for a passing reason that keeps it from being seen, and is seen by the next one', async () => {
    const keys = numbered(1_000);
    const service = new Service(keys, 'unavailable', { pageNames: 100 });
    const lister = listerOf(service);
    const query = { prefix: 'k/', after: 'k/000900' };
    await assert.rejects(keysOf(lister.list(CTX, query)), (error) => isStorageError(error, 'unavailable'));
    service.starts = 'at it';
    for (let count = 0; count < 2; count += 1)
      assert.deepEqual(await keysOf(lister.list(CTX, query)), keys.slice(901));
    service.requests = 0;
    await keysOf(lister.list(CTX, query));
    assert.equal(service.requests, 1);
  });
});

/** As it is when half of it was given away. */
function halved(shard: Shard): readonly Shard[] {
  const { borders = [], range } = shard;
  const border = borders[Math.floor(borders.length / 2)];
  if (border === undefined) return [shard];
  return [
    { ...shard, range: { ...range, upTo: border } },
    { ...shard, range: { ...range, after: border } },
  ];
}

describe('the listings of a copy', () => {
  const PAGE_NAMES = 500;
  const keys = [
    ...Array.from({ length: 12_000 }, (_, index) => blobPath(`blob ${index}`)),
    ...Array.from({ length: 8_000 }, (_, index) => layerLinkPath(`org/app-${index % 40}`, `blob ${index}`)),
    ...Array.from({ length: 200 }, (_, index) => tagPath(`org/app-${index % 40}`, `v${index}`)),
  ];

  function driverOf(service: Service): StorageDriver {
    const lister = listerOf(service);
    const list = (_: unknown, query: ListQuery) => lister.list(CTX, query);
    // Nothing else is asked of it.
    return { facts: azureFacts('flat'), list } as unknown as StorageDriver;
  }

  it('take as many requests as there are pages and ranges, halves that were given away too, and list little twice', async () => {
    const service = new Service(keys, 'at it', { pageNames: PAGE_NAMES });
    const driver = driverOf(service);
    for (const phase of ['blobs', 'names'] as const) {
      const input = { driver, keyPrefix: '', layout: distributionLayout, threads: 2 };
      const shards = (await planShards(CTX, input, phase)).flatMap(halved);
      const own = keys.filter(
        (key) => distributionLayout.blobPrefixes.some((one) => key.startsWith(one)) === (phase === 'blobs'),
      );
      [service.requests, service.names] = [0, 0];
      const listed: string[] = [];
      for (const shard of shards) {
        const { pages } = listShard(CTX, driver, {
          shard,
          keyPrefix: '',
          isSorting: false,
          prune: () => false,
        });
        const { after = '', upTo } = shard.range;
        for (const key of await keysOf(pages))
          if (compareUtf8(key, after) > 0 && (upTo === undefined || compareUtf8(key, upTo) <= 0))
            listed.push(key);
      }
      const isOwn = new Set(own);
      assert.deepEqual(listed.filter((key) => isOwn.has(key)).sort(compareUtf8), own.toSorted(compareUtf8));
      // Each range ends inside a page; a few show that listings begin where they are told to.
      const extra = shards.length + 4;
      const requestsMax = Math.ceil(own.length / PAGE_NAMES) + extra;
      const what = `${phase}: ${service.requests} of ${requestsMax} requests, ${service.names} names`;
      assert.ok(service.requests <= requestsMax, what);
      assert.ok(service.names <= own.length + PAGE_NAMES * extra, what);
    }
  });

  it('find a border for what is given away in a few requests', async () => {
    const service = new Service(keys, 'at it', { pageNames: PAGE_NAMES });
    const driver = driverOf(service);
    const range = { prefix: 'docker/registry/v2/blobs/' };
    const search = {
      driver,
      keyPrefix: '',
      layout: distributionLayout,
      range,
      behind: 'docker/registry/v2/blobs/sha256/20',
    };
    assert.notEqual(await findBorder(CTX, search), undefined);
    assert.ok(service.requests <= 100, `${service.requests} requests`);
  });
});
