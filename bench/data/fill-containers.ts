/** Fills the containers `full` and `half` of a service, by the driver, as a registry's would be filled. */
import pLimit from 'p-limit';
import { AzureDriver } from '../../src/drivers/azure/azure-driver.ts';
import { AzureService } from '../../src/drivers/azure/azure-service.ts';
import type { StorageDriver } from '../../src/drivers/driver.ts';
import { GcsDriver } from '../../src/drivers/gcs/gcs-driver.ts';
import { ServiceClient } from '../../src/drivers/http/service-client.ts';
import type { AzureSpec, GcsSpec, SwiftSpec } from '../../src/drivers/spec.ts';
import { SwiftDriver } from '../../src/drivers/swift/swift-driver.ts';
import { keyPrefixOf } from '../../src/layout/key-rule.ts';
import { TOKEN } from '../service-servers/gcs-dialect.ts';
import type { ServiceProcess } from '../service-servers/service-process.ts';
import { DataSetBuilder, type DataSets } from './data-set.ts';
import type { BenchObject } from './objects.ts';

const AT_ONCE = 16;
const CTX = { signal: new AbortController().signal };

type Server = Pick<ServiceProcess, 'kind' | 'endpoint'>;

export function specOf({ kind, endpoint }: Server, container: string): AzureSpec | GcsSpec | SwiftSpec {
  switch (kind) {
    case 'azure':
      return {
        kind,
        accountName: 'testaccount',
        container,
        endpoint: `${endpoint}/testaccount`,
        rootDirectory: '',
        hasSlashRoot: false,
        access: { type: 'shared-key', accountKey: Buffer.alloc(64, 'key').toString('base64') },
        skipsTlsVerify: false,
      };
    case 'gcs':
      return {
        kind,
        bucket: container,
        rootDirectory: '',
        endpoint,
        access: { kind: 'default' },
        skipsTlsVerify: false,
      };
    case 'swift':
      return {
        kind,
        container,
        prefix: '',
        access: {
          authUrl: `${endpoint}/auth/v1.0`,
          authVersion: 1,
          user: 'test:tester',
          password: 'testing',
          endpointType: 'public',
        },
        skipsTlsVerify: false,
      };
  }
}

function openDriver(server: Server, container: string): StorageDriver {
  const storage = specOf(server, container);
  if (storage.kind === 'swift') return new SwiftDriver(storage, undefined);
  if (storage.kind === 'gcs')
    return new GcsDriver(storage, undefined, { tokens: async () => ({ token: TOKEN }) });
  const service = new AzureService(storage);
  const client = new ServiceClient(service);
  return new AzureDriver(client, { storage, engine: 'direct' }, { namespace: 'flat', addresses: service });
}

export async function fillContainers(server: Server, objects: Iterable<BenchObject>): Promise<DataSets> {
  const [full, half] = [new DataSetBuilder(), new DataSetBuilder()];
  const prefix = keyPrefixOf(specOf(server, 'full'));
  const [ofFull, ofHalf] = [openDriver(server, 'full'), openDriver(server, 'half')];
  const limit = pLimit(AT_ONCE);
  let batch: Promise<void>[] = [];
  for (const object of objects) {
    const drivers = object.isInHalf ? [ofFull, ofHalf] : [ofFull];
    full.add(object);
    if (object.isInHalf) half.add(object);
    batch.push(limit(async () => void (await Promise.all(drivers.map((one) => put(one, prefix, object))))));
    if (batch.length < AT_ONCE * 8) continue;
    await Promise.all(batch);
    batch = [];
  }
  await Promise.all(batch);
  await Promise.all([ofFull.close(), ofHalf.close()]);
  return { full: full.set, half: half.set };
}

async function put(driver: StorageDriver, prefix: string, object: BenchObject): Promise<void> {
  const { path, sizeBytes, pieces } = object;
  const body = {
    sizeBytes,
    async *open() {
      yield* pieces();
    },
  };
  await driver.write(CTX, prefix + path, body, {});
}
