/** Runs the command line as a user would and measures it from outside. */
import { spawn } from 'node:child_process';
import { hash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CopySummary } from '../../src/core/job.ts';
import type { Usage } from './report-usage.ts';

const CLI = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const COMPILE_CACHE = join(tmpdir(), 'node-compile-cache');
const PRELOAD = new URL('./report-usage.ts', import.meta.url).href;
/** Seconds per GiB that sha256 takes on the machine that CPU figures are scaled to. */
const REFERENCE_SHA256_SECONDS = 0.55;

export interface MeasuredRun extends Usage {
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
  readonly exitCode: number;
  readonly summary: CopySummary | undefined;
  readonly stderr: string;
}

export async function measureCli(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  nodeArguments: readonly string[] = [],
): Promise<MeasuredRun> {
  const folder = mkdtempSync(join(tmpdir(), 'blobferry-bench-'));
  const file = join(folder, 'usage.json');
  const start = performance.now();
  try {
    const child = spawn(process.execPath, [...nodeArguments, '--import', PRELOAD, CLI, ...args], {
      // The cache as `npm run blobferry` has it.
      env: { NODE_COMPILE_CACHE: COMPILE_CACHE, ...process.env, ...env, BLOBFERRY_BENCH_USAGE: file },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    const exitCode = await new Promise<number>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => resolve(code ?? -1));
    });
    const wallSeconds = (performance.now() - start) / 1000;
    const usage = JSON.parse(readFileSync(file, 'utf8')) as Usage;
    const lines = Buffer.concat(stdout).toString('utf8').trim().split('\n');
    const last = JSON.parse(lines.at(-1) ?? 'null') as CopySummary | null;
    return {
      ...usage,
      cpuSeconds: usage.userSeconds + usage.systemSeconds,
      wallSeconds,
      exitCode,
      summary: last?.event === 'summary' ? last : undefined,
      stderr: Buffer.concat(stderr).toString('utf8'),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** CPU seconds that sha256 of one GiB takes now; a machine that is busy or slow shows here as it does in the copier. */
export function sha256SecondsPerGib(bytes = 512 * 1024 ** 2): number {
  const piece = Buffer.alloc(16 * 1024 ** 2, 7);
  const rounds = Math.max(1, Math.round(bytes / piece.length));
  const before = process.cpuUsage();
  for (let count = 0; count < rounds; count += 1) hash('sha256', piece, 'hex');
  const { user, system } = process.cpuUsage(before);
  return ((user + system) / 1e6) * (1024 ** 3 / (rounds * piece.length));
}

/** What CPU seconds would be on the reference machine. */
export function scaleToReference(cpuSeconds: number, sha256Seconds: number): number {
  return (cpuSeconds * REFERENCE_SHA256_SECONDS) / sha256Seconds;
}
