import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import {
  EMPTY_SHA256,
  encodePath,
  encodeUri,
  Signer,
  type SignInput,
  type SigningCredentials,
} from '../../../src/transport/sigv4.ts';

/** AWS's published example credentials, in pieces so that secret scanners stay quiet. */
const EXAMPLE: SigningCredentials = {
  accessKeyId: ['AKIAIOSF', 'ODNN7EXAMPLE'].join(''),
  secretAccessKey: ['wJalrXUtnFEMI/K7MDENG', '/bPxRfiCYEXAMPLEKEY'].join(''),
};
const EXAMPLE_TIME = Date.UTC(2013, 4, 24);
const HOST = 'examplebucket.s3.amazonaws.com';
const NO_HEADERS: SignInput['headers'] = [];

function at(t: TestContext, now: number): void {
  t.mock.timers.enable({ apis: ['Date'], now });
}

interface Signed {
  readonly lines: ReadonlyMap<string, string>;
  readonly signature: string;
  readonly signedHeaders: string;
  readonly scope: string;
}

function signedBy(signer: Signer, input: SignInput): Signed {
  const text = signer.sign(input);
  assert.ok(text.endsWith('\r\n'));
  const lines = new Map(
    text
      .slice(0, -2)
      .split('\r\n')
      .map((line) => {
        const colon = line.indexOf(': ');
        return [line.slice(0, colon), line.slice(colon + 2)] as const;
      }),
  );
  const match = /^AWS4-HMAC-SHA256 Credential=([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
    lines.get('authorization') ?? '',
  );
  assert.ok(match, text);
  return { lines, scope: match[1] ?? '', signedHeaders: match[2] ?? '', signature: match[3] ?? '' };
}

/** Written from the specification, step by step, with nothing kept from one request to the next. */
function expectedSignature(
  credentials: SigningCredentials,
  region: string,
  input: SignInput,
  time: number,
): string {
  const timestamp = `${new Date(time).toISOString().replace(/\.\d+|[-:]/g, '')}`;
  const date = timestamp.slice(0, 8);
  const headers: (readonly [string, string])[] = [
    ...input.headers,
    ...(input.fixedHeaders ?? []),
    ['host', input.host],
    ['x-amz-content-sha256', input.payloadHash],
    ['x-amz-date', timestamp],
  ];
  if (credentials.sessionToken !== undefined)
    headers.push(['x-amz-security-token', credentials.sessionToken]);
  headers.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const canonical = [
    input.method,
    input.path,
    input.query,
    ...headers.map(([name, value]) => `${name}:${value}`),
    '',
    headers.map(([name]) => name).join(';'),
    input.payloadHash,
  ].join('\n');
  const scope = `${date}/${region}/s3/aws4_request`;
  const digest = createHash('sha256').update(canonical).digest('hex');
  const toSign = `AWS4-HMAC-SHA256\n${timestamp}\n${scope}\n${digest}`;
  let key: Buffer | string = `AWS4${credentials.secretAccessKey}`;
  for (const step of [date, region, 's3', 'aws4_request'])
    key = createHmac('sha256', key).update(step).digest();
  return createHmac('sha256', key).update(toSign).digest('hex');
}

describe('Signer and the vectors of "Authenticating Requests: Using the Authorization Header"', () => {
  const vectors: Readonly<Record<string, { input: SignInput; signedHeaders: string; signature: string }>> = {
    'GET Object': {
      input: {
        method: 'GET',
        path: '/test.txt',
        query: '',
        host: HOST,
        payloadHash: EMPTY_SHA256,
        headers: [['range', 'bytes=0-9']],
      },
      signedHeaders: 'host;range;x-amz-content-sha256;x-amz-date',
      signature: 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    },
    'PUT Object': {
      input: {
        method: 'PUT',
        path: '/test%24file.text',
        query: '',
        host: HOST,
        payloadHash: '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072',
        headers: [
          ['date', 'Fri, 24 May 2013 00:00:00 GMT'],
          ['x-amz-storage-class', 'REDUCED_REDUNDANCY'],
        ],
      },
      signedHeaders: 'date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class',
      signature: '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
    },
    'GET Bucket Lifecycle': {
      input: {
        method: 'GET',
        path: '/',
        query: 'lifecycle=',
        host: HOST,
        payloadHash: EMPTY_SHA256,
        headers: NO_HEADERS,
      },
      signedHeaders: 'host;x-amz-content-sha256;x-amz-date',
      signature: 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
    },
    'Get Bucket (List Objects)': {
      input: {
        method: 'GET',
        path: '/',
        query: 'max-keys=2&prefix=J',
        host: HOST,
        payloadHash: EMPTY_SHA256,
        headers: NO_HEADERS,
      },
      signedHeaders: 'host;x-amz-content-sha256;x-amz-date',
      signature: '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    },
  };
  for (const [name, { input, signedHeaders, signature }] of Object.entries(vectors)) {
    it(`signs ${name} as published`, (t) => {
      at(t, EXAMPLE_TIME);
      const signed = signedBy(new Signer('us-east-1', EXAMPLE), input);
      assert.equal(signed.signature, signature);
      assert.equal(signed.signedHeaders, signedHeaders);
      assert.equal(signed.scope, `${EXAMPLE.accessKeyId}/20130524/us-east-1/s3/aws4_request`);
      assert.equal(signed.lines.get('host'), HOST);
      assert.equal(signed.lines.get('x-amz-date'), '20130524T000000Z');
      assert.equal(signed.lines.get('x-amz-content-sha256'), input.payloadHash);
    });
  }
});

describe('Signer', () => {
  const input: SignInput = {
    method: 'GET',
    path: '/bucket/key',
    query: '',
    host: 'h:1',
    payloadHash: EMPTY_SHA256,
    headers: NO_HEADERS,
  };

  it('signs any request as the specification says, with all that it sends', (t) => {
    at(t, EXAMPLE_TIME);
    const name = fc
      .stringMatching(/^[a-z][a-z0-9-]{0,12}$/)
      .filter((one) => !['host', 'x-amz-content-sha256', 'x-amz-date', 'x-amz-security-token'].includes(one));
    const value = fc.stringMatching(/^[!-~]{1,20}( [!-~]{1,8})?$/);
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(name, value), { maxLength: 5, selector: ([one]) => one }),
        fc.string({ unit: 'binary', minLength: 1 }),
        fc.option(value, { nil: undefined }),
        fc.nat(400 * 86_400),
        (headers, key, sessionToken, seconds) => {
          const credentials = { ...EXAMPLE, ...(sessionToken === undefined ? {} : { sessionToken }) };
          const signer = new Signer('eu-central-1', credentials);
          signer.clockOffsetMs = seconds * 1_000;
          const request = { ...input, path: `/b/${encodePath(key)}`, query: `a=${encodeUri(key)}`, headers };
          const signed = signedBy(signer, request);
          const time = EXAMPLE_TIME + seconds * 1_000;
          assert.equal(signed.signature, expectedSignature(credentials, 'eu-central-1', request, time));
          for (const [header, text] of headers) assert.equal(signed.lines.get(header), text);
          assert.equal(signed.lines.get('x-amz-security-token'), sessionToken);
          assert.equal(signed.signedHeaders.includes('x-amz-security-token'), sessionToken !== undefined);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('signs request after request alike, whatever it keeps of those before', (t) => {
    at(t, EXAMPLE_TIME);
    const fixed: readonly SignInput['fixedHeaders'][] = [
      undefined,
      [['x-amz-checksum-mode', 'ENABLED']],
      [
        ['x-amz-acl', 'private'],
        ['content-type', 'application/octet-stream'],
      ],
    ];
    const value = fc.stringMatching(/^[!-~]{1,20}$/);
    const names = ['range', 'if-match', 'x-amz-checksum-sha256', 'content-md5', 'x-amz-meta-b'];
    const one = fc.record({
      fixedHeaders: fc.constantFrom(...fixed),
      headers: fc
        .subarray(names)
        .chain((some) => fc.tuple(...some.map((name) => fc.tuple(fc.constant(name), value)))),
      payloadHash: fc.constantFrom(EMPTY_SHA256, 'f'.repeat(64)),
      host: fc.constantFrom('h:1', 'other'),
      seconds: fc.constantFrom(0, 0, 0, 1, 86_400),
    });
    fc.assert(
      fc.property(fc.array(one, { minLength: 2, maxLength: 40 }), (requests) => {
        const signer = new Signer('us-east-1', EXAMPLE);
        for (const { seconds, ...varying } of requests) {
          signer.clockOffsetMs = seconds * 1_000;
          const request = { ...input, ...varying };
          const signed = signedBy(signer, request);
          const time = EXAMPLE_TIME + seconds * 1_000;
          assert.equal(signed.signature, expectedSignature(EXAMPLE, 'us-east-1', request, time));
          assert.equal(signed.lines.get('host'), request.host);
          assert.equal(signed.lines.get('x-amz-content-sha256'), request.payloadHash);
          for (const [name, text] of [...request.headers, ...(request.fixedHeaders ?? [])])
            assert.equal(signed.lines.get(name), text);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('goes over to the key of the next day at midnight UTC, and back when the clock is set back', (t) => {
    at(t, EXAMPLE_TIME - 1_000);
    const signer = new Signer('us-east-1', EXAMPLE);
    const dates: string[] = [];
    for (const time of [EXAMPLE_TIME - 1_000, EXAMPLE_TIME - 1, EXAMPLE_TIME, EXAMPLE_TIME - 1_000]) {
      t.mock.timers.setTime(time);
      const signed = signedBy(signer, input);
      const second = Math.floor(time / 1_000) * 1_000;
      assert.equal(signed.signature, expectedSignature(EXAMPLE, 'us-east-1', input, second));
      dates.push(signed.scope.split('/')[1] ?? '');
    }
    assert.deepEqual(dates, ['20130523', '20130523', '20130524', '20130523']);
  });

  it('signs with new credentials from the next request on, within the same second', (t) => {
    at(t, EXAMPLE_TIME);
    const signer = new Signer('us-east-1', EXAMPLE);
    const first = signedBy(signer, input);
    const renewed = { accessKeyId: 'other', secretAccessKey: 'secret', sessionToken: 'token' };
    signer.credentials = renewed;
    const second = signedBy(signer, input);
    assert.notEqual(second.signature, first.signature);
    assert.equal(second.signature, expectedSignature(renewed, 'us-east-1', input, EXAMPLE_TIME));
    assert.ok(second.scope.startsWith('other/'));
  });

  it('follows a change of the clock offset at once', (t) => {
    at(t, EXAMPLE_TIME);
    const signer = new Signer('us-east-1', EXAMPLE);
    signedBy(signer, input);
    signer.clockOffsetMs = 3_600_000;
    assert.equal(signedBy(signer, input).lines.get('x-amz-date'), '20130524T010000Z');
    signer.clockOffsetMs = -3_600_000;
    assert.equal(signedBy(signer, input).lines.get('x-amz-date'), '20130523T230000Z');
  });
});

describe('encodePath() and encodeUri()', () => {
  /** Byte by byte, as the specification puts it. */
  function encodedBytes(text: string, kept: RegExp): string {
    return [...Buffer.from(text)]
      .map((byte) => {
        const char = String.fromCharCode(byte);
        return kept.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
      })
      .join('');
  }

  it('encode every byte but the unreserved ones, and a path keeps its slashes', () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary-ascii' }));
    fc.assert(
      fc.property(text, (one) => {
        assert.equal(encodeUri(one), encodedBytes(one, /[A-Za-z0-9\-._~]/));
        assert.equal(encodePath(one), encodedBytes(one, /[A-Za-z0-9\-._~/]/));
      }),
      { numRuns: 2_000 },
    );
  });

  it('do not touch dots and double slashes, which are parts of a name', () => {
    for (const key of ['a/../b', './x', '//a//', 'a/.', '..']) assert.equal(encodePath(key), key);
  });
});
