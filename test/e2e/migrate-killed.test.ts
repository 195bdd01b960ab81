/** A migration that is killed in every one of its steps, and begun again each time: it ends right. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pullAll } from '../support/image-pull.ts';
import { pushImages } from '../support/image-push.ts';
import { buildImages, type ImageSet } from '../support/images.ts';
import { type MigrateWorld, startMigrateWorld } from '../support/msr/migrate-world.ts';
import { makeTempFolder, type TempFolder } from '../support/temp.ts';
import { missingTools } from '../support/tools.ts';
import { readTree } from '../support/tree.ts';

const GC = { action: 'onlinegc', schedule: '0 0 1 * * 0', retries: 2, deadline: '30m', stopTimeout: '30s' };
const RUNS_MAX = 60;

describe('blobferry migrate, killed', { skip: missingTools('registry', 'skopeo') }, () => {
  let folder: TempFolder;
  let images: ImageSet;

  before(async () => {
    folder = await makeTempFolder('migrate-killed');
    images = await buildImages({
      directory: join(folder.path, 'images'),
      seed: 'killed',
      repositories: ['team/app'],
      imagesPerRepository: 2,
      layerBytes: [200],
      largestLayerBytes: 30_000,
    });
  });

  after(() => folder?.remove());

  /** Kills the first run that comes to a moment that no run was killed at. @returns its exit code. */
  async function run(
    world: MigrateWorld,
    moments: readonly string[],
    killed: Set<string>,
    only?: string,
  ): Promise<number | null> {
    const kill = new AbortController();
    const onLine = (line: string): void => {
      const [, step = '', what = ''] = /"event":"step".*"step":"([^"]*)","what":"([^"]*)"/.exec(line) ?? [];
      const moment = `${step} ${what}`;
      if (only !== undefined && step !== only) return;
      if (kill.signal.aborted || !moments.includes(what) || killed.has(moment)) return;
      killed.add(moment);
      kill.abort();
    };
    const args = ['--yes', '--yes-forward', '--json'];
    const result = await world.migrate(args, { onLine, signal: kill.signal, stopWith: 'SIGKILL' });
    assert.ok(
      result.code === null || result.code === 0,
      `${[...killed].at(-1)}: ${result.stdout}${result.stderr}`,
    );
    return result.code;
  }

  for (const [title, procedure, moments] of [
    ['before each step and behind it', 'restore', ['do-begun', 'do-ended']],
    ['when each step is seen to be done', 'reconfigure', ['effect-begun', 'effect-shown']],
  ] as const) {
    it(`${title}, ends right: procedure ${procedure}`, async (t) => {
      const world = await startMigrateWorld({ procedure, msr: { replicas: 1 } });
      t.after(() => world.stop());
      const { msr } = world;
      msr.state.crons.set('onlinegc', { id: 'cron-1', ...GC });
      await pushImages(images, msr.host);
      const before = await readTree(world.storage);
      const killed = new Set<string>();
      let runs = 0;
      while ((await run(world, moments, killed)) !== 0) {
        runs += 1;
        assert.ok(runs < RUNS_MAX, [...killed].join());
      }
      assert.ok(killed.size >= 10, [...killed].join());
      assert.deepEqual(['s3' in msr.state.section, msr.state.isReadOnly], [true, false]);
      assert.deepEqual((await pullAll(msr.host, images.images)).problems, []);
      const cron = msr.state.crons.get('onlinegc');
      assert.deepEqual({ ...cron, ...GC }, cron);
      assert.deepEqual(await readTree(world.storage), before, 'the old storage is as it was');
    });
  }

  it('in the final pass, undone, and begun again, brings what was pushed in between', async (t) => {
    const world = await startMigrateWorld({ procedure: 'reconfigure', msr: { replicas: 1 } });
    t.after(() => world.stop());
    const [first, second] = images.images;
    assert.ok(first && second);
    await pushImages({ ...images, images: [first] }, world.msr.host);
    const killed = new Set<string>();
    assert.equal(await run(world, ['do-begun'], killed, 'final-pass'), null);
    assert.deepEqual([...killed], ['final-pass do-begun']);
    assert.equal(world.msr.state.isReadOnly, true);
    const undone = await world.migrate(['--undo', '--yes']);
    assert.equal(undone.code, 0, undone.stderr);
    assert.equal(world.msr.state.isReadOnly, false);
    await pushImages({ ...images, images: [second] }, world.msr.host);
    assert.equal(await run(world, [], killed), 0);
    assert.deepEqual((await pullAll(world.msr.host, images.images)).problems, []);
    assert.ok('s3' in world.msr.state.section);
  });
});
