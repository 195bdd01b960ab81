/** Where clients are sent, of which the registry's own drivers decide. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { credentialsEnd } from '../../../src/cli/migration/credentials-end.ts';
import { redirectOf } from '../../../src/cli/migration/redirects.ts';
import { swiftRoom } from '../../../src/cli/migration/swift-account.ts';
import type { AzureSpec, GcsSpec, S3Spec, SwiftSpec } from '../../../src/drivers/spec.ts';
import type { JsonRecord } from '../../../src/platform/msr/registry-settings.ts';

const { signal } = new AbortController();

const S3: S3Spec = {
  kind: 's3',
  bucket: 'box',
  rootDirectory: '',
  region: 'eu-west-1',
  isPathStyle: false,
  skipsTlsVerify: false,
  encrypt: false,
};
const AZURE: AzureSpec = {
  kind: 'azure',
  accountName: 'acct',
  container: 'box',
  endpoint: 'https://acct.blob.core.windows.net',
  rootDirectory: '',
  hasSlashRoot: true,
  access: { type: 'shared-key', accountKey: 'a2V5' },
  skipsTlsVerify: false,
};
const GCS: GcsSpec = {
  kind: 'gcs',
  bucket: 'box',
  rootDirectory: '',
  access: { kind: 'default' },
  skipsTlsVerify: false,
};

async function s3(parameters: JsonRecord, spec: Partial<S3Spec> = {}): Promise<string | undefined> {
  return (await redirectOf({ ...S3, ...spec }, { driver: 's3', parameters }, signal)).address;
}

interface FakeSwift {
  readonly info?: unknown;
  readonly account?: Readonly<Record<string, string>>;
  readonly container?: Readonly<Record<string, string>>;
}

/** Tempauth v1 at one address, the account at another one of the same server. */
async function withSwift<T>(
  { info, account, container }: FakeSwift,
  work: (spec: SwiftSpec, origin: string) => Promise<T>,
): Promise<T> {
  const server = createServer((request, response) => {
    const origin = `http://localhost:${(server.address() as AddressInfo).port}`;
    if (request.url === '/auth/v1.0') {
      response.writeHead(200, { 'x-auth-token': 'tk', 'x-storage-url': `${origin}/v1/AUTH_a` }).end();
    } else if (request.url === '/info') {
      response.writeHead(info === undefined ? 404 : 200).end(JSON.stringify(info));
    } else {
      response.writeHead(204, request.url === '/v1/AUTH_a' ? account : container).end();
    }
  });
  server.listen(0, 'localhost');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const authUrl = `http://localhost:${port}/auth/v1.0`;
  const access = { authUrl, authVersion: 1, user: 'u', password: 'p', endpointType: 'public' } as const;
  try {
    const spec: SwiftSpec = { kind: 'swift', container: 'box', prefix: '', access, skipsTlsVerify: false };
    return await work(spec, `http://localhost:${port}`);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

describe('the host that clients are sent to', () => {
  it('has the bucket in its name on AWS itself, where a certificate can cover that', async () => {
    assert.equal(await s3({}), 'https://box.s3.eu-west-1.amazonaws.com');
    assert.equal(await s3({}, { region: 'us-east-1' }), 'https://box.s3.amazonaws.com');
    assert.equal(await s3({}, { region: 'cn-north-1' }), 'https://box.s3.cn-north-1.amazonaws.com.cn');
    assert.equal(await s3({}, { bucket: 'my.box' }), 'https://s3.eu-west-1.amazonaws.com');
    assert.equal(await s3({ secure: false }), 'http://box.s3.eu-west-1.amazonaws.com');
  });

  it('is the regionendpoint of the settings, whatever way blobferry itself takes', async () => {
    const other = { endpoint: 'https://inside.example:9000' };
    assert.equal(await s3({ regionendpoint: 'https://s3.example:9000' }, other), 'https://s3.example:9000');
    assert.equal(await s3({ regionendpoint: 's3.example' }), 'https://s3.example');
    assert.equal(await s3({ regionendpoint: 's3.example', secure: 'false' }), 'http://s3.example');
  });

  it("is the account's for Azure, and Google's where there is a key to sign with", async () => {
    const azure = await redirectOf(AZURE, { driver: 'azure', parameters: {} }, signal);
    assert.equal(azure.address, 'https://acct.blob.core.windows.net');
    const gcs = (parameters: JsonRecord) => redirectOf(GCS, { driver: 'gcs', parameters }, signal);
    assert.equal((await gcs({ keyfile: '/key.json' })).address, 'https://storage.googleapis.com');
    assert.deepEqual(await gcs({}), {
      why: 'clients get everything from the registry itself: without a keyfile its driver can sign no address',
    });
  });

  it('is that of the account for Swift, not of its identity service, where it checks signed addresses', async () => {
    const section = { driver: 'swift', parameters: {} };
    for (const [info, isSent] of [
      [{ tempurl: { methods: ['GET', 'PUT'] } }, true],
      [{ swift: {} }, false],
      [undefined, true],
    ] as const) {
      await withSwift({ info }, async (spec, origin) => {
        const { address } = await redirectOf(spec, section, signal);
        assert.equal(address, isSent ? `${origin}/v1/AUTH_a` : undefined, JSON.stringify(info));
      });
    }
  });
});

describe('the room in Swift', () => {
  it('is what the narrower of the quotas of container and account leaves', async () => {
    const account = { 'x-account-meta-quota-bytes': '1000', 'x-account-bytes-used': '400' };
    const container = { 'x-container-meta-quota-bytes': '700', 'x-container-bytes-used': '650' };
    const room = (fake: FakeSwift) => withSwift(fake, (spec) => swiftRoom(spec, signal));
    assert.equal(await room({ account, container }), 50);
    assert.equal(await room({ account }), 600);
    assert.equal(await room({ container: { ...container, 'x-container-bytes-used': '900' } }), 0);
    assert.equal(await room({ account: { 'x-account-bytes-used': '400' } }), undefined);
  });
});

describe('the end of credentials', () => {
  const keys = { accessKeyId: 'k', secretAccessKey: 's' };

  it('is told where they are fixed, and is none where they are renewed', () => {
    const ends = (credentials: S3Spec['credentials'], env = {}) =>
      credentialsEnd({ ...S3, ...(credentials ? { credentials } : {}) }, env);
    assert.deepEqual(ends(keys), {});
    assert.deepEqual(ends({ ...keys, expiresAtMs: 5 }), { credentialsExpireMs: 5 });
    assert.deepEqual(ends({ ...keys, sessionToken: 't' }), { areCredentialsTemporary: true });
    const found = { ...keys, sessionToken: 't', isFound: true, expiresAtMs: 5 };
    assert.deepEqual(ends(found), {});
    // Those in the environment of a process stay what they are, wherever they are looked for.
    assert.deepEqual(ends(found, { AWS_ACCESS_KEY_ID: 'k' }), { credentialsExpireMs: 5 });
  });

  it('is the earlier one of a signature and its key, and unknown of a stored policy', () => {
    const ends = (token: string) => credentialsEnd({ ...AZURE, access: { type: 'sas', token } }, {});
    const se = 'se=2030-01-02T00%3A00%3A00Z';
    assert.deepEqual(ends(se), { credentialsExpireMs: Date.UTC(2030, 0, 2) });
    assert.deepEqual(ends(`${se}&ske=2030-01-01T00%3A00%3A00Z`), { credentialsExpireMs: Date.UTC(2030, 0) });
    assert.deepEqual(ends('si=policy&sig=x'), { areCredentialsTemporary: true });
    assert.deepEqual(credentialsEnd(AZURE, {}), {});
  });
});
