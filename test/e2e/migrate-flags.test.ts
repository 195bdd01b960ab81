/** What the flags of `migrate` allow: nothing without them, and with them it is said in everything that is told. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { runBlobferry } from '../support/cli.ts';
import { blobPath } from '../support/msr/metadata.ts';
import { type MigrateWorld, startMigrateWorld } from '../support/msr/migrate-world.ts';
import { sha256Hex } from '../support/seeded.ts';
import { missingTools } from '../support/tools.ts';

const ALL = ['--yes', '--yes-forward'];
const UNCHECKED =
  '--without-digests: blobs were compared with the source alone, neither with what they must hash to nor with the list of them in a backup';
/** A tag in a file, as it is left from before the metadata store. */
const TAG = 'docker/registry/v2/repositories/team/app/_manifests/tags/v1/current/link';

async function start(t: TestContext): Promise<MigrateWorld> {
  const world = await startMigrateWorld({ procedure: 'reconfigure', msr: { replicas: 1 } });
  t.after(() => world.stop());
  const { metadata, storage } = world.msr.state;
  await metadata.addBlob(storage, Buffer.from('a blob'), '70-a-blob');
  return world;
}

/** Of the newest run. */
async function reportIn(
  folder: string,
): Promise<{ readonly end: string; readonly caveats: readonly string[] }> {
  const [name = ''] = await readdir(folder);
  return JSON.parse(await readFile(join(folder, name), 'utf8'));
}

describe('a migration without the digests of a backup', { skip: missingTools('registry') }, () => {
  it('is refused in the layout of MSR where no backup is taken, unless that is asked for', async (t) => {
    const { folder, storage } = await start(t);
    const file = join(folder, 'plain.yml');
    await writeFile(
      file,
      `source: file://${storage}\ntarget: new.yml\nplatform: none\njournal: ./plain\nreport: ./plain-report\n`,
    );
    const refused = await runBlobferry(['migrate', file, '--until', 'preflight']);
    assert.equal(refused.code, 2, refused.stderr);
    assert.match(refused.stdout, /^Nothing was changed\n.*laid out as msr.*pass --without-digests/m);
    const allowed = await runBlobferry(['migrate', file, '--until', 'preflight', '--without-digests']);
    assert.equal(allowed.code, 0, allowed.stderr);
    assert.ok(allowed.stdout.includes(UNCHECKED), allowed.stdout);
    assert.match(
      allowed.stderr,
      /note {2}content of the source: .*no blob is compared with what it must hash/,
    );
  });

  it('takes the second backup alone, and says in its plan, at its end and in its report what it lacks', async (t) => {
    const { folder, storage, msr, bucket, migrate } = await start(t);
    // Of the same size: only a digest tells it from what it was.
    await writeFile(join(storage, blobPath('70-a-blob')), 'a blog');
    const done = await migrate([...ALL, '--without-digests']);
    assert.equal(done.code, 0, `${done.stdout}${done.stderr}`);
    assert.ok(done.stderr.includes(`caveat: ${UNCHECKED}`), done.stderr);
    assert.ok(done.stdout.includes(UNCHECKED), done.stdout);
    const report = await reportIn(join(folder, 'report'));
    assert.deepEqual([report.end, report.caveats.includes(UNCHECKED)], ['done', true]);
    const calls = msr.called.filter((call) => /^docker run|POST \/api\/v0\/meta/.test(call));
    // The first one is the preflight's question for help.
    assert.deepEqual(calls.slice(0, 3), [
      'docker run backup',
      'POST /api/v0/meta/settings',
      'docker run backup',
    ]);
    assert.equal(String(await bucket.get(`msr/${blobPath('70-a-blob')}`)), 'a blog', 'copied as it is');
  });
});

describe('what the final pass of a migration may remove', { skip: missingTools('registry') }, () => {
  it('is no more than --max-delete says, and nothing where there is more', async (t) => {
    const { storage, bucket, msr, migrate } = await start(t);
    const other = TAG.replace('/v1/', '/v2/');
    for (const path of [TAG, other]) {
      await mkdir(dirname(join(storage, path)), { recursive: true });
      await writeFile(join(storage, path), `sha256:${sha256Hex('layer')}`);
    }
    assert.equal((await migrate(['--yes', '--until', 'live'])).code, 0);
    await rm(join(storage, TAG));
    const refused = await migrate([...ALL, '--max-delete', '0']);
    assert.equal(refused.code, 4, `${refused.stdout}${refused.stderr}`);
    assert.match(refused.stdout, /1 object in the target only and not removed, as no more than 0 may be/);
    assert.match(refused.stdout, /allow as many with --max-delete/);
    assert.deepEqual([msr.state.isReadOnly, 'filesystem' in msr.state.section], [false, true]);
    assert.ok((await bucket.names()).includes(`msr/${TAG}`));
    const done = await migrate([...ALL, '--max-delete', '1']);
    assert.equal(done.code, 0, `${done.stdout}${done.stderr}`);
    const names = await bucket.names();
    assert.deepEqual([names.includes(`msr/${TAG}`), names.includes(`msr/${other}`)], [false, true]);
  });
});

describe('the question whether the window may open', { skip: missingTools('registry') }, () => {
  it('answered with a no takes back what was changed, and says so', async (t) => {
    const { msr, migrate } = await start(t);
    const gc = { action: 'onlinegc', schedule: '0 0 1 * * 0', retries: 2, deadline: '', stopTimeout: '30s' };
    msr.state.crons.set('onlinegc', { id: 'cron-1', ...gc });
    const asked: string[] = [];
    const refused = await migrate([], {
      answer: async (lines) => {
        asked.push(lines.at(-1) ?? '');
        return asked.at(-1)?.startsWith('Open the window') ? 'no' : 'yes';
      },
    });
    assert.equal(refused.code, 4, `${refused.stdout}${refused.stderr}`);
    assert.deepEqual(
      asked.map((line) => line.replace(/ \[.*$/, '')),
      ['Go on with these steps?', 'Open the window now?'],
    );
    assert.match(refused.stdout, /^Everything that was changed is as it was before, and was seen to be:/);
    assert.match(refused.stdout, /The window was not opened, as nobody agreed to it: about /);
    const cron = msr.state.crons.get('onlinegc');
    assert.deepEqual({ ...cron, ...gc }, cron);
    assert.ok(!msr.called.includes('POST /api/v0/meta/settings'));
  });
});
