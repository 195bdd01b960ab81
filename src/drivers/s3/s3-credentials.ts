/** Where S3 credentials come from: the storage settings, else the AWS SDK's chain (environment, profile, instance role). */
import { ConfigError } from '../../core/errors.ts';
import type { S3Credentials, S3Spec, StorageSpec } from '../spec.ts';
import { storageName } from '../spec-name.ts';
import type { CredentialSource } from './s3-client.ts';

/** Static credentials stay as they are; those that expire are looked for again. */
export function credentialSource(spec: S3Spec): CredentialSource {
  const { credentials } = spec;
  if (credentials && credentials.expiresAtMs === undefined) return () => Promise.resolve(credentials);
  return () => findCredentials(spec);
}

/**
 * The same settings with credentials in them, so that threads need not each search (and import) for themselves.
 * @throws ConfigError where none are found.
 */
export async function withCredentials<S extends StorageSpec>(spec: S): Promise<S> {
  if (spec.kind !== 's3' || spec.credentials) return spec;
  return { ...spec, credentials: await findCredentials(spec) };
}

async function findCredentials(spec: S3Spec): Promise<S3Credentials> {
  const given = environmentCredentials(spec);
  if (given) return given;
  // The chain is 0.1 s and 20 MB of imports, which a run with keys in its settings does not need.
  const { defaultProvider } = await import('@aws-sdk/credential-provider-node');
  try {
    const found = await defaultProvider(spec.profile === undefined ? {} : { profile: spec.profile })();
    return {
      accessKeyId: found.accessKeyId,
      secretAccessKey: found.secretAccessKey,
      ...(found.sessionToken === undefined ? {} : { sessionToken: found.sessionToken }),
      ...(found.expiration === undefined ? {} : { expiresAtMs: found.expiration.getTime() }),
    };
  } catch (error) {
    throw new ConfigError(`Found no credentials for ${storageName(spec)}: ${(error as Error).message}`, {
      cause: error,
      hint: 'Set accesskey and secretkey in the storage file, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile',
    });
  }
}

/**
 * Static keys in the environment, which the SDK's chain takes first unless a profile is named; finding them here spares
 * the import of the chain.
 */
function environmentCredentials(spec: S3Spec): S3Credentials | undefined {
  const { env } = process;
  const accessKeyId = env['AWS_ACCESS_KEY_ID'];
  const secretAccessKey = env['AWS_SECRET_ACCESS_KEY'];
  if (spec.profile !== undefined || env['AWS_PROFILE'] || !accessKeyId || !secretAccessKey) return undefined;
  if (env['AWS_CREDENTIAL_EXPIRATION']) return undefined;
  const sessionToken = env['AWS_SESSION_TOKEN'];
  return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
}
