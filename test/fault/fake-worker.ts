/**
 * Stands in for the worker entry: threads that break, are deaf or report what a test wants. Which, the name of the
 * source says: `exits-…`, `deaf-…`.
 */
import { parentPort } from 'node:worker_threads';
import { workerData } from 'piscina';
import type { ShardReply, ShardTask, WorkerData, WorkerReport } from '../../src/copy/shard.ts';
import { CounterWriter } from '../../src/core/counters.ts';

const data = workerData as WorkerData | undefined;
const counters = data ? new CounterWriter(data.counters) : undefined;
const NOTHING = { exceptions: [], leftOut: [], warnings: [], extras: [] };

function tell(report: WorkerReport): void {
  parentPort?.postMessage(report);
}

/** Everything up to there is settled. */
function reached(shard: string, after?: string): void {
  if (counters === undefined) return;
  const where = after === undefined ? {} : { after };
  tell({ type: 'cursor', shard, ...where, row: counters.row, values: counters.values() });
}

function exhaustHeap(): never {
  const kept: unknown[] = [];
  for (;;) kept.push(Array.from({ length: 10_000 }, (_, at) => ({ at })));
}

/** The number of a shard of phase one: `blobs-3`. */
function numberOf({ shard }: ShardTask): number {
  return shard.phase === 'blobs' ? Number(shard.id.split('-').at(-1)) : Number.POSITIVE_INFINITY;
}

/**
 * Three objects are copied and settled, two more copied and one failed, then the thread dies. Whoever goes on finds
 * the two equal and copies the one that failed: six copied objects in all.
 */
function diesOnce(task: ShardTask, deaths: number, die: () => never): ShardReply {
  const { id, range } = task.shard;
  const cursor = `died in ${id}`;
  if (range.after === cursor) {
    counters?.object('skipped', 'blob', 2, 2);
    counters?.object('copied', 'blob', 1);
    return { ok: true, result: NOTHING };
  }
  reached(id);
  counters?.gauge('objectsInFlight', 3);
  counters?.object('copied', 'blob', 3, 3);
  reached(id, cursor);
  counters?.object('copied', 'blob', 2, 2);
  if (numberOf(task) <= deaths) {
    counters?.object('failed', 'blob', 1);
    tell({ type: 'upload', upload: { id: `upload of ${id}`, key: cursor }, state: 'open' });
    die();
  }
  counters?.gauge('objectsInFlight', -3);
  counters?.object('copied', 'blob', 1);
  return { ok: true, result: NOTHING };
}

function afterCancel({ control }: ShardTask): Promise<ShardReply> {
  return new Promise((resolve) => {
    control?.once('message', () => {
      control.close();
      resolve({
        ok: false,
        result: NOTHING,
        error: { name: 'Error', message: 'cancelled' },
        isCancelled: true,
      });
    });
  });
}

const BEHAVIOURS: Readonly<Record<string, (task: ShardTask) => ShardReply | Promise<ShardReply>>> = {
  /** All is well. */
  copies: () => {
    counters?.object('copied', 'blob', 1);
    return { ok: true, result: NOTHING };
  },
  /** The thread is gone in the middle of its first shard. */
  exits: () => process.exit(7),
  /** The thread runs out of memory, in effect: an error nobody catches, beside the task. */
  breaks: () =>
    new Promise(() => {
      setImmediate(() => {
        throw new Error('the thread broke');
      });
    }),
  /** Tells a thousand things and is gone at once. */
  tellsmuch: ({ shard }) => {
    for (let at = 0; at < 1_000; at += 1) reached(shard.id, String(at));
    return process.exit(1);
  },
  /** Out of memory, in the first two shards. */
  exhausts: (task) => diesOnce(task, 2, exhaustHeap),
  /** As many threads die as one run may lose, one in each of the first shards. */
  loses: (task) => diesOnce(task, 8, () => process.exit(9)),
  /** One more. */
  losesmore: (task) => diesOnce(task, 9, () => process.exit(9)),
  /** The backend is away for a while. */
  waits: ({ shard }) => {
    const where = { type: 'backend', side: 'target', name: 's3://bucket' } as const;
    if (shard.id === 'blobs-1') {
      tell({ ...where, state: 'waiting', reason: 'no answer' });
      tell({ ...where, state: 'back', reason: 'no answer' });
    }
    return { ok: true, result: NOTHING };
  },
  /** Hears no cancel, but its event loop goes round. */
  deaf: () =>
    new Promise(() => {
      setInterval(() => undefined, 1_000);
    }),
  /** Hears nothing at all. */
  stuck: () => {
    for (;;) counters?.gauge('workersBusy', 0);
  },
  /** A blob fails in each shard of phase one. */
  failing: ({ shard }) => {
    if (shard.phase === 'names') counters?.object('copied', 'tag', 1);
    else counters?.object('failed', 'blob', 1);
    const error = { name: 'Error', message: 'why' } as const;
    const exceptions = shard.phase === 'names' ? [] : [{ state: 'failed', path: shard.id, error } as const];
    return { ok: true, result: { ...NOTHING, exceptions } };
  },
  /** The first shard meets an error of the whole backend; all others wait until they are cancelled. */
  full: (task) =>
    task.shard.id === 'blobs-1'
      ? {
          ok: false,
          result: { ...NOTHING, warnings: ['seen before the end'] },
          error: { name: 'Error', message: 'the disk is full' },
          isCancelled: false,
        }
      : afterCancel(task),
};

export async function copyShard(task: ShardTask): Promise<ShardReply> {
  const { storage } = task.pass.source;
  const [does = ''] = storage.kind === 'memory' ? storage.name.split('-') : [];
  const behaviour = BEHAVIOURS[does];
  if (!behaviour) throw new Error(`There is no behaviour "${does}"`);
  return behaviour(task);
}
