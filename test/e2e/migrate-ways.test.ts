/** The other ways of a migration: reconfigure, what is taken back, and what is not and how people get back then. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { pullAll } from '../support/image-pull.ts';
import { pushImages } from '../support/image-push.ts';
import { buildImages, type ImageSet, type TestImage } from '../support/images.ts';
import { type MigrateOptions, type MigrateWorld, startMigrateWorld } from '../support/msr/migrate-world.ts';
import { cleanEnvironment, runCommand } from '../support/process.ts';
import { makeTempFolder, type TempFolder } from '../support/temp.ts';
import { missingTools } from '../support/tools.ts';
import { readTree } from '../support/tree.ts';

const GC = { action: 'onlinegc', schedule: '0 0 1 * * 0', retries: 2, deadline: '30m', stopTimeout: '30s' };

describe('blobferry migrate', { skip: missingTools('registry', 'skopeo') }, () => {
  let folder: TempFolder;
  let images: ImageSet;

  before(async () => {
    folder = await makeTempFolder('migrate-ways');
    images = await buildImages({
      directory: join(folder.path, 'images'),
      seed: 'ways',
      repositories: ['team/app', 'ab/early'],
      imagesPerRepository: 1,
      layerBytes: [200],
      largestLayerBytes: 30_000,
    });
  });

  after(() => folder?.remove());

  const only = (...which: readonly TestImage[]): ImageSet => ({ ...images, images: which });

  async function start(t: TestContext, options: MigrateOptions): Promise<MigrateWorld> {
    const world = await startMigrateWorld({
      ...options,
      msr: { ...options.msr, replicas: options.msr?.replicas ?? 1 },
    });
    t.after(() => world.stop());
    world.msr.state.crons.set('onlinegc', { id: 'cron-1', ...GC });
    const [first] = images.images;
    assert.ok(first);
    await pushImages(only(first), world.msr.host);
    return world;
  }

  async function isAsBefore({ msr, storage }: MigrateWorld): Promise<void> {
    assert.equal(msr.state.isReadOnly, false);
    assert.deepEqual([msr.state.mounted?.folder, 'filesystem' in msr.state.section], [storage, true]);
    const cron = msr.state.crons.get('onlinegc');
    assert.deepEqual({ ...cron, ...GC }, cron);
    const [first] = images.images;
    assert.deepEqual((await pullAll(msr.host, first ? [first] : [])).problems, []);
  }

  it('stops before the first write on the new storage, and takes even the switch back', async (t) => {
    const world = await start(t, { procedure: 'reconfigure' });
    const stopped = await world.migrate(['--yes']);
    assert.equal(stopped.code, 130, stopped.stderr);
    assert.match(stopped.stdout, /^Not gone on with "End read-only/);
    assert.match(
      stopped.stdout,
      /^This was changed, and stays so:\n(.*\n)* {2}Switch the registry to read-only\n/m,
    );
    assert.deepEqual(['s3' in world.msr.state.section, world.msr.state.isReadOnly], [true, true]);
    const undone = await world.migrate(['--undo', '--yes']);
    assert.equal(undone.code, 0, undone.stderr);
    await isAsBefore(world);
    // What is pushed now sorts before everything that was copied.
    const [first, second] = images.images;
    assert.ok(first && second);
    await pushImages(only(second), world.msr.host);
    const done = await world.migrate(['--yes', '--yes-forward']);
    assert.equal(done.code, 0, `${done.stdout}${done.stderr}`);
    assert.deepEqual(['s3' in world.msr.state.section, world.msr.state.isReadOnly], [true, false]);
    assert.deepEqual((await pullAll(world.msr.host, [first, second])).problems, []);
    assert.ok(!world.msr.called.some((call) => /destroy|restore|POST \/api\/v0\/jobs/.test(call)));
  });

  it('takes back what a step changed that fails, and says why', async (t) => {
    const world = await start(t, { procedure: 'reconfigure' });
    const json = { errors: [{ code: 'INVALID_STORAGE', message: 'AccessDenied testsecret' }] };
    world.msr.faults.add({
      on: 'PUT /api/v0/admin/settings/registry',
      does: { kind: 'answer', status: 400, json },
    });
    const failed = await world.migrate(['--yes', '--yes-forward']);
    assert.equal(failed.code, 4, failed.stderr);
    assert.match(failed.stdout, /^Everything that was changed is as it was before, and was seen to be:/);
    assert.match(failed.stdout, /"Switch the registry to its new storage": .*AccessDenied/);
    assert.ok(!`${failed.stdout}${failed.stderr}`.includes('testsecret'));
    await isAsBefore(world);
  });

  it('mounts a folder by reconfigure, tags kept', async (t) => {
    const moved = join(folder.path, 'moved');
    await mkdir(moved);
    const world = await start(t, {
      procedure: 'reconfigure',
      target: `file://${moved}`,
      platform: ['storageVolume: images'],
      msr: { volumes: { images: moved }, assumes: { withoutMigratedFlag: 'wipes' } },
    });
    const done = await world.migrate(['--yes', '--yes-forward']);
    assert.equal(done.code, 0, `${done.stdout}${done.stderr}`);
    assert.deepEqual([world.msr.state.mounted?.folder, world.msr.state.isReadOnly], [moved, false]);
    assert.deepEqual(await readTree(moved), await readTree(world.storage));
    const [first] = images.images;
    assert.deepEqual((await pullAll(world.msr.host, first ? [first] : [])).problems, []);
  });

  it('ends with what brings the registry back when a restore fails, and what it prints does so', async (t) => {
    const world = await start(t, { procedure: 'restore', msr: { replicas: 2 } });
    const before = await readTree(world.storage);
    world.msr.docker.misbehave('restore', {
      kind: 'fail',
      when: 'before',
      message: 'level=fatal msg="no node"',
    });
    const failed = await world.migrate(['--yes', '--yes-forward']);
    assert.equal(failed.code, 5, failed.stderr);
    assert.match(
      failed.stdout,
      /^The registry is still read-only or does not run at all: its replicas are destroyed/,
    );
    assert.deepEqual(await readTree(world.storage), before);
    const [, back = ''] = failed.stdout.split('By hand, back:\n');
    const env = cleanEnvironment(world.env);
    // What is indented is to be pasted; what this migration did not check is said below it.
    const commands = back.split('\n').filter((line) => line.startsWith('  '));
    assert.ok(commands.length >= 4, back);
    assert.match(back, /^insecure: whoever answered at https:\/\/mke\.example\.com was believed$/m);
    for (const line of commands) {
      const { code, stderr } = await runCommand('sh', ['-c', line], { env });
      assert.equal(code, 0, `${line}: ${stderr}`);
    }
    // The replicas follow one after the other.
    for (let looks = 0; looks < 6; looks += 1) await world.msr.state.replicas.look();
    world.msr.state.isReadOnly = Object.values(world.msr.state.replicas.readOnly()).includes(true);
    await isAsBefore(world);
  });

  it('goes on behind a restore that failed, once it can', async (t) => {
    const world = await start(t, { procedure: 'restore', msr: { assumes: { restoresReadOnly: false } } });
    world.msr.docker.misbehave('restore', {
      kind: 'fail',
      when: 'after',
      message: 'level=fatal msg="timeout"',
    });
    assert.equal((await world.migrate(['--yes', '--yes-forward'])).code, 5);
    const done = await world.migrate(['--yes', '--yes-forward']);
    assert.equal(done.code, 0, `${done.stdout}${done.stderr}`);
    assert.match(done.stderr, /every replica is read-only, it was writable for a moment/);
    assert.match(done.stderr, /what was pushed meanwhile is in the target/);
    const [first] = images.images;
    assert.deepEqual((await pullAll(world.msr.host, first ? [first] : [])).problems, []);
    assert.deepEqual(['s3' in world.msr.state.section, world.msr.state.isReadOnly], [true, false]);
  });
});
