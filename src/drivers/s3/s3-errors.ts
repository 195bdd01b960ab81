/**
 * What S3's answers mean: one table. Codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html;
 * Ceph's own (`XAmzContentSHA256Mismatch` as 400 and so on) were seen on 16.2 and 20.2.
 */
import { type ErrorKind, type ErrorScope, StorageError } from '../../core/errors.ts';
import type { HttpResponse } from '../../transport/http-types.ts';
import { codeSafely, saidSafely } from './s3-said.ts';
import { textOf } from './s3-xml.ts';

interface Meaning {
  readonly kind: ErrorKind;
  readonly scope?: ErrorScope;
  readonly isTransient?: boolean;
  readonly hint?: string;
}

const CHECK_KEYS = 'Check the access key and the secret key, and that they belong to this endpoint';

const CHECK_KMS = 'Check the parameter keyid, and that these credentials may use that key';
const EXPIRED =
  'The temporary credentials have expired: get new ones and run again, what was copied stays; a profile or a role renews them by itself';
const ELSEWHERE = 'The bucket lives elsewhere: check region and endpoint';

const THROTTLED: Meaning = {
  kind: 'throttled',
  isTransient: true,
  hint: 'The server asks for fewer requests: run again later, or with --requests',
};

const BY_CODE: Readonly<Record<string, Meaning>> = {
  NoSuchKey: { kind: 'not-found' },
  NoSuchUpload: { kind: 'not-found' },
  NoSuchVersion: { kind: 'not-found' },
  NoSuchBucket: {
    kind: 'not-found',
    scope: 'backend',
    hint: 'Create the bucket or correct its name: blobferry creates no buckets',
  },
  AccessDenied: { kind: 'denied', hint: 'Give these credentials the permission that this operation needs' },
  AllAccessDisabled: { kind: 'denied', scope: 'backend' },
  AccountProblem: { kind: 'denied', scope: 'backend' },
  InvalidAccessKeyId: { kind: 'denied', scope: 'backend', hint: CHECK_KEYS },
  SignatureDoesNotMatch: { kind: 'denied', scope: 'backend', hint: CHECK_KEYS },
  ExpiredToken: { kind: 'denied', scope: 'backend', hint: EXPIRED },
  ExpiredTokenException: { kind: 'denied', scope: 'backend', hint: EXPIRED },
  TokenRefreshRequired: { kind: 'denied', scope: 'backend', hint: EXPIRED },
  InvalidToken: {
    kind: 'denied',
    scope: 'backend',
    hint: 'The session token is not valid: renew the credentials',
  },
  RequestTimeTooSkewed: {
    kind: 'denied',
    scope: 'backend',
    hint: 'Set the clock of this machine (NTP): signatures hold for 15 minutes',
  },
  AuthorizationHeaderMalformed: { kind: 'denied', scope: 'backend', hint: 'Check the region' },
  PermanentRedirect: { kind: 'unsupported', scope: 'backend', hint: ELSEWHERE },
  TemporaryRedirect: { kind: 'unsupported', scope: 'backend', hint: ELSEWHERE },
  InvalidBucketName: { kind: 'invalid-name', scope: 'backend' },
  KeyTooLongError: { kind: 'invalid-name' },
  InvalidObjectName: { kind: 'invalid-name' },
  InvalidObjectState: { kind: 'unsupported', hint: 'The object is archived: restore it first' },
  InvalidStorageClass: { kind: 'unsupported', scope: 'backend', hint: 'Check the parameter storageclass' },
  AccessControlListNotSupported: {
    kind: 'unsupported',
    scope: 'backend',
    hint: 'The bucket takes no ACLs: remove the parameter objectacl',
  },
  'KMS.NotFoundException': { kind: 'denied', scope: 'backend', hint: CHECK_KMS },
  'KMS.DisabledException': { kind: 'denied', scope: 'backend', hint: CHECK_KMS },
  'KMS.KMSInvalidStateException': { kind: 'denied', scope: 'backend', hint: CHECK_KMS },
  PreconditionFailed: { kind: 'precondition' },
  InvalidRange: { kind: 'range' },
  SlowDown: THROTTLED,
  ServiceUnavailable: THROTTLED,
  TooManyRequests: THROTTLED,
  RequestLimitExceeded: THROTTLED,
  Throttling: THROTTLED,
  ThrottlingException: THROTTLED,
  InternalError: { kind: 'unavailable', isTransient: true },
  RequestTimeout: { kind: 'timeout', isTransient: true },
  OperationAborted: { kind: 'unavailable', isTransient: true },
  ConditionalRequestConflict: { kind: 'unavailable', isTransient: true },
  IncompleteBody: { kind: 'corrupt', isTransient: true },
  BadDigest: { kind: 'corrupt', isTransient: true },
  InvalidDigest: { kind: 'corrupt', isTransient: true },
  XAmzContentSHA256Mismatch: { kind: 'corrupt', isTransient: true },
  XAmzContentChecksumMismatch: { kind: 'corrupt', isTransient: true },
  XMinioContentChecksumMismatch: { kind: 'corrupt', isTransient: true },
  EntityTooLarge: { kind: 'unsupported' },
  EntityTooSmall: { kind: 'unsupported' },
  QuotaExceeded: {
    kind: 'no-space',
    scope: 'backend',
    hint: 'Raise the quota of the target, then run again',
  },
  XMinioStorageFull: { kind: 'no-space', scope: 'backend', hint: 'Free space on the target, then run again' },
  InsufficientCapacity: {
    kind: 'no-space',
    scope: 'backend',
    hint: 'Free space on the target, then run again',
  },
  NotImplemented: { kind: 'unsupported' },
  // Named because Complete may say them with a status that speaks of something else.
  InvalidPart: { kind: 'unexpected' },
  InvalidPartOrder: { kind: 'unexpected' },
  InvalidRequest: { kind: 'unexpected' },
  InvalidArgument: { kind: 'unexpected' },
  MalformedXML: { kind: 'unexpected' },
};

/** What a code and status mean; shared with the SDK engine. @param isOfBucket the request was for no object. */
export function meaningOf(code: string, status: number, isOfBucket = false): Meaning {
  const known = Object.hasOwn(BY_CODE, code) ? BY_CODE[code] : undefined;
  if (known) return known;
  // S3 says of a bucket why it is not there; a web server does not.
  if (status === 404 && isOfBucket) {
    return { kind: 'not-found', scope: 'backend', hint: 'Check that the endpoint is an S3 service' };
  }
  if (status === 404) return { kind: 'not-found' };
  if (status === 401 || status === 403) return { kind: 'denied', hint: CHECK_KEYS };
  if (status === 412) return { kind: 'precondition' };
  if (status === 416) return { kind: 'range' };
  if (status === 408) return { kind: 'timeout', isTransient: true };
  if (status === 429 || status === 503) return THROTTLED;
  if (status === 501) return { kind: 'unsupported' };
  if (status === 507)
    return { kind: 'no-space', scope: 'backend', hint: 'Free space on the target, then run again' };
  if (status >= 500) return { kind: 'unavailable', isTransient: true };
  if (status >= 300 && status < 400) {
    return { kind: 'unsupported', scope: 'backend', hint: 'If that is the S3 service, give it as endpoint' };
  }
  return { kind: 'unexpected' };
}

export interface S3Call {
  readonly backend: string;
  /** `read`, `write`, `list` …, as it stands in messages. */
  readonly operation: string;
  readonly key?: string;
  /** What no message may repeat, whoever says it. */
  readonly secrets?: readonly string[];
}

export function subject(call: S3Call): string {
  return call.key === undefined ? call.backend : `"${call.key}" in ${call.backend}`;
}

/** Refusals are short; what is not is no refusal of S3. */
const REFUSAL_BYTES_MAX = 64 * 1024;

export function textOfAnswer(response: HttpResponse): string {
  return response.body.toString('utf8', 0, REFUSAL_BYTES_MAX);
}

/** An answer that is not a success. HEAD answers have no body, so only the status tells. */
export function errorOfResponse(call: S3Call, response: HttpResponse): StorageError {
  const xml = textOfAnswer(response);
  const code = codeSafely(textOf(xml, 'Code'), call.secrets);
  const meaning = meaningOf(code, response.status, call.key === undefined);
  const said = saidSafely(textOf(xml, 'Message') ?? '', call.secrets);
  const reason =
    code === ''
      ? reasonWithoutCode(response.status, response.headers.get('location'), xml)
      : [code, said].filter(Boolean).join(': ');
  const retryAfter = Number(response.headers.get('retry-after'));
  return new StorageError(
    `Cannot ${call.operation} ${subject(call)}: ${reason}`,
    {
      kind: meaning.kind,
      backend: call.backend,
      operation: call.operation,
      status: response.status,
      isTransient: meaning.isTransient ?? false,
      scope: meaning.scope ?? 'object',
      ...(call.key === undefined ? {} : { key: call.key }),
      ...(code === '' ? {} : { backendCode: code }),
      ...(Number.isFinite(retryAfter) && retryAfter > 0 ? { retryAfterMs: retryAfter * 1000 } : {}),
    },
    { hint: meaning.hint },
  );
}

/** What answers without S3's XML may be no S3 service, or something in front of it. Its own words may echo secrets. */
export function reasonWithoutCode(status: number, location: string | undefined, text = ''): string {
  const url = URL.parse(location ?? '');
  if (status >= 300 && status < 400 && url) {
    return `the server sends requests on to ${url.origin} (status ${status})`;
  }
  if (status === 400 && /HTTPS (server|port)/i.test(text)) {
    return 'the server speaks TLS on this port (status 400): write https:// in the endpoint';
  }
  return `status ${status}`;
}

/** An answer that is a success by its status but makes no sense. */
export function malformed(call: S3Call, what: string): StorageError {
  return new StorageError(
    `Cannot ${call.operation} ${subject(call)}: ${what}`,
    {
      kind: 'corrupt',
      backend: call.backend,
      operation: call.operation,
      isTransient: true,
      scope: 'object',
      ...(call.key === undefined ? {} : { key: call.key }),
    },
    {
      hint: 'If this stays, check that the endpoint is an S3 service and that nothing in between changes answers',
    },
  );
}
