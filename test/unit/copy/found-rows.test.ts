/** Rows of a metadata backup beside shards that are cut, shared and begun again: each is told of once. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as settled } from 'node:timers/promises';
import fc from 'fast-check';
import type { ShardOutcome } from '../../../src/copy/run-shard.ts';
import type { StorageDriver } from '../../../src/drivers/driver.ts';
import { DigestIndex } from '../../../src/layout/digests/digest-index.ts';
import { DigestIndexWriter } from '../../../src/layout/digests/write-digest-index.ts';
import { blobPathOf, msrLayout } from '../../../src/layout/msr.ts';
import { sha256Hex } from '../../support/seeded.ts';
import { makeTempFolder } from '../../support/temp.ts';
import { inWorld, type WorldOptions } from './copy-world.ts';
import { SharingWorld } from './sharing-world.ts';

const ID = fc
  .tuple(fc.constantFrom('00', '3f', '3e', 'ab', 'ff'), fc.integer({ min: 0, max: 30 }))
  .map(([folder, number]) => `${folder}-${number}`);

interface Entry {
  readonly id: string;
  readonly isInSource: boolean;
  readonly isInTarget: boolean;
  readonly hasRow: boolean;
}

const entries = fc.uniqueArray(
  fc.record({ id: ID, isInSource: fc.boolean(), isInTarget: fc.boolean(), hasRow: fc.boolean() }),
  { selector: ({ id }) => id, maxLength: 80, size: 'max' },
);

const options: fc.Arbitrary<WorldOptions> = fc.record({
  layout: fc.constant(msrLayout),
  concurrency: fc.constantFrom(1, 2, 4),
  cursorObjects: fc.integer({ min: 1, max: 6 }),
  lookAheadBytes: fc.constantFrom(0, 1024 ** 2),
  worthBytes: fc.constantFrom(0, 200_000),
  source: fc.record({ pageObjectsMax: fc.constantFrom(1, 2, 7) }),
  target: fc.record({ pageObjectsMax: fc.constantFrom(3, 1000) }),
});

async function withIndex(all: readonly Entry[], test: (index: DigestIndex) => Promise<void>): Promise<void> {
  await using folder = await makeTempFolder('found-rows');
  const settings = { directory: folder.path, name: 'one' };
  const writer = await new DigestIndexWriter(settings, new AbortController().signal).open();
  for (const { id, hasRow } of all)
    if (hasRow && writer.add({ id, sha256: sha256Hex(id) })) await writer.spill();
  const index = await DigestIndex.open((await writer.finish()).path);
  try {
    await test(index);
  } finally {
    await index.close();
  }
}

/** Reads take a few turns, so that a shard is not over before somebody can ask for some of it. */
function slow(driver: StorageDriver): StorageDriver {
  const read: StorageDriver['read'] = async (ctx, key, into, readOptions) => {
    for (let turn = 0; turn < 4; turn += 1) await settled();
    return driver.read(ctx, key, into, readOptions);
  };
  return new Proxy(driver, {
    get: (target, name) => {
      if (name === 'read') return read;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

function sumOf(outcomes: readonly ShardOutcome[], what: 'pending' | 'lacking'): number {
  return outcomes.reduce((sum, { rows }) => sum + (rows?.[what].count ?? 0), 0);
}

function countOf(all: readonly Entry[], isIt: (entry: Entry) => boolean): number {
  return all.filter(isIt).length;
}

describe('rows beside shards', () => {
  it('are told of once each, lacking or pending, however shards are cut and shared and threads die', async () => {
    let given = 0;
    let deaths = 0;
    const threads = fc.record({
      threads: fc.integer({ min: 1, max: 4 }),
      deaths: fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 2 }),
      isOneShard: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(entries, options, threads, async (all, world, sharing) => {
        await withIndex(all, async (digests) => {
          await inWorld({ ...world, digests, wrap: slow }, async (copying) => {
            for (const { id, isInSource, isInTarget } of all) {
              if (isInSource) copying.put(blobPathOf(id), id);
              if (isInSource && isInTarget) copying.putTarget(blobPathOf(id), id);
            }
            const shared = new SharingWorld(copying, sharing);
            await shared.phase('blobs');
            given += shared.given.length;
            deaths += sharing.deaths.length;
            const lacking = countOf(all, ({ hasRow, isInSource }) => hasRow && !isInSource);
            const pending = countOf(all, ({ hasRow, isInSource }) => !hasRow && isInSource);
            assert.equal(sumOf(shared.outcomes, 'lacking'), lacking);
            assert.equal(sumOf(shared.outcomes, 'pending'), pending);
            const copied = countOf(all, (one) => one.isInSource && !one.isInTarget && one.hasRow);
            if (sharing.deaths.length === 0)
              assert.equal(shared.counters.count('provedDigest'), copied, 'by their rows');
          });
        });
      }),
      { numRuns: 60 },
    );
    assert.ok(given > 0 && deaths > 0, 'some was given away, and threads have died');
  });
});
