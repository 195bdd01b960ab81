import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { HttpPool } from '../../../src/transport/http-pool.ts';
import { answer, makeRequest, type RawServer, serveRaw } from './raw-server.ts';

const AT_ONCE = 16;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function poolFor(server: RawServer): HttpPool {
  return new HttpPool({ isTls: false, host: '127.0.0.1', port: server.port }, { verifies: true });
}

function sockets(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
}

/** A handle goes a few turns after its socket: a leak never does, and the test runs out of time. */
async function closedDownTo(count: number): Promise<void> {
  while (sockets() > count) await turn();
}

async function inParallel(count: number, one: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      await one(next - 1);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}

async function heapAfterGarbage(): Promise<number> {
  for (let count = 0; count < 5; count += 1) {
    await turn();
    collectGarbage();
  }
  return process.memoryUsage().heapUsed;
}

describe('HttpPool over ten thousand requests', () => {
  it('keeps to as many connections, listeners and bytes of heap as at the beginning', async (t) => {
    const server = await serveRaw(t, {
      onRequest: (peer, { body }) => peer.socket.write(answer(`${body.length}`)),
    });
    // What the server remembers would be taken for a leak.
    const forget = () => (server.requests as unknown[]).splice(0);
    const before = sockets();
    const pool = poolFor(server);
    const { signal } = new AbortController();
    const body = Buffer.alloc(20_000);
    const into = Buffer.alloc(100);
    const round = (count: number) =>
      inParallel(count, async (index) => {
        const response = await pool.request(
          makeRequest(index % 2 === 0 ? { signal, into } : { signal, method: 'PUT', body }),
        );
        assert.equal(response.status, 200);
        forget();
      });
    await round(1_000);
    const heap = await heapAfterGarbage();
    await round(9_000);
    const grown = (await heapAfterGarbage()) - heap;
    assert.ok(grown < 1024 * 1024, `the heap grew by ${grown} bytes`);
    assert.ok(server.peers.length <= AT_ONCE, `${server.peers.length} connections`);
    assert.ok(pool.openConnections <= AT_ONCE);
    // None where the machine is slow: a signal that was not used for a while is let go.
    assert.ok(getEventListeners(signal, 'abort').length <= 1);
    pool.close();
    await server.allClosed();
    assert.equal(pool.openConnections, 0);
    await closedDownTo(before);
  });

  it('forgets signals that no request uses any more, and hears those that come again', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const server = await serveRaw(t, {
      onRequest: (peer, { head }) => (head.includes('/hangs') ? undefined : peer.send(answer('ok'))),
    });
    const pool = poolFor(server);
    t.after(() => pool.close());
    const job = new AbortController();
    const signals = Array.from({ length: 50 }, () =>
      AbortSignal.any([job.signal, new AbortController().signal]),
    );
    const listeners = () =>
      signals.reduce((sum, signal) => sum + getEventListeners(signal, 'abort').length, 0);
    for (const signal of signals) await pool.request(makeRequest({ signal }));
    assert.equal(listeners(), 50);
    const [first, second] = signals;
    assert.ok(first && second);
    const reason = new Error('stopped by the test');
    const running = pool.request(makeRequest({ signal: first, target: '/hangs' }));
    const failed = assert.rejects(running, (error) => error === reason);
    t.mock.timers.tick(1_000);
    assert.equal(listeners(), 1);
    const again = pool.request(makeRequest({ signal: second, target: '/hangs' }));
    const failedAgain = assert.rejects(again, (error) => error === reason);
    assert.equal(listeners(), 2);
    job.abort(reason);
    await Promise.all([failed, failedAgain]);
    pool.close();
    assert.equal(listeners(), 0);
  });

  it('leaves nothing behind of connections that are used once or break', async (t) => {
    const server = await serveRaw(t, {
      onRequest: (peer, { head }) => {
        if (head.includes('/breaks')) peer.reset();
        else if (head.includes('/cut')) peer.socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf');
        else peer.socket.end(answer('ok', '200 OK', 'Connection: close\r\n'));
      },
    });
    const before = sockets();
    const pool = poolFor(server);
    const { signal } = new AbortController();
    let failures = 0;
    await inParallel(1_500, async (index) => {
      const target = ['/breaks', '/cut', '/closes'][index % 3] ?? '';
      await pool.request(makeRequest({ signal, target })).catch(() => {
        failures += 1;
      });
    });
    assert.equal(failures, 1_000);
    assert.equal(pool.openConnections, 0);
    await server.allClosed();
    await closedDownTo(before);
    // None where that took a second: a signal that was not used for so long is let go.
    assert.ok(getEventListeners(signal, 'abort').length <= 1);
    pool.close();
  });
});
