import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ChunkedDecoder } from '../../../bench/s3-server/http/chunked.ts';
import { bodyFraming, parseRequestHead } from '../../../bench/s3-server/http/request-head.ts';
import {
  fromBinary,
  isUtf8,
  percentDecode,
  percentEncode,
  toBinary,
} from '../../../bench/s3-server/http/uri.ts';
import { S3Error } from '../../../bench/s3-server/s3/s3-error.ts';
import { childrenOf, childText, escapeXml, parseXml } from '../../../bench/s3-server/s3/xml.ts';

function code(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof S3Error, String(error));
    return error.code;
  }
  return 'none';
}

describe('percent-coding', () => {
  it('gives back what it was given, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.boolean(), (bytes, keepsSlash) => {
        const binary = Buffer.from(bytes).toString('latin1');
        assert.equal(percentDecode(percentEncode(binary, keepsSlash), false), binary);
      }),
    );
  });

  it('escapes as SigV4 wants it', () => {
    assert.equal(percentEncode(toBinary("a b+c/ü~_-.'"), true), 'a%20b%2Bc/%C3%BC~_-.%27');
    assert.equal(percentEncode('a/b', false), 'a%2Fb');
    assert.equal(percentDecode('a+b', true), 'a b');
    assert.equal(percentDecode('a+b', false), 'a+b');
  });

  it('refuses what is no escape', () => {
    for (const text of ['%', 'a%4', '%zz', '%%41'])
      assert.equal(
        code(() => percentDecode(text, false)),
        'InvalidURI',
      );
  });

  it('knows UTF-8 from other bytes', () => {
    for (const text of ['', 'abc', 'ü€😀', '\0']) {
      assert.ok(isUtf8(toBinary(text)));
      assert.equal(fromBinary(toBinary(text)), text);
    }
    for (const bytes of ['\xff', '\xc3', '\xed\xa0\x80', 'a\xc0\x80']) assert.ok(!isUtf8(bytes));
  });
});

describe('request head', () => {
  const parse = (...lines: readonly string[]): ReturnType<typeof parseRequestHead> =>
    parseRequestHead(lines.join('\r\n'));

  it('is read with its target and fields', () => {
    const head = parse('GET /a%20b?x=1&y HTTP/1.1', 'Host: h', 'X-A:  b  ', 'x-a: c', 'Empty:');
    assert.equal(head.method, 'GET');
    assert.equal(head.rawPath, '/a%20b');
    assert.equal(head.rawQuery, 'x=1&y');
    assert.deepEqual(
      [...head.headers],
      [
        ['host', 'h'],
        ['x-a', 'b,c'],
        ['empty', ''],
      ],
    );
    assert.equal(head.keepsAlive, true);
    assert.equal(parse('GET http://h/a?b HTTP/1.1', 'Host: h').rawPath, '/a');
  });

  it('says whether the connection stays', () => {
    assert.equal(parse('GET / HTTP/1.1', 'Host: h', 'Connection: close').keepsAlive, false);
    assert.equal(parse('GET / HTTP/1.0').keepsAlive, false);
    assert.equal(parse('GET / HTTP/1.0', 'Connection: keep-alive').keepsAlive, true);
  });

  it('is refused where it is not HTTP/1.1', () => {
    const wrong: readonly (readonly string[])[] = [
      ['GET /'],
      ['get / HTTP/1.1', 'Host: h'],
      ['GET / HTTP/2.0', 'Host: h'],
      ['GET  / HTTP/1.1', 'Host: h'],
      ['GET a HTTP/1.1', 'Host: h'],
      ['GET / HTTP/1.1'],
      ['GET / HTTP/1.1', 'Host: h', 'Name : v'],
      ['GET / HTTP/1.1', 'Host: h', ' folded'],
      ['GET / HTTP/1.1', 'Host: h', 'no colon'],
      ['GET / HTTP/1.1', 'Host: h', 'A: b\0c'],
      ['GET / HTTP/1.1', 'Host: h', 'A: b\nc'],
    ];
    for (const lines of wrong)
      assert.equal(
        code(() => parse(...lines)),
        'BadRequest',
        lines.join('|'),
      );
    const many = Array.from({ length: 200 }, (_, n) => `h${n}: v`);
    assert.equal(
      code(() => parse('GET / HTTP/1.1', 'Host: h', ...many)),
      'RequestHeaderSectionTooLarge',
    );
  });

  it('says how long its body is, or is refused', () => {
    const framing = (...fields: readonly [string, string][]): unknown => bodyFraming(new Map(fields));
    assert.deepEqual(framing(), { kind: 'none' });
    assert.deepEqual(framing(['content-length', '0']), { kind: 'none' });
    assert.deepEqual(framing(['content-length', '12']), { kind: 'length', bytes: 12 });
    assert.deepEqual(framing(['transfer-encoding', 'Chunked']), { kind: 'chunked' });
    for (const fields of [
      [['content-length', '1,1']],
      [['content-length', '-1']],
      [['content-length', '0x10']],
      [['transfer-encoding', 'gzip, chunked']],
      [
        ['transfer-encoding', 'chunked'],
        ['content-length', '3'],
      ],
    ] satisfies readonly [string, string][][]) {
      assert.equal(
        code(() => framing(...fields)),
        'BadRequest',
        JSON.stringify(fields),
      );
    }
  });
});

describe('chunked body', () => {
  const decode = (wire: string, cuts: readonly number[]): { data: string; rest: string; isDone: boolean } => {
    let data = '';
    const decoder = new ChunkedDecoder((piece) => {
      data += piece.toString('latin1');
    });
    const bytes = Buffer.from(wire, 'latin1');
    const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
    let used = 0;
    let from = 0;
    for (const end of [...ends, bytes.length]) {
      used += decoder.write(bytes.subarray(from, end));
      from = end;
    }
    return { data, rest: wire.slice(used), isDone: decoder.isDone };
  };

  it('comes out whole wherever it was cut, and leaves what follows alone', () => {
    const wire = '5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nTrailer: x\r\n\r\nGET';
    fc.assert(
      fc.property(fc.array(fc.nat(1000), { maxLength: 10 }), (cuts) => {
        assert.deepEqual(decode(wire, cuts), { data: 'hello world', rest: 'GET', isDone: true });
      }),
    );
  });

  it('is not done before its last line', () => {
    for (const wire of ['', '5', '5\r\nhel', '5\r\nhello\r\n', '0\r\n', '0\r\nA: b\r\n']) {
      assert.equal(decode(wire, []).isDone, false, wire);
    }
  });

  it('is refused where it is malformed', () => {
    for (const wire of [
      'x\r\n',
      '5\nhello',
      '5\r\nhelloo\r\n',
      '-1\r\n',
      '\r\n',
      `${'0'.repeat(5000)}\r\n`,
    ]) {
      assert.equal(
        code(() => decode(wire, [])),
        'IncompleteBody',
        wire.slice(0, 20),
      );
    }
  });
});

describe('XML', () => {
  it('is read with prefixes, entities, comments and declarations', () => {
    const root = parseXml(
      Buffer.from(
        '\ufeff<?xml version="1.0"?><!-- c --><s:Delete xmlns:s="x"><Object><Key>a&amp;&lt;&#x41;&#66;ü</Key></Object><Quiet/></s:Delete>\n',
      ),
    );
    assert.equal(root.name, 'Delete');
    const [object] = childrenOf(root, 'Object');
    assert.ok(object);
    assert.equal(childText(object, 'Key'), toBinary('a&<ABü'));
    assert.equal(childText(root, 'Quiet'), '');
  });

  it('gives back every text that was escaped', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 30 }), (bytes) => {
        const binary = Buffer.from(bytes).toString('latin1');
        const root = parseXml(Buffer.from(`<A><B>${escapeXml(binary)}</B></A>`, 'latin1'));
        assert.equal(childText(root, 'B'), binary);
      }),
    );
  });

  it('is refused where it is malformed, too deep, or has a document type', () => {
    const deep = `${'<a>'.repeat(20)}${'</a>'.repeat(20)}`;
    for (const text of [
      '',
      'text',
      '<a>',
      '<a></b>',
      '<a></a><b></b>',
      '<a/>x',
      '<a b=c/>',
      '<a>&nope;</a>',
      '<a>&amp</a>',
      '<a>& </a>',
      '<a>&#x110000;</a>',
      '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
      deep,
    ]) {
      assert.equal(
        code(() => parseXml(Buffer.from(text))),
        'MalformedXML',
        text,
      );
    }
  });
});
