/** Whoever stands before a service and says yes to everything: no driver takes that for the service's own word. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { StorageError } from '../../../src/core/errors.ts';
import { openAzureDriver } from '../../../src/drivers/azure/azure-driver.ts';
import type { StorageDriver } from '../../../src/drivers/driver.ts';
import { openGcsDriver } from '../../../src/drivers/gcs/gcs-driver.ts';
import { openS3Driver } from '../../../src/drivers/s3/s3-driver.ts';
import { openS3SdkDriver } from '../../../src/drivers/s3/s3-sdk-driver.ts';
import type { AzureSpec, S3Spec } from '../../../src/drivers/spec.ts';
import { openSwiftDriver } from '../../../src/drivers/swift/swift-driver.ts';
import { gcsSpecFor } from '../../support/gcs-world.ts';

const CTX = { signal: new AbortController().signal };
const KEYS = { accessKeyId: 'a', secretAccessKey: 'b' };
const UPLOAD = { key: 'x', id: 'a'.repeat(40) };
const AZURE_UPLOAD = { key: 'x', id: 'a'.repeat(32) };

function s3Spec(endpoint: string): S3Spec {
  const what = { kind: 's3', bucket: 'b', rootDirectory: '', region: 'us-east-1', endpoint } as const;
  return { ...what, isPathStyle: true, skipsTlsVerify: false, credentials: KEYS, encrypt: false };
}

function azureSpec(endpoint: string): AzureSpec {
  return {
    kind: 'azure',
    accountName: 'account',
    container: 'container',
    endpoint,
    rootDirectory: '',
    hasSlashRoot: false,
    access: { type: 'shared-key', accountKey: Buffer.alloc(32, 1).toString('base64') },
    skipsTlsVerify: false,
  };
}

interface Kind {
  /** As its hints name it. */
  readonly service: string;
  readonly success: number;
  readonly upload?: { readonly key: string; readonly id: string };
  open(endpoint: string): Promise<StorageDriver>;
  /** A page of its listing that goes on and on. */
  readonly page: string;
}

const S3_PAGE = `<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken><Contents><Key>a</Key><Size>1</Size></Contents></ListBucketResult>`;

const KINDS: Readonly<Record<string, Kind>> = {
  S3: {
    service: 'an S3 service',
    success: 204,
    upload: UPLOAD,
    open: (endpoint) => openS3Driver({ storage: s3Spec(endpoint), engine: 'direct' }),
    page: S3_PAGE,
  },
  'S3 by --engine sdk': {
    service: 'an S3 service',
    success: 204,
    open: (endpoint) => openS3SdkDriver({ storage: s3Spec(endpoint), engine: 'sdk' }),
    page: S3_PAGE,
  },
  Azure: {
    service: 'an Azure Blob Storage service',
    success: 202,
    upload: AZURE_UPLOAD,
    open: (endpoint) => openAzureDriver({ storage: azureSpec(endpoint), engine: 'direct' }),
    page: `<EnumerationResults><Blobs><Blob><Name>a</Name><Properties><Etag>0x1</Etag><Content-Length>1</Content-Length></Properties></Blob></Blobs><NextMarker>t</NextMarker></EnumerationResults>`,
  },
  'Cloud Storage': {
    service: 'Google Cloud Storage',
    success: 204,
    upload: UPLOAD,
    open: async (endpoint) =>
      openGcsDriver(
        { storage: gcsSpecFor(endpoint), engine: 'direct' },
        { tokens: async () => ({ token: 't' }) },
      ),
    page: JSON.stringify({ items: [{ name: 'a', size: '1', generation: '1' }], nextPageToken: 't' }),
  },
  Swift: {
    service: 'an OpenStack Swift service',
    success: 204,
    open: async (endpoint) => {
      const authUrl = `${endpoint}/auth/v1.0`;
      const access = { authUrl, authVersion: 1, user: 'a:b', password: 'p', endpointType: 'public' } as const;
      const storage = { kind: 'swift', container: 'c', prefix: '', access, skipsTlsVerify: false } as const;
      return openSwiftDriver({ storage, engine: 'direct' });
    },
    page: JSON.stringify([{ name: 'a', bytes: 1, hash: '9a0364b9e99bb480dd25e1f0284c8555' }]),
  },
};

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

async function withDriver(kind: Kind, answer: Answer, test: (driver: StorageDriver) => Promise<void>) {
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      const { port } = server.address() as AddressInfo;
      const account = `http://127.0.0.1:${port}/v1/AUTH_a`;
      if (request.url === '/auth/v1.0')
        return response.writeHead(200, { 'x-auth-token': 'token', 'x-storage-url': account }).end();
      if (request.url?.includes('restype=account'))
        return response.writeHead(200, { 'x-ms-is-hns-enabled': 'false' }).end();
      return answer(request, response);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const driver = await kind.open(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  try {
    await test(driver);
  } finally {
    await driver.close();
    server.closeAllConnections();
    server.close();
  }
}

function isCorrupt(message: RegExp, service: string) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof StorageError, String(error));
    assert.match(error.message, message);
    assert.ok(error.hint?.includes(`the endpoint is ${service} and`), error.hint ?? '');
    return error.details.kind === 'corrupt' && error.details.isTransient;
  };
}

const yes: Answer = (_, response) => void response.writeHead(200).end('<html>Welcome</html>');

for (const [name, kind] of Object.entries(KINDS)) {
  const { service, success, upload, page } = kind;
  describe(`the driver of ${name}`, () => {
    it('takes no 200 of just anybody for a removal', async () => {
      const refused = isCorrupt(new RegExp(`status 200 came, where .* says ${success}`), service);
      await withDriver(kind, yes, async (driver) => {
        await assert.rejects(driver.remove(CTX, 'x'), refused);
        if (upload) await assert.rejects(Promise.resolve(driver.multipart?.abort(CTX, upload)), refused);
      });
    });

    it('takes the answer of its service for one', async () => {
      const right: Answer = (_, response) => void response.writeHead(success).end();
      await withDriver(kind, right, async (driver) => {
        await driver.remove(CTX, 'x');
        if (upload) await driver.multipart?.abort(CTX, upload);
      });
    });

    it('names its own service where a listing makes no sense', async () => {
      const same: Answer = (_, response) => void response.writeHead(200).end(page);
      await withDriver(kind, same, async (driver) => {
        const all = async (): Promise<void> => {
          for await (const _ of driver.list(CTX, { prefix: '' }));
        };
        await assert.rejects(all(), isCorrupt(/goes on where it began|goes in a circle/, service));
      });
    });
  });
}
