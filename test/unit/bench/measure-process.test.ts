import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { type Measured, measureProcess } from '../../../bench/measure/measure-process.ts';
import { tempFolderFor } from '../../support/temp.ts';

const MIB = 1024 ** 2;
const ENV = { PATH: process.env['PATH'] ?? '' };

type Test = Parameters<typeof tempFolderFor>[0];

async function measure(
  test: Test,
  command: string,
  args: readonly string[],
  limitSeconds = 60,
): Promise<Measured> {
  const folder = await tempFolderFor(test, 'measure');
  return measureProcess({ command, args, env: ENV }, { limitSeconds, folder });
}

/** Gone, or ended and only not yet taken note of by whoever inherited it. The test's own time limit bounds the wait. */
async function untilEnded(pid: number): Promise<void> {
  for (;;) {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => ') Z');
    if (/\) [ZX]/.test(stat)) return;
    await setImmediate();
  }
}

const SPIN = 'const until = process.cpuUsage().user + 300e3; while (process.cpuUsage().user < until);';

describe('measureProcess()', () => {
  it('counts the CPU time that a program says it used', async (t) => {
    const script = `${SPIN} const { user, system } = process.cpuUsage(); console.log(user + system)`;
    const { exitCode, userSeconds, systemSeconds, stdout } = await measure(t, process.execPath, [
      '-e',
      script,
    ]);
    assert.equal(exitCode, 0);
    const own = Number(stdout) / 1e6;
    const seen = userSeconds + systemSeconds;
    // It goes on for a little after it has printed, for longer on a busy machine, and the kernel counts in hundredths.
    assert.ok(seen > own - 0.02 && seen < 2 * own, `${seen} s seen, ${own} s said`);
  });

  it('counts what children and their children used', async (t) => {
    const script = `"${process.execPath}" -e '${SPIN}'; true`;
    const { userSeconds } = await measure(t, 'sh', [
      '-c',
      `sh -c '${script.replaceAll("'", `'\\''`)}'; true`,
    ]);
    assert.ok(userSeconds >= 0.29, `${userSeconds} s`);
  });

  it('sees the memory of the program and not of this process', async (t) => {
    const ballast = Buffer.alloc(300 * MIB, 1);
    const small = await measure(t, 'sleep', ['1']);
    assert.ok(small.rssBytesMax > 0 && small.rssBytesMax < 20 * MIB, `${small.rssBytesMax}`);
    const hold = 'const held = Buffer.alloc(200 * 1024 ** 2, 1); setTimeout(() => held, 1000)';
    const large = await measure(t, process.execPath, ['-e', hold]);
    assert.ok(large.rssBytesMax > 200 * MIB && large.rssBytesMax < 300 * MIB, `${large.rssBytesMax}`);
    assert.equal(ballast.at(-1), 1);
  });

  it('adds up the memory of a program and its child', async (t) => {
    const folder = await tempFolderFor(t, 'measure');
    // Each waits until the other has its memory too, and then for the next look at both.
    const hold = (own: string, other: string): string => `const held = Buffer.alloc(100 * 1024 ** 2, 1);
      fs.writeFileSync("${folder}/${own}", "");
      const look = () => setTimeout(fs.existsSync("${folder}/${other}") ? () => held : look, 1000);
      look();`;
    const both = `"${process.execPath}" -e '${hold('a', 'b')}' & "${process.execPath}" -e '${hold('b', 'a')}'; wait`;
    const { rssBytesMax } = await measure(t, 'sh', ['-c', both]);
    assert.ok(rssBytesMax > 200 * MIB, `${rssBytesMax}`);
  });

  it('gives exit code and the end of long output', async (t) => {
    const script = 'i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; echo last >&2; exit 3';
    const { exitCode, stdout, stderr, isLate } = await measure(t, 'sh', ['-c', script]);
    assert.equal(exitCode, 3);
    assert.equal(isLate, false);
    assert.match(stdout, /line 19999\n$/);
    assert.ok(stdout.length <= 64 * 1024);
    assert.equal(stderr, 'last\n');
  });

  it('ends a program that takes too long, with all it started', async (t) => {
    const { exitCode, isLate, stdout } = await measure(t, 'sh', ['-c', 'sleep 60 & echo $!; wait'], 1);
    assert.equal(isLate, true);
    assert.equal(exitCode, null);
    await untilEnded(Number(stdout));
  });

  it('rejects a program that is not there', async (t) => {
    await assert.rejects(measure(t, '/nonexistent/copier', []), { code: 'ENOENT' });
  });

  it('measures one program at a time', async (t) => {
    const options = { limitSeconds: 60, folder: await tempFolderFor(t, 'measure') };
    const first = measureProcess({ command: 'sleep', args: ['0.3'], env: ENV }, options);
    const second = measureProcess({ command: 'true', args: [], env: ENV }, options);
    await assert.rejects(second, /Two programs/);
    assert.equal((await first).exitCode, 0);
  });
});
