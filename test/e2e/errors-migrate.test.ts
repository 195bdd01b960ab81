/** Rows of docs/errors.md about migrations: what each changed is told, and is so. */
import assert from 'node:assert/strict';
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { startS3Server } from '../../bench/s3-server/s3-server.ts';
import { makeCertificate } from '../../bench/support/certificate.ts';
import type { CliOptions } from '../support/cli.ts';
import { errorTests, type RowTest } from '../support/error-tests.ts';
import { pushImages } from '../support/image-push.ts';
import { buildImages, type ImageSet } from '../support/images.ts';
import { type MigrateOptions, type MigrateWorld, startMigrateWorld } from '../support/msr/migrate-world.ts';
import { tarMember } from '../support/msr/tar.ts';
import { S3Bucket } from '../support/s3-bucket.ts';
import { makeTempFolder, type TempFolder } from '../support/temp.ts';
import { missingTools } from '../support/tools.ts';
import { readTree } from '../support/tree.ts';

const GC = { action: 'onlinegc', schedule: '0 0 1 * * 0', retries: 2, deadline: '30m', stopTimeout: '30s' };
const ALL = ['--yes', '--yes-forward'];

let making: Promise<{ readonly folder: TempFolder; readonly images: ImageSet }> | undefined;

async function makeImages(): Promise<{ readonly folder: TempFolder; readonly images: ImageSet }> {
  const folder = await makeTempFolder('errors-migrate');
  const images = await buildImages({
    directory: join(folder.path, 'images'),
    seed: 'errors-migrate',
    repositories: ['team/app'],
    imagesPerRepository: 1,
    layerBytes: [200],
    largestLayerBytes: 3_000,
  });
  return { folder, images };
}

after(async () => (await making)?.folder.remove());

function made(): ReturnType<typeof makeImages> {
  making ??= makeImages();
  return making;
}

async function start(t: TestContext, options: Partial<MigrateOptions> = {}): Promise<MigrateWorld> {
  const { images } = await made();
  const world = await startMigrateWorld({
    procedure: 'reconfigure',
    ...options,
    msr: { replicas: 1, ...options.msr },
  });
  t.after(() => world.stop());
  world.msr.state.crons.set('onlinegc', { id: 'cron-1', ...GC });
  await pushImages(images, world.msr.host);
  return world;
}

/** The old storage, its crons, and writes: nothing is left of what was begun. */
function isAsBefore({ msr, storage }: MigrateWorld): void {
  assert.deepEqual([msr.state.isReadOnly, msr.state.mounted?.folder], [false, storage]);
  const cron = msr.state.crons.get('onlinegc');
  assert.deepEqual({ ...cron, ...GC }, cron);
}

/** Changes to MSR that were asked for. */
function changesOf({ msr }: MigrateWorld): readonly string[] {
  return msr.called.filter((call) =>
    /^(?:POST|PUT|DELETE) \/api|docker run (?:destroy|restore|reconf)/.test(call),
  );
}

/** Something is wrong before anything is done. */
function refused(
  options: Partial<MigrateOptions>,
  prepare: (world: MigrateWorld) => CliOptions | undefined | Promise<CliOptions | undefined> = () =>
    undefined,
): RowTest {
  return async (t, row) => {
    const world = await start(t, options);
    row.check(await world.migrate(ALL, await prepare(world)));
    assert.deepEqual(changesOf(world), []);
    isAsBefore(world);
  };
}

/** A folder as the target, which must not be it. */
function otherTarget(placeOf: (storage: string) => string): RowTest {
  return async (t, row) => {
    const world = await start(t, { platform: ['storageVolume: new-images'] });
    const place = placeOf(world.storage);
    await mkdir(place, { recursive: true });
    const text = await readFile(world.file, 'utf8');
    await writeFile(world.file, text.replace(/^target: .*$/m, `target: file://${place}`));
    row.check(await world.migrate(ALL));
    assert.deepEqual(changesOf(world), []);
    isAsBefore(world);
  };
}

/** Something goes wrong on the way, and everything is taken back. */
function takenBack(prepare: (world: MigrateWorld) => void, options: Partial<MigrateOptions> = {}): RowTest {
  return async (t, row) => {
    const world = await start(t, options);
    prepare(world);
    row.check(await world.migrate(ALL));
    assert.ok(changesOf(world).includes('DELETE /api/v0/crons/onlinegc'));
    isAsBefore(world);
  };
}

/** The first backup is another one than was asked for. */
function otherBackup(change: (output: Buffer) => Uint8Array): RowTest {
  return takenBack(({ msr }) => {
    // The first run is the preflight's question for help.
    msr.docker.misbehave('backup', { kind: 'hold', until: Promise.resolve() });
    msr.docker.misbehave('backup', { kind: 'other-output', change });
  });
}

async function changeFile(file: string, change: (text: string) => string): Promise<void> {
  await writeFile(file, change(await readFile(file, 'utf8')));
}

async function blobsIn(storage: string): Promise<readonly string[]> {
  const paths = await readdir(storage, { recursive: true });
  return paths.filter((path) => path.endsWith('/data')).map((path) => join(storage, path));
}

/** A layer: what is small may be what the preflight looks for. */
async function largestBlob(storage: string): Promise<string> {
  const all = await Promise.all(
    (await blobsIn(storage)).map(async (path) => ({ path, bytes: (await stat(path)).size })),
  );
  const [largest] = all.toSorted((one, other) => other.bytes - one.bytes);
  assert.ok(largest);
  return largest.path;
}

/** Rewrites the time of every row, and each header's checksum with it. */
function datedBack(archive: Buffer, toMs: number): Buffer {
  const changed = Buffer.from(archive);
  for (let at = 0; at + 512 <= changed.length; ) {
    const header = changed.subarray(at, at + 512);
    if (header.toString('latin1', 257, 262) !== 'ustar') break;
    const bytes = Number.parseInt(header.toString('latin1', 124, 135), 8);
    header.write(
      `${Math.floor(toMs / 1000)
        .toString(8)
        .padStart(11, '0')}\0`,
      136,
    );
    header.fill(' ', 148, 156);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    at += 512 + Math.ceil(bytes / 512) * 512;
  }
  return changed;
}

errorTests(
  import.meta.filename,
  {
    'an unknown name in a migration file': refused({ more: ['proceedure: restore'] }),
    'a variable of a migration that is empty': refused({}, () => ({ env: { MSR_TOKEN: ' ' } })),
    'an authority of MSR that is not there': refused({}, async ({ folder }) => {
      await rm(join(folder, 'ca.pem'));
      return undefined;
    }),
    'an authority of MSR that is no certificate': refused({}, async ({ folder }) => {
      await writeFile(join(folder, 'ca.pem'), 'https://msr.example.com/ca');
      return undefined;
    }),
    'a journal of a migration inside the storage': async (t, row) => {
      const world = await start(t, { more: ['journal: ./storage/journal'] });
      const before = await readTree(world.storage);
      row.check(await world.migrate(ALL));
      assert.deepEqual(await readTree(world.storage), before);
      isAsBefore(world);
    },
    'a journal of another migration': async (t, row) => {
      const world = await start(t);
      const looked = await world.migrate(['--until', 'preflight']);
      assert.equal(looked.code, 0, looked.stdout);
      const text = await readFile(world.file, 'utf8');
      await writeFile(world.file, `${text.replace('reconfigure', 'restore')}  ucpNode: node-1\n`);
      row.check(await world.migrate(ALL));
      isAsBefore(world);
    },
    'a step that a migration does not have': async (t, row) => {
      const world = await start(t);
      const called = world.msr.called.length;
      row.check(await world.migrate([...ALL, '--until', 'destroy']));
      assert.equal(world.msr.called.length, called, 'nothing is looked at before');
      isAsBefore(world);
    },
    'a storage of MSR that is not there': async (t, row) => {
      const world = await start(t);
      const text = await readFile(world.file, 'utf8');
      await writeFile(world.file, text.replace(/^source: .*$/m, 'source: file:///nonexistent/registry'));
      row.check(await world.migrate(ALL));
      assert.deepEqual(changesOf(world), []);
      isAsBefore(world);
    },
    'a target of a migration inside its source': otherTarget((storage) => join(storage, 'new')),
    'a target of a migration that is its source': otherTarget((storage) => `${storage}/../storage/`),
    'a token that MSR does not know': refused({}, () => ({ env: { MSR_TOKEN: 'expired-long-ago' } })),
    'a user of MSR who is no administrator': refused({ platform: ['username: reader'] }, ({ msr }) => ({
      env: { MSR_TOKEN: msr.addToken('reader') },
    })),
    'a version of MSR that is not 2.9': refused({ msr: { version: '3.1.4' } }),
    'an image of another version than MSR': refused({ platform: ['image: mirantis/dtr:2.9.17'] }),
    'a replica that is down': refused({ msr: { replicas: 3 } }, ({ msr }) => {
      msr.state.replicas.ailments.set('f1e2d3c4b5a1', 'registry: connection refused');
      return undefined;
    }),
    'an authority that has not signed the certificate of MSR': refused({}, async ({ folder }) => {
      await writeFile(join(folder, 'ca.pem'), makeCertificate({ names: ['elsewhere'] }).cert);
      return undefined;
    }),
    'a migration without docker': refused({}, () => ({ env: { PATH: '/nonexistent' } })),
    'archived objects in the storage of MSR': async (t, row) => {
      const old = await startS3Server({ buckets: ['old'] });
      t.after(() => old.close());
      const access = { endpoint: old.endpoint, accessKeyId: 'testkey', secretAccessKey: 'testsecret' };
      const world = await start(t, { source: { s3: { ...access, bucket: 'old', rootDirectory: '/msr' } } });
      const names = (await new S3Bucket(access, 'old').names()).filter((name) => name.endsWith('/data'));
      const objects = names.slice(0, 2).map(async (key) => ({
        key,
        body: (await old.get('old', key)) ?? Buffer.alloc(0),
        attributes: [['x-amz-storage-class', 'GLACIER']] as const,
      }));
      await old.put('old', await Promise.all(objects));
      row.check(await world.migrate(ALL));
      assert.deepEqual(changesOf(world), []);
    },
    'a folder that is an older copy of the one that MSR uses': async (t, row) => {
      const world = await start(t);
      const copy = join(world.folder, 'yesterday');
      await cp(world.storage, copy, { recursive: true });
      // Pushed since: every image that MSR serves.
      for (const path of await readdir(copy, { recursive: true }))
        if (path.endsWith('/data')) await rm(join(copy, path));
      await writeFile(join(copy, 'docker/registry/v2/blobs/id/old'), 'what is left');
      await changeFile(world.file, (text) => text.replace(`file://${world.storage}`, `file://${copy}`));
      row.check(await world.migrate(ALL));
      assert.deepEqual(changesOf(world), []);
    },
    'a clock of MSR that is a quarter of an hour slow': refused({}, ({ msr }) => {
      msr.state.clockAheadMs = -900_000;
      return undefined;
    }),
    'a windowMax that is too short for the listings': refused({ more: ['windowMax: 5m'] }),
    'credentials that end before the migration can': refused({}, async ({ folder }) => {
      // Not in the file, so that they are those of the environment, which also says when they end.
      await changeFile(join(folder, 'new.yml'), (text) =>
        text.replace(/^ *(?:access|secret)key: .*\n/gm, ''),
      );
      const end = new Date(Date.now() + 20 * 60_000).toISOString();
      return {
        env: {
          AWS_ACCESS_KEY_ID: 'testkey',
          AWS_SECRET_ACCESS_KEY: 'testsecret',
          AWS_CREDENTIAL_EXPIRATION: end,
        },
      };
    }),
    'a blob of MSR that is damaged already': async (t, row) => {
      const world = await start(t);
      const path = await largestBlob(world.storage);
      await writeFile(path, 'rot');
      row.check(await world.migrate(ALL));
      isAsBefore(world);
      // Knowingly: everything else moves, and what does not is named.
      const done = await world.migrate([...ALL, '--accept-damage', '1']);
      assert.equal(done.code, 0, `${done.stdout}${done.stderr}`);
      const name = path.slice(world.storage.length + 1);
      const said = 'damaged in the old storage, and not in the new one: ';
      assert.ok(done.stdout.includes(`${said}"${name}" of `), done.stdout);
      assert.match(done.stderr, /1 object was not settled in the last live pass: docker\/registry/);
      assert.match(
        done.stderr,
        /each as its digest says; not pulled, as the old storage has them damaged: sha256:/,
      );
      const left = await readdir(join(world.folder, 'report'));
      const reports = await Promise.all(
        left.map((file) => readFile(join(world.folder, 'report', file), 'utf8')),
      );
      assert.ok(reports.some((text) => text.includes('"end": "done"') && text.includes(`${said}\\"${name}`)));
      const moved = await world.bucket.names();
      assert.ok(!moved.includes(`msr/${name}`));
      assert.equal(
        moved.filter((one) => one.endsWith('/data')).length,
        (await blobsIn(world.storage)).length - 1,
      );
    },
    'a token that is revoked on the way': async (t, row) => {
      const world = await start(t);
      const onLine = (line: string): void => {
        if (line.startsWith('Copy while the registry lives')) world.msr.revokeTokens();
      };
      row.check(await world.migrate(ALL, { onLine }));
      assert.ok(!world.msr.state.crons.has('onlinegc'));
      const undone = await world.migrate(['--undo', '--yes'], { env: { MSR_TOKEN: world.msr.addToken() } });
      // The step that failed is told once more.
      assert.equal(undone.code, 4, undone.stdout);
      isAsBefore(world);
    },
    'read-only that never takes effect': takenBack(
      ({ msr }) => {
        msr.state.replicas.stubborn.add('f1e2d3c4b5a0');
      },
      { platform: ['readOnlyMax: 2s'] },
    ),
    'a garbage collection that runs and does not end': takenBack(
      ({ msr }) => {
        msr.state.jobs.script('onlinegc', ['running']);
        msr.state.jobs.create('onlinegc');
      },
      { platform: ['jobsMax: 2s'] },
    ),
    'a garbage collection at the end that does not end': async (t, row) => {
      const world = await start(t, { procedure: 'restore', platform: ['gcMax: 2s'] });
      world.msr.state.jobs.script('onlinegc_blobs', ['running']);
      row.check(await world.migrate(ALL));
      assert.deepEqual(['s3' in world.msr.state.section, world.msr.state.isReadOnly], [true, false]);
      // Once it has come to its end the same migration does the rest.
      for (const job of world.msr.state.jobs.jobs)
        if (job.action === 'onlinegc_blobs') job.coming.push('done');
      const done = await world.migrate(ALL);
      assert.equal(done.code, 0, `${done.stdout}${done.stderr}`);
      assert.ok(world.msr.state.crons.has('onlinegc'));
    },
    'a backup that is cut off': otherBackup((output) => output.subarray(0, output.length / 2)),
    'a backup of something else': otherBackup(() =>
      Buffer.concat([tarMember('etc/'), tarMember('etc/passwd', 'x'), Buffer.alloc(1024)]),
    ),
    'a backup that was made long ago': otherBackup((output) => datedBack(output, Date.UTC(2024, 0))),
    'a backup of another version': otherBackup((output) =>
      Buffer.concat([tarMember('dtr-backup-v2.9.4-online/'), output.subarray(512)]),
    ),
    'a backup that points out of its archive': otherBackup((output) =>
      Buffer.concat([
        output.subarray(0, 1024),
        tarMember('dtr-backup-v2.9.18-online/../../etc/cron.d/x', 'x'),
        output.subarray(1024),
      ]),
    ),
    'a backup that is compressed': otherBackup((output) => gzipSync(output)),
    'a backup that fails': takenBack(({ msr }) => {
      msr.docker.misbehave('backup', { kind: 'hold', until: Promise.resolve() });
      msr.docker.misbehave('backup', {
        kind: 'fail',
        when: 'before',
        message: 'level=fatal msg="rethink timed out"',
      });
    }),
    'a reconfigure that fails': async (t, row) => {
      const moved = join((await made()).folder.path, 'moved');
      await mkdir(moved);
      const world = await start(t, {
        target: `file://${moved}`,
        platform: ['storageVolume: images', 'readOnlyMax: 2s'],
        msr: { volumes: { images: moved } },
      });
      const message = 'level=fatal msg="no such node"';
      // The question for the flag comes first.
      world.msr.docker.misbehave('reconfigure', { kind: 'hold', until: Promise.resolve() });
      world.msr.docker.misbehave('reconfigure', { kind: 'fail', when: 'before', message });
      row.check(await world.migrate(ALL));
      assert.deepEqual([world.msr.state.mounted?.folder, world.msr.state.isReadOnly], [world.storage, true]);
      const done = await world.migrate(ALL);
      assert.equal(done.code, 0, `${done.stdout}${done.stderr}`);
      assert.equal(world.msr.state.mounted?.folder, moved);
    },
  },
  { skip: missingTools('registry', 'skopeo') },
);
