/** The resident set stays within `--memory`, whatever the number of objects. */
import { copyWorkload } from '../../bench/support/copy-workload.ts';

const MEMORY_BYTES = 192 * 1024 ** 2;

interface MemoryRun {
  readonly objects: number;
  readonly sizeBytes: number | 'small';
  readonly rssBytesMax: number;
  readonly isWithin: boolean;
}

/** Copies with default settings and two threads; `--memory` is then 192 MiB. */
export async function measureMemory(
  objects: number,
  sizeBytes: number | 'small',
  seed: string,
): Promise<MemoryRun> {
  const size = sizeBytes === 'small' ? {} : { sizeBytes };
  const run = await copyWorkload({ objects, seed, ...size }, ['--threads', '2']);
  return { objects, sizeBytes, rssBytesMax: run.rssBytesMax, isWithin: run.rssBytesMax <= MEMORY_BYTES };
}

export async function memoryCampaign(seed: string) {
  const runs: MemoryRun[] = [];
  for (const [objects, size] of [
    [10_000, 'small'],
    [300_000, 'small'],
    [2_000, 1024 ** 2],
    [24, 64 * 1024 ** 2],
  ] as const) {
    runs.push(await measureMemory(objects, size, seed));
  }
  return { isGood: runs.every((run) => run.isWithin), result: { memoryBytes: MEMORY_BYTES, runs } };
}
