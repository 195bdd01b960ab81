/** Fills a bucket with a registry's objects, from a seed. */
import pLimit from 'p-limit';
import type { StorageDriver } from '../../src/drivers/driver.ts';
import { S3Driver } from '../../src/drivers/s3/s3-driver.ts';
import type { S3Spec } from '../../src/drivers/spec.ts';
import { type BenchObject, blobs, manifestsAndLinks } from '../data/objects.ts';
import type { PlainObject } from '../s3-server/backend.ts';
import type { S3Server } from '../s3-server/s3-server.ts';

const KEY = { accessKeyId: 'testkey', secretAccessKey: 'testsecret' };

function bucketSpec(endpoint: string, bucket: string): S3Spec {
  return {
    kind: 's3',
    bucket,
    rootDirectory: '',
    region: 'us-east-1',
    endpoint,
    isPathStyle: true,
    skipsTlsVerify: false,
    credentials: KEY,
    encrypt: false,
  };
}

export const BENCH_ENV = { AWS_ACCESS_KEY_ID: KEY.accessKeyId, AWS_SECRET_ACCESS_KEY: KEY.secretAccessKey };

export function openBucket(endpoint: string, bucket: string): StorageDriver {
  return new S3Driver(bucketSpec(endpoint, bucket), undefined, { credentials: KEY });
}

const BATCH_OBJECTS = 10_000;

/**
 * Half manifests of 1 to 5 KiB, half the links that name them: what most objects of a registry are. Past all requests.
 * @returns how many bytes were written.
 */
export async function fillSmall(
  server: Pick<S3Server, 'put'>,
  bucket: string,
  objects: number,
  seed: string,
): Promise<number> {
  let bytes = 0;
  let batch: PlainObject[] = [];
  for (const { path, sizeBytes, pieces } of manifestsAndLinks(seed, objects)) {
    bytes += sizeBytes;
    batch.push({ key: path, body: Buffer.concat([...pieces()]) });
    if (batch.length < BATCH_OBJECTS) continue;
    await server.put(bucket, batch);
    batch = [];
  }
  await server.put(bucket, batch);
  return bytes;
}

/** @returns how many bytes were written. */
export async function fillBlobs(
  endpoint: string,
  bucket: string,
  {
    objects,
    sizeBytes,
    seed,
  }: { readonly objects: number; readonly sizeBytes: number; readonly seed: string },
): Promise<number> {
  const driver = openBucket(endpoint, bucket);
  const sizes = Array.from({ length: objects }, () => sizeBytes);
  const bytes = await fill(driver, blobs(seed, sizes));
  await driver.close();
  return bytes;
}

const NEVER = new AbortController().signal;
const AT_ONCE = 16;

async function fill(driver: StorageDriver, objects: Iterable<BenchObject>): Promise<number> {
  const limit = pLimit(AT_ONCE);
  let bytes = 0;
  let batch: Promise<void>[] = [];
  for (const object of objects) {
    bytes += object.sizeBytes;
    batch.push(limit(() => put(driver, object)));
    if (batch.length < AT_ONCE * 8) continue;
    await Promise.all(batch);
    batch = [];
  }
  await Promise.all(batch);
  return bytes;
}

async function put(driver: StorageDriver, { path, sizeBytes, pieces }: BenchObject): Promise<void> {
  const body = {
    sizeBytes,
    async *open() {
      yield* pieces();
    },
  };
  await driver.write({ signal: NEVER }, path, body, {});
}
