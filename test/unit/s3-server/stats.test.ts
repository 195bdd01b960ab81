import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { withServer } from './with-server.ts';

describe('what the server counts', () => {
  it('is told by the second, apart for what it refused for being too much', async () => {
    await withServer({}, async ({ server, client }) => {
      const put = (): ReturnType<typeof client.send> =>
        client.send({ method: 'PUT', target: '/box/b', body: Buffer.from('x') });
      await put();
      const fault = { kind: 'request-rate', perSecond: 1e-6, burst: 2, retryAfterSeconds: 0 } as const;
      await server.misbehave({ fault });
      const answers = [await put(), await put(), await put(), await put(), await put()];
      assert.deepEqual(
        answers.map(({ status, headers }) => [status, headers['retry-after']]),
        [200, 200, 503, 503, 503].map((status) => [status, undefined]),
      );
      const { seconds, uptimeSeconds, requests } = await server.stats();
      const sum = (name: 'accepted' | 'refused'): number => seconds.reduce((all, one) => all + one[name], 0);
      assert.deepEqual([sum('accepted'), sum('refused'), requests], [3, 3, 6]);
      assert.ok(uptimeSeconds > 0 && seconds.length <= Math.ceil(uptimeSeconds));
    });
  });

  it('has for how long large bodies were on their way, which is as long as a bounded connection takes', async () => {
    await withServer({}, async ({ server, client }) => {
      const body = Buffer.alloc(1024 ** 2, 7);
      const small = Buffer.from('small');
      await server.misbehave({ fault: { kind: 'bandwidth', bytesPerSecond: 10 * 1024 ** 2 } });
      await client.send({ method: 'PUT', target: '/box/b', body });
      await client.send({ method: 'PUT', target: '/box/s', body: small });
      await client.send({ target: '/box/b' });
      const { largeBodiesIn, largeBodiesOut } = await server.stats();
      assert.deepEqual([largeBodiesIn.bytes, largeBodiesOut.bytes], [body.length, body.length]);
      // 0.1 s each, but the last piece need not be waited for.
      for (const { seconds } of [largeBodiesIn, largeBodiesOut]) assert.ok(seconds > 0.06, `${seconds}`);
    });
  });
});
