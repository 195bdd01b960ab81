import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { RawClient } from '../../../bench/s3-server/client/raw-client.ts';
import { type S3Server, type S3ServerOptions, startS3Server } from '../../../bench/s3-server/s3-server.ts';
import { startS3ServerProcess } from '../../../bench/s3-server/s3-server-process.ts';
import { makeCertificate } from '../../../bench/support/certificate.ts';
import { withServer } from './with-server.ts';

const TLS = makeCertificate({ names: ['127.0.0.1', 'localhost'] });
const MAIN = new URL('../../../bench/s3-server/main.ts', import.meta.url).pathname;

async function exercise(start: (options: S3ServerOptions) => Promise<S3Server>): Promise<void> {
  const server = await start({ buckets: ['box'] });
  const client = new RawClient(server.endpoint);
  try {
    const body = randomBytes(200_000);
    assert.equal((await client.send({ method: 'PUT', target: '/box/a', body })).status, 200);
    assert.ok((await client.send({ target: '/box/a' })).bytes.equals(body));
    await server.put('box', [{ key: 'ü', body: Buffer.from('direct') }]);
    assert.equal((await client.send({ target: '/box/%C3%BC' })).text, 'direct');
    assert.deepEqual(
      (await server.keys('box')).map((one) => [one.key, one.sizeBytes]),
      [
        ['a', 200_000],
        ['ü', 6],
      ],
    );
    assert.ok(Buffer.from((await server.get('box', 'a')) ?? []).equals(body));
    assert.equal(await server.get('box', 'none'), undefined);
    await assert.rejects(server.get('nowhere', 'a'), /no bucket "nowhere"/);
    const fault = await server.misbehave({ fault: { kind: 'status', status: 503, code: 'SlowDown' } });
    await assert.rejects(fault.assertUsedUp(), /status took effect 0 times of 1/);
    assert.equal((await client.send({ target: '/box/a' })).status, 503);
    await fault.assertUsedUp();
    const stats = await server.stats();
    assert.equal(stats.requests, 4);
    assert.deepEqual(stats.requestsByOperation, { PutObject: 1, GetObject: 3 });
    assert.deepEqual(stats.responsesByStatus, { 200: 3, 503: 1 });
    assert.deepEqual(stats.errorsByCode, { SlowDown: 1 });
    assert.ok(stats.bytesIn > 200_000 && stats.bytesIn < 210_000, `${stats.bytesIn} bytes in`);
    assert.ok(stats.bytesOut > 200_000 && stats.bytesOut < 210_000, `${stats.bytesOut} bytes out`);
    assert.ok(stats.cpuSeconds > 0 && stats.cpuSeconds < 60, `${stats.cpuSeconds} s`);
    assert.equal(stats.openConnections, 1);
  } finally {
    client.close();
    await server.close();
  }
  await assert.rejects(fetch(server.endpoint), 'nothing listens any more');
  await server.close();
}

describe('embedded S3 server', () => {
  it('runs in the calling thread', () => exercise((options) => startS3Server({ ...options, threads: 0 })));

  it('runs in a thread of its own', () => exercise(startS3Server));

  it('runs in a process of its own, whose CPU time is its', async () => {
    await exercise(startS3ServerProcess);
    const server = await startS3ServerProcess();
    assert.notEqual(server.pid, process.pid);
    assert.ok((await server.stats()).rssBytes > 10_000_000);
    await server.close();
    assert.throws(() => process.kill(server.pid, 0), { code: 'ESRCH' });
  });

  it('says why it cannot start', async () => {
    await withServer({}, async ({ server }) => {
      for (const start of [startS3Server, startS3ServerProcess]) {
        await assert.rejects(
          start({ port: server.port }),
          /Cannot start the embedded S3 server: .*EADDRINUSE/,
        );
      }
    });
  });

  it('speaks TLS, and its faults reach the connection below', async () => {
    await withServer({ tls: TLS }, async ({ client, server }) => {
      assert.match(server.endpoint, /^https:/);
      const body = randomBytes(1_000_000);
      assert.equal((await client.send({ method: 'PUT', target: '/box/a', body })).status, 200);
      assert.ok((await client.send({ target: '/box/a' })).bytes.equals(body));
      for (const fault of [
        { kind: 'reset' },
        { kind: 'lost-reply' },
        { kind: 'cut-response', afterBytes: 500_000 },
      ] as const) {
        const handle = await server.misbehave({ operation: 'GetObject', fault });
        await assert.rejects(client.send({ target: '/box/a' }), { code: 'ECONNRESET' });
        await handle.assertUsedUp();
      }
      const stranger = new RawClient(server.endpoint);
      await assert.rejects(stranger.send({ target: '/box/a' }), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
      stranger.close();
      assert.ok((await client.send({ target: '/box/a' })).bytes.equals(body));
    });
  });

  it('keeps contents in a file where it is told to, and removes it', async () => {
    const directory = await mkdtemp(join(tmpdir(), 's3-server-'));
    try {
      await withServer({ storage: { directory } }, async ({ client }) => {
        const bodies = [0, 10, 4096, 4097, 3_000_000].map((size) => randomBytes(size));
        const put = (body: Buffer, index: number): Promise<unknown> =>
          client.send({ method: 'PUT', target: `/box/${index}`, body });
        // All at once, so that their pieces interleave in the file.
        await Promise.all(bodies.map(put));
        for (const [index, body] of bodies.entries()) {
          assert.ok(
            (await client.send({ target: `/box/${index}` })).bytes.equals(body),
            `${body.length} bytes`,
          );
        }
        const range = { range: 'bytes=1048570-1048590' };
        const got = await client.send({ target: '/box/4', headers: range });
        assert.ok(got.bytes.equals(bodies[4]?.subarray(1_048_570, 1_048_591) ?? Buffer.alloc(0)));
        assert.equal((await readdir(directory)).length, 1);
      });
      assert.deepEqual(await readdir(directory), []);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('checks large contents and forgets them where it is told to', async () => {
    await withServer({ storage: 'discard' }, async ({ client, server }) => {
      const body = randomBytes(100_000);
      const put = { method: 'PUT', target: '/box/large', body };
      const wrong = await client.send({ ...put, payloadHash: '0'.repeat(64) });
      assert.equal(wrong.code, 'XAmzContentSHA256Mismatch');
      assert.equal((await client.send(put)).status, 200);
      const [kept] = await server.keys('box');
      assert.equal(kept?.sizeBytes, body.length);
      assert.equal(kept.etag, createHash('md5').update(body).digest('hex'));
      const got = await client.send({ target: '/box/large' });
      assert.equal(`${got.status} ${got.code}`, '500 InternalError');
      const head = await client.send({ method: 'HEAD', target: '/box/large' });
      assert.equal(head.headers['content-length'], '100000');
      await client.send({ method: 'PUT', target: '/box/small', body: 'kept' });
      assert.equal((await client.send({ target: '/box/small' })).text, 'kept');
    });
  });

  it('takes further credentials, temporary ones with their end', async () => {
    const temporary = {
      accessKeyId: 'temp',
      secretAccessKey: 's',
      sessionToken: 't',
      expiresAtMs: Date.now() + 60_000,
    };
    const expired = { ...temporary, accessKeyId: 'old', expiresAtMs: Date.now() - 1 };
    await withServer({ credentials: [temporary, expired] }, async ({ client }) => {
      const signer = { ...temporary, region: 'us-east-1' };
      assert.equal((await client.send({ target: '/box', signer })).status, 200);
      const { sessionToken: _token, ...without } = signer;
      assert.equal((await client.send({ target: '/box', signer: without })).code, 'InvalidToken');
      assert.equal(
        (await client.send({ target: '/box', signer: { ...signer, accessKeyId: 'old' } })).code,
        'ExpiredToken',
      );
    });
  });
});

describe('bench/s3-server/main.ts', () => {
  const run = (...args: readonly string[]): ReturnType<typeof spawn> =>
    spawn(process.execPath, [MAIN, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });

  it('prints where it listens, and ends with its stdin', async () => {
    const child = run(
      '--buckets',
      'one,two',
      '--region',
      'eu-west-1',
      '--access-key',
      'k',
      '--secret-key',
      's',
    );
    const exited = once(child, 'exit');
    assert.ok(child.stdout && child.stdin);
    const [line] = await once(child.stdout, 'data');
    const { endpoint, pid } = JSON.parse(String(line)) as { endpoint: string; pid: number };
    assert.equal(pid, child.pid);
    const client = new RawClient(endpoint, {
      signer: { accessKeyId: 'k', secretAccessKey: 's', region: 'eu-west-1' },
    });
    assert.match((await client.send({ target: '/' })).text, /<Name>one<.*<Name>two</s);
    client.close();
    child.stdin.end();
    assert.deepEqual(await exited, [0, null]);
  });

  it('ends on SIGTERM', async () => {
    const child = run('--stay');
    const exited = once(child, 'exit');
    assert.ok(child.stdout);
    await once(child.stdout, 'data');
    child.kill('SIGTERM');
    assert.deepEqual(await exited, [0, null]);
  });

  it('refuses options it does not know, with its usage', async () => {
    for (const args of [['--bogus'], ['--port', 'x'], ['--tls-key', 'k']]) {
      const child = run(...args);
      const exited = once(child, 'exit');
      let errors = '';
      child.stderr?.on('data', (chunk: Buffer) => {
        errors += String(chunk);
      });
      assert.deepEqual(await exited, [2, null], args.join(' '));
      assert.match(errors, /Usage: /);
    }
  });
});
