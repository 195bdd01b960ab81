/** The parameters of the registry's `azure` driver, from distribution 2.8 and 3, and of its `credentials`. */
import { z } from 'zod';
import { readConnectionString } from './azure-connection-string.ts';
import {
  readAccountKey,
  readAccountName,
  readBlobContainer,
  readRealm,
  readSasToken,
  readServiceUrl,
} from './azure-values.ts';
import { keyRuleParameter } from './key-rule-parameter.ts';
import {
  booleanParameter,
  choiceParameter,
  integerParameter,
  parameter,
  textParameter,
} from './parameter.ts';

const OWN_RETRIES = "concerns the registry's own requests; blobferry paces and repeats its requests itself";

export const DEFAULT_REALM = 'core.windows.net';

export const azureParameters = z.object({
  accountname: parameter(
    { type: 'text', default: 'required', description: 'Name of the storage account' },
    readAccountName,
  ),
  accountkey: parameter(
    {
      type: 'text',
      default: 'none',
      isSecret: true,
      description: 'A key of the account, in base64; this, `sastoken` or `credentials` says who asks',
    },
    readAccountKey,
  ),
  sastoken: parameter(
    {
      type: 'text',
      default: 'none',
      isSecret: true,
      description:
        'Shared access signature of the account or container, as the portal shows it; with read, write, delete and list permission. Not a parameter of the registry',
    },
    readSasToken,
  ),
  container: parameter(
    { type: 'text', default: 'required', description: 'Container of the registry; it must exist' },
    readBlobContainer,
  ),
  realm: parameter(
    {
      type: 'text',
      default: DEFAULT_REALM,
      description: 'Domain of the cloud, such as `core.chinacloudapi.cn`; the host is `ACCOUNT.blob.REALM`',
    },
    readRealm,
  ),
  serviceurl: parameter(
    {
      type: 'text',
      default: 'made of `accountname` and `realm`',
      description: 'Address of the account, such as `http://host:10000/account` of an emulator',
    },
    readServiceUrl,
  ),
  rootdirectory: textParameter({ default: 'none', description: 'Begins every name (distribution 3)' }),
  trimlegacyrootprefix: booleanParameter({
    default: '`true` where a parameter of distribution 3 is given, else `false`',
    description:
      'Names begin without the slash that distribution 2 puts in front of them: `docker/…` instead of `/docker/…`',
  }),
  keyrule: keyRuleParameter('azure'),
  skipverify: booleanParameter({ default: 'false', description: 'TLS certificates are not checked' }),
  accesstier: choiceParameter(
    {
      default: "the account's",
      isForWriting: true,
      description: 'Access tier of written blobs. Not a parameter of the registry',
    },
    ['hot', 'cool', 'cold'],
    (text) => text.toLowerCase(),
  ),
  encryptionscope: textParameter({
    default: "the container's",
    isForWriting: true,
    description: 'Encryption scope of written blobs. Not a parameter of the registry',
  }),
  connectionstring: parameter(
    {
      type: 'text',
      default: 'none',
      isSecret: true,
      description:
        'AccountName, AccountKey or SharedAccessSignature, and endpoint in one text, as the portal shows it; parameters of their own win. The registry takes it and looks at the others alone',
    },
    readConnectionString,
  ),
  max_retries: integerParameter(
    { default: '5', noEffect: OWN_RETRIES, description: 'Retries of the registry' },
    { min: 0, max: 1_000_000 },
  ),
  retry_delay: textParameter({
    default: '100ms',
    noEffect: OWN_RETRIES,
    description: 'Pause between retries of the registry',
  }),
});

export const azureCredentials = z.object({
  type: choiceParameter(
    { default: '`default_credentials`', description: 'How the registry logs in' },
    ['client_secret', 'shared_key', 'default_credentials'],
    (text) => text.toLowerCase(),
  ),
  tenantid: textParameter({ default: 'none', description: 'Directory, for `client_secret`' }),
  clientid: textParameter({ default: 'none', description: 'Application, for `client_secret`' }),
  secret: textParameter({
    default: 'none',
    isSecret: true,
    description: 'Secret of the application, for `client_secret`',
  }),
});

export type AzureParameters = z.infer<typeof azureParameters>;
export type AzureCredentialParameters = z.infer<typeof azureCredentials>;
