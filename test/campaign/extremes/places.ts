/** An empty place at each of the four services, as settings and as another client sees it. */
import { AzureContainer } from '../../support/azure-container.ts';
import {
  azureYaml,
  type FiveServices,
  fakeStore,
  gcsYaml,
  type Kind,
  writeSettings,
} from '../../support/five-services.ts';
import type { ObjectStore } from '../../support/object-store.ts';
import { storageYaml } from '../../support/registry.ts';
import { S3Bucket } from '../../support/s3-bucket.ts';
import { SwiftContainer } from '../../support/swift-container.ts';

export type Service = Exclude<Kind, 'filesystem'>;
export const SERVICES = ['azure', 'gcs', 's3', 'swift'] as const satisfies readonly Service[];

export interface Place {
  /** Path of a YAML file. */
  readonly settings: string;
  readonly store: ObjectStore;
  /** What keys begin with. */
  readonly prefix: string;
}

/** @param name of a bucket or container that is not there yet. */
export async function makePlace(
  services: FiveServices,
  service: Service,
  folder: string,
  name: string,
): Promise<Place> {
  const { yaml, store, prefix = '' } = await MAKERS[service](services, name);
  return { settings: await writeSettings(folder, `${service}-${name}`, yaml), store, prefix };
}

interface Made {
  readonly yaml: string;
  readonly store: ObjectStore;
  readonly prefix?: string;
}

const MAKERS: Readonly<Record<Service, (services: FiveServices, name: string) => Promise<Made>>> = {
  azure: async ({ azurite }, name) => ({
    yaml: azureYaml({ azurite, container: name, more: { trimlegacyrootprefix: true } }),
    store: await new AzureContainer(azurite, name).create(),
  }),
  gcs: async ({ gcs }, name) => ({ yaml: gcsYaml(gcs, name, ''), store: fakeStore(gcs.addBucket(name)) }),
  s3: async ({ ceph }, name) => ({
    yaml: storageYaml({ s3: { ...ceph, bucket: name, rootDirectory: '' } }),
    store: await new S3Bucket(ceph, name).create(),
  }),
  swift: async ({ swift }, name) => ({
    yaml: storageYaml({ swift: { ...swift, container: name } }),
    store: await new SwiftContainer(swift, name).create(),
    prefix: 'files/',
  }),
};
