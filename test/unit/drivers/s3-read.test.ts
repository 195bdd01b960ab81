import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { isStorageError, type StorageError } from '../../../src/core/errors.ts';
import { bodyOfBytes } from '../../../src/drivers/body.ts';
import type { ReadOptions, ReadResult } from '../../../src/drivers/driver.ts';
import { ok, refusal, type Scripted, scriptedS3 } from './scripted-s3.ts';

const CTX = { signal: new AbortController().signal };
const DIGITS = '0123456789';
const ETAG = '"0123456789abcdef0123456789abcdef"';

interface Read {
  readonly text: string;
  readonly result: ReadResult;
  readonly range: string | undefined;
}

/** Reads into a buffer of `room` bytes that held something else before. */
async function read(
  t: TestContext,
  scripted: Scripted | readonly Scripted[],
  room: number,
  options: ReadOptions = {},
): Promise<Read> {
  const answers = typeof scripted === 'string' || 'raw' in scripted ? [scripted] : scripted;
  const { driver, asked } = await scriptedS3(
    t,
    (_, index) => answers[index] ?? refusal('500 No', 'NotScripted'),
  );
  const memory = Buffer.alloc(room + 8, '?');
  const into = memory.subarray(4, 4 + room);
  const result = await driver.read(CTX, 'a key', into, options);
  assert.equal(memory.toString('latin1', 0, 4), '????');
  assert.equal(memory.toString('latin1', 4 + room), '????');
  return {
    text: into.toString('latin1', 0, result.bytesRead),
    result,
    range: asked[0]?.headers.get('range'),
  };
}

function isRefused(kind: StorageError['kind'], isTransient: boolean, pattern = /./) {
  return (error: unknown): boolean => {
    assert.ok(isStorageError(error), String(error));
    assert.equal(error.kind, kind, error.message);
    assert.equal(error.details.isTransient, isTransient);
    assert.equal(error.details.key, 'a key');
    assert.match(error.message, pattern);
    return true;
  };
}

function partial(range: string, body: string): string {
  return ok(body, { 'Content-Range': `bytes ${range}`, ETag: ETAG }, '206 Partial Content');
}

const CHUNKED_DIGITS = `HTTP/1.1 200 OK\r\nETag: ${ETAG}\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n`;

describe('S3Driver.read() of ranges', () => {
  it('asks for exactly the bytes that the buffer takes and gives them with the size of the whole', async (t) => {
    const { text, result, range } = await read(t, partial('3-6/10', '3456'), 4, { offset: 3 });
    assert.equal(range, 'bytes=3-6');
    assert.equal(text, '3456');
    assert.deepEqual(result, { bytesRead: 4, totalBytes: 10, version: ETAG, md5: ETAG.slice(1, -1) });
  });

  it('gives fewer bytes where the object ends before the buffer', async (t) => {
    const { text, result } = await read(t, partial('8-9/10', '89'), 4, { offset: 8 });
    assert.equal(text, '89');
    assert.equal(result.totalBytes, 10);
  });

  it('takes a 200 that carries the whole object where the range began at its start', async (t) => {
    const { text, result } = await read(t, ok(DIGITS, { ETag: ETAG }), 10);
    assert.equal(text, DIGITS);
    assert.equal(result.totalBytes, 10);
  });

  it('fills the buffer from a 200 that carries more than the range', async (t) => {
    const { text, result } = await read(t, ok(DIGITS, { ETag: ETAG }), 4);
    assert.equal(text, '0123');
    assert.deepEqual([result.bytesRead, result.totalBytes], [4, 10]);
  });

  it('asks for the size where a 200 without a length carries more than the range', async (t) => {
    const { text, result } = await read(t, [CHUNKED_DIGITS, ok('', { 'Content-Length': '10' })], 4);
    assert.equal(text, '0123');
    assert.deepEqual([result.bytesRead, result.totalBytes], [4, 10]);
  });

  it('does not take the start of an object for a range from its middle', async (t) => {
    await assert.rejects(
      read(t, ok(DIGITS, { ETag: ETAG }), 4, { offset: 3 }),
      isRefused('corrupt', true, /does not say which range/),
    );
  });

  for (const [what, answer] of [
    ['another range than was asked for', partial('4-7/10', '4567')],
    ['a range of an unknown whole', partial('3-6/*', '3456')],
    ['no range at all', ok('3456', { ETag: ETAG }, '206 Partial Content')],
    [
      'several ranges at once',
      ok('--x--', { 'Content-Type': 'multipart/byteranges' }, '206 Partial Content'),
    ],
    ['a range in other units', ok('3456', { 'Content-Range': 'items 3-6/10' }, '206 Partial Content')],
    ['no content', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['an answer of some proxy', ok('3456', {}, '203 Non-Authoritative')],
  ] as const) {
    it(`refuses ${what}`, async (t) => {
      await assert.rejects(read(t, answer, 4, { offset: 3 }), isRefused('corrupt', true));
      await assert.rejects(read(t, answer.replaceAll('3-6', '1-4'), 4), isRefused('corrupt', true));
    });
  }

  it('refuses fewer bytes than the range should have', async (t) => {
    await assert.rejects(
      read(t, partial('3-6/10', '345'), 4, { offset: 3 }),
      isRefused('corrupt', true, /3 bytes came instead of 4/),
    );
  });

  it('keeps to the buffer where the server sends more than the range', async (t) => {
    const { text, result } = await read(t, partial('3-9/10', '3456789'), 4, { offset: 3 });
    assert.equal(text, '3456');
    assert.equal(result.bytesRead, 4);
  });

  it('calls a body that ends early corrupt and worth a retry, never a short result', async (t) => {
    const cut = ok(
      '0123',
      { 'Content-Length': '10', 'Content-Range': 'bytes 0-9/10' },
      '206 Partial Content',
    );
    for (const end of ['close', 'reset'] as const)
      await assert.rejects(read(t, { raw: cut, end }, 10), isRefused('corrupt', true));
  });
});

describe('S3Driver.read() behind the end', () => {
  it('gives nothing and the size where the server names it', async (t) => {
    const answer = refusal('416 Range Not Satisfiable', 'InvalidRange', { 'Content-Range': 'bytes */10' });
    assert.deepEqual((await read(t, answer, 4, { offset: 10 })).result, { bytesRead: 0, totalBytes: 10 });
  });

  it('asks for the size where the server does not name it', async (t) => {
    const answers = [refusal('416 No', 'InvalidRange'), ok('', { 'Content-Length': '0' })];
    assert.deepEqual((await read(t, answers, 4)).result, { bytesRead: 0, totalBytes: 0 });
  });

  it('does not believe that a range inside the object cannot be had', async (t) => {
    const answer = refusal('416 No', 'InvalidRange', { 'Content-Range': 'bytes */10' });
    await assert.rejects(read(t, answer, 4, { offset: 3 }), isRefused('corrupt', true));
    const answers = [refusal('416 No', 'InvalidRange'), ok('', { 'Content-Length': '10' })];
    await assert.rejects(read(t, answers, 4, { offset: 3 }), isRefused('corrupt', true));
  });
});

describe('S3Driver.read() of whole objects', () => {
  it('does not take a page or an error with status 200 for the object', async (t) => {
    for (const type of ['application/xml', 'text/html; charset=utf-8', 'application/json', 'text/plain']) {
      const page = ok('<Error><Code>InternalError</Code></Error>', { 'Content-Type': type });
      await assert.rejects(
        read(t, page, 41, { isWhole: true }),
        isRefused('corrupt', true, /has no ETag, and so is no object/),
      );
    }
    const html = ok('<html></html>', { 'Content-Type': 'text/html', ETag: ETAG });
    assert.equal((await read(t, html, 13, { isWhole: true })).text, '<html></html>');
  });

  it('asks without a range and gives the checksums that the server keeps', async (t) => {
    const sha256 = Buffer.alloc(32, 7).toString('base64');
    const headers = { ETag: ETAG, 'x-amz-checksum-sha256': sha256, 'x-amz-checksum-crc32': 'AAAAAQ==' };
    const { text, result, range } = await read(t, ok(DIGITS, headers), 10, { isWhole: true });
    assert.equal(range, undefined);
    assert.equal(text, DIGITS);
    assert.deepEqual(result.checksums, { sha256: '07'.repeat(32), crc32: '00000001' });
  });

  it('leaves out checksums that are composite or malformed', async (t) => {
    const sha256 = Buffer.alloc(32, 7).toString('base64');
    for (const value of [`${sha256}-3`, 'AAAA', '']) {
      const { result } = await read(t, ok(DIGITS, { ETag: ETAG, 'x-amz-checksum-sha256': value }), 10, {
        isWhole: true,
      });
      assert.equal(result.checksums?.sha256, undefined, value);
    }
  });

  it('says how large an object is that outgrew the buffer, which it fills', async (t) => {
    const { text, result } = await read(t, ok(DIGITS, { ETag: ETAG }), 4, { isWhole: true });
    assert.equal(text, '0123');
    assert.deepEqual([result.bytesRead, result.totalBytes], [4, 10]);
  });

  it('does not call an object whole that outgrew the buffer and came without a length', async (t) => {
    const { result } = await read(t, [CHUNKED_DIGITS, ok('', { 'Content-Length': '10' })], 4, {
      isWhole: true,
    });
    assert.deepEqual([result.bytesRead, result.totalBytes], [4, 10]);
  });

  it('takes a whole object that came without a length', async (t) => {
    const { text, result } = await read(t, CHUNKED_DIGITS, 10, { isWhole: true });
    assert.equal(text, DIGITS);
    assert.equal(result.totalBytes, 10);
  });

  it('asks for the size of what ends with its connection: one that broke looks like the end', async (t) => {
    const open: Scripted = { raw: `HTTP/1.1 200 OK\r\nETag: ${ETAG}\r\n\r\n0123`, end: 'close' };
    for (const isWhole of [true, false]) {
      await assert.rejects(
        read(t, [open, ok('', { 'Content-Length': '10' })], 10, { isWhole }),
        isRefused('corrupt', true, /4 bytes came instead of 10/),
      );
      const { text, result } = await read(t, [open, ok('', { 'Content-Length': '4' })], 10, { isWhole });
      assert.equal(text, '0123');
      assert.equal(result.totalBytes, 4);
    }
  });

  it('does not take no content for an empty object', async (t) => {
    await assert.rejects(
      read(t, 'HTTP/1.1 204 No Content\r\n\r\n', 0, { isWhole: true }),
      isRefused('corrupt', true),
    );
  });

  it('reads an empty object into an empty buffer, and nothing of a larger one', async (t) => {
    const sizes = async (answer: string, options: ReadOptions) => {
      const { bytesRead, totalBytes } = (await read(t, answer, 0, options)).result;
      return [bytesRead, totalBytes];
    };
    assert.deepEqual(await sizes(ok('', { ETag: ETAG }), { isWhole: true }), [0, 0]);
    assert.deepEqual(await sizes(ok(DIGITS, { ETag: ETAG }), {}), [0, 10]);
    assert.deepEqual(await sizes(ok(DIGITS, { ETag: ETAG }), { offset: 5 }), [0, 10]);
  });
});

describe('S3Driver.read() of one version', () => {
  it('names the version, and calls another one a failed precondition', async (t) => {
    const { driver, asked } = await scriptedS3(t, () => refusal('412 No', 'PreconditionFailed'));
    await assert.rejects(
      driver.read(CTX, 'a key', Buffer.alloc(4), { version: ETAG }),
      isRefused('precondition', false),
    );
    assert.equal(asked[0]?.headers.get('if-match'), ETAG);
    assert.match(asked[0]?.headers.get('authorization') ?? '', /SignedHeaders=[^,]*if-match/);
  });
});

describe('S3Driver.write()', () => {
  it('does not take a success without an ETag for one of the storage', async (t) => {
    const page = ok('<html>Down for maintenance</html>', { 'Content-Type': 'text/html' });
    const { driver } = await scriptedS3(t, (_, index) => (index === 0 ? page : ok('', { ETag: ETAG })));
    const body = bodyOfBytes(Buffer.from(DIGITS));
    await assert.rejects(driver.write(CTX, 'a key', body, {}), isRefused('corrupt', true, /no ETag came/));
    assert.deepEqual(await driver.write(CTX, 'a key', body, {}), { version: ETAG });
  });
});

describe('S3Driver.stat()', () => {
  it('gives size and version', async (t) => {
    const { driver } = await scriptedS3(t, () => ok('', { 'Content-Length': '5497558138880', ETag: ETAG }));
    assert.deepEqual(await driver.stat(CTX, 'a key'), {
      key: 'a key',
      sizeBytes: 5 * 1024 ** 4,
      version: ETAG,
      md5: ETAG.slice(1, -1),
    });
  });

  for (const headers of [
    {},
    { 'Content-Length': '' },
    { 'Content-Length': '-1' },
    { 'Content-Length': '1e3' },
  ]) {
    it(`refuses an answer that has ${JSON.stringify(headers)} for a size`, async (t) => {
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      const { driver } = await scriptedS3(t, () => `HTTP/1.1 200 OK\r\n${lines.join('')}ETag: "x"\r\n\r\n`);
      await assert.rejects(driver.stat(CTX, 'a key'), isRefused('corrupt', true, /no size/));
    });
  }

  it('knows from the status alone what is missing or denied, for HEAD has no body', async (t) => {
    for (const [status, kind] of [
      ['404 Not Found', 'not-found'],
      ['403 Forbidden', 'denied'],
    ] as const) {
      const { driver } = await scriptedS3(t, () => `HTTP/1.1 ${status}\r\nContent-Length: 300\r\n\r\n`);
      await assert.rejects(driver.stat(CTX, 'a key'), isRefused(kind, false));
    }
  });
});

describe('S3Driver and names that S3 cannot hold', () => {
  for (const [what, key] of [
    ['an empty one', ''],
    ['one of 1,025 bytes', 'k'.repeat(1_025)],
    ['one of 1,026 bytes in 513 characters', 'ü'.repeat(513)],
    ['one with half a surrogate pair', 'a\ud800b'],
  ] as const) {
    it(`refuses ${what} before it asks the server`, async (t) => {
      const { driver, asked } = await scriptedS3(t, () => ok());
      const body = { sizeBytes: 0, bytes: Buffer.alloc(0), open: () => nothing() };
      for (const call of [
        () => driver.stat(CTX, key),
        () => driver.read(CTX, key, Buffer.alloc(1), {}),
        () => driver.write(CTX, key, body, {}),
        () => driver.remove(CTX, key),
        () => driver.multipart.begin(CTX, key),
      ]) {
        await assert.rejects(call(), (error) => isStorageError(error, 'invalid-name'));
      }
      assert.equal(asked.length, 0);
    });
  }

  it('asks for the longest name there can be', async (t) => {
    const { driver, asked } = await scriptedS3(t, () => ok('', { 'Content-Length': '1' }));
    const key = `${'ü'.repeat(511)}ab`;
    await driver.stat(CTX, key);
    assert.equal(asked[0]?.path, `/bucket/${key}`);
  });
});

async function* nothing(): AsyncGenerator<Uint8Array> {
  yield* [];
}
