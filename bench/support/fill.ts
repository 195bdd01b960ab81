/** Fills a bucket with a registry's objects, from a seed, through the direct engine. */
import { createCipheriv, createHash, hash } from 'node:crypto';
import pLimit from 'p-limit';
import { bodyOfBytes } from '../../src/drivers/body.ts';
import type { StorageDriver } from '../../src/drivers/driver.ts';
import { S3Driver } from '../../src/drivers/s3/s3-driver.ts';
import type { S3Spec } from '../../src/drivers/spec.ts';

const ROOT = 'docker/registry/v2';
const KEY = { accessKeyId: 'testkey', secretAccessKey: 'testsecret' };

export function bucketSpec(endpoint: string, bucket: string): S3Spec {
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

/** The same bytes for the same seed and index. */
export function seededBytes(seed: string, index: number, sizeBytes: number): Buffer {
  const key = createHash('sha256').update(`${seed}/${index}`).digest();
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes));
}

function blobPath(hex: string): string {
  return `${ROOT}/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`;
}

/**
 * Half manifests of 1 to 5 KiB, half the links that name them: what most objects of a registry are.
 * @returns how many bytes were written.
 */
export async function fillSmall(driver: StorageDriver, objects: number, seed: string): Promise<number> {
  let bytes = 0;
  await eachOf(objects / 2, async (index) => {
    const manifest = seededBytes(seed, index, 1024 + ((index * 37) % 4096));
    const hex = hash('sha256', manifest, 'hex');
    const link = Buffer.from(`sha256:${hex}`);
    const repository = `team${index % 7}/app${index % 50}`;
    await put(driver, blobPath(hex), manifest);
    await put(driver, `${ROOT}/repositories/${repository}/_manifests/revisions/sha256/${hex}/link`, link);
    bytes += manifest.length + link.length;
  });
  return bytes;
}

export async function fillBlobs(
  driver: StorageDriver,
  objects: number,
  sizeBytes: number,
  seed: string,
): Promise<number> {
  await eachOf(objects, async (index) => {
    const blob = seededBytes(seed, index, sizeBytes);
    await put(driver, blobPath(hash('sha256', blob, 'hex')), blob);
  });
  return objects * sizeBytes;
}

async function put(driver: StorageDriver, key: string, bytes: Buffer): Promise<void> {
  await driver.write({ signal: NEVER }, key, bodyOfBytes(bytes), {});
}

const NEVER = new AbortController().signal;

async function eachOf(count: number, work: (index: number) => Promise<void>): Promise<void> {
  const limit = pLimit(16);
  for (let from = 0; from < count; from += 1_000) {
    const indices = Array.from({ length: Math.min(1_000, count - from) }, (_, at) => from + at);
    await Promise.all(indices.map((index) => limit(() => work(index))));
  }
}
