/**
 * Runs a program and measures it from outside, the same way for everybody: user and system time of the process and of
 * all that it started and waited for, as the kernel accounts it to this process when they end, and their peak memory.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fstatSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { peakResidentBytes, processTree } from './process-tree.ts';

export interface CommandLine {
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export interface Measured {
  /** Null when a signal ended it. */
  readonly exitCode: number | null;
  /** It was ended because its time was up. */
  readonly isLate: boolean;
  readonly wallSeconds: number;
  readonly userSeconds: number;
  readonly systemSeconds: number;
  /** Of all its processes together; pages that they share count for each. */
  readonly rssBytesMax: number;
  /** The last 64 KiB of each. */
  readonly stdout: string;
  readonly stderr: string;
}

const SAMPLE_MS = 25;
/** Threads and children are looked for less often, as that costs more. */
const SAMPLES_PER_TREE = 8;
const OUTPUT_BYTES_MAX = 64 * 1024;
/** Linux gives times to programs in hundredths of a second, whatever the kernel counts in. */
const TICKS_PER_SECOND = 100;

let isMeasuring = false;

export interface MeasureOptions {
  /** A program that takes longer is ended. */
  readonly limitSeconds: number;
  /** For its output while it runs. */
  readonly folder: string;
}

/** @throws Error where the program cannot be started. One at a time, as the kernel's account is this process's. */
export async function measureProcess(line: CommandLine, options: MeasureOptions): Promise<Measured> {
  if (isMeasuring) throw new Error('Two programs cannot be measured at once');
  isMeasuring = true;
  const folder = mkdtempSync(join(options.folder, 'output-'));
  const outputs = ['stdout', 'stderr'].map((name) => openSync(join(folder, name), 'w+'));
  try {
    const ended = await runAndWatch(line, options.limitSeconds, outputs);
    const [stdout = '', stderr = ''] = outputs.map(lastOf);
    return { ...ended, stdout, stderr };
  } finally {
    outputs.forEach(closeSync);
    rmSync(folder, { recursive: true });
    isMeasuring = false;
  }
}

/** Output goes to files: a program that is read through a pipe costs time here, and may wait for it. */
async function runAndWatch(
  { command, args, env, cwd }: CommandLine,
  limitSeconds: number,
  [stdout, stderr]: readonly number[],
): Promise<Omit<Measured, 'stdout' | 'stderr'>> {
  const before = childSeconds();
  const start = performance.now();
  const child = spawn(command, [...args], {
    env: { ...env },
    stdio: ['ignore', stdout, stderr],
    // A group of its own, so that all of it can be ended.
    detached: true,
    ...(cwd === undefined ? {} : { cwd }),
  });
  const watch = new Watch(child);
  let isLate = false;
  const limit = setTimeout(() => {
    isLate = true;
    endGroup(child);
  }, limitSeconds * 1000);
  const end = (): void => endGroup(child);
  process.once('exit', end);
  try {
    const exitCode = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', resolve);
    });
    const wallSeconds = (performance.now() - start) / 1000;
    const after = childSeconds();
    return {
      exitCode,
      isLate,
      wallSeconds,
      userSeconds: after.user - before.user,
      systemSeconds: after.system - before.system,
      rssBytesMax: watch.rssBytesMax,
    };
  } finally {
    clearTimeout(limit);
    watch.stop();
    process.off('exit', end);
  }
}

function endGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

class Watch {
  rssBytesMax = 0;
  readonly #timer: NodeJS.Timeout | undefined;
  #samples = 0;
  #tree: readonly number[] = [];

  constructor({ pid }: ChildProcess) {
    if (pid === undefined) return;
    this.#timer = setInterval(() => this.#look(pid), SAMPLE_MS);
  }

  #look(pid: number): void {
    if (this.#samples % SAMPLES_PER_TREE === 0) this.#tree = processTree(pid);
    this.#samples += 1;
    this.rssBytesMax = Math.max(this.rssBytesMax, peakResidentBytes(this.#tree));
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

interface Seconds {
  readonly user: number;
  readonly system: number;
}

/** Of all children that have ended and been waited for, and of theirs. */
function childSeconds(): Seconds {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  // The second field is the program's name in brackets and may hold blanks.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [user, system] = [fields[13], fields[14]].map((text) => Number(text) / TICKS_PER_SECOND);
  return { user: user ?? 0, system: system ?? 0 };
}

function lastOf(descriptor: number): string {
  const { size } = fstatSync(descriptor);
  const buffer = Buffer.alloc(Math.min(size, OUTPUT_BYTES_MAX));
  readSync(descriptor, buffer, 0, buffer.length, size - buffer.length);
  return buffer.toString('utf8');
}
