/** Complete whose answer was lost: what proves that the object which is there now is this one. */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { isStorageError } from '../../../src/core/errors.ts';
import type { Binding, PartReceipt } from '../../../src/drivers/driver.ts';
import { ok, refusal, scriptedS3 } from './scripted-s3.ts';

const CTX = { signal: new AbortController().signal };
const UPLOAD = { key: 'a key', id: 'an id' };
const SUMS = [hash('md5', 'one', 'hex'), hash('md5', 'two', 'hex')];
const PARTS: readonly PartReceipt[] = SUMS.map((md5, at) => ({
  number: at + 1,
  sizeBytes: 4,
  tag: `"${md5}"`,
  crc32: at,
}));
/** The MD5 of the MD5s, as S3 makes it. */
const TAG = `"${hash('md5', Buffer.from(SUMS.join(''), 'hex'), 'hex')}-2"`;
const BINDING: Binding = {
  payloadSha256: true,
  contentMd5: true,
  partCrc32: true,
  objectCrc32: true,
  storesSha256: true,
};
const WHOLE = { sizeBytes: 8, crc32: 0x80000000 };
const GONE = refusal('404 Not Found', 'NoSuchUpload');
const BUSY = refusal('500 Internal Server Error', 'InternalError');

function head(fields: Readonly<Record<string, string>>): string {
  return ok('', { 'Content-Length': '8', ETag: '"another"', ...fields });
}

interface Answers {
  readonly complete: string;
  readonly stat: string;
  readonly parts?: string;
  readonly parts2?: readonly PartReceipt[];
}

async function complete(test: TestContext, answers: Answers) {
  const { driver, asked } = await scriptedS3(
    test,
    ({ method }) => {
      if (method === 'HEAD') return answers.stat;
      return method === 'POST' ? answers.complete : (answers.parts ?? GONE);
    },
    { binding: BINDING },
  );
  const result = await driver.multipart.complete(CTX, UPLOAD, answers.parts2 ?? PARTS, WHOLE).then(
    ({ version }) => version,
    (error: unknown) => error,
  );
  return { result, methods: asked.map(({ method }) => method) };
}

describe('S3Driver.multipart.complete() of an upload that the server does not know', () => {
  it('is done when the ETag is that of these parts, or the CRC-32 of the whole is the right one', async (t) => {
    const sums = { 'x-amz-checksum-crc32': 'gAAAAA==', 'x-amz-checksum-type': 'FULL_OBJECT' };
    for (const [fields, version] of [
      [{ ETag: TAG }, TAG],
      [sums, '"another"'],
    ] as const) {
      for (const answer of [GONE, BUSY]) {
        const { result, methods } = await complete(t, { complete: answer, stat: head(fields) });
        assert.equal(result, version);
        assert.deepEqual(methods, ['POST', 'HEAD']);
      }
    }
  });

  it('is not, when what is there may be another object', async (t) => {
    const opaque = PARTS.map((part) => ({ ...part, tag: '"not an MD5"' }));
    const crc32 = { 'x-amz-checksum-crc32': 'gAAAAA==' };
    const others: readonly Omit<Answers, 'complete'>[] = [
      { stat: 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n' },
      { stat: 'HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n' },
      { stat: head({}) },
      { stat: head({ ETag: TAG, 'Content-Length': '9' }) },
      { stat: head({ ETag: TAG.replace('-2', '-3') }) },
      { stat: head({ ETag: '""' }), parts2: opaque },
      { stat: head({ ETag: TAG }), parts2: opaque },
      { stat: head(crc32) },
      { stat: head({ ...crc32, 'x-amz-checksum-type': 'COMPOSITE' }) },
      { stat: head({ 'x-amz-checksum-crc32': 'AAAAAQ==', 'x-amz-checksum-type': 'FULL_OBJECT' }) },
    ];
    for (const answers of others) {
      const { result } = await complete(t, { complete: GONE, ...answers });
      assert.ok(isStorageError(result, 'not-found'), `${answers.stat}: ${String(result)}`);
      assert.equal(result.details.backendCode, 'NoSuchUpload');
    }
  });

  it('is told from one that is still being completed by its list of parts', async (t) => {
    const parts = ok('<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>');
    const busy = await complete(t, { complete: BUSY, stat: head({}), parts });
    assert.ok(isStorageError(busy.result, 'unavailable') && busy.result.details.isTransient);
    const gone = await complete(t, { complete: BUSY, stat: head({}) });
    assert.ok(isStorageError(gone.result, 'not-found'));
    assert.deepEqual(gone.methods, ['POST', 'HEAD', 'GET']);
  });

  it('is not looked at after any other refusal', async (t) => {
    const refused = refusal('403 Forbidden', 'AccessDenied');
    const { result, methods } = await complete(t, { complete: refused, stat: head({ ETag: TAG }) });
    assert.ok(isStorageError(result, 'denied'));
    assert.deepEqual(methods, ['POST']);
  });
});
