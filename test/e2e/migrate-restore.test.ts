/** Procedure restore, from a folder to S3: with pushes, retags and deletes until the registry is read-only. */
import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pullAll } from '../support/image-pull.ts';
import { pushImages, setTag } from '../support/image-push.ts';
import { buildImages, type ImageSet, type TestImage } from '../support/images.ts';
import { type MigrateWorld, startMigrateWorld } from '../support/msr/migrate-world.ts';
import { makeTempFolder, type TempFolder } from '../support/temp.ts';
import { missingTools } from '../support/tools.ts';
import { readTree } from '../support/tree.ts';

const GC = { action: 'onlinegc', schedule: '0 0 1 * * 0', retries: 2, deadline: '30m', stopTimeout: '30s' };

describe('blobferry migrate, procedure restore', { skip: missingTools('registry', 'skopeo') }, () => {
  let folder: TempFolder;
  let images: ImageSet;

  before(async () => {
    folder = await makeTempFolder('migrate-images');
    images = await buildImages({
      directory: join(folder.path, 'images'),
      seed: 'migrate',
      repositories: ['team/app', 'team/other'],
      imagesPerRepository: 3,
      layerBytes: [200, 20_000],
      largestLayerBytes: 300_000,
    });
  });

  after(() => folder?.remove());

  const only = (...which: readonly TestImage[]): ImageSet => ({ ...images, images: which });

  async function remove(world: MigrateWorld, path: string): Promise<void> {
    const headers = { authorization: `Basic ${Buffer.from('admin:admin-password').toString('base64')}` };
    const response = await fetch(`${world.msr.url}/api/v0/repositories/${path}`, {
      method: 'DELETE',
      headers,
    });
    assert.equal(response.status, 204);
  }

  it('moves everything, whatever was pushed until read-only, and ends as it was before', async (t) => {
    const world = await startMigrateWorld({ procedure: 'restore' });
    t.after(() => world.stop());
    const { msr } = world;
    msr.state.crons.set('onlinegc', { id: 'cron-1', ...GC });
    const [first, second, third, fourth, fifth, sixth] = images.images;
    assert.ok(first && second && third && fourth && fifth && sixth);
    await pushImages(only(first, second, third), msr.host);
    await setTag(images, msr.host, { ...first, tag: 'moves' });
    const run = async (...args: readonly string[]): Promise<void> => {
      const result = await world.migrate(['--yes', ...args]);
      assert.equal(result.code, 0, `${result.stdout}\n${result.stderr}`);
    };
    await run('--until', 'backup-1');
    await pushImages(only(fourth), msr.host);
    await run('--until', 'live');
    await pushImages(only(fifth, sixth), msr.host);
    await setTag(images, msr.host, { ...third, repository: first.repository, tag: 'moves' });
    await remove(world, `${second.repository}/tags/${second.tag}`);
    const before = await readTree(world.storage);
    await run('--yes-forward');
    assert.equal(msr.state.isReadOnly, false);
    assert.deepEqual(Object.keys(msr.state.section).includes('s3'), true);
    const moved = { ...third, repository: first.repository, tag: 'moves' };
    const expected = [first, third, fourth, fifth, sixth, moved];
    assert.deepEqual((await pullAll(msr.host, expected)).problems, []);
    assert.deepEqual(msr.state.missing, []);
    const cron = msr.state.crons.get('onlinegc');
    assert.deepEqual({ ...cron, ...GC }, cron);
    // The old storage is as it was.
    assert.deepEqual(await readTree(world.storage), before);
    const backup = msr.docker.containers.map(({ name }) => name);
    assert.deepEqual(backup, [], 'no container is left behind');
    const again = await world.migrate([]);
    assert.deepEqual([again.code, /complete already/.test(again.stdout)], [0, true]);
    const changes = msr.called.filter((call) => /^(POST|PUT|DELETE) \/api|docker run/.test(call));
    assert.deepEqual(
      changes.filter((call) => !call.includes('repositories')),
      [
        // Is there such an image?
        'docker run backup',
        'DELETE /api/v0/crons/onlinegc',
        'DELETE /api/v0/crons/cron-1',
        'docker run backup',
        'POST /api/v0/meta/settings',
        'docker run backup',
        'docker run destroy',
        'docker run destroy',
        'docker run destroy',
        'docker run restore',
        'PUT /api/v0/admin/settings/registry',
        'POST /api/v0/meta/settings',
        'POST /api/v0/jobs',
        'POST /api/v0/crons',
      ],
    );
    assert.equal((await stat(join(world.folder, 'backups'))).mode & 0o777, 0o700);
  });
});
