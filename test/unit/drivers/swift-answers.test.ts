/** Answers that no Swift gives, or only a broken one, and whoever stands before it: none is taken for an object. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { StorageError } from '../../../src/core/errors.ts';
import { bodyOfBytes } from '../../../src/drivers/body.ts';
import { openSwiftDriver, type SwiftDriver } from '../../../src/drivers/swift/swift-driver.ts';

const CTX = { signal: new AbortController().signal };
const ETAG = '9a0364b9e99bb480dd25e1f0284c8555';

type Answers = (request: IncomingMessage, response: ServerResponse) => void;

/** Logs in as tempauth v1 does; everything below the container is answered by the test. */
async function withAnswers(answers: Answers, test: (driver: SwiftDriver) => Promise<void>): Promise<void> {
  const server = createServer((request, response) => {
    if (request.url !== '/auth/v1.0')
      return void request.resume().on('end', () => answers(request, response));
    const { port } = server.address() as AddressInfo;
    const headers = { 'x-auth-token': 'token', 'x-storage-url': `http://127.0.0.1:${port}/v1/AUTH_a` };
    response.writeHead(200, headers).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const authUrl = `http://127.0.0.1:${port}/auth/v1.0`;
  const access = { authUrl, authVersion: 1, user: 'a:b', password: 'p', endpointType: 'public' } as const;
  const storage = { kind: 'swift', container: 'c', prefix: '', access, skipsTlsVerify: false } as const;
  const driver = openSwiftDriver({ storage, engine: 'direct' });
  try {
    await test(driver);
  } finally {
    await driver.close();
    server.closeAllConnections();
    server.close();
  }
}

function isCorrupt(message: RegExp) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof StorageError, String(error));
    assert.match(error.message, message);
    return error.details.kind === 'corrupt' && error.details.isTransient;
  };
}

/** Without a length and not in chunks: it ends with its connection. */
function untilClosed(response: ServerResponse, body: string): void {
  response.removeHeader('transfer-encoding');
  response.setHeader('connection', 'close');
  response.writeHead(200, { etag: ETAG });
  response.write(body);
  response.end();
}

function read(driver: SwiftDriver, bytes: number) {
  return driver.read(CTX, 'key', new Uint8Array(bytes), { isWhole: true });
}

describe('SwiftDriver.read()', () => {
  it('takes no page for an object, though its status is 200 and its size the right one', async () => {
    const page: Answers = (_, response) => void response.writeHead(200, { 'content-length': 5 }).end('Hello');
    await withAnswers(page, async (driver) => {
      await assert.rejects(read(driver, 5), isCorrupt(/has no ETag, and so is no object/));
    });
  });

  it('asks for the size of what ends with its connection: one that broke looks like the end', async () => {
    for (const sizeBytes of [5, 9]) {
      const methods: string[] = [];
      const answers: Answers = (request, response) => {
        methods.push(request.method ?? '');
        if (request.method === 'GET') untilClosed(response, 'Hello');
        else response.writeHead(200, { etag: ETAG, 'content-length': sizeBytes }).end();
      };
      await withAnswers(answers, async (driver) => {
        if (sizeBytes === 5) assert.equal((await read(driver, 9)).totalBytes, 5);
        else await assert.rejects(read(driver, 9), isCorrupt(/5 bytes came instead of 9/));
      });
      assert.deepEqual(methods, ['GET', 'HEAD']);
    }
  });

  it('takes no other range for the one it asked for', async () => {
    const other: Answers = (_, response) => {
      const range = { 'content-range': 'bytes 0-3/8', 'content-length': 4, etag: ETAG };
      response.writeHead(206, range).end('0123');
    };
    await withAnswers(other, async (driver) => {
      const into = new Uint8Array(4);
      await assert.rejects(driver.read(CTX, 'key', into, { offset: 4 }), isCorrupt(/which range it is/));
    });
  });

  it('lists the parts of a large object once, as long as they are the same', async () => {
    let size = '6';
    const lists: string[] = [];
    const answers: Answers = (request, response) => {
      const { searchParams } = new URL(request.url ?? '', 'http://swift');
      if (searchParams.get('format') === 'json') {
        lists.push(`${searchParams.get('prefix')} after ${searchParams.get('marker')}`);
        const parts = ['1', '2'].map((name) => ({ name: `parts/${name}`, bytes: 3, hash: ETAG }));
        return void response.end(searchParams.has('marker') ? '[]' : JSON.stringify(parts));
      }
      const headers = { etag: `"${ETAG}"`, 'x-object-manifest': 'c/parts/', 'content-length': size };
      response
        .writeHead(200, headers)
        .end(request.method === 'HEAD' ? undefined : 'abcdef'.slice(0, Number(size)));
    };
    await withAnswers(answers, async (driver) => {
      assert.equal((await driver.stat(CTX, 'key')).sizeBytes, 6);
      assert.equal((await read(driver, 6)).totalBytes, 6);
      assert.deepEqual(lists, ['parts/ after null', 'parts/ after parts/2']);
      // The listing that the service answers by is behind.
      size = '3';
      await assert.rejects(read(driver, 6), isCorrupt(/it has 3 bytes, its parts as they are listed have 6/));
      await assert.rejects(driver.stat(CTX, 'key'), isCorrupt(/it has 3 bytes/));
    });
  });

  it('sums up an object of more parts than the service does', async () => {
    const answers: Answers = (request, response) => {
      const { searchParams } = new URL(request.url ?? '', 'http://swift');
      if (searchParams.get('format') === 'json') {
        const parts = ['1', '2'].map((name) => ({ name: `parts/${name}`, bytes: 3, hash: ETAG }));
        return void response.end(searchParams.has('marker') ? '[]' : JSON.stringify(parts));
      }
      response.removeHeader('transfer-encoding');
      response.writeHead(200, { etag: ETAG, 'x-object-manifest': 'c/parts/', connection: 'close' }).end();
    };
    await withAnswers(answers, async (driver) => {
      assert.equal((await driver.stat(CTX, 'key')).sizeBytes, 6);
    });
  });
});

/** A manifest of a listing that has none of its parts, written so long ago. */
function emptyManifest(ageSeconds: number): Answers {
  return (request, response) => {
    if (request.url?.includes('format=json')) return void response.end('[]');
    const now = Date.now();
    const headers = {
      etag: '"d41d8cd98f00b204e9800998ecf8427e"',
      'x-object-manifest': 'c/parts/',
      'content-length': 0,
      date: new Date(now).toUTCString(),
      'last-modified': new Date(now - ageSeconds * 1_000).toUTCString(),
    };
    response.writeHead(200, headers).end();
  };
}

describe('a large object without parts', () => {
  it('is one whose parts are not listed yet, while it is new', async () => {
    await withAnswers(emptyManifest(5), async (driver) => {
      await assert.rejects(driver.stat(CTX, 'key'), isCorrupt(/none of them is there/));
      await assert.rejects(read(driver, 0), isCorrupt(/none of them is there/));
    });
  });

  it('is an empty object once every listing knows its parts, as the registry makes of an upload', async () => {
    await withAnswers(emptyManifest(60), async (driver) => {
      const { sizeBytes, md5, isSizeUnsure } = await driver.stat(CTX, 'key');
      assert.deepEqual([sizeBytes, md5, isSizeUnsure], [0, undefined, undefined]);
      const { totalBytes, bytesRead, md5: readMd5, lacksParts } = await read(driver, 0);
      assert.deepEqual([totalBytes, bytesRead, readMd5, lacksParts], [0, 0, undefined, true]);
    });
  });
});

describe('an object that the first copy asked does not know', () => {
  /** Answers 404 unless all copies are asked. */
  const behind = (asked: string[], isThere: boolean): Answers => {
    return (request, response) => {
      const newest = request.headers['x-newest'] === 'true';
      asked.push(`${request.method}${newest ? ' of all' : ''}`);
      if (newest && isThere) response.writeHead(200, { etag: ETAG, 'content-length': 5 }).end();
      else response.writeHead(404).end();
    };
  };

  it('has its size of another copy, and is worth another try where it is read', async () => {
    const asked: string[] = [];
    await withAnswers(behind(asked, true), async (driver) => {
      assert.equal((await driver.stat(CTX, 'key')).sizeBytes, 5);
      await assert.rejects(read(driver, 5), (error: unknown) => {
        assert.ok(error instanceof StorageError);
        assert.match(error.message, /Cannot read "key" .* it is there, and one of its copies lags behind/);
        return error.details.kind === 'unavailable' && error.details.isTransient;
      });
    });
    assert.deepEqual(asked, ['HEAD', 'HEAD of all', 'GET', 'HEAD of all']);
  });

  it('is gone where none knows it', async () => {
    await withAnswers(behind([], false), async (driver) => {
      for (const call of [driver.stat(CTX, 'key'), read(driver, 5)]) {
        await assert.rejects(call, (error: unknown) => {
          return error instanceof StorageError && error.details.kind === 'not-found';
        });
      }
      const refusal = await read(driver, 5).catch((error: unknown) => error);
      assert.ok(refusal instanceof StorageError && refusal.details.operation === 'read');
    });
  });
});

describe('SwiftDriver.write()', () => {
  it('believes no 201 without an ETag: what whoever answers so took is in no container', async () => {
    await withAnswers(
      (_, response) => void response.writeHead(201).end(),
      async (driver) => {
        const body = bodyOfBytes(Buffer.from('bytes'));
        await assert.rejects(driver.write(CTX, 'key', body, {}), isCorrupt(/no ETag came/));
      },
    );
  });

  it('says that somebody else wrote at the same moment, where a newer object was kept', async () => {
    await withAnswers(
      (_, response) => void response.writeHead(202).end(),
      async (driver) => {
        const body = bodyOfBytes(Buffer.from('bytes'));
        await assert.rejects(driver.write(CTX, 'key', body, {}), (error: unknown) => {
          assert.ok(error instanceof StorageError);
          assert.match(error.message, /somebody else wrote it at the same moment/);
          return error.details.isTransient && error.details.kind === 'unavailable';
        });
      },
    );
  });
});
