/** What the steps of a migration of one MSR share. */
import type { ContainerRunner } from '../container.ts';
import type { MsrPatience } from '../migration.ts';
import type { ByHand } from './by-hand.ts';
import type { DtrAccess, LocalStorage } from './dtr-commands.ts';
import type { MsrConnection } from './msr-connection.ts';
import type { StorageSection } from './registry-settings.ts';

export interface MsrSite {
  readonly msr: MsrConnection;
  readonly containers: ContainerRunner;
  readonly dtr: DtrAccess;
  readonly byHand: ByHand;
  readonly pace: MsrPace;
  /** Folders: of the backups, and of what is made of them. */
  readonly backups: string;
  readonly digests: string;
  readonly report: string;
}

/** How long things may take, and how often they are looked at; milliseconds. */
export interface MsrPace extends MsrPatience {
  readonly pollMs: number;
  /** A longer time without a look breaks a read-only epoch, as nothing shows what was so meanwhile. */
  readonly gapMsMax: number;
}

const MINUTE_MS = 60_000;

export const PACE: MsrPace = {
  pollMs: 1_000,
  switchMsMax: 30 * MINUTE_MS,
  gapMsMax: MINUTE_MS,
  drainMsMax: 6 * 60 * MINUTE_MS,
  containerMsMax: 12 * 60 * MINUTE_MS,
  collectionMsMax: 24 * 60 * MINUTE_MS,
};

/** How a migration ends: where MSR is to have its storage. */
export type NewStorage =
  /** By the settings of the registry: a driver and its parameters. */
  | { readonly by: 'settings'; readonly section: StorageSection }
  /** By what is mounted into the replicas. */
  | { readonly by: 'mount'; readonly mount: LocalStorage };
