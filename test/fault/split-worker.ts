/**
 * A worker entry that tells how many objects its thread has written, and that dies where the test says: `probe`, while a
 * border is searched for; `shared`, as soon as something was given away. One thread of a run dies.
 */
import { closeSync, openSync } from 'node:fs';
import { isMainThread, parentPort, threadId } from 'node:worker_threads';
import { workerData } from 'piscina';
import { openDriver } from '../../src/cli/composition.ts';
import type { ShardReply, ShardTask, WorkerData, WorkerReport } from '../../src/copy/shard.ts';
import { ShardWorker } from '../../src/copy/shard-worker.ts';
import type { MultipartFacet, StorageDriver } from '../../src/drivers/driver.ts';

export interface Written {
  readonly thread: number;
  readonly objects: number;
}

const data = workerData as WorkerData | undefined;
const channel = isMainThread ? undefined : new BroadcastChannel(process.env['BLOBFERRY_TEST_SPLIT'] ?? '');
(channel as { unref?(): void } | undefined)?.unref?.();
const diesAt = process.env['BLOBFERRY_TEST_SPLIT_DIES'] ?? '';
let objects = 0;
let listings = 0;
let running = '';

function dieOnce(): void {
  try {
    closeSync(openSync(process.env['BLOBFERRY_TEST_SPLIT_FLAG'] ?? '', 'wx'));
  } catch {
    return;
  }
  process.exit(9);
}

function tell(report: WorkerReport): void {
  parentPort?.postMessage(report);
  if (diesAt !== 'shared' || report.type !== 'shared' || report.given.upTo === undefined) return;
  if (report.shard === running) setImmediate(dieOnce);
}

function with_<T extends object>(inner: T, over: Partial<T>): T {
  return new Proxy(inner, {
    get: (target, name) => {
      const value: unknown = name in over ? Reflect.get(over, name) : Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

function counting(driver: StorageDriver): StorageDriver {
  const { multipart } = driver;
  const complete: MultipartFacet['complete'] | undefined =
    multipart &&
    (async (...args) => {
      objects += 1;
      return multipart.complete(...args);
    });
  return with_(driver, {
    write: async (...args) => {
      objects += 1;
      return driver.write(...args);
    },
    ...(multipart && complete ? { multipart: with_(multipart, { complete }) } : {}),
  });
}

/** The first listing of a shard is its own, those beside it look for a border. */
function dying(driver: StorageDriver): StorageDriver {
  return with_(driver, {
    list: (...args) => {
      listings += 1;
      if (listings > 1) dieOnce();
      return driver.list(...args);
    },
  });
}

const worker = data
  ? new ShardWorker(
      data,
      async (spec, role) => {
        const driver = await openDriver(spec, role);
        if (role === 'target') return counting(driver);
        return diesAt === 'probe' ? dying(driver) : driver;
      },
      tell,
    )
  : undefined;

export async function copyShard(task: ShardTask): Promise<ShardReply> {
  if (!worker) throw new Error('Shards are copied in worker threads');
  objects = 0;
  listings = 0;
  running = task.shard.id;
  const reply = await worker.run(task);
  const written: Written = { thread: threadId, objects };
  channel?.postMessage(written);
  return reply;
}
