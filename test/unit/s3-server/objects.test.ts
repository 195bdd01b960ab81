import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { crc32 } from 'node:zlib';
import { chunkedBody } from '../../../bench/s3-server/client/chunked-body.ts';
import type { RawClient, RawRequest, RawResponse } from '../../../bench/s3-server/client/raw-client.ts';
import { encode, presign, TEST_SIGNER } from '../../../bench/s3-server/client/sign-request.ts';
import { withServer } from './with-server.ts';

function md5(data: string | Uint8Array, encoding: 'hex' | 'base64' = 'hex'): string {
  return createHash('md5').update(data).digest(encoding);
}

function crcOf(data: string | Uint8Array): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32(data));
  return bytes.toString('base64');
}

function answer(response: RawResponse): string {
  return `${response.status} ${response.code}`.trim();
}

/** Uploads an object in two parts; its ETag. */
async function etagOfTwoParts(client: RawClient): Promise<string> {
  const begun = await client.send({ method: 'POST', target: '/box/parts?uploads' });
  const id = encodeURIComponent(/<UploadId>([^<]+)</.exec(begun.text)?.[1] ?? '');
  let named = '';
  for (const [number, body] of [
    [1, Buffer.alloc(5 * 1024 ** 2)],
    [2, 'end'],
  ] as const) {
    const target = `/box/parts?partNumber=${number}&uploadId=${id}`;
    const part = await client.send({ method: 'PUT', target, body });
    named += `<Part><PartNumber>${number}</PartNumber><ETag>${part.headers['etag']}</ETag></Part>`;
  }
  const body = `<CompleteMultipartUpload>${named}</CompleteMultipartUpload>`;
  const done = await client.send({ method: 'POST', target: `/box/parts?uploadId=${id}`, body });
  assert.equal(done.status, 200, done.text);
  return String((await client.send({ method: 'HEAD', target: '/box/parts' })).headers['etag']);
}

describe('objects', () => {
  it('come back as they were put, of any size, with the MD5 of their bytes for an ETag', async () => {
    await withServer({}, async ({ client, server }) => {
      for (const size of [0, 1, 4096, 4097, 65_536, 1_000_003, 5_000_000]) {
        const body = randomBytes(size);
        const put = await client.send({ method: 'PUT', target: `/box/${size}`, body });
        assert.equal(put.headers['etag'], `"${md5(body)}"`);
        const got = await client.send({ target: `/box/${size}` });
        assert.ok(got.bytes.equals(body), `${size} bytes`);
        assert.equal(got.headers['etag'], put.headers['etag']);
        assert.ok(Buffer.from((await server.get('box', String(size))) ?? []).equals(body));
      }
    });
  });

  it('have ETags that are no MD5s where the server was told so, with a dash if it was told that too', async () => {
    for (const [opaqueEtags, form] of [
      [true, /^"[0-9a-f]{32}"$/],
      ['dashed', /^"[0-9a-f]{32}-1"$/],
    ] as const) {
      await withServer({ opaqueEtags }, async ({ client }) => {
        const put = await client.send({ method: 'PUT', target: '/box/a', body: 'content' });
        assert.match(String(put.headers['etag']), form);
        assert.ok(!String(put.headers['etag']).includes(md5('content')));
        assert.equal((await client.send({ target: '/box/a' })).headers['etag'], put.headers['etag']);
        const wrong = { 'content-md5': md5('something else', 'base64') };
        assert.equal(
          answer(await client.send({ method: 'PUT', target: '/box/b', body: 'content', headers: wrong })),
          '400 BadDigest',
        );
        assert.match(await etagOfTwoParts(client), /^"[0-9a-f]{32}-2"$/);
      });
    }
  });

  it('are found under any UTF-8 key of at most 1,024 bytes', async () => {
    await withServer({}, async ({ client, server }) => {
      const keys = [
        'a b',
        'a+b',
        'a%2Fb',
        'q\'"<>&',
        'ü€😀',
        '//',
        'a/../b',
        '\u0001',
        'k'.repeat(1024),
        '€'.repeat(341),
      ];
      for (const key of keys) {
        const target = `/box/${key.split('/').map(encode).join('/')}`;
        assert.equal(answer(await client.send({ method: 'PUT', target, body: key })), '200', key);
        assert.equal((await client.send({ target })).text, key);
      }
      const listed = (await server.keys('box')).map((one) => one.key);
      assert.deepEqual(listed.toSorted(), keys.toSorted());
      for (const wrong of ['k'.repeat(1025), '€'.repeat(342)]) {
        const refused = await client.send({ method: 'PUT', target: `/box/${encode(wrong)}`, body: '' });
        assert.equal(answer(refused), '400 KeyTooLongError');
      }
      assert.equal(
        answer(await client.send({ method: 'PUT', target: '/box/%C3', body: '' })),
        '400 InvalidObjectName',
      );
      assert.equal((await server.keys('box')).length, keys.length);
    });
  });

  it('keep their type, metadata and storage attributes', async () => {
    await withServer({}, async ({ client }) => {
      const headers = {
        'content-type': 'application/vnd.oci.image.manifest.v1+json',
        'cache-control': 'no-store',
        'x-amz-storage-class': 'STANDARD_IA',
        'x-amz-acl': 'bucket-owner-full-control',
        'x-amz-server-side-encryption': 'aws:kms',
        'x-amz-server-side-encryption-aws-kms-key-id': 'key/1',
        'x-amz-meta-one': 'two',
      };
      await client.send({ method: 'PUT', target: '/box/a', body: 'x', headers });
      for (const method of ['GET', 'HEAD']) {
        const response = await client.send({ method, target: '/box/a' });
        for (const [name, value] of Object.entries(headers)) assert.equal(response.headers[name], value);
        assert.equal(response.headers['content-length'], '1');
        assert.notEqual(response.headers['etag'], `"${md5('x')}"`, 'SSE-KMS makes the ETag opaque');
      }
      const plain = await client.send({ method: 'PUT', target: '/box/b', body: 'x' });
      assert.equal(plain.status, 200);
      const got = await client.send({ target: '/box/b?response-content-type=text%2Fplain%0Ax' });
      assert.equal(got.headers['content-type'], 'text/plain x');
      assert.equal((await client.send({ target: '/box/b' })).headers['content-type'], 'binary/octet-stream');
    });
  });

  it('are not stored with what this server does not do', async () => {
    await withServer({}, async ({ client, server }) => {
      for (const name of [
        'x-amz-tagging',
        'x-amz-object-lock-mode',
        'x-amz-server-side-encryption-customer-key',
      ]) {
        const refused = await client.send({
          method: 'PUT',
          target: '/box/a',
          body: 'x',
          headers: { [name]: 'v' },
        });
        assert.equal(answer(refused), '501 NotImplemented', name);
      }
      for (const query of ['acl', 'tagging', 'restore', 'versionId=3', 'legal-hold']) {
        const refused = await client.send({ method: 'PUT', target: `/box/a?${query}`, body: 'x' });
        assert.equal(answer(refused), '501 NotImplemented', query);
      }
      const large = { 'x-amz-meta-a': 'v'.repeat(2048) };
      const refused = await client.send({ method: 'PUT', target: '/box/a', body: 'x', headers: large });
      assert.equal(answer(refused), '400 MetadataTooLarge');
      assert.deepEqual(await server.keys('box'), []);
    });
  });

  const WRONG: readonly (readonly [string, Omit<RawRequest, 'target'>, string])[] = [
    ['a wrong payload hash', { payloadHash: '0'.repeat(64) }, '400 XAmzContentSHA256Mismatch'],
    ['a malformed payload hash', { payloadHash: 'nonsense' }, '400 InvalidArgument'],
    ['a wrong Content-MD5', { headers: { 'content-md5': md5('other', 'base64') } }, '400 BadDigest'],
    ['a malformed Content-MD5', { headers: { 'content-md5': 'abc' } }, '400 InvalidDigest'],
    ['a wrong CRC32', { headers: { 'x-amz-checksum-crc32': crcOf('other') } }, '400 BadDigest'],
    ['a malformed CRC32', { headers: { 'x-amz-checksum-crc32': 'abc' } }, '400 InvalidRequest'],
    ['a wrong CRC32C', { headers: { 'x-amz-checksum-crc32c': 'AAAAAA==' } }, '400 BadDigest'],
    ['a wrong CRC64NVME', { headers: { 'x-amz-checksum-crc64nvme': 'AAAAAAAAAAA=' } }, '400 BadDigest'],
    ['a wrong SHA1', { headers: { 'x-amz-checksum-sha1': 'AAAAAAAAAAAAAAAAAAAAAAAAAAA=' } }, '400 BadDigest'],
    [
      'a wrong SHA256',
      { headers: { 'x-amz-checksum-sha256': createHash('sha256').update('other').digest('base64') } },
      '400 BadDigest',
    ],
    ['no length', { isChunked: true }, '411 MissingContentLength'],
  ];
  for (const [what, request, expected] of WRONG) {
    it(`are refused with ${what}, and nothing is stored`, async () => {
      await withServer({}, async ({ client, server }) => {
        const response = await client.send({
          method: 'PUT',
          target: '/box/a',
          body: 'hello world',
          ...request,
        });
        assert.equal(answer(response), expected);
        assert.deepEqual(await server.keys('box'), []);
        // The connection is still of use: what was wrong was read to its end.
        assert.equal(
          (await client.send({ method: 'PUT', target: '/box/a', body: 'hello world' })).status,
          200,
        );
        assert.equal((await server.stats()).errorsByCode[expected.slice(4)], 1);
      });
    });
  }

  it('are taken with any of this where the server is told to check nothing', async () => {
    await withServer({ checksNothing: true }, async ({ client, server }) => {
      const accepted = WRONG.filter(([what]) => what.startsWith('a wrong'));
      for (const [what, request] of accepted) {
        const response = await client.send({
          method: 'PUT',
          target: `/box/${encode(what)}`,
          body: 'hello world',
          ...request,
        });
        assert.equal(answer(response), '200', what);
      }
      assert.equal((await server.keys('box')).length, accepted.length);
      const unsigned = await client.send({ target: '/box', isSigned: false });
      assert.equal(answer(unsigned), '403 AccessDenied');
    });
  });

  it('have checksums that are stored and told when asked for', async () => {
    await withServer({}, async ({ client }) => {
      // Published check values of "123456789".
      const published = {
        'x-amz-checksum-crc32': 'cbf43926',
        'x-amz-checksum-crc32c': 'e3069283',
        'x-amz-checksum-crc64nvme': 'ae8b14860a799888',
        'x-amz-checksum-sha1': 'f7c3bc1d808e04732adf679965ccc34ca7ae3441',
        'x-amz-checksum-sha256': '15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225',
      };
      for (const [name, hex] of Object.entries(published)) {
        const value = Buffer.from(hex, 'hex').toString('base64');
        const put = await client.send({
          method: 'PUT',
          target: '/box/a',
          body: '123456789',
          headers: { [name]: value },
        });
        assert.equal(put.headers[name], value);
        const mode = { 'x-amz-checksum-mode': 'ENABLED' };
        const head = await client.send({ method: 'HEAD', target: '/box/a', headers: mode });
        assert.equal(head.headers[name], value);
        assert.equal(head.headers['x-amz-checksum-type'], 'FULL_OBJECT');
        assert.equal((await client.send({ target: '/box/a' })).headers[name], undefined);
        const range = await client.send({ target: '/box/a', headers: { ...mode, range: 'bytes=0-1' } });
        assert.equal(range.headers[name], undefined);
      }
    });
  });

  it('know no checksums and no trailers where the server is as Ceph 16', async () => {
    await withServer({ checksums: false }, async ({ client, server }) => {
      const wrong = await client.send({
        method: 'PUT',
        target: '/box/a',
        body: 'hello',
        headers: { 'x-amz-checksum-crc32': crcOf('other'), 'x-amz-sdk-checksum-algorithm': 'CRC32' },
      });
      assert.equal(wrong.status, 200);
      const mode = { 'x-amz-checksum-mode': 'ENABLED' };
      const head = await client.send({ method: 'HEAD', target: '/box/a', headers: mode });
      assert.equal(head.headers['x-amz-checksum-crc32'], undefined);
      const trailer = {
        method: 'PUT',
        target: '/box/b',
        payloadHash: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
        headers: { 'x-amz-decoded-content-length': '5', 'x-amz-trailer': 'x-amz-checksum-crc32' },
        bodyOf: () =>
          chunkedBody({ chunks: ['hello'], trailers: { 'x-amz-checksum-crc32': crcOf('hello') } }),
      };
      assert.equal(answer(await client.send(trailer)), '400 XAmzContentSHA256Mismatch');
      assert.equal(answer(await client.send({ ...trailer, isChunked: true })), '411 MissingContentLength');
      assert.deepEqual(
        (await server.keys('box')).map((one) => one.key),
        ['a'],
      );
    });
  });

  it('have ETags that are no MD5s where the server is told so', async () => {
    await withServer({ opaqueEtags: true }, async ({ client }) => {
      const put = await client.send({
        method: 'PUT',
        target: '/box/a',
        body: 'x',
        headers: { 'content-md5': md5('x', 'base64') },
      });
      assert.match(put.headers['etag'] ?? '', /^"[0-9a-f]{32}"$/);
      assert.notEqual(put.headers['etag'], `"${md5('x')}"`);
      const wrong = { 'content-md5': md5('y', 'base64') };
      assert.equal(
        answer(await client.send({ method: 'PUT', target: '/box/a', body: 'x', headers: wrong })),
        '400 BadDigest',
      );
    });
  });

  it('are read through presigned URLs', async () => {
    await withServer({}, async ({ client }) => {
      await client.send({ method: 'PUT', target: '/box/a%20b', body: 'hello' });
      const { host } = client.endpoint;
      const target = presign(TEST_SIGNER, { method: 'GET', host, target: '/box/a%20b', expiresSeconds: 60 });
      assert.equal((await client.send({ target, isSigned: false })).text, 'hello');
      const changed = target.replace('a%20b', 'a%20c');
      assert.equal(
        answer(await client.send({ target: changed, isSigned: false })),
        '403 SignatureDoesNotMatch',
      );
    });
  });

  it('live in buckets by path or by host', async () => {
    await withServer({}, async ({ client, server }) => {
      const { port } = client.endpoint;
      const body = 'hello';
      const send = (target: string, host: string, method: string): Promise<RawResponse> => {
        const url = presign(TEST_SIGNER, { method, host, target, expiresSeconds: 60 });
        return client.send({ method, target: url, isSigned: false, body, unsignedHeaders: { host } });
      };
      assert.equal((await send('/deep/key', `box.localhost:${port}`, 'PUT')).status, 200);
      assert.equal((await send('/box/other', `localhost:${port}`, 'PUT')).status, 200);
      assert.deepEqual(
        (await server.keys('box')).map((one) => one.key),
        ['deep/key', 'other'],
      );
    });
  });

  it('are copied with their content and description, or with a new one', async () => {
    await withServer({ buckets: ['box', 'other'] }, async ({ client, server }) => {
      const headers = { 'content-type': 'a/b', 'x-amz-meta-a': 'b', 'x-amz-storage-class': 'GLACIER_IR' };
      await client.send({ method: 'PUT', target: '/box/%C3%BC', body: 'hello', headers });
      const source = { 'x-amz-copy-source': '/box/%C3%BC' };
      const copy = await client.send({ method: 'PUT', target: '/other/copy', headers: source });
      assert.equal(copy.status, 200);
      assert.match(copy.text, /<CopyObjectResult.*<ETag>&quot;5d41402abc4b2a76b9719d911017c592&quot;/s);
      const head = await client.send({ method: 'HEAD', target: '/other/copy' });
      assert.equal(head.headers['x-amz-meta-a'], 'b');
      assert.equal(head.headers['content-type'], 'a/b');
      assert.equal(head.headers['x-amz-storage-class'], undefined, 'a storage class is not copied');
      const replace = { ...source, 'x-amz-metadata-directive': 'REPLACE', 'x-amz-meta-c': 'd' };
      await client.send({ method: 'PUT', target: '/other/copy', headers: replace });
      const replaced = await client.send({ target: '/other/copy' });
      assert.equal(replaced.headers['x-amz-meta-a'], undefined);
      assert.equal(replaced.headers['x-amz-meta-c'], 'd');
      assert.equal(replaced.text, 'hello');
      const sha = { ...source, 'x-amz-checksum-algorithm': 'SHA256' };
      const computed = await client.send({ method: 'PUT', target: '/other/sum', headers: sha });
      assert.match(computed.text, /<ChecksumSHA256>LPJNul\+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=</);
      for (const [field, expected] of [
        ['box/missing', '404 NoSuchKey'],
        ['nowhere/x', '404 NoSuchBucket'],
        ['nonsense', '400 InvalidArgument'],
      ] as const) {
        const wrong = { 'x-amz-copy-source': field };
        assert.equal(
          answer(await client.send({ method: 'PUT', target: '/box/n', headers: wrong })),
          expected,
        );
      }
      assert.equal((await server.keys('other')).length, 2);
    });
  });

  it('are deleted one by one and many at a time', async () => {
    await withServer({}, async ({ client, server }) => {
      for (const key of ['a', 'b&c', 'd', 'e']) {
        await client.send({ method: 'PUT', target: `/box/${encode(key)}`, body: key });
      }
      assert.equal((await client.send({ method: 'DELETE', target: '/box/a' })).status, 204);
      assert.equal((await client.send({ method: 'DELETE', target: '/box/a' })).status, 204);
      const body = '<Delete><Object><Key>b&amp;c</Key></Object><Object><Key>none</Key></Object></Delete>';
      const deleted = await client.send({ method: 'POST', target: '/box?delete', body });
      assert.match(deleted.text, /<Key>b&amp;c<\/Key>.*<Key>none<\/Key>/s);
      const quiet = '<Delete><Quiet>true</Quiet><Object><Key>d</Key></Object></Delete>';
      const headers = { 'content-md5': md5(quiet, 'base64') };
      const silent = await client.send({ method: 'POST', target: '/box?delete', body: quiet, headers });
      assert.ok(!silent.text.includes('<Deleted>'));
      const wrong = { 'content-md5': md5('', 'base64') };
      assert.equal(
        answer(await client.send({ method: 'POST', target: '/box?delete', body, headers: wrong })),
        '400 BadDigest',
      );
      const many = `<Delete>${'<Object><Key>e</Key></Object>'.repeat(1001)}</Delete>`;
      assert.equal(
        answer(await client.send({ method: 'POST', target: '/box?delete', body: many })),
        '400 MalformedXML',
      );
      assert.deepEqual(
        (await server.keys('box')).map((one) => one.key),
        ['e'],
      );
    });
  });

  it('refuse XML bodies beyond their bound before they come', async () => {
    await withServer({}, async ({ client }) => {
      const body = Buffer.alloc(5 * 1024 * 1024, ' ');
      assert.equal(
        answer(await client.send({ method: 'POST', target: '/box?delete', body })),
        '400 EntityTooLarge',
      );
    });
  });
});

describe('conditions', () => {
  const ETAG = `"${md5('one')}"`;
  const OTHER = `"${md5('two')}"`;
  const PAST = 'Mon, 01 Jan 2024 00:00:00 GMT';
  const FUTURE = 'Fri, 01 Jan 2100 00:00:00 GMT';

  it('on reads are held to', async () => {
    await withServer({}, async ({ client }) => {
      await client.send({ method: 'PUT', target: '/box/a', body: 'one' });
      const cases: readonly (readonly [Readonly<Record<string, string>>, number])[] = [
        [{ 'if-match': ETAG }, 200],
        [{ 'if-match': '*' }, 200],
        [{ 'if-match': OTHER }, 412],
        [{ 'if-none-match': ETAG }, 304],
        [{ 'if-none-match': `${OTHER}, W/${ETAG}` }, 304],
        [{ 'if-none-match': OTHER }, 200],
        [{ 'if-modified-since': PAST }, 200],
        [{ 'if-modified-since': FUTURE }, 304],
        [{ 'if-modified-since': 'nonsense' }, 200],
        [{ 'if-unmodified-since': PAST }, 412],
        [{ 'if-unmodified-since': FUTURE }, 200],
        [{ 'if-match': ETAG, 'if-unmodified-since': PAST }, 200],
        [{ 'if-none-match': OTHER, 'if-modified-since': FUTURE }, 200],
      ];
      for (const [headers, expected] of cases) {
        for (const method of ['GET', 'HEAD']) {
          const { status } = await client.send({ method, target: '/box/a', headers });
          assert.equal(status, expected, JSON.stringify(headers));
        }
      }
    });
  });

  it('on writes leave the old object where they fail', async () => {
    await withServer({}, async ({ client, server }) => {
      const put = (key: string, headers: Readonly<Record<string, string>>): Promise<string> =>
        client.send({ method: 'PUT', target: `/box/${key}`, body: 'new', headers }).then(answer);
      await client.send({ method: 'PUT', target: '/box/a', body: 'one' });
      assert.equal(await put('a', { 'if-none-match': '*' }), '412 PreconditionFailed');
      assert.equal(await put('a', { 'if-match': OTHER }), '412 PreconditionFailed');
      assert.equal(Buffer.from((await server.get('box', 'a')) ?? []).toString(), 'one');
      assert.equal(await put('a', { 'if-match': ETAG }), '200');
      assert.equal(await put('b', { 'if-match': ETAG }), '404 NoSuchKey');
      assert.equal(await put('b', { 'if-none-match': '*' }), '200');
    });
  });

  it('let one of many simultaneous writers of a new key through', async () => {
    await withServer({}, async ({ client }) => {
      const body = randomBytes(200_000);
      const writers = Array.from({ length: 8 }, () =>
        client.send({ method: 'PUT', target: '/box/a', body, headers: { 'if-none-match': '*' } }),
      );
      const statuses = (await Promise.all(writers)).map((one) => one.status).sort();
      assert.deepEqual(statuses, [200, ...Array.from({ length: 7 }, () => 412)]);
    });
  });
});

describe('ranges', () => {
  it('give the bytes they name', async () => {
    await withServer({}, async ({ client }) => {
      const body = randomBytes(300_000);
      await client.send({ method: 'PUT', target: '/box/a', body });
      const cases: readonly (readonly [string, number, number])[] = [
        ['bytes=0-0', 0, 1],
        ['bytes=0-299999', 0, 300_000],
        ['bytes=65535-65537', 65_535, 65_538],
        ['bytes=299999-', 299_999, 300_000],
        ['bytes=100000-999999', 100_000, 300_000],
        ['bytes=-7', 299_993, 300_000],
        ['bytes=-999999', 0, 300_000],
      ];
      for (const [range, start, end] of cases) {
        const got = await client.send({ target: '/box/a', headers: { range } });
        assert.equal(got.status, 206, range);
        assert.equal(got.headers['content-range'], `bytes ${start}-${end - 1}/300000`);
        assert.ok(got.bytes.equals(body.subarray(start, end)), range);
      }
      for (const range of ['bytes=300000-', 'bytes=-0', 'bytes=400000-500000']) {
        const refused = await client.send({ target: '/box/a', headers: { range } });
        assert.equal(answer(refused), '416 InvalidRange', range);
        assert.equal(refused.headers['content-range'], 'bytes */300000');
      }
      for (const range of ['bytes=3-1', 'bytes=0-1,3-4', 'bytes=x', 'lines=0-1']) {
        assert.equal(
          (await client.send({ target: '/box/a', headers: { range } })).bytes.length,
          300_000,
          range,
        );
      }
    });
  });
});

describe('buckets', () => {
  it('are made, found, listed and deleted when empty', async () => {
    await withServer({}, async ({ client }) => {
      const send = (method: string, target: string): Promise<string> =>
        client.send({ method, target }).then(answer);
      assert.equal(await send('PUT', '/second'), '200');
      assert.equal(await send('PUT', '/second'), '200');
      assert.equal(await send('HEAD', '/second'), '200');
      assert.match((await client.send({ target: '/' })).text, /<Name>box<\/Name>.*<Name>second<\/Name>/s);
      await client.send({ method: 'PUT', target: '/second/x', body: '' });
      assert.equal(await send('DELETE', '/second'), '409 BucketNotEmpty');
      await send('DELETE', '/second/x');
      assert.equal(await send('DELETE', '/second'), '204');
      assert.equal(await send('HEAD', '/second'), '404');
      for (const name of ['ab', 'Upper', 'a..b', '1.2.3.4', '-ab']) {
        assert.equal(await send('PUT', `/${name}`), '400 InvalidBucketName', name);
      }
      assert.equal(await send('PATCH', '/box'), '405 MethodNotAllowed');
    });
  });

  it('tell their region, and refuse signatures for another', async () => {
    await withServer({ region: 'eu-west-1' }, async ({ client }) => {
      const wrong = await client.send({ target: '/box?location' });
      assert.equal(answer(wrong), '400 AuthorizationHeaderMalformed');
      assert.match(wrong.text, /<Region>eu-west-1<\/Region>/);
      assert.equal(wrong.headers['x-amz-bucket-region'], 'eu-west-1');
      const head = await client.send({ method: 'HEAD', target: '/box' });
      assert.equal(head.status, 400);
      assert.equal(head.headers['x-amz-bucket-region'], 'eu-west-1');
      const signer = { ...TEST_SIGNER, region: 'eu-west-1' };
      const right = await client.send({ target: '/box?location', signer });
      assert.match(right.text, />eu-west-1<\/LocationConstraint>/);
    });
  });

  it('live on a server whose clock may be wrong', async () => {
    await withServer({ clockOffsetMs: 3_600_000 }, async ({ client }) => {
      const refused = await client.send({ target: '/box' });
      assert.equal(answer(refused), '403 RequestTimeTooSkewed');
      assert.match(refused.text, /<ServerTime>/);
      assert.equal((await client.send({ target: '/box', atMs: Date.now() + 3_600_000 })).status, 200);
    });
  });
});
