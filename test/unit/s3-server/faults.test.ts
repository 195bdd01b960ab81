import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import type { FaultHandle, FaultScript } from '../../../bench/s3-server/faults/fault.ts';
import { elements } from '../../../bench/s3-server/probe/case.ts';
import { type ServerUnderTest, withServer } from './with-server.ts';

const BODY = randomBytes(300_000);

/** Installs the fault over an object `a`, runs, and holds that the fault took effect as often as it says. */
async function withFault(
  script: FaultScript,
  run: (under: ServerUnderTest & { readonly handle: FaultHandle }) => Promise<void>,
): Promise<void> {
  await withServer({}, async (under) => {
    await under.server.put('box', [{ key: 'a', body: BODY }]);
    const handle = await under.server.misbehave(script);
    await assert.rejects(handle.assertUsedUp(), /not used up/, 'nothing has happened yet');
    await run({ ...under, handle });
    await handle.assertUsedUp();
  });
}

async function elapsedMs(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

describe('faults', () => {
  it('delay answers', async () => {
    await withFault({ fault: { kind: 'latency', ms: 60, jitterMs: 20 }, times: 2 }, async ({ client }) => {
      const get = (): Promise<unknown> => client.send({ target: '/box/a' });
      assert.ok((await elapsedMs(get)) >= 59);
      const put = (): Promise<unknown> => client.send({ method: 'PUT', target: '/box/b', body: 'x' });
      assert.ok((await elapsedMs(put)) >= 59);
    });
  });

  it('bound the rate of a connection, both ways', async () => {
    // 300 kB at 1 MB/s take 0.3 s, less what the kernel's buffers take ahead on the way up.
    const fault = { kind: 'bandwidth', bytesPerSecond: 1_000_000 } as const;
    await withFault({ fault }, async ({ client }) => {
      assert.ok((await elapsedMs(() => client.send({ target: '/box/a' }))) > 250);
      const body = Buffer.alloc(4_000_000);
      const up = await elapsedMs(() => client.send({ method: 'PUT', target: '/box/b', body }));
      assert.ok(up > 3000, `${up} ms`);
    });
  });

  it('refuse requests beyond a rate, telling when to come again', async () => {
    // So slow that none comes while the eight are on their way, however long that takes.
    const fault = { kind: 'request-rate', perSecond: 0.001, burst: 3, retryAfterSeconds: 7 } as const;
    await withFault({ fault }, async ({ client, handle }) => {
      const answers = await Promise.all(
        Array.from({ length: 8 }, () => client.send({ method: 'PUT', target: '/box/b', body: BODY })),
      );
      const refused = answers.filter((one) => one.status === 503);
      assert.equal(refused.length, 5);
      for (const one of refused) {
        assert.equal(one.code, 'SlowDown');
        assert.equal(one.headers['retry-after'], '7');
      }
      assert.deepEqual(await handle.used(), [refused.length]);
    });
  });

  it('answer any status, before or behind the body', async () => {
    const script: FaultScript = [
      { operation: 'PutObject', fault: { kind: 'status', status: 500, code: 'InternalError' } },
      {
        operation: 'PutObject',
        fault: { kind: 'status', status: 503, code: 'SlowDown', when: 'body', retryAfterSeconds: 2 },
      },
    ];
    await withFault(script, async ({ client, server }) => {
      const put = (): ReturnType<typeof client.send> =>
        client.send({ method: 'PUT', target: '/box/b', body: BODY });
      // Both rules claim the first request; the one that takes effect first leaves the other for the next.
      const statuses = [(await put()).status, (await put()).status, (await put()).status];
      assert.deepEqual(statuses.sort(), [200, 500, 503]);
      assert.equal((await server.stats()).responsesByStatus['503'], 1);
    });
  });

  it('cut responses short', async () => {
    await withFault(
      { operation: 'GetObject', fault: { kind: 'cut-response', afterBytes: 100_000 } },
      async ({ client }) => {
        await assert.rejects(client.send({ target: '/box/a' }), { code: 'ECONNRESET' });
        assert.ok((await client.send({ target: '/box/a' })).bytes.equals(BODY));
      },
    );
  });

  it('leave a response alone that is shorter than the cut', async () => {
    await withServer({}, async ({ client, server }) => {
      await server.put('box', [{ key: 'a', body: BODY }]);
      const handle = await server.misbehave({ fault: { kind: 'cut-response', afterBytes: BODY.length } });
      assert.equal((await client.send({ target: '/box/a' })).bytes.length, BODY.length);
      assert.deepEqual(await handle.used(), [0]);
    });
  });

  it('cut requests short', async () => {
    await withFault(
      { operation: 'PutObject', fault: { kind: 'cut-request', afterBytes: 150_000 } },
      async ({ client, server }) => {
        await assert.rejects(client.send({ method: 'PUT', target: '/box/b', body: BODY }));
        assert.equal(await server.get('box', 'b'), undefined);
      },
    );
  });

  it('reset connections', async () => {
    await withFault({ method: 'GET', key: 'a', fault: { kind: 'reset' } }, async ({ client }) => {
      await assert.rejects(client.send({ target: '/box/a' }), { code: 'ECONNRESET' });
    });
  });

  it('hang, then reset', async () => {
    await withFault({ keyPrefix: 'a', fault: { kind: 'hang', ms: 80 } }, async ({ client }) => {
      const took = await elapsedMs(() =>
        assert.rejects(client.send({ target: '/box/a' }), { code: 'ECONNRESET' }),
      );
      assert.ok(took >= 79);
    });
  });

  it('flip one bit on the way down, and not in what is stored', async () => {
    await withFault(
      { operation: 'GetObject', fault: { kind: 'flip-response', offset: 70_000, bit: 3 } },
      async ({ client }) => {
        const flipped = Buffer.from(BODY);
        flipped[70_000] = (flipped[70_000] ?? 0) ^ 8;
        assert.ok((await client.send({ target: '/box/a' })).bytes.equals(flipped));
        assert.ok((await client.send({ target: '/box/a' })).bytes.equals(BODY));
      },
    );
  });

  it('flip one bit of a small answer', async () => {
    await withServer({}, async ({ client, server }) => {
      await server.put('box', [{ key: 's', body: Buffer.from('abc') }]);
      const handle = await server.misbehave({ fault: { kind: 'flip-response', offset: 1 } });
      assert.equal((await client.send({ target: '/box/s' })).text, 'acc');
      await handle.assertUsedUp();
    });
  });

  it('flip one bit on the way up, where a hash finds it and UNSIGNED-PAYLOAD does not', async () => {
    const script: FaultScript = {
      operation: 'PutObject',
      times: 2,
      fault: { kind: 'flip-request', offset: 200_000 },
    };
    await withFault(script, async ({ client, server }) => {
      const put = { method: 'PUT', target: '/box/b', body: BODY };
      assert.equal((await client.send(put)).code, 'XAmzContentSHA256Mismatch');
      assert.equal(await server.get('box', 'b'), undefined);
      assert.equal((await client.send({ ...put, payloadHash: 'UNSIGNED-PAYLOAD' })).status, 200);
      const stored = Buffer.from((await server.get('box', 'b')) ?? []);
      assert.equal(stored.length, BODY.length);
      assert.equal(
        stored.findIndex((byte, at) => byte !== BODY[at]),
        200_000,
      );
    });
  });

  it('do what was asked and lose the answer', async () => {
    await withFault({ operation: 'PutObject', fault: { kind: 'lost-reply' } }, async ({ client, server }) => {
      await assert.rejects(client.send({ method: 'PUT', target: '/box/b', body: 'done' }), {
        code: 'ECONNRESET',
      });
      assert.equal(Buffer.from((await server.get('box', 'b')) ?? []).toString(), 'done');
    });
  });

  it('keep listings behind the times', async () => {
    await withFault(
      { fault: { kind: 'stale-listing', hideWrittenWithinMs: 60_000 } },
      async ({ client, handle }) => {
        const list = async (): Promise<readonly string[]> =>
          elements((await client.send({ target: '/box?list-type=2' })).text, 'Key');
        assert.deepEqual(await list(), []);
        await handle.remove();
        assert.deepEqual(await list(), ['a']);
      },
    );
  });

  it('list out of order', async () => {
    await withFault(
      { operation: 'ListObjectsV2', fault: { kind: 'unordered-listing' } },
      async ({ client, server }) => {
        await server.put('box', [
          { key: 'b', body: BODY },
          { key: 'c', body: BODY },
        ]);
        const { text } = await client.send({ target: '/box?list-type=2' });
        assert.deepEqual(elements(text, 'Key'), ['c', 'b', 'a']);
      },
    );
  });

  it('list in no order over all pages, each key once, wherever a listing is to begin', async () => {
    await withFault(
      { operation: 'ListObjectsV2', fault: { kind: 'unordered-listing', over: 'listing' } },
      async ({ client, server }) => {
        const keys = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
        await server.put(
          'box',
          keys.map((key) => ({ key, body: BODY })),
        );
        const found: string[] = [];
        let more = '&start-after=f';
        do {
          const { text } = await client.send({ target: `/box?list-type=2&max-keys=2${more}` });
          found.push(...elements(text, 'Key'));
          const [token] = elements(text, 'NextContinuationToken');
          more = token === undefined ? '' : `&continuation-token=${token}`;
        } while (more !== '');
        assert.notDeepEqual(found, keys);
        assert.deepEqual(found.toSorted(), keys);
      },
    );
  });

  for (const how of ['told', 'silent'] as const) {
    it(`answer with another range than the one asked for, which is ${how}`, async () => {
      await withFault({ fault: { kind: 'wrong-range', shiftBytes: 1_000, how } }, async ({ client }) => {
        // The whole object cannot be another range of itself.
        assert.ok((await client.send({ target: '/box/a' })).bytes.equals(BODY));
        const range = { range: 'bytes=100-199' };
        const wrong = await client.send({ target: '/box/a', headers: range });
        assert.equal(wrong.status, 206);
        assert.ok(wrong.bytes.equals(BODY.subarray(1_100, 1_200)));
        const said = how === 'told' ? 'bytes 1100-1199/300000' : 'bytes 100-199/300000';
        assert.equal(wrong.headers['content-range'], said);
        assert.ok(
          (await client.send({ target: '/box/a', headers: range })).bytes.equals(BODY.subarray(100, 200)),
        );
      });
    });
  }

  it('do what was asked twice', async () => {
    const script = { operation: 'CreateMultipartUpload', fault: { kind: 'duplicate-request' } } as const;
    await withFault(script, async ({ client }) => {
      const answer = await client.send({ method: 'POST', target: '/box/b?uploads' });
      const listed = await client.send({ target: '/box?uploads' });
      const ids = elements(listed.text, 'UploadId');
      assert.equal(ids.length, 2);
      assert.deepEqual(elements(answer.text, 'UploadId'), ids.slice(1), 'the second one was answered');
    });
  });

  it('send an answer twice', async () => {
    await withFault({ key: 'a', fault: { kind: 'duplicate-response' } }, async ({ client, server }) => {
      // What a client makes of the second answer is its own affair; this one takes no more than the first.
      assert.ok((await client.send({ target: '/box/a' })).bytes.equals(BODY));
      const { requests, bytesOut } = await server.stats();
      assert.equal(requests, 1);
      assert.ok(bytesOut >= 2 * BODY.length, `${bytesOut} bytes`);
    });
  });

  it('put an error into a 200', async () => {
    const fault = { kind: 'error-in-200', code: 'InternalError', message: 'Try again' } as const;
    await withFault(
      { operation: ['CopyObject', 'CompleteMultipartUpload'], fault },
      async ({ client, server }) => {
        const copy = await client.send({
          method: 'PUT',
          target: '/box/b',
          headers: { 'x-amz-copy-source': 'box/a' },
        });
        assert.equal(copy.status, 200);
        assert.equal(copy.code, 'InternalError');
        assert.match(copy.text, /Try again/);
        assert.equal(await server.get('box', 'b'), undefined);
      },
    );
  });

  it('replace an object between two requests for it', async () => {
    const script: FaultScript = {
      operation: 'GetObject',
      key: 'a',
      skip: 1,
      fault: { kind: 'replace-object' },
    };
    await withFault(script, async ({ client }) => {
      const range = { range: 'bytes=0-99' };
      const first = await client.send({ target: '/box/a', headers: range });
      const pinned = { ...range, 'if-match': first.headers['etag'] ?? '' };
      assert.equal((await client.send({ target: '/box/a', headers: pinned })).status, 412);
      const now = await client.send({ target: '/box/a' });
      assert.equal(now.bytes.length, BODY.length);
      assert.equal(now.headers['etag'], `"${createHash('md5').update(now.bytes).digest('hex')}"`);
      assert.ok(!now.bytes.equals(BODY));
    });
  });

  it('replace an object with a given content', async () => {
    await withFault(
      { fault: { kind: 'replace-object', content: Buffer.from('other') } },
      async ({ client }) => {
        assert.equal((await client.send({ target: '/box/a' })).text, 'other');
      },
    );
  });

  it('befall what they name and nothing else', async () => {
    const fault = { kind: 'status', status: 500, code: 'InternalError' } as const;
    await withServer({ buckets: ['box', 'other'] }, async ({ client, server }) => {
      await server.put(
        'box',
        ['a', 'ab', 'ü'].map((key) => ({ key, body: BODY })),
      );
      await server.put('other', [{ key: 'a', body: BODY }]);
      const cases: readonly (readonly [
        Omit<Extract<FaultScript, { readonly fault: unknown }>, 'fault'>,
        readonly number[],
      ])[] = [
        [{ bucket: 'other' }, [200, 200, 200, 500]],
        [{ key: 'a' }, [500, 200, 200, 500]],
        [{ keyPrefix: 'a' }, [500, 500, 200, 500]],
        [{ key: 'ü' }, [200, 200, 500, 200]],
        [{ method: 'HEAD' }, [200, 200, 200, 200]],
        [{ operation: ['HeadObject', 'PutObject'] }, [200, 200, 200, 200]],
        [{ operation: 'GetObject', skip: 2 }, [200, 200, 500, 500]],
        [{ times: 2 }, [500, 500, 200, 200]],
      ];
      for (const [match, expected] of cases) {
        const handle = await server.misbehave({ times: Number.POSITIVE_INFINITY, ...match, fault });
        const statuses: number[] = [];
        for (const target of ['/box/a', '/box/ab', '/box/%C3%BC', '/other/a']) {
          statuses.push((await client.send({ target })).status);
        }
        assert.deepEqual(statuses, expected, JSON.stringify(match));
        await handle.remove();
      }
    });
  });

  it('strike by chance, the same way for the same seed', async () => {
    const sequence = async (seed: number): Promise<string> => {
      let struck = '';
      await withServer({}, async ({ client, server }) => {
        const fault = { kind: 'status', status: 503, code: 'SlowDown' } as const;
        const handle = await server.misbehave({ probability: 0.3, seed, fault });
        for (let n = 0; n < 60; n += 1)
          struck += (await client.send({ method: 'HEAD', target: '/box' })).status === 503 ? 'x' : '.';
        assert.deepEqual(await handle.used(), [struck.replaceAll('.', '').length]);
      });
      return struck;
    };
    const first = await sequence(7);
    assert.equal(await sequence(7), first);
    assert.notEqual(await sequence(8), first);
    const count = first.replaceAll('.', '').length;
    assert.ok(count > 6 && count < 32, first);
  });
});
