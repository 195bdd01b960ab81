/** The rows of docs/backends.md: each service, and each way to write to it, behind a proxy that turns bits over. */
import { randomUUID } from 'node:crypto';
import { ContainerSASPermissions } from '@azure/storage-blob';
import { type S3Server, type S3ServerOptions, startS3Server } from '../../bench/s3-server/s3-server.ts';
import type { Engine } from '../../src/core/job.ts';
import type { GcsSpec, S3Spec, StorageSpec, SwiftSpec } from '../../src/drivers/spec.ts';
import { AzureContainer } from './azure-container.ts';
import { type Azurite, azuriteSpec, missingAzurite, startAzurite } from './azurite.ts';
import { type Ceph, startCeph } from './ceph.ts';
import { FlipProxy, type FlipProxyOptions } from './flip-proxy.ts';
import { startGcsFake } from './gcs-fake.ts';
import { gcsSpecFor } from './gcs-world.ts';
import { S3Bucket } from './s3-bucket.ts';
import { type Swift, startSwift } from './swift.ts';
import { SwiftContainer } from './swift-container.ts';
import { makeTempFolder } from './temp.ts';
import { missingTools } from './tools.ts';

/** One empty bucket or container. */
export interface FlipStore {
  /** Through the proxy. */
  readonly spec: Exclude<StorageSpec, { readonly kind: 'fs' | 'memory' }>;
  readonly proxy: FlipProxy;
  /** Past the product and the proxy: what is there of objects, by their logical paths. */
  paths(): Promise<readonly string[]>;
  get(path: string): Promise<Buffer>;
  put(path: string, bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

export interface FlipRow {
  readonly kind: FlipStore['spec']['kind'];
  readonly skip: string | false;
  readonly engine: Engine;
  /** Is a source of its kind to be read through the proxy as well? One row of each driver is enough. */
  readonly isSource: boolean;
  open(servers: FlipServers): Promise<FlipStore>;
}

/** Real servers, each started once for all that ask for it. */
export class FlipServers {
  readonly #endings: (() => Promise<void>)[] = [];
  readonly #known = new Map<string, Promise<unknown>>();

  ceph(): Promise<Ceph> {
    return this.#once('ceph', (directory) => startCeph({ directory }));
  }

  azurite(): Promise<Azurite> {
    return this.#once('azurite', (directory) => startAzurite({ directory }));
  }

  swift(): Promise<Swift> {
    return this.#once('swift', (directory) => startSwift({ directory }));
  }

  /** All that are installed, side by side. */
  async start(): Promise<void> {
    const started = await Promise.allSettled([
      missingTools('ceph') || this.ceph(),
      missingAzurite() || this.azurite(),
      missingTools('swift') || this.swift(),
    ]);
    // Not before the others are up: only then can they be stopped.
    for (const one of started) if (one.status === 'rejected') throw one.reason;
  }

  async close(): Promise<void> {
    for (const end of this.#endings.splice(0).reverse()) await end();
  }

  #once<T extends { stop(): Promise<void> }>(
    name: string,
    start: (directory: string) => Promise<T>,
  ): Promise<T> {
    const known = this.#known.get(name) as Promise<T> | undefined;
    if (known) return known;
    const starting = (async () => {
      const folder = await makeTempFolder(name);
      this.#endings.push(folder.remove);
      const server = await start(folder.path);
      this.#endings.push(() => server.stop());
      return server;
    })();
    this.#known.set(name, starting);
    return starting;
  }
}

const KEYS = { accessKeyId: 'testkey', secretAccessKey: 'testsecret' };

function s3Spec(bucket: string, endpoint: string, region = 'us-east-1'): S3Spec {
  return {
    kind: 's3',
    bucket,
    rootDirectory: '',
    region,
    endpoint,
    isPathStyle: true,
    skipsTlsVerify: false,
    credentials: KEYS,
    encrypt: false,
  };
}

async function openCeph(servers: FlipServers): Promise<FlipStore> {
  const ceph = await servers.ceph();
  const bucket = await new S3Bucket(ceph, `flips-${randomUUID()}`).create();
  const proxy = await FlipProxy.start(ceph.endpoint);
  return {
    spec: s3Spec(bucket.name, proxy.origin),
    proxy,
    paths: async () => [...(await bucket.list()).keys()],
    get: (path) => bucket.get(path),
    put: (path, bytes) => bucket.put(path, bytes),
    close: async () => {
      await proxy.close();
      bucket.close();
    },
  };
}

function openEmbedded(options: S3ServerOptions, region?: string): () => Promise<FlipStore> {
  return async () => {
    const server: S3Server = await startS3Server({ buckets: ['flips'], ...options });
    const proxy = await FlipProxy.start(server.endpoint);
    return {
      spec: s3Spec('flips', proxy.origin, region),
      proxy,
      paths: async () => (await server.keys('flips')).map(({ key }) => key),
      get: async (path) => Buffer.from((await server.get('flips', path)) ?? ''),
      put: (path, bytes) => server.put('flips', [{ key: path, body: Buffer.from(bytes) }]),
      close: async () => {
        await proxy.close();
        await server.close();
      },
    };
  };
}

function openAzure(options: FlipProxyOptions = {}): (servers: FlipServers) => Promise<FlipStore> {
  return async (servers) => {
    const azurite = await servers.azurite();
    const container = await new AzureContainer(azurite, `flips-${randomUUID()}`).create();
    const proxy = await FlipProxy.start(new URL(azurite.endpoint).origin, options);
    const endpoint = `${proxy.origin}${new URL(azurite.endpoint).pathname}`;
    const spec = azuriteSpec({ ...azurite, endpoint }, container.name);
    // A shared key signs checksums, so that none could be taken away unnoticed.
    const signature = await container.client.generateSasUrl({
      permissions: ContainerSASPermissions.parse('racwdl'),
      expiresOn: new Date(Date.now() + 3_600_000),
    });
    const token = new URL(signature).search.slice(1);
    return {
      spec: options.dropsHeaders ? { ...spec, access: { type: 'sas', token } } : spec,
      proxy,
      paths: () => container.names(),
      get: (path) => container.client.getBlobClient(path).downloadToBuffer(),
      put: async (path, bytes) => {
        await container.client.getBlockBlobClient(path).uploadData(Buffer.from(bytes));
      },
      close: () => proxy.close(),
    };
  };
}

function openGcs(checks: boolean): () => Promise<FlipStore> {
  return async () => {
    const fake = await startGcsFake({ checks });
    const proxy = await FlipProxy.start(fake.endpoint);
    const spec: GcsSpec = gcsSpecFor(proxy.origin);
    return {
      spec,
      proxy,
      paths: async () => [...fake.bucket.objects.keys()],
      get: async (path) => fake.bucket.find(path).bytes,
      put: async (path, bytes) => void fake.bucket.put(path, Buffer.from(bytes), {}, false),
      close: async () => {
        await proxy.close();
        await fake.close();
      },
    };
  };
}

/** Where the registry's driver puts its objects. */
const SWIFT_FILES = 'files/';

function openSwift(options: FlipProxyOptions = {}): (servers: FlipServers) => Promise<FlipStore> {
  return async (servers) => {
    const swift = await servers.swift();
    const container = await new SwiftContainer(swift, `flips-${randomUUID()}`).create();
    const proxy = await FlipProxy.start(new URL(swift.authUrl).origin, options);
    const { user, password } = swift;
    const authUrl = `${proxy.origin}${new URL(swift.authUrl).pathname}`;
    const spec: SwiftSpec = {
      kind: 'swift',
      container: container.name,
      prefix: '',
      access: { authUrl, authVersion: 1, user, password, endpointType: 'public' },
      skipsTlsVerify: false,
    };
    const nameOf = (path: string): string => `/${encodeURIComponent(SWIFT_FILES + path)}`;
    return {
      spec,
      proxy,
      paths: async () =>
        (await container.names())
          .filter((name) => name.startsWith(SWIFT_FILES))
          .map((name) => name.slice(SWIFT_FILES.length)),
      get: async (path) => (await container.request('GET', nameOf(path))).bytes,
      put: async (path, bytes) => void (await container.request('PUT', nameOf(path), { body: bytes })),
      close: () => proxy.close(),
    };
  };
}

const DIRECT = { engine: 'direct', isSource: false } as const;
const SOURCE = { engine: 'direct', isSource: true } as const;
const HERE = { skip: false } as const;

/** By the first cell of their rows. File systems have no network to put a proxy in. */
export const FLIP_ROWS: Readonly<Record<string, FlipRow>> = {
  'S3 that checks all': { kind: 's3', ...HERE, ...DIRECT, open: openEmbedded({}) },
  'S3: Ceph 16': { kind: 's3', skip: missingTools('ceph'), ...SOURCE, open: openCeph },
  'S3 that checks nothing': { kind: 's3', ...HERE, ...DIRECT, open: openEmbedded({ checksNothing: true }) },
  'S3 by `--engine sdk`': {
    kind: 's3',
    skip: missingTools('ceph'),
    engine: 'sdk',
    isSource: true,
    open: openCeph,
  },
  'Azure: Put Blob, Put Block and Put Block List': {
    kind: 'azure',
    skip: missingAzurite(),
    ...SOURCE,
    open: openAzure(),
  },
  'Azure that compares nothing': {
    kind: 'azure',
    skip: missingAzurite(),
    ...DIRECT,
    open: openAzure({ dropsHeaders: ['content-md5', 'x-ms-content-crc64'] }),
  },
  'Cloud Storage by its XML API': { kind: 'gcs', ...HERE, ...SOURCE, open: openGcs(true) },
  'Cloud Storage that compares nothing': { kind: 'gcs', ...HERE, ...DIRECT, open: openGcs(false) },
  'Cloud Storage by HMAC keys': {
    kind: 's3',
    ...HERE,
    ...DIRECT,
    // What it does not document, checksums of Amazon among that, it is taken not to have.
    open: openEmbedded({ checksums: false }, 'auto'),
  },
  'Swift: PUT, parts of a dynamic large object': {
    kind: 'swift',
    skip: missingTools('swift'),
    ...SOURCE,
    open: openSwift(),
  },
  'Swift that compares nothing': {
    kind: 'swift',
    skip: missingTools('swift'),
    ...DIRECT,
    open: openSwift({ dropsHeaders: ['etag'] }),
  },
};
