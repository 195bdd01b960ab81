/**
 * Storage as a URL:
 *
 *     file:///srv/registry
 *     s3://bucket/root?endpoint=https://host:9000&region=eu-1&pathstyle=true&skipverify=true&profile=backup&keyrule=plain
 *
 * Bucket, root and query values are percent-decoded; `+` is a plus. No part of a URL appears in a message before it is
 * known to hold no credentials.
 */
import { ConfigError } from '../../core/errors.ts';
import type { FileSystemSpec, S3Spec } from '../../drivers/spec.ts';
import { readAzureUrl } from './azure-url.ts';
import type { Environment } from './environment.ts';
import { readRoot } from './filesystem-section.ts';
import { readGcsUrl } from './gcs-url.ts';
import { plainIf, readKeyRule } from './key-rule-parameter.ts';
import { Refused, readBoolean, readText } from './parameter.ts';
import {
  awsEndpoint,
  isAwsRegion,
  REGION_OF_OTHERS,
  readBucket,
  readEndpoint,
  readRegion,
  regionFromEnvironment,
  usesPathStyle,
  withScheme,
} from './s3-values.ts';
import { suggestion } from './suggest.ts';
import { readSwiftUrl } from './swift-url.ts';
import type { StorageReading } from './yaml-storage.ts';

/** A slash too few is still a URL, and may hold credentials that no message about a missing file is to repeat. */
const SCHEME = /^(?:([a-z][a-z0-9+.-]*):\/\/|(file|s3|gs|azure|swift|https?):)/i;

/** `file`, `s3`, … in lower case; undefined for what is no URL. */
export function schemeOf(argument: string): string | undefined {
  const [, withSlashes, without] = SCHEME.exec(argument) ?? [];
  return (withSlashes ?? without)?.toLowerCase();
}

/** @throws ConfigError */
export function readUrlStorage(url: string, env: Environment): StorageReading {
  const scheme = schemeOf(url);
  switch (scheme) {
    case 'file':
      return { spec: readFileUrl(url), notes: [] };
    case 's3':
      return readS3Url(url, env);
    case 'swift':
      return readSwiftUrl(url, env);
    case 'azure':
      return readAzureUrl(url, env);
    case 'gs':
      return readGcsUrl(url, env);
    case 'http':
    case 'https':
      throw new ConfigError(`A storage is not given as ${scheme}://`, {
        hint: `write s3://BUCKET/ROOT?endpoint=${scheme}://HOST:PORT, azure://ACCOUNT/CONTAINER/ROOT, gs://BUCKET/ROOT or swift://CONTAINER/PREFIX`,
      });
    default:
      throw new ConfigError(`Storage at ${scheme}:// is not known`, {
        hint: 'known are file://, s3://, azure://, gs:// and swift://',
      });
  }
}

function readFileUrl(url: string): FileSystemSpec {
  const [, path] = /^file:\/\/(?:localhost)?(\/[^?#]*)$/i.exec(url) ?? [];
  if (path === undefined) {
    throw new ConfigError('A file URL holds an absolute path and nothing else', {
      hint: 'write three slashes, as in file:///srv/registry, and %3F for "?", %23 for "#", %25 for "%"',
    });
  }
  const root = readRoot(decode(path, 'The path of the file URL'));
  if (root instanceof Refused) throw new ConfigError(`The path of the file URL ${root.why}`);
  return { kind: 'fs', rootDirectory: root };
}

const QUERY_NAMES = ['endpoint', 'region', 'pathstyle', 'skipverify', 'profile', 'keyrule'] as const;
type QueryName = (typeof QUERY_NAMES)[number];

function readS3Url(url: string, env: Environment): StorageReading {
  const [, authority = '', path = '', query] = /^s3:\/\/([^/?#]*)(\/[^?#]*)?(?:\?([^#]*))?$/i.exec(url) ?? [];
  // Keys may hold a "/", so that only their first half may stand here; a host with its port looks the same.
  if (/[@:]/.test(authority)) {
    throw new ConfigError('An S3 URL begins with the bucket alone, without credentials, host or port', {
      hint: `${KEYS_HINT}; host and port belong into ?endpoint=https://HOST:PORT`,
    });
  }
  if (authority === '') {
    throw new ConfigError('An S3 URL names a bucket and has no fragment ("#")', {
      hint: 'write s3://BUCKET/ROOT, with %23 for "#" in the root',
    });
  }
  const given = readQuery(query);
  const bucket = valueIn('The bucket', readBucket(decode(authority, 'The bucket of the S3 URL')));
  const rootDirectory = valueIn('The root', readText(decode(path.slice(1), 'The root of the S3 URL'))) ?? '';
  const endpointText = valueIn('"endpoint"', readEndpoint(given.get('endpoint') ?? ''));
  const customEndpoint = endpointText === undefined ? undefined : withScheme(endpointText, true);
  const { region, notes } = readUrlRegion(given, env, customEndpoint);
  const endpoint = customEndpoint ?? awsEndpoint({ region, ...PLAIN_AWS });
  const profile = valueIn('"profile"', readText(given.get('profile') ?? ''));
  const spec: S3Spec = {
    kind: 's3',
    bucket,
    rootDirectory,
    ...plainIf(valueIn('"keyrule"', readKeyRule('s3', given.get('keyrule')))),
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    isPathStyle: usesPathStyle(bucket, {
      asked: readFlag(given, 'pathstyle'),
      hasOwnEndpoint: customEndpoint !== undefined,
      endpoint: customEndpoint,
      isTls: !customEndpoint?.startsWith('http:'),
    }),
    skipsTlsVerify: readFlag(given, 'skipverify') ?? false,
    ...(profile === undefined ? {} : { profile }),
    encrypt: false,
  };
  return { spec, notes };
}

const PLAIN_AWS = { isSecure: true, isDualStack: false, isFips: false, isAccelerated: false };

const KEYS_HINT =
  'put keys into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, into a profile (?profile=NAME), or into a YAML file as accesskey and secretkey';

function readQuery(query: string | undefined): ReadonlyMap<QueryName, string> {
  const given = new Map<QueryName, string>();
  for (const pair of (query ?? '').split('&').filter((part) => part !== '')) {
    const [rawName = '', ...rest] = pair.split('=');
    const name = QUERY_NAMES.find((known) => known === rawName.toLowerCase());
    if (!name) throw unknownQuery(rawName);
    if (given.has(name)) throw new ConfigError(`The S3 URL gives "${name}" twice`);
    given.set(name, decode(rest.join('='), `"${name}" of the S3 URL`));
  }
  return given;
}

function unknownQuery(name: string): ConfigError {
  const shown = /^[\w.-]{1,40}$/.test(name) ? `"${name}"` : 'with an odd name';
  if (/key|secret|token|passw|credential/i.test(name)) {
    return new ConfigError(`The S3 URL holds credentials (${shown})`, { hint: KEYS_HINT });
  }
  return new ConfigError(`The S3 URL has an unknown parameter ${shown}${suggestion(name, QUERY_NAMES)}`, {
    hint: `known are ${QUERY_NAMES.join(', ')}; everything else can be said in a YAML file`,
  });
}

function readUrlRegion(
  given: ReadonlyMap<QueryName, string>,
  env: Environment,
  endpoint: string | undefined,
): { readonly region: string; readonly notes: readonly string[] } {
  const region = valueIn('"region"', readRegion(given.get('region') ?? ''));
  if (region !== undefined) {
    if (endpoint !== undefined || isAwsRegion(region)) return { region, notes: [] };
    throw new ConfigError(
      '"region" of the S3 URL is no region of AWS, and no "endpoint" names another service',
    );
  }
  const found = regionFromEnvironment(env, endpoint !== undefined);
  if (found instanceof Refused) throw new ConfigError(`The S3 URL lacks a region, and ${found.why}`);
  if (found) return { region: found.region, notes: [found.note] };
  if (endpoint !== undefined) return { region: REGION_OF_OTHERS, notes: [] };
  throw new ConfigError('The S3 URL lacks a region', { hint: 'add ?region=NAME, or set AWS_REGION' });
}

function readFlag(given: ReadonlyMap<QueryName, string>, name: QueryName): boolean | undefined {
  const text = given.get(name);
  return text === undefined ? undefined : valueIn(`"${name}"`, readBoolean(text));
}

function valueIn<T>(what: string, value: T | Refused): T {
  if (value instanceof Refused) throw new ConfigError(`${what} of the S3 URL ${value.why}`);
  return value;
}

function decode(text: string, what: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new ConfigError(`${what} holds a "%" that begins no percent-encoded character`, {
      hint: 'write %25 for "%" itself',
    });
  }
}
