import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { copyObject } from '../../../src/copy/copy-object.ts';
import { differenceByContent } from '../../../src/copy/equal.ts';
import { findBorder } from '../../../src/copy/find-border.ts';
import type { StorageDriver } from '../../../src/drivers/driver.ts';
import { withRetries } from '../../../src/drivers/wrap/retry.ts';
import { rawLayout } from '../../../src/layout/raw.ts';
import { fails, first } from '../../support/fault-driver.ts';
import { assertAsPlanned, copySeen, inPlanWorld, planOf } from '../plan/plan-world.ts';
import {
  assertCopied,
  assertNotCopied,
  type CopyWorld,
  inWorld,
  PART_BYTES,
  type Shape,
} from './copy-world.ts';
import { blobPath, otherPath } from './registry-names.ts';

const SMALL = 'a small layer';
const LARGE = Buffer.alloc(3 * PART_BYTES + 5, 'l');
const EMPTY = '';
const AT_ONCE = { attemptsMax: 3, delayMsMin: 1, delayMsMax: 1, random: () => 0 };
/** As Swift: nothing tells large objects from empty ones. */
const UNSURE: Shape = { listsAsEmpty: () => true };

function stats({ sourceDriver, targetDriver }: CopyWorld): readonly [number, number] {
  return [sourceDriver.callsOf('stat').length, targetDriver.callsOf('stat').length];
}

async function unsureItem(world: CopyWorld, path: string, sides: readonly ('source' | 'target')[]) {
  const item = await world.item(path);
  const hide = (key: string) => ({ key, sizeBytes: 0, isSizeUnsure: true }) as const;
  return {
    ...item,
    source: sides.includes('source') ? hide(item.source.key) : item.source,
    target: item.target && sides.includes('target') ? hide(item.target.key) : item.target,
  };
}

describe('a pass over a source whose listing does not tell the sizes of large objects', () => {
  it('asks for the size of what it copies, copies every byte and counts them', async () => {
    await inWorld({ source: UNSURE }, async (world) => {
      for (const content of [SMALL, LARGE, EMPTY]) world.put(blobPath(content), content);
      await world.pass();
      for (const content of [SMALL, LARGE, EMPTY]) {
        assert.ok(world.inTarget(blobPath(content))?.equals(Buffer.from(content)));
      }
      assert.deepEqual(stats(world), [3, 0]);
      assert.equal(world.counters.bytes('copied'), SMALL.length + LARGE.length);
    });
  });

  it('takes what is immutable and there as equal, without asking, and counts the size that the other side tells', async () => {
    for (const [source, target] of [
      [UNSURE, {}],
      [{}, UNSURE],
      [UNSURE, UNSURE],
    ] as const) {
      await inWorld({ source, target }, async (world) => {
        world.put(blobPath(LARGE), LARGE);
        world.putTarget(blobPath(LARGE), LARGE);
        await world.pass();
        assert.deepEqual(stats(world), [0, 0]);
        assert.deepEqual(world.targetDriver.callsOf('begin'), []);
        assert.equal(world.counters.objects('skipped'), 1);
        const isTold = source !== UNSURE || target !== UNSURE;
        assert.equal(world.counters.bytes('skipped'), isTold ? LARGE.length : 0);
      });
    }
  });

  it('compares what may change by its true size and content, on whichever side that is unsure', async () => {
    const path = otherPath('catalog.json');
    for (const [source, target] of [
      [UNSURE, {}],
      [{}, UNSURE],
      [UNSURE, UNSURE],
    ] as const) {
      for (const there of ['same text', 'some text', 'longer text', EMPTY]) {
        await inWorld({ source, target, ownsTarget: false }, async (world) => {
          world.put(path, 'same text');
          world.putTarget(path, there);
          await world.pass();
          assert.equal(world.inTarget(path)?.toString(), 'same text');
          assert.equal(world.counters.objects(there === 'same text' ? 'skipped' : 'copied'), 1, there);
        });
      }
    }
  });

  it('begins with the largest, as the true sizes are', async () => {
    const objects = [1, 3, 2, 4].map((parts) => Buffer.alloc(parts * 100, String(parts)));
    await inWorld({ source: UNSURE, layout: rawLayout, concurrency: 1, threads: 1 }, async (world) => {
      for (const [at, bytes] of objects.entries()) world.put(`k${at}`, bytes);
      await world.wholePhase('names');
      const begun = world.sourceDriver.callsOf('read').map(({ key }) => key);
      assert.deepEqual(begun, ['k3', 'k1', 'k2', 'k0']);
    });
  });

  it('has the true size in flight while it copies', async () => {
    const seen: number[] = [];
    const world: { current?: CopyWorld } = {};
    const look = first(() => void seen.push(world.current?.counters.gauge('bytesInFlight') ?? -1));
    const faults = [{ on: 'read', times: 'always', does: look }] as const;
    await inWorld({ source: UNSURE, sourceFaults: faults }, async (inner) => {
      world.current = inner;
      inner.put(blobPath(LARGE), LARGE);
      await inner.pass();
      assert.deepEqual(new Set(seen), new Set([LARGE.length]));
    });
  });

  it('does not leave out what only looks like an empty folder', async () => {
    await inWorld({ source: UNSURE }, async (world) => {
      world.put(otherPath('folder/'), 'content');
      world.put(otherPath('marker/'), '');
      await world.pass();
      assert.equal(world.inTarget(otherPath('folder/'))?.toString(), 'content');
      assert.equal(world.inTarget(otherPath('marker/')), undefined);
      assert.equal(world.counters.count('leftOut'), 1);
    });
  });

  it('names an object whose size cannot be had, which was asked for once, and copies the others', async () => {
    const path = blobPath(LARGE);
    const faults = [{ on: 'stat', key: path, times: 'always', does: fails('corrupt') }] as const;
    await inWorld({ source: UNSURE, sourceFaults: faults }, async (world) => {
      for (const content of [SMALL, LARGE]) world.put(blobPath(content), content);
      const outcomes = await world.pass();
      const exceptions = outcomes.flatMap((outcome) => outcome.exceptions);
      assert.deepEqual(
        exceptions.map((exception) => [exception.state, exception.path]),
        [['failed', path]],
      );
      assert.equal(world.sourceDriver.callsOf('stat', path).length, 1);
      assert.equal(world.inTarget(path), undefined);
      assert.equal(world.inTarget(blobPath(SMALL))?.toString(), SMALL);
    });
  });

  it('goes on with all others while one is asked for its size again', { timeout: 30_000 }, async () => {
    const [slow, ...others] = ['a', 'b', 'c', 'd'] as const;
    const copied = Promise.withResolvers<void>();
    const world: { current?: CopyWorld } = {};
    // It is known only when all others are in the target: were they to wait for it, nothing would ever end.
    const late = { before: () => copied.promise };
    const look = {
      after: () => {
        const isDone = others.every((key) => world.current?.inTarget(key) !== undefined);
        if (isDone) copied.resolve();
      },
    };
    const given = {
      source: UNSURE,
      layout: rawLayout,
      threads: 1,
      sourceFaults: [
        { on: 'stat', key: slow, does: fails('corrupt', { isTransient: true }) },
        { on: 'stat', key: slow, nth: 2, does: late },
      ],
      targetFaults: [{ on: 'write', times: 'always', does: look }],
      wrap: (driver: StorageDriver) => withRetries(driver, AT_ONCE, () => undefined),
    } as const;
    await inWorld(given, async (inner) => {
      world.current = inner;
      for (const key of [slow, ...others]) inner.put(key, `content of ${key}`);
      const { exceptions, stoppedBy } = await inner.wholePhase('names');
      assert.deepEqual([exceptions, stoppedBy], [[], undefined]);
      assert.equal(inner.inTarget(slow)?.toString(), `content of ${slow}`);
    });
  });

  it('names one whose size cannot be had after all attempts either', async () => {
    const given = {
      source: UNSURE,
      layout: rawLayout,
      sourceFaults: [
        { on: 'stat', key: 'a', times: 'always', does: fails('corrupt', { isTransient: true }) },
      ],
      wrap: (driver: StorageDriver) => withRetries(driver, AT_ONCE, () => undefined),
    } as const;
    await inWorld(given, async (world) => {
      for (const key of ['a', 'b']) world.put(key, key);
      const { exceptions } = await world.wholePhase('names');
      assert.deepEqual(
        exceptions.map(({ state, path }) => [state, path]),
        [['failed', 'a']],
      );
      assert.equal(world.sourceDriver.callsOf('stat', 'a').length, AT_ONCE.attemptsMax);
      assert.equal(world.inTarget('b')?.toString(), 'b');
    });
  });

  it('says that an object vanished where its size is asked for too late', async () => {
    const path = blobPath(LARGE);
    const world: { current?: CopyWorld } = {};
    const gone = first(() => world.current?.source.remove(path));
    await inWorld({ source: UNSURE, sourceFaults: [{ on: 'stat', does: gone }] }, async (inner) => {
      world.current = inner;
      inner.put(path, LARGE);
      await inner.pass();
      assert.equal(inner.counters.objects('vanished'), 1);
    });
  });
});

describe('copyObject() of an object whose size nobody has asked for yet', () => {
  it('asks itself, so that a conflict is seen by true sizes', async () => {
    await inWorld({ ownsTarget: false }, async (world) => {
      const path = world.put(blobPath(LARGE), LARGE);
      world.putTarget(path, 'short');
      const ctx = { ...world.ctx, doubtsTarget: true };
      const outcome = await copyObject(ctx, await unsureItem(world, path, ['source', 'target']));
      assertNotCopied(outcome, 'conflict', new RegExp(`with 5 bytes.*with ${LARGE.length}`));
      assert.deepEqual(stats(world), [1, 1]);
    });
  });

  it('copies it where the target is listed and gone by then', async () => {
    await inWorld({}, async (world) => {
      const path = world.put(otherPath('catalog.json'), 'text');
      world.putTarget(path, 'text');
      const item = await unsureItem(world, path, ['target']);
      world.target.remove(path);
      assertCopied(await copyObject(world.ctx, item), 'stored');
      assert.equal(world.inTarget(path)?.toString(), 'text');
    });
  });
});

describe('differenceByContent() of objects that are listed as empty', () => {
  it('does not take them for two empty ones', async () => {
    await inWorld({}, async (world) => {
      const path = world.put(otherPath('catalog.json'), 'text');
      world.putTarget(path, 'tent');
      const item = await unsureItem(world, path, ['source', 'target']);
      assert.equal(await differenceByContent(world.ctx, item), 'differs');
    });
  });
});

describe('findBorder() over objects whose size is unsure', () => {
  it('takes them for large, so that what is left of a shard is worth sharing', async () => {
    for (const source of [UNSURE, {}]) {
      await inWorld({ source, layout: rawLayout }, async (world) => {
        for (let at = 0; at < 20; at += 1) world.put(`k${String(at).padStart(2, '0')}`, 'x');
        const border = await findBorder(world.ctx, {
          driver: world.ctx.source,
          keyPrefix: '',
          range: { prefix: '' },
          layout: rawLayout,
          behind: undefined,
        });
        assert.equal(border, source === UNSURE ? 'k09' : undefined);
      });
    }
  });
});

describe('runPlan() over listings that do not tell the sizes of large objects', () => {
  it('counts the bytes and the requests of the copy after it', async () => {
    for (const [source, target] of [
      [UNSURE, {}],
      [{}, UNSURE],
      [UNSURE, UNSURE],
    ] as const) {
      await inPlanWorld({ source, target }, async (world) => {
        for (const content of [SMALL, LARGE, EMPTY]) world.put(blobPath(content), content);
        world.putTarget(blobPath(SMALL), SMALL);
        world.put(otherPath('a'), 'text');
        world.putTarget(otherPath('a'), 'other text');
        const plan = await planOf(world);
        assert.equal(plan.objects.missing.bytes, LARGE.length);
        assertAsPlanned(plan, world, await copySeen(world));
      });
    }
  });
});
