/** `--engine sdk` over faults: what its own direct engine survives, it does too, and it leaves no upload open. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { FaultScript } from '../../bench/s3-server/faults/fault.ts';
import type { S3Server } from '../../bench/s3-server/s3-server.ts';
import { ACCESS_KEY, copy, SECRET_KEY } from '../support/error-tests.ts';
import { BUCKET, holdsTree, s3Url, startServer, treeUrl } from '../support/error-world.ts';
import { cleanEnvironment, spawnOwned } from '../support/process.ts';
import { S3Bucket } from '../support/s3-bucket.ts';
import { makeSmallTree } from '../support/small-tree.ts';
import { tempFolderFor } from '../support/temp.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const MIB = 1024 ** 2;
/** One blob of three parts. */
const TREE = makeSmallTree({ seed: 'sdk', blobBytes: [20 * MIB, 1_000] });
const LARGE = { keyPrefix: 'docker/registry/v2/blobs/' };

async function openUploads(t: TestContext, server: S3Server): Promise<readonly string[]> {
  const access = { endpoint: server.endpoint, accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY };
  const bucket = new S3Bucket(access, BUCKET);
  t.after(() => bucket.close());
  return await bucket.openUploads();
}

const SURVIVED: Readonly<Record<string, FaultScript>> = {
  'a flipped bit in a part': {
    fault: { kind: 'flip-request', offset: 4_000_000 },
    operation: 'UploadPart',
    skip: 1,
  },
  'a flipped bit in a small object': {
    fault: { kind: 'flip-request', offset: 7 },
    operation: 'PutObject',
    ...LARGE,
  },
  '503s in an upload, and to its abort': [
    { fault: { kind: 'status', status: 503, code: 'SlowDown' }, operation: 'UploadPart', skip: 1 },
    {
      fault: { kind: 'status', status: 503, code: 'SlowDown' },
      operation: 'AbortMultipartUpload',
      times: 2,
    },
  ],
  'a part that is reset': { fault: { kind: 'reset' }, operation: 'UploadPart' },
  'the lost reply of a Complete': {
    fault: { kind: 'lost-reply' },
    operation: 'CompleteMultipartUpload',
    ...LARGE,
  },
  'an error in the 200 of a Complete': {
    fault: { kind: 'error-in-200', code: 'InternalError' },
    operation: 'CompleteMultipartUpload',
    ...LARGE,
  },
  'a 503 to a listing': {
    fault: { kind: 'status', status: 503, code: 'SlowDown' },
    operation: 'ListObjectsV2',
  },
};

describe('blobferry copy --engine sdk', () => {
  it('tries again when the check of the target meets a 503', async (t) => {
    const server = await startServer(t);
    const faults = await server.misbehave({
      fault: { kind: 'status', status: 503, code: 'SlowDown' },
      operation: 'PutObject',
    });
    const result = await copy(t, await treeUrl(t, TREE), s3Url(server.endpoint), { engine: 'sdk' });
    assert.equal(result.code, 0, result.stderr);
    await faults.assertUsedUp();
    assert.ok(await holdsTree(server, '', TREE));
  });

  for (const [what, script] of Object.entries(SURVIVED)) {
    it(`survives ${what}, and leaves no upload open`, async (t) => {
      const server = await startServer(t);
      const from = await treeUrl(t, TREE);
      const to = s3Url(server.endpoint);
      const journal = await tempFolderFor(t, 'journal');
      // The probe of the target is over when the first copy has ended, so the faults befall the objects alone.
      const first = await copy(t, await treeUrl(t, makeSmallTree({ blobBytes: [10] })), to, {
        engine: 'sdk',
        more: ['--into-nonempty'],
      });
      assert.equal(first.code, 0, first.stderr);
      const faults = await server.misbehave(script);
      const result = await copy(t, from, to, {
        engine: 'sdk',
        journal,
        more: ['--into-nonempty', '--json', '--threads', '1'],
      });
      assert.equal(result.code, 0, `${result.stderr}\n${result.stdout}`);
      await faults.assertUsedUp();
      assert.ok(await holdsTree(server, '', TREE), 'the target does not hold the tree');
      assert.deepEqual(await openUploads(t, server), []);
    });
  }

  it('leaves no upload open where the target refuses for good, and says why', async (t) => {
    const server = await startServer(t);
    await server.misbehave([
      {
        fault: { kind: 'status', status: 403, code: 'AccessDenied', when: 'body' },
        operation: 'UploadPart',
        skip: 1,
        times: 1_000,
        ...LARGE,
      },
    ]);
    const result = await copy(t, await treeUrl(t, TREE), s3Url(server.endpoint), { engine: 'sdk' });
    assert.equal(result.code, 1, result.stderr);
    assert.match(result.stdout, /AccessDenied/);
    assert.deepEqual(await openUploads(t, server), []);
  });

  it('lets an upload that a kill left open be found', async (t) => {
    const server = await startServer(t);
    await server.misbehave({ fault: { kind: 'hang' }, operation: 'UploadPart', times: 9, ...LARGE, skip: 1 });
    const to = s3Url(server.endpoint);
    const args = ['copy', '--from', await treeUrl(t, TREE), '--to', to, '--engine', 'sdk'];
    const journal = await tempFolderFor(t, 'journal');
    const child = spawnOwned(process.execPath, [MAIN, ...args, '--journal', journal], {
      env: cleanEnvironment({ AWS_ACCESS_KEY_ID: ACCESS_KEY, AWS_SECRET_ACCESS_KEY: SECRET_KEY }),
    });
    const ended = once(child, 'close');
    while (child.exitCode === null) {
      if ((await openUploads(t, server)).some((key) => key.includes('/blobs/'))) break;
      await delay(50);
    }
    child.kill('SIGKILL');
    await ended;
    assert.equal(child.signalCode, 'SIGKILL');
    assert.equal((await openUploads(t, server)).filter((key) => key.includes('/blobs/')).length, 1);
  });
});
