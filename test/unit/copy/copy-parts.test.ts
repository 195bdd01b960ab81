import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { MultipartFacet } from '../../../src/drivers/driver.ts';
import { seededBytes } from '../../support/seeded.ts';
import { assertCopied, assertNotCopied, inWorld, PART_BYTES, type WorldOptions } from './copy-world.ts';
import { blobPath, otherPath } from './registry-names.ts';

const CHECKSUMS: readonly MultipartFacet['partChecksum'][] = ['none', 'crc32', 'sha256'];

function bytesOf(sizeBytes: number): Buffer {
  return seededBytes('copy-parts', String(sizeBytes), sizeBytes);
}

/** Copies a blob of this size and looks at what arrived. */
async function copyBlob(sizeBytes: number, options: WorldOptions): Promise<void> {
  const content = bytesOf(sizeBytes);
  await inWorld({ source: { hides: ['md5', 'checksums'] }, ...options }, async (world) => {
    assertCopied(await world.copy(world.put(blobPath(content), content)), 'digest');
    assert.ok(world.inTarget(blobPath(content))?.equals(content), `${sizeBytes} bytes arrived changed`);
  });
}

describe('copyObject() of an object larger than a part', () => {
  it('puts every byte where it belongs, whatever checksum the target wants for a part', async () => {
    for (const partChecksum of CHECKSUMS) {
      for (const sizeBytes of [PART_BYTES + 1, 2 * PART_BYTES, 7 * PART_BYTES - 1, 20 * PART_BYTES + 1]) {
        await copyBlob(sizeBytes, { target: { multipart: { partChecksum } } });
      }
    }
  });

  it('does so for any sizes of object, part and budget', async () => {
    const cases = fc.record({
      sizeBytes: fc.integer({ min: 1, max: 100_000 }),
      partBytes: fc.integer({ min: 1_000, max: 40_000 }),
      slabBudgetBytes: fc.integer({ min: 4_096, max: 100_000 }),
      partBytesMin: fc.integer({ min: 1, max: 30_000 }),
      partsMax: fc.integer({ min: 3, max: 50 }),
      partChecksum: fc.constantFrom(...CHECKSUMS),
    });
    await fc.assert(
      fc.asyncProperty(cases, ({ sizeBytes, partBytes, slabBudgetBytes, ...multipart }) =>
        copyBlob(sizeBytes, { partBytes, slabBudgetBytes, target: { multipart } }),
      ),
      { numRuns: 150 },
    );
  });

  it('reads parts side by side but never holds more than the budget', async () => {
    const content = bytesOf(30 * PART_BYTES);
    await inWorld({}, async (world) => {
      let readsAtOnce = 0;
      let readsAtOnceMax = 0;
      const { read } = world.sourceDriver.inner;
      world.sourceDriver.inner.read = async (...args) => {
        readsAtOnce += 1;
        readsAtOnceMax = Math.max(readsAtOnceMax, readsAtOnce);
        await new Promise(setImmediate);
        readsAtOnce -= 1;
        return read(...args);
      };
      assertCopied(await world.copy(world.put(blobPath(content), content)), 'digest');
      assert.ok(readsAtOnceMax > 1, 'parts were read one after the other');
      assert.ok(readsAtOnceMax <= 4, `${readsAtOnceMax} slabs from a budget of 4`);
    });
  });

  it('binds all ranges to the version of the first', async () => {
    const content = bytesOf(5 * PART_BYTES);
    await inWorld({}, async (world) => {
      const versions: (string | undefined)[] = [];
      const { read } = world.sourceDriver.inner;
      world.sourceDriver.inner.read = (ctx, key, into, options) => {
        versions.push(options.version);
        return read(ctx, key, into, options);
      };
      world.put(otherPath('large'), content);
      assertCopied(await world.copy(otherPath('large')), 'stored');
      const version = world.source.get(otherPath('large'))?.version;
      assert.deepEqual(versions, [undefined, version, version, version, version]);
    });
  });

  it('copies side by side what wants more slabs than there are', async () => {
    const contents = Array.from({ length: 12 }, (_, at) => bytesOf(3 * PART_BYTES + at));
    await inWorld({ slabBudgetBytes: 2 * PART_BYTES }, async (world) => {
      const outcomes = await Promise.all(
        contents.map((content) => world.copy(world.put(blobPath(content), content))),
      );
      for (const outcome of outcomes) assertCopied(outcome, 'digest');
      for (const content of contents) assert.ok(world.inTarget(blobPath(content))?.equals(content));
    });
  });

  it('asks a target for a plain write only as far as that takes the body', async () => {
    const content = bytesOf(3_000);
    await inWorld({ target: { facts: { writeBytesMax: 2_999 } } }, async (world) => {
      assertCopied(await world.copy(world.put(blobPath(content), content)), 'digest');
      assert.equal(world.targetDriver.callsOf('write').length, 0);
      assert.equal(world.targetDriver.callsOf('complete').length, 1);
    });
  });

  it('fails alone, in words, where the target can write no large objects or not so large ones', async () => {
    const content = bytesOf(3 * PART_BYTES);
    await inWorld({ target: { multipart: 'none' } }, async (world) => {
      assertNotCopied(await world.copy(world.put(blobPath(content), content)), 'failed', /no large objects/);
    });
    await inWorld({ target: { multipart: { partBytesMax: PART_BYTES, partsMax: 2 } } }, async (world) => {
      assertNotCopied(
        await world.copy(world.put(blobPath(content), content)),
        'failed',
        /it has 12288 bytes, an object there has at most 8192/,
      );
    });
  });
});

describe('copyObject() of a part larger than any slab', () => {
  /** The target wants parts of three slabs, and one slab is all there is. */
  const wide: WorldOptions = {
    slabBudgetBytes: PART_BYTES,
    target: { multipart: { partBytesMin: 3 * PART_BYTES, partChecksum: 'crc32' } },
  };

  it('streams it through one slab, reading it twice, and puts every byte where it belongs', async () => {
    for (const sizeBytes of [2 * PART_BYTES, 3 * PART_BYTES, 9 * PART_BYTES, 7 * PART_BYTES + 1]) {
      await copyBlob(sizeBytes, wide);
    }
  });

  it('copies several side by side with room for one slab', async () => {
    const contents = Array.from({ length: 5 }, (_, at) => bytesOf(7 * PART_BYTES + at));
    await inWorld(wide, async (world) => {
      const outcomes = await Promise.all(
        contents.map((content) => world.copy(world.put(blobPath(content), content))),
      );
      for (const outcome of outcomes) assertCopied(outcome, 'digest');
      for (const content of contents) assert.ok(world.inTarget(blobPath(content))?.equals(content));
    });
  });
});
