/** Pulls as clients make them: redirects, tokens, and what is not what its digest says. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { MsrConnection } from '../../../src/platform/msr/msr-connection.ts';
import { type GetAccess, PullError } from '../../../src/platform/msr/pull/http-get.ts';
import { RegistryPuller } from '../../../src/platform/msr/pull/registry-puller.ts';
import { sha256Hex } from '../../support/seeded.ts';

const { signal } = new AbortController();
const BLOB = Buffer.from('the bytes of a layer');
const DIGEST = `sha256:${sha256Hex(BLOB)}`;

async function server(
  t: TestContext,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const one = createServer(answer);
  one.listen(0, '127.0.0.1');
  await once(one, 'listening');
  t.after(() => {
    one.closeAllConnections();
    one.close();
  });
  return `http://127.0.0.1:${(one.address() as AddressInfo).port}`;
}

function pullerOf(t: TestContext, url: string, more: Partial<GetAccess> = {}): RegistryPuller {
  const msr = new MsrConnection({ url, username: 'admin', secret: 'admin-password', isInsecure: true });
  t.after(() => msr.close());
  return new RegistryPuller(msr, { isInsecure: true, env: {}, ...more });
}

function isPull(...words: readonly RegExp[]): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof PullError, String(error));
    for (const word of words) assert.match(error.message, word);
    assert.doesNotMatch(error.message, /X-Amz-Signature|the-token|admin-password/);
    return true;
  };
}

describe('a pull', () => {
  it('follows redirects to the storage with no token, after it got one from the registry', async (t) => {
    const seen: (string | undefined)[] = [];
    const storage = await server(t, (request, response) => {
      seen.push(request.headers.authorization);
      response.end(BLOB);
    });
    const registry = await server(t, (request, response) => {
      if (request.url?.startsWith('/auth/token')) {
        response.end(JSON.stringify({ token: 'the-token' }));
      } else if (request.headers.authorization !== 'Bearer the-token') {
        const realm = `http://${request.headers.host}/auth/token`;
        const challenge = `Bearer realm="${realm}",service="r",scope="repository:a/b:pull"`;
        response.writeHead(401, { 'www-authenticate': challenge }).end();
      } else response.writeHead(307, { location: `${storage}/x?X-Amz-Signature=abc` }).end();
    });
    const puller = pullerOf(t, registry);
    assert.equal(await puller.blob('a/b', DIGEST, signal), BLOB.length);
    assert.deepEqual([seen, [...puller.redirectedTo]], [[undefined], [storage]]);
  });

  it('ends where bytes trickle, or none come', async (t) => {
    const trickling = await server(t, (request, response) => {
      const drip = setInterval(() => response.write('x'), 5);
      request.once('close', () => clearInterval(drip));
    });
    const silent = await server(t, () => undefined);
    for (const url of [trickling, silent]) {
      const puller = pullerOf(t, url, { idleMsMax: 100 });
      await assert.rejects(puller.blob('a/b', DIGEST, signal), isPull(/did not answer: ETIMEDOUT/));
    }
  });

  it('forgets what no list of names can be, and goes on without', async (t) => {
    const piece = Buffer.alloc(1024 * 1024, ' ');
    const endless = await server(t, (_, response) => {
      for (let pieces = 0; pieces < 17; pieces += 1) response.write(piece);
      response.end('{"repositories":["a/b"]}');
    });
    assert.deepEqual(await pullerOf(t, endless).repositories(1, signal), []);
  });

  it('is no good where other bytes come, the storage refuses, or nobody answers', async (t) => {
    const storage = await server(
      t,
      (_, response) => void response.writeHead(403).end('SignatureDoesNotMatch'),
    );
    const to = (location: string) =>
      server(t, (_, response) => void response.writeHead(307, { location }).end());
    const wrong = await server(t, (_, response) => void response.end('other bytes'));
    await assert.rejects(pullerOf(t, wrong).blob('a/b', DIGEST, signal), isPull(/hashes to sha256:/));
    const denied = pullerOf(t, await to(`${storage}/x?X-Amz-Signature=abc`));
    await assert.rejects(
      denied.blob('a/b', DIGEST, signal),
      isPull(/where the registry sends clients to, answered 403/),
    );
    const gone = pullerOf(t, await to('http://127.0.0.1:1/x?X-Amz-Signature=abc'));
    await assert.rejects(
      gone.blob('a/b', DIGEST, signal),
      isPull(/127\.0\.0\.1:1 did not answer: ECONNREFUSED/),
    );
    const missing = await server(t, (_, response) => void response.writeHead(404).end());
    await assert.rejects(
      pullerOf(t, missing).manifest('a/b', 'v1', signal),
      isPull(/answered 404 for a\/b manifests\/v1/),
    );
    assert.equal(await pullerOf(t, missing).hasTag('a/b', 'v1', signal), false);
    const round = pullerOf(t, await to('/v2/again'));
    await assert.rejects(round.blob('a/b', DIGEST, signal), isPull(/redirects again and again/));
  });

  it('of a manifest names what has to be pulled with it', async (t) => {
    const other = `sha256:${'1'.repeat(64)}`;
    const manifest = JSON.stringify({
      config: { digest: DIGEST, size: BLOB.length },
      layers: [
        { digest: other },
        { digest: `sha256:${'2'.repeat(64)}`, urls: ['https://elsewhere.example'] },
      ],
      manifests: [{ digest: other }],
    });
    const registry = await server(t, (_, response) => void response.end(manifest));
    assert.deepEqual(await pullerOf(t, registry).manifest('a/b', 'v1', signal), {
      digest: `sha256:${sha256Hex(Buffer.from(manifest))}`,
      blobs: [DIGEST, other],
      sizes: new Map([[DIGEST, BLOB.length]]),
      children: [other],
    });
    await assert.rejects(pullerOf(t, registry).manifest('a/b', other, signal), isPull(/hashes to/));
  });
});
