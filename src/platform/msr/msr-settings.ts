/** `meta/settings`: the settings of the whole cluster, among them the switch to read-only. */
import { z } from 'zod';
import type { MsrConnection } from './msr-connection.ts';

/** Only what blobferry looks at; everything else stays where it is, secrets among it. */
export interface MsrSettings {
  /** The replica that answered. */
  readonly replicaId?: string | undefined;
  /** Undefined: this version does not say, which is not the same as `false`. */
  readonly isReadOnly: boolean | undefined;
  /** Replicas that are configured. */
  readonly replicas: readonly string[];
  /** Volume or folder with the images, where storage is local. */
  readonly storageVolume?: string | undefined;
  readonly nfsHost?: string | undefined;
  readonly nfsPath?: string | undefined;
}

const SETTINGS = z.object({
  replicaID: z.string().nullish(),
  readOnlyRegistry: z.boolean().nullish(),
  replicaSettings: z.record(z.string(), z.unknown()).nullish(),
  storageVolume: z.string().nullish(),
  nfsHost: z.string().nullish(),
  nfsPath: z.string().nullish(),
});

const PATH = '/api/v0/meta/settings';

export async function readSettings(msr: MsrConnection, signal: AbortSignal): Promise<MsrSettings> {
  const answer = await msr.send(signal, { method: 'GET', operation: 'read the settings', path: PATH });
  const settings = answer.read(SETTINGS);
  return {
    replicaId: settings.replicaID ?? undefined,
    isReadOnly: settings.readOnlyRegistry ?? undefined,
    replicas: Object.keys(settings.replicaSettings ?? {}),
    storageVolume: settings.storageVolume ?? undefined,
    nfsHost: settings.nfsHost ?? undefined,
    nfsPath: settings.nfsPath ?? undefined,
  };
}

/**
 * Asks for the switch: MSR answers 202 and restarts one replica after the other, so nothing is read-only yet when this
 * returns (see `read-only-evidence.ts`).
 */
export async function requestReadOnly(
  msr: MsrConnection,
  signal: AbortSignal,
  isReadOnly: boolean,
): Promise<void> {
  const operation = isReadOnly ? 'switch to read-only' : 'end read-only';
  // Only the keys that are sent are changed.
  await msr.send(signal, { method: 'POST', operation, path: PATH, json: { readOnlyRegistry: isReadOnly } });
}
