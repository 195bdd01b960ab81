/**
 * What Azure's refusals mean to a copy. Every refusal names its code in `x-ms-error-code`, also where it has no body
 * (https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes and .../blob-service-error-codes).
 */
import type { StorageError } from '../../core/errors.ts';
import type { HttpResponse } from '../../transport/http-types.ts';
import { type HttpCall, type Meaning, refusedError } from '../http/call.ts';
import { codeSafely, saidSafely } from '../http/said.ts';
import { textOf } from '../http/xml.ts';
import type { AzureAccess } from '../spec.ts';

const SAID_BYTES_MAX = 8_192;

const ofBackend = (kind: Meaning['kind'], hint: string): Meaning => ({ kind, scope: 'backend', hint });
const passing = (kind: Meaning['kind'], hint?: string): Meaning => ({
  kind,
  isTransient: true,
  ...(hint === undefined ? {} : { hint }),
});

const THROTTLED = passing(
  'throttled',
  'The account is asked for more than it gives: run again later, or with --requests',
);
const CREATE_CONTAINER = 'Create the container or correct its name: blobferry creates no containers';
const CHECK_ACCOUNT =
  'Check accountname and serviceurl (endpoint of a URL): the address of an emulator ends with the account, as in http://HOST:10000/ACCOUNT';
const CHECK_RIGHTS =
  'Give these credentials read, write, delete and list permission on the container: a SAS with "rwdl", or the role Storage Blob Data Contributor';
/** Stands for what is to be checked of those who ask. */
const CHECK_KEY = 'CHECK';
const CHECKS: Readonly<Record<AzureAccess['type'], string>> = {
  'shared-key':
    'Check accountname and accountkey, and that they belong to this address; if they do, set the clock of this machine (NTP)',
  sas: 'Check that the SAS is of this account and container, that its key is still the account’s, and that its policy was not revoked',
  'client-secret':
    'Check that the application of clientid has a role for blobs in this account, such as Storage Blob Data Contributor',
  default:
    'Check that who was logged in has a role for blobs in this account, such as Storage Blob Data Contributor',
};
const CHECK_ENDPOINT = 'Check that the endpoint is an Azure Blob Storage service';
const OTHER_TYPE =
  'An append or page blob of this name stands in the way, and Azure changes no types: remove it, then run again';
const BLOCKS_OF_OTHERS =
  'Another program has left blocks for this name that are not committed; Azure forgets them a week after the last one';
const NEWER = 'The service must speak version 2021-12-02 of the Blob interface, or a newer one';
const ARCHIVED = 'The blob is archived: rehydrate it to the tier hot, cool or cold first';

const NOT_REACHED =
  'Azure does not come to the source by its address: where it is in a network of its own, give --server-side never';
const FOLDER_IN_THE_WAY =
  'In an account with hierarchical namespace a name is a file or a folder: rename one of the two';

const MEANINGS: Readonly<Record<string, Meaning>> = {
  BlobNotFound: { kind: 'not-found' },
  ResourceNotFound: { kind: 'not-found' },
  ContainerNotFound: ofBackend('not-found', CREATE_CONTAINER),
  ContainerBeingDeleted: ofBackend('not-found', CREATE_CONTAINER),
  ContainerDisabled: ofBackend('denied', 'An administrator has disabled the container'),
  AuthenticationFailed: ofBackend('denied', CHECK_KEY),
  InvalidAuthenticationInfo: ofBackend('denied', CHECK_KEY),
  NoAuthenticationInformation: ofBackend('denied', CHECK_KEY),
  AccountIsDisabled: ofBackend('denied', 'Enable the storage account'),
  KeyBasedAuthenticationNotPermitted: ofBackend(
    'denied',
    'The account takes no keys: give credentials of Entra ID (credentials: type: client_secret or default_credentials)',
  ),
  // Mostly the account's firewall; Azurite says it of everything.
  AuthorizationFailure: ofBackend('denied', `${CHECK_KEY}; check the firewall of the account as well`),
  AuthorizationPermissionMismatch: { kind: 'denied', hint: CHECK_RIGHTS },
  AuthorizationServiceMismatch: ofBackend('denied', 'The SAS is for another service: make one for blobs'),
  AuthorizationResourceTypeMismatch: {
    kind: 'denied',
    hint: 'The SAS lacks resource types: it needs container and object (srt=co)',
  },
  AuthorizationSourceIPMismatch: ofBackend(
    'denied',
    'The SAS is for other addresses than that of this machine',
  ),
  AuthorizationProtocolMismatch: ofBackend('denied', 'The SAS is for HTTPS alone: use an https:// endpoint'),
  InsufficientAccountPermissions: { kind: 'denied', hint: CHECK_RIGHTS },
  PublicAccessNotPermitted: ofBackend('denied', CHECK_KEY),
  AccountRequiresHttps: ofBackend('denied', 'Use an https:// endpoint'),
  ConditionNotMet: { kind: 'precondition' },
  SourceConditionNotMet: { kind: 'precondition' },
  // With the status that the source answered with, or 500 where it did not in time.
  CannotVerifyCopySource: { kind: 'unsupported', hint: NOT_REACHED },
  InvalidSourceBlobUrl: { kind: 'unsupported', hint: NOT_REACHED },
  CopyAcrossAccountsNotSupported: { kind: 'unsupported', hint: NOT_REACHED },
  InvalidRange: { kind: 'range' },
  Md5Mismatch: passing('corrupt'),
  Crc64Mismatch: passing('corrupt'),
  ServerBusy: THROTTLED,
  TooManyRequests: THROTTLED,
  IngressIsThrottled: THROTTLED,
  OperationTimedOut: passing('timeout'),
  InternalError: passing('unavailable'),
  BlobArchived: { kind: 'unsupported', hint: ARCHIVED },
  BlobBeingRehydrated: { kind: 'unsupported', hint: 'The blob is being rehydrated: run again when it is' },
  InvalidBlobType: { kind: 'unsupported', hint: OTHER_TYPE },
  // The length of block names, mostly: all that wait for one blob must have the same.
  InvalidBlobOrBlock: { kind: 'unsupported', hint: BLOCKS_OF_OTHERS },
  RequestEntityTooLargeBlockCountExceedsLimit: { kind: 'unsupported', hint: BLOCKS_OF_OTHERS },
  BlockCountExceedsLimit: { kind: 'unsupported', hint: BLOCKS_OF_OTHERS },
  BlobImmutableDueToPolicy: {
    kind: 'denied',
    hint: 'A policy keeps the blob as it is: wait until it ends, or take another container',
  },
  BlobImmutableDueToLegalHold: { kind: 'denied', hint: 'A legal hold keeps the blob as it is: clear it' },
  LeaseIdMissing: { kind: 'denied', hint: 'Another program has a lease on the blob: break the lease' },
  SnapshotsPresent: { kind: 'denied', hint: 'The blob has snapshots: remove them first' },
  CannotChangeToLowerTier: ofBackend('unsupported', 'Check the parameter accesstier'),
  InvalidBlobTier: ofBackend('unsupported', 'Check the parameter accesstier'),
  BlobAccessTierNotSupportedForAccountType: ofBackend('unsupported', 'Check the parameter accesstier'),
  EncryptionScopeNotFound: ofBackend('unsupported', 'Check the parameter encryptionscope'),
  // Premium accounts for page blobs: "Block blobs are not supported."
  BlobTypeNotSupported: ofBackend(
    'unsupported',
    'The account is of a kind that keeps no block blobs (premium page blobs): use one for general purposes, or for block blobs',
  ),
  FeatureVersionMismatch: { kind: 'unsupported' },
  InvalidHeaderValue: { kind: 'unsupported', hint: NEWER },
  UnsupportedHeader: { kind: 'unsupported', hint: NEWER },
  InvalidResourceName: { kind: 'invalid-name' },
  InvalidUri: { kind: 'invalid-name' },
  ParentNotFound: { kind: 'invalid-name' },
  PathConflict: { kind: 'invalid-name', hint: FOLDER_IN_THE_WAY },
  ResourceTypeMismatch: { kind: 'invalid-name', hint: FOLDER_IN_THE_WAY },
};

/** @param by how the request was authorized. */
export function azureErrorOf(call: HttpCall, response: HttpResponse, by: AzureAccess['type']): StorageError {
  const { status, headers } = response;
  const xml = response.body.toString('utf8', 0, SAID_BYTES_MAX);
  const code = codeSafely(headers.get('x-ms-error-code') ?? textOf(xml, 'Code'), call.secrets);
  // What follows the first line is an id and the time; the detail of a refused signature is what was to be signed.
  const [line = ''] = (textOf(xml, 'Message') ?? '').split('\n');
  const said = saidSafely(line, call.secrets);
  const words = [code, said].filter((word) => word !== '').join(': ');
  const reason = words === '' ? `status ${status}` : `${words} (status ${status})`;
  const isStranger = code === '' && !headers.has('x-ms-request-id');
  const { hint, ...meaning } = isStranger && status === 404 ? STRANGER : meaningOf(call, status, code);
  const told = hint === undefined ? {} : { hint: hint.replace(CHECK_KEY, CHECKS[by]) };
  return refusedError(call, { status, headers, code, reason }, { ...meaning, ...told });
}

/** Whoever says of an object that it is not there must be the service: what is gone is not copied. */
const STRANGER = passing('unavailable', CHECK_ENDPOINT);

function meaningOf(call: HttpCall, status: number, code: string): Meaning {
  // Of a container there is a code of its own: it is the address that leads to none.
  if (code === 'ResourceNotFound' && call.key === undefined) return ofBackend('not-found', CHECK_ACCOUNT);
  const known = Object.hasOwn(MEANINGS, code) ? MEANINGS[code] : undefined;
  if (known) return known;
  if (status === 401) return ofBackend('denied', CHECK_KEY);
  if (status === 403) return { kind: 'denied', hint: CHECK_RIGHTS };
  if (status === 404)
    return call.key === undefined ? ofBackend('not-found', CREATE_CONTAINER) : { kind: 'not-found' };
  if (status === 408) return passing('timeout');
  if (status === 412) return { kind: 'precondition' };
  if (status === 413 || status === 501) return { kind: 'unsupported' };
  if (status === 416) return { kind: 'range' };
  if (status === 429 || status === 503) return THROTTLED;
  return status >= 500 ? passing('unavailable') : { kind: 'unexpected' };
}
