/** What the bench needs to know of a program that copies. */
import type { CommandLine } from '../measure/measure-process.ts';
import type { Route } from '../plan/cell.ts';
import type { ServiceKind } from '../service-servers/kinds.ts';

export interface BucketPlace {
  readonly kind: 's3';
  readonly endpoint: string;
  readonly bucket: string;
}

interface FolderPlace {
  readonly kind: 'fs';
  readonly folder: string;
}

/** A container (or bucket) of one of the other services. */
export interface ContainerPlace {
  readonly kind: ServiceKind;
  readonly endpoint: string;
  readonly container: string;
  /** Of Cloud Storage: the file that GOOGLE_APPLICATION_CREDENTIALS names. */
  readonly accountFile?: string;
}

export type Place = BucketPlace | FolderPlace | ContainerPlace;

export interface CopyJob {
  readonly source: Place;
  readonly target: Place;
  /** The target holds everything already, and there is nothing to copy. */
  readonly isPrefilled: boolean;
  /** An empty folder of this run's own: home, settings, journal. */
  readonly scratch: string;
  /** PEM file of the certificate that the servers have. */
  readonly caFile: string;
  /** Objects at once, where the program has to be told. */
  readonly transfers: number;
  /** Bytes of a part, where the program has to be told. */
  readonly partBytes: number;
  /** Under the condition `one-put`: blobferry is told to send objects up to this size by one PUT. */
  readonly onePutBytes?: number;
  /** Under the condition `unbound`: blobferry is to send the target no checksum. */
  readonly isUnbound?: boolean;
}

/** Who hashed what, in words. */
export interface Claims {
  /** What was computed over the source's bytes, and compared with what. */
  readonly hashed: string;
  /** What the target could check, or who read it back. */
  readonly bound: string;
}

export interface FoundCopier {
  readonly name: string;
  readonly version: string;
  /** A reason why it cannot take this route, or undefined. */
  cannot(route: Route): string | undefined;
  commandLine(job: CopyJob): CommandLine;
  /** @param stdout the end of what a run printed. */
  claims(route: Route, stdout: string): Claims;
  /** Why a run failed, where its output says it in a way of its own. */
  explain?(stdout: string): string | undefined;
}

export interface MissingCopier {
  readonly name: string;
  /** A sentence that says what to do. */
  readonly missing: string;
}

export type CopierSearch = FoundCopier | MissingCopier;

export function isFound(search: CopierSearch): search is FoundCopier {
  return !('missing' in search);
}

export const KEYS = { accessKeyId: 'testkey', secretAccessKey: 'testsecret' };

/**
 * Nobody's settings but the bench's: a proxy, a profile or a bundle of certificates of the one who runs it would make
 * runs differ from machine to machine (rclone, for one, trusts nothing else where AWS_CA_BUNDLE is set).
 */
export function plainEnvironment(
  job: Pick<CopyJob, 'scratch'>,
  more: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  return {
    PATH: process.env['PATH'] ?? '/usr/bin:/bin',
    TMPDIR: process.env['TMPDIR'] ?? '/tmp',
    HOME: job.scratch,
    LC_ALL: 'C.UTF-8',
    ...more,
  };
}

export const AWS_KEYS: Readonly<Record<string, string>> = {
  AWS_ACCESS_KEY_ID: KEYS.accessKeyId,
  AWS_SECRET_ACCESS_KEY: KEYS.secretAccessKey,
  AWS_REGION: 'us-east-1',
  AWS_EC2_METADATA_DISABLED: 'true',
};

/** @throws Error for storages that the peers have no settings for. */
export function bucketOf(place: Exclude<Place, FolderPlace>): string {
  if (place.kind === 's3') return place.bucket;
  throw new Error(`Only blobferry is measured with ${place.kind}`);
}

/** The bucket that is neither source nor target where a route has only one. */
export function onlyBucket({ source, target }: Pick<CopyJob, 'source' | 'target'>): BucketPlace {
  if (source.kind === 's3') return source;
  if (target.kind === 's3') return target;
  throw new Error('The route has no bucket');
}
