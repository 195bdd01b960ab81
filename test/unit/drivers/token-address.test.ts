import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../src/core/errors.ts';
import { AzureService } from '../../../src/drivers/azure/azure-service.ts';
import { openGcsDriver } from '../../../src/drivers/gcs/gcs-driver.ts';
import type { AzureSpec } from '../../../src/drivers/spec.ts';
import { gcsSpecFor } from '../../support/gcs-world.ts';

const REFUSED = (error: unknown): boolean =>
  error instanceof ConfigError && /Cannot send an access token to .* over http/.test(error.message);

function azureAt(endpoint: string): AzureSpec {
  return {
    kind: 'azure',
    accountName: 'account',
    container: 'c',
    endpoint,
    rootDirectory: '',
    hasSlashRoot: false,
    access: { type: 'default' },
    skipsTlsVerify: false,
  };
}

describe('access tokens', () => {
  it('are not sent in clear to another machine', async () => {
    assert.throws(() => new AzureService(azureAt('http://10.0.0.7:10000/account')), REFUSED);
    const open = async () =>
      openGcsDriver({ storage: gcsSpecFor('http://gcs.example.com'), engine: 'direct' });
    await assert.rejects(open(), REFUSED);
  });

  it('are sent over TLS, and to this machine', () => {
    for (const endpoint of ['https://account.blob.core.windows.net', 'http://127.0.0.1:10000/account'])
      assert.doesNotThrow(() => new AzureService(azureAt(endpoint)).close());
  });
});
