/**
 * The suite is itself tested: each driver here is right but for one planted fault, and the cases that are meant to find
 * the fault must fail. A suite that no fault can fail would prove nothing about a real backend.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { openMemoryDriver } from '../../src/drivers/memory/memory-driver.ts';
import { forgetStore } from '../../src/drivers/memory/memory-store.ts';
import type { DriverCase } from './case.ts';
import { DRIVER_CASES } from './cases.ts';
import { bound, type Fault } from './fault.ts';
import { LISTING_FAULTS, PAGE_OBJECTS } from './faults-listing.ts';
import { MULTIPART_FAULTS } from './faults-multipart.ts';
import { OBJECT_FAULTS } from './faults-objects.ts';
import { runCase, type SuiteOptions } from './suite.ts';

const OPTIONS: SuiteOptions = { manyObjects: 47 };
const FAULTS: readonly Fault[] = [...OBJECT_FAULTS, ...LISTING_FAULTS, ...MULTIPART_FAULTS];

/** Names of those cases that fail against the driver with this fault. */
async function failuresOf(plant: Fault['plant'], cases: readonly DriverCase[]): Promise<readonly string[]> {
  const failed: string[] = [];
  for (const testCase of cases) {
    const spec = { kind: 'memory', name: randomUUID() } as const;
    const open = () => {
      const driver = openMemoryDriver(spec, { pageObjectsMax: PAGE_OBJECTS });
      return bound(driver, plant(driver));
    };
    const fixture = {
      driver: open(),
      reopen: async () => open(),
      cleanup: async () => forgetStore(spec.name),
    };
    try {
      await withinTime(runCase(testCase, fixture, OPTIONS));
    } catch {
      failed.push(testCase.name);
    }
  }
  return failed;
}

/** A fault may also show itself by a call that never ends. */
function withinTime(run: Promise<void>): Promise<void> {
  const late = AbortSignal.timeout(8_000);
  return new Promise((resolve, reject) => {
    late.addEventListener('abort', () => reject(late.reason), { once: true });
    run.then(resolve, reject);
  });
}

describe('conformance cases', () => {
  // Stores in memory have no folders, and copy nothing by themselves.
  const cases = DRIVER_CASES.filter(
    ({ requires = [] }) =>
      !requires.includes('folders') && !requires.includes('filePaths') && !requires.includes('serverCopy'),
  );

  it('pass against a driver without a fault', async () => {
    assert.deepEqual(await failuresOf(() => ({}), cases), []);
  });

  it('have names that differ', () => {
    const names = DRIVER_CASES.map((testCase) => testCase.name);
    assert.deepEqual([...new Set(names)], names);
  });

  for (const fault of FAULTS) {
    it(`notice that ${fault.name}`, async () => {
      const meant = cases.filter((testCase) => fault.noticedBy.includes(testCase.name));
      assert.deepEqual(
        await failuresOf(fault.plant, meant),
        meant.map((testCase) => testCase.name),
      );
      assert.equal(meant.length, fault.noticedBy.length, 'every case named here exists');
    });
  }
});
