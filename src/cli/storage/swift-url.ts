/**
 * `swift://container/prefix`, with everything else from the environment as OpenStack's own clients read it: `OS_AUTH_URL`
 * and its companions for Keystone, `ST_AUTH`, `ST_USER` and `ST_KEY` for tempauth.
 */
import { ConfigError } from '../../core/errors.ts';
import type { SwiftAccess } from '../../drivers/spec.ts';
import type { Environment } from './environment.ts';
import { Refused, readText } from './parameter.ts';
import { readAuthUrl, readContainer } from './swift-parameters.ts';
import { authVersionOf } from './swift-section.ts';
import type { StorageReading } from './yaml-storage.ts';

const WHERE =
  'set OS_AUTH_URL, OS_USERNAME, OS_PASSWORD and OS_PROJECT_NAME (for tempauth ST_AUTH, ST_USER and ST_KEY), or give a YAML file';

/** @throws ConfigError */
export function readSwiftUrl(url: string, env: Environment): StorageReading {
  const [, authority = '', path = '', query] = /^swift:\/\/([^/?#]*)(\/[^?#]*)?(\?[^#]*)?$/i.exec(url) ?? [];
  if (/[@:]/.test(authority) || query) {
    throw new ConfigError('A Swift URL names a container and a prefix, and nothing else', { hint: WHERE });
  }
  const container = valueIn('The container', readContainer(decode(authority)));
  if (container === undefined) {
    throw new ConfigError('A Swift URL names a container and has no fragment ("#")', {
      hint: 'write swift://CONTAINER/PREFIX, with %23 for "#" in the prefix',
    });
  }
  const prefix = valueIn('The prefix', readText(decode(path.slice(1)))) ?? '';
  const { access, from } = accessIn(env);
  return {
    spec: { kind: 'swift', container, prefix, access, skipsTlsVerify: false },
    notes: [`the user of swift://${container} is taken from ${from}`],
  };
}

/** Keystone's variables win, as with OpenStack's clients. */
function accessIn(env: Environment): { readonly access: SwiftAccess; readonly from: string } {
  const isKeystone = Boolean(env['OS_AUTH_URL']);
  const [urlName, userName, keyName] = isKeystone
    ? (['OS_AUTH_URL', 'OS_USERNAME', 'OS_PASSWORD'] as const)
    : (['ST_AUTH', 'ST_USER', 'ST_KEY'] as const);
  const missing = [urlName, userName, keyName].filter((name) => !env[name]);
  if (missing.length > 0) {
    throw new ConfigError(`A Swift URL needs ${missing.join(' and ')} in the environment`, { hint: WHERE });
  }
  const authUrl = readAuthUrl(env[urlName] ?? '');
  if (authUrl instanceof Refused || authUrl === undefined) {
    throw new ConfigError(`${urlName} ${authUrl instanceof Refused ? authUrl.why : 'is empty'}`);
  }
  const authVersion = authVersionOf(authUrl) ?? (isKeystone ? 3 : 1);
  return {
    from: `${urlName} and its companions`,
    access: {
      authUrl,
      authVersion,
      user: env[userName] ?? '',
      password: env[keyName] ?? '',
      endpointType: 'public',
      ...(isKeystone ? keystoneIn(env) : {}),
    },
  };
}

function keystoneIn(env: Environment): Partial<SwiftAccess> {
  const names: readonly (readonly [keyof SwiftAccess, readonly string[]])[] = [
    ['tenant', ['OS_PROJECT_NAME', 'OS_TENANT_NAME']],
    ['tenantId', ['OS_PROJECT_ID', 'OS_TENANT_ID']],
    ['domain', ['OS_USER_DOMAIN_NAME']],
    ['domainId', ['OS_USER_DOMAIN_ID']],
    ['tenantDomain', ['OS_PROJECT_DOMAIN_NAME']],
    ['tenantDomainId', ['OS_PROJECT_DOMAIN_ID']],
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
