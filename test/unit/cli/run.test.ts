import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { runCli } from '../../../src/cli/run.ts';
import { tempFolderFor } from '../../support/temp.ts';
import { sha256 } from '../verify/fake-store.ts';
import { type FakeHost, fakeHost } from './fake-host.ts';

interface Ran {
  readonly code: number;
  readonly host: FakeHost;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(...argv: readonly string[]): Promise<Ran> {
  const host = fakeHost();
  const code = await runCli(argv, host);
  return { code, host, stdout: host.stdout.text, stderr: host.stderr.text };
}

const V2 = 'docker/registry/v2';

/** Two blobs and a link in a folder. */
async function writeRegistry(root: string, contents: readonly string[] = ['first', 'second']): Promise<void> {
  for (const content of contents) {
    const hex = sha256(content);
    await put(root, `${V2}/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`, content);
    await put(root, `${V2}/repositories/app/_layers/sha256/${hex}/link`, `sha256:${hex}`);
  }
  await put(root, `${V2}/repositories/app/_uploads/1/data`, 'half');
}

async function put(root: string, path: string, content: string): Promise<void> {
  const file = join(root, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
}

function url(path: string): string {
  return pathToFileURL(path).href;
}

describe('blobferry without a valid command line', () => {
  const CASES: readonly (readonly [string, readonly string[], RegExp])[] = [
    ['an unknown command', ['copi'], /^blobferry: unknown command 'copi'\n\(Did you mean copy\?\)/],
    [
      'help for an unknown command',
      ['copi', '--help'],
      /^blobferry: unknown command 'copi'\n\(Did you mean copy\?\)/,
    ],
    [
      'the help command for one',
      ['help', 'copi'],
      /^blobferry: unknown command 'copi'\n\(Did you mean copy\?\)/,
    ],
    [
      'an unknown option',
      ['copy', '--from', 'a', '--to', 'b', '--froze'],
      /unknown option '--froze'\n\(Did you mean --frozen\?\)/,
    ],
    [
      'an option of a later version',
      ['verify', '--from', 'a', '--to', 'b', '--sample', '3'],
      /unknown option '--sample'/,
    ],
    ['a missing option', ['verify', '--from', 'a'], /required option '--to <storage>' not specified/],
    ['a missing argument', ['probe'], /missing required argument 'storage'/],
    ['too many arguments', ['probe', 'a', 'b'], /too many arguments/],
    ['an unknown choice', ['probe', 'a', '--layout', 'harbor'], /Allowed choices are auto, registry, raw/],
    [
      'a number that is none',
      ['copy', '--from', 'a', '--to', 'b', '--threads', 'many'],
      /'--threads <number>' argument 'many' is invalid. A whole number from 1 to 64/,
    ],
    [
      'a size that is none',
      ['copy', '--from', 'a', '--to', 'b', '--memory', 'lots'],
      /'--memory <size>' argument 'lots' is invalid. A size such as/,
    ],
    ['too little memory', ['verify', '--from', 'a', '--to', 'b', '--memory', '1M'], /At least 136MiB/],
    [
      'an owner by name',
      ['copy', '--from', 'a', '--to', 'b', '--owner', 'root'],
      /Two numbers are expected, UID:GID/,
    ],
    ['a mode nobody can read', ['copy', '--from', 'a', '--to', 'b', '--mode', '200'], /let the owner read/],
    ['a rate of nothing', ['copy', '--from', 'a', '--to', 'b', '--requests', '0'], /A rate such as 500\/s/],
    [
      'a port that is none',
      ['copy', '--from', 'a', '--to', 'b', '--metrics-port', '70000'],
      /from 0 to 65535/,
    ],
    ['no command', [], /^Usage: blobferry/],
  ];
  for (const [what, argv, says] of CASES) {
    it(`answers ${what} on stderr with exit code 2`, async () => {
      const { code, stdout, stderr } = await run(...argv);
      assert.match(stderr, says);
      assert.equal(stdout, '');
      assert.equal(code, 2);
    });
  }

  it('prints help and version on stdout with exit code 0', async () => {
    const help = await run('copy', '--help');
    assert.equal(help.code, 0);
    assert.match(help.stdout, /--into-nonempty/);
    const version = await run('--version');
    assert.equal(version.code, 0);
    assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
  });

  it('leaves no signal handler behind', async () => {
    const before = process.listenerCount('SIGINT');
    await run('--version');
    assert.equal(process.listenerCount('SIGINT'), before);
  });
});

describe('blobferry with storages that cannot be used', () => {
  it('tells in one sentence and a hint that a settings file is missing', async () => {
    const { code, stderr, stdout } = await run(
      'verify',
      '--from',
      '/nonexistent/old.yml',
      '--to',
      'file:///tmp',
    );
    assert.equal(code, 2);
    assert.equal(stdout, '');
    const lines = stderr.trimEnd().split('\n');
    assert.match(
      lines[0] ?? '',
      /^blobferry: Cannot read the source's settings from "\/nonexistent\/old\.yml"/,
    );
    assert.match(lines[1] ?? '', /^ {2}Give a YAML file/);
    assert.equal(lines.length, 2);
  });

  it('adds the stack only where BLOBFERRY_DEBUG asks for it', async () => {
    const host = fakeHost({ env: { BLOBFERRY_DEBUG: '1' } });
    await runCli(['probe', '/nonexistent/old.yml'], host);
    assert.match(host.stderr.text, /ConfigError.*\n +at /);
  });

  it('gives --json an object for the error as well', async () => {
    const { code, stdout, stderr } = await run(
      'verify',
      '--json',
      '--from',
      '/nonexistent/old.yml',
      '--to',
      'file:///tmp',
    );
    assert.equal(code, 2);
    const event: unknown = JSON.parse(stdout);
    assert.partialDeepStrictEqual(event, { event: 'error', exitCode: 2 });
    assert.match(stderr, /^blobferry: /);
  });

  it('refuses --owner for a target that is no file system', async (t) => {
    const file = join(await tempFolderFor(t), 'new.yml');
    const keys = '    accesskey: a-key\n    secretkey: a-secret\n';
    await writeFile(file, `storage:\n  s3:\n    bucket: bucket\n    region: eu-west-1\n${keys}`);
    const { code, stderr } = await run('copy', '--from', 'file:///tmp', '--to', file, '--owner', '1:1');
    assert.equal(code, 2);
    assert.match(stderr, /--owner is for a target on a file system; s3:\/\/bucket is none/);
  });

  it('refuses --metrics-host without a port', async () => {
    const { code, stderr } = await run(
      'copy',
      '--from',
      'file:///tmp',
      '--to',
      'file:///var',
      '--metrics-host',
      '::1',
    );
    assert.equal(code, 2);
    assert.match(stderr, /needs --metrics-port/);
  });
});

describe('blobferry verify', () => {
  it('compares two folders and exits 0 when they are equal', async (t) => {
    const root = await tempFolderFor(t);
    await writeRegistry(join(root, 'a'));
    await writeRegistry(join(root, 'b'));
    const { code, stdout, stderr } = await run(
      'verify',
      '--deep',
      '--from',
      url(join(root, 'a')),
      '--to',
      url(join(root, 'b')),
    );
    assert.equal(code, 0);
    assert.match(stdout, /^✓ Equal: 4 objects, /);
    assert.match(stdout, /4 {2}read back from the target: the bytes are what their path says/);
    assert.match(stdout, /left out, .*: 1 in the source, 1 in the target/);
    assert.match(stderr, /^comparing file:\/\/.*\/b with file:\/\/.*\/a, layout distribution/);
  });

  it('names what differs and exits 3, on stdout as JSON where that is wanted', async (t) => {
    const root = await tempFolderFor(t);
    await writeRegistry(join(root, 'a'));
    await writeRegistry(join(root, 'b'), ['first']);
    const from = url(join(root, 'a'));
    const to = url(join(root, 'b'));
    const { code, stdout, stderr } = await run('verify', '--json', '--from', from, '--to', to);
    assert.equal(code, 3);
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line): { event: string } => JSON.parse(line));
    assert.deepEqual(
      events.map(({ event }) => event),
      ['exception', 'exception', 'summary'],
    );
    assert.partialDeepStrictEqual(events[2], { objectsMissing: 2, objectsMatched: 2, isComplete: true });
    assert.equal(stderr, '');
  });

  it('does not make a target folder that is missing', async (t) => {
    const root = await tempFolderFor(t);
    await writeRegistry(join(root, 'a'));
    const { code, stderr } = await run(
      'verify',
      '--from',
      url(join(root, 'a')),
      '--to',
      url(join(root, 'b')),
    );
    assert.equal(code, 2);
    assert.match(stderr, /the root folder does not exist/);
  });

  it('refuses to compare a storage with itself', async (t) => {
    const root = await tempFolderFor(t);
    await writeRegistry(root);
    const { code, stderr } = await run('verify', '--from', url(root), '--to', url(`${root}/.`));
    assert.equal(code, 2);
    assert.match(stderr, /Source and target are the same storage/);
  });

  it('says where a root without a registry in it may be wrong', async (t) => {
    const root = await tempFolderFor(t);
    await writeRegistry(join(root, 'a'));
    await mkdir(join(root, 'b'));
    const { code, stderr } = await run('verify', '--from', url(root), '--to', url(join(root, 'b')));
    assert.equal(code, 2);
    assert.match(stderr, /Cannot find a registry in /);
    assert.match(stderr, /there is a registry in "a\/docker\/registry\/v2\/"/i);
  });
});
