/** From the parameters of the registry's `azure` driver to what our driver is built with. */
import type { AzureAccess, AzureSpec } from '../../drivers/spec.ts';
import {
  type AzureCredentialParameters,
  type AzureParameters,
  azureCredentials,
  azureParameters,
  DEFAULT_REALM,
} from './azure-parameters.ts';
import { plainIf, slashRootOf } from './key-rule-parameter.ts';
import { Refused } from './parameter.ts';
import { type ReadSection, readSection, type Section } from './section.ts';
import type { YamlEntry } from './yaml-file.ts';

const REQUIRED = ['accountname', 'container'] as const;
/** Version 2 of the registry does not know them; nobody has both them and its names. */
const OF_VERSION_3 = [
  'rootdirectory',
  'serviceurl',
  'skipverify',
  'connectionstring',
  'max_retries',
  'retry_delay',
];

/** Problems and notes go to the section's remarks; undefined when there were problems that leave no storage. */
export function readAzureSection(section: Section): AzureSpec | undefined {
  const nested = section.entries.find(({ name }) => name === 'credentials');
  const credentials = nested && readCredentials(section, nested);
  const read = readSection(
    { ...section, entries: section.entries.filter((entry) => entry !== nested) },
    azureParameters,
  );
  if (!read) return undefined;
  const values = withConnectionString(section, read);
  for (const name of REQUIRED) {
    if (values[name] === undefined)
      section.remarks.problem(section.line, `${section.backend} lacks "${name}"`);
  }
  const access = readAccess(section, { ...read, values }, credentials);
  const { accountname, container } = values;
  if (accountname === undefined || container === undefined || access === undefined) return undefined;
  return {
    kind: 'azure',
    accountName: accountname,
    container,
    endpoint: values.serviceurl ?? endpointOf(accountname, values.realm),
    rootDirectory: values.rootdirectory ?? '',
    hasSlashRoot: readSlashRoot(section, read, nested !== undefined),
    ...plainIf(values.keyrule),
    access,
    skipsTlsVerify: values.skipverify ?? false,
    ...(values.accesstier === undefined ? {} : { accessTier: capitalized(values.accesstier) }),
    ...(values.encryptionscope === undefined ? {} : { encryptionScope: values.encryptionscope }),
  };
}

/**
 * What a connection string says, where no parameter of its own does: the registry decodes it and asks by the others, so
 * those win.
 */
function withConnectionString(
  { backend, remarks }: Section,
  { values, lineOf }: ReadSection<AzureParameters>,
): AzureParameters {
  const { connectionstring: given, ...own } = values;
  if (given === undefined) return own;
  const { accountName, accountKey, sasToken, endpoint } = given;
  if (own.accountname !== undefined && accountName !== undefined && own.accountname !== accountName) {
    const other = `is of another account than "accountname", "${own.accountname}"`;
    remarks.problem(lineOf('connectionstring'), `"connectionstring" of ${backend} ${other}`);
  }
  const hasOwnAccess = own.accountkey !== undefined || own.sastoken !== undefined;
  if (hasOwnAccess)
    remarks.note(
      lineOf('connectionstring'),
      `"connectionstring" of ${backend} does not say who asks: "${own.accountkey === undefined ? 'sastoken' : 'accountkey'}" does`,
    );
  const access = accountKey === undefined ? { sastoken: sasToken } : { accountkey: accountKey };
  return {
    ...own,
    accountname: own.accountname ?? accountName,
    serviceurl: own.serviceurl ?? (own.realm === undefined ? endpoint : undefined),
    ...(hasOwnAccess ? {} : access),
  };
}

export function endpointOf(accountName: string, realm = DEFAULT_REALM): string {
  return `https://${accountName}.blob.${realm}`;
}

/** Which of the two key rules is used decides whether a registry finds anything, so it is always said. */
export function slashRootNote(hasSlashRoot: boolean): string {
  return hasSlashRoot
    ? 'names begin with a slash, as distribution 2 writes them (keyrule: distribution-2)'
    : 'names begin without a slash, as distribution 3 writes them (keyrule: distribution-3)';
}

function readSlashRoot(
  section: Section,
  { values, lineOf }: ReadSection<AzureParameters>,
  hasCredentials: boolean,
): boolean {
  const said = slashRootOf(values.keyrule, values.trimlegacyrootprefix);
  if (said instanceof Refused) {
    section.remarks.problem(lineOf('keyrule'), `${said.why} (${section.backend})`, 'remove one of the two');
    return false;
  }
  if (said !== undefined) return said;
  const given = section.entries.map(({ name }) => name);
  const isVersion3 = hasCredentials || OF_VERSION_3.some((name) => given.includes(name));
  section.remarks.note(section.line, slashRootNote(!isVersion3));
  return !isVersion3;
}

interface ReadCredentials {
  readonly read: ReadSection<AzureCredentialParameters> | undefined;
  readonly line: number;
}

function readCredentials(section: Section, { line, value }: YamlEntry): ReadCredentials {
  const given = value();
  if (given.kind !== 'map') {
    section.remarks.problem(line, `"credentials" of ${section.backend} must be a section of parameters`);
    return { read: undefined, line };
  }
  const backend = `${section.backend} credentials`;
  return { read: readSection({ ...section, backend, line, entries: given.entries }, azureCredentials), line };
}

/** One way to log in; the registry takes the first that it finds, and which that is changed with its versions. */
function readAccess(
  section: Section,
  { values, lineOf }: ReadSection<AzureParameters>,
  credentials: ReadCredentials | undefined,
): AzureAccess | undefined {
  const { accountkey, sastoken } = values;
  const { remarks, backend } = section;
  const type = credentials?.read?.values.type ?? 'default_credentials';
  const isEntra = credentials !== undefined && type !== 'shared_key';
  if (accountkey !== undefined && sastoken !== undefined) {
    remarks.problem(lineOf('sastoken'), `${backend} gives both "accountkey" and "sastoken"; give one`);
    return undefined;
  }
  if (isEntra && (accountkey ?? sastoken) !== undefined) {
    const other = accountkey === undefined ? 'sastoken' : 'accountkey';
    remarks.note(lineOf(other), `"${other}" of ${backend} has no effect: "credentials" says who asks`);
  }
  if (isEntra) return credentials.read && entraAccess(section, type, credentials.read, credentials.line);
  if (accountkey !== undefined) return { type: 'shared-key', accountKey: accountkey };
  if (sastoken !== undefined) return { type: 'sas', token: sastoken };
  remarks.problem(
    section.line,
    `${backend} lacks "accountkey"`,
    'give accountkey, sastoken, or credentials with type client_secret or default_credentials',
  );
  return undefined;
}

function entraAccess(
  { remarks, backend }: Section,
  type: string,
  { values }: ReadSection<AzureCredentialParameters>,
  line: number,
): AzureAccess | undefined {
  if (type === 'default_credentials') return { type: 'default' };
  const { tenantid, clientid, secret } = values;
  if (tenantid !== undefined && clientid !== undefined && secret !== undefined)
    return { type: 'client-secret', tenantId: tenantid, clientId: clientid, secret };
  for (const name of ['tenantid', 'clientid', 'secret'] as const) {
    if (values[name] === undefined) remarks.problem(line, `${backend} credentials lack "${name}"`);
  }
  return undefined;
}

/** As Azure spells it in headers. */
function capitalized(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1);
}
