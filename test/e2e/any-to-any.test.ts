/**
 * One real registry along all 25 ways between five kinds of storage, to another folder, bucket or account where both are
 * of one kind. What arrived is read past the product; where Debian's registry can read the target, it serves all images.
 */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AzureContainer } from '../support/azure-container.ts';
import { type CliResult, runBlobferry } from '../support/cli.ts';
import {
  azureYaml,
  type FiveServices,
  fakeStore,
  gcsYaml,
  KINDS,
  type Kind,
  missingServices,
  startFiveServices,
  writeSettings,
} from '../support/five-services.ts';
import { pullAll } from '../support/image-pull.ts';
import { folderStore, type ObjectStore, readStore } from '../support/object-store.ts';
import { type RegistryStorage, startRegistry, storageYaml } from '../support/registry.ts';
import { makeRegistryOnFive, type RegistryOnFive } from '../support/registry-on-five.ts';
import { fieldsOf, summaryOf } from '../support/run-checks.ts';
import { S3Bucket } from '../support/s3-bucket.ts';
import { SwiftContainer } from '../support/swift-container.ts';
import { makeTempFolder, type TempFolder } from '../support/temp.ts';
import { missingTools } from '../support/tools.ts';
import { compareTrees, totalBytes } from '../support/tree.ts';

/** By source, the root of its targets in YAML, and what keys must begin with there. Swift keeps all of its prefix. */
const ROOTS: Readonly<
  Record<Kind, { readonly yaml: string; readonly prefix: string; readonly swift: string }>
> = {
  filesystem: { yaml: '', prefix: '', swift: 'files/' },
  s3: { yaml: '/', prefix: '', swift: 'files/' },
  azure: { yaml: 'a', prefix: 'a/', swift: 'a/files/' },
  gcs: { yaml: '/a/b/', prefix: 'a/b/', swift: 'a/b//files/' },
  swift: { yaml: 'deep/er', prefix: 'deep/er/', swift: 'deep/er/files/' },
};

interface Target {
  readonly settings: string;
  readonly store: ObjectStore;
  /** What the key of every object begins with. */
  readonly prefix: string;
  /** Where a registry can be started on it. */
  readonly registry?: RegistryStorage;
  /** Sentences about objects that a registry would not have written so. */
  readonly oddities?: () => Promise<readonly string[]>;
}

describe('a real registry', { skip: missingServices() || missingTools('registry', 'skopeo') }, () => {
  let folder: TempFolder;
  let services: FiveServices;
  let world: RegistryOnFive;

  before(async () => {
    folder = await makeTempFolder('any-to-any');
    const servers = join(folder.path, 'servers');
    await mkdir(servers);
    services = await startFiveServices(servers);
    world = await makeRegistryOnFive(folder.path, services);
  });

  after(async () => {
    await services?.stop();
    await folder?.remove();
  });

  it('is the same registry on all five, whoever wrote it', async () => {
    const { kept, sources } = world;
    for (const kind of KINDS) assert.deepEqual(compareTrees(kept, sources[kind].kept), [], kind);
    const swift = await new SwiftContainer(services.swift, 'registry').open();
    const names = await swift.names();
    assert.ok(names.filter((name) => name.startsWith('old/segments/')).length > 9, 'its layers are in parts');
    const azure = await (await new AzureContainer(services.azurite, 'registry').open()).list();
    const blobs = azure.filter(({ name }) => name.includes('/blobs/'));
    assert.deepEqual(new Set(blobs.map(({ type }) => type)), new Set(['AppendBlob', 'BlockBlob']));
  });

  describe('is copied', { concurrency: 2 }, () => {
    for (const from of KINDS) {
      for (const to of KINDS) it(`from ${from} to ${to}`, () => assertCopied(from, to));
    }
  });

  it('is left as it is where it was', async () => {
    for (const kind of KINDS) {
      const { store, names } = world.sources[kind];
      assert.deepEqual([...(await store.names())].sort(), [...names].sort(), kind);
    }
  });

  async function assertCopied(from: Kind, to: Kind): Promise<void> {
    const target = await makeTarget(from, to);
    const { kept, sources } = world;
    const run = (command: string): Promise<CliResult> =>
      runBlobferry([command, '--from', sources[from].settings, '--to', target.settings, '--json'], {
        env: services.env,
      });
    const isComplete = { isComplete: true, layout: 'distribution', exceptions: [] };
    const { objectsLeftOut } = sources[from];
    assert.ok(objectsLeftOut > 0);
    const whole = { ...isComplete, objectsFailed: 0, objectsDamaged: 0, objectsLeftOut };
    const first = { ...whole, objectsCopied: kept.size, bytesCopied: totalBytes(kept), objectsSkipped: 0 };
    const copied = summaryOf(await run('copy'), 0);
    assert.deepEqual(fieldsOf(copied, first), first);

    assert.deepEqual(compareTrees(kept, await readStore(target.store, target.prefix)), []);
    const beside = (await target.store.names()).filter((name) => !name.startsWith(target.prefix));
    assert.deepEqual(
      beside.filter((name) => to !== 'swift' || !name.includes('segments/')),
      [],
      'nothing lies beside the copy',
    );
    assert.deepEqual(await target.oddities?.(), target.oddities && []);

    const second = { ...whole, objectsCopied: 0, bytesCopied: 0, objectsSkipped: kept.size };
    const again = summaryOf(await run('copy'), 0);
    assert.deepEqual(fieldsOf(again, second), second);
    const equal = { isComplete: true, objectsMatched: kept.size, objectsMissing: 0, objectsExtra: 0 };
    const verified = summaryOf(await run('verify'), 0);
    assert.deepEqual(fieldsOf(verified, equal), equal);
    if (target.registry) await assertServed(target.registry);
  }

  async function assertServed(storage: RegistryStorage): Promise<void> {
    const registry = await startRegistry({ storage, isReadOnly: true });
    try {
      const { problems, images } = await pullAll(registry.host, world.mess.images);
      assert.deepEqual(problems, []);
      assert.equal(images, world.mess.images.length);
    } finally {
      await registry.stop();
    }
  }

  /** Another folder, bucket or account than the source's; a container has the source's name where the account differs. */
  async function makeTarget(from: Kind, to: Kind): Promise<Target> {
    const name = `from-${from}`;
    const root = ROOTS[from];
    const made = await TARGETS[to](from === to && to !== 's3' ? 'registry' : name, root);
    return { ...made, settings: await writeSettings(folder.path, `${name}-to-${to}`, made.yaml) };
  }

  type Made = Omit<Target, 'settings'> & { readonly yaml: string };
  const TARGETS: Readonly<Record<Kind, (name: string, root: (typeof ROOTS)[Kind]) => Promise<Made>>> = {
    filesystem: async (name) => {
      const root = join(folder.path, `copy-${name}`);
      await mkdir(root);
      const registry = { filesystem: root };
      return { yaml: storageYaml(registry), store: folderStore(root), prefix: '', registry };
    },
    s3: async (name, { yaml: rootDirectory, prefix }) => {
      const bucket = await new S3Bucket(services.ceph, name).create();
      const registry = { s3: { ...services.ceph, bucket: name, rootDirectory } };
      return { yaml: storageYaml(registry), store: bucket, prefix, registry };
    },
    azure: async (name, { yaml: rootdirectory, prefix }) => {
      const { azurite } = services;
      const container = await new AzureContainer(azurite, name, azurite.other).create();
      // Distribution 2 knows no root; its names begin with a slash.
      const isOld = rootdirectory === '';
      const more = isOld ? { trimlegacyrootprefix: false } : { rootdirectory };
      return {
        yaml: azureYaml({ azurite, account: azurite.other, container: name, more }),
        store: container,
        prefix: isOld ? '/' : prefix,
        oddities: async () =>
          (await container.list())
            .filter(
              ({ type, contentType }) => `${type} ${contentType}` !== 'BlockBlob application/octet-stream',
            )
            .map((blob) => JSON.stringify(blob)),
      };
    },
    gcs: async (name, { yaml: root, prefix }) => {
      const bucket = services.gcs.addBucket(name);
      return {
        yaml: gcsYaml(services.gcs, name, root),
        store: fakeStore(bucket),
        prefix,
        oddities: async () =>
          [...bucket.objects]
            .filter(([, { headers }]) => headers['content-type'] !== 'application/octet-stream')
            .map(([key]) => key),
      };
    },
    swift: async (name, { yaml: swiftPrefix, swift: prefix }) => {
      const container = await new SwiftContainer(services.swift.other, name).create();
      const registry = { swift: { ...services.swift.other, container: name, prefix: swiftPrefix } };
      return { yaml: storageYaml(registry), store: container, prefix, registry };
    },
  };
});
