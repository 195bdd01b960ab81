/** Sources with archived objects, through the command: refused before anything is written, or copied where they need not be. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { S3Server } from '../../bench/s3-server/s3-server.ts';
import type { CliResult } from '../support/cli.ts';
import { blobferry, copy, ENGINES } from '../support/error-tests.ts';
import { BUCKET, fillBucket, s3Url, startServer } from '../support/error-world.ts';
import { makeSmallTree } from '../support/small-tree.ts';
import { tempFolderFor } from '../support/temp.ts';

const MANY = makeSmallTree({
  seed: 'archived',
  blobBytes: Array.from({ length: 30 }, (_, index) => 300 + index),
});
const RESTORED = 'ongoing-request="false", expiry-date="Fri, 21 Dec 2035 00:00:00 GMT"';
const RESTORING = 'ongoing-request="true"';

/** Puts some of the tree's blobs there again, with attributes. */
async function keep(
  server: S3Server,
  paths: readonly string[],
  ...attributes: readonly (readonly [string, string])[]
): Promise<void> {
  const objects = paths.map((key) => ({ key, body: MANY.objects.get(key) ?? Buffer.alloc(0), attributes }));
  await server.put(BUCKET, objects);
}

async function world(
  t: TestContext,
): Promise<{ server: S3Server; from: string; target: string; to: string }> {
  const server = await startServer(t, { logsRequests: true });
  await fillBucket(server, MANY);
  const target = join(await tempFolderFor(t, 'archived'), 'target');
  return { server, from: s3Url(server.endpoint), target, to: `file://${target}` };
}

function refused({ code, stderr }: CliResult, count: number, tier: string): void {
  assert.equal(code, 2, stderr);
  const sentence =
    /Cannot read all of s3:\/\/bucket at [^:]*:[^:]*:[^:]*: (\d+) objects? (?:is|are) archived/;
  assert.equal(sentence.exec(stderr)?.[1], String(count), stderr);
  const named = stderr.match(new RegExp(`"docker/registry/v2/[^"]*" \\(${tier}\\)`, 'g')) ?? [];
  assert.equal(named.length, Math.min(10, count), stderr);
  assert.equal(stderr.includes(` and ${count - 10} more`), count > 10);
  assert.match(stderr, /^ {2}Restore them for as long as the copy takes/m);
}

async function isUntouched(target: string): Promise<void> {
  assert.deepEqual(await readdir(target).catch(() => []), []);
}

describe('a source in S3 with archived objects', { concurrency: 3 }, () => {
  for (const engine of ENGINES) {
    it(`is refused by copy before anything is written, with their count and ten of them (${engine})`, async (t) => {
      const { server, from, target, to } = await world(t);
      await keep(server, MANY.blobs.slice(0, 13), ['x-amz-storage-class', 'DEEP_ARCHIVE']);
      refused(await copy(t, from, to, { engine }), 13, 'DEEP_ARCHIVE');
      await isUntouched(target);
    });
  }

  it('is refused by plan and told by probe', async (t) => {
    const { server, from, to } = await world(t);
    await keep(server, MANY.blobs.slice(0, 2), ['x-amz-storage-class', 'GLACIER']);
    refused(await blobferry(['plan', '--from', from, '--to', to]), 2, 'GLACIER');
    const probe = await blobferry(['probe', from]);
    assert.equal(probe.code, 2);
    assert.match(probe.stdout, /✗ tiers +Cannot read all of .*: 2 objects are archived/);
  });

  it('is copied once they are restored, and not while that is being done', async (t) => {
    const { server, from, target, to } = await world(t);
    const [first = '', second = ''] = MANY.blobs;
    await keep(server, [first, second], ['x-amz-storage-class', 'GLACIER'], ['x-amz-restore', RESTORED]);
    await keep(server, [second], ['x-amz-storage-class', 'GLACIER'], ['x-amz-restore', RESTORING]);
    refused(await copy(t, from, to), 1, 'GLACIER');
    await isUntouched(target);
    await keep(server, [second], ['x-amz-storage-class', 'GLACIER'], ['x-amz-restore', RESTORED]);
    const { code, stdout, stderr } = await copy(t, from, to);
    assert.equal(code, 0, stderr);
    assert.match(stdout, new RegExp(`Copied ${MANY.objects.size} objects`));
    // The listing says what is restored, so that none of them had to be read to find out.
    const reads = (await server.takeRequests()).filter(({ operation }) => operation === 'GetObject');
    assert.equal(reads.length, MANY.objects.size + 1);
  });

  it('is copied again when what has been archived since is in the target, and new ones are refused', async (t) => {
    const { server, from, to } = await world(t);
    const journal = await tempFolderFor(t, 'journal');
    assert.equal((await copy(t, from, to, { journal })).code, 0);
    await keep(server, MANY.blobs, ['x-amz-storage-class', 'GLACIER']);
    const { code, stderr } = await copy(t, from, to, { journal });
    assert.equal(code, 0, stderr);
    const key = `docker/registry/v2/blobs/sha256/ab/${'ab'.repeat(32)}/data`;
    const attributes = [['x-amz-storage-class', 'GLACIER']] as const;
    await server.put(BUCKET, [{ key, body: Buffer.from('new'), attributes }]);
    refused(await copy(t, from, to, { journal }), 1, 'GLACIER');
  });

  it('does not mind classes that are read at once, and warns of those that move by themselves', async (t) => {
    const { server, from, to } = await world(t);
    const [first = '', second = '', third = ''] = MANY.blobs;
    await keep(server, [first], ['x-amz-storage-class', 'GLACIER_IR']);
    await keep(server, [second, third], ['x-amz-storage-class', 'INTELLIGENT_TIERING']);
    const { code, stderr } = await copy(t, from, to);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /warning: source: 2 objects of the source have a class \(INTELLIGENT_TIERING\)/);
    const plan = await blobferry(['plan', '--from', from, '--to', to]);
    assert.match(plan.stdout, /2 objects of the source have a class \(INTELLIGENT_TIERING\)/);
  });

  it('does not mind what its layout leaves out, and as raw it does', async (t) => {
    const { server, from, target, to } = await world(t);
    const upload = 'docker/registry/v2/repositories/team/app/_uploads/1/data';
    const attributes = [['x-amz-storage-class', 'GLACIER']] as const;
    await server.put(BUCKET, [{ key: upload, body: Buffer.from('x'), attributes }]);
    refused(await copy(t, from, to, { more: ['--layout', 'raw'] }), 1, 'GLACIER');
    await isUntouched(target);
    assert.equal((await copy(t, from, to)).code, 0);
  });

  it('is listed as patiently as while it is copied, and within the limit of requests', async (t) => {
    const { server, from, to } = await world(t);
    await keep(server, MANY.blobs.slice(0, 1), ['x-amz-storage-class', 'STANDARD_IA']);
    // Behind what finds the layout and the first page; more in a row than a wrong setting is given.
    const fault = { kind: 'status', status: 500, code: 'InternalError' } as const;
    const busy = await server.misbehave({ fault, operation: 'ListObjectsV2', skip: 2, times: 4 });
    const startMs = performance.now();
    const { code, stderr } = await copy(t, from, to, { more: ['--requests', '50'] });
    const seconds = (performance.now() - startMs) / 1_000;
    assert.equal(code, 0, stderr);
    await busy.assertUsedUp();
    const requests = (await server.takeRequests()).length;
    assert.ok(requests <= 50 * (seconds + 1), `${requests} requests in ${seconds} s`);
  });

  it('is listed once more only where the first page shows more than one class', async (t) => {
    const listings = async (...attributes: readonly (readonly [string, string])[]): Promise<number> => {
      const { server, from, to } = await world(t);
      await keep(server, MANY.blobs.slice(0, 1), ...attributes);
      assert.equal((await copy(t, from, to)).code, 0);
      return (await server.takeRequests()).filter(({ operation }) => operation === 'ListObjectsV2').length;
    };
    const plain = await listings();
    assert.ok((await listings(['x-amz-storage-class', 'STANDARD_IA'])) >= plain + 3);
  });
});
