/**
 * What a copy costs in CPU and memory, S3 to S3 on loopback with the source hashed and the target bound:
 *
 *     node bench/cost.ts [--small 20000] [--medium 1024] [--repeat 3]
 *
 * Prints one JSON line per figure. Start-up is kept apart: cost per object = (CPU of 2N − CPU of N) / N.
 */
import { parseArgs } from 'node:util';
import { copyWorkload } from './support/copy-workload.ts';
import { scaleToReference, sha256SecondsPerGib } from './support/measured-run.ts';

const MIB = 1024 ** 2;

export interface Cost {
  readonly workload: 'small' | 'medium';
  readonly objects: number;
  /** Scaled to a machine that hashes a GiB in 0.55 s. */
  readonly cpuMsPerObject: number;
  readonly cpuSecondsPerGib: number;
  readonly rssBytesMax: number;
  readonly wallSeconds: number;
  readonly sha256SecondsPerGib: number;
  readonly binding: string;
}

/** One measurement: N and 2N objects, their difference, scaled by the run's own sha256 speed. */
export async function measureCost(
  workload: Cost['workload'],
  objects: number,
  extra: readonly string[] = [],
): Promise<Cost> {
  const size = workload === 'small' ? {} : { sizeBytes: MIB };
  const sha256Seconds = sha256SecondsPerGib();
  const once = await copyWorkload({ objects, seed: 'cost', ...size }, extra);
  const twice = await copyWorkload({ objects: 2 * objects, seed: 'cost', ...size }, extra);
  const cpu = scaleToReference(twice.cpuSeconds - once.cpuSeconds, sha256Seconds);
  return {
    workload,
    objects,
    cpuMsPerObject: (cpu * 1000) / objects,
    cpuSecondsPerGib: cpu / ((twice.bytes - once.bytes) / 1024 ** 3),
    rssBytesMax: twice.rssBytesMax,
    wallSeconds: once.wallSeconds,
    sha256SecondsPerGib: sha256Seconds,
    binding: once.summary?.binding ?? '',
  };
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      small: { type: 'string', default: '20000' },
      medium: { type: 'string', default: '1024' },
      repeat: { type: 'string', default: '3' },
    },
  });
  for (let count = 0; count < Number(values.repeat); count += 1) {
    for (const workload of ['small', 'medium'] as const) {
      const objects = Number(values[workload]);
      if (objects > 0) console.log(JSON.stringify(await measureCost(workload, objects)));
    }
  }
}
