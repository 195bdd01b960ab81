/** Which keys a storage can hold: the rules of its driver, asked without a driver. */
import type { StorageSpec } from '../drivers/spec.ts';

/** Linux: PATH_MAX, without the terminating NUL; see limits.h. */
const PATH_BYTES_MAX = 4095;

/** For a storage, why it cannot hold a key, as a clause; undefined when it can. */
export async function keyRuleOf(storage: StorageSpec): Promise<(key: string) => string | undefined> {
  if (storage.kind === 'fs') {
    const { whyInvalidKey } = await import('../drivers/fs/fs-keys.ts');
    const rootBytes = Buffer.byteLength(storage.rootDirectory) + 1;
    return (key) => {
      const why = whyInvalidKey(key);
      if (why !== undefined) return why;
      // Three bytes are the most that a UTF-16 unit takes.
      const isShort = rootBytes + key.length * 3 <= PATH_BYTES_MAX;
      const bytes = isShort ? 0 : rootBytes + Buffer.byteLength(key);
      return bytes > PATH_BYTES_MAX ? `its path has ${bytes} bytes, more than ${PATH_BYTES_MAX}` : undefined;
    };
  }
  if (storage.kind === 's3') {
    const { whyInvalidKey } = await import('../drivers/s3/s3-keys.ts');
    return whyInvalidKey;
  }
  if (storage.kind === 'swift') {
    const { whyInvalidSwiftKey } = await import('../drivers/swift/swift-keys.ts');
    return whyInvalidSwiftKey;
  }
  if (storage.kind === 'gcs') {
    const { whyInvalidGcsKey } = await import('../drivers/gcs/gcs-keys.ts');
    return whyInvalidGcsKey;
  }
  if (storage.kind === 'azure') {
    const { whyInvalidAzureKey } = await import('../drivers/azure/azure-keys.ts');
    return whyInvalidAzureKey;
  }
  return () => undefined;
}
