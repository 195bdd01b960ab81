import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isStorageError } from '../../../src/core/errors.ts';
import { bodyOfBytes } from '../../../src/drivers/body.ts';
import type { Body } from '../../../src/drivers/driver.ts';
import type { S3Credentials } from '../../../src/drivers/spec.ts';
import { type Asked, ok, refusal, scriptedS3 } from './scripted-s3.ts';

const CTX = { signal: new AbortController().signal };
const HOUR_MS = 3_600_000;

/** Milliseconds that a request's signature is ahead of this machine's clock. */
function skewOf(asked: Asked): number {
  const text = asked.headers.get('x-amz-date') ?? '';
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  assert.ok(match, text);
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  return Date.UTC(year, month - 1, day, hour, minute, second) - Date.now();
}

function serverDate(offsetMs: number): { Date: string } {
  return { Date: new Date(Date.now() + offsetMs).toUTCString() };
}

/** A server whose clock is ahead, with S3's tolerance of 15 minutes. */
function skewedServer(offsetMs: number, success: (asked: Asked) => string) {
  return (asked: Asked): string => {
    if (Math.abs(skewOf(asked) - offsetMs) < HOUR_MS / 4) return success(asked);
    if (asked.method === 'HEAD')
      return `HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\nDate: ${serverDate(offsetMs).Date}\r\n\r\n`;
    return refusal('403 Forbidden', 'RequestTimeTooSkewed', serverDate(offsetMs));
  };
}

describe('S3Client and clocks that differ', () => {
  for (const offsetMs of [HOUR_MS, -HOUR_MS, 400 * 24 * HOUR_MS]) {
    it(`learns once that the server's is ${offsetMs / HOUR_MS} hours ahead`, async (t) => {
      const { driver, asked } = await scriptedS3(
        t,
        skewedServer(offsetMs, () => ok('x', { ETag: '"x"' })),
      );
      for (let count = 0; count < 3; count += 1)
        await driver.read(CTX, 'k', Buffer.alloc(1), { isWhole: true });
      assert.equal(asked.length, 4);
    });
  }

  it('learns it from a refusal of HEAD too, which has no code', async (t) => {
    const { driver, asked } = await scriptedS3(
      t,
      skewedServer(HOUR_MS, () => ok('', { 'Content-Length': '7' })),
    );
    assert.equal((await driver.stat(CTX, 'k')).sizeBytes, 7);
    await driver.stat(CTX, 'k');
    assert.equal(asked.length, 3);
  });

  it('does not blame the clock for a denial where the clocks agree', async (t) => {
    const { driver, asked } = await scriptedS3(
      t,
      () => `HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\nDate: ${serverDate(-20_000).Date}\r\n\r\n`,
    );
    await assert.rejects(driver.stat(CTX, 'k'), (error) => isStorageError(error, 'denied'));
    assert.equal(asked.length, 1);
  });

  it('repeats all requests that were under way when the first one learnt it', async (t) => {
    const server = skewedServer(HOUR_MS, () => ok('x', { ETag: '"x"' }));
    const waiting: (() => void)[] = [];
    const { driver, asked } = await scriptedS3(t, async (one, index) => {
      if (index < 4) {
        const released = new Promise<void>((resolve) => waiting.push(resolve));
        if (waiting.length === 4) for (const release of waiting) release();
        await released;
      }
      return server(one);
    });
    await Promise.all([1, 2, 3, 4].map(() => driver.read(CTX, 'k', Buffer.alloc(1), { isWhole: true })));
    assert.equal(asked.length, 8);
  });

  it('gives up, for good, where the server names a time and then does not take it', async (t) => {
    const { driver, asked } = await scriptedS3(t, () =>
      refusal('403 Forbidden', 'RequestTimeTooSkewed', serverDate(HOUR_MS)),
    );
    await assert.rejects(driver.read(CTX, 'k', Buffer.alloc(1), {}), (error) => {
      assert.ok(isStorageError(error, 'denied'));
      assert.equal(error.details.scope, 'backend');
      assert.equal(error.details.isTransient, false);
      assert.match(error.hint ?? '', /clock/);
      return true;
    });
    assert.equal(asked.length, 2);
  });

  it('leaves a streamed body to whoever can open it again', async (t) => {
    const { driver, asked } = await scriptedS3(
      t,
      skewedServer(HOUR_MS, () => ok('', { ETag: '"x"' })),
    );
    let opened = 0;
    const body: Body = {
      sizeBytes: 3,
      async *open() {
        opened += 1;
        yield Buffer.from('abc');
      },
    };
    const write = () => driver.write(CTX, 'k', body, { sha256: '0'.repeat(64) });
    await assert.rejects(write(), (error) => {
      assert.ok(isStorageError(error, 'denied'));
      assert.deepEqual([error.details.isTransient, error.details.scope], [true, 'object']);
      return true;
    });
    assert.equal(asked.length, 1);
    await write();
    assert.equal(opened, 2);
    assert.equal(asked[1]?.body.toString(), 'abc');
  });

  it('sends a body that lies in memory again by itself', async (t) => {
    const { driver, asked } = await scriptedS3(
      t,
      skewedServer(HOUR_MS, () => ok('', { ETag: '"x"' })),
    );
    await driver.write(CTX, 'k', bodyOfBytes(Buffer.from('abc')), {});
    assert.deepEqual(
      asked.map(({ body }) => body.toString()),
      ['abc', 'abc'],
    );
  });
});

describe('S3Client and credentials that expire', () => {
  function keyOf(asked: Asked): string {
    return /Credential=([^/]+)\//.exec(asked.headers.get('authorization') ?? '')?.[1] ?? '';
  }

  function credentials(accessKeyId: string, inMs: number): S3Credentials {
    return {
      accessKeyId,
      secretAccessKey: 's',
      sessionToken: `token-${accessKeyId}`,
      expiresAtMs: Date.now() + inMs,
    };
  }

  it('asks for new ones five minutes before, once for all requests, and signs with them', async (t) => {
    let asked = 0;
    const s3 = await scriptedS3(t, () => ok('x', { ETag: '"x"' }), {
      options: {
        credentials: credentials('old', 4 * 60_000),
        renew: async () => {
          asked += 1;
          return credentials('new', HOUR_MS);
        },
      },
    });
    const read = () => s3.driver.read(CTX, 'k', Buffer.alloc(1), { isWhole: true });
    await Promise.all([read(), read(), read()]);
    await read();
    assert.equal(asked, 1);
    assert.deepEqual(s3.asked.map(keyOf), ['new', 'new', 'new', 'new']);
    assert.equal(s3.asked[0]?.headers.get('x-amz-security-token'), 'token-new');
  });

  it('does not ask while they are good for longer', async (t) => {
    const s3 = await scriptedS3(t, () => ok('x', { ETag: '"x"' }), {
      options: {
        credentials: credentials('old', 6 * 60_000),
        renew: () => Promise.reject(new Error('not yet')),
      },
    });
    await s3.driver.read(CTX, 'k', Buffer.alloc(1), { isWhole: true });
    assert.deepEqual(s3.asked.map(keyOf), ['old']);
  });

  it('goes on with those at hand while nobody gives new ones, and asks again only after a while', async (t) => {
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() });
    let asked = 0;
    const s3 = await scriptedS3(t, () => ok('x', { ETag: '"x"' }), {
      options: {
        credentials: credentials('old', 4 * 60_000),
        renew: () => {
          asked += 1;
          return Promise.reject(new Error('no answer from the instance'));
        },
      },
    });
    const read = () => s3.driver.read(CTX, 'k', Buffer.alloc(1), { isWhole: true });
    for (let count = 0; count < 5; count += 1) await read();
    assert.equal(asked, 1);
    t.mock.timers.tick(31_000);
    await read();
    assert.equal(asked, 2);
    assert.deepEqual(new Set(s3.asked.map(keyOf)), new Set(['old']));
    t.mock.timers.tick(4 * 60_000);
    await assert.rejects(read(), /no answer from the instance/);
  });

  it('waits for them no longer than the call lasts', async (t) => {
    for (const inMs of [60_000, HOUR_MS]) {
      const abort = new AbortController();
      const s3 = await scriptedS3(t, () => refusal('400 Bad Request', 'ExpiredToken'), {
        options: {
          credentials: credentials('old', inMs),
          renew: () => {
            abort.abort(new Error('stopped by the user'));
            return new Promise(() => undefined);
          },
        },
      });
      const reading = s3.driver.read({ signal: abort.signal }, 'k', Buffer.alloc(1), { isWhole: true });
      await assert.rejects(reading, /stopped by the user/);
    }
  });

  it('does not ask for each request anew where the new ones expire as soon as the old', async (t) => {
    let asked = 0;
    const same = credentials('old', 2 * 60_000);
    const s3 = await scriptedS3(t, () => ok('x', { ETag: '"x"' }), {
      options: {
        credentials: same,
        renew: async () => {
          asked += 1;
          return same;
        },
      },
    });
    for (let count = 0; count < 5; count += 1)
      await s3.driver.read(CTX, 'k', Buffer.alloc(1), { isWhole: true });
    assert.equal(asked, 1);
  });
});

describe('S3Client and addresses', () => {
  it('puts the bucket into the path, behind a path of the endpoint', async (t) => {
    const { driver, asked } = await scriptedS3(t, () => ok('', { 'Content-Length': '1' }));
    await driver.stat(CTX, 'a/b c');
    assert.equal(asked[0]?.path, '/bucket/a/b c');
    assert.match(asked[0]?.headers.get('host') ?? '', /^127\.0\.0\.1:\d+$/);
  });

  it('sends keys that look like paths as they are', async (t) => {
    const { driver, asked } = await scriptedS3(t, () => ok('', { 'Content-Length': '1' }));
    for (const key of ['/lead', 'a//b', 'tail/', '%2F', 'a?b#c', '日本']) await driver.stat(CTX, key);
    assert.deepEqual(
      asked.map(({ path }) => path),
      ['//lead', '/a//b', '/tail/', '/%2F', '/a?b#c', '/日本'].map((path) => `/bucket${path}`),
    );
  });

  it('names itself, or what the settings say', async (t) => {
    const first = await scriptedS3(t, () => ok('', { 'Content-Length': '1' }));
    await first.driver.stat(CTX, 'k');
    assert.match(first.asked[0]?.headers.get('user-agent') ?? '', /^blobferry/);
    const second = await scriptedS3(t, () => ok('', { 'Content-Length': '1' }), {
      spec: { userAgent: 'mine/1' },
    });
    await second.driver.stat(CTX, 'k');
    assert.equal(second.asked[0]?.headers.get('user-agent'), 'mine/1');
  });
});
