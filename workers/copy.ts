/** Entry of a worker thread. */
import { parentPort } from 'node:worker_threads';
import { workerData } from 'piscina';
import { openDriver } from '../src/cli/composition.ts';
import type { ShardReply, ShardTask, WorkerData } from '../src/copy/shard.ts';
import { ShardWorker } from '../src/copy/shard-worker.ts';

// The main thread loads this file only to have it in the compile cache before the threads start.
const worker = parentPort
  ? new ShardWorker(workerData as WorkerData, openDriver, (report) => parentPort?.postMessage(report))
  : undefined;

/** Never rejects for a failed shard: piscina would keep only message and stack of the error. */
export function copyShard(task: ShardTask): Promise<ShardReply> {
  if (!worker) throw new Error('Shards are copied in worker threads');
  return worker.run(task);
}
