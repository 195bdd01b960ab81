import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { chunkedBody } from '../client/chunked-body.ts';
import type { RawRequest } from '../client/raw-client.ts';
import { headerList, outcome, type ProbeCase, type ProbeContext, sequence } from './case.ts';

const BODY = 'hello world';

function crc(text: string): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32(text));
  return bytes.toString('base64');
}

function sha(text: string): string {
  return createHash('sha256').update(text).digest('base64');
}

/** Puts, then tells what a HEAD with checksums says. */
async function put(context: ProbeContext, request: Omit<RawRequest, 'target'>): Promise<string> {
  const target = context.path();
  const response = await context.client.send({ method: 'PUT', target, body: BODY, ...request });
  const head = await context.client.send({
    method: 'HEAD',
    target,
    headers: { 'x-amz-checksum-mode': 'ENABLED' },
  });
  const stored =
    head.status === 200
      ? ` stored ${head.headers['content-length']} bytes ${headerList(head, /checksum/)}`
      : '';
  return `${outcome(response)}${stored}`.trim();
}

function trailing(options: {
  readonly value: string;
  readonly sdk?: boolean;
  readonly isSigned?: boolean;
  readonly wrong?: number | 'trailer';
  readonly isLeftOut?: boolean;
}): Omit<RawRequest, 'target'> {
  const trailers = { 'x-amz-checksum-crc32': options.value };
  return {
    payloadHash: options.isSigned
      ? 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER'
      : 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
    headers: {
      'content-encoding': 'aws-chunked',
      'x-amz-decoded-content-length': String(BODY.length),
      'x-amz-trailer': 'x-amz-checksum-crc32',
      ...(options.sdk ? { 'x-amz-sdk-checksum-algorithm': 'CRC32' } : {}),
    },
    bodyOf: (signed) =>
      chunkedBody({
        chunks: [BODY],
        ...(options.isSigned ? { signed } : {}),
        trailers: options.isLeftOut ? {} : trailers,
        ...(options.wrong === undefined ? {} : { wrong: options.wrong }),
      }),
  };
}

function signedChunks(wrong?: number): Omit<RawRequest, 'target'> {
  return {
    payloadHash: 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
    headers: { 'content-encoding': 'aws-chunked', 'x-amz-decoded-content-length': String(BODY.length) },
    bodyOf: (signed) => chunkedBody({ chunks: [BODY], signed, ...(wrong === undefined ? {} : { wrong }) }),
  };
}

function checksum(name: string, value: string, sdk?: string): Omit<RawRequest, 'target'> {
  return {
    headers: { [name]: value, ...(sdk === undefined ? {} : { 'x-amz-sdk-checksum-algorithm': sdk }) },
  };
}

const md5 = (text: string): string => createHash('md5').update(text).digest('base64');

function putCase(name: string, request: Omit<RawRequest, 'target'>): ProbeCase {
  return { name, run: (context) => put(context, request) };
}

export const PAYLOAD_CASES: readonly ProbeCase[] = [
  putCase('payload: right hash', {}),
  putCase('payload: wrong hash', { payloadHash: '0'.repeat(64) }),
  putCase('payload: malformed hash', { payloadHash: 'abc' }),
  putCase('payload: UNSIGNED-PAYLOAD', { payloadHash: 'UNSIGNED-PAYLOAD' }),
  putCase('payload: wrong hash of an empty body', { body: '', payloadHash: '0'.repeat(64) }),
  putCase('payload: right Content-MD5', { headers: { 'content-md5': md5(BODY) } }),
  putCase('payload: wrong Content-MD5', { headers: { 'content-md5': md5('other') } }),
  putCase('payload: malformed Content-MD5', { headers: { 'content-md5': 'nonsense' } }),
  putCase('payload: no length', { isChunked: true }),
  putCase('chunks: signed', signedChunks()),
  putCase('chunks: first signature wrong', signedChunks(0)),
  putCase('chunks: last signature wrong', signedChunks(1)),
  putCase('trailer: CRC32 right', trailing({ value: crc(BODY) })),
  putCase('trailer: CRC32 right, algorithm named', trailing({ value: crc(BODY), sdk: true })),
  putCase('trailer: CRC32 wrong', trailing({ value: crc('other') })),
  putCase('trailer: CRC32 wrong, algorithm named', trailing({ value: crc('other'), sdk: true })),
  putCase('trailer: announced and left out', trailing({ value: '', sdk: true, isLeftOut: true })),
  putCase('trailer: signed', trailing({ value: crc(BODY), sdk: true, isSigned: true })),
  putCase(
    'trailer: signed, a chunk wrongly',
    trailing({ value: crc(BODY), sdk: true, isSigned: true, wrong: 0 }),
  ),
  putCase(
    'trailer: signed wrongly',
    trailing({ value: crc(BODY), sdk: true, isSigned: true, wrong: 'trailer' }),
  ),
  putCase('trailer: over Transfer-Encoding', {
    ...trailing({ value: crc(BODY), sdk: true }),
    isChunked: true,
  }),
  putCase('checksum: CRC32 right', checksum('x-amz-checksum-crc32', crc(BODY))),
  putCase('checksum: CRC32 right, algorithm named', checksum('x-amz-checksum-crc32', crc(BODY), 'CRC32')),
  putCase('checksum: CRC32 wrong', checksum('x-amz-checksum-crc32', crc('other'))),
  putCase('checksum: CRC32 wrong, algorithm named', checksum('x-amz-checksum-crc32', crc('other'), 'CRC32')),
  putCase('checksum: CRC32 malformed', checksum('x-amz-checksum-crc32', 'nonsense', 'CRC32')),
  putCase('checksum: CRC32C', checksum('x-amz-checksum-crc32c', 'yZRlqg==', 'CRC32C')),
  putCase('checksum: CRC32C wrong', checksum('x-amz-checksum-crc32c', 'yZRlqQ==', 'CRC32C')),
  putCase('checksum: CRC64NVME', checksum('x-amz-checksum-crc64nvme', 'jSnVw/bqjr4=', 'CRC64NVME')),
  putCase('checksum: CRC64NVME wrong', checksum('x-amz-checksum-crc64nvme', 'jSnVw/bqjr8=', 'CRC64NVME')),
  putCase(
    'checksum: SHA1',
    checksum('x-amz-checksum-sha1', createHash('sha1').update(BODY).digest('base64'), 'SHA1'),
  ),
  putCase('checksum: SHA256', checksum('x-amz-checksum-sha256', sha(BODY), 'SHA256')),
  putCase('checksum: SHA256 wrong', checksum('x-amz-checksum-sha256', sha('other'), 'SHA256')),
  putCase('checksum: another algorithm named', checksum('x-amz-checksum-sha256', sha(BODY), 'CRC32')),
  putCase('checksum: two at once', {
    headers: { 'x-amz-checksum-sha256': sha(BODY), 'x-amz-checksum-crc32': crc(BODY) },
  }),
  putCase('checksum: algorithm named, none sent', { headers: { 'x-amz-sdk-checksum-algorithm': 'CRC32' } }),
  {
    name: 'checksum: not asked for, and of a range',
    run: async (context) => {
      const target = context.path();
      const { headers } = checksum('x-amz-checksum-crc32', crc(BODY), 'CRC32');
      await context.client.send({ method: 'PUT', target, body: BODY, ...(headers ? { headers } : {}) });
      const plain = await context.client.send({ target });
      const mode = { 'x-amz-checksum-mode': 'ENABLED' };
      const range = await context.client.send({ target, headers: { ...mode, range: 'bytes=0-3' } });
      const whole = await context.client.send({ target, headers: mode });
      return [plain, range, whole]
        .map((one) => `${one.status} ${headerList(one, /checksum/)}`.trim())
        .join(', ');
    },
  },
  {
    name: 'attributes: what HEAD gives back',
    run: async (context) => {
      const target = context.path();
      const put = await context.client.send({
        method: 'PUT',
        target,
        body: BODY,
        headers: {
          'content-type': 'text/x-test',
          'cache-control': 'no-store',
          'content-disposition': 'inline',
          'content-encoding': 'identity',
          'content-language': 'de',
          'x-amz-storage-class': 'STANDARD',
          'x-amz-acl': 'private',
          'x-amz-meta-one': 'Ein Wert',
        },
      });
      const head = await context.client.send({ method: 'HEAD', target });
      return `${outcome(put)}: ${headerList(head, /^content-|^cache|^x-amz-(storage|acl|meta|server)/)}`;
    },
  },
  {
    name: 'attributes: aws-chunked is no encoding of the object',
    run: async (context) => {
      const target = context.path();
      await context.client.send({ method: 'PUT', target, ...signedChunks() });
      const head = await context.client.send({ method: 'HEAD', target });
      return `content-encoding=${head.headers['content-encoding'] ?? ''}`;
    },
  },
  {
    name: 'attributes: more than 2 KB of metadata',
    run: ({ client, path }) =>
      sequence([
        () =>
          client.send({
            method: 'PUT',
            target: path(),
            body: 'x',
            headers: { 'x-amz-meta-a': 'b'.repeat(3000) },
          }),
      ]),
  },
];
