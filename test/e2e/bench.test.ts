/** The bench in small: it runs, sees who copies all and who does not, and makes its page. No timing is looked at. */
import assert from 'node:assert/strict';
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { BenchLine, RunRecord } from '../../bench/records.ts';
import { cleanEnvironment, runCommand } from '../support/process.ts';
import { tempFolderFor } from '../support/temp.ts';
import { missingTools } from '../support/tools.ts';

const BENCH = fileURLToPath(new URL('../../bench/run.ts', import.meta.url));

type Test = Parameters<typeof tempFolderFor>[0];

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly lines: readonly BenchLine[];
  readonly file: string;
  /** What is left in the folder for temporary files. */
  readonly left: readonly string[];
}

async function bench(test: Test, ...args: readonly string[]): Promise<Ran> {
  const temporary = await tempFolderFor(test, 'bench');
  const file = join(await tempFolderFor(test, 'bench-out'), 'results.jsonl');
  const env = cleanEnvironment({ TMPDIR: temporary });
  const ran = await runCommand(process.execPath, [BENCH, '--quick', '--out', file, ...args], { env });
  const text = await readFile(file, 'utf8').catch(() => '');
  const lines = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as BenchLine);
  const left = (await readdir(temporary)).filter((name) => name !== 'node-compile-cache');
  return { ...ran, lines, file, left };
}

function runsOf(lines: readonly BenchLine[], copier: string): readonly RunRecord[] {
  return lines.filter((line) => line.kind === 'run').filter((run) => run.copier === copier);
}

function idOf({ cell }: RunRecord): string {
  return [cell.workload, cell.route, cell.scheme, cell.condition].join('/');
}

async function program(folder: string, name: string, script: string): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, `#!/bin/sh\n${script}\n`);
  await chmod(file, 0o755);
  return file;
}

describe('npm run bench', () => {
  it('copies every workload, over every kind of route, and all of it arrives', async (t) => {
    const ran = await bench(t, '--copiers', 'blobferry');
    assert.equal(ran.code, 0, ran.stderr);
    const runs = runsOf(ran.lines, 'blobferry');
    assert.deepEqual(
      runs.map((run) => run.reason ?? 'ok'),
      runs.map(() => 'ok'),
    );
    assert.deepEqual(
      new Set(runs.map(idOf)),
      new Set([
        'small/s3-s3/http/loopback',
        'medium/fs-s3/http/refused',
        'large/s3-s3/https/loopback',
        'mixed/s3-fs/http/slow',
        'listing/s3-s3/http/loopback',
        'small/s3-azure/http/loopback',
        'large/s3-gcs/http/unbound',
        'medium/s3-swift/http/loopback',
        'small/azure-s3/http/loopback',
        'small/gcs-s3/http/loopback',
        'small/swift-s3/http/loopback',
      ]),
    );
    for (const run of runs) {
      assert.equal(run.check?.objects, run.objects, idOf(run));
      assert.equal(run.check?.bytes, run.bytes, idOf(run));
      assert.ok((run.check?.digests ?? 0) > 0, idOf(run));
      assert.ok((run.userSeconds ?? 0) > 0 && (run.rssBytesMax ?? 0) > 0, idOf(run));
      if (run.cell.condition === 'unbound') assert.doesNotMatch(run.bound ?? '', /MD5|CRC/, idOf(run));
      // A file system checks nothing that could be planted.
      assert.equal(run.planted?.isRefused, run.cell.route === 's3-fs' ? undefined : true, idOf(run));
    }
    assert.deepEqual(ran.left, []);
    assertServersSawIt(runs);
    assertNothingUnnoticed(ran.lines);
    await assertReport(t, ran);
  });

  it('says who is not installed, and shows who loses objects as failed and never as fast', async (t) => {
    const folder = await tempFolderFor(t, 'peers');
    const idle = await program(folder, 'idle', '[ "$1" = --version ] && echo "idle 1.0"; exit 0');
    const angry = await program(
      folder,
      'angry',
      '[ "$1" = version ] && echo "angry 1.0" && exit; echo "no way" >&2; exit 7',
    );
    const ran = await bench(
      t,
      ...[
        '--only',
        'small/s3-s3/http/loopback',
        '--copiers',
        'mc,rclone,s5cmd',
        '--small',
        '20',
        '--no-trials',
      ],
      ...['--peer', `mc=${idle}`, '--peer', `rclone=${angry}`, '--peer', `s5cmd=${join(folder, 'nobody')}`],
    );
    assert.equal(ran.code, 0, ran.stderr);
    assert.match(ran.stderr, /s5cmd cannot be used/);
    assert.deepEqual(
      runsOf(ran.lines, 'mc').map((run) => [run.outcome, run.reason?.split(':')[0]]),
      [['failed', 'exit code 0, but 10 of 10 objects missing']],
    );
    assert.match(
      runsOf(ran.lines, 'rclone')[0]?.reason ?? '',
      /^exit code 7; no way; 10 of 10 objects missing/,
    );
    assert.match(ran.stdout, /mc: FAILED/);
    assert.doesNotMatch(ran.stdout, /^ +(mc|rclone) +[\d.]+/m);
  });

  it('says so where a program named s5cmd is another one', async (t) => {
    const folder = await tempFolderFor(t, 'peers');
    const other = await program(folder, 's5cmd', 'echo "s3cmd version 2.4.0"');
    const { code, stdout } = await bench(t, '--list', '--peer', `s5cmd=${other}`);
    assert.equal(code, 0);
    assert.match(stdout, /^ {4}s5cmd cannot be used \(.*is another program: its version is "s3cmd version/m);
    const right = await program(folder, 'right', 'echo v2.3.0-991c9fb');
    assert.match((await bench(t, '--list', '--peer', `s5cmd=${right}`)).stdout, /^ {2}\* s5cmd: v2.3.0/m);
  });

  it('runs two benches whose repetitions take turns, and says how far they are apart', async (t) => {
    const out = join(await tempFolderFor(t, 'bench-twice'), 'both.jsonl');
    const ran = await bench(
      t,
      ...['--only', 'small/fs-s3/http/loopback,medium/fs-s3/http/loopback', '--copiers', 'blobferry'],
      ...['--no-trials', '--twice', '--repeat', '2', '--small', '20', '--medium', '4', '--out', out],
    );
    assert.equal(ran.code, 0, ran.stderr);
    const both = await Promise.all(
      ['1', '2'].map(async (which) => readFile(out.replace('.jsonl', `-${which}.jsonl`), 'utf8')),
    );
    const runs = both.map((text) =>
      text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as BenchLine)
        .filter((line) => line.kind === 'run'),
    );
    const order = runs
      .flatMap((some, at) =>
        some.map((run) => ({ at: run.at, turn: `${run.cell.workload} ${run.repeat}: ${at}` })),
      )
      .toSorted((a, b) => a.at.localeCompare(b.at))
      .map(({ turn }) => turn);
    // Each turn is a run of the half and one of the whole.
    assert.deepEqual(
      order.filter((_, at) => at % 2 === 0),
      ['small', 'medium'].flatMap((name) => [`${name} 1: 0`, `${name} 1: 1`, `${name} 2: 1`, `${name} 2: 0`]),
    );
    assert.match(ran.stdout, /^small\/fs-s3\/http\/loopback +blobferry .* % +2$/m);
    // MD5s would be half of what a target of large bodies does.
    const etags = runs.flat().map(({ cell, etags }) => `${cell.workload} ${etags}`);
    assert.deepEqual([...new Set(etags)], ['small md5', 'medium opaque']);
  });

  it('ends a copier that takes too long, and says so', async (t) => {
    const folder = await tempFolderFor(t, 'peers');
    const slow = await program(folder, 'slow', '[ "$1" = version ] && echo "slow 1.0" && exit; sleep 60');
    const ran = await bench(
      t,
      ...['--only', 'small/s3-fs/http/loopback', '--copiers', 'rclone', '--peer', `rclone=${slow}`],
      ...['--small', '4', '--no-trials', '--limit', '1'],
    );
    assert.equal(runsOf(ran.lines, 'rclone')[0]?.reason, 'not done after 1 s');
  });

  it('measures goals and prints them in one table, whatever is reached', async (t) => {
    const ran = await bench(t, '--goals', '--only', 'large-sha256,limited-silent');
    assert.equal(ran.code, 0, ran.stderr);
    assert.match(ran.stdout, /^goal +what +figure +target +floor$/m);
    assert.match(ran.stdout, /^large-sha256 .*≤ 1\.9/m);
    assert.match(ran.stdout, /^limited-silent .* refused in the last \d+ s/m);
    const goals = ran.lines.flatMap((line) => (line.kind === 'goal' ? [line.name] : []));
    assert.deepEqual(goals, ['large-sha256', 'limited-silent']);
    assert.deepEqual(
      ran.lines.filter(({ kind }) => kind === 'bench' || kind === 'end').map(({ kind }) => kind),
      ['bench', 'end'],
    );
    const [old] = runsOf(ran.lines, 'blobferry').filter(({ cell }) => cell.condition === 'old-target');
    assert.equal(old?.planted?.isRefused, true);
    assert.equal(old?.planted?.answers['CRC32'], undefined);
    const refused = runsOf(ran.lines, 'blobferry').flatMap(({ target }) => target?.seconds ?? []);
    assert.ok(refused.some((second) => second.refused > 0));
    assert.deepEqual(ran.left, []);
  });

  it('is refused with one sentence for cells and copiers that are none', async (t) => {
    for (const args of [
      ['--only', 'enormous'],
      ['--copiers', 'cp'],
      ['--goals', '--only', 'enormous'],
    ]) {
      const { code, stderr, lines } = await bench(t, ...args);
      assert.equal(code, 2);
      assert.equal(stderr.trim().split('\n').length, 1, stderr);
      assert.deepEqual(lines, []);
    }
  });

  it('lists cells and copiers and runs nothing', async (t) => {
    const { code, stdout, lines } = await bench(t, '--list');
    assert.equal(code, 0);
    assert.match(stdout, /^ {2}\* small\/s3-s3\/http\/loopback$/m);
    assert.match(stdout, /^ {4}large\/s3-fs\/https\/slow$/m);
    assert.match(stdout, /^ {2}\* blobferry: /m);
    assert.deepEqual(lines, []);
  });
});

describe('npm run bench with rclone', { skip: missingTools('rclone') }, () => {
  it('measures it in turn with blobferry', async (t) => {
    const only = 'large/fs-s3/https/loopback,small/s3-fs/http/refused';
    const ran = await bench(
      t,
      '--copiers',
      'blobferry,rclone',
      '--only',
      only,
      '--no-trials',
      '--full-only',
      '--repeat',
      '2',
    );
    assert.equal(ran.code, 0, ran.stderr);
    for (const copier of ['blobferry', 'rclone']) {
      const runs = runsOf(ran.lines, copier);
      assert.deepEqual(
        runs.map((run) => run.reason ?? 'ok'),
        ['ok', 'ok', 'ok', 'ok'],
        copier,
      );
    }
    const turns = ran.lines.flatMap((line) =>
      line.kind === 'run' && line.cell.workload === 'large' ? [line.copier] : [],
    );
    assert.deepEqual(turns, ['blobferry', 'rclone', 'rclone', 'blobferry']);
  });
});

/** A copy that went past the servers would show here. */
function assertServersSawIt(runs: readonly RunRecord[]): void {
  for (const run of runs.filter(({ cell }) => cell.workload !== 'listing')) {
    const { source, target, bytes, cell } = run;
    if (cell.route !== 'fs-s3') assert.ok((source?.bytesOut ?? 0) >= bytes, idOf(run));
    else assert.equal(source, undefined);
    if (cell.route !== 's3-fs') assert.ok((target?.bytesIn ?? 0) >= bytes, idOf(run));
    else assert.equal(target, undefined);
  }
  const listings = runs.filter(({ cell }) => cell.workload === 'listing');
  for (const { source, target, objects } of listings) {
    for (const share of [source, target]) {
      assert.ok((share?.operations['ListObjectsV2'] ?? 0) >= Math.ceil(objects / 1000));
      assert.equal(share?.operations['GetObject'], undefined);
    }
  }
}

function assertNothingUnnoticed(lines: readonly BenchLine[]): void {
  const trials = lines.filter((line) => line.kind === 'trial');
  assert.deepEqual(
    trials.map(({ trial, outcome }) => [trial, outcome]),
    ['plain', 'put', 'part', 'get', 'get-large'].map((trial) => [trial, 'right']),
  );
}

async function assertReport(test: Test, { file }: Ran): Promise<void> {
  const page = join(await tempFolderFor(test, 'bench-page'), 'report.html');
  const { code, stderr } = await runCommand(process.execPath, [BENCH, '--report', file, '--out', page]);
  assert.equal(code, 0, stderr);
  const text = await readFile(page, 'utf8');
  assert.equal(text.match(/<svg /g)?.length, 11);
  assert.match(text, /quick bench/);
}
