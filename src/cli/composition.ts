/** The one place (beside tests) that knows which drivers there are. Worker threads load it too, so imports stay lazy. */
import { ConfigError } from '../core/errors.ts';
import type { StorageDriver } from '../drivers/driver.ts';
import { noSdkNotice } from '../drivers/engine.ts';
import type { DriverSpec, OpenDriver, StorageSpec } from '../drivers/spec.ts';

/** Told what the user should know although it was dealt with, such as a bucket in another region. */
type OnNotice = (sentence: string) => void;

/** Rejects with ConfigError or StorageError when the storage cannot be opened in that role. */
export const openDriver: OpenDriver = (spec, role) => open(spec, role, undefined);

/**
 * Threads find the same as the drivers that were opened before them, so only those tell it; each sentence once a side.
 * @param onNotice also told which side it is about.
 */
export function openDriverTelling(
  onNotice: (sentence: string, role: 'source' | 'target') => void,
): OpenDriver {
  const told = new Set<string>();
  return (spec, role) =>
    open(spec, role, (sentence) => {
      const once = `${role} ${sentence}`;
      if (told.has(once)) return;
      told.add(once);
      onNotice(sentence, role);
    });
}

async function open(
  spec: DriverSpec,
  role: 'source' | 'target',
  onNotice: OnNotice | undefined,
): Promise<StorageDriver> {
  const { storage } = spec;
  switch (storage.kind) {
    case 'fs': {
      const { openFsDriver } = await import('../drivers/fs/fs-driver.ts');
      return openFsDriver(storage, { role, onNotice, runId: spec.runId, runsEnded: spec.runsEnded });
    }
    case 's3': {
      if (spec.engine === 'sdk') {
        const { openS3SdkDriver } = await import('../drivers/s3/s3-sdk-driver.ts');
        return await openS3SdkDriver({ ...spec, storage }, onNotice);
      }
      const { openS3Driver } = await import('../drivers/s3/s3-driver.ts');
      return await openS3Driver({ ...spec, storage }, onNotice);
    }
    case 'swift': {
      if (spec.engine === 'sdk') onNotice?.(noSdkNotice('swift'));
      const { openSwiftDriver } = await import('../drivers/swift/swift-driver.ts');
      return openSwiftDriver({ ...spec, storage });
    }
    case 'gcs': {
      if (spec.engine === 'sdk') onNotice?.(noSdkNotice('gcs'));
      const { openGcsDriver } = await import('../drivers/gcs/gcs-driver.ts');
      return openGcsDriver({ ...spec, storage });
    }
    case 'azure': {
      if (spec.engine === 'sdk') {
        const { openAzureSdkDriver } = await import('../drivers/azure/azure-sdk-driver.ts');
        return await openAzureSdkDriver({ ...spec, storage }, { onNotice, role });
      }
      const { openAzureDriver } = await import('../drivers/azure/azure-driver.ts');
      return openAzureDriver({ ...spec, storage }, { onNotice, role });
    }
    case 'memory':
      throw new ConfigError(`Cannot use memory://${storage.name}: stores in memory exist in tests only`);
  }
}

/** The same settings with credentials in them: found once, so that not every thread searches for itself. */
export async function withFoundCredentials(spec: StorageSpec): Promise<StorageSpec> {
  if (spec.kind !== 's3' || spec.credentials) return spec;
  const { withCredentials } = await import('../drivers/s3/s3-credentials.ts');
  return withCredentials(spec);
}
