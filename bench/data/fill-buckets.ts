/** Fills the buckets `full` and `half` of a server, through its back door where objects are small. */
import { createHash } from 'node:crypto';
import { RawClient } from '../s3-server/client/raw-client.ts';
import { encode } from '../s3-server/client/sign-request.ts';
import type { S3Server } from '../s3-server/s3-server.ts';
import { sendObject } from './bucket-client.ts';
import { DataSetBuilder, type DataSets } from './data-set.ts';
import type { BenchObject } from './objects.ts';

/** Larger ones go over HTTP, piece by piece. */
const BATCHED_BYTES_MAX = 8 * 1024 ** 2;
const BATCH_BYTES = 16 * 1024 ** 2;
const BATCH_OBJECTS = 10_000;
/** From this size on an object of `half` shares its bytes with that of `full`. */
const SHARED_BYTES_MIN = 64 * 1024;

export interface FillOptions {
  /** Of the server's certificate. */
  readonly ca?: string | undefined;
}

export async function fillBuckets(
  server: S3Server,
  objects: Iterable<BenchObject>,
  options: FillOptions = {},
): Promise<DataSets> {
  const filler = new Filler(server, options);
  try {
    return await filler.fill(objects);
  } finally {
    filler.close();
  }
}

class Filler {
  readonly #server: S3Server;
  readonly #client: RawClient;
  readonly #options: FillOptions;
  readonly #full = new DataSetBuilder();
  readonly #half = new DataSetBuilder();
  #batch: { path: string; body: Buffer; isInHalf: boolean }[] = [];
  #batchBytes = 0;

  constructor(server: S3Server, options: FillOptions) {
    this.#server = server;
    this.#options = options;
    this.#client = new RawClient(server.endpoint, options.ca === undefined ? {} : { ca: options.ca });
  }

  async fill(objects: Iterable<BenchObject>): Promise<DataSets> {
    for (const object of objects) {
      this.#full.add(object);
      if (object.isInHalf) this.#half.add(object);
      if (object.sizeBytes <= BATCHED_BYTES_MAX) await this.#putLater(object);
      else await this.#send(object);
    }
    await this.#flush();
    return { full: this.#full.set, half: this.#half.set };
  }

  close(): void {
    this.#client.close();
  }

  async #putLater({ path, sizeBytes, isInHalf, pieces }: BenchObject): Promise<void> {
    this.#batch.push({ path, body: Buffer.concat([...pieces()]), isInHalf });
    this.#batchBytes += sizeBytes;
    if (this.#batch.length >= BATCH_OBJECTS || this.#batchBytes >= BATCH_BYTES) await this.#flush();
  }

  async #flush(): Promise<void> {
    const batch = this.#batch;
    this.#batch = [];
    this.#batchBytes = 0;
    const objects = batch.map(({ path, body }) => ({ key: path, body }));
    await this.#server.put('full', objects);
    const half = batch.filter((one) => one.isInHalf);
    const isShared = (one: { readonly body: Buffer }): boolean => one.body.length >= SHARED_BYTES_MIN;
    await this.#server.put(
      'half',
      half.filter((one) => !isShared(one)).map(({ path, body }) => ({ key: path, body })),
    );
    for (const { path } of half.filter(isShared)) await this.#share(path);
  }

  async #send(object: BenchObject): Promise<void> {
    const digest = createHash('sha256');
    for (const piece of object.pieces()) digest.update(piece);
    await sendObject(
      { endpoint: this.#server.endpoint, bucket: 'full', ca: this.#options.ca },
      { path: object.path, sizeBytes: object.sizeBytes, sha256: digest.digest('hex') },
      object.pieces(),
    );
    if (object.isInHalf) await this.#share(object.path);
  }

  /** A server-side copy, which takes no memory. */
  async #share(path: string): Promise<void> {
    const key = path.split('/').map(encode).join('/');
    const { status, text } = await this.#client.send({
      method: 'PUT',
      target: `/half/${key}`,
      headers: { 'x-amz-copy-source': `/full/${key}` },
    });
    if (status !== 200) throw new Error(`The server did not copy ${path}: ${status} ${text}`);
  }
}
