/**
 * Commands of MSR's bootstrapper (`mirantis/dtr`): backup, restore, reconfigure, destroy. Flags as its manual names them;
 * the password of MKE goes in by UCP_PASSWORD. `--reinitialize-storage`, which erases tags, is none of them.
 * https://docs.mirantis.com/msr/2.9/cli-ref.html
 */
import type { ContainerSpec } from '../container.ts';
import type { MsrPlatform } from '../migration.ts';

export interface DtrAccess extends Pick<MsrPlatform, 'image' | 'replicaId' | 'mke'> {
  /** PEM of the authority of MKE, where one is given. */
  readonly mkeCa?: string;
}

export interface DtrRun {
  readonly name: string;
  readonly msMax: number;
}

/** Where images are to lie that are no cloud's: a volume or full path, or `nfs://server/folder`. */
export type LocalStorage = { readonly volume: string } | { readonly nfs: string };

/** @param file is written whole or not at all, for its owner alone: a backup holds the keys of the registry. */
export function backupSpec(access: DtrAccess, run: DtrRun, file: string): ContainerSpec {
  const flags = ['--existing-replica-id', access.replicaId];
  return { ...spec(access, run, 'backup', flags), stdoutFile: file };
}

/**
 * Storage has to be named in a restore. `as-in-backup` brings back the storage that was in use when the backup was made,
 * which for a cloud is the old one.
 * @param node of MKE, on which the replica is made.
 */
export function restoreSpec(
  access: DtrAccess,
  run: DtrRun,
  given: {
    readonly file: string;
    readonly node: string;
    readonly url?: string;
    readonly storage: LocalStorage | 'as-in-backup';
  },
): ContainerSpec {
  const { file, node, url, storage } = given;
  const flags = [
    '--replica-id',
    access.replicaId,
    '--ucp-node',
    node,
    ...(url === undefined ? [] : ['--dtr-external-url', url]),
    ...(storage === 'as-in-backup' ? ['--dtr-use-default-storage'] : storageFlags(storage)),
  ];
  return { ...spec(access, run, 'restore', flags), stdinFile: file };
}

/** The flag that keeps tags; newer releases keep them by themselves and may not know it any more. */
export const MIGRATED_FLAG = 'storage-migrated';

/** @param knowsMigrated is the flag that keeps tags known to this version? */
export function reconfigureSpec(
  access: DtrAccess,
  run: DtrRun,
  storage: LocalStorage,
  knowsMigrated: boolean,
): ContainerSpec {
  const migrated = knowsMigrated ? [`--${MIGRATED_FLAG}`] : [];
  const flags = ['--existing-replica-id', access.replicaId, ...storageFlags(storage), ...migrated];
  return spec(access, run, 'reconfigure', flags);
}

/** It takes the volumes of the replica with it, images in a volume of its own among them. */
export function destroySpec(access: DtrAccess, run: DtrRun, replicaId = access.replicaId): ContainerSpec {
  return spec(access, run, 'destroy', ['--replica-id', replicaId]);
}

/** What this very version knows. */
export function helpCommand(command: 'reconfigure' | 'restore' | 'backup'): readonly string[] {
  return [command, '--help-extended'];
}

function spec(
  access: DtrAccess,
  { name, msMax }: DtrRun,
  command: string,
  flags: readonly string[],
): ContainerSpec {
  return {
    name,
    image: access.image,
    command: [command, ...mkeFlags(access), ...flags],
    secretEnv: { UCP_PASSWORD: access.mke.secretEnv },
    msMax,
  };
}

function mkeFlags({ mke, mkeCa }: DtrAccess): readonly string[] {
  return [
    '--ucp-url',
    mke.url,
    '--ucp-username',
    mke.username,
    ...(mkeCa === undefined ? [] : ['--ucp-ca', mkeCa]),
    ...(mke.trust.by === 'nobody' ? ['--ucp-insecure-tls'] : []),
  ];
}

function storageFlags(storage: LocalStorage): readonly string[] {
  return 'volume' in storage ? ['--dtr-storage-volume', storage.volume] : ['--nfs-storage-url', storage.nfs];
}
