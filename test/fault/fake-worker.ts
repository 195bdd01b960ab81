/**
 * Stands in for the worker entry: threads that break, are deaf or report what a test wants. Which, the name of the
 * source says: `exits-…`, `deaf-…`.
 */
import { workerData } from 'piscina';
import type { ShardReply, ShardTask, WorkerData } from '../../src/copy/shard.ts';
import { CounterWriter } from '../../src/core/counters.ts';

const data = workerData as WorkerData | undefined;
const counters = data ? new CounterWriter(data.counters) : undefined;
const NOTHING = { exceptions: [], leftOut: [], warnings: [], extras: [] };

function afterCancel(): Promise<ShardReply> {
  return new Promise((resolve) => {
    const channel = new BroadcastChannel(data?.channel ?? '');
    channel.onmessage = () => {
      channel.close();
      resolve({
        ok: false,
        result: NOTHING,
        error: { name: 'Error', message: 'cancelled' },
        isCancelled: true,
      });
    };
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
  full: ({ shard }) =>
    shard.id === 'blobs-1'
      ? {
          ok: false,
          result: { ...NOTHING, warnings: ['seen before the end'] },
          error: { name: 'Error', message: 'the disk is full' },
          isCancelled: false,
        }
      : afterCancel(),
};

export async function copyShard(task: ShardTask): Promise<ShardReply> {
  const { storage } = task.pass.source;
  const [does = ''] = storage.kind === 'memory' ? storage.name.split('-') : [];
  const behaviour = BEHAVIOURS[does];
  if (!behaviour) throw new Error(`There is no behaviour "${does}"`);
  return behaviour(task);
}
