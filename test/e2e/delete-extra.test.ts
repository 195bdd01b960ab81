/**
 * Tags deleted in a docker-registry after its storage was copied: `--delete-extra` takes them from the copy, on a folder
 * and on a real Ceph, and a registry on the copy lists and serves exactly what is left. Tests build on each other.
 */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Ceph, startCeph } from '../support/ceph.ts';
import { type CliResult, runBlobferry } from '../support/cli.ts';
import { pullAll } from '../support/image-pull.ts';
import { pushImages } from '../support/image-push.ts';
import { buildImages, type ImageSet, MANIFEST_TYPE, type TestImage } from '../support/images.ts';
import { type Registry, type RegistryStorage, startRegistry, storageYaml } from '../support/registry.ts';
import { deleteManifest, listTags } from '../support/registry-api.ts';
import { fieldsOf, summaryOf } from '../support/run-checks.ts';
import { S3Bucket } from '../support/s3-bucket.ts';
import { makeTempFolder, type TempFolder } from '../support/temp.ts';
import { missingTools } from '../support/tools.ts';

const BUCKET = 'delete-extra';

describe('tags deleted in a real registry', { skip: missingTools('ceph', 'registry', 'skopeo') }, () => {
  let folder: TempFolder;
  let ceph: Ceph;
  let bucket: S3Bucket;
  let images: ImageSet;
  let registry: Registry;
  let from: string;
  let left: readonly TestImage[];
  const targets: { readonly name: string; readonly storage: RegistryStorage; readonly file: string }[] = [];

  before(async () => {
    folder = await makeTempFolder('delete-extra-e2e');
    const root = join(folder.path, 'source');
    await mkdir(root);
    [ceph, images] = await Promise.all([
      startCeph({ directory: join(folder.path, 'ceph') }),
      buildImages({
        directory: join(folder.path, 'oci'),
        seed: 'delete-extra',
        layerBytes: [200, 20_000],
        largestLayerBytes: 100_000,
      }),
    ]);
    bucket = await new S3Bucket(ceph, BUCKET).create();
    const storages = {
      folder: { filesystem: join(folder.path, 'target') },
      bucket: { s3: { ...ceph, bucket: BUCKET, rootDirectory: '/some/where' } },
    };
    for (const [name, storage] of Object.entries(storages)) {
      const file = join(folder.path, `${name}.yml`);
      await writeFile(file, storageYaml(storage));
      targets.push({ name, storage, file });
    }
    from = join(folder.path, 'source.yml');
    await writeFile(from, storageYaml({ filesystem: root }));
    registry = await startRegistry({ storage: { filesystem: root } });
    await pushImages(images, registry.host);
    for (const { file } of targets) summaryOf(await copy(file), 0);
    left = await deleteSome(registry.host, images.images);
  });

  after(async () => {
    await registry?.stop();
    bucket?.close();
    await ceph?.stop();
    await folder?.remove();
  });

  const copy = (to: string, ...more: readonly string[]): Promise<CliResult> =>
    runBlobferry(['copy', '--from', from, '--to', to, '--json', ...more]);

  async function pulledFrom(
    storage: RegistryStorage,
    expected: readonly TestImage[],
  ): Promise<readonly string[]> {
    const served = await startRegistry({ storage, isReadOnly: true });
    try {
      return (await pullAll(served.host, expected)).problems;
    } finally {
      await served.stop();
    }
  }

  it('are still in the copies after another pass', async () => {
    for (const { file, storage } of targets) {
      assert.equal(summaryOf(await copy(file, '--frozen'), 0)['objectsDeleted'], 0);
      assert.deepEqual(await pulledFrom(storage, images.images), []);
    }
  });

  it('are shown by a plan and by --max-delete 0, which remove nothing', async () => {
    for (const { file, storage } of targets) {
      const shown = summaryOf(await copy(file, '--frozen', '--delete-extra', '--max-delete', '0'), 1);
      const count = Number(shown['objectsExtra']);
      assert.ok(count > 0);
      const planned = summaryOf(await runBlobferry(['plan', '--from', from, '--to', file, '--json']), 0);
      assert.equal(planned['objectsToDelete'], count);
      assert.deepEqual(await pulledFrom(storage, images.images), []);
    }
  });

  it('are gone with --delete-extra, and everything else is listed and served', async () => {
    for (const { name, file, storage } of targets) {
      const summary = summaryOf(await copy(file, '--frozen', '--delete-extra'), 0);
      assert.ok(Number(summary['objectsDeleted']) > 0, name);
      const expected = { objectsExtra: summary['objectsDeleted'], objectsFailed: 0, exceptions: [] };
      assert.deepEqual(fieldsOf(summary, expected), expected);
      assert.deepEqual(await pulledFrom(storage, left), [], name);
    }
  });

  it('leave nothing to do, and a copy that verify finds equal', async () => {
    for (const { file } of targets) {
      const again = summaryOf(await copy(file, '--frozen', '--delete-extra'), 0);
      assert.deepEqual(fieldsOf(again, { objectsExtra: 0, objectsDeleted: 0, objectsCopied: 0 }), {
        objectsExtra: 0,
        objectsDeleted: 0,
        objectsCopied: 0,
      });
      summaryOf(await runBlobferry(['verify', '--from', from, '--to', file, '--deep', '--json']), 0);
    }
  });
});

/** All images of one repository, and one of another. @returns what is left. */
async function deleteSome(host: string, images: readonly TestImage[]): Promise<readonly TestImage[]> {
  const [whole] = images;
  const other = images.find(
    ({ repository, mediaType }) => repository !== whole?.repository && mediaType === MANIFEST_TYPE,
  );
  const gone = images.filter((image) => image.repository === whole?.repository || image === other);
  assert.ok(gone.length > 2);
  for (const { repository, digest } of gone) await deleteManifest(host, repository, digest);
  const left = images.filter((image) => !gone.includes(image));
  assert.deepEqual(await listTags(host, whole?.repository ?? ''), []);
  return left;
}
