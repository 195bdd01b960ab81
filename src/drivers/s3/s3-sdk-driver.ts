/**
 * S3 through the AWS SDK: `--engine sdk`, the compatibility path and the yardstick of the bench. Bodies are written by
 * lib-storage's Upload, which makes its own parts.
 */
import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { isStorageError } from '../../core/errors.ts';
import { pause } from '../../transport/pause.ts';
import type {
  Body,
  CallContext,
  DriverFacts,
  ListPage,
  ListQuery,
  ObjectInfo,
  ReadOptions,
  ReadResult,
  StorageDriver,
  StreamUploadFacet,
  WriteOptions,
  WriteResult,
} from '../driver.ts';
import { type HttpCall, malformed } from '../http/call.ts';
import { untilAborted } from '../or-aborted.ts';
import { prefetchedPages } from '../paging.ts';
import type { DriverSpec, S3Spec } from '../spec.ts';
import { storageName } from '../spec-name.ts';
import { addressOf, endpointOf, proxyOf } from './s3-address.ts';
import { credentialsFor } from './s3-credentials.ts';
import { s3Keeper } from './s3-keeper.ts';
import { checkKey } from './s3-keys.ts';
import { listingOf } from './s3-listing.ts';
import { demandRemoval } from './s3-removal.ts';
import { identityOf, sizeOf, totalOf } from './s3-sdk-answers.ts';
import { boundAnswers, keptListing } from './s3-sdk-bodies.ts';
import { errorOfSdk, type Forwarding } from './s3-sdk-errors.ts';
import { forwardThrough, sdkHandlerOptions } from './s3-sdk-handler.ts';
import { addRemedies } from './s3-sdk-remedies.ts';
import { secretsOf } from './s3-secrets.ts';
import { RESTORE_STATUS, RestoreQuestion } from './s3-tiers.ts';

/** lib-storage holds this many parts of this size at once. */
const QUEUE_SIZE = 2;
const PART_BYTES = 8 * 1024 ** 2;
const PARTS_MAX = 10_000;
/** Ctrl-C may take 3 s in all. */
const ABORT_MS_MAX = 2_000;
const ABORT_ATTEMPTS = 4;
const ABORT_PAUSE_MS = 200;

export class S3SdkDriver implements StorageDriver {
  readonly kind = 's3';
  readonly name: string;
  readonly facts: DriverFacts = {
    listOrder: 'bytes',
    listsSideBySide: true,
    md5MayBeOpaque: true,
    writeBytesMax: 5 * 1024 ** 3,
    keepsAttributes: false,
    hasFolders: false,
  };
  readonly streamUpload: StreamUploadFacet;
  readonly #client: S3Client;
  readonly #spec: S3Spec;
  readonly #takesChecksums: boolean;
  readonly #restoreQuestion = new RestoreQuestion();
  readonly #forwarding: Forwarding | undefined;
  readonly #secrets: () => readonly string[];

  constructor(spec: S3Spec, client: S3Client, takesChecksums: boolean, secrets: () => readonly string[]) {
    this.#secrets = secrets;
    this.#forwarding = forwardingOf(spec);
    this.#takesChecksums = takesChecksums;
    this.#spec = spec;
    this.name = storageName(spec);
    this.#client = client;
    this.streamUpload = { upload: (ctx, key, body) => this.#upload(ctx, key, body) };
  }

  list(ctx: CallContext, query: ListQuery): AsyncIterable<ListPage> {
    const call = { backend: this.name, operation: 'list' };
    return prefetchedPages(query, call, async (token) => {
      const kept = await this.#restoreQuestion.ask(query, async (asks) => {
        const command = new ListObjectsV2Command({
          Bucket: this.#spec.bucket,
          Prefix: query.prefix,
          EncodingType: 'url',
          ...(query.delimiter === undefined ? {} : { Delimiter: query.delimiter }),
          ...(query.after === undefined ? {} : { StartAfter: query.after }),
          ...(token === undefined ? {} : { ContinuationToken: token }),
          ...(asks ? { OptionalObjectAttributes: [RESTORE_STATUS[1]] } : {}),
        });
        const body = keptListing(command);
        await this.#send(ctx, 'list', undefined, () =>
          this.#client.send(command, { abortSignal: ctx.signal }),
        );
        return body();
      });
      const { nextToken, ...page } = listingOf(call, kept, query);
      return nextToken === undefined ? { page } : { page, next: nextToken };
    });
  }

  async stat(ctx: CallContext, key: string): Promise<ObjectInfo> {
    const command = new HeadObjectCommand({ Bucket: this.#spec.bucket, Key: key });
    const answer = await this.#send(ctx, 'stat', key, () =>
      this.#client.send(command, { abortSignal: ctx.signal }),
    );
    const call = { backend: this.name, operation: 'stat', key };
    return { key, sizeBytes: sizeOf(call, answer.ContentLength), ...identityOf(answer.ETag) };
  }

  async read(ctx: CallContext, key: string, into: Uint8Array, options: ReadOptions): Promise<ReadResult> {
    const offset = options.offset ?? 0;
    const isWhole = options.isWhole === true || into.length === 0;
    const command = new GetObjectCommand({
      Bucket: this.#spec.bucket,
      Key: key,
      ...(isWhole ? {} : { Range: `bytes=${offset}-${offset + into.length - 1}` }),
      ...(options.version === undefined ? {} : { IfMatch: options.version }),
    });
    try {
      return await this.#send(ctx, 'read', key, async () => {
        const answer = await this.#client.send(command, { abortSignal: ctx.signal });
        const call = { backend: this.name, operation: 'read', key };
        const body = answer.Body as Readable;
        const stated = totalOf(call, answer, into.length === 0 ? 0 : offset);
        const bytesRead = await fill(into, body, stated !== undefined && stated > into.length);
        // Without a length the end of the connection may be taken for that of the object.
        const totalBytes = stated ?? (await this.stat(ctx, key)).sizeBytes;
        const announced = Math.min(into.length, Math.max(0, totalBytes - offset));
        if (bytesRead < announced) throw malformed(call, `${bytesRead} bytes came instead of ${announced}`);
        return { bytesRead, totalBytes, ...identityOf(answer.ETag) };
      });
    } catch (error) {
      // Behind the end there is nothing to read, which is no failure.
      if (!isStorageError(error, 'range')) throw error;
      return { bytesRead: 0, totalBytes: (await this.stat(ctx, key)).sizeBytes };
    }
  }

  /** Whole small objects also go through Upload: one PUT where they fit a part. */
  write(ctx: CallContext, key: string, body: Body, options: WriteOptions): Promise<WriteResult> {
    return this.#upload(ctx, key, body, options.sha256);
  }

  async remove(ctx: CallContext, key: string): Promise<void> {
    const command = new DeleteObjectCommand({ Bucket: this.#spec.bucket, Key: key });
    const { $metadata: answer } = await this.#send(ctx, 'remove', key, () =>
      this.#client.send(command, { abortSignal: ctx.signal }),
    );
    const call = { backend: this.name, operation: 'remove', key };
    demandRemoval(call, answer.httpStatusCode, answer.requestId !== undefined);
  }

  async flush(ctx: CallContext): Promise<void> {
    ctx.signal.throwIfAborted();
  }

  async close(): Promise<void> {
    this.#client.destroy();
  }

  async #upload(ctx: CallContext, key: string, body: Body, sha256?: string): Promise<WriteResult> {
    ctx.signal.throwIfAborted();
    const spec = this.#spec;
    const call: HttpCall = { backend: this.name, operation: 'write', key };
    if (body.bytes) checkSize(call, body.bytes.length, body.sizeBytes);
    const partSize = Math.max(PART_BYTES, Math.ceil(body.sizeBytes / PARTS_MAX));
    const isOnePart = body.sizeBytes <= partSize;
    const source =
      body.bytes && isOnePart
        ? asBuffer(body.bytes)
        : Readable.from(copied(call, body, ctx.signal), { objectMode: false });
    const upload = new Upload({
      client: this.#client,
      queueSize: QUEUE_SIZE,
      partSize,
      // Its own abort is tried once, and when that fails hides why the upload did.
      leavePartsOnError: true,
      params: {
        Bucket: spec.bucket,
        Key: key,
        Body: source,
        ContentType: 'application/octet-stream',
        ...this.#checksum(body, partSize, sha256),
        ...(spec.objectAcl === undefined ? {} : { ACL: spec.objectAcl as 'private' }),
        ...(spec.storageClass === undefined ? {} : { StorageClass: spec.storageClass as 'STANDARD' }),
        ...(spec.encrypt ? { ServerSideEncryption: spec.kmsKeyId === undefined ? 'AES256' : 'aws:kms' } : {}),
        ...(spec.kmsKeyId === undefined ? {} : { SSEKMSKeyId: spec.kmsKeyId }),
      },
    });
    // A stream that breaks makes the SDK wait for what it has begun. upload.abort() rejects at once instead, and an
    // upload whose id is still on its way could not be aborted.
    const onAbort = (): void => {
      if (source instanceof Readable) source.destroy(new Error('Stopped'));
      else void upload.abort().catch(() => undefined);
    };
    ctx.signal.addEventListener('abort', onAbort, { once: true });
    try {
      const answer = await this.#send(ctx, 'write', key, () => upload.done());
      if (answer.ETag !== undefined) return { version: answer.ETag };
      // Whoever stands before the storage may say 200 to everything; what it took is in no bucket. Parts had their
      // ETags, and Ceph gives none for what was made of them.
      if (upload.uploadId === undefined) throw malformed(call, 'no ETag came');
      return {};
    } catch (error) {
      if (upload.uploadId !== undefined) await this.#abortUpload(key, upload.uploadId);
      ctx.signal.throwIfAborted();
      throw error;
    } finally {
      ctx.signal.removeEventListener('abort', onAbort);
    }
  }

  /** Also when the run is being cancelled, so it has a clock of its own; what stays open all the same is found by listing. */
  async #abortUpload(key: string, uploadId: string): Promise<void> {
    const command = new AbortMultipartUploadCommand({
      Bucket: this.#spec.bucket,
      Key: key,
      UploadId: uploadId,
    });
    const abortSignal = AbortSignal.timeout(ABORT_MS_MAX);
    for (let attempt = 1; attempt <= ABORT_ATTEMPTS; attempt += 1) {
      try {
        await this.#client.send(command, { abortSignal });
        return;
      } catch (error) {
        if (error instanceof Error && error.name === 'NoSuchUpload') return;
        await pause(ABORT_PAUSE_MS * attempt, abortSignal).catch(() => undefined);
      }
    }
  }

  /** What fits one PUT is bound by its digest where the server was seen to check it. */
  #checksum(body: Body, partSize: number, sha256: string | undefined): { ChecksumSHA256?: string } {
    if (!this.#takesChecksums || sha256 === undefined || !body.bytes || body.sizeBytes > partSize) return {};
    return { ChecksumSHA256: Buffer.from(sha256, 'hex').toString('base64') };
  }

  async #send<T>(
    ctx: CallContext,
    operation: string,
    key: string | undefined,
    call: () => Promise<T>,
  ): Promise<T> {
    ctx.signal.throwIfAborted();
    if (key !== undefined) checkKey(this.name, operation, key);
    try {
      return await call();
    } catch (error) {
      ctx.signal.throwIfAborted();
      const keyed = key === undefined ? {} : { key };
      const call = { backend: this.name, operation, secrets: this.#secrets(), ...keyed };
      throw errorOfSdk(call, error, this.#forwarding);
    }
  }
}

export async function openS3SdkDriver(
  spec: DriverSpec & { readonly storage: S3Spec },
  onNotice?: (sentence: string) => void,
): Promise<S3SdkDriver> {
  const { storage, binding } = spec;
  const name = storageName(storage);
  const keeper = s3Keeper({ backend: name, ...(await credentialsFor(storage)) });
  // The SDK's default sends CRC trailers, which Ceph 16, Swift and old MinIO answer with 411 or 501.
  const takesChecksums = binding?.storesSha256 === true;
  const client = new S3Client({
    region: storage.region,
    forcePathStyle: storage.isPathStyle,
    maxAttempts: 1,
    requestChecksumCalculation: takesChecksums ? 'WHEN_SUPPORTED' : 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: sdkHandlerOptions(storage, !storage.skipsTlsVerify),
    // Named even for AWS itself: left open, the SDK would follow AWS_ENDPOINT_URL to another server than `direct`.
    endpoint: endpointOf(storage),
    credentials: async () => {
      if (keeper.isDue) await keeper.renew();
      const { accessKeyId, secretAccessKey, sessionToken } = keeper.current;
      // A date that has passed makes the SDK ask for every request; else it would keep what the server refused.
      const token = sessionToken === undefined ? {} : { sessionToken };
      return { accessKeyId, secretAccessKey, ...token, expiration: new Date(0) };
    },
  });
  boundAnswers(client);
  addRemedies(client, { spec: storage, name, keeper, onNotice });
  const forwarding = forwardingOf(storage);
  if (forwarding) forwardThrough(client, forwarding.proxy);
  return new S3SdkDriver(storage, client, takesChecksums, () => secretsOf(keeper.current));
}

function forwardingOf(spec: S3Spec): Forwarding | undefined {
  const { origin } = addressOf(spec);
  const proxy = origin.isTls ? undefined : proxyOf(spec);
  return proxy && { proxy, origin };
}

async function fill(into: Uint8Array, body: Readable, stopsWhenFull: boolean): Promise<number> {
  let used = 0;
  for await (const chunk of body) {
    const piece = (chunk as Buffer).subarray(0, into.length - used);
    into.set(piece, used);
    used += piece.length;
    if (stopsWhenFull && used === into.length) break;
  }
  return used;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Upload gathers pieces until they make a part, so each must outlive the next one. */
function checkSize(call: HttpCall, sent: number, announced: number): void {
  if (sent !== announced) throw malformed(call, `the body has ${sent} bytes instead of ${announced}`);
}

async function* copied(call: HttpCall, body: Body, signal: AbortSignal): AsyncGenerator<Buffer> {
  let sent = 0;
  // A stream waits for its generator before it says that it was destroyed, and the SDK for the stream.
  for await (const piece of untilAborted(body.open(), signal)) {
    sent += piece.length;
    yield Buffer.from(piece);
  }
  checkSize(call, sent, body.sizeBytes);
}
