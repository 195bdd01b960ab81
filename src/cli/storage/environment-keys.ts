import type { S3Credentials, S3Spec } from '../../drivers/spec.ts';
import type { Environment } from './environment.ts';

/**
 * Static keys in the environment, which the SDK's chain takes first unless a profile is named; finding them here spares
 * the import of the chain.
 */
export function environmentKeys(spec: S3Spec, env: Environment): S3Credentials | undefined {
  const accessKeyId = env['AWS_ACCESS_KEY_ID'];
  const secretAccessKey = env['AWS_SECRET_ACCESS_KEY'];
  if (spec.profile !== undefined || env['AWS_PROFILE'] || !accessKeyId || !secretAccessKey) return undefined;
  if (env['AWS_CREDENTIAL_EXPIRATION']) return undefined;
  const sessionToken = env['AWS_SESSION_TOKEN'];
  return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
}
