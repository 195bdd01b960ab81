/**
 * Preloaded into a measured process (`node --import`): writes what the whole process used, all threads included, when
 * it ends. So the figures come from the operating system's accounting and not from the program that is measured.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

export interface Usage {
  readonly userSeconds: number;
  readonly systemSeconds: number;
  readonly rssBytesMax: number;
}

/** Not `maxRSS`: Linux carries that over from the process that started this one. */
function peakResidentBytes(): number {
  const kib = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return Number(kib) * 1024;
}

const file = process.env['BLOBFERRY_BENCH_USAGE'];
if (isMainThread && file !== undefined) {
  process.on('exit', () => {
    const { userCPUTime, systemCPUTime } = process.resourceUsage();
    const usage: Usage = {
      userSeconds: userCPUTime / 1e6,
      systemSeconds: systemCPUTime / 1e6,
      rssBytesMax: peakResidentBytes(),
    };
    writeFileSync(file, JSON.stringify(usage));
  });
}
