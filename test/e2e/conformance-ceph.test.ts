/** The same cases over a real Ceph, as the embedded server might share a mistake with the driver. */
import { randomUUID } from 'node:crypto';
import { after, describe } from 'node:test';
import type { Binding } from '../../src/drivers/driver.ts';
import { openS3Driver } from '../../src/drivers/s3/s3-driver.ts';
import type { S3Spec } from '../../src/drivers/spec.ts';
import { describeDriver } from '../conformance/suite.ts';
import { type Ceph, startCeph } from '../support/ceph.ts';
import { S3Bucket } from '../support/s3-bucket.ts';
import { makeTempFolder, type TempFolder } from '../support/temp.ts';
import { missingTools } from '../support/tools.ts';

interface Cluster {
  readonly ceph: Ceph;
  readonly folder: TempFolder;
}

let starting: Promise<Cluster> | undefined;

async function start(): Promise<Cluster> {
  const folder = await makeTempFolder('ceph');
  try {
    return { ceph: await startCeph({ directory: folder.path }), folder };
  } catch (error) {
    await folder.remove();
    throw error;
  }
}

function cluster(): Promise<Cluster> {
  starting ??= start();
  return starting;
}

after(async () => {
  if (starting === undefined) return;
  const { ceph, folder } = await starting;
  await ceph.stop();
  await folder.remove();
});

const skip = missingTools('ceph');
if (skip) {
  describe('S3 (Ceph) driver', { skip }, () => undefined);
} else {
  describeDriver(
    'S3 (Ceph)',
    async () => {
      const { ceph } = await cluster();
      const bucket = await new S3Bucket(ceph, `conformance-${randomUUID()}`).create();
      const storage: S3Spec = {
        kind: 's3',
        bucket: bucket.name,
        rootDirectory: '',
        region: 'us-east-1',
        endpoint: ceph.endpoint,
        isPathStyle: true,
        skipsTlsVerify: false,
        credentials: { accessKeyId: ceph.accessKeyId, secretAccessKey: ceph.secretAccessKey },
        encrypt: false,
      };
      const unbound = await openS3Driver({ storage, engine: 'direct' });
      const binding: Binding = await unbound.binding.probe(
        { signal: new AbortController().signal },
        'probe/',
      );
      await unbound.close();
      const open = () => openS3Driver({ storage, engine: 'direct', binding });
      return {
        driver: await open(),
        binding,
        reopen: open,
        cleanup: async () => {
          await bucket.delete();
          bucket.close();
        },
      };
    },
    {
      timeoutMs: 120_000,
      lacks: [
        'streamUpload',
        'attributes',
        'folders',
        'exactAborts',
        'refusesWrongPartCrc32',
        'refusesWrongObjectCrc32',
      ],
    },
  );
}
