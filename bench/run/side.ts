/** What a side of a copy is to those who run it. */
import type { Check, Sampling } from '../check/check-target.ts';
import type { Planted } from '../check/planted-part.ts';
import type { Place } from '../copiers/copier.ts';
import type { DataSet, DataSets, SetName } from '../data/data-set.ts';
import type { Etags } from '../records.ts';
import type { S3Server } from '../s3-server/s3-server.ts';
import type { S3ServerStats } from '../s3-server/stats.ts';

/** What is asked of every server: what it has done. */
export interface WatchedServer {
  stats(): Promise<S3ServerStats<string>>;
}

export interface Side {
  /** Undefined for file systems. */
  readonly server: WatchedServer | undefined;
  close(): Promise<void>;
}

export interface SourceSide extends Side {
  readonly sets: DataSets;
  place(set: SetName): Place;
}

export interface TargetSide extends Side {
  /** Where the set goes; empty, or filled with it where the target holds everything from the start. */
  place(set: SetName): Place;
  /** Undefined for file systems, which check nothing. */
  plant(): Promise<Planted | undefined>;
  check(set: SetName, expected: DataSet, sampling: Sampling): Promise<Check>;
  /** Empties it for the next run. */
  clear(): Promise<void>;
  /** What its server answers for ETags; undefined for file systems. */
  readonly etags: Etags | undefined;
}

/** Of sides on S3, whose servers can also be told to misbehave. */
export function s3ServerOf({ server }: Side): S3Server | undefined {
  return server !== undefined && 'misbehave' in server ? (server as S3Server) : undefined;
}
