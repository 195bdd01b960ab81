import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { RawResponse } from '../client/raw-client.ts';
import { elements, outcome, type ProbeCase, type ProbeContext, sequence, told } from './case.ts';

const MIB = 1024 * 1024;
const BIG = Buffer.alloc(5 * MIB, 'a');
const SMALL = Buffer.from('the end');
type Headers = Readonly<Record<string, string>>;

function crc(bytes: Uint8Array): string {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(crc32(bytes));
  return out.toString('base64');
}

interface Part {
  readonly number: number;
  readonly etag: string;
  readonly checksum?: string;
}

class UploadProbe {
  readonly #context: ProbeContext;
  readonly #id: string;

  private constructor(context: ProbeContext, id: string) {
    this.#context = context;
    this.#id = id;
  }

  static async begin(context: ProbeContext, headers: Headers = {}): Promise<UploadProbe> {
    const response = await UploadProbe.create(context, headers);
    return new UploadProbe(context, elements(response.text, 'UploadId')[0] ?? 'none');
  }

  static create(context: ProbeContext, headers: Headers): Promise<RawResponse> {
    return context.client.send({ method: 'POST', target: `${context.path()}?uploads=`, headers });
  }

  #target(query = ''): string {
    return `${this.#context.path()}?${query}uploadId=${encodeURIComponent(this.#id)}`;
  }

  put(number: number | string, body: Uint8Array, headers: Headers = {}): Promise<RawResponse> {
    return this.#context.client.send({
      method: 'PUT',
      target: this.#target(`partNumber=${number}&`),
      body,
      headers,
    });
  }

  complete(parts: readonly Part[], headers: Headers = {}): Promise<RawResponse> {
    const xml = parts.map(
      (part) =>
        `<Part><PartNumber>${part.number}</PartNumber><ETag>${part.etag}</ETag>${part.checksum ?? ''}</Part>`,
    );
    const body = `<CompleteMultipartUpload>${xml.join('')}</CompleteMultipartUpload>`;
    return this.completeWith(body, headers);
  }

  completeWith(body: string, headers: Headers = {}): Promise<RawResponse> {
    return this.#context.client.send({ method: 'POST', target: this.#target(), body, headers });
  }

  list(query = ''): Promise<RawResponse> {
    return this.#context.client.send({ target: this.#target(query) });
  }

  abort(): Promise<RawResponse> {
    return this.#context.client.send({ method: 'DELETE', target: this.#target() });
  }
}

function etag(bytes: Uint8Array): string {
  return `"${createHash('md5').update(bytes).digest('hex')}"`;
}

const TWO: readonly Part[] = [
  { number: 1, etag: etag(BIG) },
  { number: 2, etag: etag(SMALL) },
];
const WHOLE = crc(Buffer.concat([BIG, SMALL]));
const FULL: Headers = { 'x-amz-checksum-algorithm': 'CRC32', 'x-amz-checksum-type': 'FULL_OBJECT' };
const COMPOSITE: Headers = { 'x-amz-checksum-algorithm': 'CRC32', 'x-amz-checksum-type': 'COMPOSITE' };

/** Two right parts, then the given Complete, then what HEAD says. */
function completed(name: string, begin: Headers, parts: readonly Part[], headers: Headers = {}): ProbeCase {
  return {
    name,
    run: async (context) => {
      const upload = await UploadProbe.begin(context, begin);
      const sent = (bytes: Uint8Array): Headers =>
        begin['x-amz-checksum-algorithm'] === 'CRC32'
          ? { 'x-amz-checksum-crc32': crc(bytes), 'x-amz-sdk-checksum-algorithm': 'CRC32' }
          : {};
      await upload.put(1, BIG, sent(BIG));
      await upload.put(2, SMALL, sent(SMALL));
      const response = await upload.complete(parts, headers);
      const head = await context.client.send({
        method: 'HEAD',
        target: context.path(),
        headers: { 'x-amz-checksum-mode': 'ENABLED' },
      });
      await upload.abort();
      return `${outcome(response)} then ${head.status} ${told(head, /^etag|checksum|^content-length/)}`.trim();
    },
  };
}

function withChecksums(values: readonly string[]): readonly Part[] {
  return TWO.map((part, index) => ({
    ...part,
    checksum: `<ChecksumCRC32>${values[index]}</ChecksumCRC32>`,
  }));
}

export const MULTIPART_CASES: readonly ProbeCase[] = [
  ...[
    {},
    FULL,
    COMPOSITE,
    { 'x-amz-checksum-algorithm': 'CRC32' },
    { 'x-amz-checksum-algorithm': 'CRC64NVME' },
    { 'x-amz-checksum-algorithm': 'SHA256' },
    { 'x-amz-checksum-algorithm': 'SHA256', 'x-amz-checksum-type': 'FULL_OBJECT' },
    { 'x-amz-checksum-algorithm': 'CRC64NVME', 'x-amz-checksum-type': 'COMPOSITE' },
    { 'x-amz-checksum-algorithm': 'MD9' },
    { 'x-amz-checksum-type': 'FULL_OBJECT' },
  ].map(
    (headers: Headers): ProbeCase => ({
      name: `multipart: begin with ${Object.values(headers).join(' ') || 'no checksum'}`,
      run: async (context) => {
        const response = await UploadProbe.create(context, headers);
        return `${outcome(response)} ${told(response, /checksum/)}`.trim();
      },
    }),
  ),
  completed('multipart: plain', {}, TWO),
  completed(
    'multipart: ETags without quotes',
    {},
    TWO.map((part) => ({ ...part, etag: part.etag.slice(1, -1) })),
  ),
  completed('multipart: wrong ETag', {}, [{ number: 1, etag: etag(SMALL) }, ...TWO.slice(1)]),
  completed('multipart: wrong order', {}, TWO.toReversed()),
  completed('multipart: the same part twice', {}, [...TWO.slice(0, 1), ...TWO]),
  completed('multipart: a part that never came', {}, [...TWO, { number: 3, etag: etag(SMALL) }]),
  completed('multipart: no parts', {}, []),
  completed('multipart: one part left out', {}, TWO.slice(0, 1)),
  completed('multipart: right size announced', {}, TWO, {
    'x-amz-mp-object-size': String(BIG.length + SMALL.length),
  }),
  completed('multipart: wrong size announced', {}, TWO, { 'x-amz-mp-object-size': '5' }),
  completed('multipart: full object CRC32 right', FULL, TWO, {
    'x-amz-checksum-crc32': WHOLE,
    'x-amz-checksum-type': 'FULL_OBJECT',
  }),
  completed('multipart: full object CRC32 right, without type', FULL, TWO, { 'x-amz-checksum-crc32': WHOLE }),
  completed('multipart: full object CRC32 wrong', FULL, TWO, {
    'x-amz-checksum-crc32': crc(SMALL),
    'x-amz-checksum-type': 'FULL_OBJECT',
  }),
  completed('multipart: full object CRC32 not sent', FULL, TWO),
  completed('multipart: full object, parts with checksums', FULL, withChecksums([crc(BIG), crc(SMALL)]), {
    'x-amz-checksum-crc32': WHOLE,
    'x-amz-checksum-type': 'FULL_OBJECT',
  }),
  completed('multipart: full object, wrong part checksum', FULL, withChecksums([crc(SMALL), crc(SMALL)]), {
    'x-amz-checksum-crc32': WHOLE,
    'x-amz-checksum-type': 'FULL_OBJECT',
  }),
  completed('multipart: full object announced as composite', FULL, TWO, {
    'x-amz-checksum-crc32': WHOLE,
    'x-amz-checksum-type': 'COMPOSITE',
  }),
  completed('multipart: composite', COMPOSITE, withChecksums([crc(BIG), crc(SMALL)])),
  completed('multipart: composite without part checksums', COMPOSITE, TWO),
  completed('multipart: composite, wrong part checksum', COMPOSITE, withChecksums([crc(SMALL), crc(SMALL)])),
  completed('multipart: CRC32 on Complete of an upload without', {}, TWO, { 'x-amz-checksum-crc32': WHOLE }),
  {
    name: 'multipart: too small a part',
    run: async (context) => {
      const upload = await UploadProbe.begin(context);
      await upload.put(1, SMALL);
      await upload.put(2, SMALL);
      return outcome(await upload.complete([1, 2].map((number) => ({ number, etag: etag(SMALL) }))));
    },
  },
  {
    name: 'multipart: one empty part',
    run: async (context) => {
      const upload = await UploadProbe.begin(context);
      const put = await upload.put(1, Buffer.alloc(0));
      return sequence([async () => put, () => upload.complete([{ number: 1, etag: etag(Buffer.alloc(0)) }])]);
    },
  },
  {
    name: 'multipart: malformed XML',
    run: async (context) => {
      const upload = await UploadProbe.begin(context);
      await upload.put(1, SMALL);
      return sequence(
        ['<CompleteMultipartUpload>', 'nonsense', '', '<Other/>'].map(
          (xml) => () => upload.completeWith(xml),
        ),
      );
    },
  },
  {
    name: 'part: numbers',
    run: async (context) => {
      const upload = await UploadProbe.begin(context);
      return sequence([0, 1, 10_000, 10_001, 'x'].map((number) => () => upload.put(number, SMALL)));
    },
  },
  {
    name: 'part: of no upload',
    run: async (context) => {
      const upload = await UploadProbe.begin(context);
      await upload.abort();
      return sequence([
        () => upload.put(1, SMALL),
        () => upload.list(),
        () => upload.abort(),
        () => upload.complete(TWO),
      ]);
    },
  },
  {
    name: 'part: checksums',
    run: async (context) => {
      const upload = await UploadProbe.begin(context, FULL);
      const sdk = { 'x-amz-sdk-checksum-algorithm': 'CRC32' };
      const digest = createHash('sha256').update(SMALL).digest('base64');
      return sequence([
        () => upload.put(1, SMALL, { 'x-amz-checksum-crc32': crc(SMALL), ...sdk }),
        () => upload.put(2, SMALL, { 'x-amz-checksum-crc32': crc(BIG), ...sdk }),
        () => upload.put(3, SMALL, { 'x-amz-checksum-crc32': crc(BIG) }),
        () => upload.put(4, SMALL),
        () =>
          upload.put(5, SMALL, { 'x-amz-checksum-sha256': digest, 'x-amz-sdk-checksum-algorithm': 'SHA256' }),
        async () => {
          const { text } = await upload.list();
          return [
            'PartNumber',
            'Size',
            'ChecksumCRC32',
            'ChecksumSHA256',
            'ChecksumAlgorithm',
            'ChecksumType',
          ]
            .map((name) => `${name} ${elements(text, name).join('|')}`)
            .join('; ');
        },
      ]);
    },
  },
  {
    name: 'part: checksum where the upload has none',
    run: async (context) => {
      const upload = await UploadProbe.begin(context);
      const sdk = { 'x-amz-sdk-checksum-algorithm': 'CRC32' };
      return sequence([
        () => upload.put(1, BIG, { 'x-amz-checksum-crc32': crc(BIG), ...sdk }),
        () => upload.put(2, SMALL, { 'x-amz-checksum-crc32': crc(BIG), ...sdk }),
        () => upload.put(2, SMALL),
        () => upload.complete(TWO),
      ]);
    },
  },
  {
    name: 'multipart: completed twice',
    run: async (context) => {
      const upload = await UploadProbe.begin(context);
      await upload.put(1, BIG);
      await upload.put(2, SMALL);
      return sequence([
        () => upload.complete(TWO),
        () => upload.complete(TWO),
        () => upload.complete(TWO.slice(0, 1)),
        () => upload.abort(),
      ]);
    },
  },
  {
    name: 'multipart: conditions on Complete',
    run: async (context) => {
      await context.client.send({ method: 'PUT', target: context.path(), body: 'x' });
      const upload = await UploadProbe.begin(context);
      await upload.put(1, BIG);
      await upload.put(2, SMALL);
      return sequence([
        () => upload.complete(TWO, { 'if-none-match': '*' }),
        () => upload.complete(TWO, { 'if-match': etag(SMALL) }),
        () => upload.complete(TWO, { 'if-match': etag(Buffer.from('x')) }),
      ]);
    },
  },
  {
    name: 'parts: pages',
    run: async (context) => {
      const upload = await UploadProbe.begin(context);
      for (const number of [3, 1, 10, 2]) await upload.put(number, SMALL);
      const pages: string[] = [];
      let marker = '0';
      for (let page = 0; page < 5; page += 1) {
        const { text } = await upload.list(`max-parts=2&part-number-marker=${marker}&`);
        pages.push(`(${elements(text, 'PartNumber').join('|')})`);
        if (elements(text, 'IsTruncated')[0] !== 'true') break;
        marker = elements(text, 'NextPartNumberMarker')[0] ?? '0';
      }
      await upload.abort();
      return pages.join(' ');
    },
  },
  {
    name: 'uploads: pages',
    run: async (context) => {
      const folder = context.path('').slice(context.bucket.length + 2);
      for (const key of ['b', 'a', 'a', 'c/1', 'c/2', 'd']) {
        await context.client.send({ method: 'POST', target: `${context.path(key)}?uploads=` });
      }
      const walk = async (query: string): Promise<string> => {
        const pages: string[] = [];
        let next = '';
        for (let page = 0; page < 8; page += 1) {
          const target = `/${context.bucket}?uploads=&prefix=${folder}&max-uploads=2${query}${next}`;
          const { text } = await context.client.send({ target });
          const names = [
            ...elements(text, 'Key'),
            ...elements(text, 'Prefix').filter((one) => one !== folder),
          ];
          pages.push(`(${names.map((name) => name.slice(folder.length)).join('|')})`);
          if (elements(text, 'IsTruncated')[0] !== 'true') break;
          const key = elements(text, 'NextKeyMarker')[0] ?? '';
          const id = elements(text, 'NextUploadIdMarker')[0] ?? '';
          next = `&key-marker=${encodeURIComponent(key)}&upload-id-marker=${encodeURIComponent(id)}`;
        }
        return pages.join(' ');
      };
      return `${await walk('')}; with delimiter ${await walk('&delimiter=%2F')}`;
    },
  },
  {
    name: 'part copy: ranges',
    run: async (context) => {
      await context.client.send({ method: 'PUT', target: context.path('source'), body: 'hello world' });
      const upload = await UploadProbe.begin(context);
      const source = { 'x-amz-copy-source': context.path('source') };
      const ranges = ['bytes=0-4', 'bytes=6-10', 'bytes=6-11', 'bytes=4-', 'bytes=4-2', 'nonsense'];
      return sequence([
        async () => {
          const response = await upload.put(1, Buffer.alloc(0), source);
          return `${outcome(response)} ${elements(response.text, 'ETag').join()}`;
        },
        ...ranges.map((range) => async () => {
          const response = await upload.put(2, Buffer.alloc(0), {
            ...source,
            'x-amz-copy-source-range': range,
          });
          return `${outcome(response)} ${elements(response.text, 'ETag').join()}`.trim();
        }),
      ]);
    },
  },
  {
    name: 'part: read by number',
    run: async (context) => {
      const upload = await UploadProbe.begin(context);
      await upload.put(1, BIG);
      await upload.put(2, SMALL);
      await upload.complete(TWO);
      return sequence(
        [2, 3, 0].map((number) => async () => {
          const response = await context.client.send({ target: `${context.path()}?partNumber=${number}` });
          return `${outcome(response)} ${told(response, /^content-(range|length)|parts-count/)}`.trim();
        }),
      );
    },
  },
  {
    name: 'copy: of a multipart object',
    run: async (context) => {
      const upload = await UploadProbe.begin(context);
      await upload.put(1, BIG);
      await upload.put(2, SMALL);
      await upload.complete(TWO);
      const response = await context.client.send({
        method: 'PUT',
        target: context.path('copy'),
        headers: { 'x-amz-copy-source': context.path() },
      });
      return `${outcome(response)} ${elements(response.text, 'ETag').join()}`;
    },
  },
];
