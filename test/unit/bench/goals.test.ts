import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { describe, it } from 'node:test';
import { limitedOf, steadyOf } from '../../../bench/goals/conditions.ts';
import { GOALS } from '../../../bench/goals/goals.ts';
import { chooseGoals } from '../../../bench/goals/measure-goals.ts';
import { STEP_PLANS, type StepName } from '../../../bench/goals/steps.ts';
import { goalsText } from '../../../bench/goals/table.ts';
import type { Verdict } from '../../../bench/goals/verdict.ts';
import { FULL } from '../../../bench/plan/parameters.ts';
import type { BenchLine, BenchRecord, FloorRecord, RunRecord, ServerShare } from '../../../bench/records.ts';
import { resultsOf } from '../../../bench/report/summarise.ts';

const AT = '2026-11-23T10:00:00.000Z';
const GIB = 1024 ** 3;
const START: BenchRecord = {
  kind: 'bench',
  format: 1,
  at: AT,
  isQuick: false,
  parameters: FULL,
  machine: { commit: 'a', node: '26', kernel: 'L', cpu: 'C', cores: 2, memoryBytes: 2 ** 34, load: 0 },
  copiers: [],
  missing: [],
};

const SHARE: ServerShare = {
  requests: 0,
  operations: {},
  statuses: {},
  errors: {},
  connections: 0,
  bytesIn: 0,
  bytesOut: 0,
  cpuSeconds: 0,
};

interface Costs {
  /** CPU seconds of 10,000 objects, or of a GiB, and the same of the start. */
  readonly cpu: number;
  readonly wall?: number;
  readonly copier?: string;
  readonly target?: Partial<ServerShare>;
  readonly source?: Partial<ServerShare>;
}

function runsOf(step: StepName, costs: Costs): readonly RunRecord[] {
  const { cpu, wall = 2 * cpu, copier = 'blobferry', source = {}, target = {} } = costs;
  return (['half', 'full'] as const).map((set) => {
    const share = set === 'full' ? 1 : 0.5;
    return {
      kind: 'run',
      at: AT,
      cell: STEP_PLANS[step].cell,
      copier,
      command: copier,
      set,
      repeat: 1,
      objects: 10_000 * share,
      bytes: GIB * share,
      outcome: 'ok',
      wallSeconds: 1 + wall * share,
      userSeconds: 1 + cpu * share,
      systemSeconds: 0,
      cpuSecondsScaled: 1 + cpu * share,
      sha256SecondsPerGib: 0.55,
      rssBytesMax: 100 * 1024 ** 2,
      source: { ...SHARE, ...source },
      target: { ...SHARE, ...target },
    };
  });
}

function floorsOf(step: StepName, costs: Readonly<Record<string, number>>): readonly FloorRecord[] {
  return Object.entries(costs).flatMap(([floor, cpu]) =>
    runsOf(step, { cpu }).map(
      ({ copier: _copier, command: _command, outcome: _outcome, ...run }) =>
        ({ ...run, kind: 'floor', floor }) as FloorRecord,
    ),
  );
}

function judge(name: string, lines: Readonly<Partial<Record<StepName, readonly BenchLine[]>>>): Verdict {
  const goal = GOALS.find((one) => one.name === name);
  assert.ok(goal, name);
  const steps = Object.entries(lines) as [StepName, readonly BenchLine[]][];
  return goal.judge({
    limitPerSecond: 1500,
    limitedSeconds: 60,
    bandwidthBytesPerSecond: 80e6,
    runs: new Map(
      steps.map(([step, some]) => [step, some.filter((line): line is RunRecord => line.kind === 'run')]),
    ),
    results: new Map(
      steps.flatMap(([step, some]) => {
        const [result] = resultsOf({ name: step, start: START, end: undefined, lines: some });
        return result ? [[step, result] as const] : [];
      }),
    ),
  });
}

describe('goals', () => {
  it('have nothing but a target where nothing was measured', () => {
    for (const { name, steps } of GOALS) {
      const { value, isReached, target } = judge(name, {});
      assert.deepEqual([value, isReached], [undefined, undefined], name);
      assert.notEqual(target, '');
      for (const step of steps) assert.ok(STEP_PLANS[step]);
    }
  });

  it('for CPU per object are held against their limit, beside their floor, without the start', () => {
    const lines = (cpu: number): readonly BenchLine[] => [
      ...runsOf('small', { cpu }),
      ...floorsOf('small', { sha256: 0.05, exchange: 0.2 }),
    ];
    const reached = judge('small', { small: lines(0.8) });
    assert.deepEqual([reached.value?.toFixed(3), reached.floor?.toFixed(3)], ['0.080', '0.025']);
    assert.equal(judge('small', { small: lines(0.79) }).isReached, true);
    assert.equal(judge('small', { small: lines(0.81) }).isReached, false);
  });

  it('say that too little was measured where the whole cost no more than its half', () => {
    const { value, isReached, note } = judge('medium', { medium: runsOf('medium', { cpu: -0.1 }) });
    assert.deepEqual([value, isReached], [undefined, undefined]);
    assert.match(note, /too few/);
  });

  it('for large objects look at how they were sent, and at 1.2 times the floor', () => {
    const lines = (step: 'large-put' | 'large-old', cpu: number, way: string) => ({
      [step]: [
        ...runsOf(step, { cpu, target: { operations: { [way]: 8 } } }),
        ...floorsOf(step, { sha256: 0.55, pump: 0.5, crc32: 0.2 }),
      ],
    });
    assert.equal(judge('large-put', lines('large-put', 1.2, 'PutObject')).isReached, true);
    assert.equal(judge('large-put', lines('large-put', 1.28, 'PutObject')).isReached, false);
    assert.match(judge('large-put', lines('large-put', 1.2, 'UploadPart')).note, /in parts/);
    const parts = lines('large-old', 1.8, 'UploadPart');
    assert.equal(judge('large-sha256', parts).isReached, true);
    assert.equal(judge('large-sha256', parts).floor?.toFixed(2), '1.60');
    assert.equal(judge('large-sha256', lines('large-old', 1.95, 'UploadPart')).isReached, false);
    assert.match(judge('large-sha256', lines('large-old', 1.8, 'PutObject')).note, /one PUT/);
  });

  it('for other services are multiples of what S3 costs, by object where these are small and by byte where not', () => {
    const medium = runsOf('medium', { cpu: 1 });
    const azure = (cpu: number) => ({
      medium,
      'azure-medium-unbound': runsOf('azure-medium-unbound', { cpu }),
      'azure-medium': runsOf('azure-medium', { cpu: 2 * cpu }),
    });
    assert.equal(judge('azure-medium', azure(1.2)).value?.toFixed(2), '1.20');
    assert.equal(judge('azure-medium', azure(1.29)).isReached, true);
    assert.equal(judge('azure-medium', azure(1.31)).isReached, false);
    assert.equal(judge('azure-medium-bound', azure(1.2)).value?.toFixed(2), '2.40');
    assert.equal(judge('azure-medium-bound', azure(1.2)).isReached, false);
    assert.equal(judge('azure-medium', { medium }).value, undefined);
    const small = {
      small: runsOf('small', { cpu: 1 }),
      'gcs-small-unbound': runsOf('gcs-small-unbound', { cpu: 1.1 }),
    };
    const { value, note } = judge('gcs-small', small);
    assert.equal(value?.toFixed(2), '1.10');
    assert.match(note, /^0\.11\d* ms\/object, to S3 0\.10/);
  });

  it('for TLS take the difference to http', () => {
    const lines = (http: number, https: number): Verdict =>
      judge('large-tls', {
        large: [...runsOf('large', { cpu: http }), ...floorsOf('large', { pump: 0.5 })],
        'large-tls': [...runsOf('large-tls', { cpu: https }), ...floorsOf('large-tls', { pump: 0.9 })],
      });
    const verdict = lines(1.4, 1.8);
    assert.deepEqual([verdict.value?.toFixed(2), verdict.floor?.toFixed(2)], ['0.40', '0.40']);
    assert.deepEqual([verdict.isReached, lines(1.4, 1.95).isReached], [true, false]);
  });

  it('for time compare with the fastest peer, and name those that failed', () => {
    const failed = runsOf('small', { cpu: 1, copier: 'mc' }).map((run): RunRecord => {
      return { ...run, outcome: 'failed', reason: 'no' };
    });
    const lines = (wall: number): readonly BenchLine[] => [
      ...runsOf('small', { cpu: 1, wall: 1 }),
      ...runsOf('small', { cpu: 9, wall, copier: 'rclone-new' }),
      ...runsOf('small', { cpu: 9, wall: 99, copier: 'rclone' }),
      ...failed,
    ];
    const verdict = judge('small-wall', { small: lines(8) });
    assert.deepEqual([verdict.value, verdict.isReached], [4.5, true]);
    assert.match(verdict.note, /rclone-new × 4\.50, rclone × 50\.0, mc failed/);
    assert.equal(judge('small-wall', { small: lines(6.9) }).isReached, false);
    assert.equal(judge('small-wall', { small: runsOf('small', { cpu: 1 }) }).isReached, undefined);
  });

  it('for a limited server look at its own counts, from the middle of the time on', () => {
    const run = (accepted: number, refused: number): Verdict => {
      const first = Array.from({ length: 30 }, () => ({ accepted: 900, refused: 900 }));
      const later = Array.from({ length: 30 }, () => ({ accepted, refused }));
      const seconds = [{ accepted: 0, refused: 0 }, ...first, ...later, { accepted: 1, refused: 0 }];
      return judge('limited', { limited: runsOf('limited', { cpu: 1, target: { seconds } }) });
    };
    assert.deepEqual([run(1400, 20).value?.toFixed(1), run(1400, 20).isReached], ['93.3', true]);
    assert.equal(run(1340, 20).isReached, false);
    assert.equal(run(1400, 50).isReached, false);
    assert.equal(limitedOf([{ accepted: 5, refused: 0 }], 30), undefined);
  });

  it('for a slow network are reached by speed, or by a machine that has nothing left', () => {
    const slow = (wall: number, cpu: number): Verdict =>
      judge('slow-small', { 'slow-small': runsOf('slow-small', { cpu, wall }) });
    assert.deepEqual([slow(2, 0.1).value, slow(2, 0.1).isReached], [5000, true]);
    assert.equal(slow(4, 0.1).isReached, false);
    assert.equal(slow(4, 999).isReached, true);
    assert.equal(steadyOf([]), undefined);
  });

  it('for large objects on a slow network want connections that are full in both directions, and not one alone', () => {
    const filled = (from: number, to: number, connections = availableParallelism() + 1): Verdict => {
      const moved = (rate: number) => ({ bytes: rate * 10, seconds: 10 });
      const source = { largeBodiesOut: moved(from) };
      const target = { largeBodiesIn: moved(to) };
      return judge('slow-large', {
        'slow-large': runsOf('slow-large', { cpu: 0.1, wall: GIB / (connections * 80e6), source, target }),
      });
    };
    assert.deepEqual([filled(76e6, 78e6).value, filled(76e6, 78e6).isReached], [95, true]);
    assert.equal(filled(78e6, 60e6).isReached, false);
    assert.equal(filled(76e6, 78e6, 0.8).isReached, false);
  });

  it('for memory take the most of all runs', () => {
    const big = runsOf('large', { cpu: 1 }).map((run) => ({ ...run, rssBytesMax: 2 ** 40 }));
    const { isReached, note } = judge('memory', { small: runsOf('small', { cpu: 1 }), large: big });
    assert.equal(isReached, false);
    assert.match(note, /^large;/);
    assert.equal(judge('memory', { small: runsOf('small', { cpu: 1 }) }).isReached, true);
  });

  it('are chosen by name', () => {
    assert.deepEqual(
      chooseGoals(['limited*', 'small']).map(({ name }) => name),
      ['small', 'limited', 'limited-silent'],
    );
    assert.throws(() => chooseGoals(['smal']), /No goal is called "smal"; there are small, small-wall/);
  });

  it('are told in one table', () => {
    const verdict = { unit: 's/GiB', target: '≤ 1.3', note: 'a note' };
    const at = { kind: 'goal', at: AT, title: 'CPU' } as const;
    const text = goalsText([
      { ...at, ...verdict, name: 'one', value: 1.234, floor: 1, isReached: true },
      { ...at, ...verdict, name: 'two', value: 1.5, floor: 1, isReached: false },
      { ...at, ...verdict, name: 'three' },
    ]);
    assert.match(text, /^one .* 1\.23 +s\/GiB .* 1\.00 +reached +a note$/m);
    assert.match(text, /^two .* NOT REACHED/m);
    assert.match(text, /^three .* – .* not measured/m);
  });
});
