/** Migrations of which a person does a part: commands that are printed and awaited, and a registry that has no API. */
import assert from 'node:assert/strict';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { startS3Server } from '../../bench/s3-server/s3-server.ts';
import { runBlobferry } from '../support/cli.ts';
import { pullAll } from '../support/image-pull.ts';
import { pushImages } from '../support/image-push.ts';
import { buildImages, type ImageSet, type TestImage } from '../support/images.ts';
import { type MigrateWorld, startMigrateWorld } from '../support/msr/migrate-world.ts';
import { cleanEnvironment, mustRun, runCommand } from '../support/process.ts';
import { type Registry, type RegistryStorage, startRegistry, storageYaml } from '../support/registry.ts';
import { makeTempFolder, type TempFolder } from '../support/temp.ts';
import { missingTools } from '../support/tools.ts';
import { readTree } from '../support/tree.ts';

/** Of the report file, what is looked at here. */
interface Report {
  readonly end: string | null;
  readonly caveats: readonly string[];
  readonly about: Readonly<Record<string, string>>;
  readonly findings: readonly { readonly item: string }[];
  readonly steps: readonly { readonly id: string; readonly state: string; readonly proof: string | null }[];
  readonly latest: { readonly exitCode: number; readonly lines: readonly string[] };
}

/** Mode 0600; the last line of the output names it. */
async function reportOf(stdout: string): Promise<Report> {
  const [, file = ''] = /^Report: (.*)$/m.exec(stdout) ?? [];
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  return JSON.parse(await readFile(file, 'utf8')) as Report;
}

describe('a migration by hand', { skip: missingTools('registry', 'skopeo') }, () => {
  let folder: TempFolder;
  let images: ImageSet;

  before(async () => {
    folder = await makeTempFolder('migrate-by-hand');
    images = await buildImages({
      directory: join(folder.path, 'images'),
      seed: 'by-hand',
      repositories: ['team/app'],
      imagesPerRepository: 3,
      layerBytes: [200],
      largestLayerBytes: 30_000,
    });
  });

  after(() => folder?.remove());

  const only = (...which: readonly TestImage[]): ImageSet => ({ ...images, images: which });

  /** Runs every command that is shown, as it is, and says whether it went well. @returns the commands. */
  function operator(world: MigrateWorld, commands: string[]): (lines: readonly string[]) => Promise<string> {
    const env = cleanEnvironment(world.env);
    return async (lines) => {
      const [command = '', question] = lines.slice(-2);
      if (question !== 'Is it done? [yes/no]') return 'yes';
      commands.push(command);
      const { code } = await runCommand('sh', ['-c', command], { env });
      return code === 0 ? 'yes' : 'no';
    };
  }

  it('runs the commands of a restore as they are printed, in their order', async (t) => {
    const world = await startMigrateWorld({
      procedure: 'restore',
      platform: ['cli: print'],
      msr: { replicas: 2 },
    });
    t.after(() => world.stop());
    await pushImages(images, world.msr.host);
    const commands: string[] = [];
    const done = await world.migrate([], { answer: operator(world, commands) });
    assert.equal(done.code, 0, `${done.stdout}\n${done.stderr}`);
    const run = '[0-9a-f]{12}';
    const mke = '--ucp-url https://mke.example.com --ucp-username admin --ucp-insecure-tls';
    const of = (name: string): string =>
      `UCP_PASSWORD="\\$UCP_PASSWORD" docker run --name blobferry-${run}-${name} `;
    const backups = `${world.folder}/backups/blobferry-${run}-`;
    const expected = [
      `\\(umask 077; ${of('backup-1')}--log-driver none -e UCP_PASSWORD mirantis/dtr:2.9.18 backup ${mke} --existing-replica-id f1e2d3c4b5a0 > ${backups}backup-1.tar\\)`,
      `\\(umask 077; ${of('backup-2')}--log-driver none -e UCP_PASSWORD mirantis/dtr:2.9.18 backup ${mke} --existing-replica-id f1e2d3c4b5a0 > ${backups}backup-2.tar\\)`,
      `${of('destroy-f1e2d3c4b5a1')}-e UCP_PASSWORD mirantis/dtr:2.9.18 destroy ${mke} --replica-id f1e2d3c4b5a1`,
      `${of('destroy-f1e2d3c4b5a0')}-e UCP_PASSWORD mirantis/dtr:2.9.18 destroy ${mke} --replica-id f1e2d3c4b5a0`,
      `${of('restore')}-i -e UCP_PASSWORD mirantis/dtr:2.9.18 restore ${mke} --replica-id f1e2d3c4b5a0 --ucp-node node-1 --dtr-storage-volume ${world.storage} < ${backups}backup-2.tar`,
    ];
    assert.equal(commands.length, expected.length, commands.join('\n'));
    for (const [index, text] of expected.entries())
      assert.match(commands[index] ?? '', new RegExp(`^${text}$`));
    assert.deepEqual(['s3' in world.msr.state.section, world.msr.state.isReadOnly], [true, false]);
    assert.deepEqual((await pullAll(world.msr.host, images.images)).problems, []);
    assert.ok(!`${done.stdout}${done.stderr}`.includes('mke-password'));
    const caveat =
      'cli print: the commands of the bootstrapper were run by hand; what came of them was looked at';
    // Said before the first question, and kept.
    const said = done.stderr.split('Go on with these steps? [yes/no]')[0] ?? '';
    assert.ok(said.includes(`caveat: ${caveat}`), said);
    const report = await reportOf(done.stdout);
    assert.deepEqual([report.end, report.about['procedure'], report.latest.exitCode], ['done', 'restore', 0]);
    assert.ok(report.caveats.includes(caveat));
    assert.ok(report.caveats.includes('insecure: whoever answered at https://mke.example.com was believed'));
    assert.ok(report.findings.some(({ item }) => item === 'health of MSR'));
    assert.deepEqual(
      report.steps.filter(({ state, proof }) => state !== 'done' || proof === null),
      [],
    );
    assert.match(report.steps.find(({ id }) => id === 'backup-2')?.proof ?? '', /sha256 [0-9a-f]{64}, /);
  });

  for (const hasFlag of [true, false]) {
    const title = hasFlag
      ? 'with the flag that keeps tags'
      : 'without a flag that this version does not list';
    it(`mounts a folder over NFS by a printed reconfigure, ${title}`, async (t) => {
      const moved = join(folder.path, `nfs-${hasFlag}`);
      await mkdir(moved);
      const nfs = 'nfs://server/srv/images';
      const world = await startMigrateWorld({
        procedure: 'reconfigure',
        target: `file://${moved}`,
        platform: ['cli: print', `nfsStorageUrl: ${nfs}`],
        msr: {
          replicas: 1,
          volumes: { [nfs]: moved },
          assumes: { hasStorageMigrated: hasFlag, withoutMigratedFlag: hasFlag ? 'wipes' : 'keeps' },
        },
      });
      t.after(() => world.stop());
      await pushImages(images, world.msr.host);
      const commands: string[] = [];
      const done = await world.migrate(['--yes', '--yes-forward'], { answer: operator(world, commands) });
      assert.equal(done.code, 0, `${done.stdout}\n${done.stderr}`);
      const [, , question, reconfigure] = commands;
      const help = 'docker run --rm mirantis/dtr:2.9.18 reconfigure --help-extended';
      assert.equal(question, `${help} 2>&1 | grep -e --storage-migrated`);
      const flag = hasFlag ? ' --storage-migrated' : '';
      assert.ok(
        reconfigure?.endsWith(`--existing-replica-id f1e2d3c4b5a0 --nfs-storage-url ${nfs}${flag}`),
        commands.join('\n'),
      );
      assert.deepEqual([world.msr.state.mounted?.folder, world.msr.state.isReadOnly], [moved, false]);
      assert.deepEqual(await readTree(moved), await readTree(world.storage));
      assert.deepEqual((await pullAll(world.msr.host, images.images)).problems, []);
    });
  }

  it('is taken back where the backup is not put where it was to be', async (t) => {
    const world = await startMigrateWorld({
      procedure: 'reconfigure',
      platform: ['cli: print'],
      msr: { replicas: 1 },
    });
    t.after(() => world.stop());
    const gc = { action: 'onlinegc', schedule: '0 0 1 * * 0', retries: 2 };
    world.msr.state.crons.set('onlinegc', { id: 'cron-1', ...gc });
    await pushImages(images, world.msr.host);
    const failed = await world.migrate(['--yes'], { answer: async () => 'yes' });
    assert.equal(failed.code, 4, failed.stderr);
    assert.match(failed.stdout, /: There is no backup as \/.*-backup-1\.tar$/m);
    assert.match(failed.stdout, /^Run the same migration again, and put what the command writes there/m);
    assert.ok(world.msr.state.crons.has('onlinegc'));
    const report = await reportOf(failed.stdout);
    assert.equal(report.end, 'undone');
    assert.match(report.latest.lines[0] ?? '', /^Everything that was changed is as it was before/);
  });

  it('needs no MSR: the same passes around a plain registry, whatever is pushed until it is read-only', async (t) => {
    const s3 = await startS3Server({ buckets: ['registry'] });
    t.after(() => s3.close());
    const old: RegistryStorage = { filesystem: join(folder.path, 'plain') };
    const access = { endpoint: s3.endpoint, accessKeyId: 'testkey', secretAccessKey: 'testsecret' };
    const next: RegistryStorage = { s3: { ...access, bucket: 'registry', rootDirectory: '/moved' } };
    let registry: Registry = await startRegistry({ storage: old });
    t.after(() => registry.stop());
    const restart = async (storage: RegistryStorage, isReadOnly: boolean): Promise<void> => {
      await registry.stop();
      registry = await startRegistry({ storage, isReadOnly });
    };
    const [first, second, third] = images.images;
    assert.ok(first && second && third);
    await pushImages(only(first), registry.host);
    const file = join(folder.path, 'plain.yml');
    await writeFile(join(folder.path, 'plain-new.yml'), storageYaml(next));
    await writeFile(
      file,
      `source: file://${old.filesystem}\ntarget: plain-new.yml\nplatform: none\njournal: ./plain-journal\nreport: ./plain-report\n`,
    );
    const asked: string[] = [];
    const tried: string[] = [];
    /** The command that is printed, as it is. */
    const tryPush = async (lines: readonly string[]): Promise<void> => {
      const command = lines.find((line) => line.trimStart().startsWith('curl ')) ?? '';
      const env = cleanEnvironment({ REGISTRY: `http://${registry.host}` });
      tried.push((await mustRun('sh', ['-c', command], { env })).stdout.trim());
    };
    const answer = async (lines: readonly string[]): Promise<string> => {
      const text = lines.join('\n');
      asked.push(lines.at(-1) ?? '');
      if (/Open the window now\?/.test(text)) await pushImages(only(second), registry.host);
      else if (/readonly\.enabled: true in the configuration/.test(text)) {
        await pushImages(only(third), registry.host);
        await restart(old, true);
        await tryPush(lines);
      } else if (/write the section storage of the new storage/.test(text)) {
        assert.match(text, /: s3:\/\/registry\/moved at http.*, as in \/.*\/plain-new\.yml$/m);
        await restart(next, true);
      } else if (/readonly\.enabled: false in the configuration/.test(text)) {
        await restart(next, false);
        await tryPush(lines);
      }
      return 'yes';
    };
    const done = await runBlobferry(['migrate', file], { answer });
    assert.equal(done.code, 0, `${done.stdout}\n${done.stderr}`);
    assert.deepEqual(asked, [
      'Go on with these steps? [yes/no]',
      'Open the window now? [yes/no]',
      'Is it done? [yes/no]',
      'From here on nothing is taken back by itself. Go on? [yes/no]',
      'Is it done? [yes/no]',
      'Is it done? [yes/no]',
    ]);
    assert.deepEqual(tried, ['405', '202']);
    assert.deepEqual((await pullAll(registry.host, images.images)).problems, []);
    const report = await reportOf(done.stdout);
    assert.deepEqual(report.caveats, [
      'platform none: that the registry was read-only, and that it was switched, is what somebody said',
    ]);
    assert.equal(report.end, 'done');
  });

  it('is taken back where nobody makes the plain registry read-only', async () => {
    const storage = join(folder.path, 'stays');
    const registry = await startRegistry({ storage: { filesystem: storage } });
    await pushImages(only(...images.images.slice(0, 1)), registry.host).finally(() => registry.stop());
    const file = join(folder.path, 'stays.yml');
    const target = join(folder.path, 'stays-new');
    await mkdir(target);
    await writeFile(
      file,
      `source: file://${storage}\ntarget: file://${target}\nplatform: none\njournal: ./stays-journal\nreport: ./stays-report\n`,
    );
    const answer = async (lines: readonly string[]): Promise<string> =>
      /readonly\.enabled: true in the configuration/.test(lines.join('\n')) ? 'no' : 'yes';
    const failed = await runBlobferry(['migrate', file], { answer });
    assert.equal(failed.code, 4, `${failed.stdout}\n${failed.stderr}`);
    assert.match(failed.stdout, /"Make the registry read-only": It was not done, says whoever was asked/);
  });
});
