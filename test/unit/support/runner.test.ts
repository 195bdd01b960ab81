import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type CommandResult, runCommand } from '../../support/process.ts';
import { slowestFirst } from '../../support/runner/run-groups.ts';
import { SLOWEST } from '../../support/runner/slowest.ts';
import { tempFolderFor } from '../../support/temp.ts';

const COMMAND = fileURLToPath(new URL('../../run.ts', import.meta.url));
const IT = "import { describe, it, before } from 'node:test';\n";
const PASSES = `${IT}it('passes', () => undefined);\n`;

/** Runs the test command over a tree of its own; limits are in milliseconds. */
async function runTests(
  t: TestContext,
  files: Readonly<Record<string, string>>,
  ...args: readonly string[]
): Promise<CommandResult & { readonly lastLine: string }> {
  const root = await tempFolderFor(t, 'runner');
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  const result = await runCommand(process.execPath, [COMMAND, '--root', root, ...args]);
  return { ...result, lastLine: result.stdout.trimEnd().split('\n').at(-1) ?? '' };
}

describe('the test command', () => {
  it('runs every file of every group, in folders below too, and ends with the totals', async (t) => {
    const { code, lastLine, stdout } = await runTests(t, {
      'unit/a.test.ts': PASSES,
      'unit/deep/er/b.test.ts': PASSES,
      'conformance/c.test.ts': PASSES,
      'e2e/d.test.ts': PASSES,
      'unit/no-test.ts': 'throw new Error("never run");',
    });
    assert.equal(lastLine, '4 passed, 0 failed');
    assert.match(stdout, /tests 4\n/);
    assert.equal(code, 0);
  });

  it('runs only the groups it is told', async (t) => {
    const files = { 'unit/a.test.ts': PASSES, 'e2e/b.test.ts': `${PASSES}${PASSES.slice(IT.length)}` };
    const { code, lastLine } = await runTests(t, files, 'e2e');
    assert.equal(lastLine, '2 passed, 0 failed');
    assert.equal(code, 0);
  });

  it('runs only the files it is told, and refuses one that is not there', async (t) => {
    const files = { 'unit/a.test.ts': PASSES, 'unit/b.test.ts': PASSES, 'e2e/deep/c.test.ts': PASSES };
    const { lastLine, stdout } = await runTests(t, files, 'unit/b', 'e2e/deep/c');
    assert.equal(lastLine, '2 passed, 0 failed');
    assert.doesNotMatch(stdout, /unit\/a/);
    assert.equal((await runTests(t, files, 'unit/b', 'unit')).lastLine, '2 passed, 0 failed');
    const gone = await runTests(t, files, 'unit/gone');
    assert.match(gone.stderr, /There is no test file unit\/gone\.test\.ts/);
    assert.equal(gone.code, 1);
  });

  it('begins with the next group while the last file of one is running', async (t) => {
    const folder = await tempFolderFor(t, 'marks');
    const mark = JSON.stringify(join(folder, 'begun'));
    const fs = "import { existsSync, writeFileSync } from 'node:fs';\n";
    const { lastLine } = await runTests(t, {
      'unit/a.test.ts': `${IT}${fs}it('waits', { timeout: 60_000 }, async () => {
        while (!existsSync(${mark})) await new Promise((done) => setTimeout(done, 20));
      });`,
      'e2e/b.test.ts': `${IT}${fs}it('begins', () => writeFileSync(${mark}, ''));`,
    });
    assert.equal(lastLine, '2 passed, 0 failed');
  });

  it('begins with the files that take longest, which all exist', () => {
    const [slow = ''] = SLOWEST;
    const group = slow.split('/')[0] ?? '';
    assert.deepEqual(slowestFirst([`${group}/b.test.ts`, slow, `${group}/a.test.ts`]), [
      slow,
      `${group}/a.test.ts`,
      `${group}/b.test.ts`,
    ]);
    const tests = fileURLToPath(new URL('../../', import.meta.url));
    assert.deepEqual(
      SLOWEST.filter((name) => !existsSync(join(tests, name))),
      [],
    );
  });

  it('fails when one test fails, and says which', async (t) => {
    const fails = `${IT}describe('suite', () => { it('breaks', () => { throw new Error('oh'); }); });\n`;
    const { code, lastLine, stdout } = await runTests(t, {
      'unit/a.test.ts': PASSES,
      'unit/b.test.ts': fails,
    });
    assert.equal(lastLine, '1 passed, 1 failed');
    assert.match(stdout, /breaks/);
    assert.equal(code, 1);
  });

  it('shows a line for a file that passes, and every test of it where that is asked for', async (t) => {
    const files = {
      'unit/a.test.ts': `${IT}it('is quiet', (t) => { console.log('noise'); t.diagnostic('a figure'); });`,
    };
    const short = await runTests(t, files);
    assert.match(
      short.stdout,
      /^✔ unit\/a\.test\.ts: 1 passed, 0 failed \([\d.]+ s\)\n {2}ℹ a figure\nℹ tests 1\n/,
    );
    assert.doesNotMatch(short.stdout, /is quiet|noise/);
    const whole = await runTests(t, files, '--verbose');
    assert.match(whole.stdout, /^✔ is quiet \([\d.]+ms\)$/m);
    assert.equal(whole.lastLine, short.lastLine);
  });

  it('repeats at the end what failed: a test, a hook, a file that ended by itself, a time that ran out', async (t) => {
    const { stdout, lastLine } = await runTests(
      t,
      {
        'unit/a.test.ts': `${IT}describe('outer', () => { it('breaks', () => { throw new Error('oh'); }); });`,
        'unit/b.test.ts': `${IT}describe('hooked', () => { before(() => { throw new Error('no server'); }); it('waits', () => undefined); });`,
        'unit/c.test.ts': `${IT}it('ends', () => { console.error('last words'); process.exit(3); });`,
        'unit/d.test.ts': `${IT}it('hangs', () => new Promise((done) => setTimeout(done, 3000)));`,
        'unit/e.test.ts': PASSES,
      },
      '--test-ms',
      '1000',
    );
    assert.equal(lastLine, '1 passed, 5 failed');
    const [during = '', end = ''] = stdout.split('✖ failing tests:\n');
    for (const text of [during, end]) {
      assert.match(text, /✖ .*outer > breaks\n +Error: oh\n +at /);
      assert.match(
        text,
        /✖ .*hooked\n +Error: no server\n(?: +at .*\n)+ +and 1 test that was cancelled with it\n/,
      );
      assert.match(text, /✖ .*the file itself\n(?:.*\n)+?.*exitCode: 3(?:.*\n)+? +last words\n/);
      assert.match(text, /✖ .*hangs\n +test timed out after 1000ms\n/);
    }
    assert.doesNotMatch(end, /unit\/e|passes/);
  });

  it('tells a hook that failed first and whole, and the tests that were cancelled with it in one line', async (t) => {
    const breaks = `for (let i = 0; i < 25; i += 1) it('breaks ' + i, () => { throw new Error('oh'); });`;
    const waits = `for (let i = 0; i < 30; i += 1) it('waits ' + i, () => undefined);`;
    const { stdout, lastLine } = await runTests(
      t,
      {
        'unit/a.test.ts': `${IT}${breaks}`,
        'unit/b.test.ts': `${IT}describe('hooked', () => {
          before(() => { throw new Error('no server'); });
          ${waits}
          describe('deeper', { concurrency: 2 }, () => { ${waits} });
        });`,
        'unit/c.test.ts': `${IT}describe('hung', () => {
          before(() => new Promise((done) => setTimeout(done, 3000)));
          ${waits}
        });`,
      },
      '--test-ms',
      '1000',
    );
    assert.equal(lastLine, '0 passed, 117 failed', '25 and 60 and 30, and the two suites whose hooks failed');
    const [during = '', end = ''] = stdout.split('✖ failing tests:\n');
    const told = (text: string): readonly string[] =>
      text.split('\n').filter((line) => line.includes('✖ ') && !line.includes('breaks'));
    assert.deepEqual(told(end), ['✖ unit/b.test.ts: hooked', '✖ unit/c.test.ts: hung']);
    for (const text of [during, end.slice(0, 1_000)]) {
      assert.match(
        text,
        /hooked\n +Error: no server\n(?: +at .*\n)+ +and 60 tests that were cancelled with it\n/,
      );
      assert.match(text, /hung\n +test timed out after 1000ms\n +and 30 tests that were cancelled with it\n/);
    }
    assert.doesNotMatch(stdout, /waits/);
  });

  it('fails when no test ran', async (t) => {
    const { code, lastLine } = await runTests(t, { 'unit/readme.md': 'nothing' });
    assert.equal(lastLine, '0 passed, 0 failed');
    assert.equal(code, 1);
  });

  it('fails when everything was skipped', async (t) => {
    const { code, lastLine } = await runTests(t, {
      'unit/a.test.ts': `${IT}it.skip('waits', () => undefined);`,
    });
    assert.equal(lastLine, '0 passed, 0 failed, 1 skipped');
    assert.equal(code, 1);
  });

  it('says loudly what was skipped and why, and does not count it as passed', async (t) => {
    const skips = `${IT}describe('s', { skip: 'missing here: ceph' }, () => { it('never runs', () => undefined); });`;
    const { code, lastLine, stdout } = await runTests(t, {
      'unit/a.test.ts': skips,
      'unit/b.test.ts': PASSES,
    });
    assert.equal(lastLine, '1 passed, 0 failed, 1 skipped');
    assert.match(stdout, /DID NOT RUN:\n!! 1 x missing here: ceph\n/);
    assert.equal(code, 0);
  });

  it('counts a test that is only to be written as skipped', async (t) => {
    const { lastLine } = await runTests(t, {
      'unit/a.test.ts': `${PASSES}it.todo('some day', () => undefined);`,
    });
    assert.equal(lastLine, '1 passed, 0 failed, 1 skipped');
  });

  it('fails a file without a test', async (t) => {
    const { code, lastLine, stdout } = await runTests(t, {
      'unit/a.test.ts': PASSES,
      'unit/b.test.ts': 'export {};\n',
    });
    assert.equal(lastLine, '1 passed, 1 failed');
    assert.match(stdout, /There is no test in this file/);
    assert.equal(code, 1);
  });

  it('fails a file that cannot be loaded', async (t) => {
    const { code, lastLine } = await runTests(t, { 'unit/a.test.ts': "import './gone.ts';\n" });
    assert.equal(lastLine, '0 passed, 1 failed');
    assert.equal(code, 1);
  });

  it('fails when a hook fails after the last test', async (t) => {
    const hook = `${IT.replace('before', 'after')}describe('s', () => {
      after(() => { throw new Error('oh'); });
      it('passes', () => undefined);
    });`;
    const { code, lastLine } = await runTests(t, { 'unit/a.test.ts': hook });
    assert.equal(lastLine, '1 passed, 1 failed');
    assert.equal(code, 1);
  });

  it('fails a test that hangs, and goes on with the next', async (t) => {
    const hangs = `${IT}it('hangs', () => new Promise((done) => setTimeout(done, 3000)));
      it('passes', () => undefined);`;
    const { code, lastLine, stdout } = await runTests(t, { 'unit/a.test.ts': hangs }, '--test-ms', '200');
    assert.equal(lastLine, '1 passed, 1 failed');
    assert.match(stdout, /timed out after 200ms/);
    assert.equal(code, 1);
  });

  it('fails a file whose process does not end after its tests', async (t) => {
    const leaks = `${IT}it('leaks', () => { setInterval(() => undefined, 1000); });`;
    const { code, lastLine, stdout } = await runTests(t, { 'unit/a.test.ts': leaks }, '--exit-ms', '1500');
    assert.equal(lastLine, '1 passed, 1 failed');
    assert.match(stdout, /did not end within 1.5 seconds after its last test/);
    assert.equal(code, 1);
  });

  it('ends a file that blocks its own thread', async (t) => {
    const spins = `${IT}it('spins', () => { for (;;); });`;
    const { code, lastLine } = await runTests(t, { 'unit/a.test.ts': spins }, '--file-ms', '1500');
    assert.equal(lastLine, '0 passed, 1 failed');
    assert.equal(code, 1);
  });

  it('refuses a group that does not exist', async (t) => {
    const { code, stderr } = await runTests(t, { 'unit/a.test.ts': PASSES }, 'units');
    assert.match(stderr, /no group of tests "units"; there are unit, conformance, fault, e2e, measure/);
    assert.equal(code, 2);
  });
});
