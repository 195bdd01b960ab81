import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { describe, it } from 'node:test';
import { makeCertificate } from '../../../bench/support/certificate.ts';
import { HttpPool } from '../../../src/transport/http-pool.ts';
import { type Origin, WireError, type WireFault } from '../../../src/transport/http-types.ts';
import { CORPUS } from './corpus.ts';
import { answer, makeRequest, serveRaw, startRaw } from './raw-server.ts';

const MIB = 1024 * 1024;
const HERE = makeCertificate({ names: ['127.0.0.1', '::1', 'localhost'] });
const ELSEWHERE = makeCertificate({ names: ['s3.example.com', '192.0.2.1'] });
const EXPIRED = makeCertificate({
  names: ['127.0.0.1'],
  notBefore: new Date('2020-01-01'),
  notAfter: new Date('2021-01-01'),
});
const hasIpv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === '::1'),
);

interface Afterwards {
  after(fn: () => void): void;
}

interface PoolChoices {
  readonly host?: string;
  readonly isTls?: boolean;
  readonly verifies?: boolean;
  readonly ca?: readonly string[];
}

function poolFor(test: Afterwards, port: number, choices: PoolChoices): HttpPool {
  const origin: Origin = { isTls: choices.isTls ?? true, host: choices.host ?? '127.0.0.1', port };
  const pool = new HttpPool(origin, {
    verifies: choices.verifies ?? true,
    ...(choices.ca ? { ca: choices.ca } : {}),
  });
  test.after(() => pool.close());
  return pool;
}

function isFault(...faults: readonly WireFault[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof WireError, `not a WireError: ${String(error)}`);
    assert.ok(faults.includes(error.fault), `${error.fault}: ${error.message}`);
    return true;
  };
}

const saysOk: Parameters<typeof serveRaw>[1] = { onRequest: (peer) => peer.send(answer('ok')) };

describe('HttpPool over TLS and the trust in a certificate', () => {
  it('refuses a certificate that nobody vouches for, before any request leaves', async (t) => {
    const server = await serveRaw(t, saysOk, HERE);
    const pool = poolFor(t, server.port, {});
    await assert.rejects(pool.request(makeRequest()), isFault('tls'));
    assert.equal(server.requests.length, 0);
    assert.equal(pool.openConnections, 0);
  });

  it('takes any certificate when told not to verify', async (t) => {
    for (const certificate of [HERE, ELSEWHERE, EXPIRED]) {
      const server = await serveRaw(t, saysOk, certificate);
      const pool = poolFor(t, server.port, { verifies: false });
      assert.equal((await pool.request(makeRequest())).body.toString(), 'ok');
    }
  });

  it('takes a certificate of a given authority', async (t) => {
    const server = await serveRaw(t, saysOk, HERE);
    for (const host of ['127.0.0.1', 'localhost']) {
      const pool = poolFor(t, server.port, { host, ca: [ELSEWHERE.cert, HERE.cert] });
      assert.equal((await pool.request(makeRequest())).body.toString(), 'ok');
    }
  });

  it('refuses a trusted certificate of another name', async (t) => {
    const server = await serveRaw(t, saysOk, ELSEWHERE);
    const pool = poolFor(t, server.port, { ca: [ELSEWHERE.cert] });
    await assert.rejects(pool.request(makeRequest()), isFault('tls'));
    assert.equal(server.requests.length, 0);
  });

  it('refuses a trusted certificate that has expired', async (t) => {
    const server = await serveRaw(t, saysOk, EXPIRED);
    const pool = poolFor(t, server.port, { ca: [EXPIRED.cert] });
    await assert.rejects(pool.request(makeRequest()), isFault('tls'));
    assert.equal(server.requests.length, 0);
  });
});

describe('HttpPool over TLS and servers that do not speak it', () => {
  it('says "tls" for a server that answers in plain HTTP', async (t) => {
    const server = await serveRaw(t, {
      onConnection: (peer) => peer.send(answer('plain', '400 Bad Request')),
    });
    const pool = poolFor(t, server.port, {});
    await assert.rejects(pool.request(makeRequest()), isFault('tls'));
  });

  it('says "connect" for a server that hangs up during the handshake', async (t) => {
    const server = await serveRaw(t, { onConnection: (peer) => peer.end() });
    const pool = poolFor(t, server.port, {});
    await assert.rejects(pool.request(makeRequest()), isFault('connect'));
  });

  it('fails in plain HTTP against a server of TLS', async (t) => {
    const server = await serveRaw(t, saysOk, HERE);
    const pool = poolFor(t, server.port, { isTls: false });
    await assert.rejects(pool.request(makeRequest()), isFault('reset', 'malformed', 'truncated'));
  });

  it('ends at once, with the reason, when aborted during a handshake that does not go on', async (t) => {
    const abort = new AbortController();
    const reason = new Error('stopped by the test');
    const server = await serveRaw(t, { onConnection: () => setImmediate(() => abort.abort(reason)) });
    const pool = poolFor(t, server.port, {});
    await assert.rejects(pool.request(makeRequest({ signal: abort.signal })), (error) => error === reason);
    await server.allClosed();
  });
});

describe('HttpPool over TLS and bodies', () => {
  it('sends and receives large bodies unchanged over one connection', async (t) => {
    const large = Buffer.alloc(9 * MIB + 5);
    for (let at = 0; at < large.length; at += 1) large[at] = (at * 31 + (at >>> 11)) & 0xff;
    const head = `HTTP/1.1 200 OK\r\nContent-Length: ${large.length}\r\n\r\n`;
    const server = await serveRaw(
      t,
      { onRequest: (peer) => peer.send(Buffer.concat([Buffer.from(head), large])) },
      HERE,
    );
    const pool = poolFor(t, server.port, { verifies: false });
    async function* pieces(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < large.length; at += MIB) yield large.subarray(at, at + MIB);
    }
    for (const body of [large, pieces()]) {
      const into = Buffer.alloc(large.length);
      const response = await pool.request(
        makeRequest({ method: 'PUT', body, bodyBytes: large.length, into }),
      );
      assert.equal(response.intoBytes, large.length);
      assert.ok(into.equals(large));
      assert.ok(server.requests.at(-1)?.body.equals(large));
    }
    assert.equal(server.peers.length, 1);
  });

  it('gives a refusal on while a large body is stuck', async (t) => {
    const server = await serveRaw(
      t,
      {
        onHead: (peer) => {
          peer.socket.pause();
          void peer.send(answer('<Error/>', '403 Forbidden'));
        },
      },
      HERE,
    );
    const pool = poolFor(t, server.port, { verifies: false });
    const response = await pool.request(makeRequest({ method: 'PUT', body: Buffer.alloc(32 * MIB) }));
    assert.equal(response.status, 403);
    assert.equal(pool.openConnections, 0);
  });

  for (const one of CORPUS) {
    it(`takes ${one.name} as over plain TCP`, async () => {
      const server = await startRaw(
        {
          onRequest: async (peer, { index }) => {
            // Whole in one record, then cut into three.
            await peer.send(one.raw, index === 0 ? [] : [9, Math.floor(one.raw.length / 2)]);
            if (one.isClosed) peer.end();
          },
        },
        HERE,
      );
      const pool = new HttpPool(
        { isTls: true, host: '127.0.0.1', port: server.port },
        { verifies: true, ca: [HERE.cert] },
      );
      const method = one.method ?? 'GET';
      const { expected } = one;
      try {
        for (const isFresh of [true, false]) {
          if ('fault' in expected) {
            await assert.rejects(pool.request(makeRequest({ method, isFresh })), isFault(expected.fault));
            assert.equal(pool.openConnections, 0);
            continue;
          }
          const into = Buffer.alloc(expected.body.length);
          const response = await pool.request(makeRequest({ method, into, isFresh }));
          const body = expected.status < 300 ? into.subarray(0, response.intoBytes) : response.body;
          assert.equal(body.toString('latin1'), expected.body);
          if (!expected.keepsAlive) await server.allClosed();
        }
      } finally {
        pool.close();
        await server.close();
      }
    });
  }
});

describe('HttpPool and IPv6', { skip: hasIpv6 ? false : 'this machine has no ::1' }, () => {
  for (const isTls of [false, true]) {
    it(`reaches a literal address${isTls ? ' over TLS, with its certificate verified' : ''}`, async (t) => {
      const server = await startRaw(saysOk, isTls ? HERE : undefined, '::1');
      t.after(() => server.close());
      const pool = poolFor(t, server.port, { host: '::1', isTls, ca: [HERE.cert] });
      assert.equal((await pool.request(makeRequest())).body.toString(), 'ok');
    });
  }
});
