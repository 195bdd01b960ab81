/** The stand-in for MSR keeps its word: real pushes and pulls, storage in MSR's layout, read-only that is real, a docker that works. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { startS3Server } from '../../bench/s3-server/s3-server.ts';
import { makeCertificate } from '../../bench/support/certificate.ts';
import { compareUtf8 } from '../../src/core/byte-order.ts';
import { DigestIndex } from '../../src/layout/digests/digest-index.ts';
import { indexBackup } from '../../src/platform/msr/backup/index-backup.ts';
import { followJob } from '../../src/platform/msr/follow-job.ts';
import { readClusterStatus } from '../../src/platform/msr/msr-cluster.ts';
import { MsrConnection } from '../../src/platform/msr/msr-connection.ts';
import { createJob, readJobLog } from '../../src/platform/msr/msr-jobs.ts';
import { switchStorage } from '../../src/platform/msr/msr-registry-settings.ts';
import { requestReadOnly } from '../../src/platform/msr/msr-settings.ts';
import { readOnlyEvidence } from '../../src/platform/msr/read-only-evidence.ts';
import { probeWrite } from '../../src/platform/msr/write-probe.ts';
import { pullAll } from '../support/image-pull.ts';
import { pushImages, setTag } from '../support/image-push.ts';
import { buildImages, type ImageSet } from '../support/images.ts';
import { readBackup } from '../support/msr/backup.ts';
import { blobPath } from '../support/msr/metadata.ts';
import { type Msr, startMsr } from '../support/msr/msr.ts';
import { sectionOf } from '../support/msr/state.ts';
import { cleanEnvironment, mustRun, runCommand } from '../support/process.ts';
import { getBlob, putBlob } from '../support/registry-api.ts';
import { S3Bucket } from '../support/s3-bucket.ts';
import { sha256Hex } from '../support/seeded.ts';
import { startSwift } from '../support/swift.ts';
import { SwiftContainer } from '../support/swift-container.ts';
import { makeTempFolder, type TempFolder } from '../support/temp.ts';
import { missingTools } from '../support/tools.ts';
import { readTree } from '../support/tree.ts';

const REPLICA = 'f1e2d3c4b5a0';
const MKE_FLAGS = ['--ucp-url', 'https://mke.example.com', '--ucp-username', 'admin', '--ucp-insecure-tls'];

describe('the stand-in for MSR', { skip: missingTools('registry', 'skopeo') }, () => {
  let folder: TempFolder;
  let images: ImageSet;

  before(async () => {
    folder = await makeTempFolder('msr-stand-in');
    images = await buildImages({
      directory: join(folder.path, 'images'),
      seed: 'msr',
      repositories: ['team/app', 'team/other'],
      imagesPerRepository: 2,
      layerBytes: [200, 20_000],
      largestLayerBytes: 300_000,
    });
  });

  after(() => folder?.remove());

  /** Runs the stand-in's docker; `stdin` is a file. */
  async function docker(msr: Msr, line: string, files: { readonly in?: string; readonly out?: string } = {}) {
    const redirects = `${files.in ? ` < '${files.in}'` : ''}${files.out ? ` > '${files.out}'` : ''}`;
    const env = cleanEnvironment({ ...msr.environment, UCP_PASSWORD: 'mke-password' });
    return runCommand('sh', ['-c', `docker ${line}${redirects}`], { env });
  }

  const dtr = (command: string, name = `t-${command}`): string =>
    `run --rm -i --log-driver none --name ${name} --env UCP_PASSWORD mirantis/dtr:2.9.18 ${command} ${MKE_FLAGS.join(' ')}`;

  describe('on a folder, with three replicas', () => {
    let msr: Msr;
    let storage: string;
    let connection: MsrConnection;
    const { signal } = new AbortController();

    before(async () => {
      storage = join(folder.path, 'storage');
      await mkdir(storage);
      msr = await startMsr({ storage: { filesystem: storage } });
      connection = new MsrConnection({
        url: msr.url,
        username: 'admin',
        secret: 'admin-password',
        isInsecure: true,
      });
      await pushImages(images, msr.host);
    });

    after(async () => {
      connection?.close();
      await msr?.stop();
    });

    it('serves what was pushed, and keeps it as MSR does: by id, with rows that say what it hashes to', async () => {
      assert.deepEqual((await pullAll(msr.host, images.images)).problems, []);
      const tree = await readTree(storage);
      const rows = [...msr.state.metadata.blobs.values()];
      assert.equal(tree.size, rows.length);
      assert.ok(rows.length >= 10, `${rows.length} blobs`);
      for (const { id, sha256sum, size } of rows) {
        assert.deepEqual(tree.get(blobPath(id)), { sizeBytes: size, sha256: sha256sum.slice(7) });
        assert.ok(!sha256sum.includes(id));
      }
      assert.equal(msr.state.metadata.tags.length, images.images.length);
    });

    it('refuses pushes once it is read-only, and only then: one replica after the other', async () => {
      assert.deepEqual(await probeWrite(connection, signal, 'team/app'), { is: 'accepted' });
      await requestReadOnly(connection, signal, true);
      const seen: string[] = [];
      for (let looks = 0; looks < 10; looks += 1) {
        const evidence = readOnlyEvidence(await readClusterStatus(connection, signal));
        // The balancer gives each replica its turn.
        const found = new Set<string>();
        for (const _ of [1, 2, 3]) found.add((await probeWrite(connection, signal, 'team/app')).is);
        seen.push([...found].sort().join());
        assert.equal(evidence.is === 'read-only', !found.has('accepted'));
        if (evidence.is === 'read-only') break;
      }
      assert.deepEqual(seen, ['accepted,refused', 'accepted,refused', 'refused']);
      await assert.rejects(putBlob(msr.host, 'team/app', Buffer.from('x')), /405/);
      assert.deepEqual((await pullAll(msr.host, images.images)).problems, []);
    });

    it('takes pushes again, forgets tags that were deleted, and cannot serve what its storage has lost', async () => {
      await requestReadOnly(connection, signal, false);
      for (let looks = 0; looks < 4; looks += 1) await readClusterStatus(connection, signal);
      const [first, second] = images.images;
      assert.ok(first && second);
      await setTag(images, msr.host, { ...first, tag: 'moved' });
      assert.ok(msr.state.metadata.tags.some(({ pk }) => pk === `${first.repository}:moved`));
      const removal = {
        method: 'DELETE',
        operation: 'remove a tag',
        path: `/api/v0/repositories/${first.repository}/tags/moved`,
      } as const;
      assert.equal((await connection.send(signal, removal)).status, 204);
      assert.deepEqual((await pullAll(msr.host, images.images)).problems, []);
      const row = msr.state.metadata.blobs.get(first.digest);
      assert.ok(row);
      const bytes = await msr.state.storage.read(blobPath(row.id));
      assert.ok(bytes);
      await msr.state.storage.remove(blobPath(row.id));
      await msr.state.reload();
      assert.deepEqual(msr.state.missing, [first.digest]);
      assert.ok((await pullAll(msr.host, images.images)).problems.length > 0);
      await msr.state.storage.write(blobPath(row.id), bytes);
      await msr.state.reload();
      assert.deepEqual((await pullAll(msr.host, images.images)).problems, []);
    });

    it('sweeps what no row names, and nothing else', async () => {
      await msr.state.storage.write(blobPath('00dangling'), Buffer.from('dangling'));
      const { id } = await createJob(connection, signal, 'onlinegc_blobs');
      assert.equal((await followJob(connection, signal, id, { msMax: 60_000, pollMs: 1 })).status, 'done');
      assert.match((await readJobLog(connection, signal, id)).join(), /deleted .*00dangling/);
      assert.equal(await msr.state.storage.read(blobPath('00dangling')), undefined);
      assert.deepEqual((await pullAll(msr.host, images.images)).problems, []);
    });

    it('moves to S3 by its settings with everything that was copied there', async () => {
      const s3 = await startS3Server({ buckets: ['registry'] });
      try {
        const access = { endpoint: s3.endpoint, accessKeyId: 'testkey', secretAccessKey: 'testsecret' };
        const bucket = new S3Bucket(access, 'registry');
        for (const [path] of await readTree(storage)) {
          const bytes = await msr.state.storage.read(path);
          assert.ok(bytes);
          await bucket.put(`msr/${path}`, bytes);
        }
        const section = sectionOf({ s3: { ...access, bucket: 'registry', rootDirectory: '/msr' } });
        const parameters = section['s3'] as Record<string, string>;
        await switchStorage(connection, signal, { driver: 's3', parameters }, false);
        await rm(storage, { recursive: true });
        assert.deepEqual((await pullAll(msr.host, images.images)).problems, []);
        const bytes = Buffer.from('after the switch');
        await putBlob(msr.host, 'team/app', bytes);
        const row = msr.state.metadata.blobs.get(`sha256:${sha256Hex(bytes)}`);
        assert.deepEqual(await bucket.get(`msr/${blobPath(row?.id ?? '')}`), bytes);
        assert.equal((await bucket.list()).size, msr.state.metadata.blobs.size, 'the trial object is gone');
        bucket.close();
      } finally {
        await s3.close();
      }
    });
  });

  describe('and its docker', () => {
    let msr: Msr;
    let archive: string;
    let moved: string;

    before(async () => {
      const storage = join(folder.path, 'old');
      moved = join(folder.path, 'new');
      await mkdir(storage);
      await mkdir(moved);
      archive = join(folder.path, 'backup.tar');
      msr = await startMsr({ storage: { filesystem: storage }, replicas: 1, volumes: { images: moved } });
      await pushImages(images, msr.host);
    });

    after(() => msr?.stop());

    it('backs up: an archive that tar can read, with a row for every blob', async () => {
      const done = await docker(msr, `${dtr('backup')} --existing-replica-id ${REPLICA}`, { out: archive });
      assert.deepEqual([done.code, msr.docker.containers], [0, []], done.stderr);
      const { stdout } = await mustRun('tar', ['-tf', archive]);
      const names = stdout.split('\n');
      assert.ok(names.includes('dtr-backup-v2.9.18-online/rethink/helm_charts/'));
      const blobs = names.filter((name) => /\/rethink\/blobs\/\d+$/.test(name));
      assert.equal(blobs.length, msr.state.metadata.blobs.size);
    });

    it('writes a backup from which every blob in the storage has its digest', async () => {
      const { signal } = new AbortController();
      const place = { directory: join(folder.path, 'journal'), name: 'backup-1' };
      const made = { name: 'backup.tar', version: '2.9.18' };
      const { backup, index } = await indexBackup(createReadStream(archive), made, place, signal);
      assert.deepEqual([backup.badRows, backup.tablesWithGaps, index.contradicted], [0, [], 0]);
      const digests = await DigestIndex.open(index.path);
      const cursor = digests.cursor();
      const tree = await readTree(join(folder.path, 'old'));
      assert.equal(tree.size, index.records);
      for (const [path, { sha256 }] of [...tree].sort(([one], [other]) => compareUtf8(one, other))) {
        assert.equal(await cursor.find(path.split('/').at(-2) ?? ''), sha256, path);
      }
      await digests.close();
    });

    it('refuses flags that it does not know, secrets in arguments, a terminal, other images, wrong passwords', async () => {
      const backup = `${dtr('backup')} --existing-replica-id ${REPLICA}`;
      const cases: readonly (readonly [string, number, RegExp])[] = [
        [`${backup} --tidy-up`, 1, /not defined: --tidy-up/],
        [`${backup} --ucp-password x`, 1, /does not belong into arguments/],
        [backup.replace('--env UCP_PASSWORD', '--env UCP_PASSWORD=x'), 125, /stands in the arguments/],
        [backup.replace('--env UCP_PASSWORD ', ''), 1, /UCP_PASSWORD are required/],
        [backup.replace('-i ', '-it '), 1, /refusing to write a backup to a terminal/],
        [backup.replace('2.9.18', '2.9.17'), 125, /manifest unknown/],
        [backup.replace(REPLICA, 'aaaaaaaaaaaa'), 1, /no running replica/],
        [backup.replace('--ucp-insecure-tls', ''), 1, /unknown authority/],
        [backup.replace('--ucp-username admin', '--ucp-username eve'), 1, /invalid username or password/],
        [`${dtr('restore')} --replica-id ${REPLICA} --dtr-use-default-storage`, 1, /destroy first/],
        ['run --privileged mirantis/dtr:2.9.18 backup', 125, /unknown flag: --privileged/],
        ['swarm init', 1, /No such container/],
      ];
      for (const [line, code, words] of cases) {
        const done = await docker(msr, line);
        assert.equal(done.code, code, `${line}: ${done.stderr}`);
        assert.match(done.stderr, words, line);
      }
      const help = await docker(msr, 'run --rm mirantis/dtr:2.9.18 reconfigure --help-extended');
      assert.match(help.stdout, /--storage-migrated/);
    });

    it('reconfigures to another volume and keeps the tags, restores what was backed up', async () => {
      for (const row of msr.state.metadata.blobs.values()) {
        const path = blobPath(row.id);
        const bytes = await msr.state.storage.read(path);
        assert.ok(bytes);
        await mkdir(dirname(join(moved, path)), { recursive: true });
        await writeFile(join(moved, path), bytes);
      }
      const change = `--existing-replica-id ${REPLICA} --dtr-storage-volume images --storage-migrated`;
      const done = await docker(msr, `${dtr('reconfigure')} ${change}`);
      assert.equal(done.code, 0, done.stderr);
      assert.equal(msr.state.mounted?.folder, moved);
      assert.deepEqual((await pullAll(msr.host, images.images)).problems, []);

      await putBlob(msr.host, 'team/app', Buffer.from('behind the backup'));
      assert.equal((await docker(msr, `${dtr('destroy')} --replica-id ${REPLICA}`)).code, 0);
      await assert.rejects(fetch(`${msr.url}/_ping`), 'nobody listens');
      const restore = `${dtr('restore')} --replica-id ${REPLICA}`;
      const without = await docker(msr, restore, { in: archive });
      assert.match(without.stderr, /exactly one of/);
      const restored = await docker(msr, `${restore} --dtr-storage-volume images`, { in: archive });
      assert.equal(restored.code, 0, restored.stderr);
      assert.deepEqual((await pullAll(msr.host, images.images)).problems, []);
      const digest = `sha256:${sha256Hex('behind the backup')}`;
      assert.ok(!msr.state.metadata.blobs.has(digest), 'it is as the backup was');
      const runs = msr.called.filter((call) => call.startsWith('docker run')).slice(-4);
      const expected = ['reconfigure', 'destroy', 'restore', 'restore'];
      assert.deepEqual(
        runs,
        expected.map((command) => `docker run ${command}`),
      );
    });

    it('lets a container run on whose client was killed, and finds it by its name', async () => {
      const { promise: held, resolve: onHeld } = Promise.withResolvers<void>();
      const { promise: until, resolve: letGo } = Promise.withResolvers<void>();
      msr.docker.misbehave('reconfigure', { kind: 'hold', until, onHeld });
      const line = dtr('reconfigure', 'blobferry-1-reconfigure')
        .replace('--rm ', '')
        .replace('--log-driver none ', '');
      const env = cleanEnvironment({ ...msr.environment, UCP_PASSWORD: 'mke-password' });
      const args = ['-c', `docker ${line} --existing-replica-id ${REPLICA} & pid=$!; read _; kill -9 $pid`];
      const client = spawn('sh', args, { env, stdio: ['pipe', 'ignore', 'ignore'] });
      await held;
      client.stdin.end('\n');
      await once(client, 'exit');
      const find = `ps -a --filter name=^blobferry-1- --format '{{.Names}} {{.State}}'`;
      assert.equal((await docker(msr, find)).stdout, 'blobferry-1-reconfigure running\n');
      assert.match((await docker(msr, 'rm blobferry-1-reconfigure')).stderr, /running container/);
      letGo();
      assert.equal((await docker(msr, 'wait blobferry-1-reconfigure')).stdout, '0\n');
      assert.match((await docker(msr, 'logs blobferry-1-reconfigure')).stderr, /Nothing to reconfigure/);
      assert.match((await docker(msr, line)).stderr, /already in use/);
      assert.equal((await docker(msr, 'rm blobferry-1-reconfigure')).code, 0);
      assert.equal((await docker(msr, find)).stdout, '');
    });

    it('runs a container also when its client is killed while it sends', async () => {
      const args = dtr('backup', 'half-sent').replace('--rm ', '').split(' ');
      const said = {
        args: [...args, '--existing-replica-id', REPLICA],
        environment: { UCP_PASSWORD: 'mke-password' },
      };
      const client = request(msr.docker.address, {
        method: 'POST',
        headers: { 'x-docker-client': Buffer.from(JSON.stringify(said)).toString('base64') },
      });
      client.on('error', () => undefined);
      await new Promise<void>((resolve) => void client.write('half of the input', () => resolve()));
      client.destroy();
      const find = () => msr.docker.containers.find(({ name }) => name === 'half-sent');
      while (find()?.state !== 'exited') await setImmediate();
      assert.equal(find()?.exitCode, 0);
      assert.equal((await docker(msr, 'rm half-sent')).code, 0);
    });

    it('fails and cuts on request', async () => {
      const backup = `${dtr('backup')} --existing-replica-id ${REPLICA}`;
      msr.docker.misbehave('backup', { kind: 'fail', when: 'before', message: 'level=fatal msg="no space"' });
      const failed = await docker(msr, backup, { out: archive });
      assert.deepEqual([failed.code, /no space/.test(failed.stderr)], [1, true]);
      msr.docker.misbehave('backup', { kind: 'cut-output', atBytes: 5_000 });
      assert.equal((await docker(msr, backup, { out: archive })).code, 0);
      const bytes = await readFile(archive);
      assert.equal(bytes.length, 5_000);
      assert.throws(() => readBackup(bytes), /unexpected EOF/);
    });
  });

  describe('on Swift', { skip: missingTools('swift') }, () => {
    it('keeps and serves what was pushed', async (t) => {
      const swift = await startSwift({ directory: join(folder.path, 'swift') });
      t.after(() => swift.stop());
      const container = await new SwiftContainer(swift, 'registry').create();
      const storage = { swift: { ...swift, container: 'registry', prefix: 'msr' } };
      const msr = await startMsr({ storage, replicas: 1 });
      t.after(() => msr.stop());
      const bytes = Buffer.from('kept in Swift');
      await putBlob(msr.host, 'team/app', bytes);
      const digest = `sha256:${sha256Hex(bytes)}`;
      const path = blobPath(msr.state.metadata.blobs.get(digest)?.id ?? '');
      assert.deepEqual(await container.names(), [`msr/files/${path}`]);
      await msr.state.reload();
      assert.deepEqual(await getBlob(msr.host, 'team/app', digest), bytes);
      await msr.state.storage.write(blobPath('00dangling'), Buffer.from('x'));
      assert.equal((await msr.state.metadata.sweep(msr.state.storage)).length, 1);
      assert.deepEqual(await container.names(), [`msr/files/${path}`]);
      await msr.state.storage.remove(path);
      await msr.state.reload();
      assert.deepEqual(msr.state.missing, [digest]);
    });
  });

  it('speaks TLS, and wants a token for pushes and pulls, as MSR does', async (t) => {
    const storage = join(folder.path, 'tls');
    const tls = makeCertificate({ names: ['127.0.0.1'] });
    const msr = await startMsr({
      storage: { filesystem: storage },
      replicas: 1,
      tls,
      wantsRegistryToken: true,
    });
    t.after(() => msr.stop());
    const [image] = images.images;
    assert.ok(image);
    const to = `docker://${msr.host}/${image.repository}:${image.tag}`;
    const from = `oci:${images.directory}:${image.repository.replaceAll('/', '_')}_${image.tag}`;
    const copy = ['--insecure-policy', 'copy', '-q', '--dest-tls-verify=false'];
    const stranger = await runCommand('skopeo', [...copy, from, to]);
    assert.notEqual(stranger.code, 0);
    await mustRun('skopeo', [...copy, '--dest-creds', 'admin:admin-password', from, to]);
    assert.equal(msr.state.metadata.tags.length, 1);
    const { signal } = new AbortController();
    const access = { url: msr.url, username: 'admin', secret: msr.addToken(), ca: tls.cert };
    const connection = new MsrConnection(access);
    t.after(() => connection.close());
    assert.deepEqual(await probeWrite(connection, signal, image.repository), { is: 'accepted' });
    const other = new MsrConnection({ ...access, secret: 'wrong-password' });
    t.after(() => other.close());
    const probe = await probeWrite(other, signal, image.repository);
    assert.equal(probe.is, 'unknown');
    assert.deepEqual(await readdir(join(storage, 'docker/registry/v2')), ['blobs']);
  });
});
