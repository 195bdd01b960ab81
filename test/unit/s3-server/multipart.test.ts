import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import type { RawClient, RawResponse } from '../../../bench/s3-server/client/raw-client.ts';
import { elements } from '../../../bench/s3-server/probe/case.ts';
import { type ChecksumAlgorithm, digestOf } from '../../../bench/s3-server/s3/checksum.ts';
import { withServer } from './with-server.ts';

const MIB = 1024 * 1024;
const FIRST = randomBytes(5 * MIB + 17);
const SECOND = randomBytes(5 * MIB);
const LAST = randomBytes(1234);
const PARTS = [FIRST, SECOND, LAST];
const WHOLE = Buffer.concat(PARTS);

type Headers = Readonly<Record<string, string>>;

interface NamedPart {
  readonly number: number;
  readonly etag: string;
  readonly more?: string;
}

function md5(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex');
}

function sum(algorithm: ChecksumAlgorithm, bytes: Uint8Array): string {
  return digestOf(algorithm, bytes).toString('base64');
}

function answer(response: RawResponse): string {
  return `${response.status} ${response.code}`.trim();
}

const NAMED: readonly NamedPart[] = PARTS.map((bytes, index) => ({ number: index + 1, etag: md5(bytes) }));

class Upload {
  readonly #client: RawClient;
  readonly id: string;
  readonly #key: string;

  private constructor(client: RawClient, key: string, id: string) {
    this.#client = client;
    this.#key = key;
    this.id = id;
  }

  static async begin(client: RawClient, headers: Headers = {}, key = 'big'): Promise<Upload> {
    const begun = await client.send({ method: 'POST', target: `/box/${key}?uploads`, headers });
    assert.equal(begun.status, 200, begun.text);
    return new Upload(client, key, elements(begun.text, 'UploadId')[0] ?? '');
  }

  put(number: number, body: Uint8Array, headers: Headers = {}): Promise<RawResponse> {
    const target = `/box/${this.#key}?partNumber=${number}&uploadId=${this.id}`;
    return this.#client.send({ method: 'PUT', target, body, headers });
  }

  async putAll(headersOf: (bytes: Uint8Array) => Headers = () => ({})): Promise<void> {
    for (const [index, bytes] of PARTS.entries()) {
      assert.equal(answer(await this.put(index + 1, bytes, headersOf(bytes))), '200');
    }
  }

  complete(parts: readonly NamedPart[], headers: Headers = {}): Promise<RawResponse> {
    const xml = parts.map(
      ({ number, etag, more = '' }) =>
        `<Part><PartNumber>${number}</PartNumber><ETag>&quot;${etag}&quot;</ETag>${more}</Part>`,
    );
    const body = `<CompleteMultipartUpload>${xml.join('')}</CompleteMultipartUpload>`;
    return this.#client.send({
      method: 'POST',
      target: `/box/${this.#key}?uploadId=${this.id}`,
      body,
      headers,
    });
  }

  list(query = ''): Promise<RawResponse> {
    return this.#client.send({ target: `/box/${this.#key}?uploadId=${this.id}${query}` });
  }

  abort(): Promise<RawResponse> {
    return this.#client.send({ method: 'DELETE', target: `/box/${this.#key}?uploadId=${this.id}` });
  }
}

describe('multipart uploads', () => {
  it('become an object of all their bytes, with the ETag of their parts and their attributes', async () => {
    await withServer({}, async ({ client }) => {
      const upload = await Upload.begin(client, {
        'content-type': 'a/b',
        'x-amz-meta-c': 'd',
        'x-amz-storage-class': 'STANDARD_IA',
      });
      await upload.putAll();
      assert.equal(
        (await client.send({ target: '/box/big' })).status,
        404,
        'nothing is visible before Complete',
      );
      const completed = await upload.complete(NAMED);
      const etag = `${md5(Buffer.from(NAMED.map((part) => part.etag).join(''), 'hex'))}-3`;
      assert.deepEqual(elements(completed.text, 'ETag'), [`&quot;${etag}&quot;`]);
      const got = await client.send({ target: '/box/big' });
      assert.ok(got.bytes.equals(WHOLE));
      assert.equal(got.headers['etag'], `"${etag}"`);
      assert.equal(got.headers['content-type'], 'a/b');
      assert.equal(got.headers['x-amz-meta-c'], 'd');
      assert.equal(got.headers['x-amz-storage-class'], 'STANDARD_IA');
      const across = await client.send({
        target: '/box/big',
        headers: { range: `bytes=${FIRST.length - 3}-${FIRST.length + 2}` },
      });
      assert.ok(across.bytes.equals(WHOLE.subarray(FIRST.length - 3, FIRST.length + 3)));
    });
  });

  it('are read part by part', async () => {
    await withServer({}, async ({ client }) => {
      const upload = await Upload.begin(client);
      await upload.putAll();
      await upload.complete(NAMED);
      for (const [index, bytes] of PARTS.entries()) {
        const got = await client.send({ target: `/box/big?partNumber=${index + 1}` });
        assert.equal(got.status, 206);
        assert.equal(got.headers['x-amz-mp-parts-count'], '3');
        assert.ok(got.bytes.equals(bytes));
      }
      assert.equal(answer(await client.send({ target: '/box/big?partNumber=4' })), '416 InvalidPartNumber');
    });
  });

  it('are refused where a part is wrong, missing, out of order, left out or too small', async () => {
    await withServer({}, async ({ client, server }) => {
      const upload = await Upload.begin(client);
      await upload.putAll();
      const [one, two, three] = NAMED;
      assert.ok(one && two && three);
      const cases: readonly (readonly [readonly NamedPart[], string])[] = [
        [[{ ...one, etag: two.etag }, two, three], '400 InvalidPart'],
        [[...NAMED, { number: 4, etag: one.etag }], '400 InvalidPart'],
        [[two, one, three], '400 InvalidPartOrder'],
        [[one, one, two, three], '400 InvalidPartOrder'],
        [[one, two], '400 InvalidPart'],
        [[], '400 MalformedXML'],
      ];
      for (const [parts, expected] of cases) assert.equal(answer(await upload.complete(parts)), expected);
      await upload.put(2, LAST);
      const small = await upload.complete([one, { number: 2, etag: md5(LAST) }, three]);
      assert.equal(answer(small), '400 EntityTooSmall');
      assert.deepEqual(await server.keys('box'), []);
      await upload.put(2, SECOND);
      assert.equal(answer(await upload.complete(NAMED)), '200');
    });
  });

  it('take part numbers 1 to 10,000, in any order, the last of the same number', async () => {
    await withServer({}, async ({ client, server }) => {
      const upload = await Upload.begin(client);
      for (const number of [0, 10_001, 1.5]) {
        assert.equal(answer(await upload.put(number, LAST)), '400 InvalidArgument');
      }
      await upload.put(10_000, LAST);
      await upload.put(7, LAST);
      await upload.put(7, FIRST);
      const completed = await upload.complete([
        { number: 7, etag: md5(FIRST) },
        { number: 10_000, etag: md5(LAST) },
      ]);
      assert.equal(answer(completed), '200');
      assert.ok(Buffer.concat([FIRST, LAST]).equals(Buffer.from((await server.get('box', 'big')) ?? [])));
    });
  });

  for (const algorithm of ['crc32', 'crc32c', 'crc64nvme'] as const) {
    it(`with a full-object ${algorithm} are bound to it`, async () => {
      await withServer({}, async ({ client, server }) => {
        const begin = {
          'x-amz-checksum-algorithm': algorithm.toUpperCase(),
          'x-amz-checksum-type': 'FULL_OBJECT',
        };
        const upload = await Upload.begin(client, begin);
        await upload.putAll((bytes) => ({ [`x-amz-checksum-${algorithm}`]: sum(algorithm, bytes) }));
        const name = `x-amz-checksum-${algorithm}`;
        const type = { 'x-amz-checksum-type': 'FULL_OBJECT' };
        const wrong = await upload.complete(NAMED, { ...type, [name]: sum(algorithm, FIRST) });
        assert.equal(answer(wrong), '400 BadDigest');
        assert.deepEqual(await server.keys('box'), []);
        const right = await upload.complete(NAMED, { ...type, [name]: sum(algorithm, WHOLE) });
        assert.equal(answer(right), '200');
        const head = await client.send({
          method: 'HEAD',
          target: '/box/big',
          headers: { 'x-amz-checksum-mode': 'ENABLED' },
        });
        assert.equal(head.headers[name], sum(algorithm, WHOLE));
        assert.equal(head.headers['x-amz-checksum-type'], 'FULL_OBJECT');
      });
    });
  }

  it('with a full-object checksum compute the parts’ own where they are not sent', async () => {
    await withServer({}, async ({ client }) => {
      const begin = { 'x-amz-checksum-algorithm': 'CRC32', 'x-amz-checksum-type': 'FULL_OBJECT' };
      const upload = await Upload.begin(client, begin);
      await upload.putAll();
      const listed = await upload.list();
      assert.deepEqual(
        elements(listed.text, 'ChecksumCRC32'),
        PARTS.map((bytes) => sum('crc32', bytes)),
      );
      assert.deepEqual(elements(listed.text, 'ChecksumType'), ['FULL_OBJECT']);
      const sent = { 'x-amz-checksum-crc32': sum('crc32', WHOLE) };
      assert.equal(answer(await upload.complete(NAMED, sent)), '200');
    });
  });

  for (const algorithm of ['crc32', 'sha256'] as const) {
    it(`with a composite ${algorithm} must name every part's, and get the checksum of checksums`, async () => {
      await withServer({}, async ({ client }) => {
        const upload = await Upload.begin(client, { 'x-amz-checksum-algorithm': algorithm.toUpperCase() });
        await upload.putAll((bytes) => ({ [`x-amz-checksum-${algorithm}`]: sum(algorithm, bytes) }));
        const element = `Checksum${algorithm.toUpperCase()}`;
        const named = (value: (bytes: Uint8Array) => string): readonly NamedPart[] =>
          NAMED.map((part, index) => ({
            ...part,
            more: `<${element}>${value(PARTS[index] ?? LAST)}</${element}>`,
          }));
        assert.equal(answer(await upload.complete(NAMED)), '400 InvalidRequest');
        assert.equal(answer(await upload.complete(named(() => sum(algorithm, LAST)))), '400 InvalidPart');
        const right = named((bytes) => sum(algorithm, bytes));
        const composite = `${sum(algorithm, Buffer.concat(PARTS.map((bytes) => digestOf(algorithm, bytes))))}-3`;
        const name = `x-amz-checksum-${algorithm}`;
        assert.equal(
          answer(await upload.complete(right, { [name]: `${sum(algorithm, WHOLE)}-3` })),
          '400 BadDigest',
        );
        assert.equal(answer(await upload.complete(right, { [name]: composite })), '200');
        const head = await client.send({
          method: 'HEAD',
          target: '/box/big',
          headers: { 'x-amz-checksum-mode': 'ENABLED' },
        });
        assert.equal(head.headers[name], composite);
        assert.equal(head.headers['x-amz-checksum-type'], 'COMPOSITE');
      });
    });
  }

  it('refuse checksums that are wrong or of another kind than they began with', async () => {
    await withServer({}, async ({ client }) => {
      const begin = async (headers: Headers): Promise<string> =>
        answer(await client.send({ method: 'POST', target: '/box/x?uploads', headers }));
      assert.equal(await begin({ 'x-amz-checksum-algorithm': 'MD5' }), '400 InvalidRequest');
      assert.equal(await begin({ 'x-amz-checksum-type': 'FULL_OBJECT' }), '400 InvalidRequest');
      for (const [algorithm, type] of [
        ['SHA256', 'FULL_OBJECT'],
        ['CRC64NVME', 'COMPOSITE'],
        ['CRC32', 'OTHER'],
      ]) {
        const headers = { 'x-amz-checksum-algorithm': algorithm ?? '', 'x-amz-checksum-type': type ?? '' };
        assert.equal(await begin(headers), '400 InvalidRequest');
      }
      const upload = await Upload.begin(client, {
        'x-amz-checksum-algorithm': 'CRC32',
        'x-amz-checksum-type': 'FULL_OBJECT',
      });
      const part = async (headers: Headers): Promise<string> => answer(await upload.put(1, LAST, headers));
      assert.equal(await part({ 'x-amz-checksum-crc32': sum('crc32', FIRST) }), '400 BadDigest');
      assert.equal(await part({ 'x-amz-checksum-sha256': sum('sha256', LAST) }), '400 InvalidRequest');
      assert.equal(await part({ 'x-amz-checksum-crc32': sum('crc32', LAST) }), '200');
      const named = [{ number: 1, etag: md5(LAST) }];
      const complete = async (headers: Headers): Promise<string> =>
        answer(await upload.complete(named, headers));
      assert.equal(await complete({ 'x-amz-checksum-type': 'COMPOSITE' }), '400 InvalidRequest');
      assert.equal(await complete({ 'x-amz-checksum-sha256': sum('sha256', LAST) }), '400 InvalidRequest');
      assert.equal(await complete({ 'x-amz-mp-object-size': '1' }), '400 InvalidRequest');
      assert.equal(await complete({ 'x-amz-mp-object-size': String(LAST.length) }), '200');
      const plain = await Upload.begin(client);
      await plain.put(1, LAST);
      const late = await plain.complete(named, { 'x-amz-checksum-crc32': sum('crc32', LAST) });
      assert.equal(answer(late), '400 InvalidRequest');
    });
  });

  it('are completed once, and a repeated Complete is told so', async () => {
    await withServer({}, async ({ client }) => {
      const upload = await Upload.begin(client);
      await upload.putAll();
      const first = await upload.complete(NAMED);
      const again = await upload.complete(NAMED);
      assert.equal(answer(again), '200');
      assert.equal(again.text, first.text);
      assert.equal(answer(await upload.complete(NAMED.slice(0, 2))), '404 NoSuchUpload');
      assert.equal(answer(await upload.put(1, FIRST)), '404 NoSuchUpload');
      assert.equal(answer(await upload.abort()), '404 NoSuchUpload');
    });
  });

  it('hold to conditions at their end', async () => {
    await withServer({}, async ({ client, server }) => {
      const upload = await Upload.begin(client);
      await upload.putAll();
      await server.put('box', [{ key: 'big', body: Buffer.from('old') }]);
      assert.equal(answer(await upload.complete(NAMED, { 'if-none-match': '*' })), '412 PreconditionFailed');
      assert.equal(answer(await upload.complete(NAMED, { 'if-match': '"0"' })), '412 PreconditionFailed');
      assert.equal(
        answer(await upload.complete(NAMED, { 'if-match': `"${md5(Buffer.from('old'))}"` })),
        '200',
      );
    });
  });

  it('are gone when aborted', async () => {
    await withServer({}, async ({ client }) => {
      const upload = await Upload.begin(client);
      await upload.put(1, LAST);
      assert.equal(answer(await upload.abort()), '204');
      assert.equal(answer(await upload.abort()), '404 NoSuchUpload');
      assert.equal(answer(await upload.list()), '404 NoSuchUpload');
      assert.equal(answer(await upload.complete([{ number: 1, etag: md5(LAST) }])), '404 NoSuchUpload');
      assert.deepEqual(elements((await client.send({ target: '/box?uploads' })).text, 'Key'), []);
    });
  });

  it('are listed with their parts, page by page', async () => {
    await withServer({}, async ({ client }) => {
      const upload = await Upload.begin(client);
      for (const number of [9, 2, 4, 10]) await upload.put(number, Buffer.alloc(number));
      const first = await upload.list('&max-parts=3');
      assert.deepEqual(elements(first.text, 'PartNumber'), ['2', '4', '9']);
      assert.deepEqual(elements(first.text, 'Size'), ['2', '4', '9']);
      assert.deepEqual(elements(first.text, 'ETag')[0], `&quot;${md5(Buffer.alloc(2))}&quot;`);
      assert.deepEqual(elements(first.text, 'NextPartNumberMarker'), ['9']);
      const second = await upload.list('&max-parts=3&part-number-marker=9');
      assert.deepEqual(elements(second.text, 'PartNumber'), ['10']);
      assert.deepEqual(elements(second.text, 'IsTruncated'), ['false']);
    });
  });

  it('are listed with each other, page by page and by folder', async () => {
    await withServer({}, async ({ client }) => {
      const ids: string[] = [];
      for (const key of ['b', 'a', 'c/1', 'a', 'c/2', 'd'])
        ids.push(`${key}=${(await Upload.begin(client, {}, key)).id}`);
      const walk = async (query: string): Promise<readonly string[]> => {
        const found: string[] = [];
        let next = '';
        for (;;) {
          const { text } = await client.send({ target: `/box?uploads&max-uploads=2${query}${next}` });
          const keys = elements(text, 'Key');
          const uploads = elements(text, 'UploadId');
          found.push(
            ...keys.map((key, index) => `${key}=${uploads[index]}`),
            ...elements(text, 'Prefix').slice(1),
          );
          if (elements(text, 'IsTruncated')[0] === 'false') return found;
          next = `&key-marker=${elements(text, 'NextKeyMarker')[0]}&upload-id-marker=${elements(text, 'NextUploadIdMarker')[0]}`;
        }
      };
      const sorted = ids.toSorted();
      assert.deepEqual(await walk(''), sorted);
      assert.deepEqual(
        await walk('&prefix=c'),
        sorted.filter((one) => one.startsWith('c')),
      );
      assert.deepEqual(
        (await walk('&delimiter=%2F')).toSorted(),
        [...sorted.filter((one) => !one.startsWith('c')), 'c/'].toSorted(),
      );
    });
  });

  it('take parts from other objects, whole or in ranges, with their checksums', async () => {
    await withServer({}, async ({ client, server }) => {
      await client.send({ method: 'PUT', target: '/box/source', body: WHOLE });
      const upload = await Upload.begin(client, {
        'x-amz-checksum-algorithm': 'CRC32',
        'x-amz-checksum-type': 'FULL_OBJECT',
      });
      const copy = (number: number, headers: Headers): Promise<RawResponse> =>
        upload.put(number, Buffer.alloc(0), { 'x-amz-copy-source': 'box/source', ...headers });
      const cut = 6 * MIB;
      const first = await copy(1, { 'x-amz-copy-source-range': `bytes=0-${cut - 1}` });
      assert.match(first.text, new RegExp(`<ETag>&quot;${md5(WHOLE.subarray(0, cut))}&quot;</ETag>`));
      await copy(2, { 'x-amz-copy-source-range': `bytes=${cut}-${WHOLE.length - 1}` });
      const outside = await copy(3, { 'x-amz-copy-source-range': `bytes=0-${WHOLE.length}` });
      assert.equal(answer(outside), '416 InvalidRange');
      for (const range of ['bytes=1-', 'bytes=2-1', 'x']) {
        assert.equal(answer(await copy(3, { 'x-amz-copy-source-range': range })), '400 InvalidArgument');
      }
      assert.equal(answer(await copy(3, { 'x-amz-copy-source-if-match': '"0"' })), '412 PreconditionFailed');
      const completed = await upload.complete(
        [
          { number: 1, etag: md5(WHOLE.subarray(0, cut)) },
          { number: 2, etag: md5(WHOLE.subarray(cut)) },
        ],
        { 'x-amz-checksum-crc32': sum('crc32', WHOLE) },
      );
      assert.equal(answer(completed), '200');
      assert.ok(WHOLE.equals(Buffer.from((await server.get('box', 'big')) ?? [])));
    });
  });
});
