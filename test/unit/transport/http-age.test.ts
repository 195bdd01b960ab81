import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HttpPool } from '../../../src/transport/http-pool.ts';
import { answer, makeRequest, serveRaw } from './raw-server.ts';

describe('HttpPool and names that move', () => {
  it('replaces a connection after five minutes, however busy it is, so that the name is looked up again', async (t) => {
    const server = await serveRaw(t, { onRequest: (peer) => peer.send(answer('ok')) });
    t.mock.timers.enable({ apis: ['Date'], now: 1_000_000 });
    const pool = new HttpPool({ isTls: false, host: 'localhost', port: server.port }, { verifies: true });
    t.after(() => pool.close());
    const connections: number[] = [];
    // A request every 3 s: the connection never becomes idle for long.
    for (let seconds = 0; seconds <= 306; seconds += 3) {
      await pool.request(makeRequest());
      connections.push(server.peers.length);
      t.mock.timers.tick(3_000);
    }
    assert.deepEqual([...new Set(connections)], [1, 2]);
    assert.equal(connections.indexOf(2), 100);
  });
});
