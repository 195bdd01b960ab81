/**
 * A quick look at what a copy costs in CPU and memory, S3 to S3 on loopback with the source hashed and the target bound:
 *
 *     node bench/cost.ts [--small 20000] [--medium 1024] [--large 0] [--repeat 3]
 *     node bench/cost.ts --profile DIR [--small N] [--medium N] [--large N]
 *
 * Prints one JSON line per figure. Start-up is kept apart: cost per object = (CPU of 2N − CPU of N) / N. With --profile a
 * copy of each workload is run once under a CPU profile of all threads, which stays in the folder, and printed is what
 * the CPU went into. All that was promised, with floors and peers: npm run bench -- --goals.
 */
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { copyWorkload } from './support/copy-workload.ts';
import { profileFlags, readProfiles } from './support/cpu-profile.ts';
import { scaleToReference, sha256SecondsPerGib } from './support/measured-run.ts';
import { sharesText } from './support/profile-shares.ts';

const MIB = 1024 ** 2;
const LARGE_BYTES = 256 * MIB;

export interface Cost {
  readonly workload: 'small' | 'medium' | 'large';
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
  const size = sizeOf(workload);
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

function sizeOf(workload: Cost['workload']): { readonly sizeBytes?: number } {
  if (workload === 'small') return {};
  return { sizeBytes: workload === 'medium' ? MIB : LARGE_BYTES };
}

async function profile(workload: Cost['workload'], objects: number, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  if (readdirSync(folder).length > 0) throw new Error(`${folder} is not empty`);
  await copyWorkload({ objects, seed: 'cost', ...sizeOf(workload) }, [], profileFlags(folder));
  console.log(`${workload}, ${objects} objects: ${sharesText(readProfiles(folder, /\/src\//))}\n`);
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      small: { type: 'string', default: '20000' },
      medium: { type: 'string', default: '1024' },
      large: { type: 'string', default: '0' },
      repeat: { type: 'string', default: '3' },
      profile: { type: 'string' },
    },
  });
  const { small, medium, large, profile: folder } = values;
  for (let count = 0; count < (folder === undefined ? Number(values.repeat) : 1); count += 1) {
    for (const [workload, text] of Object.entries({ small, medium, large }) as [Cost['workload'], string][]) {
      const objects = Number(text);
      if (objects === 0) continue;
      if (folder === undefined) console.log(JSON.stringify(await measureCost(workload, objects)));
      else await profile(workload, objects, join(folder, workload));
    }
  }
}
