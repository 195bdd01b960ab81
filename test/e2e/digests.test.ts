/** `--digests`: by hand, too, a metadata backup says what the blobs of MSR must hash to. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { type CliResult, runBlobferry } from '../support/cli.ts';
import { backupPieces } from '../support/msr/backup.ts';
import { type MsrTree, writeMsrTree } from '../support/msr-tree.ts';
import { exceptionPaths, fieldsOf, summaryOf } from '../support/run-checks.ts';
import { seededUuid, sha256Hex } from '../support/seeded.ts';
import { tempFolderFor } from '../support/temp.ts';

interface World {
  readonly source: string;
  readonly target: string;
  readonly tree: MsrTree;
  /** Writes a backup that names these blobs, by path. */
  backup(paths: readonly string[], more?: readonly string[]): Promise<string>;
  run(command: 'copy' | 'verify', ...more: readonly string[]): Promise<CliResult>;
}

async function world(t: TestContext): Promise<World> {
  const folder = await tempFolderFor(t, 'digests');
  const [source, target, scratch] = ['source', 'target', 'scratch'].map((name) => join(folder, name));
  assert.ok(source && target && scratch);
  for (const one of [target, scratch]) await mkdir(one);
  const tree = await writeMsrTree({ root: source, seed: 'digests', blobCount: 40, largestBlobBytes: 70_000 });
  return {
    source,
    target,
    tree,
    backup: async (paths, more = []) => {
      const known = paths.map(async (path) => rowOf(idOf(path), await readFile(join(source, path))));
      const blobs = [...(await Promise.all(known)), ...more.map((id) => rowOf(id, Buffer.from(id)))];
      const file = join(folder, 'backup.tar');
      const rows = { blobs, properties: [{ key: 'x', value: 'y' }] };
      await writeFile(file, Buffer.concat([...backupPieces('2.9.18', rows)]));
      return file;
    },
    run: async (command, ...more) => {
      const storages = ['--from', `file://${source}`, '--to', `file://${target}`];
      const journal = command === 'copy' ? ['--journal', join(folder, 'journal')] : [];
      const env = { ...process.env, TMPDIR: scratch };
      const result = await runBlobferry([command, ...storages, ...journal, ...more], { env });
      const left = (await readdir(scratch)).filter((name) => name.startsWith('blobferry-'));
      assert.deepEqual(left, [], 'the index is removed');
      return result;
    },
  };
}

function rowOf(id: string, content: Uint8Array) {
  return { id, sha256sum: `sha256:${sha256Hex(content)}`, mediaType: 'application/octet-stream' };
}

function idOf(path: string): string {
  return basename(dirname(path));
}

describe('copy --digests', { concurrency: 2 }, () => {
  it('proves every blob that the backup names', async (t) => {
    const { tree, backup, run } = await world(t);
    const summary = summaryOf(await run('copy', '--digests', await backup(tree.blobs), '--json'), 0);
    const expected = { layout: 'msr', objectsUnproved: tree.others.length - 1, objectsDamaged: 0 };
    assert.deepEqual(fieldsOf(summary, expected), expected);
    const { digest } = summary['objectsByProof'] as { readonly digest: number };
    assert.equal(digest, tree.blobs.length + 1);
  });

  it('refuses a blob of a frozen source that is not what the backup says', async (t) => {
    const { source, target, tree, backup, run } = await world(t);
    const file = await backup(tree.blobs);
    const [, damaged] = tree.blobs;
    assert.ok(damaged);
    const bytes = await readFile(join(source, damaged));
    bytes.writeUInt8(bytes.readUInt8(0) ^ 1, 0);
    await writeFile(join(source, damaged), bytes);
    const summary = summaryOf(await run('copy', '--digests', file, '--frozen', '--json'), 3);
    assert.equal(summary['objectsDamaged'], 1);
    assert.deepEqual(exceptionPaths(summary), [damaged]);
    await assert.rejects(readFile(join(target, damaged)), { code: 'ENOENT' });
  });

  it('tells blobs that the backup does not name, and blobs that only it names', async (t) => {
    const { tree, backup, run } = await world(t);
    const gone = seededUuid('digests', 'gone');
    const [first = '', ...others] = tree.blobs;
    const result = await run('copy', '--digests', await backup(others, [gone]));
    assert.equal(result.code, 0, result.stderr);
    assert.match(
      result.stdout,
      new RegExp(`1 blob is not in the backup, so nothing says what it must hash to.*: ${idOf(first)}`),
    );
    assert.match(result.stdout, new RegExp(`1 blob that the backup names is not in the source.*: ${gone}`));
    assert.match(result.stderr, /backup of MSR 2\.9\.18: 40 blobs with their digests/);
  });
});

describe('verify --digests', { concurrency: 2 }, () => {
  it('reads blobs back from the target alone, and says that all that the backup names are there', async (t) => {
    const { tree, backup, run } = await world(t);
    const file = await backup(tree.blobs);
    summaryOf(await run('copy', '--json'), 0);
    const summary = summaryOf(await run('verify', '--deep', '--digests', file, '--json'), 0);
    const { digest } = summary['matchedBy'] as { readonly digest: number };
    assert.equal(digest, tree.blobs.length + 1);
    const told = await run('verify', '--digests', file);
    assert.match(told.stdout, /every one of the 40 blobs that the backup names is in the target/);
  });

  it('finds a blob that no listing has any more, with exit 3', async (t) => {
    const { source, target, tree, backup, run } = await world(t);
    const file = await backup(tree.blobs);
    summaryOf(await run('copy', '--json'), 0);
    const [, lost = ''] = tree.blobs;
    for (const root of [source, target]) await rm(join(root, lost));
    assert.equal((await run('verify')).code, 0, 'listings agree');
    const result = await run('verify', '--digests', file);
    assert.equal(result.code, 3, result.stdout);
    assert.match(
      result.stdout,
      /lacking: 1 blob that the backup names is not in the target; 1 of them is not in the source either/,
    );
    assert.ok(result.stdout.includes(idOf(lost)));
  });
});
