/**
 * The suite against a real driver that is right but for one planted fault: what the memory driver's faults show of the
 * cases (broken-drivers.test.ts) holds over this driver and its server, too. A case that cannot fail here would prove
 * nothing of this backend.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { StorageDriver } from '../../src/drivers/driver.ts';
import { bound, type Fault } from './fault.ts';
import { LISTING_FAULTS } from './faults-listing.ts';
import { MULTIPART_FAULTS } from './faults-multipart.ts';
import { OBJECT_FAULTS } from './faults-objects.ts';
import { casesFor, type DriverFixture, runCase, type SuiteOptions } from './suite.ts';

const FAULTS: readonly Fault[] = [...OBJECT_FAULTS, ...LISTING_FAULTS, ...MULTIPART_FAULTS];

/** One of each sort: nothing removed, wrong bytes, lost keys, parts left open, half an object shown, a deaf write. */
const PLANTED: readonly string[] = [
  'remove() does nothing',
  'ranges begin one byte late',
  'the last page of a listing is lost',
  'abort() does nothing',
  'parts are visible before the upload is complete',
  'half an object is visible while it is written',
  'write() ignores its signal',
];

/** A server that was sent the whole of a request may carry it out, aborted or not: there this case allows both. */
const AT_THE_END = 'write() that is aborted at the end of its body leaves nothing, or the whole';

/** As `describeDriver`, and with the same fixtures; the cases themselves must pass there. */
export function describePlantedFaults(
  driverName: string,
  open: () => Promise<DriverFixture>,
  options: SuiteOptions,
): void {
  describe(`the cases over the ${driverName} driver`, () => {
    for (const faultName of PLANTED) {
      const fault = FAULTS.find((one) => one.name === faultName);
      assert.ok(fault, `"${faultName}" is a fault that is known`);
      const isExact = options.lacks?.includes('exactAborts') !== true;
      const cases = casesFor(options).filter(
        ({ name }) => fault.noticedBy.includes(name) && (isExact || name !== AT_THE_END),
      );
      it(`notice that ${faultName}`, { timeout: options.timeoutMs ?? 60_000 }, async () => {
        assert.ok(cases.length > 0, 'a case for it runs over this driver');
        for (const testCase of cases) {
          const run = runCase(testCase, planted(await open(), fault), options);
          // The case itself must say so: a server that has gone would refuse every driver.
          await assert.rejects(run, isNotice, `"${testCase.name}" notices it`);
        }
      });
    }
  });
}

function isNotice(error: unknown): boolean {
  return error instanceof assert.AssertionError;
}

function planted(fixture: DriverFixture, fault: Fault): DriverFixture {
  const plant = (driver: StorageDriver): StorageDriver => bound(driver, fault.plant(driver));
  return {
    ...fixture,
    driver: plant(fixture.driver),
    reopen: async () => plant(await fixture.reopen()),
  };
}
