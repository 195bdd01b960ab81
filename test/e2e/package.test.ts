/** The package as npm makes it, installed where nothing else is, on the Nodes that it is made for. */
import assert from 'node:assert/strict';
import { access, cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type S3Server, startS3Server } from '../../bench/s3-server/s3-server.ts';
import { type CommandResult, cleanEnvironment, mustRun, runCommand } from '../support/process.ts';
import { makeSmallTree, writeSmallTree } from '../support/small-tree.ts';
import { tempFolderFor } from '../support/temp.ts';
import { findCommand, missingTool } from '../support/tools.ts';
import { readTree } from '../support/tree.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** What a release is made of; the copy keeps what building leaves behind out of the checkout. */
const RELEASED = ['package.json', 'README.md', 'tsconfig.json', 'tsconfig.build.json'];
const RELEASED_FOLDERS = ['bin', 'docs', 'src', 'workers'];
const NODE_24 = '24.21.0';
const NPM_MS = 240_000;
const MIB = 1024 ** 2;

const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
const tree = makeSmallTree({ seed: 'package', blobBytes: [9 * MIB, 300_000, 1_234] });

/** Everything of this file lies here. */
let folder: string;
/** Where the package is installed. */
let site: string;
let packed: readonly string[];
let server: S3Server;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'blobferry-package-'));
  server = await startS3Server({ buckets: ['installed', 'node-24'] });
  const tarball = await pack();
  site = join(folder, 'site');
  await mkdir(site);
  await npm(site, 'install', tarball);
  await writeSmallTree(join(folder, 'registry'), tree);
});
after(async () => {
  await server?.close();
  await rm(folder, { recursive: true, force: true });
});

/** npm with the folder's own cache of the user, so that nothing is fetched twice. */
function npm(cwd: string, ...args: readonly string[]): Promise<CommandResult> {
  return mustRun('npm', [...args, '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error'], {
    cwd,
    timeoutMs: NPM_MS,
  });
}

/** @returns the path of the tarball. */
async function pack(): Promise<string> {
  const release = join(folder, 'release');
  await mkdir(release);
  for (const name of [...RELEASED, ...RELEASED_FOLDERS]) {
    await cp(join(ROOT, name), join(release, name), { recursive: true });
  }
  await symlink(join(ROOT, 'node_modules'), join(release, 'node_modules'));
  const { stdout } = await npm(release, 'pack', '--json', '--pack-destination', folder);
  const [result] = JSON.parse(stdout) as [{ filename: string; files: readonly { path: string }[] }];
  packed = result.files.map(({ path }) => path);
  return join(folder, result.filename);
}

/** Runs the installed command as a shell would find it. */
async function blobferry(args: readonly string[], node?: string): Promise<CommandResult> {
  const bin = join(site, 'node_modules/.bin');
  const path = [node, bin, process.env['PATH']].filter((part) => part !== undefined).join(':');
  return await runCommand(join(bin, 'blobferry'), args, {
    cwd: folder,
    env: cleanEnvironment({
      PATH: path,
      XDG_STATE_HOME: join(folder, 'state'),
      NODE_COMPILE_CACHE: join(folder, 'compiled'),
      AWS_ACCESS_KEY_ID: 'testkey',
      AWS_SECRET_ACCESS_KEY: 'testsecret',
      AWS_EC2_METADATA_DISABLED: 'true',
    }),
  });
}

function url(bucket: string): string {
  return `s3://${bucket}?endpoint=${server.endpoint}&region=us-east-1`;
}

/** From a folder to a folder and to a bucket, and the proof of both. */
async function copiesEverything(target: string, bucket: string, node?: string): Promise<void> {
  const from = `file://${join(folder, 'registry')}`;
  for (const to of [`file://${target}`, url(bucket)]) {
    const copied = await blobferry(['copy', '--from', from, '--to', to], node);
    assert.equal(copied.code, 0, copied.stderr);
    assert.match(copied.stdout, new RegExp(`^✓ Copied ${tree.objects.size} objects`));
    const verified = await blobferry(['verify', '--deep', '--from', from, '--to', to], node);
    assert.equal(verified.code, 0, verified.stderr);
  }
  assert.deepEqual(new Set((await readTree(target)).keys()), new Set(tree.objects.keys()));
  for (const [key, body] of tree.objects) {
    assert.deepEqual(Buffer.from((await server.get(bucket, key)) ?? []), body, key);
  }
}

describe('the package', () => {
  it('holds the built program and its documents, and nothing that only development needs', () => {
    for (const path of [
      'bin/blobferry.cjs',
      'dist/src/cli/main.js',
      'dist/workers/copy.js',
      'docs/blobferry.1',
      'docs/cli.md',
      'README.md',
      'package.json',
    ]) {
      assert.ok(packed.includes(path), `${path} is missing`);
    }
    const strange = packed.filter(
      (path) => !/^(?:bin|dist|docs)\/|^(?:README\.md|package\.json)$/.test(path),
    );
    assert.deepEqual(strange, []);
    assert.deepEqual(
      packed.filter((path) => path.endsWith('.ts') || path.includes('memory-driver')),
      [],
    );
  });

  it('has every script that its files import', async () => {
    const built = join(site, 'node_modules/blobferry/dist');
    for (const name of await readdir(built, { recursive: true })) {
      if (!name.endsWith('.js')) continue;
      const file = join(built, name);
      const text = await readFile(file, 'utf8');
      for (const [, path = ''] of text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)) {
        await access(fileURLToPath(new URL(path, `file://${file}`)));
      }
    }
  });

  it('installs a command that knows its version and its help', async () => {
    assert.equal((await blobferry(['--version'])).stdout.trim(), version);
    const { code, stdout, stderr } = await blobferry(['--help']);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^Usage: blobferry \[options\] \[command\]\n/);
    assert.match((await blobferry(['copy', '--help'])).stdout, /^Examples:$/m);
    assert.match((await blobferry(['completion', 'bash'])).stdout, /^complete -F _blobferry blobferry$/m);
  });

  it(`copies and verifies on Node ${process.versions.node}`, async (t) => {
    await copiesEverything(await tempFolderFor(t, 'target'), 'installed');
  });

  it(`copies and verifies on Node ${NODE_24}`, async (t) => {
    const node = await nodeFromNpm(NODE_24).catch((error: unknown) => String(error));
    if (!node.startsWith('/')) return t.skip(missingTool('node-24', `npm did not install it: ${node}`));
    const { stdout } = await mustRun(join(node, 'node'), ['--version']);
    assert.equal(stdout.trim(), `v${NODE_24}`);
    assert.equal((await blobferry(['--version'], node)).stdout.trim(), version);
    await copiesEverything(await tempFolderFor(t, 'target'), 'node-24', node);
  });

  it('tells an old Node in a sentence what it needs', async () => {
    const old = join(folder, 'old.cjs');
    await writeFile(
      old,
      "Object.defineProperty(process, 'versions', { value: Object.assign({}, process.versions, { node: '12.22.12' }) });",
    );
    const launcher = join(site, 'node_modules/blobferry/bin/blobferry.cjs');
    const told = await runCommand(process.execPath, ['--require', old, launcher, '--version']);
    assert.equal(told.code, 2);
    assert.equal(told.stdout, '');
    assert.match(
      told.stderr,
      /^blobferry: Node 24 or newer is needed, this is 12\.22\.12\n {2}Put a newer one first in PATH; this one is \//,
    );
  });

  it('tells it to a Node that really is old, where there is one', async (t) => {
    const path = (process.env['PATH'] ?? '').split(':').filter((part) => !part.endsWith('node_modules/.bin'));
    const system = findCommand('node', path.join(':'));
    const found = system === undefined ? undefined : (await mustRun(system, ['--version'])).stdout.trim();
    const major = Number(/^v(\d+)/.exec(found ?? '')?.[1] ?? Number.NaN);
    if (system === undefined || !(major < 24))
      return t.skip(missingTool('old-node', `there is ${found ?? 'none'}`));
    const launcher = join(site, 'node_modules/blobferry/bin/blobferry.cjs');
    const told = await runCommand(system, [launcher, '--version']);
    assert.equal(told.code, 2);
    assert.match(told.stderr, new RegExp(`^blobferry: Node 24 or newer is needed, this is ${major}\\.`));
  });
});

/** @returns the folder of the program `node`. */
async function nodeFromNpm(wanted: string): Promise<string> {
  const home = join(folder, `node-${wanted}`);
  await mkdir(home);
  await writeFile(join(home, 'package.json'), '{ "private": true, "allowScripts": { "node": true } }');
  await npm(home, 'install', '--no-save', `node@${wanted}`);
  return join(home, 'node_modules/.bin');
}
