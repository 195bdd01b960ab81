/** Both procedures from Swift to S3: pushes between the steps, and everything pullable afterwards. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pullAll } from '../support/image-pull.ts';
import { pushImages } from '../support/image-push.ts';
import { buildImages, type ImageSet, type TestImage } from '../support/images.ts';
import { startMigrateWorld } from '../support/msr/migrate-world.ts';
import { type Swift, startSwift } from '../support/swift.ts';
import { SwiftContainer } from '../support/swift-container.ts';
import { makeTempFolder, type TempFolder } from '../support/temp.ts';
import { missingTools } from '../support/tools.ts';

describe('blobferry migrate, from Swift', { skip: missingTools('registry', 'skopeo', 'swift') }, () => {
  let folder: TempFolder;
  let images: ImageSet;
  let swift: Swift;

  before(async () => {
    folder = await makeTempFolder('migrate-swift');
    images = await buildImages({
      directory: join(folder.path, 'images'),
      seed: 'swift',
      repositories: ['team/app'],
      imagesPerRepository: 3,
      layerBytes: [200],
      largestLayerBytes: 30_000,
    });
    swift = await startSwift({ directory: join(folder.path, 'swift') });
  });

  after(async () => {
    await swift?.stop();
    await folder?.remove();
  });

  const only = (...which: readonly TestImage[]): ImageSet => ({ ...images, images: which });

  for (const procedure of ['restore', 'reconfigure'] as const) {
    it(`moves everything to S3: procedure ${procedure}`, async (t) => {
      const container = await new SwiftContainer(swift, procedure).create();
      const source = { swift: { ...swift, container: procedure, prefix: 'msr' } };
      const world = await startMigrateWorld({ procedure, source, msr: { replicas: 1 } });
      t.after(() => world.stop());
      const [first, second, third] = images.images;
      assert.ok(first && second && third);
      await pushImages(only(first), world.msr.host);
      const run = async (...args: readonly string[]): Promise<void> => {
        const result = await world.migrate(['--yes', ...args]);
        assert.equal(result.code, 0, `${result.stdout}\n${result.stderr}`);
      };
      await run('--until', 'backup-1');
      await pushImages(only(second), world.msr.host);
      await run('--until', 'live');
      await pushImages(only(third), world.msr.host);
      const before = await container.names();
      await run('--yes-forward');
      assert.deepEqual(['s3' in world.msr.state.section, world.msr.state.isReadOnly], [true, false]);
      assert.deepEqual((await pullAll(world.msr.host, images.images)).problems, []);
      assert.deepEqual(await container.names(), before, 'the old storage is as it was');
    });
  }
});
