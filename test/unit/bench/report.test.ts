import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FULL } from '../../../bench/plan/parameters.ts';
import type { BenchLine, BenchRecord, FloorRecord, RunRecord } from '../../../bench/records.ts';
import { html } from '../../../bench/report/html.ts';
import { renderPage } from '../../../bench/report/page.ts';
import { agreementsOf, type Bench, readBench, resultsOf, spreadOf } from '../../../bench/report/summarise.ts';
import { agreementText, progressLine, resultText } from '../../../bench/report/text.ts';

const CELL = { workload: 'small', route: 's3-s3', scheme: 'http', condition: 'loopback' } as const;
const AT = '2026-11-23T10:00:00.000Z';

const START: BenchRecord = {
  kind: 'bench',
  format: 1,
  at: AT,
  isQuick: false,
  parameters: FULL,
  machine: {
    commit: 'abc',
    node: '26.10.0',
    kernel: 'Linux 6',
    cpu: 'A <fast> one',
    cores: 2,
    memoryBytes: 2 ** 34,
    load: 0.5,
  },
  copiers: [{ name: 'blobferry', version: '1' }],
  missing: [{ name: 's5cmd', missing: 's5cmd is not installed: get it' }],
};

interface Figure {
  readonly copier: string;
  readonly set: 'half' | 'full';
  readonly cpuSeconds: number;
  readonly repeat?: number;
  readonly speed?: number;
}

/** 1,000 objects and 1 GiB, or half of both. */
function run({ copier, set, cpuSeconds, repeat = 1, speed = 0.55 }: Figure): RunRecord {
  const share = set === 'full' ? 1 : 0.5;
  return {
    kind: 'run',
    at: AT,
    cell: CELL,
    copier,
    command: `${copier} copy`,
    set,
    repeat,
    objects: 1000 * share,
    bytes: 1024 ** 3 * share,
    outcome: 'ok',
    exitCode: 0,
    wallSeconds: cpuSeconds * 2,
    userSeconds: cpuSeconds * 0.75,
    systemSeconds: cpuSeconds * 0.25,
    rssBytesMax: 1e8,
    sha256SecondsPerGib: speed,
    cpuSecondsScaled: (cpuSeconds * 0.55) / speed,
    planted: { answers: {}, isRefused: true },
    hashed: 'sha256',
    bound: 'all of it',
  };
}

function pair(copier: string, half: number, full: number, repeat = 1, speed = 0.55): readonly RunRecord[] {
  return [
    run({ copier, set: 'half', cpuSeconds: half, repeat, speed }),
    run({ copier, set: 'full', cpuSeconds: full, repeat, speed }),
  ];
}

function benchOf(name: string, ...lines: readonly BenchLine[]): Bench {
  return readBench(name, [START, ...lines].map((line) => `${JSON.stringify(line)}\n`).join(''));
}

function close(actual: number | undefined, expected: number): void {
  assert.ok(actual !== undefined && Math.abs(actual - expected) < 1e-9, `${actual} is not ${expected}`);
}

describe('results of a bench', () => {
  it('are what the other half of the objects costs, without the start', () => {
    const [result] = resultsOf(benchOf('a', ...pair('blobferry', 1.5, 2)));
    const figures = result?.copiers[0]?.figures;
    close(figures?.cpuMsPerObject?.median, 1);
    close(figures?.cpuSecondsPerGib?.median, 1);
    close(figures?.startCpuSeconds?.median, 1);
    close(figures?.cpuSeconds.median, 2);
    close(figures?.wallSeconds.median, 4);
    assert.equal(result?.objects, 1000);
  });

  it('are scaled by how fast sha256 was', () => {
    const [result] = resultsOf(benchOf('a', ...pair('blobferry', 3, 4, 1, 1.1)));
    close(result?.copiers[0]?.figures?.cpuMsPerObject?.median, 1);
    close(result?.copiers[0]?.figures?.cpuMsPerObjectMeasured?.median, 2);
  });

  it('are the median of the pairs, each of one repeat', () => {
    const lines = [...pair('x', 1, 2, 1), ...pair('x', 1, 9, 2), ...pair('x', 1, 3, 3)];
    const [result] = resultsOf(benchOf('a', ...lines));
    const spread = result?.copiers[0]?.figures?.cpuMsPerObject;
    close(spread?.median, 4);
    assert.deepEqual([spread?.min, spread?.max], [2, 16]);
  });

  it('have no figures for who failed once, but the reason', () => {
    const failed: RunRecord = {
      ...run({ copier: 'x', set: 'full', cpuSeconds: 9 }),
      outcome: 'failed',
      reason: 'lost 3',
    };
    const [result] = resultsOf(benchOf('a', ...pair('x', 1, 2), failed));
    const [x] = result?.copiers ?? [];
    assert.equal(x?.outcome, 'failed');
    assert.equal(x?.reason, 'lost 3');
    assert.equal(x?.figures, undefined);
  });

  it('have the whole run where no half was run', () => {
    const [result] = resultsOf(benchOf('a', run({ copier: 'x', set: 'full', cpuSeconds: 2 })));
    const figures = result?.copiers[0]?.figures;
    assert.equal(figures?.cpuMsPerObject, undefined);
    close(figures?.cpuSeconds.median, 2);
  });

  it('have floors beside the copiers', () => {
    const floor = (set: 'half' | 'full'): FloorRecord => {
      const {
        kind: _kind,
        copier: _copier,
        command: _command,
        outcome: _outcome,
        ...rest
      } = run({
        copier: '',
        set,
        cpuSeconds: set === 'full' ? 0.6 : 0.3,
      });
      return { ...rest, kind: 'floor', floor: 'sha256' } as FloorRecord;
    };
    const [result] = resultsOf(benchOf('a', floor('half'), floor('full'), ...pair('x', 1, 2)));
    close(result?.floors.get('sha256')?.cpuSecondsPerGib?.median, 0.6);
  });

  it('are not read from anything else', () => {
    assert.throws(() => readBench('x', 'no json'), /x, line 1 is no JSON/);
    assert.throws(() => readBench('x', '{"kind":"run"}\n'), /no result file/);
    assert.throws(() => readBench('x', ''), /no result file/);
  });
});

describe('spreadOf()', () => {
  it('takes the middle, or the mean of both middles', () => {
    assert.equal(spreadOf([3, 1, 2])?.median, 2);
    assert.equal(spreadOf([4, 1, 2, 3])?.median, 2.5);
    assert.equal(spreadOf([7])?.median, 7);
    assert.equal(spreadOf([]), undefined);
  });
});

describe('two benches', () => {
  it('are as far apart as the medians of their cost per object', () => {
    const [one] = agreementsOf(
      benchOf('a', ...pair('x', 1, 2), ...pair('y', 1, 2)),
      benchOf('b', ...pair('x', 1, 2.1)),
    );
    assert.equal(one?.copier, 'x');
    close(one?.difference, 0.1);
    assert.match(agreementText(one ? [one] : []), /10\.0 %/);
    assert.match(agreementText([]), /nothing|no cell/);
  });
});

describe('the page', () => {
  const page = renderPage([
    benchOf('a.jsonl', ...pair('blobferry', 1.5, 2), ...pair('rclone', 1, 3), {
      kind: 'trial',
      at: AT,
      route: 's3-s3',
      scheme: 'http',
      copier: 'rclone',
      trial: 'get-large',
      outcome: 'unnoticed',
      refusals: {},
    }),
    benchOf('b.jsonl', ...pair('blobferry', 1.5, 2.2), {
      ...run({ copier: 'mc', set: 'half', cpuSeconds: 1 }),
      outcome: 'failed',
      reason: 'lost <b>3</b>',
    }),
  ]);

  it('needs nothing from anywhere else', () => {
    assert.match(page, /^<!doctype html>/);
    assert.doesNotMatch(page, /<script|<link|src=|url\(|@import|https?:/);
  });

  it('escapes what it is given', () => {
    assert.match(page, /A &lt;fast&gt; one/);
    assert.match(page, /lost &lt;b&gt;3/);
    assert.doesNotMatch(page, /<fast>|<b>3/);
    assert.equal(html`<i>${'"&'}</i>${html`<b>${1}</b>`}`.text, '<i>&quot;&amp;</i><b>1</b>');
  });

  it('takes each cell from the newest bench that has it', () => {
    // 0.7 s for 500 objects in the second one.
    assert.match(page, /1\.40/);
  });

  it('tells how far the benches are apart, who is missing and who noticed nothing', () => {
    assert.match(page, /Measured twice/);
    assert.match(page, /40\.0 %/);
    assert.match(page, /s5cmd is not installed/);
    assert.match(page, /NOT NOTICED/);
  });

  it('shows who failed as failed, never with a figure', () => {
    const first = renderPage([
      benchOf('a', ...pair('blobferry', 1.5, 2), {
        ...run({ copier: 'mc', set: 'full', cpuSeconds: 777 }),
        outcome: 'failed',
        reason: 'lost it',
      }),
    ]);
    assert.match(first, /failed: lost it/);
    assert.doesNotMatch(first, /777|1,554/);
  });
});

describe('text for the terminal', () => {
  it('has a row for each copier and names who failed', () => {
    const text = resultText(
      resultsOf(
        benchOf(
          'a',
          ...pair('blobferry', 1.5, 2),
          { ...run({ copier: 'mc', set: 'half', cpuSeconds: 1 }), outcome: 'failed', reason: 'lost it' },
          { kind: 'absence', cell: CELL, copier: 'aws', reason: 'one endpoint only' },
        ),
      ),
    );
    assert.match(text, /^small\/s3-s3\/http\/loopback: 1,000 objects, 1\.0 GiB$/m);
    assert.match(text, /^ +blobferry +1\.00 +2\.00 +4\.00/m);
    assert.match(text, /mc: FAILED: lost it/);
    assert.match(text, /aws: not run: one endpoint only/);
  });

  it('has one line for a run, with the reason where it failed', () => {
    const good = run({ copier: 'x', set: 'full', cpuSeconds: 2 });
    assert.match(progressLine(good), /x {2}full {2}4\.00 s, CPU 2\.00 s/);
    assert.match(progressLine({ ...good, outcome: 'failed', reason: 'no' }), /FAILED: no/);
  });
});
