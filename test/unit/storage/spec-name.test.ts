import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { identityOf } from '../../../src/coordinator/coordinator.ts';
import type { S3Spec, SwiftSpec } from '../../../src/drivers/spec.ts';
import { storageName } from '../../../src/drivers/spec-name.ts';
import { msrLayout } from '../../../src/layout/msr.ts';

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

describe('what makes two jobs the same', () => {
  const ACCESS = {
    authUrl: 'https://keystone.example.com/v3',
    authVersion: 3,
    user: 'copier',
    password: 'hush',
    tenant: 'one',
    endpointType: 'public',
  } as const;
  const jobTo = (access: Partial<SwiftSpec['access']>): string => {
    const target = { kind: 'swift', container: 'registry', prefix: '', skipsTlsVerify: false } as const;
    const source = { kind: 'fs', rootDirectory: '/srv' } as const;
    return identityOf({ source, target: { ...target, access: { ...ACCESS, ...access } } }, msrLayout);
  };

  it('is the project of a Swift as well: each may have a container of the same name', () => {
    assert.equal(jobTo({ user: 'another', password: 'other' }), jobTo({}));
    const others = [
      { tenant: 'two' },
      { tenantId: '2' },
      { tenantDomain: 'two' },
      { domain: 'two' },
      { region: 'two' },
    ];
    for (const other of others) assert.notEqual(jobTo(other), jobTo({}), JSON.stringify(other));
    const tempauth = { authVersion: 1, user: 'account:one' } as const;
    assert.equal(jobTo({ ...tempauth, user: 'account:two' }), jobTo(tempauth));
    assert.notEqual(jobTo({ ...tempauth, user: 'other:one' }), jobTo(tempauth));
    assert.doesNotMatch(jobTo({}), /hush|copier/);
  });
});
