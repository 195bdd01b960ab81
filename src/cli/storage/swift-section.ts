/** From the parameters of the registry's `swift` driver to what our driver is built with. */
import type { SwiftAccess, SwiftSpec } from '../../drivers/spec.ts';
import { plainIf } from './key-rule-parameter.ts';
import { type ReadSection, readSection, type Section } from './section.ts';
import { type SwiftParameters, swiftParameters } from './swift-parameters.ts';

const REQUIRED = ['username', 'password', 'authurl', 'container'] as const;

/** Problems and notes go to the section's remarks; undefined when there were problems that leave no storage. */
export function readSwiftSection(section: Section): SwiftSpec | undefined {
  const read = readSection(section, swiftParameters);
  if (!read) return undefined;
  const { values } = read;
  for (const name of REQUIRED) {
    if (values[name] === undefined)
      section.remarks.problem(section.line, `${section.backend} lacks "${name}"`);
  }
  const authVersion = readAuthVersion(section, read);
  const { username, password, authurl, container } = values;
  if (
    username === undefined ||
    password === undefined ||
    authurl === undefined ||
    container === undefined ||
    authVersion === undefined
  )
    return undefined;
  return {
    kind: 'swift',
    container,
    prefix: values.prefix ?? '',
    ...plainIf(values.keyrule),
    access: {
      authUrl: authurl,
      authVersion,
      user: username,
      password,
      endpointType: (values.endpointtype ?? 'public') as SwiftAccess['endpointType'],
      ...optional('tenant', values.tenant),
      ...optional('tenantId', values.tenantid),
      ...optional('domain', values.domain),
      ...optional('domainId', values.domainid),
      ...optional('tenantDomain', values.tenantdomain),
      ...optional('tenantDomainId', values.tenantdomainid),
      ...optional('trustId', values.trustid),
      ...optional('region', values.region),
    },
    skipsTlsVerify: values.insecureskipverify ?? false,
  };
}

/** As the registry's driver finds it out; 0 stands for finding out. */
export function authVersionOf(authUrl: string): SwiftAccess['authVersion'] | undefined {
  const [, version] = /\/v([123])(?:\.0)?(?:\/|$)/.exec(new URL(authUrl).pathname) ?? [];
  return version === undefined ? undefined : (Number(version) as SwiftAccess['authVersion']);
}

function readAuthVersion(
  section: Section,
  { values, lineOf }: ReadSection<SwiftParameters>,
): SwiftAccess['authVersion'] | undefined {
  const { authversion, authurl } = values;
  if (authversion) return authversion as SwiftAccess['authVersion'];
  const found = authurl === undefined ? undefined : authVersionOf(authurl);
  if (found === undefined && authurl !== undefined) {
    section.remarks.problem(
      lineOf('authurl'),
      `"authurl" of ${section.backend} does not tell the version of the identity service`,
      'give authversion: 1 for tempauth, 2 or 3 for Keystone',
    );
  }
  return found;
}

function optional<N extends string>(name: N, value: string | undefined): { [K in N]?: string } {
  return (value === undefined ? {} : { [name]: value }) as { [K in N]?: string };
}
