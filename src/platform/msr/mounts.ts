/** Storage that is mounted into the replicas: where it is, as MSR tells, and as the bootstrapper is told. */
import type { LocalStorage } from './dtr-commands.ts';
import type { MsrConnection } from './msr-connection.ts';
import { readRegistrySettings } from './msr-registry-settings.ts';
import { type MsrSettings, readSettings } from './msr-settings.ts';

/** Where images lie that are in no cloud; undefined: in a volume of the replica's own, or in a cloud. */
export function mountOf({ storageVolume, nfsHost, nfsPath }: MsrSettings): LocalStorage | undefined {
  if (nfsHost) return { nfs: `nfs://${nfsHost}/${(nfsPath ?? '').replace(/^\/+/, '')}` };
  return storageVolume ? { volume: storageVolume } : undefined;
}

/** Both the driver and what is mounted: a cloud may have been in use before. */
export async function isMounted(
  msr: MsrConnection,
  signal: AbortSignal,
  target: LocalStorage,
): Promise<boolean> {
  const mounted = mountOf(await readSettings(msr, signal));
  if (!mounted || mountText(mounted) !== mountText(target)) return false;
  return (await readRegistrySettings(msr, signal)).storage?.driver === 'filesystem';
}

/** The same for what names the same folder: a slash at its end says nothing. */
export function mountText(storage: LocalStorage): string {
  const text = 'volume' in storage ? `the volume ${storage.volume}` : storage.nfs;
  return text.replace(/(?<=[^/])\/+$/, '');
}
