/** Raw answers and what a client must make of them. Text is Latin-1: one character, one byte. */
import type { WireFault } from '../../../src/transport/http-types.ts';

export interface RawCase {
  readonly name: string;
  readonly raw: string;
  readonly method?: 'HEAD';
  /** The server closes the connection behind the last byte. */
  readonly isClosed?: true;
  readonly expected: GoodAnswer | BadAnswer;
  /** What undici does otherwise, where it does. */
  readonly undici?: 'accepts' | 'refuses' | 'misreads';
}

interface GoodAnswer {
  readonly status: number;
  readonly body: string;
  readonly keepsAlive: boolean;
  readonly headers?: Readonly<Record<string, string>>;
}

interface BadAnswer {
  readonly fault: WireFault;
}

const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
const good = (status: number, body: string, keepsAlive = true): GoodAnswer => ({ status, body, keepsAlive });
const bad: BadAnswer = { fault: 'malformed' };
const truncated: BadAnswer = { fault: 'truncated' };

/** A body with CR, LF, NUL and bytes above 127 in it, larger than one read of a head. */
const BINARY = Array.from({ length: 40_000 }, (_, index) => String.fromCharCode((index * 7) % 256)).join('');

function withLength(body: string, status = '200 OK'): string {
  return `HTTP/1.1 ${status}\r\nContent-Length: ${body.length}\r\nETag: "x"\r\n\r\n${body}`;
}

const GOOD: readonly RawCase[] = [
  { name: 'a body with a length', raw: withLength('hello'), expected: good(200, 'hello') },
  { name: 'an empty body with a length', raw: withLength(''), expected: good(200, '') },
  {
    name: 'a body that looks like an answer',
    raw: withLength(withLength('x')),
    expected: good(200, withLength('x')),
  },
  {
    name: 'the same length twice',
    raw: 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\ncontent-length: 3\r\n\r\nabc',
    expected: good(200, 'abc'),
    undici: 'refuses',
  },
  {
    name: 'white space around header values',
    raw: 'HTTP/1.1 200 OK\r\nContent-Length: \t 3 \t\r\nX-A:b\r\n\r\nabc',
    expected: { ...good(200, 'abc'), headers: { 'x-a': 'b', 'content-length': '3' } },
    undici: 'refuses',
  },
  {
    name: 'a colon in a header value',
    raw: 'HTTP/1.1 200 OK\r\nX-A: b: c\r\nContent-Length: 0\r\n\r\n',
    expected: { ...good(200, ''), headers: { 'x-a': 'b: c' } },
  },
  {
    name: 'an empty header value',
    raw: 'HTTP/1.1 200 OK\r\nX-A:\r\nContent-Length: 1\r\n\r\na',
    expected: { ...good(200, 'a'), headers: { 'x-a': '' } },
  },
  {
    name: 'an answer without a reason phrase',
    raw: 'HTTP/1.1 200\r\nContent-Length: 3\r\n\r\nabc',
    expected: good(200, 'abc'),
  },
  {
    name: 'chunks',
    raw: `${CHUNKED}5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n`,
    expected: good(200, 'hello world'),
  },
  {
    name: 'chunks with sizes in hexadecimal of both cases and leading zeros',
    raw: `${CHUNKED}A\r\n0123456789\r\n000b\r\nabcdefghijk\r\n00\r\n\r\n`,
    expected: good(200, '0123456789abcdefghijk'),
  },
  {
    name: 'chunks with extensions',
    raw: `${CHUNKED}3;name=value;other="quoted"\r\nabc\r\n0;last\r\n\r\n`,
    expected: good(200, 'abc'),
  },
  {
    name: 'chunks with trailers',
    raw: `${CHUNKED}3\r\nabc\r\n0\r\nx-amz-checksum-crc32: AAAAAA==\r\nX-B: c\r\n\r\n`,
    expected: good(200, 'abc'),
  },
  {
    name: 'chunks whose data contain line ends',
    raw: `${CHUNKED}8\r\n\r\n0\r\n\r\n\n\r\n1\r\n\r\r\n0\r\n\r\n`,
    expected: good(200, '\r\n0\r\n\r\n\n\r'),
  },
  {
    name: 'a tab behind the coding',
    raw: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\t\r\n\r\n1\r\na\r\n0\r\n\r\n',
    expected: good(200, 'a'),
    undici: 'misreads',
  },
  {
    name: 'a header value that ends with a no-break space',
    raw: 'HTTP/1.1 200 OK\r\nX-A: \xc3\xa0\r\nContent-Length: 0\r\n\r\n',
    expected: { ...good(200, ''), headers: { 'x-a': '\xc3\xa0' } },
  },
  { name: 'no chunk but the last', raw: `${CHUNKED}0\r\n\r\n`, expected: good(200, '') },
  {
    name: 'the coding written "Chunked"',
    raw: 'HTTP/1.1 200 OK\r\ntransfer-encoding:  Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n',
    expected: good(200, 'a'),
  },
  {
    name: 'a body that ends with the connection',
    raw: 'HTTP/1.1 200 OK\r\nETag: "x"\r\n\r\nuntil close',
    isClosed: true,
    expected: good(200, 'until close', false),
  },
  {
    name: 'an empty body that ends with the connection',
    raw: 'HTTP/1.1 200 OK\r\n\r\n',
    isClosed: true,
    expected: good(200, '', false),
  },
  {
    name: 'HTTP/1.0',
    raw: 'HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc',
    expected: good(200, 'abc', false),
  },
  {
    name: 'HTTP/1.0 that keeps the connection',
    raw: 'HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 3\r\n\r\nabc',
    expected: good(200, 'abc'),
  },
  {
    name: 'Connection: close',
    raw: 'HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 3\r\n\r\nabc',
    expected: good(200, 'abc', false),
  },
  {
    name: 'close among other connection options',
    raw: 'HTTP/1.1 200 OK\r\nConnection: x-hop, close\r\nContent-Length: 3\r\n\r\nabc',
    expected: good(200, 'abc', false),
  },
  {
    name: 'close in the first of two Connection headers',
    raw: 'HTTP/1.1 200 OK\r\nConnection: close\r\nConnection: x-hop\r\nContent-Length: 3\r\n\r\nabc',
    expected: good(200, 'abc', false),
  },
  {
    name: '204 without a body',
    raw: 'HTTP/1.1 204 No Content\r\nETag: "x"\r\n\r\n',
    expected: good(204, ''),
  },
  {
    name: '204 with a length',
    raw: 'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n',
    expected: good(204, ''),
  },
  {
    name: '304 with the length of what it does not send',
    raw: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n',
    expected: good(304, ''),
  },
  {
    name: 'the answer to HEAD',
    method: 'HEAD',
    raw: 'HTTP/1.1 200 OK\r\nContent-Length: 1234567\r\n\r\n',
    expected: { ...good(200, ''), headers: { 'content-length': '1234567' } },
  },
  {
    name: 'the answer to HEAD with a coding',
    method: 'HEAD',
    raw: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
    expected: good(200, ''),
  },
  {
    name: 'a 404 to HEAD',
    method: 'HEAD',
    raw: 'HTTP/1.1 404 Not Found\r\nContent-Length: 300\r\n\r\n',
    expected: good(404, ''),
  },
  {
    name: '100 Continue before the answer',
    raw: `HTTP/1.1 100 Continue\r\n\r\n${withLength('abc')}`,
    expected: good(200, 'abc'),
    undici: 'refuses',
  },
  {
    name: 'several interim answers',
    raw: `HTTP/1.1 102 Processing\r\nX-A: b\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n${withLength('abc')}`,
    expected: good(200, 'abc'),
  },
  {
    name: 'an error with a body',
    raw: withLength('<Error/>', '503 Slow Down'),
    expected: good(503, '<Error/>'),
  },
  { name: 'a large binary body', raw: withLength(BINARY), expected: good(200, BINARY) },
  {
    name: 'a large binary body in one chunk',
    raw: `${CHUNKED}${BINARY.length.toString(16)}\r\n${BINARY}\r\n0\r\n\r\n`,
    expected: good(200, BINARY),
  },
  {
    name: 'a large binary body until the end of the connection',
    raw: `HTTP/1.1 200 OK\r\n\r\n${BINARY}`,
    isClosed: true,
    expected: good(200, BINARY, false),
  },
];

const BEHIND: readonly RawCase[] = [
  {
    name: 'bytes behind a body with a length',
    raw: `${withLength('abc')}HTTP/1.1 200 OK\r\n`,
    expected: good(200, 'abc', false),
  },
  {
    name: 'bytes behind the last chunk',
    raw: `${CHUNKED}3\r\nabc\r\n0\r\n\r\nmore`,
    expected: good(200, 'abc', false),
  },
  {
    name: 'a body behind the answer to HEAD',
    method: 'HEAD',
    raw: withLength('<Error/>', '404 Not Found'),
    expected: good(404, '', false),
  },
  { name: 'a body behind a 204', raw: withLength('abc', '204 No Content'), expected: good(204, '', false) },
];

const BAD: readonly RawCase[] = [
  {
    name: 'a body shorter than its length',
    raw: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc',
    isClosed: true,
    expected: truncated,
  },
  { name: 'an end in the head', raw: 'HTTP/1.1 200 OK\r\nContent-Le', isClosed: true, expected: truncated },
  {
    name: 'an end behind the head',
    raw: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n',
    isClosed: true,
    expected: truncated,
  },
  { name: 'an end in a chunk', raw: `${CHUNKED}5\r\nabc`, isClosed: true, expected: truncated },
  { name: 'an end behind a chunk', raw: `${CHUNKED}3\r\nabc\r\n`, isClosed: true, expected: truncated },
  {
    name: 'an end behind the last chunk but before the empty line',
    raw: `${CHUNKED}3\r\nabc\r\n0\r\n`,
    isClosed: true,
    expected: truncated,
  },
  {
    name: 'an end behind an interim answer',
    raw: 'HTTP/1.1 100 Continue\r\n\r\n',
    isClosed: true,
    expected: truncated,
  },
  { name: 'another protocol', raw: 'SSH-2.0-OpenSSH_9.2\r\n\r\n', isClosed: true, expected: bad },
  { name: 'HTTP/2', raw: 'HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n', expected: bad },
  { name: 'a status of two digits', raw: 'HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n', expected: bad },
  { name: 'a status below 100', raw: 'HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n', expected: bad },
  {
    name: '101 Switching Protocols',
    raw: 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n',
    expected: bad,
  },
  {
    name: 'two different lengths',
    raw: 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd',
    expected: bad,
  },
  { name: 'a list of lengths', raw: 'HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\nabc', expected: bad },
  { name: 'a length with a sign', raw: 'HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc', expected: bad },
  { name: 'a negative length', raw: 'HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n', expected: bad },
  {
    name: 'a length behind a vertical tab',
    raw: 'HTTP/1.1 200 OK\r\nContent-Length:\x0b3\r\n\r\nabc',
    expected: bad,
  },
  { name: 'an empty length', raw: 'HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n', expected: bad },
  { name: 'a hexadecimal length', raw: 'HTTP/1.1 200 OK\r\nContent-Length: 0x3\r\n\r\nabc', expected: bad },
  {
    name: 'a length above 2^53',
    raw: 'HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n',
    expected: bad,
  },
  {
    name: 'a length and chunks',
    raw: 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    expected: bad,
  },
  {
    name: 'a coding that is not chunked',
    raw: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc',
    isClosed: true,
    expected: bad,
    undici: 'accepts',
  },
  {
    name: 'two codings in one header',
    raw: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    expected: bad,
    undici: 'accepts',
  },
  {
    name: 'two codings in two headers',
    raw: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    expected: bad,
    undici: 'accepts',
  },
  {
    name: 'a folded header',
    raw: 'HTTP/1.1 200 OK\r\nX-A: one\r\n two\r\nContent-Length: 3\r\n\r\nabc',
    expected: bad,
  },
  {
    name: 'a folded header with a colon',
    raw: 'HTTP/1.1 200 OK\r\nX-A: one\r\n Content-Length: 9\r\nContent-Length: 3\r\n\r\nabc',
    expected: bad,
  },
  {
    name: 'a space before the colon',
    raw: 'HTTP/1.1 200 OK\r\nContent-Length : 3\r\n\r\nabc',
    isClosed: true,
    expected: bad,
  },
  {
    name: 'a space in a header name',
    raw: 'HTTP/1.1 200 OK\r\nX A: 1\r\nContent-Length: 3\r\n\r\nabc',
    expected: bad,
  },
  {
    name: 'a header without a name',
    raw: 'HTTP/1.1 200 OK\r\n: v\r\nContent-Length: 3\r\n\r\nabc',
    expected: bad,
  },
  {
    name: 'a header without a colon',
    raw: 'HTTP/1.1 200 OK\r\nnothing\r\nContent-Length: 3\r\n\r\nabc',
    expected: bad,
  },
  {
    name: 'a bare line feed in a header value',
    raw: 'HTTP/1.1 200 OK\r\nX-A: b\nContent-Length: 9\r\nContent-Length: 3\r\n\r\nabc',
    expected: bad,
  },
  {
    name: 'a NUL in a header value',
    raw: 'HTTP/1.1 200 OK\r\nX-A: b\0\r\nContent-Length: 3\r\n\r\nabc',
    expected: bad,
  },
  { name: 'a chunk without a size', raw: `${CHUNKED}\r\nabc\r\n0\r\n\r\n`, expected: bad },
  { name: 'a chunk with a negative size', raw: `${CHUNKED}-3\r\nabc\r\n0\r\n\r\n`, expected: bad },
  { name: 'a chunk size that is no number', raw: `${CHUNKED}xyz\r\nabc\r\n0\r\n\r\n`, expected: bad },
  {
    name: 'a chunk size above 2^53',
    raw: `${CHUNKED}fffffffffffffff\r\nabc\r\n0\r\n\r\n`,
    isClosed: true,
    expected: bad,
  },
  { name: 'a chunk longer than its size', raw: `${CHUNKED}3\r\nabcd\r\n0\r\n\r\n`, expected: bad },
  { name: 'a chunk line that ends with a bare line feed', raw: `${CHUNKED}3\nabc\n0\n\n`, expected: bad },
  {
    name: 'a chunk line without an end',
    raw: `${CHUNKED}3;${'x'.repeat(2_000)}\r\nabc\r\n0\r\n\r\n`,
    expected: bad,
    undici: 'accepts',
  },
  {
    name: 'trailers without an end',
    raw: `${CHUNKED}3\r\nabc\r\n0\r\n${'X-A: b\r\n'.repeat(8_000)}\r\n`,
    expected: bad,
  },
  {
    name: 'a head without an end',
    raw: `HTTP/1.1 200 OK\r\n${'X-A: b\r\n'.repeat(8_000)}\r\n`,
    expected: bad,
  },
];

export const CORPUS: readonly RawCase[] = [...GOOD, ...BEHIND, ...BAD];
