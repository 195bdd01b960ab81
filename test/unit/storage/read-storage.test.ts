import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { readStorage } from '../../../src/cli/storage/read-storage.ts';
import { refusalOf, s3Yaml } from './reading.ts';

describe('readStorage()', () => {
  let folder = '';
  const SOURCE = { role: 'source' } as const;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'blobferry-read-storage-'));
  });
  after(() => rm(folder, { recursive: true }));

  async function fileWith(name: string, content: string | Uint8Array): Promise<string> {
    const file = join(folder, name);
    await writeFile(file, content);
    return file;
  }

  it('reads a file, whatever its name', async () => {
    const file = await fileWith('registry-config', 'filesystem:\n  rootdirectory: /srv/registry\n');
    const { spec, notes } = await readStorage(file, {}, SOURCE);
    assert.deepEqual(spec, { kind: 'fs', rootDirectory: '/srv/registry' });
    assert.deepEqual(notes, []);
  });

  it('reads a file with a byte order mark and Windows line ends, and counts its lines', async () => {
    const file = await fileWith('windows.yml', '\ufeffs3:\r\n  bucket: registry\r\n  regoin: eu-west-1\r\n');
    const { message } = await refusalOf(() => readStorage(file, {}, SOURCE));
    assert.equal(message, `${file}:3: unknown parameter "regoin" of s3; did you mean "region"?`);
  });

  it('reads a URL without looking for a file', async () => {
    const { spec } = await readStorage('file:///srv/registry', {}, SOURCE);
    assert.deepEqual(spec, { kind: 'fs', rootDirectory: '/srv/registry' });
  });

  it('knows from the role whether objects are written', async () => {
    const file = await fileWith('acl.yml', s3Yaml('objectacl: private'));
    assert.equal((await readStorage(file, {}, SOURCE)).notes.length, 1);
    assert.equal((await readStorage(file, {}, { role: 'target' })).notes.length, 0);
  });

  it('offers the file URL for a folder', async () => {
    assert.deepEqual(await refusalOf(() => readStorage(`${folder}/`, {}, SOURCE)), {
      message: `Cannot read the source's settings from "${folder}/": it is a folder`,
      hint: `for the registry stored in it write file://${folder}`,
    });
  });

  it('says that there is no such file, and what may be given', async () => {
    assert.deepEqual(await refusalOf(() => readStorage('nowhere.yml', {}, { role: 'target' })), {
      message: 'Cannot read the target\'s settings from "nowhere.yml": there is no such file',
      hint: 'give a YAML file, or a URL such as file:///srv/registry or s3://bucket/root',
    });
  });

  it('refuses an empty name', async () => {
    assert.equal((await refusalOf(() => readStorage('', {}, SOURCE))).message, 'The source is not named');
  });

  it('says that it may not read the file', async () => {
    const file = await fileWith('secret.yml', 's3: {}\n');
    await chmod(file, 0);
    const message = await asNobody(
      async () => (await refusalOf(() => readStorage(file, {}, SOURCE))).message,
    );
    assert.equal(message, `Cannot read the source's settings from "${file}": permission denied`);
  });

  it('refuses what is no text, and what is far too long', async () => {
    const binary = await fileWith('binary.yml', Uint8Array.of(0x73, 0x33, 0xff, 0xfe));
    assert.match((await refusalOf(() => readStorage(binary, {}, SOURCE))).message, /: not UTF-8 text$/);
    const long = await fileWith('long.yml', '#'.repeat(1024 * 1024 + 1));
    assert.match(
      (await refusalOf(() => readStorage(long, {}, SOURCE))).message,
      /: more than 1048576 bytes$/,
    );
    const { message } = await refusalOf(() => readStorage('/dev/zero', {}, SOURCE));
    assert.match(message, /: more than 1048576 bytes$/);
  });

  it('says that endpoints of the environment are not used', async () => {
    const file = await fileWith('aws.yml', s3Yaml());
    const env = { AWS_ENDPOINT_URL: 'http://localhost:9000' };
    const note = "AWS_ENDPOINT_URL is set and not used: an endpoint is taken from the storage's own settings";
    assert.deepEqual((await readStorage(file, env, SOURCE)).notes, [note]);
    const own = await fileWith('own.yml', s3Yaml('regionendpoint: https://ceph'));
    assert.deepEqual((await readStorage(own, env, SOURCE)).notes, []);
  });
});

/** Root may read everything, so root becomes nobody for a moment. */
async function asNobody<T>(work: () => Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0) return work();
  process.seteuid?.(65534);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
  }
}
