import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { RawClient } from '../../../bench/s3-server/client/raw-client.ts';
import { startS3ServerProcess } from '../../../bench/s3-server/s3-server-process.ts';
import { withServer } from './with-server.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

describe('takeRequests()', () => {
  it('gives what was answered since the last call, refusals and lost answers among it', async () => {
    const server = await startS3ServerProcess({ buckets: ['box'], logsRequests: true });
    const client = new RawClient(server.endpoint);
    try {
      await client.send({ method: 'PUT', target: '/box/%C3%BC', body: 'four' });
      await client.send({ target: '/box/none' });
      assert.deepEqual(await server.takeRequests(), [
        {
          operation: 'PutObject',
          bucket: 'box',
          key: 'ü',
          status: 200,
          bodyBytes: 4,
          payloadHash: sha256('four'),
        },
        { operation: 'GetObject', bucket: 'box', key: 'none', status: 404, bodyBytes: 0 },
      ]);
      await server.misbehave({ fault: { kind: 'lost-reply' } });
      await assert.rejects(client.send({ method: 'PUT', target: '/box/a', body: 'x' }));
      assert.deepEqual(await server.takeRequests(), [
        {
          operation: 'PutObject',
          bucket: 'box',
          key: 'a',
          status: 200,
          bodyBytes: 1,
          payloadHash: sha256('x'),
        },
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

  it('says which checksums came with a body', async () => {
    await withServer({ logsRequests: true }, async ({ client, server }) => {
      const headers = { 'content-md5': createHash('md5').update('x').digest('base64') };
      await client.send({
        method: 'PUT',
        target: '/box/a',
        body: 'x',
        payloadHash: 'UNSIGNED-PAYLOAD',
        headers,
      });
      const [record] = await server.takeRequests();
      assert.equal(record?.payloadHash, 'UNSIGNED-PAYLOAD');
      assert.deepEqual(record?.checksumFields, ['content-md5']);
    });
  });

  it('is refused where nothing was to be remembered', async () => {
    await withServer({}, async ({ server }) => {
      await assert.rejects(server.takeRequests(), /without logsRequests/);
    });
  });
});
