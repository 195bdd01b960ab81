/** When do the credentials of a storage end? Such as are renewed while they are used do not. */
import type { AzureSpec, S3Spec, StorageSpec } from '../../drivers/spec.ts';
import type { StorageFindings } from '../../platform/engine-port.ts';
import type { Environment } from '../storage/environment.ts';

export type CredentialsEnd = Pick<StorageFindings, 'credentialsExpireMs' | 'areCredentialsTemporary'>;

const TEMPORARY: CredentialsEnd = { areCredentialsTemporary: true };

/** Passwords, key files and keys of an account get new tokens for as long as they are not revoked. */
export function credentialsEnd(storage: StorageSpec, env: Environment): CredentialsEnd {
  if (storage.kind === 's3') return endOfS3(storage, env);
  return storage.kind === 'azure' ? endOfAzure(storage) : {};
}

function endOfS3({ credentials }: S3Spec, env: Environment): CredentialsEnd {
  if (!credentials) return {};
  const { isFound, expiresAtMs, sessionToken, accessKeyId } = credentials;
  // The environment of a process does not change: looked for again, they are the same.
  const isFixed = !isFound || env['AWS_ACCESS_KEY_ID'] === accessKeyId;
  if (expiresAtMs !== undefined) return isFixed ? { credentialsExpireMs: expiresAtMs } : {};
  return sessionToken === undefined ? {} : TEMPORARY;
}

/**
 * `se`: its end; `ske`: that of the key it was signed with, where a user has delegated. A stored policy keeps its end to
 * itself. https://learn.microsoft.com/rest/api/storageservices/create-user-delegation-sas
 */
function endOfAzure({ access }: AzureSpec): CredentialsEnd {
  if (access.type !== 'sas') return {};
  const fields = new URLSearchParams(access.token);
  const ends = ['se', 'ske']
    .map((name) => Date.parse(fields.get(name) ?? ''))
    .filter((end) => !Number.isNaN(end));
  return ends.length === 0 ? TEMPORARY : { credentialsExpireMs: Math.min(...ends) };
}
