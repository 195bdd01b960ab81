import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ErrorKind, ErrorScope } from '../../../src/core/errors.ts';
import { isStorageError, StorageError } from '../../../src/core/errors.ts';
import { malformed } from '../../../src/drivers/http/call.ts';
import { errorOfWire } from '../../../src/drivers/http/wire-errors.ts';
import { KNOWN_CODES } from '../../../src/drivers/s3/s3-error-codes.ts';
import { errorOfResponse, meaningOf } from '../../../src/drivers/s3/s3-errors.ts';
import { type HttpResponse, WireError, type WireFault } from '../../../src/transport/http-types.ts';

const CALL = { backend: 's3://bucket/root', operation: 'read', key: 'a/b' };

function response(status: number, body = '', headers: Readonly<Record<string, string>> = {}): HttpResponse {
  const names = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const);
  return { status, headers: new Map(names), body: Buffer.from(body), intoBytes: 0, isOverflow: false };
}

function xml(code: string, message = 'said the server'): string {
  return `<?xml version="1.0"?>\n<Error><Code>${code}</Code><Message>${message}</Message><RequestId>1</RequestId></Error>`;
}

type Row = readonly [status: number, code: string, kind: ErrorKind, isTransient: boolean, scope: ErrorScope];

/** With a code, and without one, as proxies and HEAD answer. */
const TABLE: readonly Row[] = [
  [404, 'NoSuchKey', 'not-found', false, 'object'],
  [404, 'NoSuchUpload', 'not-found', false, 'object'],
  [404, 'NoSuchBucket', 'not-found', false, 'backend'],
  [404, '', 'not-found', false, 'object'],
  [403, 'AccessDenied', 'denied', false, 'object'],
  [403, 'InvalidAccessKeyId', 'denied', false, 'backend'],
  [403, 'SignatureDoesNotMatch', 'denied', false, 'backend'],
  [400, 'ExpiredToken', 'denied', false, 'backend'],
  [403, 'RequestTimeTooSkewed', 'denied', false, 'backend'],
  [400, 'AuthorizationHeaderMalformed', 'denied', false, 'backend'],
  [401, '', 'denied', false, 'object'],
  [403, '', 'denied', false, 'object'],
  [301, 'PermanentRedirect', 'unsupported', false, 'backend'],
  [307, '', 'unsupported', false, 'backend'],
  [412, 'PreconditionFailed', 'precondition', false, 'object'],
  [412, '', 'precondition', false, 'object'],
  [416, 'InvalidRange', 'range', false, 'object'],
  [503, 'SlowDown', 'throttled', true, 'object'],
  [503, 'ServiceUnavailable', 'throttled', true, 'object'],
  [429, '', 'throttled', true, 'object'],
  [503, '', 'unavailable', true, 'object'],
  [503, 'XMinioServerNotInitialized', 'unavailable', true, 'object'],
  [503, 'SlowDownWrite', 'throttled', true, 'object'],
  [503, 'SomethingNew', 'throttled', true, 'object'],
  [403, 'UserSuspended', 'denied', false, 'backend'],
  [400, 'KMS.InvalidKeyUsageException', 'denied', false, 'backend'],
  [507, 'XMinioStorageFull', 'no-space', false, 'backend'],
  [400, 'XMinioAdminBucketQuotaExceeded', 'no-space', false, 'backend'],
  [409, 'XMinioObjectExistsAsDirectory', 'invalid-name', false, 'object'],
  [404, 'NoSuchAccessPoint', 'not-found', false, 'backend'],
  [400, '__proto__', 'unexpected', false, 'object'],
  [500, 'InternalError', 'unavailable', true, 'object'],
  [500, '', 'unavailable', true, 'object'],
  [502, '', 'unavailable', true, 'object'],
  [504, '', 'unavailable', true, 'object'],
  [400, 'RequestTimeout', 'timeout', true, 'object'],
  [408, '', 'timeout', true, 'object'],
  [409, 'OperationAborted', 'unavailable', true, 'object'],
  [400, 'BadDigest', 'corrupt', true, 'object'],
  [400, 'XAmzContentSHA256Mismatch', 'corrupt', true, 'object'],
  [400, 'IncompleteBody', 'corrupt', true, 'object'],
  [400, 'InvalidPart', 'unexpected', false, 'object'],
  [400, 'EntityTooLarge', 'unsupported', false, 'object'],
  [403, 'InvalidObjectState', 'unsupported', false, 'object'],
  [403, 'QuotaExceeded', 'no-space', false, 'backend'],
  [507, '', 'no-space', false, 'backend'],
  [501, 'NotImplemented', 'unsupported', false, 'object'],
  [400, 'KeyTooLongError', 'invalid-name', false, 'object'],
  [400, 'SomethingNew', 'unexpected', false, 'object'],
  [400, '', 'unexpected', false, 'object'],
];

describe('errorOfResponse()', () => {
  for (const [status, code, kind, isTransient, scope] of TABLE) {
    it(`takes ${status} ${code || 'without a code'} for ${kind}`, () => {
      const error = errorOfResponse(CALL, response(status, code === '' ? '' : xml(code)));
      assert.ok(error instanceof StorageError);
      assert.deepEqual(error.details, {
        kind,
        backend: 's3://bucket/root',
        operation: 'read',
        key: 'a/b',
        status,
        isTransient,
        scope,
        ...(code === '' ? {} : { backendCode: code }),
      });
      assert.match(error.message, /^Cannot read "a\/b" in s3:\/\/bucket\/root: /);
      assert.ok(
        error.message.includes(code === '' ? `${status}` : `${code}: said the server`),
        error.message,
      );
      const answer = { code, status, isOfBucket: false, isFromService: false };
      const { hint, ...meaning } = meaningOf(answer);
      assert.equal(meaning.kind, kind);
      assert.equal(error.hint, hint);
    });
  }

  it('says what to do where the operator can mend it', () => {
    for (const [status, code, , isTransient, scope] of TABLE) {
      const { hint } = errorOfResponse(CALL, response(status, code === '' ? '' : xml(code)));
      if (scope === 'backend' && !isTransient) assert.ok(hint, `${status} ${code}`);
    }
  });

  it('knows how long the server wants to be left alone', () => {
    for (const [value, ms] of [
      ['7', 7_000],
      ['0.5', 500],
      ['0', undefined],
      ['-3', undefined],
      ['soon', undefined],
      ['', undefined],
    ] as const) {
      const error = errorOfResponse(CALL, response(503, xml('SlowDown'), { 'Retry-After': value }));
      assert.equal(error.details.retryAfterMs, ms, value);
    }
  });

  it('reads a date to be asked again by the clock of the server, which may be another one', () => {
    const waitOf = (headers: Readonly<Record<string, string>>) =>
      errorOfResponse(CALL, response(503, xml('SlowDown'), headers)).details.retryAfterMs;
    const retryAfter = { 'Retry-After': 'Mon, 23 Nov 2026 06:00:30 GMT' };
    assert.equal(waitOf({ ...retryAfter, Date: 'Mon, 23 Nov 2026 06:00:00 GMT' }), 30_000);
    assert.equal(waitOf({ ...retryAfter, Date: 'Mon, 23 Nov 2026 06:00:31 GMT' }), undefined);
    const inAMinute = waitOf({ 'Retry-After': new Date(Date.now() + 60_000).toUTCString(), Date: 'soon' });
    assert.ok(inAMinute !== undefined && inAMinute > 50_000 && inAMinute <= 60_000, `${inAMinute}`);
  });

  it('tells a service that is busy from a balancer that has no service behind it', () => {
    const kindOf = (headers: Readonly<Record<string, string>>, body = '') =>
      errorOfResponse(CALL, response(503, body, headers)).kind;
    assert.equal(kindOf({ Server: 'haproxy' }, '<html>No server is available</html>'), 'unavailable');
    assert.equal(kindOf({ 'x-amz-request-id': '1' }), 'throttled');
    assert.equal(kindOf({ 'Retry-After': '3' }), 'throttled');
    assert.equal(kindOf({}, xml('SlowDown')), 'throttled');
  });

  it('knows no code that could be both a passing fault and one of the whole backend', () => {
    assert.ok(KNOWN_CODES.length > 80);
    for (const code of KNOWN_CODES) {
      const meaning = meaningOf({ code, status: 400, isOfBucket: false, isFromService: true });
      if (meaning.scope === 'backend') assert.ok(!meaning.isTransient && meaning.hint, code);
      if (meaning.isTransient) {
        assert.ok(['throttled', 'unavailable', 'timeout', 'corrupt'].includes(meaning.kind), code);
      }
    }
  });

  it('is not misled by bodies that are no S3 errors', () => {
    for (const body of [
      '<html><title>Bad gateway</title></html>',
      '{"Code":"NoSuchKey"}',
      '\0\xff',
      '<Code>',
      '',
    ]) {
      const error = errorOfResponse(CALL, response(502, body));
      assert.equal(error.kind, 'unavailable');
      assert.equal(error.details.backendCode, undefined);
    }
  });

  it('reads what is written with entities', () => {
    const error = errorOfResponse(CALL, response(400, xml('Odd', 'a &lt;b&gt; &amp; c')));
    assert.match(error.message, /Odd: a <b> & c$/);
  });

  it('names the backend where there is no key', () => {
    const error = errorOfResponse({ backend: 's3://bucket', operation: 'list' }, response(500));
    assert.match(error.message, /^Cannot list s3:\/\/bucket: /);
    assert.ok(!('key' in error.details));
  });
});

describe('errorOfWire()', () => {
  const faults: Readonly<Record<WireFault, readonly [ErrorKind, boolean, ErrorScope]>> = {
    connect: ['unavailable', true, 'object'],
    tls: ['unavailable', false, 'backend'],
    proxy: ['unavailable', true, 'object'],
    'proxy-refused': ['denied', false, 'backend'],
    reset: ['unavailable', true, 'object'],
    stale: ['unavailable', true, 'object'],
    truncated: ['corrupt', true, 'object'],
    timeout: ['timeout', true, 'object'],
    'too-slow': ['timeout', true, 'object'],
    malformed: ['corrupt', true, 'object'],
    'too-large': ['corrupt', true, 'object'],
  };
  for (const [fault, [kind, isTransient, scope]] of Object.entries(faults)) {
    it(`takes ${fault} for ${kind}`, () => {
      const cause = new WireError(fault as WireFault, 'it broke');
      const error = errorOfWire(CALL, cause);
      assert.ok(isStorageError(error, kind));
      assert.equal(error.cause, cause);
      assert.deepEqual(
        [error.details.isTransient, error.details.scope, error.details.backendCode, error.details.status],
        [isTransient, scope, `wire-${fault}`, undefined],
      );
      assert.equal(error.message, 'Cannot read "a/b" in s3://bucket/root: it broke');
    });
  }

  it('passes on an abort and whatever a body threw', () => {
    for (const error of [new Error('stopped'), 'reason', undefined, malformed(CALL, 'x')])
      assert.equal(errorOfWire(CALL, error), error);
  });
});

describe('malformed()', () => {
  it('is worth a retry and has no status, for the answer itself was a success', () => {
    const error = malformed(CALL, 'it makes no sense');
    assert.ok(isStorageError(error, 'corrupt'));
    assert.equal(error.details.isTransient, true);
    assert.equal(error.details.status, undefined);
    assert.equal(error.message, 'Cannot read "a/b" in s3://bucket/root: it makes no sense');
  });
});
