/**
 * `gs://bucket/root?endpoint=https://host&keyfile=/path/key.json&keyrule=plain&skipverify=true`. Without a key file tokens come from
 * where Google's tools look.
 */
import { ConfigError } from '../../core/errors.ts';
import type { Environment } from './environment.ts';
import { readGcsBucket, readKeyfile } from './gcs-parameters.ts';
import { withHttps } from './gcs-section.ts';
import { plainIf, readKeyRule } from './key-rule-parameter.ts';
import { Refused, readBoolean, readText } from './parameter.ts';
import { readEndpoint } from './s3-values.ts';
import { suggestion } from './suggest.ts';
import type { StorageReading } from './yaml-storage.ts';

const QUERY_NAMES = ['endpoint', 'keyfile', 'keyrule', 'skipverify'] as const;
type QueryName = (typeof QUERY_NAMES)[number];

const KEYS_HINT =
  'name a key file (?keyfile=/PATH), set GOOGLE_APPLICATION_CREDENTIALS, or give a YAML file with keyfile, credentials, or accesskey and secretkey';

/** @throws ConfigError */
export function readGcsUrl(url: string, env: Environment): StorageReading {
  const [, authority = '', path = '', query = ''] =
    /^gs:\/\/([^/?#]*)(\/[^?#]*)?(?:\?([^#]*))?$/i.exec(url) ?? [];
  if (/[@:]/.test(authority)) {
    throw new ConfigError('A gs URL begins with the bucket alone, without credentials, host or port', {
      hint: `${KEYS_HINT}; host and port belong into ?endpoint=https://HOST:PORT`,
    });
  }
  if (authority === '') {
    throw new ConfigError('A gs URL names a bucket and has no fragment ("#")', {
      hint: 'write gs://BUCKET/ROOT, with %23 for "#" in the root',
    });
  }
  const given = readQuery(query);
  const bucket = valueIn('The bucket', readGcsBucket(decode(authority)));
  const rootDirectory = valueIn('The root', readText(decode(path.slice(1)))) ?? '';
  const endpoint = valueIn('"endpoint"', readEndpoint(given.get('endpoint') ?? ''));
  const keyfile = valueIn('"keyfile"', readKeyfile(given.get('keyfile') ?? ''));
  const skipverify = given.get('skipverify');
  return {
    spec: {
      kind: 'gcs',
      bucket,
      rootDirectory,
      ...plainIf(valueIn('"keyrule"', readKeyRule('gcs', given.get('keyrule')))),
      ...(endpoint === undefined ? {} : { endpoint: withHttps(endpoint) }),
      access: keyfile === undefined ? { kind: 'default' } : { kind: 'keyfile', path: keyfile },
      skipsTlsVerify: skipverify === undefined ? false : valueIn('"skipverify"', readBoolean(skipverify)),
    },
    notes: keyfile === undefined ? [`tokens for gs://${bucket} come from ${placeOf(env)}`] : [],
  };
}

function placeOf(env: Environment): string {
  if (env['GOOGLE_APPLICATION_CREDENTIALS']) return 'the file in GOOGLE_APPLICATION_CREDENTIALS';
  return "gcloud's application default credentials, or the service account of this machine";
}

function readQuery(query: string): ReadonlyMap<QueryName, string> {
  const given = new Map<QueryName, string>();
  for (const pair of query.split('&').filter((part) => part !== '')) {
    const [rawName = '', ...rest] = pair.split('=');
    const name = QUERY_NAMES.find((known) => known === rawName.toLowerCase());
    if (!name) throw unknownQuery(rawName);
    if (given.has(name)) throw new ConfigError(`The gs URL gives "${name}" twice`);
    given.set(name, decode(rest.join('=')));
  }
  return given;
}

function unknownQuery(name: string): ConfigError {
  const shown = /^[\w.-]{1,40}$/.test(name) ? `"${name}"` : 'with an odd name';
  if (/key|secret|token|passw|credential/i.test(name)) {
    return new ConfigError(`The gs URL holds credentials (${shown})`, { hint: KEYS_HINT });
  }
  return new ConfigError(`The gs URL has an unknown parameter ${shown}${suggestion(name, QUERY_NAMES)}`, {
    hint: `known are ${QUERY_NAMES.join(', ')}; everything else can be said in a YAML file`,
  });
}

function valueIn<T>(what: string, value: T | Refused): T {
  if (value instanceof Refused) throw new ConfigError(`${what} of the gs URL ${value.why}`);
  return value;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new ConfigError('The gs URL holds a "%" that begins no percent-encoded character', {
      hint: 'write %25 for "%" itself',
    });
  }
}
