/**
 * A worker entry as `workers/copy.ts`, but for two things: attempts follow each other at once, as what is refused each time
 * would be waited for a quarter of a minute, and Cloud Storage's fake is given a token of its own.
 */
import { isMainThread, parentPort } from 'node:worker_threads';
import { workerData } from 'piscina';
import { openDriver } from '../../src/cli/composition.ts';
import type { ShardReply, ShardTask, WorkerData } from '../../src/copy/shard.ts';
import { ShardWorker } from '../../src/copy/shard-worker.ts';
import { openGcsDriver } from '../../src/drivers/gcs/gcs-driver.ts';
import type { OpenDriver } from '../../src/drivers/spec.ts';
import { DEFAULT_RETRIES } from '../../src/drivers/wrap/retry.ts';

Object.assign(DEFAULT_RETRIES, { delayMsMin: 1, delayMsMax: 5 });

export const openForFlips: OpenDriver = async (spec, role) => {
  const { storage } = spec;
  if (storage.kind !== 'gcs') return openDriver(spec, role);
  return openGcsDriver({ ...spec, storage }, { tokens: async () => ({ token: 'token' }) });
};

const worker = isMainThread
  ? undefined
  : new ShardWorker(workerData as WorkerData, openForFlips, (report) => parentPort?.postMessage(report));

export function copyShard(task: ShardTask): Promise<ShardReply> {
  if (!worker) throw new Error('Shards are copied in worker threads');
  return worker.run(task);
}
