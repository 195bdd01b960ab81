import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EXAMPLES } from '../../../src/cli/examples.ts';
import { type Actions, buildProgram } from '../../../src/cli/program.ts';
import { runCli } from '../../../src/cli/run.ts';
import { mustRun } from '../../support/process.ts';
import { fakeHost } from './fake-host.ts';

/** Takes a line apart as a shell does, and says which command understood it. */
async function understoodBy(line: string): Promise<string | undefined> {
  const { stdout } = await mustRun('bash', ['-c', `printf '%s\\0' ${line}`]);
  let understood: string | undefined;
  const note = (name: string) => async () => {
    understood = name;
  };
  const actions: Actions = {
    plan: note('plan'),
    copy: note('copy'),
    verify: note('verify'),
    migrate: note('migrate'),
    probe: note('probe'),
    completion: note('completion'),
  };
  const program = buildProgram('0', actions);
  for (const command of [program, ...program.commands]) command.exitOverride();
  await program.parseAsync(stdout.split('\0').slice(0, -1), { from: 'user' });
  return understood;
}

describe('examples', () => {
  it('are there for every command', async () => {
    const program = buildProgram('0', {} as Actions);
    assert.deepEqual(Object.keys(EXAMPLES).sort(), program.commands.map((command) => command.name()).sort());
  });

  for (const [command, examples] of Object.entries(EXAMPLES)) {
    it(`of ${command} are understood, and shown by its --help`, async () => {
      const host = fakeHost();
      assert.equal(await runCli([command, '--help'], host), 0);
      for (const { does, line } of examples) {
        assert.equal(await understoodBy(line), command, line);
        assert.ok(host.stdout.text.includes(`  # ${does}\n  blobferry ${line}`), line);
      }
    });
  }
});
