/** What a probe of each service makes of answers that are none of the two it asked about: neither taken nor refused. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { isStorageError } from '../../../src/core/errors.ts';
import { openAzureDriver } from '../../../src/drivers/azure/azure-driver.ts';
import { isRefusalOfBytes, mustReadBack } from '../../../src/drivers/binding.ts';
import type { Binding, StorageDriver } from '../../../src/drivers/driver.ts';
import { openGcsDriver } from '../../../src/drivers/gcs/gcs-driver.ts';
import { S3Driver } from '../../../src/drivers/s3/s3-driver.ts';
import { openSwiftDriver } from '../../../src/drivers/swift/swift-driver.ts';
import { withRetries } from '../../../src/drivers/wrap/retry.ts';
import { gcsSpecFor } from '../../support/gcs-world.ts';

const CTX = { signal: new AbortController().signal };
const NO_WAIT = { attemptsMax: 4, delayMsMin: 0, delayMsMax: 0, random: () => 0 };

interface Answer {
  readonly status: number;
  readonly code?: string;
}

interface Service {
  open(origin: string): Promise<StorageDriver> | StorageDriver;
  /** The checksums of one request: what differs from those of the first one (of its kind) is wrong. */
  sumsIn(headers: IncomingMessage['headers']): string;
  /** Where requests have one checksum or another. */
  kindOfSum?(headers: IncomingMessage['headers']): string;
  /** Of a removal. */
  readonly removed: number;
  /** How the service refuses a wrong checksum. */
  readonly refuses: Answer;
  /** Refusals of other things, which may pass. */
  readonly passing: readonly Answer[];
  /** Fields of the binding that depend on the answers. */
  readonly asked: readonly (keyof Binding)[];
}

const THROTTLED = { status: 503, code: 'SlowDown' };

const SERVICES: Readonly<Record<string, Service>> = {
  S3: {
    open: (origin) =>
      new S3Driver(
        {
          kind: 's3',
          bucket: 'bucket',
          rootDirectory: '',
          region: 'us-east-1',
          endpoint: origin,
          isPathStyle: true,
          skipsTlsVerify: false,
          encrypt: false,
        },
        undefined,
        { credentials: { accessKeyId: 'key', secretAccessKey: 'secret' } },
      ),
    sumsIn: (headers) => `${headers['x-amz-content-sha256']} ${headers['content-md5'] ?? ''}`,
    removed: 204,
    refuses: { status: 400, code: 'XAmzContentSHA256Mismatch' },
    passing: [
      THROTTLED,
      { status: 429, code: 'TooManyRequests' },
      { status: 500, code: 'InternalError' },
      { status: 500, code: 'BadDigest' },
      { status: 400, code: 'RequestTimeout' },
      { status: 400, code: 'IncompleteBody' },
    ],
    asked: ['payloadSha256', 'contentMd5'],
  },
  Azure: {
    open: (origin) =>
      openAzureDriver({
        engine: 'direct',
        storage: {
          kind: 'azure',
          accountName: 'account',
          container: 'container',
          endpoint: `${origin}/account`,
          rootDirectory: '',
          hasSlashRoot: false,
          access: { type: 'sas', token: 'sv=2021-12-02&sig=c2ln' },
          skipsTlsVerify: false,
        },
      }),
    sumsIn: (headers) => `${headers['content-md5'] ?? ''} ${headers['x-ms-content-crc64'] ?? ''}`,
    kindOfSum: (headers) => (headers['x-ms-content-crc64'] === undefined ? 'md5' : 'crc64'),
    removed: 202,
    refuses: { status: 400, code: 'Md5Mismatch' },
    passing: [
      { status: 503, code: 'ServerBusy' },
      { status: 429, code: 'TooManyRequests' },
      { status: 500, code: 'InternalError' },
      { status: 500, code: 'OperationTimedOut' },
      { status: 502 },
    ],
    asked: ['contentMd5', 'contentCrc64'],
  },
  'Cloud Storage': {
    open: (origin) =>
      openGcsDriver(
        { storage: gcsSpecFor(origin), engine: 'direct' },
        { tokens: async () => ({ token: 'token' }) },
      ),
    sumsIn: (headers) => String(headers['x-goog-hash'] ?? ''),
    removed: 204,
    refuses: { status: 400, code: 'BadDigest' },
    passing: [
      THROTTLED,
      { status: 429, code: 'rateLimitExceeded' },
      { status: 500, code: 'InternalError' },
      { status: 400, code: 'IncompleteBody' },
      { status: 408 },
    ],
    asked: ['crc32c', 'contentMd5'],
  },
  Swift: {
    open: (origin) =>
      openSwiftDriver({
        engine: 'direct',
        storage: {
          kind: 'swift',
          container: 'c',
          prefix: '',
          access: {
            authUrl: `${origin}/auth/v1.0`,
            authVersion: 1,
            user: 'a:b',
            password: 'p',
            endpointType: 'public',
          },
          skipsTlsVerify: false,
        },
      }),
    sumsIn: (headers) => String(headers.etag ?? ''),
    removed: 204,
    refuses: { status: 422 },
    passing: [{ status: 503 }, { status: 498 }, { status: 500 }, { status: 408 }, { status: 409 }],
    asked: ['contentMd5'],
  },
};

/** Takes whatever comes, as each of the four says that; save PUTs whose sums are not those that came first. */
async function serve(
  t: TestContext,
  { sumsIn, kindOfSum, removed }: Service,
  answerToWrong: (count: number) => Answer | 'taken',
): Promise<string> {
  const right = new Map<string | undefined, string>();
  let wrongOnes = 0;
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      const { method, headers } = request;
      if (method === 'DELETE') return response.writeHead(removed).end();
      if (method !== 'PUT') return taken(request, response);
      const sums = sumsIn(headers);
      const kind = kindOfSum?.(headers);
      if (!right.has(kind)) right.set(kind, sums);
      const isRight = right.get(kind) === sums;
      const answer = isRight ? 'taken' : answerToWrong(wrongOnes++);
      if (answer === 'taken') return taken(request, response);
      const { status, code } = answer;
      const body = code === undefined ? '' : `<?xml version="1.0"?><Error><Code>${code}</Code></Error>`;
      response.writeHead(status, code === undefined ? {} : { 'x-ms-error-code': code }).end(body);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function taken({ method, url = '' }: IncomingMessage, response: ServerResponse): void {
  const { localPort } = response.socket ?? {};
  const body =
    method !== 'POST'
      ? ''
      : url.includes('uploads')
        ? '<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>'
        : '<CompleteMultipartUploadResult><ETag>"x"</ETag></CompleteMultipartUploadResult>';
  response
    .writeHead(method === 'PUT' ? 201 : 200, {
      etag: '"x"',
      'content-length': body.length,
      'x-goog-generation': '1',
      'x-ms-blob-type': 'BlockBlob',
      'x-auth-token': 'token',
      'x-storage-url': `http://127.0.0.1:${localPort}/v1/AUTH_a`,
    })
    .end(method === 'HEAD' ? undefined : body);
}

async function probed(t: TestContext, service: Service, driver: StorageDriver): Promise<readonly unknown[]> {
  t.after(() => driver.close());
  const binding = await driver.binding?.probe(CTX, 'probe/');
  return service.asked.map((field) => binding?.[field]);
}

for (const [name, service] of Object.entries(SERVICES)) {
  describe(`the probe of ${name}`, () => {
    it('takes for a check only what refuses wrong bytes, and reads back from what takes them', async (t) => {
      const open = await service.open(await serve(t, service, () => 'taken'));
      assert.deepEqual(
        await probed(t, service, open),
        service.asked.map(() => false),
      );
      const storage = { kind: open.kind, engine: 'direct' } as const;
      assert.equal(mustReadBack(await open.binding?.probe(CTX, 'probe/'), storage), true);
    });

    for (const answer of service.passing) {
      const { status, code = 'no code' } = answer;

      it(`passes on that the server is unwell (${status}, ${code}), which is neither of the two`, async (t) => {
        const driver = await service.open(await serve(t, service, () => answer));
        await assert.rejects(probed(t, service, driver), (error) => {
          assert.ok(isStorageError(error), String(error));
          assert.ok(error.details.isTransient, 'it is asked again');
          assert.ok(!isRefusalOfBytes(error));
          return true;
        });
      });

      it(`finds out, inside the retries, what is refused behind that (${status}, ${code})`, async (t) => {
        for (const behind of [service.refuses, 'taken'] as const) {
          const origin = await serve(t, service, (count) => (count === 0 ? answer : behind));
          const driver = withRetries(await service.open(origin), NO_WAIT, () => undefined);
          const binding = await driver.binding?.probe(CTX, 'probe/');
          t.after(() => driver.close());
          for (const field of service.asked) assert.equal(binding?.[field], behind !== 'taken', field);
        }
      });
    }
  });
}

describe('the probe of an Azure that knows no CRC-64', () => {
  for (const [status, code] of [
    [400, 'UnsupportedHeader'],
    [400, 'InvalidHeaderValue'],
    [501, 'NotImplemented'],
  ] as const) {
    it(`goes on with the MD5 alone (${status}, ${code})`, async (t) => {
      const right = createHash('md5')
        .update('blobferry probes which checks this server makes\n')
        .digest('base64');
      const server = createServer((request, response) => {
        const { method, headers } = request;
        request.resume().on('end', () => {
          const refuse = (refusal: number, why: string) =>
            response.writeHead(refusal, { 'x-ms-error-code': why, 'x-ms-request-id': '1' }).end();
          if (method === 'DELETE') return response.writeHead(202).end();
          if (headers['x-ms-content-crc64'] !== undefined) return refuse(status, code);
          if (method === 'PUT' && headers['content-md5'] !== right) return refuse(400, 'Md5Mismatch');
          return taken(request, response);
        });
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      t.after(() => {
        server.closeAllConnections();
        server.close();
      });
      const { port } = server.address() as AddressInfo;
      const driver = await SERVICES['Azure']?.open(`http://127.0.0.1:${port}`);
      t.after(() => driver?.close());
      const binding = await driver?.binding?.probe(CTX, 'probe/');
      assert.deepEqual([binding?.contentMd5, binding?.contentCrc64], [true, false]);
    });
  }
});

const NOTHING: Binding = {
  payloadSha256: false,
  contentMd5: false,
  partCrc32: false,
  objectCrc32: false,
  storesSha256: false,
};

describe('mustReadBack()', () => {
  const direct = (kind: string) => ({ kind, engine: 'direct' }) as const;

  it('is told of targets that were seen to check nothing that comes with each body', () => {
    for (const kind of ['s3', 'azure', 'gcs', 'swift'])
      assert.equal(mustReadBack(NOTHING, direct(kind)), true);
    assert.equal(mustReadBack({ ...NOTHING, partCrc32: true, objectCrc32: true }, direct('s3')), true);
    assert.equal(mustReadBack({ ...NOTHING, payloadSha256: true }, direct('s3')), false);
    assert.equal(mustReadBack({ ...NOTHING, contentMd5: true }, direct('swift')), false);
    assert.equal(mustReadBack({ ...NOTHING, crc32c: true }, direct('gcs')), false);
    assert.equal(mustReadBack(undefined, direct('fs')), false);
  });

  it('knows that the SDK sends no MD5', () => {
    const byMd5 = { ...NOTHING, contentMd5: true };
    assert.equal(mustReadBack(byMd5, direct('s3')), false);
    assert.equal(mustReadBack(byMd5, { kind: 's3', engine: 'sdk' }), true);
    assert.equal(mustReadBack({ ...NOTHING, payloadSha256: true }, { kind: 's3', engine: 'sdk' }), false);
  });
});
