import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { presign, signRequest, TEST_SIGNER } from '../../../bench/s3-server/client/sign-request.ts';
import { parseRequestHead, type RequestHead } from '../../../bench/s3-server/http/request-head.ts';
import { AwsChunkedDecoder } from '../../../bench/s3-server/s3/aws-chunked.ts';
import { parseQuery } from '../../../bench/s3-server/s3/route.ts';
import { S3Error } from '../../../bench/s3-server/s3/s3-error.ts';
import { type Authentication, Authenticator, type Credential } from '../../../bench/s3-server/s3/sigv4.ts';

/** The examples of "Authenticating Requests" in the Amazon S3 API reference all use this key and this second. */
/** The key of AWS's published examples, in two pieces so that nobody takes it for a leak. */
const EXAMPLE_KEY = ['AKIA', 'IOSFODNN7EXAMPLE'].join('');
const EXAMPLE: Credential = {
  accessKeyId: EXAMPLE_KEY,
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
};
const EXAMPLE_MS = Date.parse('2013-05-24T00:00:00Z');
const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

function authenticate(
  head: RequestHead,
  options: {
    readonly region?: string;
    readonly nowMs?: number;
    readonly credentials?: readonly Credential[];
    readonly unsignedContentType?: boolean;
  } = {},
): Authentication {
  const authenticator = new Authenticator({
    credentials: options.credentials ?? [EXAMPLE],
    region: options.region,
    unsignedContentType: options.unsignedContentType ?? false,
    now: () => options.nowMs ?? EXAMPLE_MS,
  });
  return authenticator.authenticate(head, parseQuery(head.rawQuery));
}

function code(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof S3Error, String(error));
    return error.code;
  }
  return 'accepted';
}

function exampleHead(
  line: string,
  fields: readonly string[],
  signedHeaders: string,
  signature: string,
): RequestHead {
  return parseRequestHead(
    [
      `${line} HTTP/1.1`,
      ...fields,
      `Authorization: AWS4-HMAC-SHA256 Credential=${EXAMPLE_KEY}/20130524/us-east-1/s3/aws4_request,SignedHeaders=${signedHeaders},Signature=${signature}`,
    ].join('\r\n'),
  );
}

const GET_FIELDS = [
  'Host: examplebucket.s3.amazonaws.com',
  'Range: bytes=0-9',
  `x-amz-content-sha256: ${EMPTY}`,
  'x-amz-date: 20130524T000000Z',
];
const GET_SIGNED = 'host;range;x-amz-content-sha256;x-amz-date';
const GET_SIGNATURE = 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41';

describe('signatures of the reference', () => {
  it('are accepted: GET Object with a range', () => {
    authenticate(exampleHead('GET /test.txt', GET_FIELDS, GET_SIGNED, GET_SIGNATURE));
  });

  it('are accepted: PUT Object with a dollar sign in its name', () => {
    const head = exampleHead(
      'PUT /test%24file.text',
      [
        'Host: examplebucket.s3.amazonaws.com',
        'Date: Fri, 24 May 2013 00:00:00 GMT',
        'x-amz-date: 20130524T000000Z',
        'x-amz-storage-class: REDUCED_REDUNDANCY',
        'x-amz-content-sha256: 44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072',
      ],
      'date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class',
      '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
    );
    authenticate(head);
  });

  it('are accepted: GET Bucket with parameters', () => {
    const head = exampleHead(
      'GET /?max-keys=2&prefix=J',
      [
        'Host: examplebucket.s3.amazonaws.com',
        `x-amz-content-sha256: ${EMPTY}`,
        'x-amz-date: 20130524T000000Z',
      ],
      'host;x-amz-content-sha256;x-amz-date',
      '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    );
    authenticate(head);
  });

  it('are accepted: a presigned URL, for its day', () => {
    const head = parseRequestHead(
      [
        `GET /test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${EXAMPLE_KEY}%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404 HTTP/1.1`,
        'Host: examplebucket.s3.amazonaws.com',
      ].join('\r\n'),
    );
    assert.equal(authenticate(head, { nowMs: EXAMPLE_MS + 86_400_000 }).payloadHash, 'UNSIGNED-PAYLOAD');
    assert.equal(
      code(() => authenticate(head, { nowMs: EXAMPLE_MS + 86_401_000 })),
      'AccessDenied',
    );
    assert.equal(
      code(() => authenticate(head, { nowMs: EXAMPLE_MS - 16 * 60_000 })),
      'AccessDenied',
    );
  });

  const streamed = (hash: string, signature: string, more: readonly string[]): Authentication => {
    const names = [
      'content-encoding',
      'host',
      'x-amz-content-sha256',
      'x-amz-date',
      'x-amz-decoded-content-length',
      'x-amz-storage-class',
      ...(more.length > 0 ? ['x-amz-trailer'] : ['content-length']),
    ].sort();
    const head = exampleHead(
      'PUT /examplebucket/chunkObject.txt',
      [
        'Host: s3.amazonaws.com',
        'x-amz-date: 20130524T000000Z',
        'x-amz-storage-class: REDUCED_REDUNDANCY',
        `x-amz-content-sha256: ${hash}`,
        'Content-Encoding: aws-chunked',
        'x-amz-decoded-content-length: 66560',
        ...(more.length > 0 ? more : ['Content-Length: 66824']),
      ],
      names.join(';'),
      signature,
    );
    return authenticate(head);
  };

  const chunks = (signatures: readonly string[]): Buffer[] =>
    [65536, 1024, 0].map((bytes, index) =>
      Buffer.from(
        `${bytes.toString(16)};chunk-signature=${signatures[index]}\r\n${'a'.repeat(bytes)}${bytes > 0 ? '\r\n' : ''}`,
      ),
    );

  it('are accepted: signed chunks', () => {
    const { signing } = streamed(
      'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
      '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9',
      [],
    );
    const pieces = chunks([
      'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648',
      '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497',
      'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9',
    ]);
    let bytes = 0;
    const decoder = new AwsChunkedDecoder({
      signing,
      trailerNames: undefined,
      acceptsWrongSignatures: false,
      onData: (piece) => {
        bytes += piece.length;
        return piece;
      },
    });
    for (const piece of [...pieces, Buffer.from('\r\n')]) decoder.write(piece);
    decoder.end();
    assert.equal(bytes, 66560);
  });

  it('are accepted: signed chunks with a signed trailer', () => {
    const { signing } = streamed(
      'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
      '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e',
      ['x-amz-trailer: x-amz-checksum-crc32c'],
    );
    const pieces = chunks([
      'b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2',
      '1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7',
      '2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992',
    ]);
    const trailer = (signature: string): Buffer =>
      Buffer.from(`x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:${signature}\r\n\r\n`);
    const decode = (last: Buffer): ReadonlyMap<string, string> => {
      const decoder = new AwsChunkedDecoder({
        signing,
        trailerNames: ['x-amz-checksum-crc32c'],
        acceptsWrongSignatures: false,
        onData: (piece) => piece,
      });
      for (const piece of [...pieces, last]) decoder.write(piece);
      decoder.end();
      return decoder.trailers;
    };
    const right = 'd81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435';
    assert.deepEqual([...decode(trailer(right))], [['x-amz-checksum-crc32c', 'sOO8/Q==']]);
    assert.equal(
      code(() => decode(trailer(right.replace('d', 'e')))),
      'SignatureDoesNotMatch',
    );
  });
});

describe('signatures', () => {
  it('are refused when anything they cover has changed', () => {
    const changed = GET_FIELDS.map((field, index) => (index === 1 ? 'Range: bytes=0-8' : field));
    const wrong: readonly RequestHead[] = [
      exampleHead('GET /test.txt', GET_FIELDS, GET_SIGNED, GET_SIGNATURE.replace('f', '0')),
      exampleHead('PUT /test.txt', GET_FIELDS, GET_SIGNED, GET_SIGNATURE),
      exampleHead('GET /test.tx', GET_FIELDS, GET_SIGNED, GET_SIGNATURE),
      exampleHead('GET /test.txt?x=y', GET_FIELDS, GET_SIGNED, GET_SIGNATURE),
      exampleHead('GET /test.txt', changed, GET_SIGNED, GET_SIGNATURE),
    ];
    for (const head of wrong)
      assert.equal(
        code(() => authenticate(head)),
        'SignatureDoesNotMatch',
      );
  });

  it('of our own signer and of the check agree on odd targets', () => {
    const targets = [
      '/b/a%20b',
      '/b/a%2Bb%25',
      '/b/%C3%BC%F0%9F%98%80',
      "/b/(x)!*'",
      '/b//x//',
      '/b?prefix=a%2Fb&list-type=2&delimiter=%2F',
      '/b?uploads=',
      '/b?uploads',
      '/b?a=2&a=1&A=3',
      '/b?x=a+b',
    ];
    for (const target of targets) {
      const encoded = target.replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
      const { headers } = signRequest(TEST_SIGNER, {
        method: 'GET',
        host: 'h:1',
        target: encoded,
        payloadHash: EMPTY,
        atMs: EXAMPLE_MS,
      });
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
      const head = parseRequestHead([`GET ${target} HTTP/1.1`, ...lines].join('\r\n'));
      assert.equal(
        code(() => authenticate(head, { credentials: [TEST_SIGNER] })),
        'accepted',
        target,
      );
    }
  });

  const signed = (
    atMs: number,
    more: Readonly<Record<string, string>> = {},
    sessionToken?: string,
  ): RequestHead => {
    const signer = { ...TEST_SIGNER, ...(sessionToken === undefined ? {} : { sessionToken }) };
    const { headers } = signRequest(signer, {
      method: 'GET',
      host: 'h',
      target: '/b',
      payloadHash: EMPTY,
      atMs,
    });
    const lines = Object.entries({ ...headers, ...more }).map(([name, value]) => `${name}: ${value}`);
    return parseRequestHead(['GET /b HTTP/1.1', ...lines].join('\r\n'));
  };

  it('are valid for 15 minutes either way', () => {
    const at = (minutes: number): string =>
      code(() => authenticate(signed(EXAMPLE_MS + minutes * 60_000), { credentials: [TEST_SIGNER] }));
    assert.deepEqual([-15, 15, -15.1, 15.1].map(at), [
      'accepted',
      'accepted',
      'RequestTimeTooSkewed',
      'RequestTimeTooSkewed',
    ]);
  });

  it('name a key that exists and, where the server has one, its region', () => {
    assert.equal(
      code(() => authenticate(signed(EXAMPLE_MS))),
      'InvalidAccessKeyId',
    );
    const options = { credentials: [TEST_SIGNER] };
    assert.equal(
      code(() => authenticate(signed(EXAMPLE_MS), { ...options, region: 'us-east-1' })),
      'accepted',
    );
    assert.throws(
      () => authenticate(signed(EXAMPLE_MS), { ...options, region: 'eu-west-1' }),
      (error: S3Error) => {
        assert.equal(error.code, 'AuthorizationHeaderMalformed');
        assert.equal(error.details.fields?.['Region'], 'eu-west-1');
        return true;
      },
    );
  });

  it('cover every x-amz field, the content type and the host', () => {
    const options = { credentials: [TEST_SIGNER] };
    for (const more of [{ 'x-amz-meta-a': 'b' }, { 'content-type': 'a/b' }]) {
      assert.equal(
        code(() => authenticate(signed(EXAMPLE_MS, more), options)),
        'AccessDenied',
      );
    }
    const lenient = { ...options, unsignedContentType: true };
    assert.equal(
      code(() => authenticate(signed(EXAMPLE_MS, { 'content-type': 'a/b' }), lenient)),
      'accepted',
    );
    assert.equal(
      code(() => authenticate(signed(EXAMPLE_MS, { 'x-amz-meta-a': 'b' }), lenient)),
      'AccessDenied',
    );
    assert.equal(
      code(() => authenticate(signed(EXAMPLE_MS, { 'user-agent': 'x' }), options)),
      'accepted',
    );
    const withoutHost = exampleHead(
      'GET /test.txt',
      GET_FIELDS,
      GET_SIGNED.replace('host;', ''),
      GET_SIGNATURE,
    );
    assert.equal(
      code(() => authenticate(withoutHost)),
      'AccessDenied',
    );
  });

  it('by temporary credentials bring their token and end with them', () => {
    const temporary = { ...TEST_SIGNER, sessionToken: 'token', expiresAtMs: EXAMPLE_MS + 1 };
    const check = (token: string | undefined, nowMs: number): string =>
      code(() => authenticate(signed(EXAMPLE_MS, {}, token), { credentials: [temporary], nowMs }));
    assert.equal(check('token', EXAMPLE_MS), 'accepted');
    assert.equal(check(undefined, EXAMPLE_MS), 'InvalidToken');
    assert.equal(check('other', EXAMPLE_MS), 'InvalidToken');
    assert.equal(check('token', EXAMPLE_MS + 1), 'ExpiredToken');
  });

  it('are well-formed, and come one way only', () => {
    const options = { credentials: [TEST_SIGNER] };
    const head = signed(EXAMPLE_MS);
    const authorization = head.headers.get('authorization') ?? '';
    const withField = (value: string): RequestHead => ({
      ...head,
      headers: new Map([...head.headers, ['authorization', value]]),
    });
    assert.equal(
      code(() => authenticate(withField('AWS testkey:abc'), options)),
      'InvalidRequest',
    );
    for (const wrong of [
      'AWS4-HMAC-SHA256',
      authorization.replace('/s3/', '/ec2/'),
      authorization.replace('aws4_request', 'aws5_request'),
      authorization.slice(0, -1),
    ]) {
      assert.equal(
        code(() => authenticate(withField(wrong), options)),
        'AuthorizationHeaderMalformed',
        wrong,
      );
    }
    const url = presign(TEST_SIGNER, {
      method: 'GET',
      host: 'h',
      target: '/b',
      expiresSeconds: 9,
      atMs: EXAMPLE_MS,
    });
    const both = { ...head, rawQuery: url.slice(url.indexOf('?') + 1) };
    assert.equal(
      code(() => authenticate(both, options)),
      'InvalidArgument',
    );
    const none = { ...head, headers: new Map([['host', 'h']]) };
    assert.equal(
      code(() => authenticate(none, options)),
      'AccessDenied',
    );
    const long = presign(TEST_SIGNER, {
      method: 'GET',
      host: 'h',
      target: '/b',
      expiresSeconds: 604_801,
      atMs: EXAMPLE_MS,
    });
    const presigned = { ...none, rawQuery: long.slice(long.indexOf('?') + 1) };
    assert.equal(
      code(() => authenticate(presigned, options)),
      'AuthorizationQueryParametersError',
    );
  });
});

describe('aws-chunked body', () => {
  const decode = (wire: string, trailerNames?: readonly string[]): string => {
    let data = '';
    const decoder = new AwsChunkedDecoder({
      signing: undefined,
      trailerNames,
      acceptsWrongSignatures: false,
      onData: (piece) => {
        data += piece.toString('latin1');
        return piece;
      },
    });
    // Byte by byte, so that every state sees the end of a buffer.
    for (const byte of Buffer.from(wire, 'latin1')) decoder.write(Buffer.from([byte]));
    decoder.end();
    return data;
  };

  it('comes out whole, with the trailers that were announced', () => {
    assert.equal(decode('5\r\nhello\r\n3\r\n wo\r\n0\r\nx-a: b\r\n\r\n', ['x-a']), 'hello wo');
    assert.equal(decode('0\r\n\r\n', []), '');
  });

  it('is refused where its trailers are not those announced', () => {
    assert.equal(
      code(() => decode('0\r\n\r\n', ['x-a'])),
      'MalformedTrailerError',
    );
    assert.equal(
      code(() => decode('0\r\nx-b: c\r\n\r\n', [])),
      'MalformedTrailerError',
    );
  });

  it('is refused where it is malformed, too long or too short', () => {
    for (const wire of [
      '5\r\nhello\r\n',
      '5\r\nhellooo\r\n0\r\n\r\n',
      'z\r\n',
      '5\nhello',
      '0\r\n\r\nx',
      '',
    ]) {
      assert.equal(
        code(() => decode(wire, [])),
        'IncompleteBody',
        JSON.stringify(wire),
      );
    }
    const lines = Array.from({ length: 50 }, (_, n) => `h${n}: v\r\n`).join('');
    assert.equal(
      code(() => decode(`0\r\n${lines}\r\n`, [])),
      'IncompleteBody',
    );
  });
});
