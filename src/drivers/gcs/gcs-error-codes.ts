/**
 * What the codes of Cloud Storage's refusals mean to a copy: those of the XML API
 * (https://cloud.google.com/storage/docs/xml-api/reference-status) and the reasons of the JSON API, which lists
 * (https://cloud.google.com/storage/docs/json_api/v1/status-codes). A code that is not here has the meaning of its status.
 */
import type { ErrorKind } from '../../core/errors.ts';
import type { Meaning } from '../http/call.ts';

export const THROTTLED: Meaning = {
  kind: 'throttled',
  isTransient: true,
  hint: 'The service asks for fewer requests: run again later, or with --requests',
};
export const NO_BUCKET = ofBackend(
  'not-found',
  'Create the bucket or correct its name: blobferry creates no buckets',
);
export const ROLES =
  'the role Storage Object Viewer on a source bucket has it, Storage Object Admin on a target';
/** The service names a code in all that it says of a bucket. */
export const NO_SERVICE = ofBackend('not-found', 'Check that the endpoint is Google Cloud Storage');
export const OF_RIGHTS: Meaning = {
  kind: 'denied',
  hint: 'Give this account the role Storage Object Viewer on a source bucket, Storage Object Admin on a target',
};
export const OF_TOKEN = ofBackend(
  'denied',
  'The token is refused: check the key of the account and that it is active',
);
const AWAY: Meaning = { kind: 'unavailable', isTransient: true };
const CORRUPT: Meaning = { kind: 'corrupt', isTransient: true };
const OF_KMS = ofBackend(
  'denied',
  'Check the parameter kmskeyname, and that the service agent of Cloud Storage may use that key',
);
const OF_ACCOUNT = ofBackend('denied', 'Check the billing and the state of the project that owns the bucket');
const OF_PAYER = ofBackend(
  'denied',
  'The bucket lets requesters pay: use an account of the project that owns it',
);
const HELD: Meaning = {
  kind: 'denied',
  hint: 'The object is held or retained: nothing may replace or remove it until that ends',
};
/** A fault of this program: it says so instead of guessing. */
const OURS: Meaning = { kind: 'unexpected' };

/** Every further request would meet the same. */
function ofBackend(kind: ErrorKind, hint: string): Meaning {
  return { kind, scope: 'backend', hint };
}

const BY_CODE: Readonly<Record<string, Meaning>> = {
  NoSuchKey: { kind: 'not-found' },
  NoSuchUpload: { kind: 'not-found' },
  NoSuchBucket: NO_BUCKET,
  AccessDenied: OF_RIGHTS,
  forbidden: OF_RIGHTS,
  insufficientPermissions: OF_RIGHTS,
  AuthenticationRequired: OF_TOKEN,
  required: OF_TOKEN,
  authError: OF_TOKEN,
  InvalidToken: OF_TOKEN,
  InvalidSecurity: OF_TOKEN,
  MissingSecurityElement: OF_TOKEN,
  MissingSecurityHeader: OF_TOKEN,
  ExpiredToken: OF_TOKEN,
  RequestTimeTooSkewed: ofBackend('denied', 'Set the clock of this machine (NTP)'),
  AccountProblem: OF_ACCOUNT,
  accountDisabled: OF_ACCOUNT,
  UserProjectAccountProblem: OF_ACCOUNT,
  UserAccountProblem: OF_ACCOUNT,
  UserProjectMissing: OF_PAYER,
  UserProjectAccessDenied: OF_PAYER,
  ObjectUnderActiveHold: HELD,
  RetentionPolicyNotMet: HELD,
  CloudKmsBadKey: OF_KMS,
  CloudKmsDisabledKey: OF_KMS,
  CloudKmsDecryptionKeyNotFound: OF_KMS,
  CloudKmsEncryptionKeyNotFound: OF_KMS,
  CloudKmsKeyLocationNotAllowed: OF_KMS,
  KmsAccessDenied: OF_KMS,
  ResourceIsEncryptedWithCustomerEncryptionKey: {
    kind: 'denied',
    hint: 'The object is encrypted with a key that its owner keeps, which blobferry does not take',
  },
  InvalidBucketName: ofBackend('invalid-name', 'Correct the name of the bucket'),
  KeyTooLong: { kind: 'invalid-name' },
  InvalidObjectName: { kind: 'invalid-name' },
  InvalidStorageClass: ofBackend('unsupported', 'Check the parameter storageclass'),
  // https://cloud.google.com/storage/docs/uniform-bucket-level-access
  UniformBucketLevelAccess: ofBackend(
    'unsupported',
    'The bucket takes no ACLs: remove the parameter predefinedacl',
  ),
  OrgPolicyConstraintFailed: ofBackend(
    'denied',
    'A policy of the organization forbids this: ask who runs it',
  ),
  NotImplemented: { kind: 'unsupported' },
  MethodNotAllowed: { kind: 'unsupported' },
  EntityTooLarge: { kind: 'unsupported' },
  EntityTooSmall: { kind: 'unsupported' },
  SlowDown: THROTTLED,
  TooManyRequests: THROTTLED,
  ServiceUnavailable: THROTTLED,
  rateLimitExceeded: THROTTLED,
  userRateLimitExceeded: THROTTLED,
  InternalError: AWAY,
  backendError: AWAY,
  internalError: AWAY,
  OperationAborted: AWAY,
  RequestTimeout: { kind: 'timeout', isTransient: true },
  BadDigest: CORRUPT,
  CrcMismatch: CORRUPT,
  InvalidDigest: CORRUPT,
  IncompleteBody: CORRUPT,
  PreconditionFailed: { kind: 'precondition' },
  conditionNotMet: { kind: 'precondition' },
  InvalidRange: { kind: 'range' },
  // Named because Complete may say them with a status that speaks of something else.
  InvalidPart: OURS,
  InvalidPartOrder: OURS,
  InvalidArgument: OURS,
  MalformedXML: OURS,
};

export function meaningOfGcsCode(code: string): Meaning | undefined {
  return Object.hasOwn(BY_CODE, code) ? BY_CODE[code] : undefined;
}

/** Every code the table knows, for tests. */
export const KNOWN_GCS_CODES: readonly string[] = Object.keys(BY_CODE);
