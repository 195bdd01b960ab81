/** The lines of a result file: one JSON object each, told apart by `kind`. */
import type { Check } from './check/check-target.ts';
import type { Planted } from './check/planted-part.ts';
import type { SetName } from './data/data-set.ts';
import type { FloorName } from './floors/floors.ts';
import type { Verdict } from './goals/verdict.ts';
import type { Cell, Route, Scheme } from './plan/cell.ts';
import type { Parameters } from './plan/parameters.ts';
import type { SecondCounts, Transfers } from './s3-server/stats.ts';

/** First line of a bench. */
export interface BenchRecord {
  readonly kind: 'bench';
  /** Changes with a change of what the lines mean. */
  readonly format: 1;
  /** ISO 8601. */
  readonly at: string;
  readonly isQuick: boolean;
  readonly parameters: Parameters;
  readonly machine: Machine;
  readonly copiers: readonly { readonly name: string; readonly version: string }[];
  readonly missing: readonly { readonly name: string; readonly missing: string }[];
}

export interface Machine {
  /** Of the checkout, with `+` where files differ from it. */
  readonly commit: string;
  readonly node: string;
  readonly kernel: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  /** Of one minute, when the bench began: what else the machine was doing. */
  readonly load: number;
}

/** What one server saw of one run. */
export interface ServerShare {
  readonly requests: number;
  readonly operations: Readonly<Record<string, number>>;
  readonly statuses: Readonly<Record<string, number>>;
  /** By the code of the error. */
  readonly errors: Readonly<Record<string, number>>;
  readonly connections: number;
  /** On the wire, from the copier and to it; heads included, TLS's own not. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly cpuSeconds: number;
  /** Answers in each second of the run, under the conditions that limit them. */
  readonly seconds?: readonly SecondCounts[];
  /** Bodies of 1 MiB and more. */
  readonly largeBodiesIn?: Transfers;
  readonly largeBodiesOut?: Transfers;
}

export interface Usage {
  readonly wallSeconds: number;
  readonly userSeconds: number;
  readonly systemSeconds: number;
  readonly rssBytesMax: number;
  /** Of CPU time, measured around this run. */
  readonly sha256SecondsPerGib: number;
  /** User and system time, scaled to a machine that takes 0.55 s of CPU for the sha256 of a GiB. */
  readonly cpuSecondsScaled: number;
}

/** Whether a target's ETags are true MD5s of bodies and parts, or visibly none (with a dash). */
export type Etags = 'md5' | 'opaque';

export interface RunRecord extends Partial<Usage> {
  readonly kind: 'run';
  readonly at: string;
  readonly cell: Cell;
  readonly copier: string;
  /** Program and arguments. */
  readonly command: string;
  readonly set: SetName;
  /** From 1. */
  readonly repeat: number;
  readonly objects: number;
  readonly bytes: number;
  readonly outcome: 'ok' | 'failed';
  /** Why it failed. */
  readonly reason?: string;
  readonly exitCode?: number | null;
  readonly source?: ServerShare;
  readonly target?: ServerShare;
  readonly etags?: Etags;
  readonly check?: Check;
  readonly planted?: Planted;
  readonly hashed?: string;
  readonly bound?: string;
}

/** A copier that is not run in a cell, as it cannot take the route. */
export interface AbsenceRecord {
  readonly kind: 'absence';
  readonly cell: Cell;
  readonly copier: string;
  readonly reason: string;
}

export interface FloorRecord extends Usage {
  readonly kind: 'floor';
  readonly at: string;
  readonly cell: Cell;
  readonly floor: FloorName;
  readonly set: SetName;
  readonly repeat: number;
  readonly objects: number;
  readonly bytes: number;
}

export const FLIPS = ['put', 'part', 'get', 'get-large'] as const;
export type Flip = (typeof FLIPS)[number];

/** What became of one bit that was turned over on its way. */
export interface TrialRecord {
  readonly kind: 'trial';
  readonly at: string;
  readonly route: Route;
  readonly scheme: Scheme;
  readonly copier: string;
  readonly trial: 'plain' | Flip;
  /**
   * `right`: the target is right and the copier said so. `reported`: it said that it failed, and nothing wrong is there;
   * `left-wrong`: it said so, and the wrong bytes are there. `unnoticed`: it said that all is well, and it is not.
   * `not-met`: the bit never came by. `failed`: it failed without any bit.
   */
  readonly outcome: 'right' | 'reported' | 'left-wrong' | 'unnoticed' | 'not-met' | 'failed';
  /** Error codes that the target answered, with how often. */
  readonly refusals: Readonly<Record<string, number>>;
  readonly exitCode?: number | null;
  readonly reason?: string;
}

/** Last line of a bench that was not broken off. */
export interface EndRecord {
  readonly kind: 'end';
  readonly at: string;
  readonly seconds: number;
  readonly load: number;
}

/** What became of a goal. */
export interface GoalRecord extends Verdict {
  readonly kind: 'goal';
  readonly at: string;
  readonly name: string;
  readonly title: string;
}

export type BenchLine =
  | BenchRecord
  | RunRecord
  | AbsenceRecord
  | FloorRecord
  | TrialRecord
  | GoalRecord
  | EndRecord;
