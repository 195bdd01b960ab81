/** Rows of docs/errors.md about buckets, permissions, targets and objects. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { blobferry, copy, ENGINES, errorTests, type RowTest } from '../support/error-tests.ts';
import { BUCKET, fillBucket, holdsTree, s3Url, startServer, TREE, treeUrl } from '../support/error-world.ts';
import { mustRun } from '../support/process.ts';
import { makeSmallTree } from '../support/small-tree.ts';
import { tempFolderFor } from '../support/temp.ts';

const MIB = 1024 ** 2;
const LARGE = makeSmallTree({ seed: 'parts', blobBytes: [18 * MIB, 1000] });
const [LARGE_BLOB = ''] = LARGE.blobs;
const [BLOB = ''] = TREE.blobs;

/** A copy into a server that answers writes of objects with this code. */
function refusedWrites(status: number, code: string): RowTest {
  return async (t, row) => {
    const from = await treeUrl(t);
    for (const engine of ENGINES) {
      const server = await startServer(t);
      const fault = { kind: 'status', status, code, when: 'body' } as const;
      const handle = await server.misbehave({ fault, method: 'PUT', times: 1_000 });
      row.check(await copy(t, from, s3Url(server.endpoint), { engine }));
      assert.ok(((await handle.used())[0] ?? 0) > 0);
      assert.deepEqual(await server.keys(BUCKET), []);
    }
  };
}

/** A copy from a server that answers the reading of one blob with this code; the next one is whole. */
function refusedRead(status: number, code: string): RowTest {
  return async (t, row) => {
    for (const engine of ENGINES) {
      const server = await startServer(t);
      await fillBucket(server);
      const fault = { kind: 'status', status, code } as const;
      const handle = await server.misbehave({ fault, operation: 'GetObject', key: BLOB });
      const target = await tempFolderFor(t, 'target');
      row.check(await copy(t, s3Url(server.endpoint), `file://${target}`, { engine }));
      await handle.assertUsedUp();
      await assert.rejects(readdir(join(target, 'docker/registry/v2/repositories')), /ENOENT/);
      const again = await copy(t, s3Url(server.endpoint), `file://${target}`, {
        engine,
        more: ['--into-nonempty'],
      });
      assert.equal(again.code, 0, again.stderr);
      assert.ok(TREE.objects.get(BLOB)?.equals(await readFile(join(target, BLOB))));
    }
  };
}

errorTests(import.meta.filename, {
  'a bucket that is not there': async (t, row) => {
    const server = await startServer(t);
    for (const engine of ENGINES) {
      const to = s3Url(server.endpoint, { bucket: 'no-such-bucket' });
      row.check(await copy(t, await treeUrl(t), to, { engine }));
    }
  },
  'credentials that may not list': async (t, row) => {
    for (const engine of ENGINES) {
      const server = await startServer(t);
      const fault = { kind: 'status', status: 403, code: 'AccessDenied' } as const;
      const handle = await server.misbehave({ fault, operation: 'ListObjectsV2', times: 100 });
      const target = await tempFolderFor(t, 'target');
      row.check(await copy(t, s3Url(server.endpoint), `file://${target}`, { engine }));
      assert.ok(((await handle.used())[0] ?? 0) > 0);
    }
  },
  'credentials that may not write': refusedWrites(403, 'AccessDenied'),
  'a storage class that the server does not have': refusedWrites(400, 'InvalidStorageClass'),
  'an ACL for a bucket that takes none': refusedWrites(400, 'AccessControlListNotSupported'),
  'an encryption key that is not there': refusedWrites(400, 'KMS.NotFoundException'),
  'a target whose quota is used up': refusedWrites(403, 'QuotaExceeded'),
  'a target that is full': refusedWrites(507, 'XMinioStorageFull'),
  'an encryption key that is switched off': refusedWrites(400, 'KMS.DisabledException'),
  'an object that may not be read': refusedRead(403, 'AccessDenied'),
  'a permission that is taken away on the way': async (t, row) => {
    const many = makeSmallTree({
      seed: 'denied',
      blobBytes: Array.from({ length: 120 }, (_, index) => 500 + index),
    });
    for (const engine of ENGINES) {
      const server = await startServer(t);
      const fault = { kind: 'status', status: 403, code: 'AccessDenied' } as const;
      const keyPrefix = 'docker/';
      const denial = await server.misbehave({ fault, method: 'PUT', keyPrefix, skip: 5, times: 10_000 });
      row.check(await copy(t, await treeUrl(t, many), s3Url(server.endpoint), { engine }));
      const used = (await denial.used())[0] ?? 0;
      assert.ok(used > 0 && used < 120, `${used} objects were tried and denied`);
    }
  },
  'archived objects in the source': async (t, row) => {
    const server = await startServer(t);
    await fillBucket(server);
    const attributes = [['x-amz-storage-class', 'GLACIER']] as const;
    const archived = TREE.blobs.slice(0, 2).map((key) => ({ key, body: Buffer.from('x'), attributes }));
    await server.put(BUCKET, archived);
    for (const engine of ENGINES) {
      const target = await tempFolderFor(t, 'target');
      row.check(await copy(t, s3Url(server.endpoint), `file://${target}`, { engine }));
      assert.deepEqual(await readdir(target), []);
    }
  },
  'an object that is archived on the way': refusedRead(403, 'InvalidObjectState'),
  'a registry under another key rule': async (t, row) => {
    const server = await startServer(t);
    await server.put(
      BUCKET,
      [...TREE.objects].map(([key, body]) => ({ key: `/${key}`, body })),
    );
    const target = await tempFolderFor(t, 'target');
    row.check(await copy(t, s3Url(server.endpoint), `file://${target}`));
    assert.deepEqual(await readdir(target), []);
    const right = s3Url(server.endpoint, { root: '/', more: '&keyrule=plain' });
    assert.equal((await copy(t, right, `file://${target}`)).code, 0);
  },
  'registries under two other key rules': async (t, row) => {
    const server = await startServer(t);
    for (const prefix of ['', '/']) {
      await server.put(
        BUCKET,
        [...TREE.objects].map(([key, body]) => ({ key: prefix + key, body })),
      );
    }
    const target = await tempFolderFor(t, 'target');
    row.check(
      await copy(t, s3Url(server.endpoint, { root: 'a' }), `file://${target}`, { more: ['--layout', 'raw'] }),
    );
    assert.deepEqual(await readdir(target), []);
  },
  'a key that is too long for S3': async (t, row) => {
    const folder = await tempFolderFor(t, 'long');
    const deep = join(folder, ...Array.from({ length: 5 }, () => 'x'.repeat(250)));
    await mkdir(deep, { recursive: true });
    await writeFile(join(deep, 'file'), 'content');
    for (const engine of ENGINES) {
      const server = await startServer(t);
      row.check(
        await copy(t, `file://${folder}`, s3Url(server.endpoint), { engine, more: ['--layout', 'raw'] }),
      );
    }
  },
  'a root without a registry in it': async (t, row) => {
    const folder = await tempFolderFor(t, 'other');
    await writeFile(join(folder, 'notes.txt'), 'no registry');
    const server = await startServer(t);
    row.check(await copy(t, `file://${folder}`, s3Url(server.endpoint)));
  },
  'a raw source that holds nothing': async (t, row) => {
    const source = await tempFolderFor(t, 'mount-point');
    const server = await startServer(t);
    const more = ['--layout', 'raw'];
    row.check(await copy(t, `file://${source}`, s3Url(server.endpoint), { more }));
    for (const engine of ENGINES) {
      const target = await tempFolderFor(t, 'target');
      row.check(await copy(t, s3Url(server.endpoint), `file://${target}`, { engine, more }));
    }
  },
  'a storage that is verified against itself': async (t, row) => {
    const from = await treeUrl(t);
    row.check(await blobferry(['verify', '--from', from, '--to', from]));
  },
  'a target that is not empty': async (t, row) => {
    const from = await treeUrl(t);
    for (const engine of ENGINES) {
      const server = await startServer(t);
      await server.put(BUCKET, [{ key: 'someone/elses', body: Buffer.from('precious') }]);
      row.check(await copy(t, from, s3Url(server.endpoint), { engine }));
      const keys = (await server.keys(BUCKET)).map(({ key }) => key);
      assert.deepEqual(keys, ['someone/elses']);
      const allowed = await copy(t, from, s3Url(server.endpoint), { engine, more: ['--into-nonempty'] });
      assert.equal(allowed.code, 0, allowed.stderr);
      assert.ok(await holdsTree(server));
      assert.equal(Buffer.from((await server.get(BUCKET, 'someone/elses')) ?? []).toString(), 'precious');
    }
  },
  'a target that is the source': async (t, row) => {
    const from = await treeUrl(t);
    const folder = fileURLToPath(from);
    row.check(await copy(t, from, from));
    await symlink(folder, `${folder}-link`);
    t.after(async () => void (await mustRun('rm', [`${folder}-link`])));
    row.check(await copy(t, from, `${from}-link`));
  },
  'a target inside its source': async (t, row) => {
    const from = await treeUrl(t);
    await mkdir(join(fileURLToPath(from), 'docker', 'inner'));
    row.check(await copy(t, from, `${from}/docker/inner`));
    const { endpoint } = await startServer(t);
    row.check(await copy(t, s3Url(endpoint), s3Url(endpoint, { root: 'below' })));
  },
  'a source inside its target': async (t, row) => {
    const { endpoint } = await startServer(t);
    row.check(await copy(t, s3Url(endpoint, { root: 'below' }), s3Url(endpoint)));
  },
  'an object whose bytes are wrong while it is read': async (t, row) => {
    const server = await startServer(t);
    await fillBucket(server, LARGE);
    const rule = {
      fault: { kind: 'replace-object' },
      operation: 'GetObject',
      key: LARGE_BLOB,
      skip: 1,
    } as const;
    const fault = await server.misbehave(rule);
    const target = await tempFolderFor(t, 'target');
    row.check(await copy(t, s3Url(server.endpoint), `file://${target}`));
    await fault.assertUsedUp();
    await assert.rejects(readFile(join(target, LARGE_BLOB)), /ENOENT/);
  },
  'an object whose bytes are wrong in a frozen source': async (t, row) => {
    const server = await startServer(t);
    await fillBucket(server, LARGE);
    await server.put(BUCKET, [{ key: LARGE_BLOB, body: Buffer.alloc(18 * MIB, 7) }]);
    for (const engine of ENGINES) {
      const target = await tempFolderFor(t, 'target');
      row.check(await copy(t, s3Url(server.endpoint), `file://${target}`, { engine, more: ['--frozen'] }));
      await assert.rejects(readFile(join(target, LARGE_BLOB)), /ENOENT/);
    }
  },
  'an object that is gone from a frozen source': async (t, row) => {
    const server = await startServer(t);
    await fillBucket(server, LARGE);
    const gone = { kind: 'status', status: 404, code: 'NoSuchKey' } as const;
    const fault = await server.misbehave([
      { fault: gone, operation: 'GetObject', key: LARGE_BLOB, skip: 1 },
      { fault: gone, operation: 'HeadObject', key: LARGE_BLOB },
    ]);
    const target = await tempFolderFor(t, 'target');
    row.check(await copy(t, s3Url(server.endpoint), `file://${target}`, { more: ['--frozen'] }));
    await fault.assertUsedUp();
  },
});
