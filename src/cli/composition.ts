/** The one place (beside tests) that knows which drivers there are. Worker threads load it too, so imports stay lazy. */
import { ConfigError } from '../core/errors.ts';
import type { TokenSource } from '../drivers/access-token.ts';
import type { StorageDriver } from '../drivers/driver.ts';
import { noSdkNotice } from '../drivers/engine.ts';
import type { DriverSpec, OpenDriver, StorageSpec } from '../drivers/spec.ts';
import { storageName } from '../drivers/spec-name.ts';
import { TokenDesk } from '../drivers/token-desk.ts';

/** Told what the user should know although it was dealt with, such as a bucket in another region. */
type OnNotice = (sentence: string) => void;

/** Rejects with ConfigError or StorageError when the storage cannot be opened in that role. */
export const openDriver: OpenDriver = (spec, role, tokens) => open(spec, role, { tokens });

/** Of each storage that was asked for, so that one log-in does for all that use its settings. */
const desks = new WeakMap<StorageSpec, TokenDesk | undefined>();

/** Where all threads get the tokens of this storage; undefined: it takes none, or drivers log in by themselves. */
export async function tokenDeskOf(storage: StorageSpec): Promise<TokenDesk | undefined> {
  if (desks.has(storage)) return desks.get(storage);
  const source = await tokenSourceOf(storage);
  // Another call may have been quicker.
  if (!desks.has(storage)) desks.set(storage, source && new TokenDesk(source));
  return desks.get(storage);
}

async function tokenSourceOf(storage: StorageSpec): Promise<TokenSource | undefined> {
  if (storage.kind === 'gcs') {
    const { tokenSourceFor } = await import('../drivers/gcs/gcs-auth.ts');
    return tokenSourceFor(storage);
  }
  if (storage.kind !== 'azure') return undefined;
  const { access } = storage;
  if (access.type !== 'client-secret' && access.type !== 'default') return undefined;
  const { entraTokens } = await import('../drivers/azure/azure-token.ts');
  return entraTokens(storageName(storage), access);
}

/**
 * Threads find the same as the drivers that were opened before them, so only those tell it; each sentence once a side.
 * @param onNotice also told which side it is about.
 */
export function openDriverTelling(
  onNotice: (sentence: string, role: 'source' | 'target') => void,
): OpenDriver {
  const told = new Set<string>();
  return (spec, role, tokens) =>
    open(spec, role, {
      tokens,
      onNotice: (sentence) => {
        const once = `${role} ${sentence}`;
        if (told.has(once)) return;
        told.add(once);
        onNotice(sentence, role);
      },
    });
}

async function open(
  spec: DriverSpec,
  role: 'source' | 'target',
  given: { readonly tokens: TokenSource | undefined; readonly onNotice?: OnNotice },
): Promise<StorageDriver> {
  const { storage } = spec;
  const { onNotice } = given;
  const tokens = given.tokens ?? (await tokenDeskOf(storage))?.source();
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
      return openGcsDriver({ ...spec, storage }, { tokens });
    }
    case 'azure': {
      if (spec.engine === 'sdk') {
        const { openAzureSdkDriver } = await import('../drivers/azure/azure-sdk-driver.ts');
        return await openAzureSdkDriver({ ...spec, storage }, { onNotice, role, tokens });
      }
      const { openAzureDriver } = await import('../drivers/azure/azure-driver.ts');
      return openAzureDriver({ ...spec, storage }, { onNotice, role, tokens });
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
