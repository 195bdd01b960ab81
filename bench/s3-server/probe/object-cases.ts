import { createHash } from 'node:crypto';
import { encode } from '../client/sign-request.ts';
import { outcome, type ProbeCase, sequence, told } from './case.ts';

const PAST = 'Mon, 01 Jan 2024 00:00:00 GMT';
const FUTURE = 'Fri, 01 Jan 2100 00:00:00 GMT';
const OTHER = '"00000000000000000000000000000000"';
const ETAG = `"${createHash('md5').update('hello world').digest('hex')}"`;

function read(name: string, method: string, headers: Readonly<Record<string, string>>): ProbeCase {
  return {
    name,
    run: async ({ client, path }) => {
      await client.send({ method: 'PUT', target: path(), body: 'hello world' });
      const response = await client.send({ method, target: path(), headers });
      const body = response.status < 300 && method === 'GET' ? ` "${response.text}"` : '';
      return `${outcome(response)}${body} ${told(response, /^content-(range|length)$/)}`.trim();
    },
  };
}

/** The second write of a key, under conditions. */
function rewrite(name: string, headers: Readonly<Record<string, string>>): ProbeCase {
  return {
    name,
    run: async ({ client, path }) => {
      await client.send({ method: 'PUT', target: path(), body: 'hello world' });
      const response = await client.send({ method: 'PUT', target: path(), body: 'x', headers });
      return `${outcome(response)} then "${(await client.send({ target: path() })).text}"`;
    },
  };
}

const SHA256 = createHash('sha256').update('hello world').digest('base64');
/** Ceph 20 looks at the checksum only when the algorithm is named as well. */
const WITH_SHA256 = { 'x-amz-checksum-sha256': SHA256, 'x-amz-sdk-checksum-algorithm': 'SHA256' };

/** @param more fields that the source is written with. */
function copy(
  name: string,
  headers: Readonly<Record<string, string>>,
  more: Readonly<Record<string, string>> = {},
): ProbeCase {
  return {
    name,
    run: async ({ client, path }) => {
      const original = { 'x-amz-meta-a': 'b', 'content-type': 'text/one', ...more };
      await client.send({ method: 'PUT', target: path('from ü'), body: 'hello world', headers: original });
      const source = { 'x-amz-copy-source': path('from ü') };
      const response = await client.send({
        method: 'PUT',
        target: path('to'),
        headers: { ...source, ...headers },
      });
      const head = await client.send({
        method: 'HEAD',
        target: path('to'),
        headers: { 'x-amz-checksum-mode': 'ENABLED' },
      });
      return `${outcome(response)} then ${head.status} ${told(head, /^content-type|^etag|meta|checksum/)}`.trim();
    },
  };
}

export const OBJECT_CASES: readonly ProbeCase[] = [
  read('read: plain', 'GET', {}),
  read('read: If-Match right', 'GET', { 'if-match': ETAG }),
  read('read: If-Match wrong', 'GET', { 'if-match': OTHER }),
  read('read: If-Match of several', 'GET', { 'if-match': `${OTHER}, ${ETAG}` }),
  read('read: If-None-Match same', 'GET', { 'if-none-match': ETAG }),
  read('read: If-None-Match other', 'GET', { 'if-none-match': OTHER }),
  read('read: If-Modified-Since the future', 'GET', { 'if-modified-since': FUTURE }),
  read('read: If-Modified-Since the past', 'GET', { 'if-modified-since': PAST }),
  read('read: If-Unmodified-Since the past', 'GET', { 'if-unmodified-since': PAST }),
  read('read: If-Match right, If-Unmodified-Since the past', 'GET', {
    'if-match': ETAG,
    'if-unmodified-since': PAST,
  }),
  read('head: plain', 'HEAD', {}),
  read('head: If-Match wrong', 'HEAD', { 'if-match': OTHER }),
  read('head: range', 'HEAD', { range: 'bytes=0-3' }),
  ...['0-3', '6-', '-5', '-100', '0-100', '5-5', '11-', '100-200', '-0', '3-1', '0-1,3-4', 'x-y'].map(
    (range) => read(`range: ${range}`, 'GET', { range: `bytes=${range}` }),
  ),
  {
    name: 'range: of an empty object',
    run: async ({ client, path }) => {
      await client.send({ method: 'PUT', target: path(), body: '' });
      return sequence(
        ['bytes=0-', 'bytes=-5'].map((range) => () => client.send({ target: path(), headers: { range } })),
      );
    },
  },
  rewrite('write: If-None-Match: * over an object', { 'if-none-match': '*' }),
  rewrite('write: If-Match right', { 'if-match': ETAG }),
  rewrite('write: If-Match wrong', { 'if-match': OTHER }),
  rewrite('write: If-None-Match with its ETag', { 'if-none-match': ETAG }),
  {
    name: 'write: If-Match and If-None-Match on no object',
    run: ({ client, path }) =>
      sequence([
        () => client.send({ method: 'PUT', target: path('a'), body: 'x', headers: { 'if-match': OTHER } }),
        () => client.send({ method: 'PUT', target: path('b'), body: 'x', headers: { 'if-none-match': '*' } }),
      ]),
  },
  {
    name: 'write: key of 1,024 and 1,025 bytes',
    run: ({ client, bucket }) =>
      sequence(
        [1024, 1025].map(
          (length) => () => client.send({ method: 'PUT', target: `/${bucket}/${'k'.repeat(length)}` }),
        ),
      ),
  },
  {
    name: 'write: key that is not UTF-8',
    run: async ({ client, bucket }) => {
      // URLSearchParams and encodeURIComponent cannot write such bytes, so the path is given as it is.
      return outcome(await client.send({ method: 'PUT', target: `/${bucket}/%FF%FE` }));
    },
  },
  {
    name: 'missing: key',
    run: ({ client, path }) =>
      sequence(['GET', 'HEAD', 'DELETE'].map((method) => () => client.send({ method, target: path() }))),
  },
  {
    name: 'missing: bucket',
    run: ({ client }) =>
      sequence([
        () => client.send({ target: '/no-such-bucket-here/x' }),
        () => client.send({ method: 'HEAD', target: '/no-such-bucket-here' }),
        () => client.send({ method: 'PUT', target: '/no-such-bucket-here/x', body: 'x' }),
        () => client.send({ method: 'DELETE', target: '/no-such-bucket-here/x' }),
        () => client.send({ target: '/no-such-bucket-here?list-type=2' }),
        () => client.send({ method: 'POST', target: '/no-such-bucket-here/x?uploads=' }),
        () => client.send({ method: 'DELETE', target: '/no-such-bucket-here' }),
      ]),
  },
  {
    name: 'delete: several',
    run: async ({ client, bucket, path }) => {
      await client.send({ method: 'PUT', target: path('one'), body: 'x' });
      const key = decodeURIComponent(path('one').slice(bucket.length + 2));
      const send = (body: string, headers: Readonly<Record<string, string>>): Promise<string> =>
        client.send({ method: 'POST', target: `/${bucket}?delete=`, body, headers }).then(outcome);
      const xml = (keys: readonly string[]): string =>
        `<Delete>${keys.map((one) => `<Object><Key>${one}</Key></Object>`).join('')}</Delete>`;
      const md5 = (text: string): Record<string, string> => ({
        'content-md5': createHash('md5').update(text).digest('base64'),
      });
      const many = xml(Array.from({ length: 1001 }, (_, index) => `k${index}`));
      return sequence([
        () => send(xml([key, 'missing']), md5(xml([key, 'missing']))),
        () => client.send({ method: 'HEAD', target: path('one') }),
        () => send(xml(['missing']), {}),
        () => send(xml(['missing']), md5('other')),
        () => send(many, md5(many)),
        () => send('<Delete><Object>', md5('<Delete><Object>')),
        () => send('', md5('')),
      ]);
    },
  },
  copy('copy: plain', {}),
  copy('copy: with new metadata', {
    'x-amz-metadata-directive': 'REPLACE',
    'content-type': 'text/two',
    'x-amz-meta-c': 'd',
  }),
  copy('copy: with a checksum asked for', { 'x-amz-checksum-algorithm': 'SHA256' }),
  copy('copy: of an object with a sha256', {}, WITH_SHA256),
  copy(
    'copy: of an object with a sha256, which is asked for',
    { 'x-amz-checksum-algorithm': 'SHA256' },
    WITH_SHA256,
  ),
  copy(
    'copy: of an object with a sha256, with new metadata',
    { 'x-amz-metadata-directive': 'REPLACE' },
    WITH_SHA256,
  ),
  copy('copy: with tags of its own', { 'x-amz-tagging-directive': 'REPLACE' }),
  copy('copy: source If-Match wrong', { 'x-amz-copy-source-if-match': OTHER }),
  copy('copy: source If-None-Match same', { 'x-amz-copy-source-if-none-match': ETAG }),
  copy('copy: unknown directive', { 'x-amz-metadata-directive': 'KEEP' }),
  {
    name: 'copy: missing source, malformed source, onto itself',
    run: async ({ client, bucket, path }) => {
      await client.send({ method: 'PUT', target: path(), body: 'x' });
      const from =
        (source: string, headers: Readonly<Record<string, string>> = {}): (() => Promise<string>) =>
        () =>
          client
            .send({ method: 'PUT', target: path(), headers: { 'x-amz-copy-source': source, ...headers } })
            .then(outcome);
      return sequence([
        from(`/${bucket}/missing`),
        from('/no-such-bucket-here/missing'),
        from('nonsense'),
        from(path()),
        from(path(), { 'x-amz-metadata-directive': 'REPLACE' }),
        from(path().slice(1), { 'x-amz-metadata-directive': 'REPLACE' }),
      ]);
    },
  },
  {
    name: 'bucket: names and repetition',
    run: ({ client, bucket }) =>
      sequence([
        () => client.send({ method: 'PUT', target: `/${bucket}` }),
        () => client.send({ method: 'PUT', target: '/ab' }),
        () => client.send({ method: 'PUT', target: '/Upper_case' }),
        () => client.send({ method: 'HEAD', target: `/${bucket}` }),
        () => client.send({ target: `/${bucket}?location=` }),
        () => client.send({ target: `/${bucket}?versioning=` }),
        () => client.send({ target: '/' }),
      ]),
  },
  {
    name: 'bucket: deletion',
    run: async ({ client, bucket }) => {
      const other = `${bucket}-gone`;
      return sequence([
        () => client.send({ method: 'PUT', target: `/${other}` }),
        () => client.send({ method: 'PUT', target: `/${other}/${encode('x')}`, body: 'x' }),
        () => client.send({ method: 'DELETE', target: `/${other}` }),
        () => client.send({ method: 'DELETE', target: `/${other}/x` }),
        () => client.send({ method: 'DELETE', target: `/${other}` }),
        () => client.send({ method: 'HEAD', target: `/${other}` }),
      ]);
    },
  },
  {
    name: 'bucket: configurations that are not there',
    run: ({ client, bucket }) =>
      sequence(
        ['cors', 'encryption', 'lifecycle', 'object-lock', 'policy', 'tagging'].map(
          (name) => () => client.send({ target: `/${bucket}?${name}=` }),
        ),
      ),
  },
];
