/** The cases over an S3 service that runs: a bucket for each of them, probed as a copy probes it. */
import { randomUUID } from 'node:crypto';
import type { Binding } from '../../src/drivers/driver.ts';
import { openS3Driver, type S3ListOptions } from '../../src/drivers/s3/s3-driver.ts';
import type { S3Spec } from '../../src/drivers/spec.ts';
import { type S3Access, S3Bucket } from '../support/s3-bucket.ts';
import type { DriverFixture } from './suite.ts';

interface S3FixtureOptions extends S3ListOptions {
  /** What requests are signed for; default `us-east-1`. */
  readonly region?: string;
}

export async function openS3Fixture(
  access: S3Access,
  { region, ...listing }: S3FixtureOptions = {},
): Promise<DriverFixture> {
  const bucket = await new S3Bucket(access, `conformance-${randomUUID()}`).create();
  const storage = s3SpecFor(access, bucket.name, region);
  const unbound = await openS3Driver({ storage, engine: 'direct' });
  const binding: Binding = await unbound.binding.probe({ signal: new AbortController().signal }, 'probe/');
  await unbound.close();
  const open = () => openS3Driver({ storage, engine: 'direct', binding }, undefined, listing);
  return {
    driver: await open(),
    binding,
    reopen: open,
    cleanup: async () => {
      await bucket.delete();
      bucket.close();
    },
  };
}

export function s3SpecFor(access: S3Access, bucket: string, region = 'us-east-1'): S3Spec {
  return {
    kind: 's3',
    bucket,
    rootDirectory: '',
    region,
    endpoint: access.endpoint,
    isPathStyle: true,
    skipsTlsVerify: false,
    credentials: { accessKeyId: access.accessKeyId, secretAccessKey: access.secretAccessKey },
    encrypt: false,
  };
}
