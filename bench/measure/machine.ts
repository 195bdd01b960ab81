/** What the figures were measured on. */
import { execFileSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Machine } from '../records.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export function describeMachine(): Machine {
  return {
    commit: commit(),
    node: process.versions.node,
    kernel: `${type()} ${release()}`,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    load: load(),
  };
}

export function load(): number {
  return Math.round((loadavg()[0] ?? 0) * 100) / 100;
}

function commit(): string {
  try {
    const name = git('rev-parse', '--short=10', 'HEAD');
    return git('status', '--porcelain', '--untracked-files=no') === '' ? name : `${name}+`;
  } catch {
    return 'unknown';
  }
}

function git(...args: readonly string[]): string {
  return execFileSync('git', args, {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  }).trim();
}
