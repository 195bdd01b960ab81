/**
 * Other people's S3 clients against the embedded server, unmodified and with their own defaults: what they put there is
 * what they get back, and what they get refused says why.
 */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { type S3Server, startS3Server } from '../../bench/s3-server/s3-server.ts';
import { cleanEnvironment, mustRun, runCommand } from '../support/process.ts';
import { tempFolderFor } from '../support/temp.ts';
import { findCommand, missingTools } from '../support/tools.ts';

/** Sizes around every client's own limit for uploads in parts, and names that need escaping. */
const FILES: readonly (readonly [string, number])[] = [
  ['empty', 0],
  ['docker/registry/v2/repositories/a/_manifests/tags/v1/current/link', 71],
  ['with space + plus & more %25', 100],
  ['ünïcödé/€/😀', 10],
  ['5 MiB', 5 * 1024 ** 2],
  ['20 MB', 20_000_000],
];
const DELAYED_MS = 20;

interface Tree {
  readonly folder: string;
  readonly contents: ReadonlyMap<string, Buffer>;
}

async function makeTree(test: { after(fn: () => Promise<void>): void }): Promise<Tree> {
  const folder = await tempFolderFor(test, 'clients');
  const contents = new Map<string, Buffer>();
  for (const [name, bytes] of FILES) {
    const body = randomBytes(bytes);
    contents.set(name, body);
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), body);
  }
  return { folder, contents };
}

async function assertStored(server: S3Server, bucket: string, tree: Tree): Promise<void> {
  const stored = (await server.keys(bucket)).map((one) => one.key);
  assert.deepEqual(stored.toSorted(), [...tree.contents.keys()].toSorted());
  for (const [key, body] of tree.contents) {
    assert.ok(body.equals(Buffer.from((await server.get(bucket, key)) ?? [])), `${bucket}/${key} differs`);
  }
}

async function assertFolder(folder: string, tree: Tree): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  assert.equal(files.length, tree.contents.size);
  for (const [name, body] of tree.contents)
    assert.ok(body.equals(await readFile(join(folder, name))), `${name} differs`);
}

async function withServer(run: (server: S3Server) => Promise<void>): Promise<void> {
  const server = await startS3Server({ buckets: ['first', 'second'] });
  try {
    await run(server);
  } finally {
    await server.close();
  }
}

const KEYS = { AWS_ACCESS_KEY_ID: 'testkey', AWS_SECRET_ACCESS_KEY: 'testsecret' };

function rcloneEnvironment(server: S3Server, more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  return cleanEnvironment({
    RCLONE_CONFIG: '/dev/null',
    RCLONE_CONFIG_IT_TYPE: 's3',
    RCLONE_CONFIG_IT_PROVIDER: 'Other',
    RCLONE_CONFIG_IT_ENDPOINT: server.endpoint,
    RCLONE_CONFIG_IT_ACCESS_KEY_ID: 'testkey',
    RCLONE_CONFIG_IT_SECRET_ACCESS_KEY: 'testsecret',
    ...more,
  });
}

describe('rclone', { skip: missingTools('rclone') }, () => {
  it('copies in, checks, copies between buckets and out again', async (t) => {
    const tree = await makeTree(t);
    const out = await tempFolderFor(t, 'clients-out');
    await withServer(async (server) => {
      const env = rcloneEnvironment(server);
      const flags = ['--s3-upload-cutoff', '6Mi', '--s3-chunk-size', '5Mi'];
      await mustRun('rclone', ['copy', ...flags, tree.folder, 'it:first'], { env });
      await assertStored(server, 'first', tree);
      await mustRun('rclone', ['check', '--download', tree.folder, 'it:first'], { env });
      // Server-side copies: CopyObject for small ones, UploadPartCopy for large ones.
      await mustRun('rclone', ['sync', '--s3-copy-cutoff', '10Mi', 'it:first', 'it:second'], { env });
      await assertStored(server, 'second', tree);
      const { requestsByOperation } = await server.stats();
      for (const operation of ['PutObject', 'UploadPart', 'CopyObject', 'UploadPartCopy'] as const) {
        assert.ok((requestsByOperation[operation] ?? 0) > 0, `${operation} was not used`);
      }
      await mustRun('rclone', ['copy', 'it:second', out], { env });
      await assertFolder(out, tree);
      await mustRun('rclone', ['purge', 'it:second'], { env });
      assert.deepEqual((await mustRun('rclone', ['lsf', 'it:'], { env })).stdout.trim().split('\n'), [
        'first/',
      ]);
    });
  });

  it('lists what is there, byte for byte', async () => {
    await withServer(async (server) => {
      const names = Array.from({ length: 2500 }, (_, n) => `folder ${n % 7}/ä+${n}`);
      await server.put(
        'first',
        names.map((key) => ({ key, body: Buffer.from(key) })),
      );
      const { stdout } = await mustRun(
        'rclone',
        ['lsf', '-R', '--files-only', '--format', 'psh', '--hash', 'MD5', 'it:first'],
        {
          env: rcloneEnvironment(server),
        },
      );
      const expected = names.map((name) => {
        const md5 = createHash('md5').update(name).digest('hex');
        return `${name};${Buffer.byteLength(name)};${md5}`;
      });
      assert.deepEqual(stdout.trim().split('\n').toSorted(), expected.toSorted());
    });
  });

  it('goes on through slow answers, 503s and lost replies', async (t) => {
    const tree = await makeTree(t);
    await withServer(async (server) => {
      const fault = { kind: 'status', status: 503, code: 'SlowDown', retryAfterSeconds: 0 } as const;
      const handle = await server.misbehave([
        { fault: { kind: 'latency', ms: DELAYED_MS } },
        { method: 'PUT', times: 2, fault },
        { operation: 'PutObject', fault: { kind: 'lost-reply' } },
      ]);
      await mustRun('rclone', ['copy', tree.folder, 'it:first'], { env: rcloneEnvironment(server) });
      await handle.assertUsedUp();
      await assertStored(server, 'first', tree);
    });
  });

  it('is refused with a wrong secret', async () => {
    await withServer(async (server) => {
      const env = rcloneEnvironment(server, { RCLONE_CONFIG_IT_SECRET_ACCESS_KEY: 'wrong' });
      const refused = await runCommand(
        'rclone',
        ['lsf', '--retries', '1', '--low-level-retries', '1', 'it:first'],
        { env },
      );
      assert.notEqual(refused.code, 0);
      assert.match(refused.stderr, /SignatureDoesNotMatch/);
    });
  });
});

/** Debian's own and, where another stands first in PATH, that as well: their versions differ in default checksums. */
function awsCommands(): ReadonlySet<string> {
  const found = [findCommand('aws', '/usr/bin'), findCommand('aws')];
  return new Set(found.filter((path) => path !== undefined));
}

describe('aws', { skip: missingTools('aws') }, () => {
  for (const command of awsCommands()) describe(command, () => awsTests(command));
});

function awsTests(command: string): void {
  const environment = (server: S3Server, more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv =>
    cleanEnvironment({
      ...KEYS,
      AWS_DEFAULT_REGION: 'us-east-1',
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_CONFIG_FILE: '/dev/null',
      AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
      AWS_ENDPOINT_URL: server.endpoint,
      ...more,
    });
  const aws = (server: S3Server, ...args: readonly string[]): Promise<string> =>
    mustRun(command, ['--endpoint-url', server.endpoint, ...args], { env: environment(server) }).then(
      (one) => one.stdout,
    );

  it('synchronises in, between buckets and out again', async (t) => {
    const tree = await makeTree(t);
    const out = await tempFolderFor(t, 'clients-out');
    await withServer(async (server) => {
      await aws(server, 's3', 'sync', '--no-progress', tree.folder, 's3://first');
      await assertStored(server, 'first', tree);
      // 20 MB in parts of 8 MB: a part sent again would mean that an answer was not understood.
      assert.equal((await server.stats()).requestsByOperation.UploadPart, 3);
      await aws(server, 's3', 'sync', '--no-progress', 's3://first', 's3://second');
      await assertStored(server, 'second', tree);
      await aws(server, 's3', 'sync', '--no-progress', 's3://second', out);
      await assertFolder(out, tree);
      await aws(server, 's3', 'rb', '--force', 's3://second');
      assert.match(await aws(server, 's3', 'ls'), /^\S+ \S+ first\n$/);
    });
  });

  it('sends checksums that are kept', async (t) => {
    const tree = await makeTree(t);
    await withServer(async (server) => {
      const body = join(tree.folder, '5 MiB');
      const put = ['s3api', 'put-object', '--bucket', 'first', '--key', 'k', '--body', body];
      for (const algorithm of ['SHA256', 'CRC32', 'SHA1']) {
        await aws(server, ...put, '--checksum-algorithm', algorithm);
        const head = await aws(
          server,
          's3api',
          'head-object',
          '--bucket',
          'first',
          '--key',
          'k',
          '--checksum-mode',
          'ENABLED',
        );
        assert.ok(Object.hasOwn(JSON.parse(head) as object, `Checksum${algorithm}`), head);
      }
    });
  });

  it('is refused with a wrong secret', async () => {
    await withServer(async (server) => {
      const env = environment(server, { AWS_SECRET_ACCESS_KEY: 'wrong' });
      const refused = await runCommand(
        command,
        ['--endpoint-url', server.endpoint, 's3', 'ls', 's3://first'],
        {
          env,
        },
      );
      assert.notEqual(refused.code, 0);
      assert.match(refused.stderr, /SignatureDoesNotMatch/);
    });
  });
}

describe('s3cmd', { skip: missingTools('s3cmd') }, () => {
  it('synchronises in and out again', async (t) => {
    const tree = await makeTree(t);
    const out = await tempFolderFor(t, 'clients-out');
    await withServer(async (server) => {
      const { host } = new URL(server.endpoint);
      const flags = ['--config=/dev/null', '--access_key=testkey', '--secret_key=testsecret', '--no-ssl'];
      const common = [...flags, `--host=${host}`, `--host-bucket=${host}`, '--no-progress'];
      const env = cleanEnvironment({ LC_ALL: 'C.UTF-8' });
      await mustRun(
        's3cmd',
        [...common, '--multipart-chunk-size-mb=5', 'sync', `${tree.folder}/`, 's3://first/'],
        { env },
      );
      await assertStored(server, 'first', tree);
      await mustRun('s3cmd', [...common, 'sync', 's3://first/', `${out}/`], { env });
      await assertFolder(out, tree);
    });
  });
});
