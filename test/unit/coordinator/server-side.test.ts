/** By the settings alone: which services could copy by themselves, and why others could not. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { whyNotServerSide } from '../../../src/coordinator/server-side.ts';
import type { AzureSpec, S3Spec, StorageSpec } from '../../../src/drivers/spec.ts';
import { layoutNamed } from '../../../src/layout/layouts.ts';

function s3(endpoint?: string): S3Spec {
  return {
    kind: 's3',
    bucket: 'bucket',
    rootDirectory: '',
    region: 'eu-west-1',
    isPathStyle: true,
    skipsTlsVerify: false,
    encrypt: false,
    ...(endpoint === undefined ? {} : { endpoint }),
  };
}

function azure(endpoint = 'https://account.blob.core.windows.net'): AzureSpec {
  return {
    kind: 'azure',
    accountName: 'account',
    container: 'container',
    endpoint,
    rootDirectory: '',
    hasSlashRoot: false,
    access: { type: 'shared-key', accountKey: 'a2V5' },
    skipsTlsVerify: false,
  };
}

const FILES: StorageSpec = { kind: 'fs', rootDirectory: '/srv/registry' };
const AUTO = { serverSide: 'auto', engine: 'direct' } as const;
const REGISTRY = layoutNamed('distribution');

describe('whyNotServerSide()', () => {
  for (const [what, source, target, why] of [
    ['AWS to Azure', s3(), azure(), undefined],
    ['another S3 service to Azure', s3('https://s3.example.com'), azure(), undefined],
    ['Azure to Azure', azure('https://other.blob.core.windows.net'), azure(), undefined],
    ['an emulator to another', s3('http://127.0.0.1:1'), azure('http://127.0.0.1:2/account'), undefined],
    ['a private S3 service to Azure', s3('https://10.0.0.7:9000'), azure(), /private network/],
    ['an emulator of Azure to Azure', azure('http://azurite:1/account'), azure(), /private network/],
    ['within AWS', s3(), s3(), undefined],
    ['one S3 service to another', s3('https://s3.example.com'), s3(), /different services/],
    ['Azure to S3', azure(), s3(), /copies nothing from a source of this kind/],
    ['files to Azure', FILES, azure(), /copies nothing from a source of this kind/],
  ] as const) {
    it(`${what}: ${why === undefined ? 'it could' : 'it could not'}`, () => {
      const said = whyNotServerSide({ source, target }, AUTO, REGISTRY);
      if (why === undefined) assert.equal(said, undefined);
      else assert.match(said ?? '', why);
    });
  }

  it('says what was asked for, or lacks, beside the settings', () => {
    const storages = { source: s3(), target: azure() };
    const never = { ...AUTO, serverSide: 'never' } as const;
    assert.match(whyNotServerSide(storages, never, REGISTRY) ?? '', /--server-side never/);
    assert.match(whyNotServerSide(storages, { ...AUTO, engine: 'sdk' }, REGISTRY) ?? '', /SDK engine/);
    assert.match(whyNotServerSide(storages, AUTO, layoutNamed('raw')) ?? '', /without a digest/);
  });
});
