/** A migration that is killed in every one of its steps, and begun again each time: it ends right. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, it } from 'node:test';
import { pullAll } from '../support/image-pull.ts';
import { pushImages } from '../support/image-push.ts';
import { buildImages, type ImageSet } from '../support/images.ts';
import {
  type Gate,
  type MigrateWorld,
  startMigrateWorld,
  type WorldCall,
} from '../support/msr/migrate-world.ts';
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
    const kill = new AbortController();
    const { promise: dead, resolve: isDead } = Promise.withResolvers<void>();
    // The last blob that the final pass has to copy.
    const isLast = ({ to, call }: WorldCall): boolean => to === 's3' && /^PUT .*\/id\/ff\//.test(call);
    const gate: Gate = {
      asked: async (call) => {
        if (!isLast(call) || kill.signal.aborted) return true;
        // How far it is gets into its journal within a second.
        const watcher = watch(join(world.folder, 'journal/copy'));
        await once(watcher, 'change');
        watcher.close();
        kill.abort();
        await dead;
        return false;
      },
      answered: async () => true,
    };
    // No other pass comes to what the final one does not: there is none, neither before the kill nor behind the undo.
    const more = ['passes: 0'];
    const world = await startMigrateWorld({ procedure: 'reconfigure', more, msr: { replicas: 1 }, gate });
    t.after(() => world.stop());
    const { msr, bucket } = world;
    const { metadata, storage } = msr.state;
    const idIn = (place: string): string => `${place}${randomUUID().slice(place.length)}`;
    const [first, second] = images.images;
    assert.ok(first && second);
    metadata.newId = () => idIn('70');
    await pushImages({ ...images, images: [first] }, msr.host);
    for (let at = 0; at < 300; at += 1) {
      const place = (at % 255).toString(16).padStart(2, '0');
      await metadata.addBlob(storage, Buffer.from(`blob ${at}`), idIn(place));
    }
    assert.equal((await world.migrate(['--yes', '--until', 'live'])).code, 0);
    const last = await metadata.addBlob(storage, Buffer.from('the last one'), idIn('ff'));

    const killed = await world.migrate(['--yes'], { signal: kill.signal, stopWith: 'SIGKILL' });
    isDead();
    assert.equal(killed.code, null, killed.stderr);
    assert.match(killed.stderr, /Copy the rest, and remove links/);
    assert.equal(msr.state.isReadOnly, true);
    // What comes now sorts before everything: the cursor of the pass that was killed is far behind it.
    const place = 'docker/registry/v2/blobs/id/00/';
    assert.ok(isPassed(join(world.folder, 'journal/copy/journal.sqlite'), place));

    const undone = await world.migrate(['--undo', '--yes']);
    assert.equal(undone.code, 0, undone.stderr);
    assert.equal(msr.state.isReadOnly, false);
    metadata.newId = () => idIn('00');
    await pushImages({ ...images, images: [second] }, msr.host);
    const done = await world.migrate(['--yes', '--yes-forward']);
    assert.equal(done.code, 0, done.stderr);
    assert.ok('s3' in msr.state.section);
    assert.deepEqual((await pullAll(msr.host, [first, second])).problems, []);
    assert.deepEqual(await bucket.readTree('msr/'), await readTree(world.storage));
    assert.ok((await bucket.names()).some((name) => name.includes(last.id)));
  });
});

/** Would a pass that went on from this journal never look there again? */
function isPassed(journal: string, place: string): boolean {
  const database = new DatabaseSync(journal);
  try {
    const shards = database.prepare('SELECT range, state, cursor FROM shard').all();
    return shards.some(({ range, state, cursor }) => {
      const { prefix, after = '' } = JSON.parse(String(range)) as { prefix: string; after?: string };
      const isThere = (place.startsWith(prefix) || prefix.startsWith(place)) && after < place;
      return isThere && (state === 'done' || String(cursor ?? '') > `${place}~`);
    });
  } finally {
    database.close();
  }
}
