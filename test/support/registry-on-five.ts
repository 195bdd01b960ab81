/**
 * One registry, on each of the five kinds of storage: on a folder, S3 and Swift by a docker-registry of its own that all
 * images were pushed to, on Azure and Cloud Storage as the registry's drivers for them write it, for which Debian's
 * registry lacks the drivers.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AzureContainer } from './azure-container.ts';
import {
  azureYaml,
  type FiveServices,
  fakeStore,
  gcsYaml,
  type Kind,
  writeSettings,
} from './five-services.ts';
import type { Bucket } from './gcs-fake-bucket.ts';
import { type Mess, makeMess, pushImages } from './image-push.ts';
import { buildImages, type ImageSet } from './images.ts';
import { fillStore, folderStore, type ObjectStore, readStore } from './object-store.ts';
import { type RegistryStorage, startRegistry, storageYaml } from './registry.ts';
import { S3Bucket } from './s3-bucket.ts';
import { SwiftContainer } from './swift-container.ts';
import { isUnfinishedUpload, type Tree } from './tree.ts';

interface Source {
  /** Path of a YAML file. */
  readonly settings: string;
  /** What a copy must bring, by its logical path, read by another client. */
  readonly kept: Tree;
  /** How many other objects are below the root. */
  readonly objectsLeftOut: number;
  /** Names of all objects, wherever they are, when it was finished. */
  readonly names: readonly string[];
  readonly store: ObjectStore;
}

export interface RegistryOnFive {
  readonly mess: Mess;
  /** What a copy must bring, as the registry on the folder has it. */
  readonly kept: Tree;
  readonly sources: Readonly<Record<Kind, Source>>;
}

/** What some tools make of folders in S3. */
const MARKERS = ['docker/', 'docker/registry/v2/repositories/', 'docker/registry/v2/repositories/team/app/'];

/** Left out of every copy: unfinished uploads, and marks of folders. */
function isLeftOut(path: string): boolean {
  return isUnfinishedUpload(path) || path.endsWith('/');
}

export async function makeRegistryOnFive(folder: string, services: FiveServices): Promise<RegistryOnFive> {
  const set = await buildImages({
    directory: join(folder, 'oci'),
    seed: 'any to any',
    repositories: ['team/app', 'team-b/app'],
    imagesPerRepository: 3,
    layerBytes: [200, 20_000, 300_000],
    // Larger than a part of any size that is chosen by itself.
    largestLayerBytes: 9 * 1024 ** 2,
  });
  const root = join(folder, 'registry');
  const bucket = await new S3Bucket(services.ceph, 'registry').create();
  const container = await new SwiftContainer(services.swift, 'registry').create();
  const s3 = { s3: { ...services.ceph, bucket: bucket.name, rootDirectory: '/some/where' } };
  const swift = { swift: { ...services.swift, container: container.name, prefix: 'old' } };
  const [mess] = await Promise.all([
    fillRegistry(set, { filesystem: root }),
    fillRegistry(set, s3),
    fillRegistry(set, swift),
  ]);
  const objects = await Promise.all(
    (await folderStore(root).names()).map(async (path) => [path, await readFile(join(root, path))] as const),
  );
  for (const marker of MARKERS) await bucket.put(`some/where/${marker}`, new Uint8Array());
  // What their registries could not be brought to write.
  for (const [path, bytes] of objects) {
    if (!path.includes(mess.emptyBlob.digest.replace('sha256:', ''))) continue;
    await bucket.put(`some/where/${path}`, bytes);
    await container.put(`old/files/${path}`, bytes);
  }
  const azure = await new AzureContainer(services.azurite, 'registry').create();
  await fillAzure(azure, objects);
  fillGcs(services.gcs.bucket, objects);
  const source = async (kind: Kind, yaml: string, store: ObjectStore, prefix: string): Promise<Source> => {
    const names = await store.names();
    const paths = names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
    return {
      settings: await writeSettings(folder, `from-${kind}`, yaml),
      kept: await readStore(store, prefix, isLeftOut),
      objectsLeftOut: paths.filter(isLeftOut).length,
      names,
      store,
    };
  };
  const ofAzure = { azurite: services.azurite, container: azure.name, more: { trimlegacyrootprefix: false } };
  const sources = {
    filesystem: await source('filesystem', storageYaml({ filesystem: root }), folderStore(root), ''),
    s3: await source('s3', storageYaml(s3), bucket, 'some/where/'),
    azure: await source('azure', azureYaml(ofAzure), azure, '/'),
    gcs: await source(
      'gcs',
      gcsYaml(services.gcs, 'bucket', '/mirror/'),
      fakeStore(services.gcs.bucket),
      'mirror/',
    ),
    swift: await source('swift', storageYaml(swift), container, 'old/files/'),
  };
  return { mess, kept: sources.filesystem.kept, sources };
}

/** All that is pushed and done to it is the same each time, but for the names of unfinished uploads. */
async function fillRegistry(set: ImageSet, storage: RegistryStorage): Promise<Mess> {
  const pushesEmptyBlob = 'filesystem' in storage;
  const registry = await startRegistry({ storage });
  try {
    await pushImages(set, registry.host);
    return await makeMess(set, registry.host, { pushesEmptyBlob });
  } catch (error) {
    const [kind] = Object.keys(storage);
    throw new Error(`The registry on ${kind} could not be filled. Its last words:\n${registry.lastWords()}`, {
      cause: error,
    });
  } finally {
    await registry.stop();
  }
}

type Objects = readonly (readonly [path: string, bytes: Buffer])[];

/**
 * As distribution 2's driver: names begin with a slash; what came by an upload is an append blob, and stays one when it is
 * moved to its place (layers, configurations, unfinished uploads); the rest are block blobs (links, manifests, and the
 * blob of no bytes, which is written in its place).
 */
async function fillAzure(container: AzureContainer, objects: Objects): Promise<void> {
  const store: ObjectStore = {
    names: () => container.names(),
    hash: (name) => container.hash(name),
    put: (name, bytes) =>
      isUploaded(name, bytes) ? container.append(name, bytes) : container.put(name, bytes),
  };
  await fillStore(
    store,
    objects.map(([path, bytes]) => [`/${path}`, bytes]),
  );
}

function isUploaded(name: string, bytes: Uint8Array): boolean {
  if (!name.endsWith('/data')) return false;
  if (isUnfinishedUpload(name.slice(1))) return true;
  return bytes.length > 0 && !Buffer.from(bytes).includes('"schemaVersion"');
}

/** As the driver's: an unfinished upload is a placeholder of a type of its own, with the address of the session. */
function fillGcs(bucket: Bucket, objects: Objects): void {
  for (const [path, bytes] of objects) {
    const isSession = isUnfinishedUpload(path) && path.endsWith('/data');
    const session = {
      'content-type': 'application/x-docker-upload-session',
      'x-goog-meta-session-uri': 'https://storage.googleapis.com/upload/storage/v1/b/bucket/o?upload_id=x',
      'x-goog-meta-offset': '262144',
    };
    bucket.put(
      `mirror/${path}`,
      bytes,
      isSession ? session : { 'content-type': 'application/octet-stream' },
      false,
    );
  }
}
