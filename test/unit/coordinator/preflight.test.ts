import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { Journal } from '../../../src/coordinator/journal.ts';
import {
  bindTarget,
  claimTarget,
  describeBinding,
  refuseOverlap,
} from '../../../src/coordinator/preflight.ts';
import { ConfigError } from '../../../src/core/errors.ts';
import type { Binding, StorageDriver } from '../../../src/drivers/driver.ts';
import { openMemoryDriver } from '../../../src/drivers/memory/memory-driver.ts';
import { forgetStore, type MemoryStore, storeNamed } from '../../../src/drivers/memory/memory-store.ts';
import type { S3Spec, StorageSpec } from '../../../src/drivers/spec.ts';
import { distributionLayout } from '../../../src/layout/distribution.ts';
import type { Layout } from '../../../src/layout/layout.ts';
import { rawLayout } from '../../../src/layout/raw.ts';
import { type Fault, FaultDriver, fails } from '../../support/fault-driver.ts';
import { tempFolderFor } from '../../support/temp.ts';

const ctx = { signal: new AbortController().signal };
const MEMORY: StorageSpec = { kind: 'memory', name: 'target' };
const S3: S3Spec = {
  kind: 's3',
  bucket: 'bucket',
  rootDirectory: '',
  region: 'here',
  isPathStyle: true,
  skipsTlsVerify: false,
  encrypt: false,
};

interface Target {
  readonly store: MemoryStore;
  readonly driver: FaultDriver;
  readonly journal: Journal;
}

async function targetFor(test: TestContext, faults: readonly Fault[] = []): Promise<Target> {
  const name = `preflight ${test.name}`;
  const journal = Journal.open(await tempFolderFor(test, 'preflight'), 'a -> b');
  test.after(() => {
    journal.close();
    forgetStore(name);
  });
  return {
    store: storeNamed(name),
    driver: new FaultDriver(openMemoryDriver({ kind: 'memory', name }), faults),
    journal,
  };
}

function claim(
  { driver, journal }: Target,
  keyPrefix: string,
  intoNonempty = false,
  layout: Layout = distributionLayout,
): Promise<boolean> {
  const uploadsOpen = async () => ['theirs'];
  return claimTarget(ctx, driver, keyPrefix, { layout, intoNonempty, journal, uploadsOpen });
}

describe('claimTarget()', () => {
  it('owns an empty root, and still does when it is no longer empty', async (t) => {
    const target = await targetFor(t);
    assert.equal(await claim(target, ''), true);
    target.store.put('docker/registry/v2/x', Buffer.from('copied'), undefined);
    assert.equal(await claim(target, ''), true);
    assert.equal(target.journal.ownsTarget, true);
    assert.deepEqual(target.journal.strangers, new Set(['theirs']), 'what was open before is not remembered');
  });

  it('refuses a root that is not empty, names what it holds, and claims nothing', async (t) => {
    const target = await targetFor(t);
    target.store.put('root/docker/registry/v2/x', Buffer.from('theirs'), undefined);
    await assert.rejects(claim(target, 'root/'), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.match(error.message, /is not empty: it holds "root\/docker\/registry\/v2\/x"$/);
      assert.match(error.hint ?? '', /--into-nonempty/);
      return true;
    });
    assert.equal(target.journal.ownsTarget, undefined);
    // Emptied meanwhile: it is asked anew.
    target.store.remove('root/docker/registry/v2/x');
    assert.equal(await claim(target, 'root/'), true);
  });

  it('does not own a root that was not empty, in no later run either', async (t) => {
    const target = await targetFor(t);
    target.store.put('theirs', Buffer.from('theirs'), undefined);
    assert.equal(await claim(target, '', true), false);
    target.store.remove('theirs');
    assert.equal(await claim(target, '', true), false);
    assert.equal(await claim(target, '', false), false);
  });

  it('looks below its own root only', async (t) => {
    const target = await targetFor(t);
    target.store.put('root-of-others/x', Buffer.from('theirs'), undefined);
    target.store.put('a', Buffer.from('theirs'), undefined);
    assert.equal(await claim(target, 'root/'), true);
  });

  it('takes for empty what holds only our leftovers, marks of folders and what file systems keep', async (t) => {
    const target = await targetFor(t);
    for (const key of ['.blobferry-tmp/1', '.blobferry-probe/2', '.snapshot/daily/docker/x', '.nfs0000001']) {
      target.store.put(`root/${key}`, Buffer.from('x'), undefined);
    }
    for (const key of ['root/', 'root/docker/', 'root/lost+found/']) {
      target.store.put(key, Buffer.alloc(0), undefined);
    }
    assert.equal(await claim(target, 'root/'), true);
  });

  it('does not own what raw would find to be extra, and so remove, be it nothing that a registry misses', async (t) => {
    for (const key of [
      'lost+found/#1',
      'folder/',
      '.snapshot/daily/x',
      'docker/registry/v2/repositories/app/_uploads/1/data',
    ]) {
      const target = await targetFor(t);
      target.store.put(`root/${key}`, Buffer.alloc(0), undefined);
      assert.equal(await claim(target, 'root/', false, rawLayout), false, key);
      target.store.remove(`root/${key}`);
      target.journal.close();
    }
    const target = await targetFor(t);
    for (const key of ['.blobferry-tmp/1', '.blobferry-probe/2', ''])
      target.store.put(`root/${key}`, Buffer.alloc(0), undefined);
    assert.equal(await claim(target, 'root/', false, rawLayout), true);
  });

  it('takes an object named like the root, that is no mark, for what it is', async (t) => {
    const target = await targetFor(t);
    target.store.put('root/', Buffer.from('bytes'), undefined);
    await assert.rejects(claim(target, 'root/'), /is not empty/);
  });

  it('passes on that the target cannot be listed', async (t) => {
    const target = await targetFor(t, [{ on: 'list', does: fails('denied') }]);
    await assert.rejects(claim(target, ''), /scripted denied/);
    assert.equal(target.journal.ownsTarget, undefined);
  });
});

describe('refuseOverlap()', () => {
  it('refuses the same storage and one inside the other, in words', async (t) => {
    const folder = await tempFolderFor(t, 'overlap');
    await mkdir(join(folder, 'inner'));
    const fs = (path: string): StorageSpec => ({ kind: 'fs', rootDirectory: join(folder, path) });
    const table: readonly (readonly [StorageSpec, StorageSpec, RegExp])[] = [
      [fs('inner'), fs('inner'), /are the same storage/],
      [fs('.'), fs('inner'), /target .*inner lies inside the source/],
      [fs('inner'), fs('.'), /source .*inner lies inside the target/],
      [fs('.'), fs('inner/not/yet/made'), /target .* lies inside the source/],
      [S3, { ...S3, rootDirectory: '/sub' }, /target .* lies inside the source/],
      [MEMORY, MEMORY, /are the same storage/],
    ];
    for (const [source, target, message] of table) {
      await assert.rejects(refuseOverlap(source, target), (error) => {
        assert.ok(error instanceof ConfigError);
        assert.match(error.message, message);
        assert.ok(error.hint);
        return true;
      });
    }
    await refuseOverlap(fs('inner'), fs('inner-2'));
    await refuseOverlap(S3, { ...S3, bucket: 'another' });
    await refuseOverlap({ ...S3, rootDirectory: 'a' }, { ...S3, rootDirectory: 'ab' });
    await refuseOverlap(fs('.'), S3);
  });
});

describe('bindTarget()', () => {
  const notOpened = () => Promise.reject(new Error('no driver was to be opened'));

  it('asks what the target refuses, below the root and leaving nothing there', async (t) => {
    const { driver, store } = await targetFor(t);
    const binding = await bindTarget(ctx, driver.inner, MEMORY, 'root/.blobferry-probe/run-', notOpened);
    assert.equal(binding?.payloadSha256, true);
    assert.deepEqual(store.keys(), []);
    assert.equal(store.uploads.size, 0);
  });

  it('writes to a target that cannot be asked, below the root and leaving nothing there', async (t) => {
    const { driver, store } = await targetFor(t);
    // The fault driver has no binding facet, as a file system has none.
    assert.equal(await bindTarget(ctx, driver, MEMORY, 'root/.blobferry-probe/run-', notOpened), undefined);
    const [write] = driver.callsOf('write');
    assert.match(write?.key ?? '', /^root\/\.blobferry-probe\/run-./);
    assert.deepEqual(store.keys(), []);
  });

  it('passes on that the target cannot be written to', async (t) => {
    const { driver } = await targetFor(t, [{ on: 'write', does: fails('denied') }]);
    await assert.rejects(bindTarget(ctx, driver, MEMORY, '', notOpened), /scripted denied/);
  });

  it('asks an S3 target through the direct engine, whichever copies, and closes that again', async (t) => {
    const { driver } = await targetFor(t);
    let closed = 0;
    const { binding } = driver.inner;
    assert.ok(binding);
    const direct: StorageDriver = Object.assign(Object.create(driver.inner) as StorageDriver, {
      binding,
      close: async () => {
        closed += 1;
      },
    });
    const opened: unknown[] = [];
    const found = await bindTarget(ctx, driver, S3, '', async (spec, role) => {
      opened.push([spec.engine, role]);
      return direct;
    });
    assert.equal(found?.payloadSha256, true);
    assert.deepEqual(opened, [['direct', 'target']]);
    assert.equal(closed, 1);
  });
});

describe('describeBinding()', () => {
  const nothing: Binding = {
    payloadSha256: false,
    contentMd5: false,
    partCrc32: false,
    objectCrc32: false,
    storesSha256: false,
  };

  it('says what was refused, best proof first, or that everything is read back', async (t) => {
    const { driver } = await targetFor(t);
    assert.equal(
      describeBinding(driver, nothing),
      'the target refused nothing wrong: every object is read back',
    );
    const all = {
      payloadSha256: true,
      contentMd5: true,
      partCrc32: true,
      objectCrc32: true,
      storesSha256: true,
    };
    const words = describeBinding(driver, all);
    assert.match(words, /refuse a wrong payload sha256, .*part.*whole object.*Content-MD5; keeps the sha256/);
    assert.doesNotMatch(describeBinding(driver, { ...nothing, contentMd5: true }), /sha256|read back/);
    assert.match(describeBinding(driver, undefined), /temporary name, flushed to disk, renamed/);
  });

  it('calls an MD5 what the service calls it', () => {
    const byMd5 = { ...nothing, contentMd5: true };
    assert.match(describeBinding({ kind: 'azure' }, byMd5), /to refuse a wrong Content-MD5$/);
    const both = { ...byMd5, contentCrc64: true };
    assert.match(describeBinding({ kind: 'azure' }, both), /a wrong CRC-64, a wrong Content-MD5$/);
    assert.match(
      describeBinding({ kind: 'gcs' }, { ...byMd5, crc32c: true }),
      /a wrong CRC-32C, a wrong MD5$/,
    );
    assert.match(describeBinding({ kind: 'swift' }, byMd5), /to refuse a wrong ETag, which is the MD5$/);
  });

  it('says that everything is read back where that was asked for', () => {
    for (const binding of [undefined, { ...nothing, payloadSha256: true }])
      assert.match(
        describeBinding({ kind: 'x' }, binding, { readsBack: true }),
        /; every object is read back$/,
      );
  });

  it('says that everything is read back where what was refused binds no body', () => {
    const readBack = /, but nothing that binds every body: every object is read back/;
    const ofParts = { ...nothing, partCrc32: true, objectCrc32: true };
    assert.match(describeBinding({ kind: 's3' }, ofParts), readBack);
    const byMd5 = { ...nothing, contentMd5: true };
    assert.doesNotMatch(describeBinding({ kind: 's3' }, byMd5), readBack);
    assert.match(describeBinding({ kind: 's3' }, byMd5, { engine: 'sdk' }), readBack);
  });
});
