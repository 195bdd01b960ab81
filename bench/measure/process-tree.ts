/** The memory of a process and of all it started, from `/proc`. */
import { readdirSync, readFileSync } from 'node:fs';

/**
 * Sum of the peak resident sets of a process and its living descendants, in bytes; 0 when it has ended. Not `maxRSS` of
 * the operating system's accounting: Linux carries that over from the process that started the other.
 */
export function peakResidentBytes(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + peakOf(pid), 0);
}

function peakOf(pid: number): number {
  const kib = /^VmHWM:\s+(\d+) kB/m.exec(readOrEmpty(`/proc/${pid}/status`))?.[1];
  return kib === undefined ? 0 : Number(kib) * 1024;
}

/** The process and its descendants. */
export function processTree(pid: number): readonly number[] {
  const found = [pid];
  for (const one of found) {
    for (const thread of readFolder(`/proc/${one}/task`)) {
      const children = readOrEmpty(`/proc/${one}/task/${thread}/children`);
      found.push(
        ...children
          .split(' ')
          .filter((text) => text !== '')
          .map(Number),
      );
    }
  }
  return found;
}

/** Processes end while one looks. */
function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

function readFolder(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
