/** The one place (beside tests) that knows which drivers there are. Worker threads load it too, so imports stay lazy. */
import { ConfigError } from '../core/errors.ts';
import type { OpenDriver, StorageSpec } from '../drivers/spec.ts';

/** Rejects with ConfigError or StorageError when the storage cannot be opened in that role. */
export const openDriver: OpenDriver = async (spec, role) => {
  const { storage } = spec;
  switch (storage.kind) {
    case 'fs': {
      const { openFsDriver } = await import('../drivers/fs/fs-driver.ts');
      return openFsDriver(storage, { role });
    }
    case 's3': {
      if (spec.engine === 'sdk') {
        const { openS3SdkDriver } = await import('../drivers/s3/s3-sdk-driver.ts');
        return await openS3SdkDriver({ ...spec, storage });
      }
      const { openS3Driver } = await import('../drivers/s3/s3-driver.ts');
      return await openS3Driver({ ...spec, storage });
    }
    case 'memory':
      throw new ConfigError(`Cannot use memory://${storage.name}: stores in memory exist in tests only`);
  }
};

/** The same settings with credentials in them: found once, so that not every thread searches for itself. */
export async function withFoundCredentials(spec: StorageSpec): Promise<StorageSpec> {
  if (spec.kind !== 's3' || spec.credentials) return spec;
  const { withCredentials } = await import('../drivers/s3/s3-credentials.ts');
  return withCredentials(spec);
}
