/** Plans over the stores of a copy's world, and what the copy then does in it. */
import assert from 'node:assert/strict';
import { planMemory } from '../../../src/coordinator/memory.ts';
import { CLASSES, OBJECT_STATES } from '../../../src/core/counters.ts';
import { type PlanOptions, runPlan } from '../../../src/plan/plan.ts';
import type { PlanSummary } from '../../../src/plan/summary.ts';
import type { FaultDriver } from '../../support/fault-driver.ts';
import { CopyWorld, type WorldOptions } from '../copy/copy-world.ts';

const MIB = 1024 ** 2;
const MEMORY = { memoryBytes: 192 * MIB, threads: 2, partBytes: 4096 } as const;

/** Of the operations that a copy was seen to make. */
export type Seen = Readonly<Record<'source' | 'target', Readonly<Record<string, number>>>>;

/** A world whose copy has the memory that a plan reckons with. */
export async function inPlanWorld(
  options: WorldOptions,
  test: (world: CopyWorld) => Promise<void>,
): Promise<void> {
  const { slabBudgetBytes } = planMemory({ ...MEMORY, residentBytes: 0 });
  const world = new CopyWorld({ ...options, slabBudgetBytes, partBytes: MEMORY.partBytes });
  await test(world);
  await world.end();
}

export function planOf(world: CopyWorld, given: Partial<PlanOptions> = {}): Promise<PlanSummary> {
  return runPlan({
    source: world.sourceDriver,
    target: world.targetDriver,
    sourcePrefix: world.sourcePrefix,
    targetPrefix: world.targetPrefix,
    keyRules: { source: '', target: '' },
    detect: async () => world.ctx.layout,
    ownedBefore: async () => world.ctx.ownsTarget,
    whyInvalidKey: () => undefined,
    ...MEMORY,
    sampleBytes: MIB,
    signal: world.ctx.signal,
    ...given,
  });
}

/** What a store holds, to see that nothing came of a plan. */
export function contentOf(store: CopyWorld['target']): ReadonlyMap<string, string | undefined> {
  return new Map(store.keys().map((key) => [key, store.get(key)?.version]));
}

/** Copies, and counts what both sides are asked for meanwhile. */
export async function copySeen(world: CopyWorld): Promise<Seen> {
  const before = { source: world.sourceDriver.calls.length, target: world.targetDriver.calls.length };
  await world.pass();
  return {
    source: countsOf(world.sourceDriver, before.source),
    target: countsOf(world.targetDriver, before.target),
  };
}

/** Without listings, whose pages the driver of the world counts differently. */
function countsOf(driver: FaultDriver, from: number): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { operation } of driver.calls.slice(from)) {
    if (operation !== 'flush' && operation !== 'list') counts[operation] = (counts[operation] ?? 0) + 1;
  }
  return counts;
}

/** Takes the listings made so far away, sorted. */
export function takeListings(world: CopyWorld): readonly string[] {
  const all = [world.sourceDriver, world.targetDriver].flatMap((driver) =>
    driver.listings.splice(0).map((query) => `${driver.name}: ${JSON.stringify(query)}`),
  );
  return all.sort();
}

/** The copy did to each class what the plan said, and asked for what it said. */
export function assertAsPlanned(plan: PlanSummary, world: CopyWorld, seen: Seen): void {
  const planned = CLASSES.map((one) => {
    const of = plan.objectsByClass[one];
    return [
      one,
      {
        copied: of.missing.objects + of.differing.objects,
        copiedBytes: of.missing.bytes + of.differing.bytes,
        skipped: of.equal.objects,
        conflict: of.conflicting.objects,
      },
    ] as const;
  });
  const copied = CLASSES.map(
    (one) =>
      [
        one,
        {
          copied: world.counters.objects('copied', one),
          copiedBytes: world.counters.bytes('copied', one),
          skipped: world.counters.objects('skipped', one),
          conflict: world.counters.objects('conflict', one),
        },
      ] as const,
  );
  assert.deepEqual(planned, copied);
  for (const state of OBJECT_STATES) {
    if (['copied', 'skipped', 'conflict'].includes(state)) continue;
    assert.equal(world.counters.objects(state), 0, state);
  }
  assert.equal(plan.objects.undecided.objects, 0);
  assert.equal(plan.objectsLeftOut, world.counters.count('leftOut'));
  assert.equal(plan.listedSource, world.counters.count('listedSource'));
  const { source, target } = plan.requests;
  const withoutLists = ({ list: _, ...others }: typeof source) => others;
  assert.deepEqual({ source: withoutLists(source), target: withoutLists(target) }, seen);
}
