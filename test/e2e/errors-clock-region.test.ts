/** Rows of docs/errors.md about clocks that differ and buckets that live in another region. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { makeCertificate } from '../../bench/support/certificate.ts';
import { blobferry, copy, ENGINES, errorTests } from '../support/error-tests.ts';
import { BUCKET, holdsTree, s3Url, startServer, treeUrl } from '../support/error-world.ts';
import { TestProxy } from '../support/proxy.ts';
import { tempFolderFor } from '../support/temp.ts';

const HOUR_MS = 3_600_000;

/** A server that refuses every request like this; `{region}` is the region that the request was signed for. */
async function refuser(
  t: TestContext,
  answer: (region: string) => {
    readonly status: number;
    readonly code: string;
    readonly headers?: Record<string, string>;
  },
): Promise<string> {
  const server = createServer((asked, response) => {
    asked.resume();
    const [, region = ''] = /Credential=[^/]+\/\d+\/([^/]+)\//.exec(asked.headers.authorization ?? '') ?? [];
    const { status, code, headers = {} } = answer(region);
    response.sendDate = false;
    response.writeHead(status, { 'x-amz-request-id': '1', ...headers });
    response.end(`<Error><Code>${code}</Code><Message>said the server</Message></Error>`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

errorTests(import.meta.filename, {
  'a clock that is behind the one of the server': async (t, row) => {
    for (const engine of ENGINES) {
      const server = await startServer(t, { clockOffsetMs: 5 * HOUR_MS });
      row.check(await copy(t, await treeUrl(t), s3Url(server.endpoint), { engine }));
      assert.ok(await holdsTree(server));
    }
  },
  'a clock that is ahead of the one of the server': async (t, row) => {
    for (const engine of ENGINES) {
      const server = await startServer(t, { clockOffsetMs: -5 * HOUR_MS });
      row.check(await copy(t, await treeUrl(t), s3Url(server.endpoint), { engine }));
      assert.ok(await holdsTree(server));
    }
  },
  'a wrong clock, seen by probe': async (t, row) => {
    const server = await startServer(t, { clockOffsetMs: 5 * HOUR_MS });
    for (const engine of ENGINES) {
      row.check(await blobferry(['probe', s3Url(server.endpoint), '--role', 'target', '--engine', engine]));
    }
  },
  'a wrong clock, and a server that does not tell its time': async (t, row) => {
    const endpoint = await refuser(t, () => ({ status: 403, code: 'RequestTimeTooSkewed' }));
    for (const engine of ENGINES) {
      row.check(await copy(t, await treeUrl(t), s3Url(endpoint), { engine }));
    }
  },
  'a bucket in another region': async (t, row) => {
    for (const engine of ENGINES) {
      const server = await startServer(t, { region: 'eu-test-1' });
      const result = await copy(t, await treeUrl(t), s3Url(server.endpoint), { engine });
      row.check(result);
      assert.ok(await holdsTree(server));
      assert.equal(result.stderr.match(/is in the region/g)?.length, 1, 'told more than once');
    }
  },
  'a bucket of AWS in another region': async (t, row) => {
    const names = ['s3.us-east-1.amazonaws.com', 's3.eu-central-1.amazonaws.com'];
    const certificate = makeCertificate({ names });
    const file = join(await tempFolderFor(t, 'pem'), 'ca.pem');
    await writeFile(file, certificate.cert);
    for (const engine of ENGINES) {
      const server = await startServer(t, { region: 'eu-central-1', tls: certificate });
      const fault = {
        kind: 'status',
        status: 301,
        code: 'PermanentRedirect',
        headers: [['x-amz-bucket-region', 'eu-central-1']],
      } as const;
      const redirect = await server.misbehave({ fault });
      // Stands in for the DNS of AWS.
      const routes = Object.fromEntries(names.map((name) => [`${name}:443`, `127.0.0.1:${server.port}`]));
      const proxy = await TestProxy.start({ routes });
      t.after(() => proxy.close());
      const env = { AWS_CA_BUNDLE: file, HTTPS_PROXY: proxy.url };
      const to = `s3://${BUCKET}?region=us-east-1&pathstyle=true`;
      row.check(await copy(t, await treeUrl(t), to, { engine, env, more: ['--threads', '1'] }));
      await redirect.assertUsedUp();
      assert.ok(await holdsTree(server));
      assert.deepEqual([...new Set(proxy.tunnels)].sort(), names.map((name) => `${name}:443`).sort());
    }
  },
  'a server that sends from one region to the next': async (t, row) => {
    const endpoint = await refuser(t, (region) => ({
      status: 301,
      code: 'PermanentRedirect',
      headers: { 'x-amz-bucket-region': region === 'us-east-1' ? 'eu-test-1' : 'us-east-1' },
    }));
    for (const engine of ENGINES) {
      row.check(await copy(t, await treeUrl(t), s3Url(endpoint), { engine }));
    }
  },
  'a bucket that lives elsewhere, nobody says where': async (t, row) => {
    const endpoint = await refuser(t, () => ({ status: 301, code: 'PermanentRedirect' }));
    for (const engine of ENGINES) {
      row.check(await copy(t, await treeUrl(t), s3Url(endpoint), { engine }));
    }
  },
});
