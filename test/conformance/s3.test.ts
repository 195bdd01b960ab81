import { type S3ServerOptions, startS3Server } from '../../bench/s3-server/s3-server.ts';
import type { Binding, StorageDriver } from '../../src/drivers/driver.ts';
import { openS3Driver } from '../../src/drivers/s3/s3-driver.ts';
import { openS3SdkDriver } from '../../src/drivers/s3/s3-sdk-driver.ts';
import type { S3Spec } from '../../src/drivers/spec.ts';
import type { Requirement } from './case.ts';
import { describeDriver } from './suite.ts';

interface Server {
  readonly name: string;
  readonly options: S3ServerOptions;
  readonly lacks: readonly Requirement[];
}

const NEVER: readonly Requirement[] = ['streamUpload', 'attributes', 'folders', 'exactAborts'];
const NO_CHECKSUMS: readonly Requirement[] = ['refusesWrongPartCrc32', 'refusesWrongObjectCrc32'];

const SERVERS: readonly Server[] = [
  { name: 'S3 (checks everything)', options: {}, lacks: NEVER },
  { name: 'S3 (as Ceph 16)', options: { checksums: false }, lacks: [...NEVER, ...NO_CHECKSUMS] },
  {
    name: 'S3 (checks nothing)',
    options: { checksNothing: true },
    lacks: [...NEVER, ...NO_CHECKSUMS, 'refusesWrongSha256'],
  },
];

function specFor(endpoint: string): S3Spec {
  return {
    kind: 's3',
    bucket: 'bucket',
    rootDirectory: '',
    region: 'us-east-1',
    endpoint,
    isPathStyle: true,
    skipsTlsVerify: false,
    credentials: { accessKeyId: 'testkey', secretAccessKey: 'testsecret' },
    encrypt: false,
  };
}

for (const { name, options, lacks } of SERVERS) {
  describeDriver(
    name,
    async () => {
      const server = await startS3Server({ ...options, buckets: ['bucket'], threads: 0 });
      const storage = specFor(server.endpoint);
      const unbound = await openS3Driver({ storage, engine: 'direct' });
      // As a copy does it: the target is probed once, and every driver is told the result.
      const binding: Binding = await unbound.binding.probe(
        { signal: new AbortController().signal },
        'probe/',
      );
      await unbound.close();
      const open = (): Promise<StorageDriver> => openS3Driver({ storage, engine: 'direct', binding });
      return { driver: await open(), binding, reopen: open, cleanup: () => server.close() };
    },
    { lacks },
  );
}

describeDriver(
  'S3 by the SDK',
  async () => {
    const server = await startS3Server({ buckets: ['bucket'], threads: 0, pageKeysMax: 100 });
    const storage = specFor(server.endpoint);
    const open = (): Promise<StorageDriver> => openS3SdkDriver({ storage, engine: 'sdk' });
    return { driver: await open(), reopen: open, cleanup: () => server.close() };
  },
  {
    // A little more than three of the server's pages: each object costs this engine milliseconds.
    manyObjects: 310,
    lacks: [
      'multipart',
      'binding',
      'serverCopy',
      'attributes',
      'folders',
      'exactAborts',
      'refusesWrongSha256',
      ...NO_CHECKSUMS,
    ],
  },
);
