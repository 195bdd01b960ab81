/**
 * Guards what a copy to Azure, Cloud Storage and Swift costs beside the same copy to S3: goals of `npm run bench -- --goals` in
 * small. Both are measured in the same run, so that what slows this machine down slows both.
 */
import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import type { RunRecord } from '../../bench/records.ts';
import { type MeasuredGoals, measureSmallGoals } from './measured-goals.ts';

const MIB = 1024 ** 2;

/**
 * As a multiple of S3's. An MD5 where a CRC would do, or any second hash, costs as much again as all of S3's; of Swift, whose
 * MD5 does so anyway, it is the driver without its checksum that is held.
 */
const TIMES_MAX: Readonly<Record<string, number>> = {
  'azure-medium-bound': 1.6,
  'gcs-medium-bound': 1.6,
  'swift-medium': 1.5,
};

/** Others on the machine make CPU dearer and never cheaper. */
async function least(t: TestContext): Promise<MeasuredGoals> {
  for (let attempt = 1; ; attempt += 1) {
    const measured = await measureSmallGoals(t, Object.keys(TIMES_MAX));
    const above = Object.entries(TIMES_MAX).filter(
      ([name, most]) => (measured.goals.get(name)?.value ?? Number.POSITIVE_INFINITY) > most,
    );
    if (above.length === 0) return measured;
    if (attempt === 3)
      assert.fail(`too dear: ${JSON.stringify([Object.fromEntries(above), ...measured.goals])}`);
  }
}

it('1 MiB objects cost little more CPU on their way to other services than to S3, one request each, in the same memory', async (t) => {
  const { runs } = await least(t);
  const toServices = runs.filter(({ cell, set }) => cell.route !== 's3-s3' && set === 'full');
  assert.equal(toServices.length, 3);
  for (const run of toServices) checkRun(run);
});

function checkRun({ cell, objects, source, target, rssBytesMax = 0, bound }: RunRecord): void {
  const { PutBlob = 0, PutObject = 0, Put = 0 } = target?.operations ?? {};
  const puts = PutBlob + PutObject + Put;
  assert.equal(source?.operations['GetObject'], objects);
  // A few more are the probes of what the target checks.
  assert.ok(puts >= objects && puts <= objects + 10, `${puts} objects written to ${cell.route}`);
  const others = (source?.requests ?? 0) + (target?.requests ?? 0) - 2 * objects;
  assert.ok(others <= 120, `${others} requests that move no object, ${cell.route}`);
  assert.ok(rssBytesMax <= 192 * MIB, `${Math.round(rssBytesMax / MIB)} MiB, ${cell.route}`);
  const sum = { 's3-azure': /a wrong CRC-64/, 's3-gcs': /a wrong CRC-32C/ }[cell.route as string] ?? /./;
  assert.match(bound ?? '', sum);
}
