/** `AccountName=…;AccountKey=…;EndpointSuffix=…`: https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string. */
import { readAccountKey, readAccountName, readRealm, readSasToken, readServiceUrl } from './azure-values.ts';
import { Refused } from './parameter.ts';

/** What of one is about blobs. */
export interface ConnectionString {
  readonly accountName?: string;
  readonly accountKey?: string;
  readonly sasToken?: string;
  /** Of the account, as `serviceurl`. */
  readonly endpoint?: string;
}

/** Of other services, and so of no use here. */
const OTHERS = /^(?:queue|table|file)(?:secondary)?endpoint$|^blobsecondaryendpoint$/;

/** No part of the text is in what is refused: most of it is secret. */
export function readConnectionString(text: string): ConnectionString | undefined | Refused {
  if (text.trim() === '') return undefined;
  const parts = partsOf(text);
  if (parts instanceof Refused) return parts;
  const accountName = partOf(parts, 'AccountName', readAccountName);
  const accountKey = partOf(parts, 'AccountKey', readAccountKey);
  const sasToken = partOf(parts, 'SharedAccessSignature', readSasToken);
  const suffix = partOf(parts, 'EndpointSuffix', readRealm);
  const blobEndpoint = partOf(parts, 'BlobEndpoint', readServiceUrl);
  for (const value of [accountName, accountKey, sasToken, suffix, blobEndpoint])
    if (value instanceof Refused) return value;
  const protocol = parts.get('defaultendpointsprotocol') ?? 'https';
  if (!/^https?$/.test(protocol))
    return new Refused('has a DefaultEndpointsProtocol that is not http or https');
  if (accountKey === undefined && sasToken === undefined)
    return new Refused('has neither AccountKey nor SharedAccessSignature');
  const made =
    accountName === undefined || suffix === undefined
      ? undefined
      : `${protocol}://${String(accountName)}.blob.${String(suffix)}`;
  const endpoint = blobEndpoint ?? made;
  return {
    ...optional('accountName', accountName),
    ...optional('accountKey', accountKey),
    ...optional('sasToken', sasToken),
    ...optional('endpoint', endpoint),
  };
}

const KNOWN = [
  'accountname',
  'accountkey',
  'sharedaccesssignature',
  'endpointsuffix',
  'blobendpoint',
  'defaultendpointsprotocol',
];

function partsOf(text: string): ReadonlyMap<string, string> | Refused {
  const parts = new Map<string, string>();
  for (const part of text.split(';').filter((one) => one.trim() !== '')) {
    const at = part.indexOf('=');
    const name = part.slice(0, Math.max(0, at)).trim().toLowerCase();
    if (name === 'usedevelopmentstorage')
      return new Refused(
        'must name an account: that of an emulator is given by accountname, accountkey and serviceurl',
      );
    if (OTHERS.test(name)) continue;
    if (!KNOWN.includes(name))
      return new Refused('must be AccountName=…;AccountKey=…;EndpointSuffix=…, as the portal shows it');
    if (parts.has(name)) return new Refused('gives one of its parts twice');
    parts.set(name, part.slice(at + 1).trim());
  }
  return parts;
}

function partOf(
  parts: ReadonlyMap<string, string>,
  name: string,
  read: (text: string) => string | undefined | Refused,
): string | undefined | Refused {
  const value = read(parts.get(name.toLowerCase()) ?? '');
  return value instanceof Refused ? new Refused(`has a part ${name} that ${value.why}`) : value;
}

function optional<N extends string>(name: N, value: string | Refused | undefined): { [K in N]?: string } {
  return (typeof value === 'string' ? { [name]: value } : {}) as { [K in N]?: string };
}
