/**
 * Fills a bucket of a fresh S3 server, copies it to one of another server with the command line, and says what that cost.
 * A single server could copy by itself, and nothing of what is measured would be done.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type S3ServerProcess, startS3ServerProcess } from '../s3-server/s3-server-process.ts';
import { BENCH_ENV, fillBlobs, fillSmall } from './fill.ts';
import { type MeasuredRun, measureCli } from './measured-run.ts';

export interface Workload {
  readonly objects: number;
  /** Undefined: links and manifests, as most objects of a registry are. */
  readonly sizeBytes?: number;
  readonly seed: string;
}

export interface WorkloadRun extends MeasuredRun {
  readonly bytes: number;
}

/** @throws Error where not every object was copied, and proved by its digest: a run that does less must not look cheap. */
export async function copyWorkload(
  workload: Workload,
  extra: readonly string[] = [],
  nodeArguments: readonly string[] = [],
): Promise<WorkloadRun> {
  const { objects, sizeBytes, seed } = workload;
  const journal = mkdtempSync(join(tmpdir(), 'blobferry-bench-journal-'));
  const servers = await startServers();
  try {
    const bytes =
      sizeBytes === undefined
        ? await fillSmall(servers.source, 'source', objects, seed)
        : await fillBlobs(servers.source.endpoint, 'source', { objects, sizeBytes, seed });
    const url = (name: SideName): string =>
      `s3://${name}?endpoint=${servers[name].endpoint}&region=us-east-1`;
    const args = ['copy', '--from', url('source'), '--to', url('target'), '--json', '--journal', journal];
    const run = await measureCli([...args, ...extra], BENCH_ENV, nodeArguments);
    const { summary } = run;
    const isAll = summary?.objectsByProof.digest === objects && summary.bytesCopied === bytes;
    if (run.exitCode !== 0 || !isAll) {
      throw new Error(`The copy of ${objects} objects ended with ${run.exitCode}: ${run.stderr}`);
    }
    return { ...run, bytes };
  } finally {
    await Promise.all([servers.source.close(), servers.target.close()]);
    rmSync(journal, { recursive: true });
  }
}

type SideName = 'source' | 'target';

async function startServers(): Promise<Readonly<Record<SideName, S3ServerProcess>>> {
  const source = await startS3ServerProcess({ buckets: ['source'] });
  try {
    return { source, target: await startS3ServerProcess({ buckets: ['target'] }) };
  } catch (error) {
    await source.close();
    throw error;
  }
}
