/**
 * What a copy costs in CPU and memory, S3 to S3 on loopback with the source hashed and the target bound:
 *
 *     node bench/cost.ts [--small 20000] [--medium 1024] [--repeat 3]
 *
 * Prints one JSON line per figure. Start-up is kept apart: cost per object = (CPU of 2N − CPU of N) / N.
 */
import { parseArgs } from 'node:util';
import { BENCH_ENV, fillBlobs, fillSmall, openBucket } from './support/fill.ts';
import {
  type MeasuredRun,
  measureCli,
  scaleToReference,
  sha256SecondsPerGib,
} from './support/measured-run.ts';
import { startS3Process } from './support/s3-process.ts';

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

async function copyOnce(
  objects: number,
  sizeBytes: number | undefined,
  extra: readonly string[],
): Promise<MeasuredRun & { bytes: number }> {
  const server = await startS3Process(['source', 'target']);
  try {
    const driver = openBucket(server.endpoint, 'source');
    const bytes =
      sizeBytes === undefined
        ? await fillSmall(driver, objects, 'cost')
        : await fillBlobs(driver, objects, sizeBytes, 'cost');
    await driver.close();
    const at = `?endpoint=${server.endpoint}&region=us-east-1`;
    const args = [
      'copy',
      '--from',
      `s3://source${at}`,
      '--to',
      `s3://target${at}`,
      '--json',
      '--journal',
      `/tmp/blobferry-cost-${process.pid}-${objects}-${Date.now()}`,
    ];
    const run = await measureCli([...args, ...extra], BENCH_ENV);
    if (run.exitCode !== 0 || run.summary?.objectsCopied !== objects) {
      throw new Error(`The copy of ${objects} objects ended with ${run.exitCode}: ${run.stderr}`);
    }
    return { ...run, bytes };
  } finally {
    await server.stop();
  }
}

/** One measurement: N and 2N objects, their difference, scaled by the run's own sha256 speed. */
export async function measureCost(
  workload: Cost['workload'],
  objects: number,
  extra: readonly string[] = [],
): Promise<Cost> {
  const size = workload === 'small' ? undefined : MIB;
  const sha256Seconds = sha256SecondsPerGib();
  const once = await copyOnce(objects, size, extra);
  const twice = await copyOnce(2 * objects, size, extra);
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
