import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { S3Spec } from '../../../src/drivers/spec.ts';
import { storageName } from '../../../src/drivers/spec-name.ts';

const S3: S3Spec = {
  kind: 's3',
  bucket: 'bucket',
  rootDirectory: '',
  region: 'eu-west-1',
  isPathStyle: false,
  skipsTlsVerify: false,
  encrypt: false,
};

describe('the display name of a storage', () => {
  for (const [part, name] of [
    [{}, 's3://bucket'],
    [{ rootDirectory: '/a/b/' }, 's3://bucket/a/b'],
    [{ endpoint: 'http://localhost:9000' }, 's3://bucket at http://localhost:9000'],
    [{ rootDirectory: 'a', endpoint: 'https://ceph/gw' }, 's3://bucket/a at https://ceph'],
    [{ endpoint: 'https://s3.dualstack.eu-west-1.amazonaws.com' }, 's3://bucket'],
    [{ endpoint: 'https://notamazonaws.com' }, 's3://bucket at https://notamazonaws.com'],
    [{ endpoint: 'https://me:hidden@ceph:1/?hidden' }, 's3://bucket at https://ceph:1'],
    [{ rootDirectory: 'a\u001b[2J' }, 's3://bucket/a%1B[2J'],
  ] as const) {
    it(`is ${name} for ${JSON.stringify(part)}`, () => {
      assert.equal(storageName({ ...S3, ...part }), name);
    });
  }

  it('never holds credentials', () => {
    const credentials = { accessKeyId: 'AKIA', secretAccessKey: 'hidden', sessionToken: 'hidden' };
    assert.doesNotMatch(storageName({ ...S3, credentials, profile: 'hidden' }), /AKIA|hidden/);
  });

  it('is a URL for file systems and memory', () => {
    assert.equal(storageName({ kind: 'fs', rootDirectory: '/srv/a b' }), 'file:///srv/a%20b');
    assert.equal(storageName({ kind: 'memory', name: 'one' }), 'memory://one');
  });
});
