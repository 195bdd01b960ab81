/** The compatibility engine over answers that say less, or something else, than was asked. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { isStorageError } from '../../../src/core/errors.ts';
import { bodyOfBytes } from '../../../src/drivers/body.ts';
import type { ListQuery, ReadOptions } from '../../../src/drivers/driver.ts';
import { openS3SdkDriver, type S3SdkDriver } from '../../../src/drivers/s3/s3-sdk-driver.ts';
import { type Asked, ok, refusal, type Scripted, scriptedServer } from './scripted-s3.ts';

const CTX = { signal: new AbortController().signal };
const DIGITS = '0123456789';
const CHUNKED_DIGITS =
  'HTTP/1.1 200 OK\r\nETag: "x"\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n';

async function open(
  t: TestContext,
  answerTo: (asked: Asked, index: number) => Scripted,
): Promise<{ driver: S3SdkDriver; asked: readonly Asked[] }> {
  const { spec, asked } = await scriptedServer(t, answerTo);
  const driver = await openS3SdkDriver({ storage: spec, engine: 'sdk' });
  t.after(() => driver.close());
  return { driver, asked };
}

function isCorrupt(error: unknown): boolean {
  assert.ok(isStorageError(error, 'corrupt'), String(error));
  assert.equal(error.details.isTransient, true);
  return true;
}

async function read(
  t: TestContext,
  answers: readonly Scripted[],
  room: number,
  options: ReadOptions = {},
): Promise<readonly [text: string, totalBytes: number]> {
  const { driver } = await open(t, (_, index) => answers[index] ?? refusal('500 No', 'NotScripted'));
  const into = Buffer.alloc(room, '?');
  const { bytesRead, totalBytes } = await driver.read(CTX, 'a key', into, options);
  return [into.toString('latin1', 0, bytesRead), totalBytes];
}

const partial = (range: string, body: string) =>
  ok(body, { ETag: '"x"', 'Content-Range': `bytes ${range}` }, '206 Partial Content');

describe('S3SdkDriver.read()', () => {
  it('gives the range that was asked for, and where the object ends', async (t) => {
    assert.deepEqual(await read(t, [partial('3-6/10', '3456')], 4, { offset: 3 }), ['3456', 10]);
    assert.deepEqual(await read(t, [partial('8-9/10', '89')], 4, { offset: 8 }), ['89', 10]);
  });

  it('does not take the start of an object, or another range, for what was asked', async (t) => {
    for (const answer of [ok(DIGITS, { ETag: '"x"' }), partial('4-7/10', '4567'), partial('3-6/*', '3456')])
      await assert.rejects(read(t, [answer], 4, { offset: 3 }), isCorrupt);
  });

  it('takes the whole object where the range began at its start', async (t) => {
    assert.deepEqual(await read(t, [ok(DIGITS, { ETag: '"x"' })], 10), [DIGITS, 10]);
    assert.deepEqual(await read(t, [ok(DIGITS, { ETag: '"x"' })], 4), ['0123', 10]);
  });

  it('knows how large an object is that came without a length', async (t) => {
    const size = ok('', { 'Content-Length': '10' });
    assert.deepEqual(await read(t, [CHUNKED_DIGITS, size], 20, { isWhole: true }), [DIGITS, 10]);
    assert.deepEqual(await read(t, [CHUNKED_DIGITS, size], 10, { isWhole: true }), [DIGITS, 10]);
    assert.deepEqual(await read(t, [CHUNKED_DIGITS, size], 4, { isWhole: true }), ['0123', 10]);
  });

  it('does not take the end of a connection for that of the object', async (t) => {
    const ended: Scripted = { raw: 'HTTP/1.1 200 OK\r\nETag: "x"\r\n\r\n0123', end: 'close' };
    const size = ok('', { 'Content-Length': '10' });
    await assert.rejects(read(t, [ended, size], 10, { isWhole: true }), isCorrupt);
  });

  it('never gives a short result for a body that ends early', async (t) => {
    const cut = ok('0123', { 'Content-Length': '10' });
    for (const end of ['close', 'reset'] as const) {
      await assert.rejects(read(t, [{ raw: cut, end }], 10, { isWhole: true }), (error) => {
        assert.ok(isStorageError(error), String(error));
        assert.equal(error.details.isTransient, true);
        return true;
      });
    }
    await assert.rejects(read(t, [partial('3-6/10', '345')], 4, { offset: 3 }), isCorrupt);
  });
});

describe('S3SdkDriver', () => {
  it('knows a refusal by its code where the server gives no message, as Ceph gives none', async (t) => {
    const body = '<?xml version="1.0"?><Error><Code>XAmzContentSHA256Mismatch</Code></Error>';
    const { driver } = await open(t, () => ok(body, {}, '400 Bad Request'));
    await assert.rejects(driver.write(CTX, 'a key', bodyOfBytes(Buffer.from('x')), {}), (error) => {
      assert.ok(isCorrupt(error) && isStorageError(error));
      assert.match(error.message, /: XAmzContentSHA256Mismatch$/);
      return error.details.backendCode === 'XAmzContentSHA256Mismatch';
    });
  });

  it('makes no code of an answer that has none', async (t) => {
    const { driver } = await open(t, () => ok('<html></html>', {}, '404 Not Found'));
    await assert.rejects(driver.write(CTX, 'a key', bodyOfBytes(Buffer.from('x')), {}), (error) => {
      assert.ok(isStorageError(error, 'not-found'));
      return error.details.backendCode === undefined;
    });
  });

  it('does not take a success without an ETag for one of the storage', async (t) => {
    const { driver } = await open(t, () => ok('<html></html>', { 'Content-Type': 'text/html' }));
    const body = bodyOfBytes(Buffer.from(DIGITS));
    await assert.rejects(driver.write(CTX, 'k', body, {}), /no ETag came/);
  });

  it('takes an object of parts from a server that gives it no ETag in the answer to Complete', async (t) => {
    const begun = '<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>';
    const { driver, asked } = await open(t, ({ method, query }) => {
      if (method === 'PUT') return ok('', { ETag: '"part"' });
      return ok(query.has('uploads') ? begun : '<CompleteMultipartUploadResult/>');
    });
    const body = bodyOfBytes(Buffer.alloc(20 * 1024 ** 2));
    assert.ok(driver.streamUpload);
    assert.deepEqual(await driver.streamUpload.upload(CTX, 'k', body, {}), {});
    assert.ok(asked.some(({ method, query }) => method === 'POST' && query.has('uploadId')));
  });

  const CALLS: Readonly<Record<string, (driver: S3SdkDriver) => Promise<unknown>>> = {
    list: async (driver) => {
      for await (const _ of driver.list(CTX, { prefix: '' }));
    },
    stat: (driver) => driver.stat(CTX, 'k'),
    read: (driver) => driver.read(CTX, 'k', Buffer.alloc(4), {}),
    write: (driver) => driver.write(CTX, 'k', bodyOfBytes(Buffer.from('x')), {}),
    remove: (driver) => driver.remove(CTX, 'k'),
  };
  for (const [operation, call] of Object.entries(CALLS)) {
    it(`asks once to ${operation}: whoever owns the retries tries again`, async (t) => {
      const { driver, asked } = await open(t, () => refusal('503 Slow Down', 'SlowDown'));
      await assert.rejects(call(driver), (error) => isStorageError(error) && error.details.isTransient);
      assert.equal(asked.length, 1);
    });
  }
});

describe('S3SdkDriver.stat()', () => {
  it('knows an object by its size, however large: a HEAD has no body that would have to be held', async (t) => {
    const bytes = 5 * 1024 ** 4;
    const { driver } = await open(t, () => ok('', { 'Content-Length': String(bytes), ETag: '"e"' }));
    assert.equal((await driver.stat(CTX, 'k')).sizeBytes, bytes);
  });

  it('refuses an answer without a size', async (t) => {
    const { driver } = await open(t, () => 'HTTP/1.1 200 OK\r\nETag: "x"\r\n\r\n');
    await assert.rejects(driver.stat(CTX, 'k'), isCorrupt);
  });
});

describe('S3SdkDriver.list()', () => {
  interface Page {
    readonly keys?: readonly string[];
    readonly token?: string;
    readonly isTruncated?: boolean;
    readonly size?: string;
  }

  function page({
    keys = [],
    token,
    isTruncated = token !== undefined,
    size = '<Size>1</Size>',
  }: Page): string {
    const next = token === undefined ? '' : `<NextContinuationToken>${token}</NextContinuationToken>`;
    const contents = keys.map((key) => `<Contents><Key>${key}</Key>${size}</Contents>`).join('');
    return ok(
      `<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EncodingType>url</EncodingType><IsTruncated>${isTruncated}</IsTruncated>${next}${contents}</ListBucketResult>`,
    );
  }

  async function list(
    t: TestContext,
    pages: readonly string[],
    query: Partial<ListQuery> = {},
  ): Promise<string[]> {
    const { driver } = await open(t, (_, index) => pages[index] ?? pages.at(-1) ?? '');
    const keys: string[] = [];
    for await (const { objects } of driver.list(CTX, { prefix: '', ...query }))
      keys.push(...objects.map(({ key }) => key));
    return keys;
  }

  it('reads encoded keys over several pages', async (t) => {
    const keys = await list(t, [
      page({ keys: ['a%2Fb', 'c+d'], token: 't' }),
      page({ keys: ['e%2Bf', '%C3%A9'] }),
    ]);
    assert.deepEqual(keys, ['a/b', 'c d', 'e+f', 'é']);
  });

  it('leaves out what a server that does not know start-after gives too much', async (t) => {
    assert.deepEqual(await list(t, [page({ keys: ['a', 'b', 'c'] })], { after: 'b' }), ['c']);
  });

  for (const [what, pages, query] of [
    ['goes on without saying where', [page({ keys: ['a'], isTruncated: true })], {}],
    ['goes on where it began', [page({ keys: ['a'], token: 'same' })], {}],
    ['has an entry without a size', [page({ keys: ['a'], size: '' })], {}],
    ['has a name that is not UTF-8', [page({ keys: ['a%FF'] })], {}],
    ['names keys that were not asked for', [page({ keys: ['q/a'] })], { prefix: 'p/' }],
  ] as const) {
    it(`refuses a listing that ${what}`, async (t) => {
      await assert.rejects(list(t, pages, query), isCorrupt);
    });
  }
});
