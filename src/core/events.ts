/** What happens during a pass, for progress, metrics, logs and pages; listeners never slow the data path. */

import type { Side } from './counters.ts';
import type { ServerSideSummary } from './job.ts';

export type ShardState = 'planned' | 'running' | 'done' | 'failed';

export type CopyEvent =
  | {
      readonly event: 'started';
      readonly source: string;
      readonly target: string;
      readonly layout: string;
      /** How either side makes keys of logical paths, in words. */
      readonly keyRules: { readonly source: string; readonly target: string };
    }
  /** The last run of this job ended without a word: killed, a power cut. Times are epoch milliseconds. */
  | {
      readonly event: 'interrupted';
      readonly beganMs: number;
      readonly lastSignMs: number;
      readonly shardsDone: number;
      /** Of the phases that had been planned. */
      readonly shards: number;
    }
  /** All of the source is listed once before anything else, to find what is named. */
  | { readonly event: 'checking'; readonly what: string }
  | { readonly event: 'bound'; readonly binding: string }
  /** How objects go that need not pass through this machine; said once, before anything moves. */
  | ({ readonly event: 'server-side' } & ServerSideSummary)
  | { readonly event: 'planned'; readonly phase: 'blobs' | 'names'; readonly shards: number }
  | { readonly event: 'phase'; readonly phase: 'blobs' | 'names' }
  /** Objects that only the target has are about to be removed. */
  | { readonly event: 'deleting'; readonly objects: number }
  /** A running shard gave some of itself away as new shards, so that no thread is idle. */
  | { readonly event: 'split'; readonly shard: string; readonly into: readonly string[] }
  | { readonly event: 'shard'; readonly shard: string; readonly state: ShardState }
  /** A backend stopped answering and is waited for, or is back. `name`: without secrets; `reason`: its last error. */
  | {
      readonly event: 'backend';
      readonly side: Side;
      readonly name: string;
      readonly state: 'waiting' | 'back';
      readonly reason: string;
    }
  | { readonly event: 'warning'; readonly message: string };

export type CopyListener = (event: CopyEvent) => void;
