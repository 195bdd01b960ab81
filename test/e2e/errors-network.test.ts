/** Rows of docs/errors.md about endpoints: names, ports, addresses, and servers that are something else. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { copy, ENGINES, errorTests } from '../support/error-tests.ts';
import { BUCKET, fillBucket, s3Url, startServer, TREE, treeUrl } from '../support/error-world.ts';
import { tempFolderFor } from '../support/temp.ts';

/** @returns the port of a server of plain TCP. */
async function listen(t: TestContext, host: string, onSocket: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    onSocket(socket);
  });
  server.listen(0, host);
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function webServer(t: TestContext, answer: RequestListener): Promise<string> {
  const server = createHttpServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

errorTests(import.meta.filename, {
  'a host name without an address': async (t, row) => {
    const from = await treeUrl(t);
    for (const engine of ENGINES) {
      row.check(await copy(t, from, s3Url('https://no-such-host.invalid'), { engine }));
    }
  },
  'a port where nobody listens': async (t, row) => {
    const from = await treeUrl(t);
    for (const engine of ENGINES) row.check(await copy(t, from, s3Url('http://127.0.0.1:9'), { engine }));
  },
  'an address of IPv6 where nobody listens': async (t, row) => {
    const from = await treeUrl(t);
    for (const engine of ENGINES) row.check(await copy(t, from, s3Url('http://[::1]:9'), { engine }));
  },
  'an endpoint without a scheme, for a server without TLS': async (t, row) => {
    const endpoint = await webServer(t, (_, answer) => answer.end());
    for (const engine of ENGINES) {
      const to = s3Url(endpoint.replace('http://', ''));
      row.check(await copy(t, await treeUrl(t), to, { engine }));
    }
  },
  'a server that hangs up at once': async (t, row) => {
    const from = await treeUrl(t);
    const port = await listen(t, '127.0.0.1', (socket) =>
      socket.once('data', () => socket.resetAndDestroy()),
    );
    for (const engine of ENGINES) {
      row.check(await copy(t, from, s3Url(`http://127.0.0.1:${port}`), { engine }));
    }
  },
  'a server that does not speak HTTP': async (t, row) => {
    const from = await treeUrl(t);
    const port = await listen(t, '127.0.0.1', (socket) => socket.write('SSH-2.0-OpenSSH_9.2\r\n'));
    for (const engine of ENGINES) {
      row.check(await copy(t, from, s3Url(`http://127.0.0.1:${port}`), { engine }));
    }
  },
  'a web server that is no S3 service': async (t, row) => {
    const endpoint = await webServer(t, (_, answer) => answer.end('<html><body>Welcome</body></html>'));
    row.check(await copy(t, await treeUrl(t), s3Url(endpoint)));
  },
  'a web server that knows no such page': async (t, row) => {
    const endpoint = await webServer(t, (_, answer) => answer.writeHead(404).end('<html>Not found</html>'));
    for (const engine of ENGINES) row.check(await copy(t, await treeUrl(t), s3Url(endpoint), { engine }));
  },
  'a server that sends everyone on to https': async (t, row) => {
    const endpoint = await webServer(t, (asked, answer) => {
      const location = `https://s3.example.com${asked.url}`;
      answer.writeHead(301, { location }).end('<html>Moved</html>');
    });
    for (const engine of ENGINES) row.check(await copy(t, await treeUrl(t), s3Url(endpoint), { engine }));
  },
  'a server that asks to slow down and never stops asking': async (t, row) => {
    const server = await startServer(t);
    const fault = { kind: 'status', status: 503, code: 'SlowDown' } as const;
    await server.misbehave({ fault, times: 10_000 });
    for (const engine of ENGINES) {
      row.check(await copy(t, await treeUrl(t), s3Url(server.endpoint), { engine }));
    }
  },
  'a server that stays away for longer than is waited': async (t, row) => {
    for (const engine of ENGINES) {
      const server = await startServer(t);
      await fillBucket(server);
      const away = await server.misbehave({ fault: { kind: 'reset' }, skip: 12, times: 100_000 });
      const target = await tempFolderFor(t, 'target');
      const more = ['--outage-limit', '3s'];
      row.check(await copy(t, s3Url(server.endpoint), `file://${target}`, { engine, more }));
      assert.ok(((await away.used())[0] ?? 0) > 0);
      await away.remove();
      const again = await copy(t, s3Url(server.endpoint), `file://${target}`, {
        engine,
        more: ['--into-nonempty'],
      });
      assert.equal(again.code, 0, again.stderr);
    }
  },
  'a server that goes away in the middle': async (t, row) => {
    const server = await startServer(t);
    await fillBucket(server);
    const [blob = ''] = TREE.blobs;
    // Everything but the largest blob is read before; the eight attempts at that one take about half a minute.
    await server.misbehave({ fault: { kind: 'reset' }, operation: 'GetObject', key: blob, times: 8 });
    const target = await tempFolderFor(t, 'target');
    row.check(await copy(t, s3Url(server.endpoint), `file://${target}`));
    const again = await copy(t, s3Url(server.endpoint), `file://${target}`, { more: ['--into-nonempty'] });
    assert.equal(again.code, 0, again.stderr);
    const bytes = await server.get(BUCKET, blob);
    assert.ok(bytes && (await readFile(join(target, blob))).equals(bytes));
  },
});
