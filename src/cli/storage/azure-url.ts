/**
 * `azure://account/container/root?endpoint=http://host:port/account&keyrule=distribution-2&skipverify=true`, with the
 * key or SAS from where Azure's own tools read it: AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN; with neither, where Azure's
 * own library looks.
 */
import { ConfigError } from '../../core/errors.ts';
import type { AzureAccess } from '../../drivers/spec.ts';
import { endpointOf, slashRootNote } from './azure-section.ts';
import {
  readAccountKey,
  readAccountName,
  readBlobContainer,
  readSasToken,
  readServiceUrl,
} from './azure-values.ts';
import type { Environment } from './environment.ts';
import { plainIf, readKeyRule, slashRootOf } from './key-rule-parameter.ts';
import { Refused, readBoolean, readText } from './parameter.ts';
import { suggestion } from './suggest.ts';
import type { StorageReading } from './yaml-storage.ts';

const WHERE =
  'put the key into AZURE_STORAGE_KEY or the signature into AZURE_STORAGE_SAS_TOKEN, or give a YAML file';
const NAMES = ['endpoint', 'keyrule', 'trimlegacyrootprefix', 'skipverify'] as const;
type QueryName = (typeof NAMES)[number];

/** @throws ConfigError */
export function readAzureUrl(url: string, env: Environment): StorageReading {
  const [, account = '', container = '', path = '', query] =
    /^azure:\/\/([^/?#]*)\/([^/?#]+)(\/[^?#]*)?(?:\?([^#]*))?$/i.exec(url) ?? [];
  if (/[@:]/.test(account)) {
    throw new ConfigError('An Azure URL begins with the name of the account alone', { hint: WHERE });
  }
  const accountName = valueIn('The account', readAccountName(account));
  if (accountName === undefined) {
    throw new ConfigError('An Azure URL names an account and a container and has no fragment ("#")', {
      hint: 'write azure://ACCOUNT/CONTAINER/ROOT, with %23 for "#" in the root',
    });
  }
  const name = valueIn('The container', readBlobContainer(decode(container)));
  if (name === undefined) throw new ConfigError('The Azure URL names no container');
  const given = readQuery(query);
  const { access, from } = accessIn(env);
  const rule = valueIn('"keyrule"', readKeyRule('azure', given.get('keyrule')));
  const said = slashRootOf(rule, flagIn(given, 'trimlegacyrootprefix'));
  if (said instanceof Refused) {
    throw new ConfigError(`${said.why} (Azure URL)`, { hint: 'remove one of the two' });
  }
  const hasSlashRoot = said ?? false;
  const endpoint = valueIn('"endpoint"', readServiceUrl(given.get('endpoint') ?? ''));
  return {
    spec: {
      kind: 'azure',
      accountName,
      container: name,
      endpoint: endpoint ?? endpointOf(accountName),
      rootDirectory: valueIn('The root', readText(decode(path.slice(1)))) ?? '',
      hasSlashRoot,
      ...plainIf(rule),
      access,
      skipsTlsVerify: flagIn(given, 'skipverify') ?? false,
    },
    notes: [
      `who asks azure://${accountName}/${name} is taken from ${from}`,
      ...(said === undefined ? [slashRootNote(hasSlashRoot)] : []),
    ],
  };
}

function accessIn(env: Environment): { readonly access: AzureAccess; readonly from: string } {
  const accountKey = valueIn('AZURE_STORAGE_KEY', readAccountKey(env['AZURE_STORAGE_KEY'] ?? ''), '');
  if (accountKey !== undefined)
    return { access: { type: 'shared-key', accountKey }, from: 'AZURE_STORAGE_KEY' };
  const token = valueIn('AZURE_STORAGE_SAS_TOKEN', readSasToken(env['AZURE_STORAGE_SAS_TOKEN'] ?? ''), '');
  if (token !== undefined) return { access: { type: 'sas', token }, from: 'AZURE_STORAGE_SAS_TOKEN' };
  return { access: { type: 'default' }, from: 'where the Azure SDK looks' };
}

function readQuery(query: string | undefined): ReadonlyMap<QueryName, string> {
  const given = new Map<QueryName, string>();
  for (const pair of (query ?? '').split('&').filter((part) => part !== '')) {
    const [rawName = '', ...rest] = pair.split('=');
    const name = NAMES.find((known) => known === rawName.toLowerCase());
    if (!name) throw unknownQuery(rawName);
    if (given.has(name)) throw new ConfigError(`The Azure URL gives "${name}" twice`);
    given.set(name, decode(rest.join('=')));
  }
  return given;
}

/** What a SAS is made of stands in URLs of the portal. */
function unknownQuery(name: string): ConfigError {
  if (/^(?:s[a-z]{1,4}|.*(?:key|secret|token|passw|credential).*)$/i.test(name)) {
    return new ConfigError('The Azure URL holds credentials', { hint: WHERE });
  }
  const shown = /^[\w.-]{1,40}$/.test(name) ? `"${name}"` : 'with an odd name';
  return new ConfigError(`The Azure URL has an unknown parameter ${shown}${suggestion(name, NAMES)}`, {
    hint: `known are ${NAMES.join(', ')}; everything else can be said in a YAML file`,
  });
}

function flagIn(given: ReadonlyMap<QueryName, string>, name: QueryName): boolean | undefined {
  const text = given.get(name);
  return text === undefined ? undefined : valueIn(`"${name}"`, readBoolean(text));
}

function valueIn<T>(what: string, value: T | Refused, of = ' of the Azure URL'): T {
  if (value instanceof Refused) throw new ConfigError(`${what}${of} ${value.why}`);
  return value;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new ConfigError('The Azure URL holds a "%" that begins no percent-encoded character', {
      hint: 'write %25 for "%" itself',
    });
  }
}
