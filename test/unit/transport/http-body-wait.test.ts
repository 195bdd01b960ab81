import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Connection } from '../../../src/transport/connection.ts';
import { WireError } from '../../../src/transport/http-types.ts';
import { answer, makeRequest, serveRaw } from './raw-server.ts';

const PIECE_BYTES = 64 * 1024;

async function settle(): Promise<void> {
  for (let count = 0; count < 20; count += 1) await turn();
}

/** Gives its second piece when it is told to. */
function heldBody() {
  const held = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  async function* pieces(): AsyncGenerator<Uint8Array> {
    yield Buffer.alloc(PIECE_BYTES, 'a');
    reached.resolve();
    await held.promise;
    yield Buffer.alloc(0);
    yield Buffer.alloc(PIECE_BYTES, 'b');
  }
  return { body: pieces(), bodyBytes: 2 * PIECE_BYTES, reached: reached.promise, release: held.resolve };
}

describe('Connection.watch() while a body has nothing to send', () => {
  it('waits as long as the body does: its source is watched where it is read', async (t) => {
    const server = await serveRaw(t, { onRequest: (peer) => peer.send(answer('ok')) });
    const connection = new Connection(
      { isTls: false, host: '127.0.0.1', port: server.port },
      { verifies: true },
    );
    t.after(() => connection.destroy(undefined));
    const { body, bodyBytes, reached, release } = heldBody();
    const running = connection.send(makeRequest({ method: 'PUT', body, bodyBytes }));
    await reached;
    await settle();
    let now = Date.now();
    for (let minute = 0; minute < 10; minute += 1) {
      now += 61_000;
      connection.watch(now);
      assert.equal(connection.isClosed, false, `cut in minute ${minute + 1}`);
    }
    release();
    assert.equal((await running).status, 200);
    assert.equal(server.requests[0]?.body.length, bodyBytes);
  });

  it('still cuts a server that does not take what the body gave', async (t) => {
    const server = await serveRaw(t, { onHead: (peer) => peer.socket.pause() });
    const connection = new Connection(
      { isTls: false, host: '127.0.0.1', port: server.port },
      { verifies: true },
    );
    t.after(() => connection.destroy(undefined));
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (let count = 0; count < 64; count += 1) yield Buffer.alloc(1024 * 1024);
    }
    const running = connection.send(
      makeRequest({ method: 'PUT', body: endless(), bodyBytes: 64 * 1024 * 1024 }),
    );
    const failed = assert.rejects(
      running,
      (error) => error instanceof WireError && error.fault === 'too-slow',
    );
    while (server.peers.length === 0) await turn();
    for (let count = 0; count < 50; count += 1) await settle();
    const now = Date.now();
    connection.watch(now + 61_000);
    connection.watch(now + 122_000);
    await failed;
  });
});
