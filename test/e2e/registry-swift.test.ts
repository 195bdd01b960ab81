/** A registry on OpenStack Swift, written by the registry's own driver: leaves it for a folder, and comes back. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type CliResult, runBlobferry } from '../support/cli.ts';
import { pullAll } from '../support/image-pull.ts';
import { pushImages } from '../support/image-push.ts';
import { buildImages, type TestImage } from '../support/images.ts';
import { type Registry, type RegistryStorage, startRegistry, storageYaml } from '../support/registry.ts';
import { startUpload } from '../support/registry-api.ts';
import { exceptionPaths, fieldsOf, summaryOf } from '../support/run-checks.ts';
import { type Swift, startSwift } from '../support/swift.ts';
import { SwiftContainer } from '../support/swift-container.ts';
import { makeTempFolder, type TempFolder } from '../support/temp.ts';
import { missingTools } from '../support/tools.ts';
import { isUnfinishedUpload, readTree, type Tree, totalBytes } from '../support/tree.ts';

const FILES = 'old/files/';
const SEGMENTS = 'old/segments/';

describe('a registry on Swift', { skip: missingTools('swift', 'registry', 'skopeo') }, () => {
  let folder: TempFolder;
  let swift: Swift;
  let container: SwiftContainer;
  let other: SwiftContainer;
  let registry: Registry;
  let pushed: readonly TestImage[];
  let from: string;
  let root: string;
  let copied: Tree;

  const storageOf = ({ name }: SwiftContainer, prefix: string): RegistryStorage => ({
    swift: { ...swift, container: name, prefix },
  });
  const asFile = async (name: string, storage: RegistryStorage): Promise<string> => {
    const path = join(folder.path, name);
    await writeFile(path, storageYaml(storage));
    return path;
  };
  const copy = (source: string, target: string, ...more: readonly string[]): Promise<CliResult> =>
    runBlobferry(['copy', '--from', source, '--to', target, '--json', ...more]);
  const verify = (source: string, target: string, ...more: readonly string[]): Promise<CliResult> =>
    runBlobferry(['verify', '--from', source, '--to', target, '--json', ...more]);
  const servesAll = async (storage: RegistryStorage): Promise<void> => {
    const second = await startRegistry({ storage, isReadOnly: true });
    try {
      const { problems, images } = await pullAll(second.host, pushed);
      assert.deepEqual(problems, []);
      assert.equal(images, pushed.length);
    } finally {
      await second.stop();
    }
  };

  before(async () => {
    folder = await makeTempFolder('registry-swift');
    root = join(folder.path, 'copy');
    await mkdir(root);
    const set = await buildImages({
      directory: join(folder.path, 'oci'),
      seed: 'swift',
      repositories: ['team/app', 'team-b/app'],
      imagesPerRepository: 3,
      layerBytes: [200, 20_000, 300_000],
      largestLayerBytes: 6 * 1024 ** 2,
    });
    swift = await startSwift({ directory: join(folder.path, 'swift') });
    container = await new SwiftContainer(swift, 'registry').create();
    other = await new SwiftContainer(swift, 'other').create();
    const storage = storageOf(container, 'old');
    from = await asFile('swift.yml', storage);
    registry = await startRegistry({ storage });
    await pushImages(set, registry.host);
    pushed = set.images;
    // What it makes of one that has no bytes yet, its own driver cannot read again.
    await startUpload(registry.host, 'team/app', 100_000);
  });

  after(async () => {
    await registry?.stop();
    await swift?.stop();
    await folder?.remove();
  });

  it('is copied to a folder whole: the true bytes of large objects, and no segments', async () => {
    const names = await container.names();
    assert.ok(
      names.some((name) => name.startsWith(SEGMENTS)),
      'the registry wrote large objects',
    );
    const paths = names.filter((name) => name.startsWith(FILES)).map((name) => name.slice(FILES.length));
    const kept = paths.filter((path) => !isUnfinishedUpload(path)).sort();
    const summary = summaryOf(await copy(from, `file://${root}`), 0);
    copied = await readTree(root);
    assert.deepEqual([...copied.keys()].sort(), kept);
    const expected = {
      layout: 'distribution',
      objectsCopied: kept.length,
      objectsFailed: 0,
      bytesCopied: totalBytes(copied),
      exceptions: [],
    };
    assert.deepEqual(fieldsOf(summary, expected), expected);
    assert.ok(totalBytes(copied) > 6 * 1024 ** 2);
  });

  it('is equal to its copy, by listing and when everything is read', async () => {
    const expected = { objectsMatched: copied.size, objectsMissing: 0, objectsExtra: 0 };
    for (const more of [[], ['--deep']]) {
      const summary = summaryOf(await verify(from, `file://${root}`, ...more), 0);
      assert.deepEqual(fieldsOf(summary, expected), expected);
      if (more.length === 0) assert.equal(summary['bytesMatched'], totalBytes(copied));
    }
  });

  it('is served whole by a registry on the folder', () => servesAll({ filesystem: root }));

  it('has nothing left to copy in a second run', async () => {
    const summary = summaryOf(await copy(from, `file://${root}`, '--frozen'), 0);
    const expected = { objectsCopied: 0, objectsSkipped: copied.size, bytesSkipped: totalBytes(copied) };
    const { objectsCopied, objectsSkipped } = expected;
    assert.deepEqual(fieldsOf(summary, { objectsCopied, objectsSkipped }), { objectsCopied, objectsSkipped });
  });

  it('is planned with the bytes that would be copied', async () => {
    const args = ['plan', '--from', from, '--to', `file://${join(folder.path, 'nowhere')}`, '--json'];
    const summary = summaryOf(await runBlobferry(args), 0);
    const { missing } = summary['objects'] as { readonly missing: unknown };
    assert.deepEqual(missing, { objects: copied.size, bytes: totalBytes(copied) });
  });

  it('comes back from the folder into a container, in parts, and is served whole from there', async () => {
    const storage = storageOf(other, '');
    const to = await asFile('other.yml', storage);
    const part = ['--part-size', '5MiB'];
    const summary = summaryOf(await copy(`file://${root}`, to, ...part), 0);
    const expected = { objectsCopied: copied.size, objectsFailed: 0, exceptions: [] };
    assert.deepEqual(fieldsOf(summary, expected), expected);
    const names = await other.names();
    assert.deepEqual(
      names
        .filter((name) => name.startsWith('files/'))
        .map((name) => name.slice('files/'.length))
        .sort(),
      [...copied.keys()].sort(),
    );
    assert.ok(
      names.some((name) => name.startsWith('segments/')),
      'the largest layer has parts',
    );
    assert.deepEqual(
      names.filter((name) => !/^(?:files|segments)\//.test(name)),
      [],
      'nothing else is there',
    );
    summaryOf(await verify(`file://${root}`, to), 0);
    summaryOf(await verify(from, to, '--deep'), 0);
    const again = summaryOf(await copy(`file://${root}`, to, ...part), 0);
    assert.equal(again['objectsCopied'], 0);
    await servesAll(storage);
  });

  it('is never copied short: a layer that lacks a part is named, and stays away', async () => {
    const [largest] = [...copied].sort(([, a], [, b]) => b.sizeBytes - a.sizeBytes);
    assert.ok(largest);
    const [path] = largest;
    const head = await container.request('HEAD', `/${encodeURI(FILES + path)}`);
    const manifest = decodeURIComponent(head.headers.get('x-object-manifest') ?? '');
    const parts = (await container.names()).filter((name) => `registry/${name}`.startsWith(manifest));
    assert.ok(parts.length > 2, `${path} has ${parts.length} parts`);
    // That the last one is gone nothing in Swift tells: the digest does.
    const { status } = await container.request('DELETE', `/${encodeURI(parts.at(-1) ?? '')}`);
    assert.equal(status, 204);
    const fresh = join(folder.path, 'without-last');
    await mkdir(fresh);
    const summary = summaryOf(await copy(from, `file://${fresh}`, '--frozen'), 3);
    assert.ok(exceptionPaths(summary).includes(path));
    assert.equal(summary['objectsDamaged'], 1);
    assert.equal((await readTree(fresh)).has(path), false);
    assert.deepEqual(exceptionPaths(summaryOf(await verify(from, `file://${root}`), 3)), [path]);
  });
});
