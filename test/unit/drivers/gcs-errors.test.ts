import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isStorageError } from '../../../src/core/errors.ts';
import { KNOWN_GCS_CODES, meaningOfGcsCode } from '../../../src/drivers/gcs/gcs-error-codes.ts';
import { allOf, CTX, gcsWorldFor } from '../../support/gcs-world.ts';

interface Case {
  readonly status: number;
  readonly code?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Kind, scope, worth trying again. */
  readonly is: readonly [string, 'object' | 'backend', boolean];
  readonly hint?: RegExp;
}

const READS: readonly Case[] = [
  { status: 404, code: 'NoSuchKey', is: ['not-found', 'object', false] },
  { status: 404, is: ['not-found', 'object', false] },
  { status: 404, code: 'NoSuchBucket', is: ['not-found', 'backend', false], hint: /Create the bucket/ },
  { status: 403, code: 'AccessDenied', is: ['denied', 'object', false], hint: /Storage Object Viewer/ },
  { status: 403, is: ['denied', 'object', false], hint: /Storage Object Viewer/ },
  { status: 401, code: 'AuthenticationRequired', is: ['denied', 'backend', false], hint: /token is refused/ },
  { status: 403, code: 'RequestTimeTooSkewed', is: ['denied', 'backend', false], hint: /clock/ },
  { status: 403, code: 'UserProjectAccountProblem', is: ['denied', 'backend', false], hint: /billing/ },
  { status: 400, code: 'UserProjectMissing', is: ['denied', 'backend', false], hint: /requesters pay/ },
  { status: 403, code: 'ObjectUnderActiveHold', is: ['denied', 'object', false], hint: /held/ },
  { status: 403, code: 'CloudKmsDisabledKey', is: ['denied', 'backend', false], hint: /kmskeyname/ },
  { status: 412, code: 'PreconditionFailed', is: ['precondition', 'object', false] },
  { status: 400, code: 'BadDigest', is: ['corrupt', 'object', true] },
  { status: 429, code: 'TooManyRequests', is: ['throttled', 'object', true], hint: /--requests/ },
  { status: 429, is: ['throttled', 'object', true] },
  { status: 503, code: 'SlowDown', is: ['throttled', 'object', true] },
  { status: 503, is: ['unavailable', 'object', true] },
  { status: 503, headers: { 'retry-after': '7' }, is: ['throttled', 'object', true] },
  { status: 500, code: 'InternalError', is: ['unavailable', 'object', true] },
  { status: 502, is: ['unavailable', 'object', true] },
  { status: 408, is: ['timeout', 'object', true] },
  { status: 501, is: ['unsupported', 'object', false] },
  { status: 307, is: ['unsupported', 'backend', false], hint: /endpoint/ },
  { status: 418, is: ['unexpected', 'object', false] },
];

describe('refusals of Cloud Storage', () => {
  for (const { status, code, headers = {}, is, hint } of READS) {
    const name = `${status} ${code ?? 'without a code'}${headers['retry-after'] ? ' with Retry-After' : ''}`;
    it(`${name} is ${is.join(', ')}`, async (t) => {
      const { fake, driver } = await gcsWorldFor(t);
      const body = code === undefined ? '' : `<Error><Code>${code}</Code><Message>No.</Message></Error>`;
      fake.intercept = () => ({ status, body, headers });
      const error = await driver.read(CTX, 'key', new Uint8Array(1), {}).catch((reason: unknown) => reason);
      assert.ok(isStorageError(error));
      const { kind, scope, isTransient, backendCode, retryAfterMs, key } = error.details;
      assert.deepEqual([kind, scope, isTransient], is);
      assert.deepEqual([backendCode, key], [code, 'key']);
      assert.equal(retryAfterMs, headers['retry-after'] ? 7_000 : undefined);
      if (hint) assert.match(error.hint ?? '', hint);
    });
  }

  for (const [status, reason, kind] of [
    [404, 'notFound', 'not-found'],
    [403, 'forbidden', 'denied'],
    [401, 'authError', 'denied'],
    [429, 'rateLimitExceeded', 'throttled'],
    [503, 'backendError', 'unavailable'],
  ] as const) {
    it(`${status} ${reason} of the JSON API is ${kind}`, async (t) => {
      const { fake, driver } = await gcsWorldFor(t);
      const body = JSON.stringify({ error: { code: status, message: 'No.', errors: [{ reason }] } });
      fake.intercept = () => ({ status, body });
      const listing = allOf(driver.list(CTX, { prefix: '' }));
      const error = await listing.catch((cause: unknown) => cause);
      assert.ok(isStorageError(error));
      assert.deepEqual([error.kind, error.details.backendCode], [kind, reason]);
      assert.match(error.message, /gs:\/\/bucket.*: \w+: No\.$/);
      if (status === 404) assert.equal(error.details.scope, 'backend');
    });
  }

  it('have a meaning for every code of the table, and for no other', () => {
    for (const code of KNOWN_GCS_CODES) assert.ok(meaningOfGcsCode(code), code);
    for (const code of ['', 'toString', 'NoSuchThing']) assert.equal(meaningOfGcsCode(code), undefined);
  });

  it('repeat no token that a server or a proxy says again', async (t) => {
    const { fake, driver } = await gcsWorldFor(t, {
      access: { kind: 'credentials', credentials: { private_key: 'very-private' } },
    });
    fake.intercept = () => ({
      status: 400,
      body: '<Error><Code>InvalidArgument</Code><Message>authorization: Bearer token; very-private</Message></Error>',
    });
    const error = await driver.stat(CTX, 'key').catch((reason: unknown) => reason);
    assert.ok(isStorageError(error));
    const read = await driver.read(CTX, 'key', new Uint8Array(1), {}).catch((reason: unknown) => reason);
    assert.ok(isStorageError(read));
    assert.doesNotMatch(read.message, /Bearer token|very-private/);
  });
});
