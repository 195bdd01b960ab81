/** Rows of docs/errors.md about proxies, for servers with and without TLS. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { makeCertificate } from '../../bench/support/certificate.ts';
import { copy, ENGINES, type Engine, errorTests, type RowTest } from '../support/error-tests.ts';
import { holdsTree, s3Url, startServer, treeUrl } from '../support/error-world.ts';
import type { Environment } from '../support/process.ts';
import { TestProxy, type TestProxyOptions } from '../support/proxy.ts';
import { tempFolderFor } from '../support/temp.ts';

const AUTHORITY = makeCertificate({ names: ['authority.example'] });
const HERE = makeCertificate({ names: ['127.0.0.1'], issuer: AUTHORITY });
const USER = 'proxy-user';
const PASSWORD = 'p:a@ss/w%rd';
const GONE = 'http://127.0.0.1:9';

async function startProxy(t: TestContext, options: TestProxyOptions = {}): Promise<TestProxy> {
  const proxy = await TestProxy.start(options);
  t.after(() => proxy.close());
  return proxy;
}

async function trust(t: TestContext): Promise<Environment> {
  const file = join(await tempFolderFor(t, 'pem'), 'ca.pem');
  await writeFile(file, AUTHORITY.cert);
  return { AWS_CA_BUNDLE: file };
}

/** HTTPS_PROXY for servers of TLS, http_proxy for others: both spellings are taken. */
function variables(isTls: boolean, url: string): Environment {
  return isTls ? { HTTPS_PROXY: url } : { http_proxy: url };
}

interface Way {
  readonly t: TestContext;
  readonly engine: Engine;
  readonly isTls: boolean;
  readonly trusted: Environment;
}

/** Runs once for each engine and each kind of server. */
function everyWay(run: (way: Way, row: Parameters<RowTest>[1]) => Promise<void>): RowTest {
  return async (t, row) => {
    const trusted = await trust(t);
    for (const engine of ENGINES) {
      for (const isTls of [true, false]) await run({ t, engine, isTls, trusted }, row);
    }
  };
}

/** A copy by a proxy that has this to say. */
function through(options: TestProxyOptions, urlOf: (proxy: TestProxy) => string = ({ url }) => url): RowTest {
  return everyWay(async ({ t, engine, isTls, trusted }, row) => {
    const server = await startServer(t, isTls ? { tls: HERE } : {});
    const proxy = await startProxy(t, options);
    const env = { ...trusted, ...variables(isTls, urlOf(proxy)) };
    row.check(await copy(t, await treeUrl(t), s3Url(server.endpoint), { engine, env, secrets: [PASSWORD] }));
    assert.equal((await server.stats()).connections, 0, 'the server was reached without the proxy');
    assert.ok(proxy.refused > 0);
  });
}

/** A copy with this proxy in the environment, which is not even tried. */
function unusable(value: string, secrets: readonly string[] = []): RowTest {
  return everyWay(async ({ t, engine, isTls }, row) => {
    const env = variables(isTls, value);
    const to = s3Url(isTls ? 'https://127.0.0.1:9' : GONE);
    row.check(await copy(t, await treeUrl(t), to, { engine, env, secrets }));
  });
}

errorTests(import.meta.filename, {
  'a proxy in the environment': everyWay(async ({ t, engine, isTls, trusted }, row) => {
    const server = await startServer(t, isTls ? { tls: HERE } : {});
    const proxy = await startProxy(t, { user: USER, password: PASSWORD });
    const env = { ...trusted, ...variables(isTls, proxy.urlWithPassword) };
    const from = await treeUrl(t);
    row.check(await copy(t, from, s3Url(server.endpoint), { engine, env }));
    assert.ok(await holdsTree(server));
    const used = isTls ? proxy.tunnels : proxy.forwarded;
    assert.ok(used.length > 0 && proxy.refused === 0);
    const before = used.length;
    const direct = { ...env, NO_PROXY: '10.0.0.0/8, 127.0.0.1' };
    const again = await copy(t, from, s3Url(server.endpoint), {
      engine,
      env: direct,
      more: ['--into-nonempty'],
    });
    assert.equal(again.code, 0, again.stderr);
    assert.doesNotMatch(again.stderr, /proxy/);
    assert.equal(used.length, before, 'NO_PROXY was not obeyed');
  }),
  'a proxy that asks for a password': through({ user: USER, password: PASSWORD }),
  'a proxy that does not take the password': through({ user: USER, password: PASSWORD }, ({ url }) =>
    url.replace('://', `://${USER}:wrong-guess-of-it@`),
  ),
  'a proxy that does not let the host through': through({
    says: 'HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\nConnection: close\r\n\r\ndenied',
  }),
  'a proxy that cannot reach the server': everyWay(async ({ t, engine, isTls, trusted }, row) => {
    const proxy = await startProxy(t);
    const env = { ...trusted, ...variables(isTls, proxy.url) };
    const to = s3Url(isTls ? 'https://127.0.0.1:9' : GONE);
    row.check(await copy(t, await treeUrl(t), to, { engine, env }));
    assert.ok(proxy.refused > 0);
  }),
  'a proxy that cannot look the host up': everyWay(async ({ t, engine, isTls, trusted }, row) => {
    const proxy = await startProxy(t);
    const env = { ...trusted, ...variables(isTls, proxy.url) };
    const to = s3Url(`${isTls ? 'https' : 'http'}://no-such-host.invalid:9000`);
    row.check(await copy(t, await treeUrl(t), to, { engine, env }));
  }),
  'a proxy that nobody answers for': everyWay(async ({ t, engine, isTls, trusted }, row) => {
    const server = await startServer(t, isTls ? { tls: HERE } : {});
    const env = { ...trusted, ...variables(isTls, GONE) };
    row.check(await copy(t, await treeUrl(t), s3Url(server.endpoint), { engine, env }));
  }),
  'a proxy whose name has no address': everyWay(async ({ t, engine, isTls, trusted }, row) => {
    const server = await startServer(t, isTls ? { tls: HERE } : {});
    const env = { ...trusted, ...variables(isTls, 'http://no-such-proxy.invalid:3128') };
    row.check(await copy(t, await treeUrl(t), s3Url(server.endpoint), { engine, env }));
  }),
  'a server in the place of a proxy': async (t, row) => {
    const trusted = await trust(t);
    const server = await startServer(t, { tls: HERE });
    const proxy = await startProxy(t, { says: 'SSH-2.0-OpenSSH_9.2\r\n\r\n' });
    for (const engine of ENGINES) {
      const env = { ...trusted, HTTPS_PROXY: proxy.url };
      row.check(await copy(t, await treeUrl(t), s3Url(server.endpoint), { engine, env }));
    }
  },
  'a proxy over TLS whose certificate nobody vouches for': everyWay(async ({ t, engine, isTls }, row) => {
    const server = await startServer(t, isTls ? { tls: HERE } : {});
    const proxy = await startProxy(t, { tls: HERE });
    // What is said of the storage's certificate is not said of the proxy's.
    const to = s3Url(server.endpoint, { more: '&skipverify=true' });
    row.check(await copy(t, await treeUrl(t), to, { engine, env: variables(isTls, proxy.url) }));
    assert.equal((await server.stats()).connections, 0);
  }),
  'a proxy of another kind': unusable(`socks5://${USER}:${encodeURIComponent(PASSWORD)}@127.0.0.1:1080`, [
    PASSWORD,
  ]),
  'a proxy that is no URL': unusable(`http://${USER}:half%of-a-secret@`, ['half%of-a-secret']),
  'a password of a proxy that is not encoded': unusable('http://me:100%secret@127.0.0.1:3128', [
    '100%secret',
  ]),
});
