/** Fills a bucket of a fresh S3 server, copies it to another one with the command line, and says what that cost. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BENCH_ENV, fillBlobs, fillSmall, openBucket } from './fill.ts';
import { type MeasuredRun, measureCli } from './measured-run.ts';
import { startS3Process } from './s3-process.ts';

export interface Workload {
  readonly objects: number;
  /** Undefined: links and manifests, as most objects of a registry are. */
  readonly sizeBytes?: number;
  readonly seed: string;
}

export interface WorkloadRun extends MeasuredRun {
  readonly bytes: number;
}

/** @throws Error where not every object was copied: a run that does less must not look cheap. */
export async function copyWorkload(
  workload: Workload,
  extra: readonly string[] = [],
  nodeArguments: readonly string[] = [],
): Promise<WorkloadRun> {
  const { objects, sizeBytes, seed } = workload;
  const journal = mkdtempSync(join(tmpdir(), 'blobferry-bench-journal-'));
  const server = await startS3Process(['source', 'target']);
  try {
    const driver = openBucket(server.endpoint, 'source');
    const bytes =
      sizeBytes === undefined
        ? await fillSmall(driver, objects, seed)
        : await fillBlobs(driver, objects, sizeBytes, seed);
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
      journal,
    ];
    const run = await measureCli([...args, ...extra], BENCH_ENV, nodeArguments);
    const { summary } = run;
    if (run.exitCode !== 0 || summary?.objectsCopied !== objects || summary.bytesCopied !== bytes) {
      throw new Error(`The copy of ${objects} objects ended with ${run.exitCode}: ${run.stderr}`);
    }
    return { ...run, bytes };
  } finally {
    await server.stop();
    rmSync(journal, { recursive: true });
  }
}
