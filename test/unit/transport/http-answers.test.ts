import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HttpPool } from '../../../src/transport/http-pool.ts';
import { WireError, type WireFault } from '../../../src/transport/http-types.ts';
import { CORPUS, type RawCase } from './corpus.ts';
import { answer, makeRequest, type Peer, type RawServer, serveRaw, startRaw } from './raw-server.ts';

function poolFor(server: RawServer): HttpPool {
  return new HttpPool({ isTls: false, host: '127.0.0.1', port: server.port }, { verifies: true });
}

function isFault(...faults: readonly WireFault[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof WireError, `not a WireError: ${String(error)}`);
    assert.ok(faults.includes(error.fault), `${error.fault}: ${error.message}`);
    return true;
  };
}

/** The same cuts in every run, different ones for every case. */
function cutsFor(one: RawCase, round: number): readonly number[] {
  const step = (one.name.length * 31 + round * 17) % 97;
  return Array.from(
    { length: round * 4 },
    (_, index) => (step + index * index * 13 + index) % one.raw.length,
  );
}

describe('HttpPool over the corpus', () => {
  for (const one of CORPUS) {
    for (const round of [0, 1, 2]) {
      it(`takes ${one.name} from a socket, cut in way ${round}`, async (t) => {
        const server = await serveRaw(t, {
          onRequest: async (peer) => {
            await peer.send(one.raw, cutsFor(one, round));
            if (one.isClosed) peer.end();
          },
        });
        const pool = poolFor(server);
        t.after(() => pool.close());
        const method = one.method ?? 'GET';
        const { expected } = one;
        if ('fault' in expected) {
          await assert.rejects(pool.request(makeRequest({ method })), isFault(expected.fault));
          assert.equal(pool.openConnections, 0);
          return;
        }
        const collected = await pool.request(makeRequest({ method }));
        assert.equal(collected.status, expected.status);
        assert.equal(collected.body.toString('latin1'), expected.body);
        const into = Buffer.alloc(expected.body.length);
        const direct = await pool.request(makeRequest({ method, into, isFresh: true }));
        const body = expected.status < 300 ? into.subarray(0, direct.intoBytes) : direct.body;
        assert.equal(body.toString('latin1'), expected.body);
        // Bytes behind an answer may come when it is done: then the kept connection is closed by them.
        if (!expected.keepsAlive) await server.allClosed();
        assert.equal(pool.openConnections, expected.keepsAlive ? 2 : 0);
      });
    }
  }
});

describe('HttpPool and the life of connections', () => {
  it('uses a connection again for the next request', async (t) => {
    const server = await serveRaw(t, { onRequest: (peer) => peer.send(answer('ok')) });
    const pool = poolFor(server);
    t.after(() => pool.close());
    for (let count = 0; count < 5; count += 1) await pool.request(makeRequest());
    assert.equal(server.peers.length, 1);
    assert.equal(pool.openConnections, 1);
  });

  it('opens as many connections as there are requests at once and keeps them', async (t) => {
    const waiting: Peer[] = [];
    const server = await serveRaw(t, {
      onRequest: (peer) => {
        waiting.push(peer);
        if (waiting.length === 4) for (const one of waiting.splice(0)) void one.send(answer('ok'));
      },
    });
    const pool = poolFor(server);
    t.after(() => pool.close());
    for (let round = 0; round < 3; round += 1) {
      await Promise.all([1, 2, 3, 4].map(() => pool.request(makeRequest())));
    }
    assert.equal(server.peers.length, 4);
    assert.equal(pool.openConnections, 4);
  });

  it('does not use a connection that was used before for a request that wants a fresh one', async (t) => {
    const server = await serveRaw(t, { onRequest: (peer) => peer.send(answer('ok')) });
    const pool = poolFor(server);
    t.after(() => pool.close());
    await pool.request(makeRequest());
    await pool.request(makeRequest({ isFresh: true }));
    assert.deepEqual(
      server.requests.map(({ index }) => index),
      [0, 0],
    );
  });

  it('does not use a connection again whose answer was larger than its destination', async (t) => {
    const server = await serveRaw(t, { onRequest: (peer) => peer.send(answer('0123456789')) });
    const pool = poolFor(server);
    t.after(() => pool.close());
    const into = Buffer.alloc(4);
    const response = await pool.request(makeRequest({ into }));
    assert.equal(response.isOverflow, true);
    assert.equal(into.toString(), '0123');
    await server.allClosed();
    await pool.request(makeRequest());
    assert.equal(server.peers.length, 2);
  });

  it('calls a kept connection stale that the server closes instead of answering', async (t) => {
    const server = await serveRaw(t, {
      onRequest: (peer, { index }) => (index === 0 ? peer.send(answer('ok')) : peer.end()),
    });
    const pool = poolFor(server);
    t.after(() => pool.close());
    await pool.request(makeRequest());
    await assert.rejects(pool.request(makeRequest()), isFault('stale'));
    assert.equal((await pool.request(makeRequest())).status, 200);
  });

  it('gives up all kept connections with the first stale one, so that a retry meets a fresh one', async (t) => {
    const waiting: Peer[] = [];
    let isRestarted = false;
    const server = await serveRaw(t, {
      onRequest: (peer) => {
        if (isRestarted) {
          if (peer.number < 6) peer.reset();
          else void peer.send(answer('ok'));
          return;
        }
        waiting.push(peer);
        if (waiting.length === 6) for (const one of waiting.splice(0)) void one.send(answer('ok'));
      },
    });
    const pool = poolFor(server);
    t.after(() => pool.close());
    await Promise.all([1, 2, 3, 4, 5, 6].map(() => pool.request(makeRequest())));
    isRestarted = true;
    await assert.rejects(pool.request(makeRequest()), isFault('stale'));
    assert.equal((await pool.request(makeRequest())).status, 200);
    assert.equal(server.peers.length, 7);
  });

  it('forgets a kept connection that the server closes in between', async (t) => {
    const server = await serveRaw(t, {
      onRequest: async (peer) => {
        await peer.send(answer('ok'));
        peer.end();
      },
    });
    const pool = poolFor(server);
    t.after(() => pool.close());
    await pool.request(makeRequest());
    await server.allClosed();
    assert.equal((await pool.request(makeRequest())).status, 200);
    assert.equal(server.peers.length, 2);
  });

  it('closes a kept connection over which bytes come that nobody asked for', async (t) => {
    const server = await serveRaw(t, {
      onRequest: async (peer) => {
        await peer.send(answer('ok'));
        await peer.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil');
      },
    });
    const pool = poolFor(server);
    t.after(() => pool.close());
    assert.equal((await pool.request(makeRequest())).body.toString(), 'ok');
    await server.allClosed();
    assert.equal(pool.openConnections, 0);
    assert.equal((await pool.request(makeRequest())).body.toString(), 'ok');
  });

  it('serves two callers at once over different connections, each its own answer', async (t) => {
    const server = await serveRaw(t, {
      onRequest: (peer, { head }) => peer.send(answer(head.split(' ')[1] ?? '')),
    });
    const pool = poolFor(server);
    t.after(() => pool.close());
    const targets = Array.from({ length: 200 }, (_, index) => `/object/${index}`);
    const bodies = await Promise.all(
      targets.map(async (target) => (await pool.request(makeRequest({ target }))).body.toString()),
    );
    assert.deepEqual(bodies, targets);
  });

  it('fails the requests that run, and every later one, once it is closed', async (t) => {
    const server = await serveRaw(t, {});
    const pool = poolFor(server);
    const running = pool.request(makeRequest());
    setImmediate(() => pool.close());
    await assert.rejects(running, /client was closed/);
    await assert.rejects(pool.request(makeRequest()), /client was closed/);
    assert.equal(pool.openConnections, 0);
  });
});

describe('HttpPool and servers that break off', () => {
  it('says "connect" where nobody listens', async (t) => {
    const server = await startRaw({});
    await server.close();
    const pool = poolFor(server);
    t.after(() => pool.close());
    await assert.rejects(pool.request(makeRequest()), isFault('connect'));
    assert.equal(pool.openConnections, 0);
  });

  it('says "connect" for a host that has no address', async (t) => {
    const pool = new HttpPool({ isTls: false, host: 'nowhere.invalid', port: 80 }, { verifies: true });
    t.after(() => pool.close());
    await assert.rejects(pool.request(makeRequest()), isFault('connect'));
  });

  it('says "reset" where a new connection ends before any answer', async (t) => {
    const server = await serveRaw(t, { onRequest: (peer) => peer.end() });
    const pool = poolFor(server);
    t.after(() => pool.close());
    await assert.rejects(pool.request(makeRequest()), isFault('reset'));
  });

  it('never hangs and never succeeds, whichever byte of the answer is the last before a reset', async (t) => {
    const raw = answer('0123456789', '200 OK', 'ETag: "x"\r\n');
    let length = 0;
    const server = await serveRaw(t, {
      onRequest: async (peer) => {
        await peer.send(raw.slice(0, length));
        peer.reset();
      },
    });
    const pool = poolFor(server);
    t.after(() => pool.close());
    for (length = 0; length < raw.length; length += 1) {
      const into = Buffer.alloc(10);
      await assert.rejects(pool.request(makeRequest({ into })), isFault('reset', 'truncated'));
    }
    assert.equal(pool.openConnections, 0);
  });

  it('does not take a reset for the end of a body without a length', async (t) => {
    const server = await serveRaw(t, {
      onRequest: async (peer) => {
        await peer.send('HTTP/1.1 200 OK\r\n\r\nhalf of it');
        peer.reset();
      },
    });
    const pool = poolFor(server);
    t.after(() => pool.close());
    await assert.rejects(pool.request(makeRequest()), isFault('truncated'));
  });

  it('fails while a large body is being sent and the server resets', async (t) => {
    const server = await serveRaw(t, { onHead: (peer) => setImmediate(() => peer.reset()) });
    const pool = poolFor(server);
    t.after(() => pool.close());
    const body = Buffer.alloc(32 * 1024 * 1024);
    await assert.rejects(pool.request(makeRequest({ method: 'PUT', body })), isFault('reset'));
    assert.equal(pool.openConnections, 0);
  });
});
