/**
 * Entry of a worker thread. The compile cache comes first, and everything else after it: a thread that finds its modules
 * there need not load the stripper of types, which is 20 MB in each.
 */
import { enableCompileCache } from 'node:module';
import { workerData } from 'piscina';
import type { ShardReply, ShardTask, WorkerData } from '../src/copy/shard.ts';

enableCompileCache();
const { openDriver } = await import('../src/cli/composition.ts');
const { ShardWorker } = await import('../src/copy/shard-worker.ts');
const worker = new ShardWorker(workerData as WorkerData, openDriver);

/** Never rejects for a failed shard: piscina would keep only message and stack of the error. */
export function copyShard(task: ShardTask): Promise<ShardReply> {
  return worker.run(task);
}
