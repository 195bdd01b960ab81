/** Where S3 credentials come from: the storage settings, else the AWS SDK's chain (environment, profile, instance role). */
import { ConfigError } from '../../core/errors.ts';
import { saidSafely } from '../http/said.ts';
import type { S3Credentials, S3Spec } from '../spec.ts';
import { storageName } from '../spec-name.ts';
import type { S3CredentialSource } from './s3-keeper.ts';

/** A command that asks somebody for a code takes its time; one that hangs would keep the run waiting for ever. */
const LOOK_UP_MS_MAX = 60_000;

/** Settings whose credentials are given are static; those that were found are looked for again when they expire. */
export async function credentialsFor(
  spec: S3Spec,
): Promise<{ readonly credentials: S3Credentials; readonly renew?: S3CredentialSource }> {
  const { credentials } = spec;
  if (credentials) checkCharacters(spec, credentials);
  if (credentials && !credentials.isFound) return { credentials };
  return { credentials: credentials ?? (await findCredentials(spec)), renew: () => lookUp(spec) };
}

/**
 * The same settings with credentials in them, so that threads need not each search (and import) for themselves.
 * @param msMax how long may be looked for them.
 * @throws ConfigError where none are found.
 */
export async function withCredentials(spec: S3Spec, msMax = LOOK_UP_MS_MAX): Promise<S3Spec> {
  return spec.credentials ? spec : { ...spec, credentials: await findCredentials(spec, msMax) };
}

/** They become lines of requests, in which a line end would be the end of them. */
function checkCharacters(spec: S3Spec, { accessKeyId, secretAccessKey, sessionToken }: S3Credentials): void {
  const given = { 'access key': accessKeyId, 'secret key': secretAccessKey, 'session token': sessionToken };
  const odd = Object.entries(given).find(([, text]) => text !== undefined && !/^[!-~]+$/.test(text));
  if (!odd) return;
  throw new ConfigError(
    `The ${odd[0]} for ${storageName(spec)} is empty, or has a character that no key has`,
    {
      hint: 'Look for a line end, a space or a quote that was copied along with it',
    },
  );
}

async function findCredentials(spec: S3Spec, msMax = LOOK_UP_MS_MAX): Promise<S3Credentials> {
  try {
    const found = await lookUp(spec, msMax);
    checkCharacters(spec, found);
    return found;
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(`Found no credentials for ${storageName(spec)}: ${(error as Error).message}`, {
      cause: error,
      hint: 'Set accesskey and secretkey in the storage file, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile',
    });
  }
}

/** Rejects with an Error whose message is one line that completes a sentence. */
async function lookUp(spec: S3Spec, msMax = LOOK_UP_MS_MAX): Promise<S3Credentials> {
  // The chain is 0.1 s and 20 MB of imports, which a run with keys in its settings does not need.
  const { defaultProvider } = await import('@aws-sdk/credential-provider-node');
  const { network, profile } = spec;
  const handler = network && (await import('./s3-sdk-handler.ts')).sdkHandlerOptions(spec, true);
  const reasons: string[] = [];
  const find = defaultProvider({
    // Files may have been written since; what the process read at its start is no news.
    ignoreCache: true,
    logger: reasonLogger(reasons),
    ...(profile === undefined ? {} : { profile }),
    // The services that give out credentials are behind the same proxy as the storage.
    ...(handler ? { clientConfig: { requestHandler: handler } } : {}),
  });
  try {
    const found = await within(find(), msMax);
    return {
      accessKeyId: found.accessKeyId,
      secretAccessKey: found.secretAccessKey,
      isFound: true,
      ...(found.sessionToken === undefined ? {} : { sessionToken: found.sessionToken }),
      ...(found.expiration === undefined ? {} : { expiresAtMs: found.expiration.getTime() }),
    };
  } catch (error) {
    const last = error instanceof Error ? error.message : String(error);
    if (error instanceof LookUpTooLong) throw error;
    throw new Error(sentenceOf(reasons.find(isTelling) ?? last), { cause: error });
  }
}

/** The SDK gives no way to end what it waits for; that ends with this process or its terminal. */
async function within<T>(found: Promise<T>, msMax: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const sentence = `there was no answer within ${msMax / 1000} s, perhaps of a credential_process that hangs`;
    timer = setTimeout(() => reject(new LookUpTooLong(sentence)), msMax);
  });
  try {
    return await Promise.race([found, late]);
  } finally {
    clearTimeout(timer);
  }
}

class LookUpTooLong extends Error {}

/** The chain goes on from one place to the next and in the end says only that none had any; each says why to its log. */
function reasonLogger(reasons: string[]) {
  const hear = (said: unknown): void => {
    const [, reason] = /^@smithy\/property-provider (?:->|\(!\)) ([\s\S]+)$/.exec(String(said)) ?? [];
    if (reason !== undefined) reasons.push(reason);
  };
  const ignore = (): void => undefined;
  return { trace: ignore, debug: hear, info: ignore, warn: ignore, error: ignore };
}

/** Of a place where nothing is to be found, as opposed to one that was meant and does not work. */
const NOTHING_THERE =
  /^(AWS_PROFILE is set|Skipping SSO|Unable to find environment|Web identity configuration not|EC2 Instance Metadata Service access disabled|AWS_EC2_METADATA_V1_DISABLED not set|Unable to connect to instance metadata|TimeoutError from instance metadata|Could not load credentials from any|Could not resolve credentials using profile: \[default\]|Profile \S+ (could not be found|did not contain))/;

function isTelling(reason: string): boolean {
  return !NOTHING_THERE.test(reason);
}

/** A failed command is told with its whole command line, which may hold secrets; its own last words are for people. */
function sentenceOf(reason: string): string {
  const lines = reason.split('\n').map((line) => line.trim());
  if (!lines[0]?.startsWith('Command failed')) {
    return saidSafely(lines[0] ?? '') || 'the AWS SDK gives no reason';
  }
  const last = lines.slice(1).findLast((line) => line !== '');
  const detail = last === undefined ? '' : `: ${saidSafely(last)}`;
  return `the credential_process of the profile failed${detail}`;
}
