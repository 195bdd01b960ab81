/**
 * The main job on the real thing: a docker-registry on a folder, filled by skopeo, copied to a real Ceph, served from
 * there by a second docker-registry, and copied back. The tests of one engine build on each other, in their order.
 */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Ceph, startCeph } from '../support/ceph.ts';
import { type CliResult, runBlobferry } from '../support/cli.ts';
import { isUnknown, pullAll } from '../support/image-pull.ts';
import { type Mess, makeMess, pushImages, setTag } from '../support/image-push.ts';
import { buildImages, type ImageSet } from '../support/images.ts';
import {
  type Registry,
  type RegistryStorage,
  registryConfiguration,
  startRegistry,
  storageYaml,
} from '../support/registry.ts';
import { getBlob } from '../support/registry-api.ts';
import { exceptionPaths, fieldsOf, summaryOf } from '../support/run-checks.ts';
import { S3Bucket } from '../support/s3-bucket.ts';
import { makeTempFolder, type TempFolder } from '../support/temp.ts';
import { missingTools } from '../support/tools.ts';
import {
  compareTrees,
  isUnfinishedUpload,
  readTree,
  type Tree,
  totalBytes,
  without,
} from '../support/tree.ts';

const MOVED_TAG_LINK = 'docker/registry/v2/repositories/team/app/_manifests/tags/moved/current/link';

const NOTHING_WRONG = {
  objectsFailed: 0,
  objectsDamaged: 0,
  objectsVanished: 0,
  objectsUnsettled: 0,
  objectsConflicting: 0,
  isComplete: true,
  layout: 'distribution',
  exceptions: [],
};

describe('a real registry', { skip: missingTools('ceph', 'registry', 'skopeo') }, () => {
  let folder: TempFolder;
  let ceph: Ceph;
  let images: ImageSet;
  let registry: Registry;
  let mess: Mess;
  /** What the registry keeps, less what no copy brings. */
  let kept: Tree;
  let storage: RegistryStorage;

  before(async () => {
    folder = await makeTempFolder('registry-e2e');
    const root = join(folder.path, 'source');
    await mkdir(root);
    storage = { filesystem: root };
    [ceph, images] = await Promise.all([
      startCeph({ directory: join(folder.path, 'ceph') }),
      buildImages({ directory: join(folder.path, 'oci'), seed: 'registry' }),
    ]);
    registry = await startRegistry({ storage });
    await pushImages(images, registry.host);
    mess = await makeMess(images, registry.host);
    const tree = await readTree(root);
    kept = without(tree, isUnfinishedUpload);
    assert.ok(tree.size > kept.size + mess.unfinishedUploads.length, 'unfinished uploads are there');
    // Everything below compares with what this registry serves, so that must be right first.
    const { problems } = await pullAll(registry.host, mess.images);
    assert.deepEqual(problems, []);
  });

  after(async () => {
    await registry?.stop();
    await ceph?.stop();
    await folder?.remove();
  });

  for (const { engine, rootDirectory } of [
    { engine: 'direct', rootDirectory: '/' },
    { engine: 'sdk', rootDirectory: '/some/where' },
  ] as const) {
    describe(`copied by the ${engine} engine`, () => {
      const prefix = rootDirectory === '/' ? '' : `${rootDirectory.slice(1)}/`;
      let bucket: S3Bucket;
      let target: RegistryStorage;
      let from: string;
      let to: string;
      let back: string;

      before(async () => {
        bucket = await new S3Bucket(ceph, `registry-${engine}`).create();
        target = { s3: { ...ceph, bucket: bucket.name, rootDirectory } };
        // One is the registry's whole configuration as it stands on a server, the other only the section that counts.
        from = join(folder.path, `${engine}-source.yml`);
        to = join(folder.path, `${engine}-target.yml`);
        await writeFile(from, registryConfiguration(registry.host, { storage }));
        await writeFile(to, storageYaml(target));
        back = join(folder.path, `${engine}-back`);
        await mkdir(back);
      });

      after(() => bucket?.close());

      const copy = (...more: readonly string[]): Promise<CliResult> =>
        runBlobferry(['copy', '--from', from, '--to', to, '--engine', engine, '--json', ...more]);
      const verify = (...more: readonly string[]): Promise<CliResult> =>
        runBlobferry(['verify', '--from', from, '--to', to, '--json', ...more]);

      it('arrives in the bucket object by object, byte by byte', async () => {
        const summary = summaryOf(await copy(), 0);
        const expected = {
          ...NOTHING_WRONG,
          engine,
          objectsCopied: kept.size,
          objectsSkipped: 0,
          bytesCopied: totalBytes(kept),
        };
        assert.deepEqual(fieldsOf(summary, expected), expected);
        assert.deepEqual(compareTrees(kept, await bucket.readTree(prefix)), []);
        assert.equal((await bucket.list()).size, kept.size, 'nothing lies beside the copy');
      });

      it('is served whole by a second registry on the bucket', async () => {
        const second = await startRegistry({ storage: target, isReadOnly: true });
        try {
          const { problems, images: pulled } = await pullAll(second.host, mess.images);
          assert.deepEqual(problems, []);
          assert.equal(pulled, mess.images.length);
          const { repository, digest } = mess.deleted;
          assert.ok(
            await isUnknown(second.host, `${repository}@${digest}`),
            'the deleted image stays deleted',
          );
          const empty = await getBlob(second.host, mess.emptyBlob.repository, mess.emptyBlob.digest);
          assert.equal(empty.length, 0);
        } finally {
          await second.stop();
        }
      });

      it('has nothing left to copy in a second run', async () => {
        const summary = summaryOf(await copy('--frozen'), 0);
        const expected = {
          ...NOTHING_WRONG,
          objectsCopied: 0,
          objectsSkipped: kept.size,
          bytesCopied: 0,
        };
        assert.deepEqual(fieldsOf(summary, expected), expected);
      });

      it('is equal by listing and when everything is read back', async () => {
        const expected = { objectsMatched: kept.size, objectsMissing: 0, objectsExtra: 0, isComplete: true };
        const listed = summaryOf(await verify(), 0);
        assert.deepEqual(fieldsOf(listed, { ...expected, isDeep: false }), { ...expected, isDeep: false });
        const deep = summaryOf(await verify('--deep'), 0);
        assert.deepEqual(fieldsOf(deep, { ...expected, isDeep: true }), { ...expected, isDeep: true });
        assert.ok(Number(deep['bytesRead']) >= totalBytes(kept), 'every byte of the target was read');
      });

      it('comes back to a folder as it was, by URLs and credentials of the environment', async () => {
        const root = encodeURI(rootDirectory);
        const url = `s3://${bucket.name}${root}?endpoint=${encodeURIComponent(ceph.endpoint)}&region=us-east-1`;
        const env = { AWS_ACCESS_KEY_ID: ceph.accessKeyId, AWS_SECRET_ACCESS_KEY: ceph.secretAccessKey };
        const args = ['--from', url, '--to', `file://${back}`, '--json'];
        const result = await runBlobferry(['copy', ...args, '--engine', engine], { env });
        const expected = { ...NOTHING_WRONG, objectsCopied: kept.size };
        assert.deepEqual(fieldsOf(summaryOf(result, 0), expected), expected);
        assert.deepEqual(compareTrees(kept, await readTree(back)), []);
        summaryOf(await runBlobferry(['verify', ...args, '--deep'], { env }), 0);
      });

      it('is served whole by a registry on the folder it came back to', async () => {
        const third = await startRegistry({ storage: { filesystem: back }, isReadOnly: true });
        try {
          assert.deepEqual((await pullAll(third.host, mess.images)).problems, []);
        } finally {
          await third.stop();
        }
      });

      it('follows a tag that moved, and copies nothing else', async () => {
        const key = `${prefix}${MOVED_TAG_LINK}`;
        const old = await bucket.get(key);
        const moved = images.images.find(({ repository, digest }) => {
          return repository === 'team/app' && digest !== old.toString();
        });
        assert.ok(moved);
        await setTag(images, registry.host, { ...moved, tag: 'moved' });
        try {
          assert.deepEqual(exceptionPaths(summaryOf(await verify(), 3)), [MOVED_TAG_LINK]);
          assert.equal(summaryOf(await copy(), 0)['objectsCopied'], 1);
          assert.equal((await bucket.get(key)).toString(), moved.digest);
          summaryOf(await verify('--deep'), 0);
        } finally {
          const before = images.images.find(({ digest }) => digest === old.toString());
          assert.ok(before);
          await setTag(images, registry.host, { ...before, tag: 'moved' });
        }
        assert.equal(summaryOf(await copy(), 0)['objectsCopied'], 1);
        assert.deepEqual(compareTrees(kept, await bucket.readTree(prefix)), []);
      });

      it('is mended by another run when an object is gone from the target', async () => {
        const [path] = blobsBySize(kept).slice(-1);
        assert.ok(path);
        await bucket.remove(`${prefix}${path}`);
        const missing = summaryOf(await verify(), 3);
        assert.deepEqual(exceptionPaths(missing), [path]);
        assert.equal(summaryOf(await copy(), 0)['objectsCopied'], 1);
        summaryOf(await verify('--deep'), 0);
      });

      it('is found out when one bit of it is wrong, in a blob or in a link', async () => {
        const [largest] = blobsBySize(kept);
        const smallLink = [...kept.keys()].find((path) =>
          /\/_layers\/sha256\/[0-9a-f]{64}\/link$/.test(path),
        );
        for (const path of [largest, smallLink, MOVED_TAG_LINK]) {
          assert.ok(path);
          const key = `${prefix}${path}`;
          const right = await bucket.get(key);
          await bucket.put(key, withFlippedBit(right));
          assert.deepEqual(exceptionPaths(summaryOf(await verify('--deep'), 3)), [path]);
          await bucket.put(key, right);
        }
        summaryOf(await verify('--deep'), 0);
      });

      it('is found out when one bit is wrong in the folder it came back to', async () => {
        const [largest = ''] = blobsBySize(kept);
        const file = join(back, largest);
        const right = await readFile(file);
        await writeFile(file, withFlippedBit(right));
        const args = ['verify', '--from', from, '--to', `file://${back}`, '--deep', '--json'];
        assert.deepEqual(exceptionPaths(summaryOf(await runBlobferry(args), 3)), [largest]);
        await writeFile(file, right);
        summaryOf(await runBlobferry(args), 0);
      });
    });
  }
});

/** Paths of blobs, the largest first; none is empty. */
function blobsBySize(tree: Tree): readonly string[] {
  return [...tree]
    .filter(([path, { sizeBytes }]) => /\/blobs\/sha256\/.*\/data$/.test(path) && sizeBytes > 0)
    .sort(([, a], [, b]) => b.sizeBytes - a.sizeBytes)
    .map(([path]) => path);
}

/** In the middle; 0x04 turns a hexadecimal digit of a link into something that may still be one. */
function withFlippedBit(bytes: Buffer): Buffer {
  const flipped = Buffer.from(bytes);
  const middle = flipped.length >> 1;
  flipped[middle] = (flipped[middle] ?? 0) ^ 0x04;
  return flipped;
}
