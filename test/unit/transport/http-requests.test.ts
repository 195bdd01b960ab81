import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { HttpPool } from '../../../src/transport/http-pool.ts';
import { WireError } from '../../../src/transport/http-types.ts';
import { answer, makeRequest, type RawServer, serveRaw, startRaw } from './raw-server.ts';

const MIB = 1024 * 1024;

interface Afterwards {
  after(fn: () => void): void;
}

function poolFor(test: Afterwards, server: RawServer): HttpPool {
  const pool = new HttpPool({ isTls: false, host: '127.0.0.1', port: server.port }, { verifies: true });
  test.after(() => pool.close());
  return pool;
}

function echoing(): Parameters<typeof serveRaw>[1] {
  return { onRequest: (peer, { body }) => peer.send(answer(body.toString('latin1'))) };
}

/** Bytes that differ at every place of a slice, so that a slice sent twice or left out shows. */
function counted(sizeBytes: number): Buffer {
  const bytes = Buffer.allocUnsafe(sizeBytes);
  for (let at = 0; at < sizeBytes; at += 1) bytes[at] = (at * 31 + (at >>> 8)) & 0xff;
  return bytes;
}

/** Pieces that all lie in one buffer, overwritten as soon as the next one is asked for. */
async function* inReusedMemory(whole: Uint8Array, pieceBytes: number): AsyncGenerator<Uint8Array> {
  const memory = Buffer.alloc(pieceBytes);
  for (let at = 0; at < whole.length; at += pieceBytes) {
    const piece = memory.subarray(0, Math.min(pieceBytes, whole.length - at));
    piece.set(whole.subarray(at, at + piece.length));
    yield piece;
    memory.fill(0xee);
    await turn();
  }
}

describe('HttpPool and the body of a request', () => {
  it('sends the start line, the given headers and a length, and nothing else', async (t) => {
    const server = await serveRaw(t, { onRequest: (peer) => peer.send(answer()) });
    const pool = poolFor(t, server);
    const headerLines = 'Host: x\r\nX-A: b\r\n';
    await pool.request(makeRequest({ method: 'GET', target: '/a%20b?c=d', headerLines }));
    await pool.request(makeRequest({ method: 'DELETE', target: '/x', headerLines }));
    await pool.request(makeRequest({ method: 'PUT', target: '/x', headerLines }));
    await pool.request(makeRequest({ method: 'POST', target: '/x', headerLines, body: Buffer.from('abc') }));
    assert.deepEqual(
      server.requests.map(({ head }) => head),
      [
        'GET /a%20b?c=d HTTP/1.1\r\nHost: x\r\nX-A: b',
        'DELETE /x HTTP/1.1\r\nHost: x\r\nX-A: b',
        'PUT /x HTTP/1.1\r\nHost: x\r\nX-A: b\r\nContent-Length: 0',
        'POST /x HTTP/1.1\r\nHost: x\r\nX-A: b\r\nContent-Length: 3',
      ],
    );
    assert.equal(server.peers.length, 1);
  });

  for (const sizeBytes of [0, 1, 16 * 1024, 16 * 1024 + 1, 512 * 1024, 512 * 1024 + 1, 5 * MIB + 7]) {
    it(`sends a body of ${sizeBytes} bytes in one buffer unchanged`, async (t) => {
      const server = await serveRaw(t, { onRequest: (peer) => peer.send(answer()) });
      const body = counted(sizeBytes);
      const pool = poolFor(t, server);
      await pool.request(makeRequest({ method: 'PUT', body }));
      await pool.request(makeRequest({ method: 'PUT', body }));
      for (const request of server.requests) assert.ok(request.body.equals(body));
      assert.equal(server.requests.length, 2);
      assert.equal(server.peers.length, 1);
    });
  }

  it('sends pieces whose memory is used again, whatever their size', async (t) => {
    const server = await serveRaw(t, { onRequest: (peer) => peer.send(answer()) });
    const pool = poolFor(t, server);
    const whole = counted(MIB + 13);
    for (const pieceBytes of [1000 * 1000, 4096, 512 * 1024, 512 * 1024 + 1, 2 * MIB]) {
      const body = inReusedMemory(whole, pieceBytes);
      await pool.request(makeRequest({ method: 'PUT', body, bodyBytes: whole.length }));
      assert.ok(server.requests.at(-1)?.body.equals(whole), `pieces of ${pieceBytes}`);
    }
    assert.equal(server.peers.length, 1);
  });

  it('gives back any body that an echoing server was sent, in one buffer or in pieces', async () => {
    const server = await startRaw(echoing());
    const pool = new HttpPool({ isTls: false, host: '127.0.0.1', port: server.port }, { verifies: true });
    try {
      const sizes = fc.array(fc.integer({ min: 0, max: 5_000 }), { maxLength: 6 });
      await fc.assert(
        fc.asyncProperty(sizes, fc.boolean(), fc.boolean(), async (pieces, isWhole, isDirect) => {
          const whole = counted(pieces.reduce((sum, size) => sum + size, 0));
          async function* inPieces(): AsyncGenerator<Uint8Array> {
            let at = 0;
            for (const size of pieces) {
              yield whole.subarray(at, at + size);
              at += size;
            }
          }
          const into = isDirect ? Buffer.alloc(whole.length) : undefined;
          const response = await pool.request(
            makeRequest({
              method: 'PUT',
              body: isWhole ? whole : inPieces(),
              bodyBytes: whole.length,
              ...(into ? { into } : {}),
            }),
          );
          assert.ok((into ?? response.body).equals(whole));
        }),
        { numRuns: 200 },
      );
      assert.equal(server.peers.length, 1);
    } finally {
      pool.close();
      await server.close();
    }
  });
});

describe('HttpPool and a body that is not as long as announced', () => {
  const failures = (pattern: RegExp) => (error: unknown) =>
    error instanceof WireError && error.fault === 'malformed' && pattern.test(error.message);

  async function* pieces(...sizes: readonly number[]): AsyncGenerator<Uint8Array> {
    for (const size of sizes) {
      await turn();
      yield Buffer.alloc(size, 'x');
    }
  }

  it('does not send a buffer of another length', async (t) => {
    const server = await serveRaw(t, { onRequest: (peer) => peer.send(answer()) });
    const pool = poolFor(t, server);
    for (const [length, bodyBytes] of [
      [10, 11],
      [10, 9],
      [10, 0],
      [0, 10],
      [200_000, 200_001],
    ] as const) {
      const request = makeRequest({ method: 'PUT', body: Buffer.alloc(length), bodyBytes });
      await assert.rejects(pool.request(request), failures(/not as long as announced/));
    }
    await assert.rejects(
      pool.request(makeRequest({ method: 'PUT', bodyBytes: 4 })),
      failures(/not as long as announced/),
    );
    assert.equal(server.requests.length, 0);
  });

  it('breaks off before the end of a request whose pieces are too few', async (t) => {
    const server = await serveRaw(t, { onRequest: (peer) => peer.send(answer()) });
    const pool = poolFor(t, server);
    const request = makeRequest({ method: 'PUT', body: pieces(5, 4), bodyBytes: 10 });
    await assert.rejects(pool.request(request), failures(/shorter/));
    await server.allClosed();
    assert.equal(server.requests.length, 0);
  });

  it('breaks off before the end of a request whose pieces are too many', async (t) => {
    const server = await serveRaw(t, { onRequest: (peer) => peer.send(answer()) });
    const pool = poolFor(t, server);
    for (const sizes of [[5, 6], [5, 5, 1], [11], [10, 0, 0, 1], [10, 10]]) {
      const request = makeRequest({ method: 'PUT', body: pieces(...sizes), bodyBytes: 10 });
      await assert.rejects(pool.request(request), failures(/longer/), sizes.join());
    }
    await server.allClosed();
    assert.equal(server.requests.length, 0);
  });

  it('does not even begin an empty request whose body yields bytes after all', async (t) => {
    const heads: string[] = [];
    const server = await serveRaw(t, {
      onHead: (_, head) => heads.push(head),
      onRequest: (peer) => peer.send(answer()),
    });
    const pool = poolFor(t, server);
    await assert.rejects(
      pool.request(makeRequest({ method: 'PUT', body: pieces(0, 3), bodyBytes: 0 })),
      failures(/longer/),
    );
    assert.deepEqual(heads, []);
    const nothing = await pool.request(makeRequest({ method: 'PUT', body: pieces(0), bodyBytes: 0 }));
    assert.equal(nothing.status, 200);
  });

  it('rejects with what the body throws, and the server never has the whole of it', async (t) => {
    const server = await serveRaw(t, { onRequest: (peer) => peer.send(answer()) });
    const pool = poolFor(t, server);
    const reason = new Error('the digest is wrong');
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(8);
      throw reason;
    }
    await assert.rejects(
      pool.request(makeRequest({ method: 'PUT', body: failing(), bodyBytes: 10 })),
      (error) => error === reason,
    );
    await server.allClosed();
    assert.equal(server.requests.length, 0);
  });

  it('rejects with what the body throws behind its last byte, which never leaves', async (t) => {
    const server = await serveRaw(t, { onRequest: (peer) => peer.send(answer()) });
    const pool = poolFor(t, server);
    const reason = new Error('too late, but not unheard');
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(10);
      for (let count = 0; count < 20; count += 1) await turn();
      throw reason;
    }
    await assert.rejects(
      pool.request(makeRequest({ method: 'PUT', body: failing(), bodyBytes: 10 })),
      (error) => error === reason,
    );
    await server.allClosed();
    assert.equal(server.requests.length, 0);
  });
});

describe('HttpPool and an answer that comes before the request is sent', () => {
  for (const kind of ['one buffer', 'pieces'] as const) {
    it(`gives a refusal on while the body in ${kind} is stuck, and uses the connection no more`, async (t) => {
      const server = await serveRaw(t, {
        onHead: (peer) => {
          if (peer.number > 0) return;
          // Reads nothing further, so that the body cannot get through.
          peer.socket.pause();
          void peer.send(answer('<Error/>', '403 Forbidden'));
        },
        onRequest: (peer) => peer.send(answer('ok')),
      });
      const pool = poolFor(t, server);
      const whole = counted(32 * MIB);
      let isReturned = false;
      async function* inPieces(): AsyncGenerator<Uint8Array> {
        try {
          for (let at = 0; at < whole.length; at += MIB) yield whole.subarray(at, at + MIB);
        } finally {
          isReturned = true;
        }
      }
      const body = kind === 'pieces' ? inPieces() : whole;
      const response = await pool.request(makeRequest({ method: 'PUT', body, bodyBytes: whole.length }));
      assert.equal(response.status, 403);
      assert.equal(response.body.toString(), '<Error/>');
      assert.equal(pool.openConnections, 0);
      assert.equal((await pool.request(makeRequest())).status, 200);
      assert.equal(server.peers.length, 2);
      if (kind === 'pieces') assert.equal(isReturned, true);
    });

    it(`does not believe a success while the body in ${kind} is not given`, async (t) => {
      const server = await serveRaw(t, {
        onHead: (peer) => {
          peer.socket.pause();
          void peer.send(answer());
        },
      });
      const pool = poolFor(t, server);
      const whole = counted(32 * MIB);
      const body = kind === 'pieces' ? inReusedMemory(whole, MIB) : whole;
      await assert.rejects(
        pool.request(makeRequest({ method: 'PUT', body, bodyBytes: whole.length })),
        (error) => error instanceof WireError && error.fault === 'malformed',
      );
      assert.equal(pool.openConnections, 0);
    });
  }
});
