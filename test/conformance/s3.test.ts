import type { FaultScript } from '../../bench/s3-server/faults/fault.ts';
import { type S3ServerOptions, startS3Server } from '../../bench/s3-server/s3-server.ts';
import type { Binding, StorageDriver } from '../../src/drivers/driver.ts';
import { openS3Driver } from '../../src/drivers/s3/s3-driver.ts';
import { openS3SdkDriver } from '../../src/drivers/s3/s3-sdk-driver.ts';
import type { S3Spec } from '../../src/drivers/spec.ts';
import type { Requirement } from './case.ts';
import { describePlantedFaults } from './planted.ts';
import { s3SpecFor } from './s3-service.ts';
import { type DriverFixture, describeDriver } from './suite.ts';

interface Server {
  readonly name: string;
  readonly options: S3ServerOptions;
  readonly lacks: readonly Requirement[];
}

const NEVER: readonly Requirement[] = ['streamUpload', 'attributes', 'folders', 'filePaths', 'exactAborts'];
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
  return s3SpecFor({ endpoint, accessKeyId: 'testkey', secretAccessKey: 'testsecret' }, 'bucket');
}

async function openOver(options: S3ServerOptions, faults: FaultScript = []): Promise<DriverFixture> {
  const server = await startS3Server({ ...options, buckets: ['bucket'], threads: 0 });
  await server.misbehave(faults);
  const storage = specFor(server.endpoint);
  const unbound = await openS3Driver({ storage, engine: 'direct' });
  // As a copy does it: the target is probed once, and every driver is told the result.
  const binding: Binding = await unbound.binding.probe({ signal: new AbortController().signal }, 'probe/');
  await unbound.close();
  const open = (): Promise<StorageDriver> => openS3Driver({ storage, engine: 'direct', binding });
  return { driver: await open(), binding, reopen: open, cleanup: () => server.close() };
}

for (const { name, options, lacks } of SERVERS) describeDriver(name, () => openOver(options), { lacks });

/** A little more than three pages of a hundred. */
const SMALL = { pageKeysMax: 100 };
const MANY = 310;

// As directory buckets: nothing tells the driver that the order of its listings is not that of bytes.
describeDriver(
  'S3 (lists in no order)',
  () =>
    openOver(SMALL, { operation: 'ListObjectsV2', fault: { kind: 'unordered-listing', over: 'listing' } }),
  { manyObjects: MANY, lacks: NEVER, saysInVain: ['byteOrder'] },
);

describePlantedFaults('S3', () => openOver(SMALL), { manyObjects: MANY, lacks: NEVER });

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
      'filePaths',
      'exactAborts',
      'refusesWrongSha256',
      ...NO_CHECKSUMS,
    ],
  },
);
