/** What is kept of a migration while it runs: every phase of every step before and after it. */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** Each is durable before what follows it begins. */
export type What =
  | `${'check' | 'do' | 'effect' | 'held' | 'undo' | 'undone'}-begun`
  | `${'check' | 'do' | 'effect' | 'held' | 'undo' | 'undone'}-failed`
  | `check-${'todo' | 'done' | 'blocked'}`
  | `${'do' | 'undo'}-ended`
  | `${'effect' | 'undone'}-${'shown' | 'missing'}`
  | `held-${'held' | 'lost' | 'unknown'}`
  /** Its result does not count any more. */
  | 'reset'
  /** Of the whole run: something is not checked, or allowed all the same. */
  | 'caveat'
  /** Left out by `--start-at`. */
  | 'skipped'
  /** A person, or a flag, has agreed to forward steps. */
  | 'confirmed'
  /** From here on the run is undone; `step` is the one that failed, or empty when it was asked for. */
  | 'turned';

export interface Entry {
  readonly atMs: number;
  /** Empty for what concerns the whole run. */
  readonly step: string;
  readonly what: What;
  /** Evidence, or what is wrong; empty: nothing to say. */
  readonly text: string;
}

export type RunEnd = 'done' | 'undone' | 'refused';

export interface RunRecord {
  /** 12 hex digits. */
  readonly id: string;
  readonly beganMs: number;
  /** Undefined while it is open. */
  readonly end: RunEnd | undefined;
  readonly endedMs: number | undefined;
  /** Ids and kinds of its steps in their order. */
  readonly plan: string;
}

/**
 * At most one run is open. Every method that writes returns when what it wrote survives a power cut.
 * @throws ConfigError where it cannot be written: the run must stop then.
 */
export interface SagaLog {
  /** The open run, or else the last one. */
  readonly last: RunRecord | undefined;
  begin(plan: string): RunRecord;
  /** Ends the open run. */
  end(end: RunEnd): void;
  /** Of the last run, in their order. */
  readonly entries: readonly Entry[];
  append(entry: Entry): void;
  /** Appends `reset`, and forgets what the step has kept, except what was so before it. */
  reset(entry: Entry): void;
  /** Of the last run, open or not. */
  get(step: string, name: string): Json | undefined;
  put(step: string, name: string, value: Json, isFirst: boolean): void;
}
