import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RawClient } from '../../../bench/s3-server/client/raw-client.ts';
import { startS3ServerProcess } from '../../../bench/s3-server/s3-server-process.ts';
import { withServer } from './with-server.ts';

describe('takeRequests()', () => {
  it('gives what was answered since the last call, refusals and lost answers among it', async () => {
    const server = await startS3ServerProcess({ buckets: ['box'], logsRequests: true });
    const client = new RawClient(server.endpoint);
    try {
      await client.send({ method: 'PUT', target: '/box/%C3%BC', body: 'four' });
      await client.send({ target: '/box/none' });
      assert.deepEqual(await server.takeRequests(), [
        { operation: 'PutObject', bucket: 'box', key: 'ü', status: 200, bodyBytes: 4 },
        { operation: 'GetObject', bucket: 'box', key: 'none', status: 404, bodyBytes: 0 },
      ]);
      await server.misbehave({ fault: { kind: 'lost-reply' } });
      await assert.rejects(client.send({ method: 'PUT', target: '/box/a', body: 'x' }));
      assert.deepEqual(await server.takeRequests(), [
        { operation: 'PutObject', bucket: 'box', key: 'a', status: 200, bodyBytes: 1 },
      ]);
      assert.deepEqual(await server.takeRequests(), []);
    } finally {
      client.close();
      await server.close();
    }
  });

  it('names the part of an upload', async () => {
    await withServer({ logsRequests: true }, async ({ client, server }) => {
      await client.send({ method: 'PUT', target: '/box/a?partNumber=7&uploadId=none', body: 'xyz' });
      const [record] = await server.takeRequests();
      assert.equal(record?.operation, 'UploadPart');
      assert.equal(record?.partNumber, 7);
      assert.equal(record?.status, 404);
    });
  });

  it('is refused where nothing was to be remembered', async () => {
    await withServer({}, async ({ server }) => {
      await assert.rejects(server.takeRequests(), /without logsRequests/);
    });
  });
});
