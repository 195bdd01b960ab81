import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeCertificate } from '../../../bench/support/certificate.ts';
import { HttpPool } from '../../../src/transport/http-pool.ts';
import { WireError, type WireFault } from '../../../src/transport/http-types.ts';
import type { HttpProxy } from '../../../src/transport/proxy.ts';
import { TestProxy, type TestProxyOptions } from '../../support/proxy.ts';
import { CORPUS } from './corpus.ts';
import { answer, makeRequest, type RawServer, serveRaw, startRaw } from './raw-server.ts';

const MIB = 1024 * 1024;
const HERE = makeCertificate({ names: ['127.0.0.1', 'localhost'] });
const ELSEWHERE = makeCertificate({ names: ['s3.example.com'] });
const PASSWORD = 'p:a@ss/word';

interface Afterwards {
  after(fn: () => void | Promise<void>): void;
}

async function startProxy(test: Afterwards, options: TestProxyOptions = {}): Promise<TestProxy> {
  const proxy = await TestProxy.start(options);
  test.after(() => proxy.close());
  return proxy;
}

function described(port: number, choices: Partial<HttpProxy> = {}): HttpProxy {
  return { isTls: false, host: '127.0.0.1', port, name: `http://127.0.0.1:${port}`, ...choices };
}

const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

interface PoolChoices {
  readonly isTls?: boolean;
  readonly host?: string;
  readonly port: number;
  readonly verifies?: boolean;
  readonly ca?: readonly string[];
}

function poolFor(test: Afterwards, proxy: HttpProxy, choices: PoolChoices): HttpPool {
  const { isTls = true, host = '127.0.0.1', port, verifies = true, ca = [HERE.cert] } = choices;
  const pool = new HttpPool({ isTls, host, port }, { verifies, ca }, proxy);
  test.after(() => pool.close());
  return pool;
}

/** @param words must stand in the message, which never holds the password. */
function isFault(fault: WireFault, ...words: readonly (string | RegExp)[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof WireError, `not a WireError: ${String(error)}`);
    assert.equal(error.fault, fault, error.message);
    const told = `${error.message}\n${error.hint ?? ''}`;
    for (const word of words) assert.ok(told.match(word), `${told} lacks ${word}`);
    assert.ok(!told.includes(PASSWORD) && !told.includes(basic('me', PASSWORD)), 'a secret is told');
    return true;
  };
}

const saysOk: Parameters<typeof serveRaw>[1] = { onRequest: (peer) => peer.send(answer('ok')) };

describe('HttpPool through a proxy to a server of TLS', () => {
  it('asks for the server by the name it has, and keeps the tunnel for further requests', async (t) => {
    const server = await serveRaw(t, saysOk, ELSEWHERE);
    const proxy = await startProxy(t, { routes: { 's3.example.com:443': `127.0.0.1:${server.port}` } });
    const pool = poolFor(t, described(proxy.port), {
      host: 's3.example.com',
      port: 443,
      ca: [ELSEWHERE.cert],
    });
    for (let count = 0; count < 3; count += 1) {
      assert.equal((await pool.request(makeRequest())).body.toString(), 'ok');
    }
    assert.deepEqual(proxy.tunnels, ['s3.example.com:443']);
    assert.equal(server.peers.length, 1);
    assert.doesNotMatch(server.requests[0]?.head ?? '', /proxy/i);
  });

  it('verifies the certificate of the server, not of the proxy', async (t) => {
    const server = await serveRaw(t, saysOk, ELSEWHERE);
    const proxy = await startProxy(t);
    const strict = poolFor(t, described(proxy.port), { port: server.port, ca: [ELSEWHERE.cert] });
    await assert.rejects(strict.request(makeRequest()), isFault('tls'));
    assert.equal(server.requests.length, 0);
    const lax = poolFor(t, described(proxy.port), { port: server.port, verifies: false });
    assert.equal((await lax.request(makeRequest())).status, 200);
  });

  it('sends and receives large bodies unchanged', async (t) => {
    const large = Buffer.alloc(9 * MIB + 5);
    for (let at = 0; at < large.length; at += 1) large[at] = (at * 31 + (at >>> 11)) & 0xff;
    const head = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${large.length}\r\n\r\n`);
    const server = await serveRaw(t, { onRequest: (peer) => peer.send(Buffer.concat([head, large])) }, HERE);
    const proxy = await startProxy(t);
    const pool = poolFor(t, described(proxy.port), { port: server.port });
    const into = Buffer.alloc(large.length);
    for (let count = 0; count < 2; count += 1) {
      into.fill(0);
      const response = await pool.request(makeRequest({ method: 'PUT', body: large, into }));
      assert.equal(response.intoBytes, large.length);
      assert.ok(into.equals(large));
      assert.ok(server.requests.at(-1)?.body.equals(large));
    }
  });

  it('gives user name and password, to the proxy alone', async (t) => {
    const server = await serveRaw(t, saysOk, HERE);
    const proxy = await startProxy(t, { user: 'me', password: PASSWORD });
    const authorization = basic('me', PASSWORD);
    const pool = poolFor(t, described(proxy.port, { authorization }), { port: server.port });
    assert.equal((await pool.request(makeRequest())).status, 200);
    assert.doesNotMatch(server.requests[0]?.head ?? '', /authorization/i);
  });

  it('says what a refusal is about, and whether it may pass', async (t) => {
    const server = await serveRaw(t, saysOk, HERE);
    const locked = await startProxy(t, { user: 'me', password: PASSWORD });
    const without = poolFor(t, described(locked.port), { port: server.port });
    const name = `http://127.0.0.1:${locked.port}`;
    await assert.rejects(without.request(makeRequest()), isFault('proxy-refused', name, /asks for/, '407'));
    const wrong = described(locked.port, { authorization: basic('me', 'guess') });
    await assert.rejects(
      poolFor(t, wrong, { port: server.port }).request(makeRequest()),
      isFault('proxy-refused', /does not accept/, '407', 'HTTPS_PROXY'),
    );
    assert.equal(server.peers.length, 0);
    for (const [says, fault, word] of [
      ['HTTP/1.1 403 Forbidden\r\n\r\n', 'proxy-refused', /does not let .*:\d+ through \(403 Forbidden\)/],
      ['HTTP/1.0 503 \x1b[2JBusy\r\n\r\n', 'proxy', /could not reach .* \(503 \[2JBusy\)/],
      ['SSH-2.0-OpenSSH_9.2\r\n\r\n', 'proxy-refused', /does not answer as/],
      ['HTTP/1.1 200 OK\r\n\r\nhello', 'proxy-refused', /does not answer as/],
      ['', 'proxy', /closed the connection/],
      ['HTTP/1.1 200', 'proxy', /closed the connection/],
      ['x'.repeat(20_000), 'proxy-refused', /does not answer as/],
    ] as const) {
      const proxy = await startProxy(t, { says });
      const pool = poolFor(t, described(proxy.port), { port: server.port });
      await assert.rejects(pool.request(makeRequest()), isFault(fault, word));
      assert.equal(pool.openConnections, 0);
    }
  });

  it('says that the proxy could not reach the server, or that nobody reaches the proxy', async (t) => {
    const gone = await startRaw({});
    await gone.close();
    const proxy = await startProxy(t);
    const pool = poolFor(t, described(proxy.port), { port: gone.port });
    await assert.rejects(pool.request(makeRequest()), isFault('proxy', /could not reach/, '502', 'NO_PROXY'));
    const nowhere = poolFor(t, described(gone.port), { port: gone.port });
    await assert.rejects(
      nowhere.request(makeRequest()),
      isFault('proxy', /cannot be reached: connect ECONNREFUSED/),
    );
    assert.equal(nowhere.openConnections, 0);
  });

  it('ends at once, with the reason, when aborted or closed while the proxy is silent', async (t) => {
    const silent = await serveRaw(t, {});
    const reason = new Error('stopped by the test');
    const abort = new AbortController();
    const pool = poolFor(t, described(silent.port), { port: 443 });
    const aborted = pool.request(makeRequest({ signal: abort.signal }));
    const closed = pool.request(makeRequest());
    abort.abort(reason);
    await assert.rejects(aborted, (error) => error === reason);
    pool.close();
    await assert.rejects(closed, /The client was closed/);
    await silent.allClosed();
  });

  for (const one of CORPUS) {
    it(`takes ${one.name} as without a proxy`, async () => {
      const server = await startRaw(
        {
          onRequest: async (peer) => {
            await peer.send(one.raw);
            if (one.isClosed) peer.end();
          },
        },
        HERE,
      );
      const proxy = await TestProxy.start();
      const origin = { isTls: true, host: '127.0.0.1', port: server.port };
      const pool = new HttpPool(origin, { verifies: true, ca: [HERE.cert] }, described(proxy.port));
      const method = one.method ?? 'GET';
      try {
        await assertAnswer(pool, method, one.expected);
      } finally {
        pool.close();
        await proxy.close();
        await server.close();
      }
    });
  }
});

async function assertAnswer(
  pool: HttpPool,
  method: string,
  expected: (typeof CORPUS)[number]['expected'],
): Promise<void> {
  if ('fault' in expected) {
    await assert.rejects(pool.request(makeRequest({ method })), isFault(expected.fault));
    return;
  }
  const into = Buffer.alloc(expected.body.length);
  const response = await pool.request(makeRequest({ method, into }));
  const body = expected.status < 300 ? into.subarray(0, response.intoBytes) : response.body;
  assert.equal(response.status, expected.status);
  assert.equal(body.toString('latin1'), expected.body);
}

describe('HttpPool through a proxy that is spoken to over TLS', () => {
  for (const isTls of [true, false]) {
    it(`reaches a server of ${isTls ? 'TLS' : 'plain HTTP'}`, async (t) => {
      const server = await serveRaw(t, saysOk, isTls ? HERE : undefined);
      const proxy = await startProxy(t, { tls: HERE });
      const pool = poolFor(t, described(proxy.port, { isTls: true }), { isTls, port: server.port });
      for (let count = 0; count < 2; count += 1) {
        assert.equal((await pool.request(makeRequest())).body.toString(), 'ok');
      }
    });
  }

  it('trusts only a proxy that someone vouches for, whatever is said of the server', async (t) => {
    const server = await serveRaw(t, saysOk, HERE);
    const proxy = await startProxy(t, { tls: ELSEWHERE });
    for (const isTls of [true, false]) {
      const pool = poolFor(t, described(proxy.port, { isTls: true }), {
        isTls,
        port: server.port,
        verifies: false,
      });
      await assert.rejects(pool.request(makeRequest()), isFault('proxy', /certificate/));
    }
    assert.equal(server.peers.length, 0);
  });
});

describe('HttpPool through a proxy to a server of plain HTTP', () => {
  function plainPool(test: Afterwards, proxy: HttpProxy, server: RawServer): HttpPool {
    return poolFor(test, proxy, { isTls: false, port: server.port });
  }

  it('asks with the whole URL, over connections that are kept', async (t) => {
    const server = await serveRaw(t, saysOk);
    const proxy = await startProxy(t, { user: 'me', password: PASSWORD });
    const pool = plainPool(t, described(proxy.port, { authorization: basic('me', PASSWORD) }), server);
    const target = '/bucket/a%20b?x=1';
    for (let count = 0; count < 2; count += 1) {
      const headerLines = `Host: 127.0.0.1:${server.port}\r\n`;
      const response = await pool.request(makeRequest({ target, headerLines }));
      assert.equal(response.body.toString(), 'ok');
    }
    const url = `http://127.0.0.1:${server.port}${target}`;
    assert.deepEqual(proxy.forwarded, [url, url]);
    assert.equal(pool.openConnections, 1);
    assert.doesNotMatch(server.requests[0]?.head ?? '', /authorization/i);
  });

  it('leaves out port 80, as the signed Host field does', async (t) => {
    const server = await serveRaw(t, saysOk);
    const proxy = await startProxy(t, { routes: { 's3.example.com:80': `127.0.0.1:${server.port}` } });
    const pool = poolFor(t, described(proxy.port), { isTls: false, host: 's3.example.com', port: 80 });
    await pool.request(makeRequest({ headerLines: 'Host: s3.example.com\r\n' }));
    assert.deepEqual(proxy.forwarded, ['http://s3.example.com/object']);
    assert.match(server.requests[0]?.head ?? '', /^host: s3\.example\.com\r?$/im);
  });

  it('says that the proxy wants a password, or is not there', async (t) => {
    const server = await serveRaw(t, saysOk);
    const proxy = await startProxy(t, { user: 'me', password: PASSWORD });
    await assert.rejects(
      plainPool(t, described(proxy.port), server).request(makeRequest()),
      isFault('proxy-refused', /asks for a user name/, '407'),
    );
    assert.equal(server.peers.length, 0);
    const gone = await startRaw({});
    await gone.close();
    await assert.rejects(
      plainPool(t, described(gone.port), server).request(makeRequest()),
      isFault('proxy', /cannot be reached: connect ECONNREFUSED/),
    );
  });
});
