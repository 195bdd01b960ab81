import type { S3Credentials } from '../spec.ts';

/** The secret half of credentials; the other one is a name. */
export function secretsOf({ secretAccessKey, sessionToken }: S3Credentials): readonly string[] {
  return sessionToken === undefined ? [secretAccessKey] : [secretAccessKey, sessionToken];
}
