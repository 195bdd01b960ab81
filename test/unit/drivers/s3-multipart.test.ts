import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { describe, it } from 'node:test';
import type { ErrorKind } from '../../../src/core/errors.ts';
import { isStorageError } from '../../../src/core/errors.ts';
import { bodyOfBytes } from '../../../src/drivers/body.ts';
import type { Binding, Body } from '../../../src/drivers/driver.ts';
import { ok, refusal, type Scripted, scriptedS3 } from './scripted-s3.ts';

const CTX = { signal: new AbortController().signal };
const UPLOAD = { key: 'a key', id: 'id/+=&' };
const COMPLETED =
  '<?xml version="1.0"?>\n<CompleteMultipartUploadResult><ETag>&quot;x-2&quot;</ETag></CompleteMultipartUploadResult>';
const PARTS = [
  { number: 1, sizeBytes: 5, tag: '"<1>"', crc32: 1 },
  { number: 2, sizeBytes: 3, tag: 'plain', crc32: 0xffffffff },
];
const CRC32: Binding = {
  payloadSha256: true,
  contentMd5: true,
  partCrc32: true,
  objectCrc32: true,
  storesSha256: true,
};
const SIGNED: Binding = { ...CRC32, partCrc32: false, objectCrc32: false };
const MD5_ONLY: Binding = { ...SIGNED, payloadSha256: false, storesSha256: false };

function streamed(text: string): Body {
  return {
    sizeBytes: text.length,
    async *open() {
      for (const char of text) yield Buffer.from(char);
    },
  };
}

describe('S3Driver.multipart.complete()', () => {
  it('names the parts in order with their tags as they came', async (t) => {
    const { driver, asked } = await scriptedS3(t, () => ok(COMPLETED), { binding: SIGNED });
    const result = await driver.multipart.complete(CTX, UPLOAD, PARTS, { sizeBytes: 8 });
    assert.deepEqual(result, { version: '"x-2"' });
    const [one] = asked;
    assert.ok(one);
    assert.equal(one.method, 'POST');
    assert.equal(one.query.get('uploadId'), UPLOAD.id);
    assert.match(
      one.body.toString(),
      /^<CompleteMultipartUpload [^>]*><Part><PartNumber>1<\/PartNumber><ETag>&#34;&#60;1&#62;&#34;<\/ETag><\/Part><Part><PartNumber>2<\/PartNumber><ETag>plain<\/ETag><\/Part><\/CompleteMultipartUpload>$/,
    );
    assert.equal(one.headers.get('x-amz-content-sha256'), hash('sha256', one.body, 'hex'));
    assert.equal(one.headers.get('x-amz-checksum-crc32'), undefined);
  });

  it('sends nothing where the parts are not the whole object: a service would make one of what is named', async (t) => {
    const { driver, asked } = await scriptedS3(t, () => ok(COMPLETED), { binding: SIGNED });
    const [first, second] = PARTS;
    assert.ok(first && second);
    const given = [
      { parts: [first], sizeBytes: 8 },
      { parts: [second], sizeBytes: 3 },
      { parts: [second, first], sizeBytes: 8 },
      { parts: PARTS, sizeBytes: 9 },
    ];
    for (const { parts, sizeBytes } of given) {
      const completing = driver.multipart.complete(CTX, UPLOAD, parts, { sizeBytes });
      await assert.rejects(completing, (error) => isStorageError(error, 'unexpected'));
    }
    assert.equal(asked.length, 0);
  });

  it('sends the checksum of the whole and of each part that has one, to a server that checks them', async (t) => {
    const { driver, asked } = await scriptedS3(t, () => ok(COMPLETED), { binding: CRC32 });
    const [first, second] = PARTS;
    assert.ok(first && second);
    const unknown = { number: 3, sizeBytes: 1, tag: 'resumed' };
    await driver.multipart.complete(CTX, UPLOAD, [first, second, unknown], {
      sizeBytes: 9,
      crc32: 0x80000000,
    });
    const [one] = asked;
    assert.equal(one?.headers.get('x-amz-checksum-crc32'), 'gAAAAA==');
    assert.equal(one?.headers.get('x-amz-checksum-type'), 'FULL_OBJECT');
    assert.deepEqual(
      [...(one?.body.toString() ?? '').matchAll(/<ChecksumCRC32>([^<]*)</g)].map((match) => match[1]),
      ['AAAAAQ==', '/////w=='],
    );
  });

  const inSuccess: readonly (readonly [code: string, kind: ErrorKind, isTransient: boolean])[] = [
    ['InternalError', 'unavailable', true],
    ['SlowDown', 'throttled', true],
    ['NoSuchUpload', 'not-found', false],
    ['InvalidPart', 'unexpected', false],
    ['EntityTooSmall', 'unsupported', false],
    ['BadDigest', 'corrupt', true],
    ['PreconditionFailed', 'precondition', false],
    ['SomethingNew', 'unavailable', true],
  ];
  for (const [code, kind, isTransient] of inSuccess) {
    it(`finds ${code} in a success`, async (t) => {
      const wraps = [
        (xml: string) => xml,
        (xml: string) => `<?xml version="1.0"?>\n   \n \n${xml}`,
        (xml: string) => xml.replace('<Error>', '<Error xmlns="x">'),
      ];
      for (const wrap of wraps) {
        const body = wrap(`<Error><Code>${code}</Code><Message>m</Message></Error>`);
        const { driver } = await scriptedS3(t, () => ok(body));
        await assert.rejects(driver.multipart.complete(CTX, UPLOAD, PARTS, { sizeBytes: 8 }), (error) => {
          assert.ok(isStorageError(error, kind), String(error));
          assert.equal(error.details.backendCode, code);
          assert.equal(error.details.isTransient, isTransient);
          return true;
        });
      }
    });
  }

  it('waits for the result behind white space that keeps the connection open', async (t) => {
    const chunks = `1\r\n \r\n1\r\n\n\r\n${COMPLETED.length.toString(16)}\r\n${COMPLETED}\r\n0\r\n\r\n`;
    const { driver } = await scriptedS3(
      t,
      () => `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`,
    );
    await driver.multipart.complete(CTX, UPLOAD, PARTS, { sizeBytes: 8 });
  });

  const nonsense: readonly (readonly [string, Scripted])[] = [
    ['nothing', ok('')],
    ['white space only', ok(' \n \n')],
    ['another document', ok('<html>login</html>')],
    ['half a result', { raw: ok(COMPLETED.slice(0, 40), { 'Content-Length': '900' }), end: 'close' }],
  ];
  for (const [what, answer] of nonsense) {
    it(`does not take ${what} for a result`, async (t) => {
      const { driver } = await scriptedS3(t, () => answer);
      await assert.rejects(
        driver.multipart.complete(CTX, UPLOAD, PARTS, { sizeBytes: 8 }),
        (error) => isStorageError(error, 'corrupt') && error.details.isTransient,
      );
    });
  }
});

describe('S3Driver.multipart.begin() and putPart()', () => {
  it('ask for a checksum of the whole only where the server was seen to check it', async (t) => {
    const id = '<InitiateMultipartUploadResult><UploadId>a&amp;b</UploadId></InitiateMultipartUploadResult>';
    for (const [binding, expected] of [
      [CRC32, 'CRC32 FULL_OBJECT'],
      [SIGNED, 'undefined undefined'],
    ] as const) {
      const { driver, asked } = await scriptedS3(t, () => ok(id), { binding });
      assert.deepEqual(await driver.multipart.begin(CTX, 'a key'), { key: 'a key', id: 'a&b' });
      const headers = asked[0]?.headers;
      assert.equal(
        `${headers?.get('x-amz-checksum-algorithm')} ${headers?.get('x-amz-checksum-type')}`,
        expected,
      );
      assert.equal(driver.multipart.partChecksum, binding === CRC32 ? 'crc32' : 'sha256');
    }
  });

  it('refuses an upload without an id', async (t) => {
    const { driver } = await scriptedS3(t, () => ok('<InitiateMultipartUploadResult/>'));
    await assert.rejects(driver.multipart.begin(CTX, 'k'), (error) => isStorageError(error, 'corrupt'));
  });

  it('signs each part with its own hash, given or made, where there is no checksum to rely on', async (t) => {
    const sha256 = hash('sha256', 'hello', 'hex');
    for (const body of [bodyOfBytes(Buffer.from('hello')), streamed('hello')]) {
      for (const given of [{ sha256 }, {}]) {
        const { driver, asked } = await scriptedS3(t, () => ok('', { ETag: '"t"' }), { binding: SIGNED });
        const receipt = await driver.multipart.putPart(CTX, UPLOAD, { number: 7, offset: 0, body, ...given });
        assert.deepEqual(receipt, { number: 7, sizeBytes: 5, tag: '"t"' });
        assert.equal(asked[0]?.headers.get('x-amz-content-sha256'), sha256);
        assert.equal(asked[0]?.query.get('partNumber'), '7');
        assert.equal(asked[0]?.query.get('uploadId'), UPLOAD.id);
        assert.equal(asked[0]?.body.toString(), 'hello');
        assert.equal(asked[0]?.headers.get('x-amz-checksum-crc32'), undefined);
      }
    }
  });

  it('sends a body unsigned only together with a checksum', async (t) => {
    const { driver, asked } = await scriptedS3(t, () => ok('', { ETag: '"t"' }), { binding: CRC32 });
    const body = bodyOfBytes(Buffer.from('hello'));
    await driver.multipart.putPart(CTX, UPLOAD, { number: 1, offset: 0, body, crc32: 1 });
    await driver.multipart.putPart(CTX, UPLOAD, { number: 1, offset: 0, body });
    const [withCrc, without] = asked;
    assert.equal(withCrc?.headers.get('x-amz-content-sha256'), 'UNSIGNED-PAYLOAD');
    assert.equal(withCrc?.headers.get('x-amz-checksum-crc32'), 'AAAAAQ==');
    assert.equal(withCrc?.headers.get('x-amz-sdk-checksum-algorithm'), 'CRC32');
    assert.equal(without?.headers.get('x-amz-content-sha256'), hash('sha256', 'hello', 'hex'));
  });

  it('adds a Content-MD5 only for a server that checks nothing better', async (t) => {
    const md5 = hash('md5', 'hello', 'base64');
    for (const [binding, expected] of [
      [MD5_ONLY, md5],
      [SIGNED, undefined],
      [{ ...MD5_ONLY, contentMd5: false }, undefined],
    ] as const) {
      const { driver, asked } = await scriptedS3(t, () => ok('', { ETag: '"t"' }), { binding });
      for (const body of [bodyOfBytes(Buffer.from('hello')), streamed('hello')]) {
        await driver.multipart.putPart(CTX, UPLOAD, { number: 1, offset: 0, body });
        await driver.write(CTX, 'k', body, {});
      }
      assert.deepEqual(
        asked.map(({ headers }) => headers.get('content-md5')),
        [expected, expected, expected, expected],
      );
    }
  });

  it('refuses a part whose tag did not come', async (t) => {
    const { driver } = await scriptedS3(t, () => ok(''));
    await assert.rejects(
      driver.multipart.putPart(CTX, UPLOAD, { number: 1, offset: 0, body: streamed('x') }),
      (error) => isStorageError(error, 'corrupt') && error.details.isTransient,
    );
  });
});

describe('S3Driver.write()', () => {
  it('binds the body by its hash, and by a checksum where the server keeps one', async (t) => {
    const digest = hash('sha256', 'hello', 'buffer');
    for (const [binding, checksum] of [
      [CRC32, Buffer.from(digest).toString('base64')],
      [MD5_ONLY, undefined],
      [undefined, undefined],
    ] as const) {
      for (const given of [{ sha256: Buffer.from(digest).toString('hex') }, {}]) {
        const { driver, asked } = await scriptedS3(
          t,
          () => ok('', { ETag: '"v"' }),
          binding ? { binding } : {},
        );
        assert.deepEqual(await driver.write(CTX, 'k', streamed('hello'), given), { version: '"v"' });
        const [one] = asked;
        assert.equal(one?.headers.get('x-amz-content-sha256'), Buffer.from(digest).toString('hex'));
        assert.equal(one?.headers.get('x-amz-checksum-sha256'), checksum);
        assert.equal(one?.body.toString(), 'hello');
      }
    }
  });

  it('sends what the settings ask of new objects, signed, with objects and uploads', async (t) => {
    const id = '<X><UploadId>1</UploadId></X>';
    const { driver, asked } = await scriptedS3(t, () => ok(id, { ETag: '"v"' }), {
      spec: {
        encrypt: true,
        kmsKeyId: 'key-1',
        storageClass: 'STANDARD_IA',
        objectAcl: 'bucket-owner-full-control',
      },
    });
    await driver.write(CTX, 'k', streamed('x'), {});
    await driver.multipart.begin(CTX, 'k');
    assert.equal(asked.length, 2);
    for (const { headers } of asked) {
      const sent = {
        'x-amz-server-side-encryption': 'aws:kms',
        'x-amz-server-side-encryption-aws-kms-key-id': 'key-1',
        'x-amz-storage-class': 'STANDARD_IA',
        'x-amz-acl': 'bucket-owner-full-control',
        'content-type': 'application/octet-stream',
      };
      const signed = /SignedHeaders=([^,]+)/.exec(headers.get('authorization') ?? '')?.[1]?.split(';') ?? [];
      for (const [name, value] of Object.entries(sent)) {
        assert.equal(headers.get(name), value);
        assert.ok(signed.includes(name), name);
      }
    }
  });
});

describe('S3Driver.multipart and an upload without an id', () => {
  it('asks the server nothing, which would take it for a request on the object', async (t) => {
    const { driver, asked } = await scriptedS3(t, () => ok(COMPLETED, { ETag: '"t"' }));
    const upload = { key: 'k', id: '' };
    for (const call of [
      () => driver.multipart.putPart(CTX, upload, { number: 1, offset: 0, body: streamed('x') }),
      () => driver.multipart.complete(CTX, upload, PARTS, { sizeBytes: 8 }),
      () => driver.multipart.listParts(CTX, upload),
    ]) {
      await assert.rejects(call(), (error) => isStorageError(error, 'not-found'));
    }
    await driver.multipart.abort(CTX, upload);
    assert.equal(asked.length, 0);
  });
});

describe('S3Driver.multipart and its listings', () => {
  const part = (number: number) =>
    `<Part><PartNumber>${number}</PartNumber><ETag>"${number}"</ETag><Size>5</Size></Part>`;
  const partsPage = (numbers: readonly number[], next = '') =>
    ok(
      `<ListPartsResult><IsTruncated>${next !== ''}</IsTruncated>${next === '' ? '' : `<NextPartNumberMarker>${next}</NextPartNumberMarker>`}${numbers.map(part).join('')}</ListPartsResult>`,
    );
  const uploadsPage = (uploads: readonly (readonly [string, string])[], next?: readonly [string, string]) =>
    ok(
      `<ListMultipartUploadsResult><IsTruncated>${next !== undefined}</IsTruncated>${next ? `<NextKeyMarker>${next[0]}</NextKeyMarker><NextUploadIdMarker>${next[1]}</NextUploadIdMarker>` : ''}${uploads.map(([key, id]) => `<Upload><Key>${key}</Key><UploadId>${id}</UploadId></Upload>`).join('')}</ListMultipartUploadsResult>`,
    );

  it('read all parts over several pages', async (t) => {
    const { driver, asked } = await scriptedS3(t, (_, index) =>
      index === 0 ? partsPage([1, 2], '2') : index === 1 ? partsPage([3], '3') : partsPage([4]),
    );
    const parts = await driver.multipart.listParts(CTX, UPLOAD);
    assert.deepEqual(
      parts.map(({ number }) => number),
      [1, 2, 3, 4],
    );
    assert.deepEqual(
      asked.map(({ query }) => query.get('part-number-marker')),
      [undefined, '2', '3'],
    );
  });

  it('read all uploads over several pages, with keys that mean something in XML and in URLs', async (t) => {
    const { driver, asked } = await scriptedS3(t, (_, index) =>
      index === 0
        ? uploadsPage([['p/a&amp;b', '1']], ['p/a&amp;b', 'i&amp;d'])
        : uploadsPage([
            ['p/c d', '2'],
            ['other', '3'],
          ]),
    );
    assert.deepEqual(await driver.multipart.listUploads(CTX, 'p/'), [
      { key: 'p/a&b', id: '1' },
      { key: 'p/c d', id: '2' },
    ]);
    assert.equal(asked[1]?.query.get('key-marker'), 'p/a&b');
    assert.equal(asked[1]?.query.get('upload-id-marker'), 'i&d');
  });

  it('do not go round in circles where a server does', async (t) => {
    const parts = await scriptedS3(t, () => partsPage([1], '1'));
    await assert.rejects(parts.driver.multipart.listParts(CTX, UPLOAD), (error) =>
      isStorageError(error, 'corrupt'),
    );
    assert.equal(parts.asked.length, 2);
    const uploads = await scriptedS3(t, () => uploadsPage([['a', '1']], ['a', '1']));
    await assert.rejects(uploads.driver.multipart.listUploads(CTX, ''), (error) =>
      isStorageError(error, 'corrupt'),
    );
    assert.equal(uploads.asked.length, 2);
  });

  it('say that an upload is gone, except when it is to be aborted', async (t) => {
    const { driver } = await scriptedS3(t, () => refusal('404 Not Found', 'NoSuchUpload'));
    await assert.rejects(driver.multipart.listParts(CTX, UPLOAD), (error) =>
      isStorageError(error, 'not-found'),
    );
    await driver.multipart.abort(CTX, UPLOAD);
  });
});

describe('S3Driver.list()', () => {
  const page = (keys: readonly string[], token?: string) =>
    ok(
      `<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>${token !== undefined}</IsTruncated>${token === undefined ? '' : `<NextContinuationToken>${token}</NextContinuationToken>`}${keys.map((key) => `<Contents><Key>${encodeURIComponent(key)}</Key><Size>1</Size></Contents>`).join('')}</ListBucketResult>`,
    );

  async function keysOf(pages: AsyncIterable<{ objects: readonly { key: string }[] }>): Promise<string[]> {
    const keys: string[] = [];
    for await (const { objects } of pages) keys.push(...objects.map(({ key }) => key));
    return keys;
  }

  it('follows tokens, whatever is in them, and names start-after only for the first page', async (t) => {
    const { driver, asked } = await scriptedS3(t, (_, index) =>
      index === 0 ? page(['p/b', 'p/c'], 'a+/=&amp;') : page(['p/d']),
    );
    assert.deepEqual(await keysOf(driver.list(CTX, { prefix: 'p/', after: 'p/a b' })), ['p/b', 'p/c', 'p/d']);
    assert.deepEqual(
      asked.map(({ query }) => Object.fromEntries(query)),
      [
        { 'list-type': '2', 'encoding-type': 'url', prefix: 'p/', 'start-after': 'p/a b' },
        { 'list-type': '2', 'encoding-type': 'url', prefix: 'p/', 'continuation-token': 'a+/=&' },
      ],
    );
  });

  it('leaves out what a server that does not know start-after gives too much', async (t) => {
    const { driver } = await scriptedS3(t, (_, index) =>
      index === 0 ? page(['a', 'b'], 't') : page(['c', 'd', '😀', '\uffff']),
    );
    assert.deepEqual(await keysOf(driver.list(CTX, { prefix: '', after: 'c' })), ['d', '😀', '\uffff']);
  });

  it('refuses keys that it did not ask for', async (t) => {
    const { driver } = await scriptedS3(t, () => page(['p/a', 'q/a']));
    await assert.rejects(keysOf(driver.list(CTX, { prefix: 'p/' })), (error) =>
      isStorageError(error, 'corrupt'),
    );
  });

  it('does not go round in circles where a server does', async (t) => {
    const { driver, asked } = await scriptedS3(t, () => page(['a'], 'same'));
    await assert.rejects(keysOf(driver.list(CTX, { prefix: '' })), (error) =>
      isStorageError(error, 'corrupt'),
    );
    assert.equal(asked.length, 2);
  });

  it('says so where the bucket is missing', async (t) => {
    const { driver } = await scriptedS3(t, () => refusal('404 Not Found', 'NoSuchBucket'));
    await assert.rejects(keysOf(driver.list(CTX, { prefix: '' })), (error) => {
      assert.ok(isStorageError(error, 'not-found'));
      assert.equal(error.details.scope, 'backend');
      return true;
    });
  });
});
