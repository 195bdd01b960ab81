/**
 * `swift://container/prefix?keyrule=plain`, with everything else from the environment as OpenStack's own clients read it: `OS_AUTH_URL`
 * and its companions for Keystone, `ST_AUTH`, `ST_USER` and `ST_KEY` for tempauth.
 */
import { ConfigError } from '../../core/errors.ts';
import type { SwiftAccess } from '../../drivers/spec.ts';
import type { Environment } from './environment.ts';
import { plainIf, readKeyRule } from './key-rule-parameter.ts';
import { Refused, readText } from './parameter.ts';
import { readAuthUrl, readContainer } from './swift-parameters.ts';
import { authVersionOf } from './swift-section.ts';
import type { StorageReading } from './yaml-storage.ts';

const WHERE =
  'set OS_AUTH_URL, OS_USERNAME, OS_PASSWORD and OS_PROJECT_NAME (for tempauth ST_AUTH, ST_USER and ST_KEY), or give a YAML file';

/** @throws ConfigError */
export function readSwiftUrl(url: string, env: Environment): StorageReading {
  const [, authority = '', path = '', query = ''] =
    /^swift:\/\/([^/?#]*)(\/[^?#]*)?(\?[^#]*)?$/i.exec(url) ?? [];
  const [, ruleText, other] = /^\??(?:keyrule=([^&=]*))?(.*)$/is.exec(query) ?? [];
  if (/[@:]/.test(authority) || other) {
    throw new ConfigError('A Swift URL names a container, a prefix and a keyrule, and nothing else', {
      hint: WHERE,
    });
  }
  const rule = valueIn('"keyrule"', readKeyRule('swift', ruleText && decode(ruleText)));
  const container = valueIn('The container', readContainer(decode(authority)));
  if (container === undefined) {
    throw new ConfigError('A Swift URL names a container and has no fragment ("#")', {
      hint: 'write swift://CONTAINER/PREFIX, with %23 for "#" in the prefix',
    });
  }
  const prefix = valueIn('The prefix', readText(decode(path.slice(1)))) ?? '';
  const { access, from } = accessIn(env);
  return {
    spec: { kind: 'swift', container, prefix, ...plainIf(rule), access, skipsTlsVerify: false },
    notes: [`the user of swift://${container} is taken from ${from}`],
  };
}

/** Keystone's variables win, as with OpenStack's clients. */
function accessIn(env: Environment): { readonly access: SwiftAccess; readonly from: string } {
  const isKeystone = Boolean(env['OS_AUTH_URL']);
  const credential = isKeystone ? applicationCredentialIn(env) : undefined;
  const [urlName, userName, keyName] = variablesOf(isKeystone, credential);
  const needsUser = !(credential && 'id' in credential);
  const missing = [urlName, ...(needsUser ? [userName] : []), keyName].filter((name) => !env[name]);
  if (missing.length > 0) {
    throw new ConfigError(`A Swift URL needs ${missing.join(' and ')} in the environment`, { hint: WHERE });
  }
  const authUrl = readAuthUrl(env[urlName] ?? '');
  if (authUrl instanceof Refused || authUrl === undefined) {
    throw new ConfigError(`${urlName} ${authUrl instanceof Refused ? authUrl.why : 'is empty'}`);
  }
  const told = authVersionOf(authUrl);
  const authVersion = told ?? (isKeystone ? 3 : 1);
  return {
    from: `${urlName} and its companions`,
    access: {
      // OpenStack's clients find the version below an address that ends before it.
      authUrl: isKeystone && told === undefined ? `${authUrl}/v3` : authUrl,
      authVersion,
      user: needsUser ? (env[userName] ?? '') : '',
      password: env[keyName] ?? '',
      endpointType: isKeystone ? endpointTypeIn(env) : 'public',
      ...(credential ? { applicationCredential: credential } : {}),
      ...(isKeystone ? keystoneIn(env, credential !== undefined) : {}),
    },
  };
}

function variablesOf(
  isKeystone: boolean,
  credential: SwiftAccess['applicationCredential'],
): readonly [url: string, user: string, key: string] {
  if (!isKeystone) return ['ST_AUTH', 'ST_USER', 'ST_KEY'];
  return ['OS_AUTH_URL', 'OS_USERNAME', credential ? 'OS_APPLICATION_CREDENTIAL_SECRET' : 'OS_PASSWORD'];
}

function applicationCredentialIn(env: Environment): SwiftAccess['applicationCredential'] {
  const { OS_APPLICATION_CREDENTIAL_ID: id, OS_APPLICATION_CREDENTIAL_NAME: name } = env;
  if (id) return { id };
  return name ? { name } : undefined;
}

function endpointTypeIn(env: Environment): SwiftAccess['endpointType'] {
  const name = env['OS_INTERFACE'] ? 'OS_INTERFACE' : 'OS_ENDPOINT_TYPE';
  const type = (env[name] || 'public').toLowerCase().replace(/url$/, '');
  if (type === 'public' || type === 'internal' || type === 'admin') return type;
  throw new ConfigError(`${name} must be public, internal or admin`);
}

/** An application credential belongs to a project, and Keystone refuses to be told of one beside it. */
function keystoneIn(env: Environment, hasCredential: boolean): Partial<SwiftAccess> {
  const scope: readonly (readonly [keyof SwiftAccess, readonly string[]])[] = [
    ['tenant', ['OS_PROJECT_NAME', 'OS_TENANT_NAME']],
    ['tenantId', ['OS_PROJECT_ID', 'OS_TENANT_ID']],
    ['tenantDomain', ['OS_PROJECT_DOMAIN_NAME']],
    ['tenantDomainId', ['OS_PROJECT_DOMAIN_ID']],
    ['trustId', ['OS_TRUST_ID']],
  ];
  const names: typeof scope = [
    ...(hasCredential ? [] : scope),
    ['domain', ['OS_USER_DOMAIN_NAME']],
    ['domainId', ['OS_USER_DOMAIN_ID']],
    ['region', ['OS_REGION_NAME']],
  ];
  const given = names.flatMap(([field, variables]) => {
    const value = variables.map((name) => env[name]).find(Boolean);
    return value === undefined ? [] : [[field, value] as const];
  });
  return Object.fromEntries(given);
}

function valueIn<T>(what: string, value: T | Refused): T {
  if (value instanceof Refused) throw new ConfigError(`${what} of the Swift URL ${value.why}`);
  return value;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new ConfigError('The Swift URL holds a "%" that begins no percent-encoded character', {
      hint: 'write %25 for "%" itself',
    });
  }
}
