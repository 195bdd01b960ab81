/** Ctrl-C in the middle: the run ends within 3 seconds, nothing half is visible, and the next run goes on. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3';
import { type S3Server, startS3Server } from '../../bench/s3-server/s3-server.ts';
import { type CliResult, runBlobferry } from '../support/cli.ts';
import { makeSmallTree } from '../support/small-tree.ts';
import { tempFolderFor } from '../support/temp.ts';
import { readTree } from '../support/tree.ts';

const KEYS = { AWS_ACCESS_KEY_ID: 'testkey', AWS_SECRET_ACCESS_KEY: 'testsecret' };
const MIB = 1024 ** 2;
const STOP_SECONDS_MAX = 3;

const tree = makeSmallTree({
  seed: 'interrupt',
  blobBytes: [40 * MIB, 24 * MIB, ...Array.from({ length: 60 }, (_, index) => 100_000 + index)],
});

let server: S3Server;
before(async () => {
  server = await startS3Server({ buckets: ['source', 'direct', 'sdk', 'fs'] });
  await server.put(
    'source',
    [...tree.objects].map(([key, body]) => ({ key, body })),
  );
});
after(() => server.close());

function url(bucket: string): string {
  return `s3://${bucket}?endpoint=${server.endpoint}&region=us-east-1`;
}

/** Copies over connections so slow that it would take a minute, and presses Ctrl-C once bytes have moved. */
async function interrupted(args: readonly string[]): Promise<CliResult & { readonly stopSeconds: number }> {
  const slow = await server.misbehave({
    fault: { kind: 'bandwidth', bytesPerSecond: MIB, direction: 'down' },
    bucket: 'source',
    operation: 'GetObject',
  });
  const press = new AbortController();
  let pressedMs = 0;
  const result = await runBlobferry(['copy', '--json', '--server-side', 'never', ...args], {
    env: KEYS,
    signal: press.signal,
    onLine: (line) => {
      if (pressedMs > 0 || !isMoving(line)) return;
      pressedMs = performance.now();
      press.abort();
    },
  });
  const stopSeconds = (performance.now() - pressedMs) / 1000;
  await slow.remove();
  assert.ok(pressedMs > 0, `nothing moved: ${result.stdout}${result.stderr}`);
  return { ...result, stopSeconds };
}

function isMoving(line: string): boolean {
  if (!line.startsWith('{')) return false;
  const event = JSON.parse(line) as { event: string; objectsDone?: number };
  return event.event === 'progress' && (event.objectsDone ?? 0) > 0;
}

function assertStopped(result: CliResult & { readonly stopSeconds: number }): void {
  assert.equal(result.code, 130, result.stderr);
  assert.ok(result.stopSeconds <= STOP_SECONDS_MAX, `it took ${result.stopSeconds} s`);
  assert.equal(result.summary?.['isStopped'], true);
  assert.ok(Number(result.summary?.['objectsCopied']) < tree.objects.size);
}

async function openUploads(bucket: string): Promise<number> {
  const client = new S3Client({
    region: 'us-east-1',
    endpoint: server.endpoint,
    forcePathStyle: true,
    credentials: { accessKeyId: KEYS.AWS_ACCESS_KEY_ID, secretAccessKey: KEYS.AWS_SECRET_ACCESS_KEY },
  });
  const answer = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
  client.destroy();
  return answer.Uploads?.length ?? 0;
}

describe('Ctrl-C', () => {
  for (const engine of ['direct', 'sdk'] as const) {
    it(`stops the ${engine} engine in time, leaves whole objects only, and the next run goes on`, async (t) => {
      const journal = await tempFolderFor(t, 'journal');
      const args = ['--from', url('source'), '--to', url(engine), '--engine', engine, '--journal', journal];
      assertStopped(await interrupted(args));
      for (const { key } of await server.keys(engine)) {
        assert.deepEqual(Buffer.from((await server.get(engine, key)) ?? []), tree.objects.get(key), key);
      }
      assert.equal(await openUploads(engine), 0);
      const next = await runBlobferry(['copy', '--json', '--server-side', 'never', ...args], { env: KEYS });
      assert.equal(next.code, 0, next.stderr);
      assert.ok(Number(next.summary?.['objectsSkipped']) > 0, 'the next run began anew');
      assert.deepEqual(
        new Set((await server.keys(engine)).map(({ key }) => key)),
        new Set(tree.objects.keys()),
      );
    });
  }

  it('leaves whole files only, and no temporary ones, on a file system', async (t) => {
    const journal = await tempFolderFor(t, 'journal');
    const target = await tempFolderFor(t, 'target');
    const args = ['--from', url('source'), '--to', `file://${target}`, '--journal', journal];
    assertStopped(await interrupted(args));
    for (const path of (await readTree(target)).keys()) {
      assert.deepEqual(await readFile(join(target, path)), tree.objects.get(path), path);
    }
    assert.ok(!(await readdir(target)).includes('.blobferry-tmp'));
    const next = await runBlobferry(['copy', '--json', '--server-side', 'never', ...args], { env: KEYS });
    assert.equal(next.code, 0, next.stderr);
    assert.deepEqual(new Set((await readTree(target)).keys()), new Set(tree.objects.keys()));
  });
});
