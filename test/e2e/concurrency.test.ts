/** Concurrency that finds itself, through the command: judged by what the servers counted, not by the time it took. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { type S3Server, startS3Server } from '../../bench/s3-server/s3-server.ts';
import { type CliResult, runBlobferry } from '../support/cli.ts';
import { KEYS } from '../support/outage-world.ts';

interface World {
  readonly source: S3Server;
  readonly target: S3Server;
  copy(...more: readonly string[]): Promise<CliResult>;
}

/** Two servers, so that neither can copy by itself. */
async function world(t: TestContext, objects: number): Promise<World> {
  const [source, target] = await Promise.all([
    startS3Server({ buckets: ['source'] }),
    startS3Server({ buckets: ['target'] }),
  ]);
  const journal = mkdtempSync(join(tmpdir(), 'blobferry-concurrency-'));
  t.after(async () => {
    await Promise.all([source.close(), target.close()]);
    rmSync(journal, { recursive: true });
  });
  // Folders make shards, so that both threads have something to do.
  const named = (index: number) => `${index % 4}/${String(index).padStart(6, '0')}`;
  const body = Buffer.from('what is copied');
  await source.put(
    'source',
    Array.from({ length: objects }, (_, index) => ({ key: named(index), body })),
  );
  const url = (server: S3Server, bucket: string) =>
    `s3://${bucket}?endpoint=${server.endpoint}&region=us-east-1`;
  const storages = ['--from', url(source, 'source'), '--to', url(target, 'target')];
  const args = ['copy', ...storages, '--layout', 'raw', '--threads', '2', '--journal', journal, '--json'];
  return { source, target, copy: (...more) => runBlobferry([...args, ...more], { env: KEYS }) };
}

describe('a copy at its default settings', () => {
  it('has more requests in flight than it began with where each takes long', async (t) => {
    const { source, target, copy } = await world(t, 2_400);
    for (const server of [source, target]) await server.misbehave({ fault: { kind: 'latency', ms: 300 } });
    const { summary, stderr } = await copy();
    assert.equal(summary?.['objectsCopied'], 2_400, stderr);
    const { requestsInFlightMax } = await target.stats();
    // Two threads begin with 16 writes each.
    assert.ok(requestsInFlightMax >= 48, `${requestsInFlightMax} at once`);
    assert.ok(requestsInFlightMax <= 2 * 96 + 4, `${requestsInFlightMax} at once`);
  });

  it('has no more than was said where a number is given', async (t) => {
    const { source, target, copy } = await world(t, 200);
    for (const server of [source, target]) await server.misbehave({ fault: { kind: 'latency', ms: 50 } });
    const { summary, stderr } = await copy('--concurrency', '4');
    assert.equal(summary?.['objectsCopied'], 200, stderr);
    const { requestsInFlightMax } = await target.stats();
    assert.ok(requestsInFlightMax <= 8 + 2, `${requestsInFlightMax} at once`);
  });

  for (const retryAfterSeconds of [1, 0]) {
    const told = retryAfterSeconds === 0 ? 'without saying when to come again' : 'with Retry-After';
    it(`is refused seldom by a server that takes 200 requests a second, ${told}, and loses nothing`, async (t) => {
      const { target, copy } = await world(t, 2_000);
      const fault = { kind: 'request-rate', perSecond: 200, retryAfterSeconds } as const;
      const limit = await target.misbehave({ operation: 'PutObject', fault });
      const { code, summary, stderr } = await copy();
      assert.equal(code, 0, stderr);
      assert.equal(summary?.['objectsCopied'], 2_000);
      const [refused = 0] = await limit.used();
      assert.ok(refused > 0, 'the server never had to refuse anything');
      // Retries alone meet 390 to 510 refusals, the controller 70 to 150.
      assert.ok(refused < 280, `${refused} requests were refused`);
    });
  }
});
