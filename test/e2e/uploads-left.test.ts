/** Which uploads a finished run leaves open in its target: none of its own, and every one of somebody else. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type S3Server, startS3Server } from '../../bench/s3-server/s3-server.ts';
import { runBlobferry } from '../support/cli.ts';
import { assertHolds, bucketUrl, fill, KEYS, outageTree } from '../support/outage-world.ts';
import { S3Bucket } from '../support/s3-bucket.ts';
import { tempFolderFor } from '../support/temp.ts';

const tree = outageTree('uploads left', 3);
const ACCESS = { accessKeyId: KEYS.AWS_ACCESS_KEY_ID, secretAccessKey: KEYS.AWS_SECRET_ACCESS_KEY };

let server: S3Server;
before(async () => {
  server = await startS3Server({ buckets: ['source', 'direct', 'sdk', 'shared'], ...ACCESS });
  await fill(server, 'source', tree);
});
after(() => server.close());

describe('a run that ends well', () => {
  for (const engine of ['direct', 'sdk'] as const) {
    it(`leaves no upload open where the answer to a begin was lost (${engine} engine)`, async (t) => {
      const target = new S3Bucket({ ...ACCESS, endpoint: server.endpoint }, engine);
      t.after(() => target.close());
      const lost = await server.misbehave({
        fault: { kind: 'lost-reply' },
        bucket: engine,
        operation: 'CreateMultipartUpload',
        keyPrefix: 'docker/',
      });
      const args = [
        '--from',
        bucketUrl('source', server.endpoint),
        '--to',
        bucketUrl(engine, server.endpoint),
      ];
      const journal = await tempFolderFor(t, 'journal');
      const result = await runBlobferry(
        ['copy', '--json', '--server-side', 'never', '--engine', engine, ...args, '--journal', journal],
        {
          env: KEYS,
        },
      );
      assert.equal(result.code, 0, result.stderr);
      await lost.assertUsedUp();
      await assertHolds(server, engine, tree);
      assert.deepEqual(await target.openUploads(), []);
    });
  }

  it('leaves open what somebody else began since, under the name of a blob too, and counts it', async (t) => {
    const target = new S3Bucket({ ...ACCESS, endpoint: server.endpoint }, 'shared');
    t.after(() => target.close());
    const args = [
      '--from',
      bucketUrl('source', server.endpoint),
      '--to',
      bucketUrl('shared', server.endpoint),
    ];
    const command = ['copy', '--json', ...args, '--journal', await tempFolderFor(t, 'journal')];
    assert.equal((await runBlobferry(command, { env: KEYS })).code, 0);
    // As a registry does that already runs on the target, while it moves what was pushed to its place.
    const key = `docker/registry/v2/blobs/sha256/00/${'0'.repeat(64)}/data`;
    await target.beginUpload(key);
    const { code, summary } = await runBlobferry(command, { env: KEYS });
    assert.equal(code, 0);
    assert.equal(summary?.['uploadsOpen'], 1);
    assert.deepEqual(await target.openUploads(), [key]);
  });
});
