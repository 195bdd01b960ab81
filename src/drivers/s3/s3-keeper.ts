import { CredentialKeeper, type CredentialSource } from '../http/credential-keeper.ts';
import type { S3Credentials } from '../spec.ts';

export type S3CredentialKeeper = CredentialKeeper<S3Credentials>;
export type S3CredentialSource = CredentialSource<S3Credentials>;

export function s3Keeper(options: {
  readonly backend: string;
  readonly credentials: S3Credentials;
  readonly renew?: S3CredentialSource;
}): S3CredentialKeeper {
  return new CredentialKeeper({
    ...options,
    isOther: (one, other) => one.accessKeyId !== other.accessKeyId || one.sessionToken !== other.sessionToken,
    origin: 'environment, profile, container or instance role',
  });
}
