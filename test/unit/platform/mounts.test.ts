/** Is what MSR tells of its mount the storage that the bootstrapper was told? */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { mountOf, mountText } from '../../../src/platform/msr/mounts.ts';
import type { MsrSettings } from '../../../src/platform/msr/msr-settings.ts';

const SETTINGS: MsrSettings = { isReadOnly: undefined, replicas: ['f1e2d3c4b5a0'] };

describe('a mount', () => {
  it('is the same whether or not its folder ends with a slash', () => {
    for (const nfsPath of ['srv/images', '/srv/images', '/srv/images/']) {
      const mount = mountOf({ ...SETTINGS, nfsHost: 'server', nfsPath });
      assert.ok(mount);
      assert.equal(mountText(mount), mountText({ nfs: 'nfs://server/srv/images/' }));
    }
    assert.equal(mountText({ volume: '/mnt/new/' }), mountText({ volume: '/mnt/new' }));
    assert.notEqual(mountText({ volume: '/mnt/new' }), mountText({ volume: '/mnt/newer' }));
  });

  it('is none where the images lie in a cloud', () => {
    assert.equal(mountOf({ ...SETTINGS, storageVolume: '', nfsHost: '', nfsPath: '' }), undefined);
  });
});
