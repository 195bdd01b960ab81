/** The runbook by hand: every command of docs/runbook-msr.md, as it stands there, against the stand-in. */
import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { pullAll } from '../support/image-pull.ts';
import { pushImages } from '../support/image-push.ts';
import { buildImages, type ImageSet, type TestImage } from '../support/images.ts';
import { type MigrateOptions, type MigrateWorld, startMigrateWorld } from '../support/msr/migrate-world.ts';
import { type CommandResult, cleanEnvironment, runCommand } from '../support/process.ts';
import { filledIn, shellBlocks } from '../support/runbook.ts';
import { makeTempFolder, type TempFolder } from '../support/temp.ts';
import { missingTools } from '../support/tools.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const CRONS = [
  {
    id: 'cron-1',
    action: 'onlinegc',
    schedule: '0 0 1 * * 0',
    retries: 2,
    deadline: '30m',
    stopTimeout: '30s',
  },
  {
    id: 'cron-2',
    action: 'tag_pruning',
    schedule: '0 30 1 * * *',
    retries: 0,
    parameters: { scope: 'team' },
  },
  { id: 'cron-3', action: 'onlinegc_joblogs', schedule: '0 0 2 * * *', retries: 0 },
];
/** Behind the id, which MSR may give anew. */
const KEPT_FIELDS = ['action', 'schedule', 'retries', 'deadline', 'stopTimeout', 'parameters'] as const;

describe('the runbook by hand', { skip: missingTools('registry', 'skopeo') }, () => {
  const ran = new Set<string>();
  let folder: TempFolder;
  let images: ImageSet;
  let blocks: ReadonlyMap<string, string>;

  before(async () => {
    folder = await makeTempFolder('runbook');
    blocks = shellBlocks(await readFile(join(ROOT, 'docs/runbook-msr.md'), 'utf8'));
    images = await buildImages({
      directory: join(folder.path, 'images'),
      seed: 'runbook',
      repositories: ['team/app', 'team/other'],
      imagesPerRepository: 2,
      layerBytes: [200],
      largestLayerBytes: 30_000,
    });
  });

  after(() => folder?.remove());

  const only = (...which: readonly TestImage[]): ImageSet => ({ ...images, images: which });

  /** Somebody in a folder of their own, with the runbook, the storages and the authorities. */
  class Operator {
    readonly world: MigrateWorld;
    readonly #folder: string;
    /** What earlier lines have set in the shell. */
    #set = '';

    private constructor(world: MigrateWorld, place: string) {
      this.world = world;
      this.#folder = place;
    }

    static async begin(t: TestContext, options: MigrateOptions): Promise<Operator> {
      const world = await startMigrateWorld(options);
      t.after(() => world.stop());
      const place = join(world.folder, 'operator');
      await mkdir(join(place, 'bin'), { recursive: true });
      const program = `#!/bin/sh\nexec '${process.execPath}' '${join(ROOT, 'src/cli/main.ts')}' "$@"\n`;
      await writeFile(join(place, 'bin', 'blobferry'), program);
      await chmod(join(place, 'bin', 'blobferry'), 0o755);
      const target = options.target?.startsWith('file://');
      const next = target ? `filesystem: { rootdirectory: ${options.target?.slice(7)} }\n` : undefined;
      await writeFile(join(place, 'old.yml'), `filesystem: { rootdirectory: ${world.storage} }\n`);
      await writeFile(join(place, 'new.yml'), next ?? (await readFile(join(world.folder, 'new.yml'))));
      await writeFile(join(place, 'msr-ca.pem'), await readFile(join(world.folder, 'ca.pem')));
      // The stand-in of MKE wants one, and looks into none.
      await writeFile(join(place, 'mke-ca.pem'), await readFile(join(world.folder, 'ca.pem')));
      await writeFile(join(place, 'secrets'), `${world.env['MSR_TOKEN']}\n${world.env['UCP_PASSWORD']}\n`);
      const parameters = {
        regionendpoint: world.s3.endpoint,
        bucket: 'registry',
        rootdirectory: '/msr',
        region: 'us-east-1',
        accesskey: 'testkey',
        secretkey: 'testsecret',
        secure: false,
        v4auth: true,
      };
      await writeFile(join(place, 'new-storage.json'), JSON.stringify({ s3: parameters }));
      for (const cron of CRONS) world.msr.state.crons.set(cron.action, { ...cron });
      return new Operator(world, place);
    }

    /** @returns what the block printed. */
    async does(name: string): Promise<string> {
      const { code, stdout, stderr } = await this.tries(name);
      assert.equal(code, 0, `${name}: ${stdout}${stderr}`);
      for (const secret of [this.world.env['MSR_TOKEN'], this.world.env['UCP_PASSWORD']])
        assert.ok(!`${stdout}${stderr}`.includes(secret ?? '?'), `${name} prints a secret`);
      return stdout;
    }

    async tries(name: string): Promise<CommandResult> {
      const [setup, block] = [blocks.get('setup'), blocks.get(name)];
      assert.ok(setup && block, `The runbook has no block "${name}"`);
      ran.add('setup').add(name);
      const [, url = ''] = /^ {2}url: (.*)$/m.exec(await readFile(this.world.file, 'utf8')) ?? [];
      const values = { MSR: url, ID: 'f1e2d3c4b5a0' };
      const kept = join(this.#folder, 'set');
      const lines = [
        'set -e',
        filledIn(setup, values),
        this.#set,
        block,
        `declare -p JOB > '${kept}' || true`,
      ];
      const script = join(this.#folder, 'script');
      await writeFile(script, lines.join('\n'));
      const { env } = this.world;
      const result = await runCommand('bash', ['-c', 'bash ./script < ./secrets'], {
        cwd: this.#folder,
        env: cleanEnvironment({
          ...env,
          MSR_TOKEN: undefined,
          UCP_PASSWORD: undefined,
          PATH: `${join(this.#folder, 'bin')}:${env['PATH']}`,
          XDG_STATE_HOME: join(this.#folder, 'state'),
        }),
      });
      this.#set = await readFile(kept, 'utf8').catch(() => '');
      return result;
    }

    /** As long as it takes, which for the stand-in is a few looks. */
    async doesUntil(name: string, isSo: (shown: string) => boolean): Promise<void> {
      let shown = '';
      for (let looks = 0; looks < 12; looks += 1) {
        shown = await this.does(name);
        if (isSo(shown)) return;
      }
      assert.fail(`"${name}" shows at last: ${shown}`);
    }

    /** Every replica is well, and read-only or not. */
    async settles(isReadOnly: boolean): Promise<void> {
      await this.doesUntil('status', (shown) => {
        const { replica_health: health, replica_readonly: readOnly } = JSON.parse(shown) as Record<
          string,
          Record<string, unknown>
        >;
        const states = Object.values(readOnly ?? {});
        assert.ok(states.length > 0, shown);
        return (
          states.every((is) => is === isReadOnly) && Object.values(health ?? {}).every((is) => is === 'OK')
        );
      });
      assert.equal(this.world.msr.state.isReadOnly, isReadOnly);
    }

    async backupIsGood(): Promise<void> {
      assert.match(await this.does('backup'), /rethink|manifest|properties|\.tar|\//);
      assert.equal((await stat(join(this.#folder, 'backup.tar'))).mode & 0o777, 0o600);
    }

    async pulls(...which: readonly TestImage[]): Promise<void> {
      assert.deepEqual((await pullAll(this.world.msr.host, which)).problems, []);
    }

    get crons(): readonly unknown[] {
      const { crons } = this.world.msr.state;
      return CRONS.map(({ action }) => crons.get(action)).filter((cron) => cron !== undefined);
    }

    /** Up to a read-only registry, all of which is in the new storage. */
    async untilVerified(): Promise<void> {
      const { msr } = this.world;
      const [first, second, third] = images.images;
      assert.ok(first && second && third);
      await pushImages(only(first), msr.host);
      await this.does('crons-kept');
      assert.equal(await this.does('crons-away'), '');
      assert.deepEqual([...msr.state.crons.keys()], ['onlinegc_joblogs']);
      const job = msr.state.jobs.create('onlinegc');
      await this.doesUntil('jobs-drained', (shown) => shown === '');
      assert.equal(job.status, 'done');
      await this.does('live');
      await pushImages(only(second), msr.host);
      await this.does('live');
      await pushImages(only(third), msr.host);
      await this.does('read-only');
      await this.settles(true);
      await this.backupIsGood();
      assert.match(await this.does('final-pass'), /verified|equal/i);
    }

    /** To the end, on the new storage. */
    async toTheEnd(): Promise<void> {
      const { msr } = this.world;
      const [first, second, third, fourth] = images.images;
      assert.ok(first && second && third && fourth);
      await this.pulls(first, second, third);
      await this.does('writable');
      await this.settles(false);
      await pushImages(only(fourth), msr.host);
      await this.pulls(first, second, third, fourth);
    }

    async bringsCronsBack(): Promise<void> {
      await this.does('crons-back');
      const fields = (cron: unknown): unknown => {
        const row = cron as Readonly<Record<string, unknown>>;
        return KEPT_FIELDS.map((name) => [name, row[name] || undefined]);
      };
      assert.deepEqual(this.crons.map(fields), CRONS.map(fields));
    }
  }

  it('reconfigures to a cloud, and back as long as nobody has written there', async (t) => {
    const operator = await Operator.begin(t, { procedure: 'reconfigure' });
    const { msr, storage } = operator.world;
    await operator.untilVerified();
    await operator.does('switch');
    await operator.settles(true);
    assert.ok('s3' in msr.state.section);
    await operator.does('back');
    await operator.settles(true);
    assert.deepEqual(['s3' in msr.state.section, msr.state.mounted?.folder], [false, storage]);
    await operator.pulls(...images.images.slice(0, 3));
    await operator.does('switch');
    await operator.settles(true);
    await operator.toTheEnd();
    assert.ok('s3' in msr.state.section);
    await operator.bringsCronsBack();
    // Back once more, with what was pushed there.
    await operator.does('read-only');
    await operator.settles(true);
    await operator.does('copy-back');
    await operator.does('back');
    await operator.settles(true);
    assert.ok(!('s3' in msr.state.section));
    await operator.pulls(...images.images);
  });

  it('reconfigures to a folder', async (t) => {
    for (const hasFlag of [true, false]) {
      const moved = join(folder.path, `moved-${hasFlag}`);
      await mkdir(moved);
      const operator = await Operator.begin(t, {
        procedure: 'reconfigure',
        target: `file://${moved}`,
        msr: {
          replicas: 1,
          volumes: { 'new-images': moved },
          assumes: {
            hasStorageMigrated: hasFlag,
            withoutMigratedFlag: hasFlag ? 'wipes' : 'keeps',
            reconfiguresReadOnly: hasFlag,
          },
        },
      });
      await operator.untilVerified();
      await operator.does('reconfigure');
      await operator.does('read-only');
      await operator.settles(true);
      assert.equal(operator.world.msr.state.mounted?.folder, moved);
      await operator.toTheEnd();
      await operator.bringsCronsBack();
    }
  });

  it('destroys and restores, for a cloud and for a folder', async (t) => {
    for (const isCloud of [true, false]) {
      const moved = join(folder.path, `restored-${isCloud}`);
      await mkdir(moved);
      const operator = await Operator.begin(t, {
        procedure: 'restore',
        ...(isCloud ? {} : { target: `file://${moved}` }),
        msr: { volumes: { 'new-images': moved }, assumes: { restoresReadOnly: isCloud } },
      });
      const { msr } = operator.world;
      await operator.untilVerified();
      await operator.does('destroy');
      assert.deepEqual(msr.state.replicas.ids, []);
      await operator.does(isCloud ? 'restore-cloud' : 'restore-folder');
      await operator.does('read-only');
      await operator.settles(true);
      if (isCloud) {
        await operator.does('final-pass');
        await operator.does('switch');
        await operator.settles(true);
      }
      const [isMoved, isMounted] = ['s3' in msr.state.section, msr.state.mounted?.folder === moved];
      assert.deepEqual([isMoved, isMounted], [isCloud, !isCloud]);
      await operator.toTheEnd();
      await operator.does('gc');
      await operator.doesUntil('gc-status', (shown) => shown.startsWith('done\n'));
      assert.match(await operator.does('gc-status'), /^done\nstarting onlinegc_blobs\n/);
      await operator.pulls(...images.images);
      await operator.bringsCronsBack();
    }
  });

  it('has no other commands than those', () => {
    assert.deepEqual([...ran].sort(), [...blocks.keys()].sort());
  });
});
