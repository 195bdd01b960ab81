/** Goals of the bench in small and with blobferry alone, for tests that hold figures. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { findCopiers } from '../../bench/copiers/find-copiers.ts';
import { measureGoals } from '../../bench/goals/measure-goals.ts';
import { GOALS, type Parameters } from '../../bench/plan/parameters.ts';
import type { GoalRecord, RunRecord } from '../../bench/records.ts';

const SMALL: Parameters = {
  ...GOALS,
  small: 10_000,
  medium: 512,
  large: 4,
  largeBytes: 128 * 1024 ** 2,
  listing: 100_000,
  repeat: 1,
  limitSeconds: 120,
};

export interface MeasuredGoals {
  readonly goals: ReadonlyMap<string, GoalRecord>;
  readonly runs: readonly RunRecord[];
}

/** Fails where a run does: an object that is lost is no matter of speed. */
export async function measureSmallGoals(
  t: TestContext,
  patterns: readonly string[],
  changes: Partial<Parameters> = {},
): Promise<MeasuredGoals> {
  const searches = await findCopiers({ names: ['blobferry'], commands: new Map(), commit: 'gate' });
  const runs: RunRecord[] = [];
  const plan = { patterns, searches, parameters: { ...SMALL, ...changes }, isQuick: true, folder: undefined };
  const { records, failures } = await measureGoals(plan, (line) => {
    if (line.kind === 'run') runs.push(line);
  });
  assert.deepEqual(failures, []);
  for (const { name, value, unit, floor, note } of records) {
    t.diagnostic(JSON.stringify({ name, value, unit, floor, note }));
  }
  return { goals: new Map(records.map((record) => [record.name, record])), runs };
}
