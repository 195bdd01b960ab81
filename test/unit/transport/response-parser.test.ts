import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { WireError } from '../../../src/transport/http-types.ts';
import { ResponseParser } from '../../../src/transport/response-parser.ts';
import { anyAnswer, encodeAnswer } from './answers.ts';
import { CORPUS, type RawCase } from './corpus.ts';
import { piecesOf } from './raw-server.ts';

const COLLECT_BYTES_MAX = 1024 * 1024;

/** What a caller gets, or the fault. */
type Outcome =
  | { status: number; body: string; keepsAlive: boolean; headers: Record<string, string> }
  | { fault: string };

interface Feed {
  readonly cuts?: readonly number[];
  readonly into?: Uint8Array;
  readonly collectBytesMax?: number;
}

/** Does what a connection does: reads each piece into `target()`, as much as fits at a time. */
function parse(raw: string, isHead: boolean, isClosed: boolean, feed: Feed): ResponseParser {
  const parser = new ResponseParser();
  const { into, collectBytesMax = COLLECT_BYTES_MAX } = feed;
  parser.begin({ isHead, into, collectBytesMax });
  for (const piece of piecesOf(raw, feed.cuts ?? [])) {
    for (let at = 0; at < piece.length; ) {
      if (parser.isDone) return parser;
      const target = parser.target();
      assert.ok(target.length > 0, 'a socket cannot read into an empty buffer');
      const count = Math.min(target.length, piece.length - at);
      target.set(piece.subarray(at, at + count));
      parser.consume(target.subarray(0, count));
      at += count;
    }
  }
  if (!parser.isDone && !(isClosed && parser.end()))
    throw new WireError('truncated', 'test: more was expected');
  return parser;
}

function outcomeOf(one: RawCase, feed: Feed): Outcome {
  try {
    const parser = parse(one.raw, one.method === 'HEAD', one.isClosed === true, feed);
    const collected = parser.takeBody().toString('latin1');
    const direct = Buffer.from(feed.into ?? []).toString('latin1', 0, parser.intoBytes);
    return {
      status: parser.status,
      body: collected + direct,
      keepsAlive: parser.keepsAlive,
      headers: Object.fromEntries(parser.headers),
    };
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return { fault: error.fault };
  }
}

function check(one: RawCase, outcome: Outcome, canSeeBehind: boolean): void {
  if ('fault' in one.expected) {
    assert.deepEqual(outcome, one.expected);
    return;
  }
  assert.ok('status' in outcome, `failed with ${JSON.stringify(outcome)}`);
  assert.equal(outcome.status, one.expected.status);
  assert.equal(outcome.body, one.expected.body);
  // Bytes behind the answer that come in a later read are not this answer's business any more.
  if (canSeeBehind) assert.equal(outcome.keepsAlive, one.expected.keepsAlive);
  for (const [name, value] of Object.entries(one.expected.headers ?? {}))
    assert.equal(outcome.headers[name], value);
}

/** Every position for small answers, a sample around the interesting ends of large ones. */
function cutPositions(raw: string): readonly number[] {
  if (raw.length < 2_000) return Array.from({ length: raw.length - 1 }, (_, index) => index + 1);
  const head = raw.indexOf('\r\n\r\n');
  const around = [0, head, 32 * 1024, raw.length].flatMap((place) =>
    Array.from({ length: 15 }, (_, index) => place - 7 + index),
  );
  return around.filter((place) => place > 0 && place < raw.length);
}

describe('ResponseParser over the corpus', () => {
  for (const one of CORPUS) {
    const goodBody = 'fault' in one.expected ? undefined : one.expected.body;
    it(`reads ${one.name} the same however the bytes are cut`, () => {
      check(one, outcomeOf(one, {}), true);
      for (const cut of cutPositions(one.raw)) check(one, outcomeOf(one, { cuts: [cut] }), false);
      if (one.raw.length < 2_000) check(one, outcomeOf(one, { cuts: cutPositions(one.raw) }), false);
    });

    it(`puts ${one.name} where the caller wants it however the bytes are cut`, () => {
      const into = Buffer.alloc(goodBody?.length ?? 50_000);
      check(one, outcomeOf(one, { into }), true);
      for (const cut of cutPositions(one.raw)) {
        into.fill(0);
        check(one, outcomeOf(one, { into, cuts: [cut] }), false);
      }
    });
  }
});

describe('ResponseParser and the destination', () => {
  const body = '0123456789abcdef';
  const framings: Readonly<Record<string, string>> = {
    'a body with a length': `HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n${body}`,
    chunks: `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n0123456\r\n9\r\n789abcdef\r\n0\r\n\r\n`,
    'a body until the end': `HTTP/1.1 200 OK\r\n\r\n${body}`,
  };
  for (const [name, raw] of Object.entries(framings)) {
    it(`fills a destination smaller than ${name} and says so`, () => {
      for (let size = 0; size < body.length; size += 1) {
        for (const cut of cutPositions(raw)) {
          const into = Buffer.alloc(size, '?');
          const parser = parse(raw, false, true, { into, cuts: [cut] });
          assert.equal(parser.isOverflow, true);
          assert.equal(parser.keepsAlive, false);
          assert.equal(into.toString(), body.slice(0, size), `destination of ${size}, cut at ${cut}`);
          assert.equal(parser.intoBytes, size);
        }
      }
    });

    it(`leaves the rest of a destination larger than ${name} alone`, () => {
      const into = Buffer.alloc(20, '?');
      const parser = parse(raw, false, true, { into });
      assert.equal(parser.isOverflow, false);
      assert.equal(parser.intoBytes, 16);
      assert.equal(into.toString(), `${body}????`);
      assert.equal(parser.takeBody().length, 0);
    });
  }

  it('collects the body of an error instead of putting it into the destination', () => {
    const into = Buffer.alloc(5, '?');
    const parser = parse('HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\nerror', false, false, { into });
    assert.equal(parser.takeBody().toString(), 'error');
    assert.equal(into.toString(), '?????');
    assert.equal(parser.intoBytes, 0);
  });

  it('refuses to collect more than it was told, whatever the framing', () => {
    for (const raw of Object.values(framings)) {
      for (const cut of cutPositions(raw)) {
        assert.throws(
          () => parse(raw, false, true, { collectBytesMax: 15, cuts: [cut] }),
          (error) => error instanceof WireError && error.fault === 'too-large',
        );
      }
      assert.equal(parse(raw, false, true, { collectBytesMax: 16 }).takeBody().toString(), body);
    }
  });

  it('reads one answer after another without mixing them', () => {
    const parser = new ResponseParser();
    for (const text of ['first', '', 'third answer']) {
      const into = Buffer.alloc(20);
      parser.begin({ isHead: false, into, collectBytesMax: 0 });
      const raw = Buffer.from(
        `HTTP/1.1 200 OK\r\nX-Text: ${text}\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
      );
      for (const byte of raw) {
        parser.target()[0] = byte;
        parser.consume(parser.target().subarray(0, 1));
      }
      assert.equal(parser.isDone, true);
      assert.equal(into.toString('latin1', 0, parser.intoBytes), text);
      assert.equal(parser.headers.get('x-text'), text);
    }
  });

  it('takes bytes that lie in a buffer of the caller, larger than any of its own', () => {
    const long = 'y'.repeat(100_000);
    const parser = new ResponseParser();
    parser.begin({ isHead: false, into: undefined, collectBytesMax: COLLECT_BYTES_MAX });
    parser.consume(Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${long.length}\r\n\r\n${long}more`));
    assert.equal(parser.takeBody().toString(), long);
    assert.equal(parser.keepsAlive, false);
  });
});

const cuts = fc.array(fc.integer({ min: 1, max: 1_500 }), { maxLength: 12 });

describe('ResponseParser on generated answers', () => {
  it('gives back what was encoded, whatever the framing and the cuts', () => {
    fc.assert(
      fc.property(anyAnswer, cuts, fc.boolean(), (one, places, isDirect) => {
        const into = isDirect ? Buffer.alloc(one.body.length) : undefined;
        const parser = parse(encodeAnswer(one), false, true, { cuts: places, ...(into ? { into } : {}) });
        assert.equal(parser.status, one.status);
        const isInto = into !== undefined && one.status < 300;
        const body = isInto ? into.subarray(0, parser.intoBytes) : parser.takeBody();
        assert.equal(body.toString('latin1'), one.body);
        assert.equal(parser.keepsAlive, one.framing !== 'close');
        assert.equal(parser.isOverflow, false);
        for (const [name, value] of new Map(one.headers)) assert.equal(parser.headers.get(name), value);
      }),
      { numRuns: 1_000 },
    );
  });

  it('takes any bytes at all without failing otherwise than by a WireError and without writing elsewhere', () => {
    const edit = fc.tuple(fc.nat(2_000), fc.constantFrom('flip', 'drop', 'add'), fc.nat(255));
    fc.assert(
      fc.property(
        anyAnswer,
        fc.array(edit, { maxLength: 5 }),
        cuts,
        fc.nat(400),
        (one, edits, places, room) => {
          const bytes = [...Buffer.from(encodeAnswer(one), 'latin1')];
          for (const [place, what, value] of edits) {
            const at = place % bytes.length;
            if (what === 'flip') bytes[at] = value;
            else bytes.splice(at, what === 'drop' ? 1 : 0, ...(what === 'add' ? [value] : []));
          }
          const raw = Buffer.from(bytes).toString('latin1');
          const memory = Buffer.alloc(room + 32, '?');
          const into = memory.subarray(16, 16 + room);
          try {
            const parser = parse(raw, false, true, { cuts: places, into });
            assert.ok(parser.isDone);
            assert.ok(parser.intoBytes <= room);
          } catch (error) {
            if (!(error instanceof WireError)) throw error;
          }
          assert.equal(memory.toString('latin1', 0, 16), '?'.repeat(16));
          assert.equal(memory.toString('latin1', 16 + room), '?'.repeat(16));
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
