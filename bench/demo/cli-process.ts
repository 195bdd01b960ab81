/** Runs the real command line as a process of its own, as whoever reads the demo would. */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { CopySummary } from '../../src/core/job.ts';
import type { VerifySummary } from '../../src/verify/summary.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

export interface CliRun<Summary> {
  readonly exitCode: number | null;
  readonly summary: Summary | undefined;
  readonly stderr: string;
}

export interface CliEnvironment {
  readonly [name: string]: string | undefined;
}

export function runCopy(args: readonly string[], env: CliEnvironment): Promise<CliRun<CopySummary>> {
  return run('copy', args, env);
}

export function runVerify(args: readonly string[], env: CliEnvironment): Promise<CliRun<VerifySummary>> {
  return run('verify', args, env);
}

/** The summary is the last line of `--json`; what its shape is follows from the command. */
async function run<Summary>(
  command: string,
  args: readonly string[],
  env: CliEnvironment,
): Promise<CliRun<Summary>> {
  const child = spawn(process.execPath, [MAIN, command, ...args, '--json'], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const [stdout, stderr, exitCode] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  const last: { readonly event?: string } = JSON.parse(stdout.trimEnd().split('\n').at(-1) || '{}');
  return { exitCode, stderr, summary: last.event === 'summary' ? (last as Summary) : undefined };
}
