/** Entry of a worker thread. */
import { workerData } from 'piscina';
import { openDriver } from '../src/cli/composition.ts';
import type { ShardReply, ShardTask, WorkerData } from '../src/copy/shard.ts';
import { ShardWorker } from '../src/copy/shard-worker.ts';

const worker = new ShardWorker(workerData as WorkerData, openDriver);

/** Never rejects for a failed shard: piscina would keep only message and stack of the error. */
export function copyShard(task: ShardTask): Promise<ShardReply> {
  return worker.run(task);
}
