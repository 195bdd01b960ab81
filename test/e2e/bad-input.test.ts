/**
 * What users get wrong, or what goes wrong under them: one clear sentence that says what, where and what to do, the
 * right exit code, and nothing lost. Each through the command line as a process, against a real server or file system.
 */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type S3Server, startS3Server } from '../../bench/s3-server/s3-server.ts';
import { type CliResult, runBlobferry } from '../support/cli.ts';
import { mustRun, runCommand } from '../support/process.ts';
import { makeSmallTree, type SmallTree, writeSmallTree } from '../support/small-tree.ts';
import { makeTempFolder, tempFolderFor } from '../support/temp.ts';

const KEYS = { AWS_ACCESS_KEY_ID: 'testkey', AWS_SECRET_ACCESS_KEY: 'testsecret' };
const SECRETS = [/testsecret/, /not-the-secret/];
const MIB = 1024 ** 2;
const BUCKETS_MAX = 40;

let server: S3Server;
let buckets = 0;
const tree = makeSmallTree();

before(async () => {
  const names = Array.from({ length: BUCKETS_MAX }, (_, index) => [`source-${index}`, `target-${index}`]);
  server = await startS3Server({ buckets: names.flat() });
});
after(() => server.close());

/** A URL of a fresh, empty bucket. */
function freshBucket(kind: 'source' | 'target'): { name: string; url: string } {
  buckets += 1;
  assert.ok(buckets < BUCKETS_MAX);
  const name = `${kind}-${buckets}`;
  return { name, url: s3Url(name) };
}

function s3Url(bucket: string): string {
  return `s3://${bucket}?endpoint=${server.endpoint}&region=us-east-1`;
}

async function treeFolder(
  test: { after(fn: () => Promise<void>): void },
  small: SmallTree = tree,
): Promise<string> {
  const folder = await tempFolderFor(test, 'tree');
  await writeSmallTree(folder, small);
  return folder;
}

async function copy(from: string, to: string, more: readonly string[] = [], env = {}): Promise<CliResult> {
  const journal = await makeTempFolder('journal');
  const result = await runBlobferry(
    ['copy', '--from', from, '--to', to, '--json', '--journal', journal.path, ...more],
    {
      env: { ...KEYS, ...env },
    },
  );
  for (const secret of SECRETS) {
    assert.doesNotMatch(`${result.stdout}${result.stderr}`, secret, 'a secret was printed');
  }
  assert.doesNotMatch(result.stderr, /\n {4}at /, 'a stack was printed');
  await journal[Symbol.asyncDispose]();
  return result;
}

function assertRefused(result: CliResult, what: RegExp, whatToDo: RegExp): void {
  assert.equal(result.code, 2, result.stderr);
  assert.match(result.stderr, what);
  assert.match(result.stderr, whatToDo);
}

describe('settings that cannot work end with 2 before anything moves', () => {
  it('a bucket that is not there', async (t) => {
    const folder = await treeFolder(t);
    const result = await copy(`file://${folder}`, s3Url('no-such-bucket'));
    assertRefused(result, /s3:\/\/no-such-bucket.*NoSuchBucket/, /Create the bucket or correct its name/);
  });

  it('an access key that the server does not know, and a secret that is wrong', async (t) => {
    const folder = await treeFolder(t);
    const { url } = freshBucket('target');
    const unknown = await copy(`file://${folder}`, url, [], { AWS_ACCESS_KEY_ID: 'stranger' });
    assertRefused(unknown, /InvalidAccessKeyId/, /Check the access key/);
    const wrong = await copy(`file://${folder}`, url, [], { AWS_SECRET_ACCESS_KEY: 'not-the-secret' });
    assertRefused(wrong, /SignatureDoesNotMatch/, /secret key/);
  });

  it('no credentials anywhere', async (t) => {
    const folder = await treeFolder(t);
    const { url } = freshBucket('target');
    const none = { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined };
    assertRefused(await copy(`file://${folder}`, url, [], none), /no credentials/i, /AWS_ACCESS_KEY_ID/);
  });

  it('credentials that may read but not write', async (t) => {
    const folder = await treeFolder(t);
    const { name, url } = freshBucket('target');
    const fault = await server.misbehave({
      fault: { kind: 'status', status: 403, code: 'AccessDenied' },
      bucket: name,
      method: 'PUT',
    });
    assertRefused(await copy(`file://${folder}`, url), /AccessDenied/, /permission/);
    await fault.assertUsedUp();
    assert.deepEqual(await server.keys(name), []);
  });

  it('an endpoint that nobody answers at', async (t) => {
    const folder = await treeFolder(t);
    const url = 's3://bucket?endpoint=http://127.0.0.1:9&region=us-east-1';
    assertRefused(await copy(`file://${folder}`, url), /ECONNREFUSED 127\.0\.0\.1:9/, /Check the endpoint/);
  });

  it('a root without a registry in it', async (t) => {
    const folder = await tempFolderFor(t, 'other');
    await writeFile(join(folder, 'notes.txt'), 'no registry');
    const { url } = freshBucket('target');
    assertRefused(await copy(`file://${folder}`, url), /docker\/registry\/v2/, /--layout raw/);
  });

  it('a raw source that holds nothing, which is a mistyped root or a missing mount', async (t) => {
    const folder = await tempFolderFor(t, 'empty');
    const { url } = freshBucket('target');
    assertRefused(await copy(`file://${folder}`, url, ['--layout', 'raw']), /holds no object/, /mounted/);
    assertRefused(
      await copy(freshBucket('source').url, url, ['--layout', 'raw']),
      /holds no object/,
      /Check its root/,
    );
  });

  it('a source folder that is not there', async (t) => {
    const folder = await tempFolderFor(t, 'parent');
    const { url } = freshBucket('target');
    const result = await copy(`file://${join(folder, 'missing')}`, url);
    assert.equal(result.code, 2, result.stderr);
    assert.match(result.stderr, /missing/);
  });

  it('a target that holds something already', async (t) => {
    const folder = await treeFolder(t);
    const { name, url } = freshBucket('target');
    await server.put(name, [{ key: 'someone/elses', body: Buffer.from('precious') }]);
    assertRefused(await copy(`file://${folder}`, url), /not empty.*"someone\/elses"/, /--into-nonempty/);
    assert.deepEqual(
      (await server.keys(name)).map((info) => info.key),
      ['someone/elses'],
    );
    const allowed = await copy(`file://${folder}`, url, ['--into-nonempty']);
    assert.equal(allowed.code, 0, allowed.stderr);
    assert.equal(Buffer.from((await server.get(name, 'someone/elses')) ?? []).toString(), 'precious');
  });

  it('a target inside its source, a source inside its target, and one that is both, also through a link', async (t) => {
    const folder = await treeFolder(t);
    await mkdir(join(folder, 'docker', 'inner'));
    const inner = `file://${join(folder, 'docker', 'inner')}`;
    assertRefused(await copy(`file://${folder}`, inner), /lies inside the source/, /Choose a target/);
    await symlink(folder, `${folder}-link`);
    t.after(async () => void (await mustRun('rm', [`${folder}-link`])));
    assertRefused(await copy(`file://${folder}`, `file://${folder}-link`), /same storage/, /Choose a target/);
    const { url } = freshBucket('source');
    const below = url.replace('?', '/below?');
    assertRefused(await copy(url, below), /lies inside the source/, /Choose a target/);
    assertRefused(await copy(below, url), /lies inside the target/, /Choose a target/);
  });

  it('YAML with a typo, named with file and line', async (t) => {
    const folder = await tempFolderFor(t, 'yaml');
    const file = join(folder, 'new.yml');
    await writeFile(file, 'storage:\n  s3:\n    bucket: b-123\n    regoin: eu-west-1\n');
    const result = await copy(`file://${folder}`, file);
    assertRefused(result, /new\.yml:4: unknown parameter "regoin"/, /"region"/);
  });
});

describe('what goes wrong on the way is named, and the next run goes on', () => {
  it('a full disk stops the run with a sentence, and leaves no half object', {
    skip: noTmpfs(),
  }, async (t) => {
    const big = makeSmallTree({ seed: 'disk', blobBytes: [3 * MIB, 3 * MIB + 1, 3 * MIB + 2, 900] });
    const source = await treeFolder(t, big);
    const { path: disk, remove } = await makeTempFolder('disk');
    await mustRun('mount', ['-t', 'tmpfs', '-o', 'size=7m', 'tmpfs', disk]);
    t.after(async () => {
      await mustRun('umount', [disk]);
      await remove();
    });
    const full = await copy(`file://${source}`, `file://${disk}`);
    assert.equal(full.code, 1, full.stderr);
    assert.match(`${full.stderr}${full.stdout}`, /No space left|disk is full|ENOSPC/i);
    for (const path of big.blobs) await assertWholeOrAbsent(join(disk, path), big.objects.get(path));
    assert.deepEqual(await readdir(join(disk, '.blobferry-tmp')).catch(() => []), []);
    await mustRun('mount', ['-o', 'remount,size=32m', disk]);
    const again = await copy(`file://${source}`, `file://${disk}`, ['--into-nonempty']);
    assert.equal(again.code, 0, again.stderr);
    for (const [path, bytes] of big.objects) assert.ok(bytes.equals(await readFile(join(disk, path))), path);
  });

  it('an unreadable file is named, everything else arrives', async (t) => {
    const folder = await treeFolder(t);
    const [path = ''] = tree.blobs;
    await mustRun('chmod', ['000', join(folder, path)]);
    const target = await tempFolderFor(t, 'target');
    const journal = await tempFolderFor(t, 'journal');
    // Root reads everything, so the process gives that power up.
    const dropped = '-dac_override,-dac_read_search';
    const cli = join(import.meta.dirname, '../../src/cli/main.ts');
    const args = ['--bounding-set', dropped, '--inh-caps', dropped, process.execPath, cli];
    const command = [
      ...args,
      'copy',
      '--from',
      `file://${folder}`,
      '--to',
      `file://${target}`,
      '--keep-going',
    ];
    const result = await runCommand('setpriv', [...command, '--journal', journal, '--json']);
    assert.equal(result.code, 1, result.stderr);
    assert.match(result.stdout, new RegExp(`"state":"failed","path":"${path}"`));
    assert.match(result.stdout, /EACCES|[Pp]ermission/);
    for (const [name, bytes] of tree.objects) {
      if (name !== path) assert.ok(bytes.equals(await readFile(join(target, name))), name);
    }
  });

  it('without --keep-going no name is copied once a blob failed', async (t) => {
    const { name, url } = freshBucket('source');
    await fillBucket(name, tree);
    const [path = ''] = tree.blobs;
    const fault = await server.misbehave({
      fault: { kind: 'status', status: 403, code: 'AccessDenied' },
      bucket: name,
      operation: 'GetObject',
      key: path,
    });
    const target = await tempFolderFor(t, 'target');
    const result = await copy(url, `file://${target}`);
    await fault.assertUsedUp();
    assert.equal(result.code, 1, result.stderr);
    assert.equal(result.summary?.['objectsFailed'], 1);
    await assert.rejects(readdir(join(target, 'docker/registry/v2/repositories')), /ENOENT/);
    const again = await copy(url, `file://${target}`, ['--into-nonempty']);
    assert.equal(again.code, 0, again.stderr);
  });
});

describe('an object of three parts that changes or vanishes between them', () => {
  const big = makeSmallTree({ seed: 'parts', blobBytes: [18 * MIB, 1000] });
  const [path = ''] = big.blobs;

  it('is begun again when it was overwritten, and never mixed', async (t) => {
    const { name, url } = freshBucket('source');
    await fillBucket(name, big);
    const fault = await server.misbehave({
      fault: { kind: 'replace-object', content: big.objects.get(path) ?? Buffer.alloc(0) },
      bucket: name,
      operation: 'GetObject',
      key: path,
      skip: 1,
    });
    const target = await tempFolderFor(t, 'target');
    const result = await copy(url, `file://${target}`);
    await fault.assertUsedUp();
    assert.equal(result.code, 0, result.stderr);
    assert.ok(big.objects.get(path)?.equals(await readFile(join(target, path))));
  });

  it('is unsettled in a live pass and damage in a frozen one when its bytes stay wrong', async (t) => {
    for (const { flags, code, word } of [
      { flags: [], code: 1, word: 'unsettled' },
      { flags: ['--frozen'], code: 3, word: 'damaged' },
    ]) {
      const { name, url } = freshBucket('source');
      await fillBucket(name, big);
      const rule = {
        fault: { kind: 'replace-object' },
        bucket: name,
        operation: 'GetObject',
        key: path,
        skip: 1,
      } as const;
      const fault = await server.misbehave(rule);
      const target = await tempFolderFor(t, 'target');
      const result = await copy(url, `file://${target}`, flags);
      await fault.assertUsedUp();
      assert.equal(result.code, code, result.stderr);
      assert.match(result.stdout, new RegExp(`"state":"${word}","path":"${path}"`));
      await assert.rejects(readFile(join(target, path)), /ENOENT/);
    }
  });

  it('is vanished when a stat says so too: counted in a live pass, a failure in a frozen one', async (t) => {
    for (const { flags, code } of [
      { flags: [], code: 0 },
      { flags: ['--frozen'], code: 1 },
    ]) {
      const { name, url } = freshBucket('source');
      await fillBucket(name, big);
      const gone = { kind: 'status', status: 404, code: 'NoSuchKey' } as const;
      const fault = await server.misbehave([
        { fault: gone, bucket: name, operation: 'GetObject', key: path, skip: 1 },
        { fault: gone, bucket: name, operation: 'HeadObject', key: path },
      ]);
      const target = await tempFolderFor(t, 'target');
      const result = await copy(url, `file://${target}`, flags);
      await fault.assertUsedUp();
      assert.equal(result.code, code, result.stderr);
      assert.equal(result.summary?.['objectsVanished'], 1);
      await assert.rejects(readFile(join(target, path)), /ENOENT/);
    }
  });
});

async function fillBucket(bucket: string, small: SmallTree): Promise<void> {
  await server.put(
    bucket,
    [...small.objects].map(([key, body]) => ({ key, body })),
  );
}

async function assertWholeOrAbsent(file: string, expected: Buffer | undefined): Promise<void> {
  const bytes = await readFile(file).catch(() => undefined);
  assert.ok(bytes === undefined || expected?.equals(bytes), `${file} is half there`);
}

/** Mounting needs root, which users need not be. */
function noTmpfs(): string | false {
  if (process.getuid?.() === 0) return false;
  if (process.env['BLOBFERRY_TEST_REQUIRED'] === 'all')
    throw new Error('The test of a full disk needs root to mount a tmpfs');
  return 'missing here: root, to mount a small tmpfs';
}
