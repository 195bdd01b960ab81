import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ErrorKind, ErrorScope } from '../../../src/core/errors.ts';
import { azureErrorOf } from '../../../src/drivers/azure/azure-errors.ts';
import { whyInvalidAzureKey } from '../../../src/drivers/azure/azure-keys.ts';
import type { HttpResponse } from '../../../src/transport/http-types.ts';

/** In everything that the service itself says. */
const OWN = { 'x-ms-request-id': '1' };
const CALL = { backend: 'azure://account/container', operation: 'read', key: 'a/b' };

function answer(status: number, headers: Readonly<Record<string, string>>, body = ''): HttpResponse {
  return {
    status,
    headers: new Map(Object.entries(headers)),
    body: Buffer.from(body),
    intoBytes: 0,
    isOverflow: false,
  };
}

function xml(code: string, message: string, more = ''): string {
  return `\ufeff<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>${message}\nRequestId:1\nTime:2</Message>${more}</Error>`;
}

type Row = readonly [status: number, code: string, kind: ErrorKind, isTransient: boolean, scope: ErrorScope];

/** Codes and statuses as the REST reference has them; an empty code stands for an answer without one. */
const TABLE: readonly Row[] = [
  [404, 'BlobNotFound', 'not-found', false, 'object'],
  [404, 'ContainerNotFound', 'not-found', false, 'backend'],
  [409, 'ContainerBeingDeleted', 'not-found', false, 'backend'],
  [404, '', 'not-found', false, 'object'],
  [403, 'AuthenticationFailed', 'denied', false, 'backend'],
  [401, 'InvalidAuthenticationInfo', 'denied', false, 'backend'],
  [403, 'AuthorizationPermissionMismatch', 'denied', false, 'object'],
  [403, 'AuthorizationFailure', 'denied', false, 'backend'],
  [403, 'KeyBasedAuthenticationNotPermitted', 'denied', false, 'backend'],
  [403, '', 'denied', false, 'object'],
  [412, 'ConditionNotMet', 'precondition', false, 'object'],
  [416, 'InvalidRange', 'range', false, 'object'],
  [400, 'Md5Mismatch', 'corrupt', true, 'object'],
  [400, 'Crc64Mismatch', 'corrupt', true, 'object'],
  [503, 'ServerBusy', 'throttled', true, 'object'],
  [429, '', 'throttled', true, 'object'],
  [500, 'OperationTimedOut', 'timeout', true, 'object'],
  [500, 'InternalError', 'unavailable', true, 'object'],
  [502, '', 'unavailable', true, 'object'],
  [409, 'BlobArchived', 'unsupported', false, 'object'],
  [409, 'BlobBeingRehydrated', 'unsupported', false, 'object'],
  [409, 'InvalidBlobType', 'unsupported', false, 'object'],
  [400, 'InvalidBlobOrBlock', 'unsupported', false, 'object'],
  [409, 'BlobImmutableDueToPolicy', 'denied', false, 'object'],
  [400, 'InvalidBlockList', 'unexpected', false, 'object'],
  [400, '__proto__', 'unexpected', false, 'object'],
];

describe('a refusal of Azure', () => {
  for (const [status, code, kind, isTransient, scope] of TABLE) {
    it(`${status} ${code || 'without a code'} is ${kind}`, () => {
      const headers: Record<string, string> = code === '' ? OWN : { ...OWN, 'x-ms-error-code': code };
      const { details } = azureErrorOf(CALL, answer(status, headers), 'shared-key');
      assert.deepEqual(
        [details.kind, details.isTransient, details.scope, details.status, details.key],
        [kind, isTransient, scope, status, 'a/b'],
      );
      const byBody = azureErrorOf(
        CALL,
        answer(status, OWN, code === '' ? '' : xml(code, 'said')),
        'shared-key',
      );
      assert.equal(byBody.kind, kind, 'a code in the body counts as well');
    });
  }

  it('of a container that is missing without a code is of the whole backend', () => {
    const { key: _key, ...call } = CALL;
    assert.equal(azureErrorOf(call, answer(404, OWN), 'shared-key').details.scope, 'backend');
  });

  it('is none of Azure where somebody else says that an object is not there', () => {
    const { kind, details, hint } = azureErrorOf(
      CALL,
      answer(404, {}, '<html>Not found</html>'),
      'shared-key',
    );
    assert.deepEqual([kind, details.isTransient, details.scope], ['unavailable', true, 'object']);
    assert.equal(hint, 'Check that the endpoint is an Azure Blob Storage service');
  });

  it('says what to check of those who ask', () => {
    const refused = answer(403, { ...OWN, 'x-ms-error-code': 'AuthenticationFailed' });
    for (const [by, hint] of [
      ['shared-key', /accountname and accountkey.*clock/],
      ['sas', /the SAS is of this account/],
      ['client-secret', /application of clientid/],
      ['default', /who was logged in/],
    ] as const) {
      assert.match(azureErrorOf(CALL, refused, by).hint ?? '', hint);
    }
  });

  it('says how long to wait', () => {
    const busy = answer(503, { 'x-ms-error-code': 'ServerBusy', 'retry-after': '7' });
    assert.equal(azureErrorOf(CALL, busy, 'shared-key').details.retryAfterMs, 7_000);
  });

  for (const [code, hint] of [
    ['AuthenticationFailed', /accountkey.*clock/s],
    ['BlobTypeNotSupported', /no block blobs/],
    ['ContainerNotFound', /Create the container/],
    ['BlobArchived', /rehydrate/],
    ['InvalidBlobType', /append or page blob/],
    ['KeyBasedAuthenticationNotPermitted', /Entra ID/],
  ] as const) {
    it(`${code} says what to do`, () => {
      assert.match(
        azureErrorOf(CALL, answer(400, { 'x-ms-error-code': code }), 'shared-key').hint ?? '',
        hint,
      );
    });
  }

  it('repeats the first line alone, and neither what was to be signed nor a signature', () => {
    const body = xml(
      'AuthenticationFailed',
      'Refused: https://a/c?sv=1&amp;sig=abc%2Bdef= SharedKey account:c2lnbmF0dXJl the-key',
      "<AuthenticationErrorDetail>The MAC signature 'zzz' is not the same; string to sign was GET</AuthenticationErrorDetail>",
    );
    const { message } = azureErrorOf({ ...CALL, secrets: ['the-key'] }, answer(403, {}, body), 'sas');
    assert.match(
      message,
      /^Cannot read "a\/b" in azure:\/\/account\/container: AuthenticationFailed: Refused/,
    );
    for (const secret of ['abc', 'c2lnbmF0dXJl', 'the-key', 'zzz', 'RequestId'])
      assert.ok(!message.includes(secret), `${secret} in: ${message}`);
  });
});

describe('the name of a blob', () => {
  for (const key of [
    '',
    'x'.repeat(1_025),
    'a\\b',
    'a/./b',
    '../a',
    'a.',
    'a./b',
    'a\nb',
    'a\uffff',
    'half\ud83d',
  ])
    it(`may not be ${JSON.stringify(key.slice(0, 20))}`, () => {
      assert.notEqual(whyInvalidAzureKey(key), undefined);
    });

  for (const key of ['a', '/docker/registry/v2/x', 'é'.repeat(1_024), '.hidden', 'a..b/c', 'a/', '//x'])
    it(`may be ${JSON.stringify(key.slice(0, 30))}`, () => {
      assert.equal(whyInvalidAzureKey(key), undefined);
    });
});
