/** Rows of docs/errors.md about settings: nothing is reached, so each run ends before anything is tried. */
import assert from 'node:assert/strict';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import {
  blobferry,
  errorTests,
  type RowTest,
  type RunOptions,
  withoutPower,
} from '../support/error-tests.ts';
import { writeMsrTree } from '../support/msr-tree.ts';
import { mustRun } from '../support/process.ts';
import { tempFolderFor } from '../support/temp.ts';

const SECRET = 'hiddenHiddenHidden';

/** Runs `probe` with this storage. */
function storage(argument: string, options: RunOptions = {}): RowTest {
  return async (_t, row) => {
    const result = await blobferry(['probe', argument], { secrets: [SECRET], ...options });
    row.check(result);
  };
}

/** Runs `probe` with a file of this content. */
function yaml(content: string | Uint8Array, options: RunOptions = {}): RowTest {
  return async (t, row) => {
    const file = await fileWith(t, content);
    row.check(await blobferry(['probe', file], { secrets: [SECRET], ...options }));
  };
}

async function fileWith(t: TestContext, content: string | Uint8Array): Promise<string> {
  const file = join(await tempFolderFor(t, 'settings'), 'old.yml');
  await writeFile(file, content);
  return file;
}

/** A right section of s3 with further lines. */
function s3(...lines: readonly string[]): string {
  return ['s3:', '  bucket: registry', '  region: eu-west-1', ...lines.map((line) => `  ${line}`), ''].join(
    '\n',
  );
}

/** A copy between folders with this option; nothing of it is tried. */
function option(...args: readonly string[]): RowTest {
  return async (t, row) => {
    const [from, to] = [await tempFolderFor(t, 'source'), await tempFolderFor(t, 'target')];
    await mkdir(join(from, 'docker/registry/v2/blobs'), { recursive: true });
    row.check(await blobferry(['copy', '--from', `file://${from}`, '--to', `file://${to}`, ...args]));
    assert.deepEqual(await readdir(to), []);
  };
}

/** A copy of a registry whose blobs are named by ids; nothing of it is tried. */
function ofIds(backup: (t: TestContext) => Promise<string>): RowTest {
  return async (t, row) => {
    const [from, to] = [await tempFolderFor(t, 'source'), await tempFolderFor(t, 'target')];
    await writeMsrTree({ root: from, seed: 'digests', blobCount: 1, largestBlobBytes: 10 });
    const storages = ['--from', `file://${from}`, '--to', `file://${to}`];
    row.check(await blobferry(['copy', ...storages, '--digests', await backup(t)]));
    assert.deepEqual(await readdir(to), []);
  };
}

function prices(file: (t: TestContext) => Promise<string>): RowTest {
  return async (t, row) => {
    const folder = `file://${await tempFolderFor(t, 'storage')}`;
    row.check(await blobferry(['plan', '--from', folder, '--to', folder, '--prices', await file(t)]));
  };
}

errorTests(import.meta.filename, {
  'a settings file that is not there': storage('no-such-file.yml'),
  'a folder in the place of a settings file': async (t, row) => {
    const folder = await tempFolderFor(t, 'settings');
    row.check(await blobferry(['probe', folder]));
  },
  'a settings file that may not be read': async (t, row) => {
    const file = await fileWith(t, s3());
    await mustRun('chmod', ['000', file]);
    row.check(await blobferry(['probe', file], { through: withoutPower() }));
  },
  'a settings file of more than 1 MiB': yaml('#'.repeat(1024 * 1024 + 1)),
  'a settings file that is no text': yaml(Uint8Array.of(0x73, 0x33, 0xff, 0xfe)),
  'an empty settings file': yaml('# nothing yet\n'),
  'a settings file that is no YAML': yaml('s3:\n\tbucket: registry\n'),
  'a settings file about something else': yaml('- s3\n'),
  'a settings file without a storage section': yaml('version: 0.1\nstorge:\n  s3: {}\n'),
  'a storage section without a backend': yaml('storage:\n  delete:\n    enabled: true\n'),
  'a storage section with nothing in it': yaml('storage:\n'),
  'two backends in one storage section': yaml(
    'storage:\n  s3:\n    bucket: x\n  filesystem:\n    rootdirectory: /x\n',
  ),
  'a backend beside the storage section': yaml('storage:\n  delete: {}\ns3:\n  bucket: x\n'),
  'an unknown backend': yaml('storage:\n  file-sytem:\n    rootdirectory: /x\n'),
  'a backend that never will be': yaml('oss: {}\n'),
  'a backend with a single value': yaml('s3: registry\n'),
  'an unknown parameter': yaml(s3('regoin: eu-west-1')),
  'a parameter given twice': yaml(s3('secure: true', 'secure: false')),
  'no bucket': yaml('s3:\n  region: eu-west-1\n'),
  'a bucket with a path behind it': yaml('s3:\n  bucket: registry/old\n  region: eu-west-1\n'),
  'an access point in the place of a bucket': yaml(
    's3:\n  bucket: arn:aws:s3:eu-west-1:1:accesspoint/x\n  region: eu-west-1\n',
  ),
  'a directory bucket': yaml('s3:\n  bucket: registry--euw1-az1--x-s3\n  region: eu-west-1\n'),
  'no region': yaml('s3:\n  bucket: registry\n'),
  'a region that AWS has not': yaml('s3:\n  bucket: registry\n  region: Frankfurt\n'),
  'a region in the environment that AWS has not': yaml('s3:\n  bucket: registry\n', {
    env: { AWS_REGION: 'Frankfurt' },
  }),
  'a truth value that is none': yaml(s3('secure: maybe')),
  'a number that is none': yaml(s3('chunksize: 10MB')),
  'a word that is not among the choices': yaml(s3('storageclass: GLACIER')),
  'a list in the place of a value': yaml(s3('rootdirectory: [a, b]')),
  'a value that YAML reads as something else': yaml(s3('rootdirectory: 2024_01')),
  'an access key without its secret key': yaml(s3('accesskey: AKIAEXAMPLE')),
  'a session token without keys': yaml(s3(`sessiontoken: ${SECRET}`)),
  'a key rule that the storage does not know': yaml(s3('keyrule: distribution-2')),
  'two key rules for one Azure container': yaml(
    [
      ...['azure:', '  accountname: account', '  container: registry', `  sastoken: "sv=1&sig=${SECRET}"`],
      ...['  trimlegacyrootprefix: false', '  keyrule: distribution-3', ''],
    ].join('\n'),
  ),
  'Signature Version 2': yaml(s3('v4auth: false')),
  'an endpoint that is no URL': yaml(s3('regionendpoint: "http://"')),
  'an endpoint of another protocol': yaml(s3('regionendpoint: ftp://x')),
  'an endpoint with credentials in it': yaml(s3(`regionendpoint: https://me:${SECRET}@s3.example.com`)),
  'an endpoint with a query': yaml(s3(`regionendpoint: https://s3.example.com?sig=${SECRET}`)),
  'an endpoint that ends in the bucket': yaml(s3('regionendpoint: https://s3.example.com/registry/')),
  'acceleration in path style': yaml(s3('forcepathstyle: true', 'accelerate: true')),
  'a root folder that is not absolute': yaml('filesystem:\n  rootdirectory: ./data\n'),
  'a variable that is not set': yaml(s3('accesskey: AKIA', `secretkey: $\{MY_${'SECRET'}}`)),
  'a reference that is none': yaml(s3(`rootdirectory: "$\{${SECRET}"`)),
  'several mistakes at once': yaml('s3:\n  bucket: a/b\n  colour: red\n  chunksize: 1\n'),
  'an unknown kind of URL': storage('ipfs://registry'),
  'a web address in the place of a storage': storage('https://s3.example.com/registry'),
  'keys in an S3 URL': storage(`s3://AKIA:${SECRET}@registry?region=eu-west-1`),
  'a secret in the query of an S3 URL': storage(`s3://registry?region=eu-west-1&secretkey=${SECRET}`),
  'an S3 URL without a bucket': storage('s3:///root?region=eu-west-1'),
  'an unknown parameter of an S3 URL': storage('s3://registry?regoin=eu-west-1'),
  'a parameter of an S3 URL given twice': storage('s3://registry?region=eu-west-1&region=eu-west-2'),
  'an S3 URL without a region': storage('s3://registry'),
  'a region of an S3 URL that AWS has not': storage('s3://registry?region=Frankfurt'),
  'a truth value of an S3 URL that is none': storage('s3://registry?region=eu-west-1&pathstyle=maybe'),
  'an address of IPv6 without brackets': storage('s3://registry?endpoint=http://::1:9000'),
  'the SDK engine for a backend that has none': async (_t, row) => {
    const env = { ST_AUTH: 'http://127.0.0.1:9/auth/v1.0', ST_USER: 'account:user', ST_KEY: SECRET };
    const places = ['--from', 'swift://container', '--to', 'file:///nonexistent'];
    for (const args of [
      ['copy', ...places],
      ['probe', 'swift://container'],
    ])
      row.check(await blobferry([...args, '--engine', 'sdk'], { env }));
  },
  'a file URL with a relative path': storage('file://srv/registry'),
  'a percent sign that encodes nothing': storage('file:///srv/100%'),
  'a storage that is not named': storage(''),
  'an owner for a target on S3': async (t, row) => {
    const source = await tempFolderFor(t, 'source');
    await mkdir(join(source, 'docker'));
    const to = 's3://registry?region=eu-west-1';
    row.check(await blobferry(['copy', '--from', `file://${source}`, '--to', to, '--owner', '1:1']));
  },
  'an option that is not known': option('--threadz', '4'),
  'a command that is not known': async (_t, row) => row.check(await blobferry(['copi'])),
  'an option that is left out': async (_t, row) => {
    row.check(await blobferry(['copy', '--from', 'file:///srv/registry']));
  },
  'a number that an option does not take': option('--threads', '0'),
  'a size that is none': option('--memory', 'lots'),
  'a size that is too small': option('--memory', '1MiB'),
  'a rate of bytes that is none': option('--bandwidth', 'fast'),
  'a rate of requests that is none': option('--requests', 'many'),
  'digests for a registry that names blobs by them': async (t, row) => {
    const [from, to] = [await tempFolderFor(t, 'source'), await tempFolderFor(t, 'target')];
    const blob = join(from, 'docker/registry/v2/blobs/sha256/ab', 'ab'.repeat(32));
    await mkdir(blob, { recursive: true });
    await writeFile(join(blob, 'data'), 'x');
    const storages = ['--from', `file://${from}`, '--to', `file://${to}`];
    row.check(await blobferry(['copy', ...storages, '--digests', import.meta.filename]));
    assert.deepEqual(await readdir(to), []);
  },
  'digests out of a file that is not there': ofIds(async () => 'no-such-backup.tar'),
  'digests out of something else than a backup': ofIds(async (t) => {
    const file = join(await tempFolderFor(t, 'backup'), 'old.tar');
    await writeFile(file, gzipSync('dtr-backup'));
    return file;
  }),
  'an owner by name': option('--owner', 'root'),
  'permissions that nobody could read by': option('--mode', '044'),
  'a layout that is not known': option('--layout', 'flat'),
  'a host for metrics without a port': option('--metrics-host', '127.0.0.1'),
  'a limit of deletions without deletions': option('--max-delete', '4'),
  'deletions while the source may change': option('--delete-extra'),
  'a file of prices that is not there': prices(() => Promise.resolve('no-such-file.yml')),
  'a file of prices with something else in it': prices((t) => fileWith(t, s3())),
});
