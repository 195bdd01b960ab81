/** Gathers what the shards report, and makes the summary of the pass from that and from the counters. */

import type { RowsResult, ShardResult } from '../copy/shard.ts';
import type { CounterReader } from '../core/counters.ts';
import { CLASSES } from '../core/counters.ts';
import type { ErrorRecord } from '../core/errors.ts';
import type { CopyException, CopySummary, Engine, ServerSideSummary } from '../core/job.ts';

const EXCEPTIONS_SHOWN_MAX = 100;
const LEFT_OUT_NAMED_MAX = 10;
const WARNINGS_MAX = 100;
const ROWS_NAMED_MAX = 10;

/** What `--delete-extra` came to. */
export type DeletionSummary = Pick<
  CopySummary,
  'objectsDeleted' | 'objectsExtra' | 'objectsExtraKept' | 'extra' | 'deletion'
>;

interface About extends DeletionSummary {
  readonly source: string;
  readonly target: string;
  readonly layout: CopySummary['layout'];
  readonly engine: Engine;
  readonly serverSide: ServerSideSummary;
  readonly binding: string;
  readonly isFrozen: boolean;
  readonly isStopped: boolean;
  readonly uploadsOpen: number;
  readonly seconds: number;
  readonly journal: string;
}

export class Gathered {
  readonly #counters: CounterReader;
  readonly #damageMax: number;
  readonly #exceptions: CopyException[] = [];
  readonly #leftOut = new Set<string>();
  readonly #warnings: string[] = [];
  #rows: RowsResult | undefined;
  #stoppedBy: ErrorRecord | undefined;
  #planned = 0;
  #done = 0;
  #split = 0;
  #isCancelled = false;

  /** @param damageMax so many damaged objects are nothing that went wrong. */
  constructor(counters: CounterReader, damageMax = 0) {
    this.#counters = counters;
    this.#damageMax = damageMax;
  }

  get isRunning(): boolean {
    return this.#stoppedBy === undefined && !this.#isCancelled;
  }

  /** Objects that should be in the target and are not. */
  get failedObjects(): number {
    return this.#counters.objects('failed');
  }

  /** Did everything that was planned go well? */
  get isClean(): boolean {
    const wrong = ['failed', 'conflict', 'vanished', 'unsettled'] as const;
    return (
      this.isRunning &&
      this.#done === this.#planned &&
      this.#counters.objects('damaged') <= this.#damageMax &&
      wrong.every((state) => this.#counters.objects(state) === 0)
    );
  }

  planned(shards: number): void {
    this.#planned += shards;
  }

  /** A shard gave so many others away. */
  split(shards: number): void {
    this.#planned += shards;
    this.#split += shards;
  }

  done(): void {
    this.#done += 1;
  }

  cancelled(): void {
    this.#isCancelled = true;
  }

  addException(exception: CopyException): void {
    if (this.#exceptions.length < EXCEPTIONS_SHOWN_MAX) this.#exceptions.push(exception);
  }

  add(result: ShardResult): void {
    const room = EXCEPTIONS_SHOWN_MAX - this.#exceptions.length;
    this.#exceptions.push(...result.exceptions.slice(0, Math.max(0, room)));
    for (const path of result.leftOut) {
      if (this.#leftOut.size < LEFT_OUT_NAMED_MAX) this.#leftOut.add(path);
    }
    for (const warning of result.warnings) this.warn(warning);
    if (result.rows) {
      const known = this.#rows ?? NO_ROWS;
      this.#rows = {
        pending: together(known.pending, result.rows.pending),
        lacking: together(known.lacking, result.rows.lacking),
      };
    }
  }

  warn(message: string): void {
    if (this.#warnings.length < WARNINGS_MAX) this.#warnings.push(message);
  }

  /** The first reason is the one to tell; what follows from it is noise. */
  stop(error: ErrorRecord): void {
    this.#stoppedBy ??= error;
  }

  summary(about: About): CopySummary {
    const counters = this.#counters;
    const byClass = CLASSES.map(
      (one) =>
        [
          one,
          { copied: counters.objects('copied', one), skipped: counters.objects('skipped', one) },
        ] as const,
    );
    return {
      event: 'summary',
      ...about,
      isComplete: this.isRunning && this.#done === this.#planned && this.failedObjects === 0,
      objectsCopied: counters.objects('copied'),
      objectsSkipped: counters.objects('skipped'),
      objectsFailed: counters.objects('failed'),
      objectsDamaged: counters.objects('damaged'),
      objectsUnproved: counters.count('unproved'),
      objectsByProof: {
        digest: counters.count('provedDigest'),
        service: counters.count('provedService'),
        readBack: counters.count('provedReadBack'),
        stored: counters.count('provedStored'),
        twice: counters.count('provedTwice'),
        none: counters.count('unproved'),
      },
      objectsServerSide: counters.count('serverSide'),
      bytesServerSide: counters.count('bytesServerSide'),
      serverCopiesWrong: counters.count('serverCopiesWrong'),
      serverCopiesUnseen: counters.count('serverCopiesUnseen'),
      readsWrong: counters.count('wrongReads'),
      writesWrong: counters.count('wrongWrites'),
      objectsVanished: counters.objects('vanished'),
      objectsUnsettled: counters.objects('unsettled'),
      objectsConflicting: counters.objects('conflict'),
      objectsLeftOut: counters.count('leftOut'),
      leftOut: [...this.#leftOut],
      bytesCopied: counters.bytes('copied'),
      bytesSkipped: counters.bytes('skipped'),
      bytesReused: counters.count('bytesReused'),
      objectsByClass: Object.fromEntries(byClass) as CopySummary['objectsByClass'],
      exceptions: this.#exceptions,
      ...(this.#rows ? { digests: this.#rows } : {}),
      ...(this.#stoppedBy && !about.isStopped ? { stoppedBy: this.#stoppedBy } : {}),
      shardsSplit: this.#split,
      warnings: this.#warnings,
    };
  }
}

const NO_ROWS: RowsResult = { pending: { count: 0, first: [] }, lacking: { count: 0, first: [] } };

type Rows = RowsResult['pending'];

/** Shards end in any order; the first names are those that were told first. */
function together(one: Rows, other: Rows): Rows {
  const first = [...one.first, ...other.first].slice(0, ROWS_NAMED_MAX);
  return { count: one.count + other.count, first };
}
