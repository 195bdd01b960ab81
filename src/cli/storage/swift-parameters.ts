/** The parameters of the registry's `swift` driver, from distribution 2.8; version 3 has none any more. */
import { z } from 'zod';
import { keyRuleParameter } from './key-rule-parameter.ts';
import {
  booleanParameter,
  bytesParameter,
  choiceParameter,
  integerParameter,
  parameter,
  Refused,
  readText,
  textParameter,
} from './parameter.ts';

const OWN_PARTS = "concerns the registry's own transfers; blobferry chooses part sizes itself";
const OWN_LINKS = 'concerns links that the registry gives to its clients';
const CHUNK_BYTES = { min: 1024 ** 2, max: 5 * 1024 ** 3 };

export const swiftParameters = z.object({
  username: textParameter({ default: 'required', description: 'User; for tempauth `account:user`' }),
  password: textParameter({
    default: 'required',
    isSecret: true,
    description: 'Password or key of the user',
  }),
  authurl: parameter(
    {
      type: 'text',
      default: 'required',
      description:
        'Where tokens are given out: `https://host:5000/v3`, or `https://host/auth/v1.0` for tempauth',
    },
    readAuthUrl,
  ),
  container: parameter(
    { type: 'text', default: 'required', description: 'Container of the registry; it must exist' },
    readContainer,
  ),
  prefix: textParameter({
    default: 'none',
    description: "Begins every name, before the registry's own `files/`",
  }),
  keyrule: keyRuleParameter('swift'),
  tenant: textParameter({ default: 'none', description: 'Project, by name' }),
  tenantid: textParameter({ default: 'none', description: 'Project, by id; wins over `tenant`' }),
  domain: textParameter({ default: '`Default`', description: "The user's domain, by name (Keystone v3)" }),
  domainid: textParameter({ default: 'none', description: "The user's domain, by id (Keystone v3)" }),
  tenantdomain: textParameter({
    default: "the user's",
    description: "The project's domain, by name (Keystone v3)",
  }),
  tenantdomainid: textParameter({
    default: 'none',
    description: "The project's domain, by id (Keystone v3)",
  }),
  trustid: textParameter({ default: 'none', description: 'Trust to use (Keystone v3)' }),
  region: textParameter({
    default: 'the first of the catalog',
    description: 'Region of the object store in the catalog',
  }),
  authversion: integerParameter(
    { default: 'told by `authurl`', description: 'Version of the identity service: 1 (tempauth), 2 or 3' },
    { min: 0, max: 3 },
  ),
  endpointtype: choiceParameter(
    { default: 'public', description: 'Which address of the catalog is used' },
    ['public', 'internal', 'admin'],
    (text) => text.toLowerCase().replace(/url$/, ''),
  ),
  insecureskipverify: booleanParameter({
    default: 'false',
    description: 'TLS certificates are not checked',
  }),
  chunksize: bytesParameter(
    { default: '20 MiB', noEffect: OWN_PARTS, description: 'Part size of the registry' },
    CHUNK_BYTES,
  ),
  rootdirectory: textParameter({
    default: 'none',
    noEffect: 'has none in the registry either, whose driver reads "prefix"',
    description: 'Written in the documentation of the registry, and read by nobody',
  }),
  secretkey: textParameter({
    default: 'none',
    isSecret: true,
    noEffect: OWN_LINKS,
    description: 'Key of temporary URLs',
  }),
  accesskey: textParameter({
    default: 'none',
    isSecret: true,
    noEffect: OWN_LINKS,
    description: 'Key of temporary URLs',
  }),
  tempurlcontainerkey: booleanParameter({
    default: 'false',
    noEffect: OWN_LINKS,
    description: 'Where the key of temporary URLs is kept',
  }),
  tempurlmethods: textParameter({
    default: 'none',
    noEffect: OWN_LINKS,
    description: 'Methods of temporary URLs',
  }),
});

export type SwiftParameters = z.infer<typeof swiftParameters>;

/** Tokens are asked for with the password: no part of it may be in the address. */
export function readAuthUrl(text: string): string | undefined | Refused {
  const checked = readText(text);
  if (checked instanceof Refused || checked === undefined) return checked;
  const url = URL.parse(checked);
  if (!url || !/^https?:$/.test(url.protocol)) return new Refused('must be an http:// or https:// URL');
  if (url.username !== '' || url.password !== '') {
    return new Refused('must not hold a user or password: those are parameters of their own');
  }
  return checked.replace(/\/+$/, '');
}

/** https://docs.openstack.org/api-ref/object-store/: at most 256 bytes, no slash. */
export function readContainer(text: string): string | undefined | Refused {
  const checked = readText(text);
  if (checked instanceof Refused || checked === undefined) return checked;
  if (checked.includes('/')) return new Refused('must not hold a slash');
  return Buffer.byteLength(checked) <= 256 ? checked : new Refused('must have at most 256 bytes');
}
