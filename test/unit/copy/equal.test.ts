import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { copyObject } from '../../../src/copy/copy-object.ts';
import {
  assertCopied,
  assertNotCopied,
  type CopyWorld,
  inWorld,
  PART_BYTES,
  type Shape,
} from './copy-world.ts';
import { blobPath, layerLinkPath, linkText, otherPath, tagPath } from './registry-names.ts';

const BYTES = 'the bytes of a layer';
const WRONG = 'the bytes of a later';
const NO_MD5: Shape = { hides: ['md5', 'checksums'] };

function reads(world: CopyWorld): readonly [number, number] {
  return [world.sourceDriver.callsOf('read').length, world.targetDriver.callsOf('read').length];
}

function assertWroteNothing(world: CopyWorld): void {
  for (const operation of ['write', 'begin', 'upload', 'remove'] as const) {
    assert.deepEqual(world.targetDriver.callsOf(operation), []);
  }
}

describe('copyObject() of an immutable object that the target has', () => {
  it('takes the same size as equal, without reading either side', async () => {
    for (const isFrozen of [false, true]) {
      await inWorld({ isFrozen, source: NO_MD5, target: NO_MD5 }, async (world) => {
        const blob = world.put(blobPath(BYTES), BYTES);
        world.putTarget(blob, WRONG);
        const link = world.put(layerLinkPath('app', BYTES), linkText(BYTES));
        world.putTarget(link, linkText(BYTES));
        assert.deepEqual(await world.copy(blob), { state: 'skipped', bytes: BYTES.length });
        assert.deepEqual(await world.copy(link), { state: 'skipped', bytes: 71 });
        assert.deepEqual(reads(world), [0, 0]);
        assertWroteNothing(world);
      });
    }
  });

  it('is a conflict, and stays as it is, where the size differs and the target was not empty', async () => {
    await inWorld({ ownsTarget: false }, async (world) => {
      const blob = world.put(blobPath(BYTES), BYTES);
      world.putTarget(blob, 'other');
      const link = world.put(layerLinkPath('app', BYTES), linkText(BYTES));
      world.putTarget(link, `${linkText(BYTES)}\n`);
      assertNotCopied(await world.copy(blob), 'conflict', /with 5 bytes.*20: blobferry does not overwrite/);
      assertNotCopied(await world.copy(link), 'conflict', /with 72 bytes.*71/);
      assert.equal(world.inTarget(blob)?.toString(), 'other');
      assertWroteNothing(world);
    });
  });

  it('is read where its writer may have died, replaced if it is wrong, and a conflict if it may be another’s', async () => {
    for (const ownsTarget of [true, false]) {
      await inWorld({ ownsTarget, source: NO_MD5, target: NO_MD5 }, async (world) => {
        const ctx = { ...world.ctx, doubtsTarget: true };
        const blob = world.put(blobPath(BYTES), BYTES);
        world.putTarget(blob, BYTES);
        assert.deepEqual(await copyObject(ctx, await world.item(blob)), {
          state: 'skipped',
          bytes: BYTES.length,
        });
        world.putTarget(blob, WRONG);
        const outcome = await copyObject(ctx, await world.item(blob));
        if (ownsTarget) assertCopied(outcome, 'digest');
        else
          assertNotCopied(outcome, 'conflict', /with other bytes than in .*: blobferry does not overwrite/);
        assert.equal(world.inTarget(blob)?.toString(), ownsTarget ? BYTES : WRONG);
      });
    }
  });

  it('is replaced where the size differs and the target is this job’s own', async () => {
    await inWorld({ ownsTarget: true }, async (world) => {
      const blob = world.put(blobPath(BYTES), BYTES);
      world.putTarget(blob, 'half of it');
      assertCopied(await world.copy(blob), 'digest');
      assert.equal(world.inTarget(blob)?.toString(), BYTES);
    });
  });
});

describe('copyObject() of a mutable object that the target has', () => {
  const paths = [tagPath('app', 'latest'), otherPath('catalog.json')];
  const old = linkText('old');
  const now = linkText('new');

  it('is equal by the MD5s of both listings, without reading either side', async () => {
    for (const path of paths) {
      await inWorld({}, async (world) => {
        world.put(path, now);
        world.putTarget(path, now);
        assert.equal((await world.copy(path)).state, 'skipped');
        assert.deepEqual(reads(world), [0, 0]);
      });
    }
  });

  it('is equal by reading the source alone where only the target lists a true MD5', async () => {
    await inWorld({ source: NO_MD5 }, async (world) => {
      world.put(tagPath('app', 'latest'), now);
      world.putTarget(tagPath('app', 'latest'), now);
      assert.equal((await world.copy(tagPath('app', 'latest'))).state, 'skipped');
      assert.deepEqual(reads(world), [1, 0]);
    });
  });

  it('is equal by reading both sides where no MD5 is listed, or one that may be opaque', async () => {
    const opaque: Shape = { md5Is: 'a'.repeat(32), facts: { md5MayBeOpaque: true } };
    for (const target of [NO_MD5, opaque]) {
      await inWorld({ source: NO_MD5, target }, async (world) => {
        world.put(otherPath('catalog.json'), now);
        world.putTarget(otherPath('catalog.json'), now);
        assert.equal((await world.copy(otherPath('catalog.json'))).state, 'skipped');
        assert.deepEqual(reads(world), [1, 1]);
        assertWroteNothing(world);
      });
    }
  });

  it('is copied where the size is the same and the content is not, whoever owns the target', async () => {
    for (const ownsTarget of [true, false]) {
      for (const shape of [{}, NO_MD5]) {
        for (const path of paths) {
          await inWorld({ ownsTarget, source: shape, target: shape }, async (world) => {
            world.put(path, now);
            world.putTarget(path, old);
            assert.equal((await world.copy(path)).state, 'copied');
            assert.equal(world.inTarget(path)?.toString(), now);
          });
        }
      }
    }
  });

  it('is copied where the size differs, without comparing contents', async () => {
    await inWorld({ ownsTarget: false, source: NO_MD5, target: NO_MD5 }, async (world) => {
      world.put(otherPath('catalog.json'), 'longer than before');
      world.putTarget(otherPath('catalog.json'), 'before');
      assertCopied(await world.copy(otherPath('catalog.json')), 'none');
      assert.deepEqual(reads(world), [1, 0]);
      assert.equal(world.inTarget(otherPath('catalog.json'))?.toString(), 'longer than before');
    });
  });

  it('is compared range by range where it is larger than a slab', async () => {
    const large = Buffer.alloc(9 * PART_BYTES + 7, 'x');
    const other = Buffer.from(large);
    other[other.length - 1] = 0;
    await inWorld({ source: NO_MD5, target: NO_MD5 }, async (world) => {
      world.put(otherPath('large'), large);
      world.putTarget(otherPath('large'), large);
      assert.equal((await world.copy(otherPath('large'))).state, 'skipped');
      world.putTarget(otherPath('large'), other);
      assertCopied(await world.copy(otherPath('large')), 'none');
      assert.ok(world.inTarget(otherPath('large'))?.equals(large));
    });
  });

  it('is equal when both are empty', async () => {
    await inWorld({ source: NO_MD5, target: NO_MD5 }, async (world) => {
      world.put(otherPath('empty'), '');
      world.putTarget(otherPath('empty'), '');
      assert.deepEqual(await world.copy(otherPath('empty')), { state: 'skipped', bytes: 0 });
    });
  });
});
