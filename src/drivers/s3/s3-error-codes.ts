/**
 * What the codes of S3's refusals mean to a copy: one table for both engines. Sources: Amazon's list of error responses,
 * and what Ceph, MinIO and Swift add to it. A code that is not here has the meaning of its status.
 */
import type { ErrorKind } from '../../core/errors.ts';
import type { Meaning } from '../http/call.ts';

export const CHECK_KEYS = 'Check the access key and the secret key, and that they belong to this endpoint';
const CHECK_KMS = 'Check the parameter keyid, and that these credentials may use that key';
const CHECK_ACCOUNT = 'Ask whoever runs the service about the account that these credentials belong to';
const EXPIRED =
  'The temporary credentials have expired: get new ones and run again, what was copied stays; a profile or a role renews them by itself';
const ELSEWHERE = 'The bucket lives elsewhere: check region and endpoint';

export const THROTTLED: Meaning = {
  kind: 'throttled',
  isTransient: true,
  hint: 'The server asks for fewer requests: run again later, or with --requests',
};
export const FULL = ofBackend('no-space', 'Free space on the target, then run again');
const OVER_QUOTA = ofBackend('no-space', 'Raise the quota of the target, then run again');
const AWAY: Meaning = { kind: 'unavailable', isTransient: true };
const CORRUPT: Meaning = { kind: 'corrupt', isTransient: true };
const OF_ACCOUNT = ofBackend('denied', CHECK_ACCOUNT);
const OF_KEYS = ofBackend('denied', CHECK_KEYS);
const OF_TOKEN = ofBackend('denied', EXPIRED);
const OF_KMS = ofBackend('denied', CHECK_KMS);
const MOVED = ofBackend('unsupported', ELSEWHERE);
/** A fault of this program: it says so instead of guessing. */
const OURS: Meaning = { kind: 'unexpected' };

/** Every further request would meet the same. */
function ofBackend(kind: ErrorKind, hint: string): Meaning {
  return { kind, scope: 'backend', hint };
}

const MISSING: Readonly<Record<string, Meaning>> = {
  NoSuchKey: { kind: 'not-found' },
  NoSuchUpload: { kind: 'not-found' },
  NoSuchVersion: { kind: 'not-found' },
  NoSuchBucket: ofBackend('not-found', 'Create the bucket or correct its name: blobferry creates no buckets'),
  NoSuchAccessPoint: ofBackend('not-found', 'Check the name of the access point'),
};

const DENIED: Readonly<Record<string, Meaning>> = {
  AccessDenied: { kind: 'denied', hint: 'Give these credentials the permission that this operation needs' },
  // A single object may be locked against being replaced or removed.
  ObjectLocked: { kind: 'denied', hint: 'The object is locked: wait until its retention has ended' },
  InvalidAccessKeyId: OF_KEYS,
  InvalidSignature: OF_KEYS,
  SignatureDoesNotMatch: OF_KEYS,
  MissingAuthenticationToken: OF_KEYS,
  MissingSecurityHeader: OF_KEYS,
  NoSuchUser: OF_KEYS,
  UnauthorizedAccess: OF_KEYS,
  ExpiredToken: OF_TOKEN,
  ExpiredTokenException: OF_TOKEN,
  TokenRefreshRequired: OF_TOKEN,
  RequestExpired: OF_TOKEN,
  InvalidToken: ofBackend('denied', 'The session token is not valid: renew the credentials'),
  InvalidTokenId: ofBackend('denied', 'The session token is not valid: renew the credentials'),
  AllAccessDisabled: OF_ACCOUNT,
  AccountProblem: OF_ACCOUNT,
  NotSignedUp: OF_ACCOUNT,
  UserSuspended: OF_ACCOUNT,
  InvalidPayer: OF_ACCOUNT,
  UserProjectAccountProblem: OF_ACCOUNT,
  RequestTimeTooSkewed: ofBackend(
    'denied',
    'Set the clock of this machine (NTP): signatures hold for 15 minutes',
  ),
  AuthorizationHeaderMalformed: ofBackend('denied', 'Check the region'),
  'KMS.NotFoundException': OF_KMS,
  'KMS.DisabledException': OF_KMS,
  'KMS.InvalidKeyUsageException': OF_KMS,
  'KMS.KMSInvalidStateException': OF_KMS,
};

const ELSEWHERE_OR_NOT_DONE: Readonly<Record<string, Meaning>> = {
  PermanentRedirect: MOVED,
  TemporaryRedirect: MOVED,
  Redirect: MOVED,
  IllegalLocationConstraintException: MOVED,
  IncorrectEndpoint: MOVED,
  InvalidRegion: MOVED,
  InvalidBucketName: ofBackend('invalid-name', 'Correct the name of the bucket'),
  InvalidBucketState: ofBackend('unsupported', 'Check the settings of the bucket: they do not allow this'),
  KeyTooLongError: { kind: 'invalid-name' },
  InvalidObjectName: { kind: 'invalid-name' },
  InvalidURI: { kind: 'invalid-name' },
  XMinioInvalidObjectName: { kind: 'invalid-name' },
  // MinIO keeps objects as folders: one key cannot be the beginning of another.
  XMinioParentIsObject: { kind: 'invalid-name', hint: 'This server cannot hold a key below another key' },
  XMinioObjectExistsAsDirectory: {
    kind: 'invalid-name',
    hint: 'This server cannot hold a key below another key',
  },
  InvalidObjectState: { kind: 'unsupported', hint: 'The object is archived: restore it first' },
  InvalidStorageClass: ofBackend('unsupported', 'Check the parameter storageclass'),
  InvalidEncryptionAlgorithmError: ofBackend('unsupported', 'Check the parameters encrypt and keyid'),
  AccessControlListNotSupported: ofBackend(
    'unsupported',
    'The bucket takes no ACLs: remove the parameter objectacl',
  ),
  InvalidBucketAclWithObjectOwnership: ofBackend(
    'unsupported',
    'The bucket takes no ACLs: remove the parameter objectacl',
  ),
  NotImplemented: { kind: 'unsupported' },
  MethodNotAllowed: { kind: 'unsupported' },
  EntityTooLarge: { kind: 'unsupported' },
  EntityTooSmall: { kind: 'unsupported' },
  MetadataTooLarge: { kind: 'unsupported' },
};

const PASSING: Readonly<Record<string, Meaning>> = {
  SlowDown: THROTTLED,
  SlowDownRead: THROTTLED,
  SlowDownWrite: THROTTLED,
  ServiceUnavailable: THROTTLED,
  ServerBusy: THROTTLED,
  TooManyRequests: THROTTLED,
  TooManyRequestsException: THROTTLED,
  TooMuchConcurrency: THROTTLED,
  RequestLimitExceeded: THROTTLED,
  BandwidthLimitExceeded: THROTTLED,
  RequestThrottled: THROTTLED,
  RequestThrottledException: THROTTLED,
  Throttling: THROTTLED,
  ThrottlingException: THROTTLED,
  ThrottledException: THROTTLED,
  'KMS.ThrottlingException': THROTTLED,
  InternalError: AWAY,
  InternalServerError: AWAY,
  ResponseInterrupted: AWAY,
  OperationAborted: AWAY,
  ConditionalRequestConflict: AWAY,
  // A cluster that is starting, or has lost more disks than it can bear.
  XMinioServerNotInitialized: AWAY,
  XMinioBackendDown: AWAY,
  XMinioReadQuorum: AWAY,
  XMinioWriteQuorum: AWAY,
  RequestTimeout: { kind: 'timeout', isTransient: true },
  RequestTimeoutException: { kind: 'timeout', isTransient: true },
  IncompleteBody: CORRUPT,
  BadDigest: CORRUPT,
  InvalidDigest: CORRUPT,
  XAmzContentSHA256Mismatch: CORRUPT,
  XAmzContentChecksumMismatch: CORRUPT,
  XMinioContentChecksumMismatch: CORRUPT,
};

const NO_SPACE: Readonly<Record<string, Meaning>> = {
  QuotaExceeded: OVER_QUOTA,
  XMinioAdminBucketQuotaExceeded: OVER_QUOTA,
  StorageQuotaExceeded: OVER_QUOTA,
  XMinioStorageFull: FULL,
  InsufficientCapacity: FULL,
  InsufficientStorage: FULL,
};

const BY_CODE: ReadonlyMap<string, Meaning> = new Map(
  Object.entries({
    ...MISSING,
    ...DENIED,
    ...ELSEWHERE_OR_NOT_DONE,
    ...PASSING,
    ...NO_SPACE,
    PreconditionFailed: { kind: 'precondition' },
    InvalidRange: { kind: 'range' },
    // Named because Complete may say them with a status that speaks of something else.
    InvalidPart: OURS,
    InvalidPartOrder: OURS,
    InvalidRequest: OURS,
    InvalidArgument: OURS,
    MalformedXML: OURS,
    MissingContentLength: OURS,
    MissingRequestBodyError: OURS,
  }),
);

export function meaningOfCode(code: string): Meaning | undefined {
  return BY_CODE.get(code);
}

/** Every code the table knows, for tests. */
export const KNOWN_CODES: readonly string[] = [...BY_CODE.keys()];
