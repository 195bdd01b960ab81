import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { requestsToCopy, transferLimits } from '../../../src/plan/requests.ts';
import { type CopyWorld, inWorld } from '../copy/copy-world.ts';

const KIB = 1024;

/** What copying one object of that size really asked of both sides. */
async function asked(world: CopyWorld, sizeBytes: number): Promise<Readonly<Record<string, number>>> {
  const path = world.put('object', Buffer.alloc(sizeBytes, 7));
  const outcome = await world.copy(path);
  assert.equal(outcome.state, 'copied');
  const counts: Record<string, number> = {};
  for (const [side, driver] of [
    ['source', world.sourceDriver],
    ['target', world.targetDriver],
  ] as const) {
    for (const { operation } of driver.calls) {
      const name = `${side} ${operation}`;
      counts[name] = (counts[name] ?? 0) + 1;
    }
  }
  return counts;
}

describe('requestsToCopy()', () => {
  it('says what copying an object of any size asks for, with any limits', async () => {
    const input = fc.record({
      sizeBytes: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 300 * KIB })),
      partBytes: fc.integer({ min: 1, max: 64 }).map((blocks) => blocks * KIB),
      slabBudgetBytes: fc.integer({ min: 1, max: 16 }).map((blocks) => blocks * 4 * KIB),
      partBytesMin: fc.constantFrom(1, 5 * KIB, 40 * KIB),
      partsMax: fc.constantFrom(6, 10_000),
    });
    await fc.assert(
      fc.asyncProperty(input, async ({ sizeBytes, partBytes, slabBudgetBytes, partBytesMin, partsMax }) => {
        const multipart = { partBytesMin, partsMax, partChecksum: 'crc32' } as const;
        const target = { multipart, facts: { writeBytesMax: 200 * KIB } };
        await inWorld({ partBytes, slabBudgetBytes, target }, async (world) => {
          const { slabBytesMax } = world.ctx.slabs;
          const limits = transferLimits(world.ctx.target, { partBytes, slabBytesMax });
          const expected = requestsToCopy(sizeBytes, limits);
          assert.ok(expected);
          const { reads, parts } = expected;
          const writes =
            parts === 0
              ? { 'target write': 1 }
              : { 'target begin': 1, 'target part': parts, 'target complete': 1 };
          assert.deepEqual(await asked(world, sizeBytes), { 'source read': reads, ...writes });
        });
      }),
      { numRuns: 150 },
    );
  });

  it('knows no way for an object that is larger than all parts together', () => {
    const multipart = { partBytesMin: 1, partBytesMax: 10, partsMax: 10 };
    const limits = { partBytes: 4, slabBytesMax: 8, writeBytesMax: 8, multipart };
    assert.deepEqual(requestsToCopy(100, limits)?.parts, 10);
    assert.equal(requestsToCopy(101, limits), undefined);
  });
});
