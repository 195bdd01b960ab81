import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { defaultMemoryBytes, planMemory } from '../../../src/coordinator/memory.ts';
import { blockBytesFor, SlabPool } from '../../../src/copy/slab-pool.ts';
import { ConfigError } from '../../../src/core/errors.ts';

const MIB = 1024 ** 2;
/** Less than any process holds, so that only what is planned counts. */
const residentBytes = 0;

/** The least memory that is taken, to the byte. */
function leastFor(threads: number): number {
  let refused = 0;
  let taken = 1024 * 1024 * MIB;
  while (taken - refused > 1) {
    const middle = Math.floor((refused + taken) / 2);
    try {
      planMemory({ memoryBytes: middle, threads, partBytes: 'auto', residentBytes });
      taken = middle;
    } catch {
      refused = middle;
    }
  }
  return taken;
}

/** How many parts of this size a thread's memory really holds. */
function slabsOf(slabBudgetBytes: number, partBytes: number): number {
  const pool = new SlabPool(slabBudgetBytes, () => undefined, blockBytesFor(partBytes));
  const never = new AbortController().signal;
  let slabs = 0;
  while (pool.acquireNow(partBytes, never)) slabs += 1;
  return slabs;
}

describe('planMemory()', () => {
  it('leaves room for what Azure and Cloud Storage take in every thread', () => {
    const given = {
      memoryBytes: defaultMemoryBytes(2),
      threads: 2,
      partBytes: 'auto',
      residentBytes: 0,
    } as const;
    const budgetOf = (...kinds: readonly string[]) => planMemory({ ...given, kinds }).slabBudgetBytes;
    for (const kind of ['azure', 'gcs']) {
      assert.equal(budgetOf('s3', kind), budgetOf('s3', 's3') - 8 * 1024 ** 2);
      assert.equal(budgetOf(kind, kind), budgetOf('s3', kind));
    }
    assert.equal(budgetOf('fs', 'swift'), budgetOf('s3', 's3'));
  });

  it('takes the default for any number of threads', () => {
    for (let threads = 1; threads <= 256; threads += 1) {
      const plan = planMemory({
        memoryBytes: defaultMemoryBytes(threads),
        threads,
        partBytes: 'auto',
        residentBytes,
      });
      assert.ok(plan.slabBudgetBytes >= 8 * MIB);
    }
    assert.equal(defaultMemoryBytes(1), 192 * MIB);
    assert.equal(defaultMemoryBytes(2), 192 * MIB);
    assert.equal(defaultMemoryBytes(5), (192 + 3 * 64) * MIB);
  });

  it('never plans more bytes in flight than are left beside what is resident', () => {
    const input = fc.record({
      memoryBytes: fc.integer({ min: 192 * MIB, max: 64 * 1024 * MIB }),
      threads: fc.integer({ min: 1, max: 128 }),
      residentBytes: fc.integer({ min: 0, max: 120 * MIB }),
    });
    fc.assert(
      fc.property(input, ({ memoryBytes, threads, residentBytes: resident }) => {
        fc.pre(memoryBytes >= defaultMemoryBytes(threads));
        const plan = planMemory({ memoryBytes, threads, partBytes: 'auto', residentBytes: resident });
        const moreObjectsBytes = (plan.objectsMax - 96) * 256 * 1024;
        assert.ok(resident + threads * (plan.slabBudgetBytes + moreObjectsBytes) <= memoryBytes);
        assert.ok(plan.partBytes >= 1 && plan.partBytes <= 8 * MIB);
        assert.ok(2 * plan.partBytes <= plan.slabBudgetBytes, 'two parts are not in flight at once');
      }),
    );
  });

  it('gives parts that S3 takes with the default memory, three of them in flight in every thread', () => {
    for (const threads of [1, 2, 4, 8, 32]) {
      const input = { memoryBytes: defaultMemoryBytes(threads), threads, partBytes: 'auto' } as const;
      // As much as is resident when the sources are run.
      for (const resident of [0, 84 * MIB, 90 * MIB]) {
        const { partBytes, slabBudgetBytes } = planMemory({ ...input, residentBytes: resident });
        const said = `${threads} threads: ${slabsOf(slabBudgetBytes, partBytes)} parts of ${partBytes}`;
        assert.ok(partBytes >= 5 * MIB && partBytes <= 8 * MIB, said);
        assert.ok(slabsOf(slabBudgetBytes, partBytes) >= 3, said);
      }
    }
  });

  it('lets a thread work on 96 objects with the default memory, and on more where there is more, up to 512', () => {
    const objectsOf = (memoryBytes: number, threads: number): number =>
      planMemory({ memoryBytes, threads, partBytes: 'auto', residentBytes }).objectsMax;
    for (let threads = 1; threads <= 256; threads += 1) {
      assert.equal(objectsOf(defaultMemoryBytes(threads), threads), 96, `${threads} threads`);
    }
    assert.equal(objectsOf(172 * MIB, 2), 96);
    const some = objectsOf(1024 * MIB, 2);
    assert.ok(some > 200 && some < 300, `${some}`);
    assert.ok(objectsOf(1024 * MIB, 4) < some);
    assert.equal(objectsOf(64 * 1024 * MIB, 2), 512);
  });

  it('gives the threads less when more is resident already', () => {
    const input = { memoryBytes: 512 * MIB, threads: 2, partBytes: 'auto' } as const;
    const little = planMemory({ ...input, residentBytes: 0 });
    const much = planMemory({ ...input, residentBytes: 200 * MIB });
    assert.ok(much.slabBudgetBytes < little.slabBudgetBytes);
  });

  it('refuses too little with both numbers, and takes exactly what it asked for', () => {
    for (const threads of [1, 2, 7]) {
      const least = leastFor(threads);
      const refused = () => planMemory({ memoryBytes: least - 1, threads, partBytes: 'auto', residentBytes });
      assert.throws(refused, (error) => {
        assert.ok(error instanceof ConfigError);
        const asked = /--memory (\d+)MiB is too little for \d+ threads: they need (\d+)MiB/.exec(
          error.message,
        );
        assert.equal(Number(asked?.[1]), Math.floor((least - 1) / MIB));
        const enough = Number(asked?.[2]) * MIB;
        assert.ok(enough >= least, 'what the message asks for would be refused as well');
        planMemory({ memoryBytes: enough, threads, partBytes: 'auto', residentBytes });
        assert.match(error.hint ?? '', /Raise --memory or lower --threads/);
        return true;
      });
    }
  });

  it('leaves a part size that was asked for as it is', () => {
    for (const partBytes of [1 * MIB, 5 * MIB + 1, 512 * MIB]) {
      const plan = planMemory({ memoryBytes: 192 * MIB, threads: 2, partBytes, residentBytes });
      assert.equal(plan.partBytes, partBytes);
    }
  });
});
