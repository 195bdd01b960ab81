/** Shards that give some of themselves away while they run: nothing is lost, nothing is done twice. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as settled } from 'node:timers/promises';
import fc from 'fast-check';
import type { WorkerReport } from '../../../src/copy/shard.ts';
import type { ListQuery, StorageDriver } from '../../../src/drivers/driver.ts';
import { distributionLayout } from '../../../src/layout/distribution.ts';
import { rawLayout } from '../../../src/layout/raw.ts';
import { type Effect, type Fault, fails, Gate } from '../../support/fault-driver.ts';
import { type CopyWorld, inWorld, type WorldOptions } from './copy-world.ts';
import { figures } from './figures.ts';
import { blobPath, layerLinkPath, linkText, otherPath, revisionLinkPath, tagPath } from './registry-names.ts';
import { SharingWorld } from './sharing-world.ts';

interface Entry {
  readonly path: string;
  readonly text: string;
  readonly is: 'new' | 'equal' | 'extra' | 'unreadable' | 'wrong';
}

const FLAT = ['é', '~', 'key-', ' ', '🚢', '🃏'];

const entry: fc.Arbitrary<Entry> = fc
  .record({
    repository: fc.constantFrom('a', 'a/b', 'a/0', 'b', 'lib/x', 'z'),
    kind: fc.constantFrom('layer', 'layer', 'revision', 'tag', 'other', 'upload', 'blob', 'blob', 'flat'),
    number: fc.integer({ min: 0, max: 40 }),
    is: fc.constantFrom<Entry['is']>(
      ...(['new', 'new', 'new', 'equal', 'extra', 'unreadable', 'wrong'] as const),
    ),
  })
  .map(({ repository, kind, number, is }) => {
    const content = `content ${number}`;
    if (kind === 'layer') return { path: layerLinkPath(repository, content), text: linkText(content), is };
    if (kind === 'revision')
      return { path: revisionLinkPath(repository, content), text: linkText(content), is };
    if (kind === 'tag') return { path: tagPath(repository, `v${number}`), text: linkText(content), is };
    const text = content.padEnd(number % 7 === 0 ? 9_000 : 20, '.');
    if (kind === 'blob') return { path: blobPath(text), text, is };
    if (kind === 'flat')
      return { path: `${FLAT[number % FLAT.length]}${number}${number % 3 === 0 ? '🚢' : ''}`, text, is };
    const folder = kind === 'upload' ? `_uploads/${number}/data` : `note ${number}`;
    return { path: otherPath(`${repository}/${folder}`), text, is };
  });

const tree = fc
  .array(entry, { minLength: 1, maxLength: 150, size: 'max' })
  .map((entries) => [...new Map(entries.map((one) => [one.path, one])).values()]);

const options: fc.Arbitrary<WorldOptions> = fc
  .record({
    isFrozen: fc.boolean(),
    layout: fc.constantFrom(distributionLayout, distributionLayout, rawLayout),
    concurrency: fc.constantFrom(1, 1, 2, 4),
    cursorObjects: fc.integer({ min: 1, max: 6 }),
    lookAheadBytes: fc.constantFrom(0, 0, 0, 1024 ** 2),
    worthBytes: fc.constantFrom(0, 0, 200_000),
    extrasMax: fc.constantFrom(undefined, undefined, 2, 100),
    source: fc.record({ pageObjectsMax: fc.constantFrom(1, 2, 7), asksBeforeFolders: fc.boolean() }),
    target: fc.record({ pageObjectsMax: fc.constantFrom(3, 1000) }),
  })
  .map(({ extrasMax, ...rest }) => (extrasMax === undefined ? rest : { ...rest, extrasMax }));

function isWrong({ is, path }: Entry): boolean {
  return is === 'wrong' && path.endsWith('/link') && !path.includes('/tags/');
}

function faultsOf(entries: readonly Entry[], { layout }: WorldOptions): readonly Fault[] {
  const isRead = ({ path }: Entry) => !layout?.leavesOut(path, 1) && !path.includes('/tags/');
  return entries
    .filter((one) => one.is === 'unreadable' && isRead(one))
    .map(({ path }) => ({ on: 'read', key: path, times: 'always', does: fails('denied') }));
}

function fill(world: CopyWorld, entries: readonly Entry[]): void {
  for (const one of entries) {
    if (one.is !== 'extra') world.put(one.path, isWrong(one) ? linkText('something else') : one.text);
    if (one.is === 'equal' || one.is === 'extra') world.putTarget(one.path, one.text);
  }
}

/**
 * Each read takes a few turns, so that a shard is not over before somebody can ask for some of it.
 * @param onList told what a listing is asked for.
 */
function slow(driver: StorageDriver, onList: (query: ListQuery) => void): StorageDriver {
  const read: StorageDriver['read'] = async (ctx, key, into, readOptions) => {
    for (let turn = 0; turn < 4; turn += 1) await settled();
    return driver.read(ctx, key, into, readOptions);
  };
  const list: StorageDriver['list'] = (ctx, query) => {
    onList(query);
    return driver.list(ctx, query);
  };
  return new Proxy(driver, {
    get: (target, name) => {
      if (name === 'read') return read;
      if (name === 'list') return list;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

interface Found {
  readonly figures: Readonly<Record<string, number>>;
  readonly exceptions: readonly string[];
  readonly keys: readonly string[];
  readonly extras: number;
}

function found(world: CopyWorld, sharing: SharingWorld): Found {
  const all = sharing.outcomes;
  return {
    figures: figures(sharing.counters),
    exceptions: all
      .flatMap(({ exceptions }) => exceptions.map(({ state, path }) => `${state} ${path}`))
      .sort(),
    keys: [...world.target.keys()].sort(),
    extras: all.reduce(
      (sum, one) => sum + one.extras.length + (one.extrasUnnamed ?? 0) + (one.extrasKept ?? 0),
      0,
    ),
  };
}

/** In which order things were written, each of them once, tags last of their repository. */
function assertWritten(world: CopyWorld, isOnce: boolean): void {
  const keys = world.targetDriver.callsOf('write').map(({ key }) => key);
  if (isOnce) assert.equal(new Set(keys).size, keys.length, 'something was written twice');
  const { layout } = world.ctx;
  for (const [at, key] of keys.entries()) {
    const { repository, objectClass } = layout.classify(key);
    if (objectClass !== 'tag') continue;
    const late = keys.slice(at).find((other) => {
      const one = layout.classify(other);
      return one.repository === repository && one.objectClass !== 'tag' && !other.includes('/tags/');
    });
    assert.equal(late, undefined, `${key} came before ${late}`);
  }
}

async function reference(
  entries: readonly Entry[],
  given: WorldOptions,
  isOneShard: boolean,
): Promise<Found> {
  let result: Found | undefined;
  await inWorld({ ...given, sourceFaults: faultsOf(entries, given) }, async (world) => {
    fill(world, entries);
    const alone = new SharingWorld(world, { threads: 1, isOneShard });
    await alone.phase('blobs');
    await alone.phase('names');
    assert.deepEqual(alone.given, [], 'there was nobody to share with');
    result = found(world, alone);
  });
  assert.ok(result);
  return result;
}

describe('Shards that are shared while they run', () => {
  it('are copied as if they were not, whoever does it, and whenever threads die', async () => {
    const deaths = fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 2 });
    const given = { ranges: 0, objects: 0 };
    await fc.assert(
      fc.asyncProperty(
        tree,
        options,
        fc.integer({ min: 2, max: 5 }),
        deaths,
        fc.boolean(),
        async (entries, world, threads, diesAt, isOneShard) => {
          const expected = await reference(entries, world, isOneShard);
          const faults = { sourceFaults: faultsOf(entries, world) };
          const asked: ListQuery[] = [];
          const wrap = (driver: StorageDriver) => slow(driver, (query) => asked.push(query));
          await inWorld({ ...world, ...faults, wrap }, async (one) => {
            fill(one, entries);
            const shared = new SharingWorld(one, {
              threads,
              deaths: diesAt,
              isOneShard,
            });
            await shared.phase('blobs');
            await shared.phase('names');
            for (const { range } of shared.given)
              given[range.prefix === range.upTo ? 'objects' : 'ranges'] += 1;
            assert.deepEqual(found(one, shared), expected);
            assertWritten(one, diesAt.length === 0);
            // No request can hold half a character.
            const names = asked.flatMap(({ prefix, after = '' }) => [prefix, after]);
            assert.deepEqual(
              names.filter((name) => !name.isWellFormed()),
              [],
            );
          });
        },
      ),
      { numRuns: 80, endOnFailure: true },
    );
    // Or nothing of this was tried.
    assert.ok(given.ranges > 30 && given.objects > 30, `given away: ${JSON.stringify(given)}`);
  });

  it('do not come back to what was given away where their listing turns out to be out of order', async () => {
    const sizeBytes = 1024 ** 2;
    const gate = new Gate();
    const reversed: Effect = {
      onPage: (page) =>
        page.objects[0]?.key === 'small 2' ? { ...page, objects: [...page.objects].reverse() } : page,
    };
    const given: WorldOptions = {
      layout: rawLayout,
      concurrency: 1,
      partBytes: sizeBytes,
      slabBudgetBytes: 2 * sizeBytes,
      // What is not listed yet is worth less than this.
      worthBytes: sizeBytes,
      lookAheadBytes: 0,
      source: { pageObjectsMax: 5 },
      sourceFaults: [
        { on: 'read', key: 'large 0', does: gate.effect },
        { on: 'list', times: 'always', does: reversed },
      ],
    };
    await inWorld(given, async (world) => {
      const large = Array.from({ length: 4 }, (_, at) => `large ${at}`);
      for (const path of large) world.put(path, Buffer.alloc(sizeBytes, path));
      for (const path of ['small 1', 'small 2', 'small 3', 'small 4']) world.put(path, path);
      const reports: WorkerReport[] = [];
      let share: (() => Promise<void>) | undefined;
      const running = world.shard(
        { id: 'names-1', phase: 'names', range: { prefix: '' } },
        { report: (report) => void reports.push(report) },
        {
          onBegin: (one) => {
            share = one;
          },
        },
      );
      await gate.reached;
      await share?.();
      gate.open();
      const outcome = await running;
      assert.equal(outcome.stoppedBy, undefined);
      const objects = reports.flatMap((one) => (one.type === 'shared' ? one.given.objects : []));
      assert.ok(objects.length > 0, 'nothing was given away');
      for (const path of objects) world.assertAbsent(path);
      assert.equal(world.counters.objects('copied'), 8 - objects.length);
      assert.equal(world.counters.count('listedSource'), 8 - objects.length);
      assert.equal(world.counters.count('sortedShards'), 1);
    });
  });
});
