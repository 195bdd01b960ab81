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

/** What a hundred times as many objects may take more: noise of the collector, and nothing that is kept by the object. */
const GROWTH_BYTES_MAX = 16 * 1024 ** 2;

export async function memoryCampaign(seed: string) {
  const runs: MemoryRun[] = [];
  for (const [objects, size] of [
    [10_000, 'small'],
    [100_000, 'small'],
    [1_000_000, 'small'],
    [2_000, 1024 ** 2],
    [24, 64 * 1024 ** 2],
  ] as const) {
    runs.push(await measureMemory(objects, size, seed));
  }
  const [least, , most] = runs;
  const growthBytes = (most?.rssBytesMax ?? 0) - (least?.rssBytesMax ?? 0);
  return {
    isGood: growthBytes <= GROWTH_BYTES_MAX && runs.every((run) => run.isWithin),
    result: { memoryBytes: MEMORY_BYTES, growthBytes, runs },
  };
}
