/** S3 and its compatibles over the direct engine. */
import type {
  AddressFacet,
  Binding,
  BindingFacet,
  Body,
  CallContext,
  DriverFacts,
  ListPage,
  ListQuery,
  MultipartFacet,
  ObjectInfo,
  ReadOptions,
  ReadResult,
  ServerCopyFacet,
  StorageDriver,
  WriteOptions,
  WriteResult,
} from '../driver.ts';
import { malformed } from '../http/call.ts';
import { md5OfETag } from '../http/etag.ts';
import { demandObject, isRange, lengthOf, totalOf, totalOfUnsatisfied } from '../http/object-answer.ts';
import { prefetchedPages } from '../paging.ts';
import type { DriverSpec, S3Spec } from '../spec.ts';
import { storageName } from '../spec-name.ts';
import { probeBinding } from './s3-binding.ts';
import { S3Client, type S3ClientOptions } from './s3-client.ts';
import { credentialsFor } from './s3-credentials.ts';
import { checkKey } from './s3-keys.ts';
import { listingOf } from './s3-listing.ts';
import { S3Multipart } from './s3-multipart.ts';
import { demandRemoval } from './s3-removal.ts';
import { S3ServerCopy } from './s3-server-copy.ts';
import { RESTORE_STATUS, RestoreQuestion } from './s3-tiers.ts';
import { bodyHeaders, objectHeaders } from './s3-write.ts';

/** Answers with a range behind the object's end are told to the caller. */
const READ_ACCEPTS = [416];
const WHOLE_READ = [['x-amz-checksum-mode', 'ENABLED']] as const;
const SINGLE_PUT_BYTES_MAX = 5 * 1024 ** 3;

/** Assumed until a target was probed: the payload hash, which every server that verifies SigV4 checks. */
const UNPROBED: Binding = {
  payloadSha256: true,
  contentMd5: false,
  partCrc32: false,
  objectCrc32: false,
  storesSha256: false,
};

export interface S3ListOptions {
  /** Names asked for on a page of a listing; default: as many as the service gives. */
  readonly pageKeysMax?: number;
}

export type S3DriverOptions = Omit<S3ClientOptions, 'name'> & S3ListOptions;

/** A service that copies by itself reads at once; temporary credentials may end the address before that. */
const ADDRESS_SECONDS = 3_600;

export class S3Driver implements StorageDriver {
  readonly kind = 's3';
  readonly name: string;
  readonly facts: DriverFacts;
  readonly multipart: MultipartFacet;
  readonly binding: BindingFacet;
  readonly serverCopy: ServerCopyFacet;
  readonly addresses: AddressFacet;
  readonly #client: S3Client;
  readonly #objectHeaders: ReturnType<typeof objectHeaders>;
  readonly #binding: Binding;
  readonly #pageKeysMax: number | undefined;
  readonly #restoreQuestion = new RestoreQuestion();

  constructor(spec: S3Spec, binding: Binding | undefined, options: S3DriverOptions) {
    this.#objectHeaders = objectHeaders(spec);
    this.#binding = binding ?? UNPROBED;
    this.#pageKeysMax = options.pageKeysMax;
    this.name = storageName(spec);
    this.#client = new S3Client(spec, { name: this.name, ...options });
    this.facts = {
      listOrder: 'bytes',
      listsSideBySide: true,
      md5MayBeOpaque: true,
      writeBytesMax: SINGLE_PUT_BYTES_MAX,
      keepsAttributes: false,
      hasFolders: false,
    };
    this.multipart = new S3Multipart(this.#client, spec, this.#binding);
    this.serverCopy = new S3ServerCopy(this.#client, spec, this.#binding);
    this.addresses = {
      addressOf: async (ctx, key) => ({ url: await this.#client.presigned(ctx, key, ADDRESS_SECONDS) }),
    };
    this.binding = {
      probe: (ctx, prefix, options) => {
        // Every check is tried, whatever was believed so far.
        const everything: Binding = {
          ...UNPROBED,
          partCrc32: true,
          objectCrc32: true,
          computesCopySha256: true,
        };
        const tried = {
          multipart: new S3Multipart(this.#client, spec, everything),
          ...(options?.copies ? { serverCopy: new S3ServerCopy(this.#client, spec, everything) } : {}),
        };
        return probeBinding(ctx, this.#client, tried, { prefix, bucket: spec.bucket });
      },
    };
  }

  list(ctx: CallContext, query: ListQuery): AsyncIterable<ListPage> {
    const call = { backend: this.name, operation: 'list' };
    return prefetchedPages(query, call, (token) => this.#listPage(ctx, query, token));
  }

  async stat(ctx: CallContext, key: string): Promise<ObjectInfo> {
    checkKey(this.name, 'stat', key);
    const response = await this.#client.send(ctx, { method: 'HEAD', operation: 'stat', key });
    const sizeBytes = lengthOf({ backend: this.name, operation: 'stat', key }, response);
    return { key, sizeBytes, ...identity(response.headers) };
  }

  async read(ctx: CallContext, key: string, into: Uint8Array, options: ReadOptions): Promise<ReadResult> {
    checkKey(this.name, 'read', key);
    const offset = options.offset ?? 0;
    const isWhole = options.isWhole === true || into.length === 0;
    const headers: [string, string][] = [];
    if (!isWhole) headers.push(['range', `bytes=${offset}-${offset + into.length - 1}`]);
    if (options.version !== undefined) headers.push(['if-match', options.version]);
    const response = await this.#client.send(ctx, {
      method: 'GET',
      operation: 'read',
      key,
      headers,
      ...(isWhole ? { fixedHeaders: WHOLE_READ } : {}),
      into,
      accepts: READ_ACCEPTS,
      isFresh: options.isFresh,
    });
    const call = { backend: this.name, operation: 'read', key };
    if (response.status === 416) {
      const totalBytes = totalOfUnsatisfied(response) ?? (await this.stat(ctx, key)).sizeBytes;
      if (totalBytes > offset) throw malformed(call, 'a range inside the object was refused');
      return { bytesRead: 0, totalBytes };
    }
    if (!isRange(response, into.length === 0 ? 0 : offset))
      throw malformed(call, 'the answer does not say which range it is');
    demandObject(call, response.headers.get('etag'));
    const { intoBytes: bytesRead } = response;
    // Without a length, an answer that is too large for the buffer, or that ends with its connection, does not tell.
    const totalBytes = totalOf(response) ?? (await this.stat(ctx, key)).sizeBytes;
    const announced = Math.min(into.length, Math.max(0, totalBytes - offset));
    if (bytesRead < announced) throw malformed(call, `${bytesRead} bytes came instead of ${announced}`);
    const checksums = isWhole ? storedChecksums(response.headers) : undefined;
    return { bytesRead, totalBytes, ...identity(response.headers), ...(checksums ? { checksums } : {}) };
  }

  async write(ctx: CallContext, key: string, body: Body, options: WriteOptions): Promise<WriteResult> {
    checkKey(this.name, 'write', key);
    const bound = bodyHeaders(ctx, body, options.sha256, this.#binding);
    const sent = bound instanceof Promise ? await bound : bound;
    const response = await this.#client.send(ctx, {
      method: 'PUT',
      operation: 'write',
      key,
      headers: sent.headers,
      fixedHeaders: this.#objectHeaders,
      payloadHash: sent.payloadHash,
      body: body.bytes ?? body.open(),
      bodyBytes: body.sizeBytes,
    });
    const version = response.headers.get('etag');
    // Whoever stands before the storage may say 200 to everything; what it took is in no bucket.
    if (version === undefined)
      throw malformed({ backend: this.name, operation: 'write', key }, 'no ETag came');
    return { version };
  }

  async remove(ctx: CallContext, key: string): Promise<void> {
    checkKey(this.name, 'remove', key);
    const request = { method: 'DELETE', operation: 'remove', key, accepts: [404] } as const;
    const { status, headers } = await this.#client.send(ctx, request);
    const call = { backend: this.name, operation: 'remove', key };
    demandRemoval(call, status, headers.has('x-amz-request-id'));
  }

  async flush(ctx: CallContext): Promise<void> {
    ctx.signal.throwIfAborted();
  }

  async close(): Promise<void> {
    this.#client.close();
  }

  async #listPage(
    ctx: CallContext,
    query: ListQuery,
    token: string | undefined,
  ): Promise<{ page: ListPage; next?: string }> {
    const parameters: [string, string][] = [
      ['list-type', '2'],
      ['encoding-type', 'url'],
      ['prefix', query.prefix],
    ];
    if (query.delimiter) parameters.push(['delimiter', query.delimiter]);
    if (token !== undefined) parameters.push(['continuation-token', token]);
    else if (query.after !== undefined) parameters.push(['start-after', query.after]);
    if (this.#pageKeysMax !== undefined) parameters.push(['max-keys', String(this.#pageKeysMax)]);
    const request = { method: 'GET', operation: 'list', query: parameters } as const;
    const { body } = await this.#restoreQuestion.ask(query, (asks) =>
      this.#client.send(ctx, asks ? { ...request, headers: [RESTORE_STATUS] } : request),
    );
    const call = { backend: this.name, operation: 'list' };
    const { nextToken, ...page } = listingOf(call, body, query);
    return nextToken === undefined ? { page } : { page, next: nextToken };
  }
}

/** Credentials that are not in the settings are looked for where the AWS SDK looks, now and whenever they expire. */
export async function openS3Driver(
  spec: DriverSpec & { readonly storage: S3Spec },
  onNotice?: (sentence: string) => void,
  options: S3ListOptions = {},
): Promise<S3Driver> {
  const found = await credentialsFor(spec.storage);
  return new S3Driver(spec.storage, spec.binding, { ...found, ...options, onNotice });
}

function identity(headers: ReadonlyMap<string, string>): { version?: string; md5?: string } {
  const etag = headers.get('etag');
  // Under a KMS key the ETag has the form of an MD5 and is none.
  const isOpaque = headers.get('x-amz-server-side-encryption')?.startsWith('aws:kms') ?? false;
  const md5 = isOpaque ? undefined : md5OfETag(etag);
  return { ...(etag === undefined ? {} : { version: etag }), ...(md5 === undefined ? {} : { md5 }) };
}

/** Whole-object checksums only: composite ones of multipart uploads end in `-<parts>`. */
function storedChecksums(
  headers: ReadonlyMap<string, string>,
): { sha256?: string; crc32?: string } | undefined {
  const sha256 = headers.get('x-amz-checksum-sha256');
  const crc32 = headers.get('x-amz-checksum-crc32');
  if (sha256 === undefined && crc32 === undefined) return undefined;
  const hex = (text: string | undefined, bytes: number): string | undefined => {
    if (text === undefined || text.includes('-')) return undefined;
    const decoded = Buffer.from(text, 'base64');
    return decoded.length === bytes ? decoded.toString('hex') : undefined;
  };
  const sha256Hex = hex(sha256, 32);
  const crc32Hex = hex(crc32, 4);
  return { ...(sha256Hex ? { sha256: sha256Hex } : {}), ...(crc32Hex ? { crc32: crc32Hex } : {}) };
}
