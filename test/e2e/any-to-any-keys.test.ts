/**
 * Keys at Azure and Cloud Storage, whose registry drivers Debian lacks: each case says what the registry's own driver calls
 * the same file, written out. What lies under another key no registry finds.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { AzureContainer } from '../support/azure-container.ts';
import { ACCOUNT, ACCOUNT_KEY, type Azurite, missingAzurite, startAzurite } from '../support/azurite.ts';
import { runBlobferry } from '../support/cli.ts';
import { azureYaml, fakeStore, gcsYaml, writeSettings } from '../support/five-services.ts';
import { type GcsCliWorld, gcsCliWorldFor } from '../support/gcs-cli-world.ts';
import { type ObjectStore, readStore } from '../support/object-store.ts';
import { summaryOf } from '../support/run-checks.ts';
import { sha256Hex } from '../support/seeded.ts';
import { makeSmallTree, writeSmallTree } from '../support/small-tree.ts';
import { makeTempFolder, type TempFolder } from '../support/temp.ts';
import type { Tree } from '../support/tree.ts';

/** A tag, whose path is the same whatever the seed: `/docker/registry/v2/<TAG>` to the registry. */
const TAG = 'repositories/team/app/_manifests/tags/v1/current/link';
const TREE = makeSmallTree({ seed: 'keys', blobBytes: [40_000, 71] });

interface Case {
  /** The parameters of the registry's YAML that decide. */
  readonly parameters: Readonly<Record<string, string | boolean>>;
  readonly rule: string;
  /** Where the tag is. */
  readonly key: string;
}

const AZURE: readonly Case[] = [
  {
    rule: 'distribution 2 leaves the slash of the path in front',
    parameters: { trimlegacyrootprefix: false },
    key: '/docker/registry/v2/repositories/team/app/_manifests/tags/v1/current/link',
  },
  {
    rule: 'distribution 2, a root of nothing but a slash',
    parameters: { trimlegacyrootprefix: false, rootdirectory: '/' },
    key: '/docker/registry/v2/repositories/team/app/_manifests/tags/v1/current/link',
  },
  {
    rule: "the slash stands in front of the root where one is given, as GitLab's registry knows it",
    parameters: { trimlegacyrootprefix: false, rootdirectory: 'a' },
    key: '/a/docker/registry/v2/repositories/team/app/_manifests/tags/v1/current/link',
  },
  {
    rule: 'one slash stands in front, however many the root has',
    parameters: { trimlegacyrootprefix: false, rootdirectory: '/a/b/' },
    key: '/a/b/docker/registry/v2/repositories/team/app/_manifests/tags/v1/current/link',
  },
  {
    rule: 'distribution 3 trims all slashes at the front',
    parameters: { rootdirectory: '' },
    key: 'docker/registry/v2/repositories/team/app/_manifests/tags/v1/current/link',
  },
  {
    rule: 'distribution 3, a root of nothing but a slash',
    parameters: { rootdirectory: '/' },
    key: 'docker/registry/v2/repositories/team/app/_manifests/tags/v1/current/link',
  },
  {
    rule: 'distribution 3 puts its root in front',
    parameters: { rootdirectory: 'a' },
    key: 'a/docker/registry/v2/repositories/team/app/_manifests/tags/v1/current/link',
  },
  {
    rule: 'distribution 3 trims its root at the end, then the whole at the front',
    parameters: { rootdirectory: '/a/b/' },
    key: 'a/b/docker/registry/v2/repositories/team/app/_manifests/tags/v1/current/link',
  },
  {
    rule: 'slashes within the root stay as they are',
    parameters: { rootdirectory: 'a//b' },
    key: 'a//b/docker/registry/v2/repositories/team/app/_manifests/tags/v1/current/link',
  },
];

const GCS: readonly Case[] = [
  {
    rule: 'the path without its slash',
    parameters: { rootdirectory: '' },
    key: 'docker/registry/v2/repositories/team/app/_manifests/tags/v1/current/link',
  },
  {
    rule: 'a root of nothing but slashes is none',
    parameters: { rootdirectory: '/' },
    key: 'docker/registry/v2/repositories/team/app/_manifests/tags/v1/current/link',
  },
  {
    rule: 'the root, a slash, the path without its own',
    parameters: { rootdirectory: 'a' },
    key: 'a/docker/registry/v2/repositories/team/app/_manifests/tags/v1/current/link',
  },
  {
    rule: 'the root is trimmed at both ends',
    parameters: { rootdirectory: '/a/b/' },
    key: 'a/b/docker/registry/v2/repositories/team/app/_manifests/tags/v1/current/link',
  },
  {
    rule: 'slashes within the root stay as they are',
    parameters: { rootdirectory: 'a//b' },
    key: 'a//b/docker/registry/v2/repositories/team/app/_manifests/tags/v1/current/link',
  },
];

describe('keys', { skip: missingAzurite() }, () => {
  let folder: TempFolder;
  let azurite: Azurite;
  let gcs: GcsCliWorld;
  let from: string;
  const ends: (() => Promise<void>)[] = [];

  before(async () => {
    folder = await makeTempFolder('keys');
    azurite = await startAzurite({ directory: join(folder.path, 'azurite') });
    gcs = await gcsCliWorldFor({ after: (end) => ends.push(end) });
    await writeSmallTree(join(folder.path, 'source'), TREE);
    from = pathToFileURL(join(folder.path, 'source')).href;
  });

  after(async () => {
    for (const end of ends.reverse()) await end();
    await azurite?.stop();
    await folder?.remove();
  });

  /** Copied there and found again by the same rule, whole, with nothing beside it. */
  async function assertCopied(yaml: string, store: ObjectStore, { key }: Case, name: string): Promise<void> {
    const to = await writeSettings(folder.path, name, yaml);
    const env = { ...gcs.env, NODE_COMPILE_CACHE: join(folder.path, 'compiled') };
    const copied = await runBlobferry(['copy', '--from', from, '--to', to, '--json'], { env });
    assert.equal(summaryOf(copied, 0)['objectsCopied'], TREE.objects.size);
    assert.ok(key.endsWith(`docker/registry/v2/${TAG}`));
    const prefix = key.slice(0, -`docker/registry/v2/${TAG}`.length);
    const names = [...TREE.objects.keys()].map((path) => prefix + path);
    assert.deepEqual([...(await store.names())].sort(), names.sort());
    assert.equal((await store.hash(key)).sha256, expected.get(`docker/registry/v2/${TAG}`)?.sha256);
    assert.deepEqual(new Map([...(await readStore(store, prefix))].sort()), new Map([...expected].sort()));
    const verified = await runBlobferry(['verify', '--from', from, '--to', to, '--json'], { env });
    assert.equal(summaryOf(verified, 0)['objectsMatched'], TREE.objects.size);
  }

  const expected: Tree = new Map(
    [...TREE.objects].map(([path, bytes]) => [path, { sizeBytes: bytes.length, sha256: sha256Hex(bytes) }]),
  );

  describe('at Azure', { concurrency: 2 }, () => {
    for (const [at, one] of AZURE.entries()) {
      it(`${JSON.stringify(one.parameters)}: ${one.rule}`, async () => {
        const container = await new AzureContainer(azurite, `case-${at}`).create();
        const yaml = azureYaml({ azurite, container: container.name, more: one.parameters });
        await assertCopied(yaml, container, one, `azure-${at}`);
        // Reading never asks for the kind of a blob, so that block blobs do for what the registry appends to.
        for (const { type, contentType } of await container.list())
          assert.deepEqual([type, contentType], ['BlockBlob', 'application/octet-stream']);
      });
    }

    it('a URL gives the rule by its parameter', async () => {
      const container = await new AzureContainer(azurite, 'by-url').create();
      const to = `azure://${ACCOUNT}/by-url?endpoint=${azurite.endpoint}&trimlegacyrootprefix=false`;
      const env = { AZURE_STORAGE_KEY: ACCOUNT_KEY };
      summaryOf(await runBlobferry(['copy', '--from', from, '--to', to, '--json'], { env }), 0);
      // In an address both slashes stand: container//docker/….
      assert.equal((await container.hash(`/docker/registry/v2/${TAG}`)).sizeBytes, 71);
    });
  });

  describe('at Cloud Storage', { concurrency: 2 }, () => {
    for (const [at, one] of GCS.entries()) {
      it(`${JSON.stringify(one.parameters)}: ${one.rule}`, async () => {
        const bucket = gcs.fake.addBucket(`case-${at}`);
        const yaml = gcsYaml(gcs.fake, `case-${at}`, String(one.parameters['rootdirectory']));
        await assertCopied(yaml, fakeStore(bucket), one, `gcs-${at}`);
        // Of the other type that its driver knows, the registry would see none of it.
        for (const { headers } of bucket.objects.values())
          assert.equal(headers['content-type'], 'application/octet-stream');
      });
    }
  });
});
