/**
 * A worker entry whose source asks the test before each read: what is to happen to the object now, and to the bytes.
 * Everything else is as in `workers/copy.ts`. A source in memory, which threads do not share, gets its objects the same
 * way.
 */
import { randomUUID } from 'node:crypto';
import { isMainThread, parentPort } from 'node:worker_threads';
import { workerData } from 'piscina';
import { openDriver } from '../../src/cli/composition.ts';
import type { ShardReply, ShardTask, WorkerData } from '../../src/copy/shard.ts';
import { ShardWorker } from '../../src/copy/shard-worker.ts';
import type { StorageDriver } from '../../src/drivers/driver.ts';
import { openMemoryDriver } from '../../src/drivers/memory/memory-driver.ts';
import { storeNamed } from '../../src/drivers/memory/memory-store.ts';
import type { Answer, AskedCall, Question } from './words-world.ts';

const me = randomUUID();
const waiting = new Map<number, (answer: Answer) => void>();
let asked = 0;

const channel = isMainThread ? undefined : new BroadcastChannel(process.env['BLOBFERRY_TEST_WORDS'] ?? '');
if (channel) {
  channel.onmessage = (event) => {
    const { to, id, answer } = (event as { data: { to?: string; id: number; answer: Answer } }).data;
    if (to !== me) return;
    waiting.get(id)?.(answer);
    waiting.delete(id);
  };
}

function ask(call: AskedCall): Promise<Answer> {
  asked += 1;
  const question: Question = { from: me, id: asked, call };
  return new Promise((resolve) => {
    waiting.set(asked, resolve);
    channel?.postMessage(question);
  });
}

function change(name: string, { put = [], remove = [] }: Answer): void {
  const store = storeNamed(name);
  for (const { path, bytes } of put) store.put(path, bytes, undefined);
  for (const path of remove) store.remove(path);
}

function askingSource(inner: StorageDriver, storeName: string | undefined): StorageDriver {
  return {
    kind: inner.kind,
    name: inner.name,
    facts: inner.facts,
    list: (ctx, query) => inner.list(ctx, query),
    stat: (ctx, key) => inner.stat(ctx, key),
    read: async (ctx, key, into, options) => {
      const answer = await ask({ type: 'read', key, offset: options.offset ?? 0 });
      if (storeName !== undefined) change(storeName, answer);
      const result = await inner.read(ctx, key, into, options);
      for (const { at, by } of answer.flips ?? []) into[at] = (into[at] ?? 0) ^ by;
      return result;
    },
    write: () => Promise.reject(new Error('A source is never written to')),
    remove: () => Promise.reject(new Error('A source is never written to')),
    flush: (ctx) => inner.flush(ctx),
    close: () => inner.close(),
  };
}

const worker = isMainThread
  ? undefined
  : new ShardWorker(
      workerData as WorkerData,
      async (spec, role) => {
        const { storage } = spec;
        if (storage.kind !== 'memory') {
          const driver = await openDriver(spec, role);
          return role === 'source' ? askingSource(driver, undefined) : driver;
        }
        change(storage.name, await ask({ type: 'fill' }));
        return askingSource(openMemoryDriver(storage), storage.name);
      },
      (report) => parentPort?.postMessage(report),
    );

export function copyShard(task: ShardTask): Promise<ShardReply> {
  if (!worker) throw new Error('Shards are copied in worker threads');
  return worker.run(task);
}
