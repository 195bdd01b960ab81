/** Addresses that a source gives out, for services that fetch from them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  BlobSASPermissions,
  generateBlobSASQueryParameters,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import { blobSas } from '../../../src/drivers/azure/azure-blob-sas.ts';
import { AzureService } from '../../../src/drivers/azure/azure-service.ts';
import { SharedKeySigner } from '../../../src/drivers/azure/shared-key.ts';
import { isPrivateAddress } from '../../../src/drivers/private-host.ts';
import type { AzureAccess, AzureSpec } from '../../../src/drivers/spec.ts';
import { presignedQuery } from '../../../src/transport/sigv4.ts';

const CTX = { signal: new AbortController().signal };
const KEY = Buffer.from('a key for tests alone').toString('base64');

function specOf(access: AzureAccess, endpoint = 'https://account.blob.core.windows.net'): AzureSpec {
  return {
    kind: 'azure',
    accountName: 'account',
    container: 'container',
    endpoint,
    rootDirectory: '',
    hasSlashRoot: false,
    access,
    skipsTlsVerify: false,
  };
}

describe('the address of a blob', () => {
  for (const name of ['plain', '/docker/registry/v2/x', 'a b+c%ü/é?&=#']) {
    it(`has the signature that Azure's own library makes: ${name}`, () => {
      const expiresAtMs = Date.UTC(2030, 0, 2, 3, 4, 5);
      for (const endpoint of ['https://account.blob.core.windows.net', 'http://127.0.0.1:1/account']) {
        const spec = specOf({ type: 'shared-key', accountKey: KEY }, endpoint);
        const own = new URLSearchParams(
          blobSas(spec, new SharedKeySigner('account', KEY), name, expiresAtMs),
        );
        const { signature } = generateBlobSASQueryParameters(
          {
            containerName: 'container',
            blobName: name,
            permissions: BlobSASPermissions.parse('r'),
            expiresOn: new Date(expiresAtMs),
            version: '2021-12-02',
            ...(endpoint.startsWith('https') ? { protocol: 'https' as never } : {}),
          },
          new StorageSharedKeyCredential('account', KEY),
        );
        assert.equal(own.get('sig'), signature);
        assert.deepEqual([own.get('sp'), own.get('sr'), own.get('se')], ['r', 'b', '2030-01-02T03:04:05Z']);
      }
    });
  }

  it('is authorized by what the settings have: a signature of theirs, or a token beside it', async () => {
    const sas = await new AzureService(specOf({ type: 'sas', token: 'sv=1&sig=x' })).addressOf(CTX, 'a b');
    assert.deepEqual(sas, {
      url: 'https://account.blob.core.windows.net/container/a%20b?sv=1&sig=x',
    });
    const tokens = async () => ({ token: 'abc', expiresAtMs: Date.now() + 3_600_000 });
    const byToken = new AzureService(specOf({ type: 'default' }), { tokens });
    for (let count = 0; count < 2; count += 1)
      assert.deepEqual(await byToken.addressOf(CTX, '/k'), {
        url: 'https://account.blob.core.windows.net/container//k',
        authorization: 'Bearer abc',
      });
  });
});

describe('presignedQuery()', () => {
  it('is what the reference of S3 gives as its example', () => {
    const query = presignedQuery({
      region: 'us-east-1',
      credentials: {
        accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
        secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
      },
      host: 'examplebucket.s3.amazonaws.com',
      path: '/test.txt',
      expiresSeconds: 86_400,
      nowMs: Date.UTC(2013, 4, 24),
    });
    assert.equal(
      new URLSearchParams(query).get('X-Amz-Signature'),
      'aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
    );
  });
});

describe('isPrivateAddress()', () => {
  for (const [address, isPrivate] of [
    ['http://127.0.0.1:9000', true],
    ['http://localhost:9000', true],
    ['https://minio:9000', true],
    ['https://10.1.2.3', true],
    ['https://172.31.0.1', true],
    ['https://172.32.0.1', false],
    ['https://192.168.1.1/x', true],
    ['http://[::1]:80', true],
    ['http://[fd00::1]', true],
    ['http://[2001:db8::1]', false],
    ['https://s3.example.com', false],
    ['https://s3.corp.internal', true],
  ] as const) {
    it(`${address} is ${isPrivate ? '' : 'not '}of a private network`, () => {
      assert.equal(isPrivateAddress(address), isPrivate);
    });
  }
});
