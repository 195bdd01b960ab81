/**
 * Runs every conformance case against one driver. A binding is ten lines: how to open the driver over empty storage,
 * how to take the storage away, and what the driver lacks.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Binding, CallContext, StorageDriver } from '../../src/drivers/driver.ts';
import {
  assertNothingLeft,
  type CaseHelpers,
  type DriverCase,
  INVISIBLE,
  listAll,
  type Requirement,
  visiblePowers,
} from './case.ts';
import { DRIVER_CASES } from './cases.ts';

export interface DriverFixture {
  /** Over storage that holds nothing. */
  readonly driver: StorageDriver;
  /** What the driver was told that its target refuses; default: what it finds out by probing. */
  readonly binding?: Binding;
  /** Another driver over the same storage, as another process would open it. */
  reopen(): Promise<StorageDriver>;
  /** Throws if anything is left that no listing shows. All objects and uploads are removed, all drivers closed. */
  assertClean?(): Promise<void>;
  /** Takes the storage away, after a failed case with everything in it. */
  cleanup(): Promise<void>;
}

export interface SuiteOptions {
  /** Cases that need one of these do not exist for this driver. What is not named here the driver must have. */
  readonly lacks?: readonly Requirement[];
  /**
   * What the driver says of itself and this server does not keep, such as the order of listings: no case that needs it
   * runs, and the driver must go on saying it.
   */
  readonly saysInVain?: readonly Requirement[];
  /** Default 2,100: a little more than two pages of 1,000. */
  readonly manyObjects?: number;
  /** Of the odd keys, those that the service cannot keep as they are. */
  readonly refusedKeys?: readonly string[];
  /** For one case, in milliseconds; default a minute. */
  readonly timeoutMs?: number;
}

export function describeDriver(
  name: string,
  open: () => Promise<DriverFixture>,
  options: SuiteOptions = {},
): void {
  const lacks = options.lacks ?? [];
  const cases = casesFor(options);
  describe(`${name} driver`, () => {
    it('lacks no more and no less than its binding says', async () => {
      const fixture = await open();
      await withFixture(fixture, options, async (driver, ctx) => {
        const binding = fixture.binding ?? (await driver.binding?.probe(ctx, 'suite-probe/'));
        const lacking = Object.entries(visiblePowers(driver, binding)).filter(([, isThere]) => !isThere);
        const hidden: readonly Requirement[] = [...INVISIBLE, ...(options.saysInVain ?? [])];
        const named = lacks.filter((requirement) => !hidden.includes(requirement));
        assert.deepEqual(lacking.map(([requirement]) => requirement).sort(), [...named].sort());
        for (const requirement of options.saysInVain ?? [])
          assert.ok(!named.includes(requirement), `the driver does say "${requirement}"`);
      });
    });
    for (const testCase of cases) {
      it(testCase.name, { timeout: options.timeoutMs ?? 60_000 }, async () => {
        await runCase(testCase, await open(), options);
      });
    }
  });
}

/** The cases that need nothing which is not there. */
export function casesFor({ lacks = [], saysInVain = [] }: SuiteOptions): readonly DriverCase[] {
  const missing: readonly Requirement[] = [...lacks, ...saysInVain];
  return DRIVER_CASES.filter((one) => !one.requires?.some((requirement) => missing.includes(requirement)));
}

/** Rejects if the case fails or leaves something behind. */
export async function runCase(
  testCase: DriverCase,
  fixture: DriverFixture,
  options: SuiteOptions,
): Promise<void> {
  await withFixture(fixture, options, async (driver, ctx, helpers) => {
    await assertNothingLeft(driver, ctx);
    await testCase.run(driver, ctx, helpers);
    await removeEverything(driver, ctx);
    await assertNothingLeft(driver, ctx);
  });
}

async function withFixture(
  fixture: DriverFixture,
  options: SuiteOptions,
  work: DriverCase['run'],
): Promise<void> {
  const opened: StorageDriver[] = [fixture.driver];
  const helpers: CaseHelpers = {
    manyObjects: options.manyObjects ?? 2_100,
    lacks: [...(options.lacks ?? []), ...(options.saysInVain ?? [])],
    refusedKeys: options.refusedKeys ?? [],
    reopen: async () => {
      const other = await fixture.reopen();
      opened.push(other);
      return other;
    },
  };
  const closeAll = async () => {
    for (const one of opened.splice(0)) await one.close();
  };
  let failure: { readonly error: unknown } | undefined;
  try {
    await work(fixture.driver, { signal: new AbortController().signal }, helpers);
    await closeAll();
    await fixture.assertClean?.();
  } catch (error) {
    failure = { error };
  }
  // What a failed case left running may disturb the tidying up; the failure itself is what must be seen.
  const tidied = await Promise.allSettled([closeAll().then(() => fixture.cleanup())]);
  if (failure !== undefined) throw failure.error;
  for (const outcome of tidied) if (outcome.status === 'rejected') throw outcome.reason;
}

async function removeEverything(driver: StorageDriver, ctx: CallContext): Promise<void> {
  for (const upload of (await driver.multipart?.listUploads(ctx, '')) ?? []) {
    await driver.multipart?.abort(ctx, upload);
  }
  const keys = (await listAll(driver, ctx)).keys;
  assert.equal(new Set(keys).size, keys.length, 'no key is listed twice');
  const queue = keys.values();
  const removeQueue = async () => {
    for (const key of queue) await driver.remove(ctx, key);
  };
  await Promise.all(Array.from({ length: 8 }, removeQueue));
  await driver.flush(ctx);
}
