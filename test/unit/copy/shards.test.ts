/** Plans and shards together: whatever the tree of keys, each object is handled once and none is lost. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Shard } from '../../../src/copy/shard.ts';
import { compareUtf8 } from '../../../src/core/byte-order.ts';
import { distributionLayout } from '../../../src/layout/distribution.ts';
import type { Layout } from '../../../src/layout/layout.ts';
import { msrLayout } from '../../../src/layout/msr.ts';
import { rawLayout } from '../../../src/layout/raw.ts';
import { type CopyWorld, inWorld, type WorldOptions } from './copy-world.ts';
import { blobPath, layerLinkPath, linkText, revisionLinkPath, tagPath } from './registry-names.ts';

type Tree = ReadonlyMap<string, string>;

const V2 = 'docker/registry/v2/';
/** On both sides of `_`, of `~`, of a surrogate pair; some that no registry would allow. */
const COMPONENTS = [
  'a',
  'z',
  '0',
  'A',
  'a-b',
  'a.b',
  'a0',
  'library',
  '~x',
  'é',
  '😀',
  '_odd',
  '_',
  '\u{fffd}',
];
const ODD_KEYS = [
  'docker/registry/v2/blobs/',
  'docker/registry/v2/blobs/stray',
  'docker/registry/v2/blobs/~',
  'docker/registry/v2/blobs/~~/data',
  'docker/registry/v2/blobs/😀/data',
  'docker/registry/v2/blobs/sha256/stray',
  'docker/registry/v2/blobs/sha256/~~/stray',
  'docker/registry/v2/blobs',
  'docker/registry/v2/blobs-old/data',
  'docker/registry/v2/blobs0',
  'docker/registry/v2/repositories',
  'docker/registry/v2/~',
  'docker/registry/v2',
  'docker/zoo',
  'a-note',
  '~note',
  '😀',
  'docker//double/slash',
];

const repository = fc
  .array(fc.constantFrom(...COMPONENTS), { minLength: 1, maxLength: 3 })
  .map((parts) => parts.join('/'));
const content = fc.integer({ min: 0, max: 30 }).map((number) => `content ${number}`);

const entry: fc.Arbitrary<readonly [string, string]> = fc.oneof(
  content.map((text) => [blobPath(text), text] as const),
  content.map((text) => [`${V2}blobs/id/${text.slice(-2)}/${text.slice(-2)}x/data`, text] as const),
  fc.tuple(repository, content).map(([name, text]) => [layerLinkPath(name, text), linkText(text)] as const),
  fc
    .tuple(repository, content)
    .map(([name, text]) => [revisionLinkPath(name, text), linkText(text)] as const),
  fc
    .tuple(repository, fc.constantFrom('latest', 'v1', '_x', 'Z'), content)
    .map(([name, tag, text]) => [tagPath(name, tag), linkText(text)] as const),
  fc
    .tuple(repository, fc.constantFrom('latest', 'v1'), content)
    .map(
      ([name, tag, text]) =>
        [
          tagPath(name, tag).replace('current/', `index/${linkText(text).replace(':', '/')}/`),
          linkText(text),
        ] as const,
    ),
  fc
    .tuple(repository, content)
    .map(([name, text]) => [`${V2}repositories/${name}/_uploads/1/data`, text] as const),
  fc
    .tuple(repository, fc.constantFrom('note', '~note', '0', '_note'), content)
    .map(([name, file, text]) => [`${V2}repositories/${name}/${file}`, text] as const),
  fc.tuple(fc.constantFrom(...ODD_KEYS), content),
);

const tree: fc.Arbitrary<Tree> = fc.array(entry, { maxLength: 60 }).map((entries) => new Map(entries));
const layout: fc.Arbitrary<Layout> = fc.constantFrom(distributionLayout, msrLayout, rawLayout);
const prefix = fc.constantFrom('', 'root/');
const threads = fc.integer({ min: 1, max: 6 });

function isInShard(path: string, { range, phase }: Shard, { blobPrefixes }: Layout): boolean {
  if (phase === 'names' && blobPrefixes.some((blobs) => path.startsWith(blobs))) return false;
  const bytes = Buffer.from(path);
  if (!path.startsWith(range.prefix)) return false;
  if (range.after !== undefined && Buffer.compare(bytes, Buffer.from(range.after)) <= 0) return false;
  return range.upTo === undefined || Buffer.compare(bytes, Buffer.from(range.upTo)) <= 0;
}

async function plans(world: CopyWorld): Promise<readonly Shard[]> {
  return [...(await world.plan('blobs')), ...(await world.plan('names'))];
}

function assertAllThere(world: CopyWorld, kept: Tree): void {
  for (const [path, text] of kept) assert.equal(world.inTarget(path)?.toString(), text, path);
  assert.equal(world.target.keys().length, kept.size, 'the target holds more than was copied');
}

function writesOf(world: CopyWorld): readonly string[] {
  return world.targetDriver.callsOf('write').map((call) => call.key.slice(world.targetPrefix.length));
}

describe('planShards() and runShard()', () => {
  it('copy every object once and lose none, whatever the names', async () => {
    const options = fc.record({
      layout,
      sourcePrefix: prefix,
      targetPrefix: prefix,
      threads,
      source: fc.record({ pageObjectsMax: fc.constantFrom(1, 3, 1000), asksBeforeFolders: fc.boolean() }),
      target: fc.record({ pageObjectsMax: fc.constantFrom(1, 3, 1000), asksBeforeFolders: fc.boolean() }),
    });
    await fc.assert(
      fc.asyncProperty(tree, options, async (keys: Tree, given: WorldOptions) => {
        await inWorld(given, async (world) => {
          for (const [path, text] of keys) world.put(path, text);
          const leavesOut = world.ctx.layout.leavesOut;
          const kept: Tree = new Map([...keys].filter(([path, text]) => !leavesOut(path, text.length)));
          await world.pass();
          assert.equal(world.counters.objects('copied'), kept.size);
          assertAllThere(world, kept);
          assert.deepEqual(
            [...writesOf(world)].sort(),
            [...kept.keys()].sort(),
            'something was written twice',
          );
          // A folder that is not gone into counts as one.
          if (!given.source?.asksBeforeFolders) {
            assert.equal(world.counters.count('leftOut'), keys.size - kept.size);
          }

          await world.pass();
          assert.equal(world.counters.objects('copied'), kept.size, 'the second pass copied something');
          assert.equal(world.counters.objects('skipped'), kept.size);
        });
      }),
      { numRuns: 200 },
    );
  });

  it('put each path into exactly one shard, and a repository’s own objects into the same one', async () => {
    await fc.assert(
      fc.asyncProperty(tree, layout, threads, async (keys: Tree, given, count) => {
        await inWorld({ layout: given, threads: count }, async (world) => {
          for (const [path, text] of keys) world.put(path, text);
          const shards = await plans(world);
          const shardOfRepository = new Map<string, string>();
          for (const path of keys.keys()) {
            const holders = shards.filter((shard) => isInShard(path, shard, given));
            assert.equal(
              holders.length,
              1,
              `${path} is in ${holders.map((shard) => shard.id).join(', ') || 'none'}`,
            );
            const name = given.classify(path).repository;
            const id = holders[0]?.id ?? '';
            if (name === undefined) continue;
            assert.equal(shardOfRepository.get(name) ?? id, id, `${name} lies in two shards`);
            shardOfRepository.set(name, id);
          }
        });
      }),
      { numRuns: 200 },
    );
  });

  it('lists the source a bounded number of times to plan, however many repositories there are', async () => {
    await inWorld({ threads: 8 }, async (world) => {
      for (let at = 0; at < 3_000; at += 1) {
        const name = `org${at % 50}/team${at % 300}/app${at}`;
        world.put(tagPath(name, 'latest'), linkText(name));
      }
      await world.plan('names');
      const { length } = world.sourceDriver.listings;
      assert.ok(length <= 64, `${length} listings to plan`);
    });
    await inWorld({ threads: 8 }, async (world) => {
      for (let at = 0; at < 40; at += 1) {
        world.put(tagPath(`${`org${at}/`.repeat(8)}app`, 'latest'), linkText('deep'));
      }
      await world.plan('names');
      const { length } = world.sourceDriver.listings;
      assert.ok(length <= 64, `${length} listings to plan where every folder has one in it`);
    });
  });

  it('list each object once to copy it: what phase one did is not listed again', async () => {
    await inWorld({ threads: 2, source: { pageObjectsMax: 7 } }, async (world) => {
      for (let at = 0; at < 200; at += 1) world.put(blobPath(`blob ${at}`), `blob ${at}`);
      for (let at = 0; at < 50; at += 1) world.put(tagPath(`app${at}`, 'v1'), linkText(`${at}`));
      await world.pass();
      assert.equal(world.counters.count('listedSource'), 250);
    });
  });

  it('cut a large registry into as many shards of about the same size as there are threads to keep busy', async () => {
    await inWorld({ threads: 4 }, async (world) => {
      for (let at = 0; at < 2_000; at += 1) world.put(blobPath(`blob ${at}`), `blob ${at}`);
      for (let at = 0; at < 1_000; at += 1) world.put(tagPath(`org/app${at}`, 'v1'), linkText(`${at}`));
      for (const phase of ['blobs', 'names'] as const) {
        const shards = await world.plan(phase);
        assert.ok(shards.length >= 16, `${shards.length} shards of ${phase}`);
        const sizes = shards.map(
          (shard) => world.source.keys().filter((key) => isInShard(key, shard, distributionLayout)).length,
        );
        const total = sizes.reduce((sum, size) => sum + size, 0);
        assert.ok(
          Math.max(...sizes) <= (4 * total) / shards.length,
          `shards of ${phase}: ${sizes.join(', ')}`,
        );
      }
    });
  });

  it('give each shard borders that ascend inside it, few enough for a message, none among a repository’s own', async () => {
    await fc.assert(
      fc.asyncProperty(tree, layout, threads, async (keys: Tree, given, count) => {
        await inWorld({ layout: given, threads: count }, async (world) => {
          for (const [path, text] of keys) world.put(path, text);
          for (const shard of await plans(world)) {
            const borders = shard.borders ?? [];
            assert.ok(borders.length <= 63, `${borders.length} borders`);
            for (const [at, border] of borders.entries()) {
              assert.ok(isInShard(border, shard, given) && border !== shard.range.upTo, border);
              assert.ok(at === 0 || compareUtf8(borders[at - 1] ?? '', border) < 0, border);
              assert.doesNotMatch(border.slice(V2.length), /\/_(?!odd)./);
            }
          }
        });
      }),
      { numRuns: 200 },
    );
  });

  it('cut the shards of a large registry on into many pieces of about the same size', async () => {
    for (const count of [1, 16]) {
      await inWorld({ threads: count }, async (world) => {
        for (let at = 0; at < 6_000; at += 1) world.put(blobPath(`blob ${at}`), '');
        for (let at = 0; at < 3_000; at += 1) world.put(tagPath(`org/app${at}`, 'v1'), '');
        for (const shard of await plans(world)) {
          const keys = world.source.keys().filter((key) => isInShard(key, shard, distributionLayout));
          if (keys.length < 60) continue;
          const { borders = [] } = shard;
          assert.ok(borders.length >= 15, `${borders.length} borders in ${shard.id}`);
          const sizes: number[] = Array.from({ length: borders.length + 1 }, () => 0);
          for (const key of keys) {
            const piece = borders.filter((border) => key > border).length;
            sizes[piece] = (sizes[piece] ?? 0) + 1;
          }
          const fair = keys.length / sizes.length;
          assert.ok(Math.max(...sizes) <= 15 + 2 * fair, `${shard.id}: ${sizes.join(', ')}`);
        }
      });
    }
  });

  it('open no folder of a blob and none of a repository’s own', async () => {
    await inWorld({ threads: 64 }, async (world) => {
      for (let at = 0; at < 40; at += 1) {
        world.put(blobPath(`blob ${at}`), `blob ${at}`);
        world.put(layerLinkPath(`app${at}`, `blob ${at}`), linkText(`blob ${at}`));
      }
      await plans(world);
      const opened = world.sourceDriver.listings.map((query) => query.prefix);
      assert.ok(
        opened.some((one) => one.endsWith('/app7/')),
        'repositories were not opened',
      );
      const deep = opened.filter((one) => /blobs\/sha256\/../.test(one) || /\/_/.test(one));
      assert.deepEqual(deep, []);
    });
  });

  it('find nothing to do in an empty source', async () => {
    await inWorld({}, async (world) => {
      await world.pass();
      assert.equal(world.counters.objects('copied'), 0);
    });
  });
});
