/** Buckets of a test server, by the AWS SDK: the judge of what an S3 target really holds. */
import {
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import pLimit from 'p-limit';
import { hashOf, type ObjectStore, readStore } from './object-store.ts';
import type { Tree, TreeFile } from './tree.ts';

export interface S3Access {
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Default `us-east-1`. */
  readonly region?: string;
}

const REQUESTS_AT_ONCE = 8;

/** One bucket, path style; `close` ends its connections. */
export class S3Bucket implements ObjectStore {
  readonly name: string;
  readonly #client: S3Client;

  constructor(access: S3Access, name: string) {
    this.name = name;
    this.#client = new S3Client({
      endpoint: access.endpoint,
      region: access.region ?? 'us-east-1',
      forcePathStyle: true,
      credentials: { accessKeyId: access.accessKeyId, secretAccessKey: access.secretAccessKey },
      // Older servers, Ceph 16 among them, refuse the SDK's own checksums and trailers.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
    });
  }

  async create(): Promise<this> {
    await this.#client.send(new CreateBucketCommand({ Bucket: this.name }));
    return this;
  }

  /** Keys with their sizes in bytes, in the order of the listing. */
  async list(prefix = ''): Promise<ReadonlyMap<string, number>> {
    const found = new Map<string, number>();
    let token: string | undefined;
    do {
      const page = await this.#client.send(
        new ListObjectsV2Command({ Bucket: this.name, Prefix: prefix, ContinuationToken: token }),
      );
      for (const { Key, Size } of page.Contents ?? []) if (Key !== undefined) found.set(Key, Size ?? 0);
      token = page.NextContinuationToken;
    } while (token !== undefined);
    return found;
  }

  /** Keys of multipart uploads that were begun and neither completed nor aborted; at most a thousand. */
  async openUploads(): Promise<readonly string[]> {
    const answer = await this.#client.send(new ListMultipartUploadsCommand({ Bucket: this.name }));
    return (answer.Uploads ?? []).map(({ Key }) => Key ?? '');
  }

  /** Somebody begins an upload and does not go on with it. */
  async beginUpload(key: string): Promise<void> {
    await this.#client.send(new CreateMultipartUploadCommand({ Bucket: this.name, Key: key }));
  }

  async get(key: string): Promise<Buffer> {
    const answer = await this.#client.send(new GetObjectCommand({ Bucket: this.name, Key: key }));
    if (answer.Body === undefined) throw new Error(`${key} came without a body`);
    return Buffer.from(await answer.Body.transformToByteArray());
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    await this.#client.send(new PutObjectCommand({ Bucket: this.name, Key: key, Body: bytes }));
  }

  async remove(key: string): Promise<void> {
    await this.#client.send(new DeleteObjectCommand({ Bucket: this.name, Key: key }));
  }

  async names(): Promise<readonly string[]> {
    return [...(await this.list()).keys()];
  }

  async hash(key: string): Promise<TreeFile> {
    const answer = await this.#client.send(new GetObjectCommand({ Bucket: this.name, Key: key }));
    if (answer.Body === undefined) throw new Error(`${key} came without a body`);
    return hashOf(answer.Body as AsyncIterable<Uint8Array>);
  }

  /** Reads and hashes every object below a prefix; the paths of the result begin behind it. */
  readTree(prefix = ''): Promise<Tree> {
    return readStore(this, prefix);
  }

  /** Removes the bucket with everything in it. */
  async delete(): Promise<void> {
    const limit = pLimit(REQUESTS_AT_ONCE);
    const keys = [...(await this.list()).keys()];
    await Promise.all(keys.map((key) => limit(() => this.remove(key))));
    await this.#client.send(new DeleteBucketCommand({ Bucket: this.name }));
  }

  close(): void {
    this.#client.destroy();
  }
}
