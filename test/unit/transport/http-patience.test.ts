import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Connection } from '../../../src/transport/connection.ts';
import { HttpPool } from '../../../src/transport/http-pool.ts';
import { WireError, type WireFault } from '../../../src/transport/http-types.ts';
import { answer, makeRequest, type RawServer, serveRaw } from './raw-server.ts';

const MIB = 1024 * 1024;

interface Afterwards {
  after(fn: () => void): void;
}

function connect(test: Afterwards, server: RawServer): Connection {
  const connection = new Connection(
    { isTls: false, host: '127.0.0.1', port: server.port },
    { verifies: true },
  );
  test.after(() => connection.destroy(undefined));
  return connection;
}

function isFault(fault: WireFault, pattern = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof WireError, `not a WireError: ${String(error)}`);
    assert.equal(error.fault, fault);
    assert.match(error.message, pattern);
    return true;
  };
}

/** Lets everything happen that is on its way over the loopback. */
async function settle(turns = 20): Promise<void> {
  for (let count = 0; count < turns; count += 1) await turn();
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await turn();
}

describe('Connection.watch() while the head is awaited', () => {
  it('cuts an exchange whose answer takes longer than the request allows', async (t) => {
    const server = await serveRaw(t, {});
    const connection = connect(t, server);
    const start = Date.now();
    const running = connection.send(makeRequest({ headTimeoutMs: 5_000 }));
    const failed = assert.rejects(running, isFault('timeout', /No answer within 5 s/));
    await until(() => server.requests.length === 1);
    await settle();
    connection.watch(start + 4_900);
    assert.equal(connection.isClosed, false);
    connection.watch(Date.now() + 5_001);
    assert.equal(connection.isClosed, true);
    await failed;
    await server.allClosed();
  });

  it('counts from the end of sending, not from its beginning', async (t) => {
    const server = await serveRaw(t, { onHead: (peer) => peer.socket.pause() });
    const connection = connect(t, server);
    const start = Date.now();
    const body = Buffer.alloc(32 * MIB);
    const running = connection.send(makeRequest({ method: 'PUT', body, headTimeoutMs: 1_000 }));
    const failed = assert.rejects(running);
    await until(() => server.peers.length === 1);
    await settle();
    connection.watch(start + 20_000);
    assert.equal(connection.isClosed, false);
    connection.destroy(new Error('enough'));
    await failed;
  });

  it('counts an interim answer as no answer', async (t) => {
    const server = await serveRaw(t, { onRequest: (peer) => peer.send('HTTP/1.1 100 Continue\r\n\r\n') });
    const connection = connect(t, server);
    const running = connection.send(makeRequest({ headTimeoutMs: 5_000 }));
    const failed = assert.rejects(running, isFault('timeout'));
    await until(() => server.requests.length === 1);
    await settle();
    connection.watch(Date.now() + 5_001);
    await failed;
  });

  it('does not touch a connection without an exchange', async (t) => {
    const server = await serveRaw(t, { onRequest: (peer) => peer.send(answer('ok')) });
    const connection = connect(t, server);
    await connection.send(makeRequest());
    connection.watch(Date.now() + 3_600_000);
    assert.equal(connection.isClosed, false);
    assert.equal((await connection.send(makeRequest())).status, 200);
  });
});

describe('Connection.watch() while a body is received', () => {
  it('cuts a body that stands still for half a minute', async (t) => {
    const server = await serveRaw(t, {
      onRequest: (peer) => peer.send('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nsome'),
    });
    const connection = connect(t, server);
    const running = connection.send(makeRequest({ into: Buffer.alloc(MIB) }));
    const failed = assert.rejects(running, isFault('too-slow', /Fewer than 32768 bytes moved in 30 s/));
    await until(() => server.requests.length === 1);
    await settle();
    const start = Date.now();
    connection.watch(start + 29_000);
    assert.equal(connection.isClosed, false);
    connection.watch(start + 31_000);
    await failed;
  });

  it('cuts a trickle but not a slow body that moves enough in every window', async (t) => {
    const server = await serveRaw(t, {
      onRequest: (peer) => peer.send('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n'),
    });
    const connection = connect(t, server);
    const running = connection.send(makeRequest({ into: Buffer.alloc(MIB) }));
    const failed = assert.rejects(running, isFault('too-slow'));
    await until(() => server.requests.length === 1);
    await settle();
    const [peer] = server.peers;
    let now = Date.now();
    for (let window = 0; window < 4; window += 1) {
      await peer?.send(Buffer.alloc(33 * 1024));
      await settle();
      now += 31_000;
      connection.watch(now);
      assert.equal(connection.isClosed, false, `window ${window}`);
    }
    await peer?.send(Buffer.alloc(31 * 1024));
    await settle();
    connection.watch(now + 31_000);
    await failed;
  });

  it('gives a body its window from the head on, however long the head took', async (t) => {
    const server = await serveRaw(t, {});
    const connection = connect(t, server);
    const running = connection.send(makeRequest({ into: Buffer.alloc(100), headTimeoutMs: 60_000 }));
    await until(() => server.requests.length === 1);
    await settle();
    const start = Date.now();
    // Once a second, as the pool does.
    for (let now = start; now < start + 50_000; now += 1_000) connection.watch(now);
    const [peer] = server.peers;
    await peer?.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234');
    await settle();
    connection.watch(start + 51_000);
    assert.equal(connection.isClosed, false);
    await peer?.send('56789');
    assert.equal((await running).intoBytes, 10);
  });

  it('bears with white space that a server sends for minutes before what it has to say', async (t) => {
    const server = await serveRaw(t, {
      onRequest: (peer) => peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'),
    });
    const connection = connect(t, server);
    const running = connection.send(makeRequest({ method: 'POST', headTimeoutMs: 10 * 60_000 }));
    await until(() => server.requests.length === 1);
    await settle();
    const [peer] = server.peers;
    const start = Date.now();
    for (let second = 10; second < 590; second += 10) {
      await peer?.send('1\r\n \r\n');
      connection.watch(start + second * 1_000);
      assert.equal(connection.isClosed, false, `after ${second} s`);
    }
    await peer?.send('9\r\n<Result/>\r\n0\r\n\r\n');
    assert.match((await running).body.toString(), /^ {58}<Result\/>$/);
  });

  it('does not bear with a collected body for ever', async (t) => {
    const server = await serveRaw(t, {
      onRequest: (peer) => peer.send('HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n<Error'),
    });
    const connection = connect(t, server);
    const running = connection.send(makeRequest({ headTimeoutMs: 60_000 }));
    const failed = assert.rejects(running, isFault('too-slow', /in 60 s/));
    await until(() => server.requests.length === 1);
    await settle();
    connection.watch(Date.now() + 61_000);
    await failed;
  });
});

describe('Connection.watch() while a body is sent', () => {
  it('cuts an upload that the server does not take', async (t) => {
    const server = await serveRaw(t, { onHead: (peer) => peer.socket.pause() });
    const connection = connect(t, server);
    const running = connection.send(makeRequest({ method: 'PUT', body: Buffer.alloc(64 * MIB) }));
    const failed = assert.rejects(running, isFault('too-slow'));
    await until(() => server.peers.length === 1);
    await settle();
    // What the kernel's buffers took counts for the first window.
    const start = Date.now();
    connection.watch(start + 61_000);
    assert.equal(connection.isClosed, false);
    connection.watch(start + 122_000);
    await failed;
  });

  it('sees an upload of one large buffer move while the server takes it slowly', async (t) => {
    const server = await serveRaw(t, { onRequest: (peer) => peer.send(answer()) });
    const connection = connect(t, server);
    const running = connection.send(
      makeRequest({ method: 'PUT', body: Buffer.alloc(64 * MIB), headTimeoutMs: 3_600_000 }),
    );
    await until(() => server.peers.length === 1);
    const socket = server.peers[0]?.socket;
    assert.ok(socket);
    let now = Date.now();
    while (server.requests.length === 0) {
      // About two MiB in every window.
      for (const from = socket.bytesRead; socket.bytesRead < from + 2 * MIB && !server.requests.length; ) {
        socket.resume();
        await turn();
        socket.pause();
      }
      await settle(3);
      now += 61_000;
      connection.watch(now);
      assert.equal(connection.isClosed, false, `after ${socket.bytesRead} bytes`);
    }
    socket.resume();
    assert.equal((await running).status, 200);
  });
});

describe('HttpPool and an abort', () => {
  const reason = new Error('stopped by the test');

  it('starts nothing for a signal that was aborted before', async (t) => {
    const server = await serveRaw(t, { onRequest: (peer) => peer.send(answer()) });
    const pool = new HttpPool({ isTls: false, host: '127.0.0.1', port: server.port }, { verifies: true });
    t.after(() => pool.close());
    await assert.rejects(
      pool.request(makeRequest({ signal: AbortSignal.abort(reason) })),
      (error) => error === reason,
    );
    assert.equal(pool.openConnections, 0);
    assert.equal(server.peers.length, 0);
  });

  const stages: Readonly<Record<string, Parameters<typeof serveRaw>[1]>> = {
    'the connection is being made': {},
    'the body is being sent': { onHead: (peer) => peer.socket.pause() },
    'the answer is awaited': { onRequest: () => undefined },
    'the head has half come': { onRequest: (peer) => peer.send('HTTP/1.1 200 OK\r\nContent-') },
    'the body has half come': {
      onRequest: (peer) => peer.send('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf'),
    },
  };
  for (const [stage, handlers] of Object.entries(stages)) {
    it(`rejects with the signal's reason and closes the connection while ${stage}`, async (t) => {
      const server = await serveRaw(t, handlers);
      const pool = new HttpPool({ isTls: false, host: '127.0.0.1', port: server.port }, { verifies: true });
      t.after(() => pool.close());
      const abort = new AbortController();
      const isSending = stage.includes('sent');
      const body = isSending ? { method: 'PUT', body: Buffer.alloc(32 * MIB) } : {};
      const running = pool.request(makeRequest({ signal: abort.signal, into: Buffer.alloc(9), ...body }));
      const failed = assert.rejects(running, (error) => error === reason);
      if (!stage.includes('being made')) {
        await until(() => (isSending ? server.peers.length : server.requests.length) === 1);
        await settle();
      }
      abort.abort(reason);
      await failed;
      assert.equal(pool.openConnections, 0);
      // A paused socket would not notice.
      for (const { socket } of server.peers) socket.resume();
      await server.allClosed();
    });
  }

  it('rejects while a body that gave all its bytes has not come to its own end', async (t) => {
    const server = await serveRaw(t, { onRequest: (peer) => peer.send(answer()) });
    const pool = new HttpPool({ isTls: false, host: '127.0.0.1', port: server.port }, { verifies: true });
    t.after(() => pool.close());
    const abort = new AbortController();
    async function* unending(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(10);
      await new Promise(() => undefined);
    }
    const running = pool.request(
      makeRequest({ method: 'PUT', body: unending(), bodyBytes: 10, signal: abort.signal }),
    );
    const failed = assert.rejects(running, (error) => error === reason);
    await until(() => server.peers.length === 1);
    await settle();
    abort.abort(reason);
    await failed;
    assert.equal(pool.openConnections, 0);
    await server.allClosed();
    assert.equal(server.requests.length, 0);
  });

  it('reaches all requests of a signal, and none of another one, on kept connections too', async (t) => {
    const server = await serveRaw(t, {
      onRequest: (peer, { index }) => (index === 0 ? peer.send(answer()) : undefined),
    });
    const pool = new HttpPool({ isTls: false, host: '127.0.0.1', port: server.port }, { verifies: true });
    t.after(() => pool.close());
    const [one, other] = [new AbortController(), new AbortController()];
    await Promise.all([1, 2, 3, 4].map(() => pool.request(makeRequest({ signal: one.signal }))));
    const first = [1, 2].map(() => pool.request(makeRequest({ signal: one.signal })));
    const second = [1, 2].map(() => pool.request(makeRequest({ signal: other.signal })));
    await until(() => server.requests.length === 8);
    const failed = first.map((running) => assert.rejects(running, (error) => error === reason));
    one.abort(reason);
    await Promise.all(failed);
    assert.equal(pool.openConnections, 2);
    for (const peer of server.peers) if (!peer.socket.destroyed) await peer.send(answer('ok'));
    for (const running of second) assert.equal((await running).body.toString(), 'ok');
  });

  it('does nothing to a request that is done', async (t) => {
    const server = await serveRaw(t, { onRequest: (peer) => peer.send(answer('ok')) });
    const pool = new HttpPool({ isTls: false, host: '127.0.0.1', port: server.port }, { verifies: true });
    t.after(() => pool.close());
    const abort = new AbortController();
    await pool.request(makeRequest({ signal: abort.signal }));
    abort.abort(reason);
    await settle();
    assert.equal(pool.openConnections, 1);
    assert.equal((await pool.request(makeRequest())).status, 200);
    assert.equal(server.peers.length, 1);
  });
});

describe('HttpPool and its watch', () => {
  it('cuts an answer that does not come by itself', async (t) => {
    const server = await serveRaw(t, {});
    const pool = new HttpPool({ isTls: false, host: '127.0.0.1', port: server.port }, { verifies: true });
    t.after(() => pool.close());
    await assert.rejects(pool.request(makeRequest({ headTimeoutMs: 50 })), isFault('timeout'));
    assert.equal(pool.openConnections, 0);
  });

  it('lets kept connections go after a few seconds, under a clock that the test turns', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval', 'Date'], now: Date.now() });
    const server = await serveRaw(t, { onRequest: (peer) => peer.send(answer('ok')) });
    const pool = new HttpPool({ isTls: false, host: '127.0.0.1', port: server.port }, { verifies: true });
    t.after(() => pool.close());
    await pool.request(makeRequest());
    const [peer] = server.peers;
    assert.ok(peer);
    t.mock.timers.tick(3_000);
    assert.equal(pool.openConnections, 1);
    t.mock.timers.tick(2_000);
    assert.equal(pool.openConnections, 0);
    if (!peer.socket.destroyed) await once(peer.socket, 'close');
    assert.equal((await pool.request(makeRequest())).status, 200);
    assert.equal(server.peers.length, 2);
  });
});
