/**
 * Azure Blob Storage through Azure's own library: `--engine sdk`, the compatibility path and the yardstick of the bench.
 * It makes, signs and reads the requests; what an answer means is found out as in the direct engine.
 */
import { hash } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { BlobDownloadResponseParsed, BlockBlobClient, ContainerClient } from '@azure/storage-blob';
import { ConfigError, isStorageError, StorageError } from '../../core/errors.ts';
import type { HttpResponse } from '../../transport/http-types.ts';
import type { TokenSource } from '../access-token.ts';
import type {
  Binding,
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
import { originOf } from '../http/endpoint.ts';
import { isRange, lengthOf, totalOf } from '../http/object-answer.ts';
import type { AzureSpec, DriverSpec } from '../spec.ts';
import { storageName } from '../spec-name.ts';
import { blockNameOf, newUploadId, UploadMarks } from './azure-block-ids.ts';
import { checkAzureKey } from './azure-keys.ts';
import { AzureLister, PAGE_NAMES_MAX, type PageBegin } from './azure-lister.ts';
import { type AzureListPage, azureListingOf } from './azure-listing.ts';
import { azureFacts, identityOf, isRangeOfNothing, type Namespace } from './azure-object.ts';
import { demandSas, readSas } from './azure-sas.ts';
import { BLOCK_BYTES, blockBytesFor, blocksOf, checkSize, fill } from './azure-sdk-bodies.ts';
import { errorOfAzureSdk, type Forwarding } from './azure-sdk-errors.ts';
import { AzureSdkHttp } from './azure-sdk-http.ts';
import { secretsOf } from './azure-service.ts';
import { entraTokens } from './azure-token.ts';
import { CONTENT_TYPE } from './azure-write.ts';

const ACCOUNT_TIMEOUT_MS = 15_000;

interface SdkParts {
  readonly container: ContainerClient;
  readonly http: AzureSdkHttp;
  readonly namespace: Namespace;
  readonly secrets: () => readonly string[];
  readonly pageNamesMax: number;
}

export class AzureSdkDriver implements StorageDriver {
  readonly kind = 'azure';
  readonly name: string;
  readonly facts: DriverFacts;
  readonly streamUpload: StreamUploadFacet;
  readonly #spec: AzureSpec;
  readonly #binding: Binding | undefined;
  readonly #parts: SdkParts;
  readonly #lister: AzureLister;
  readonly #forwarding: Forwarding | undefined;

  constructor({ storage, binding }: DriverSpec & { readonly storage: AzureSpec }, parts: SdkParts) {
    this.#spec = storage;
    this.#binding = binding;
    this.#parts = parts;
    this.name = storageName(storage);
    this.facts = azureFacts(parts.namespace);
    const { forwarding: proxy } = parts.http;
    this.#forwarding = proxy && { proxy, origin: originOf(new URL(storage.endpoint)) };
    this.#lister = new AzureLister({
      call: this.#call('list', undefined),
      marks: new UploadMarks(storage),
      listOrder: this.facts.listOrder,
      page: (ctx, query, from) => this.#listPage(ctx, query, from),
    });
    this.streamUpload = { upload: (ctx, key, body) => this.#upload(ctx, key, body) };
  }

  list(ctx: CallContext, query: ListQuery): AsyncIterable<ListPage> {
    return this.#lister.list(ctx, query);
  }

  async stat(ctx: CallContext, key: string): Promise<ObjectInfo> {
    const answer = await this.#send(ctx, 'stat', key, (abortSignal) =>
      this.#blob(key).getProperties({ abortSignal }),
    );
    const response = responseOf(answer._response);
    return { key, sizeBytes: lengthOf(this.#call('stat', key), response), ...identityOf(response) };
  }

  async read(ctx: CallContext, key: string, into: Uint8Array, options: ReadOptions): Promise<ReadResult> {
    const offset = options.offset ?? 0;
    const isWhole = options.isWhole === true || into.length === 0;
    const { version } = options;
    try {
      return await this.#send(ctx, 'read', key, async (abortSignal) => {
        const range = isWhole ? ([] as const) : ([offset, into.length] as const);
        const answer = await this.#blob(key).download(range[0] ?? 0, range[1], {
          abortSignal,
          maxRetryRequests: 0,
          ...(version === undefined ? {} : { conditions: { ifMatch: version } }),
        });
        return await this.#taken(ctx, key, into, { answer, offset: into.length === 0 ? 0 : offset });
      });
    } catch (error) {
      if (!isStorageError(error, 'range')) throw error;
      return await this.#nothingRead(ctx, key, offset);
    }
  }

  async #taken(
    ctx: CallContext,
    key: string,
    into: Uint8Array,
    { answer, offset }: { readonly answer: BlobDownloadResponseParsed; readonly offset: number },
  ): Promise<ReadResult> {
    const call = this.#call('read', key);
    const response = responseOf(answer._response);
    const body = answer.readableStreamBody as Readable | undefined;
    try {
      if (isRangeOfNothing(response)) return await this.#nothingRead(ctx, key, offset);
      if (!isRange(response, offset)) throw malformed(call, 'the answer does not say which range it is');
      if (!body || !response.headers.has('x-ms-blob-type'))
        throw malformed(call, 'the answer does not say what kind of blob it is, and so is none');
      const totalBytes = totalOf(response) ?? (await this.stat(ctx, key)).sizeBytes;
      const announced = Math.min(into.length, Math.max(0, totalBytes - offset));
      const hasMore = Number(response.headers.get('content-length')) > announced;
      const bytesRead = await fill(into.subarray(0, announced), body, hasMore);
      if (bytesRead < announced) throw malformed(call, `${bytesRead} bytes came instead of ${announced}`);
      return { bytesRead, totalBytes, ...identityOf(response) };
    } finally {
      body?.destroy();
    }
  }

  /** Behind the end there is nothing to read, which is no failure. */
  async #nothingRead(ctx: CallContext, key: string, offset: number): Promise<ReadResult> {
    const { sizeBytes } = await this.stat(ctx, key);
    if (sizeBytes > offset) throw malformed(this.#call('read', key), 'a range inside the object was refused');
    return { bytesRead: 0, totalBytes: sizeBytes };
  }

  write(ctx: CallContext, key: string, body: Body, _options: WriteOptions): Promise<WriteResult> {
    return this.#upload(ctx, key, body);
  }

  async remove(ctx: CallContext, key: string): Promise<void> {
    try {
      await this.#send(ctx, 'remove', key, (abortSignal) => this.#blob(key).delete({ abortSignal }));
    } catch (error) {
      // A container that is missing is not that.
      if (isStorageError(error, 'not-found') && error.details.scope === 'object') return;
      throw error;
    }
  }

  async flush(ctx: CallContext): Promise<void> {
    ctx.signal.throwIfAborted();
  }

  async close(): Promise<void> {
    this.#parts.http.close();
  }

  /** What fits a block goes in one request; more in blocks, that Azure forgets after a week where no list names them. */
  async #upload(ctx: CallContext, key: string, body: Body): Promise<WriteResult> {
    ctx.signal.throwIfAborted();
    const call = this.#call('write', key);
    if (body.bytes) checkSize(call, body.bytes.length, body.sizeBytes);
    const isOneRequest = body.bytes !== undefined || body.sizeBytes <= BLOCK_BYTES;
    const blockBytes = isOneRequest ? body.sizeBytes : blockBytesFor(body.sizeBytes);
    const client = this.#blob(key);
    const names: string[] = [];
    const id = newUploadId();
    for await (const block of blocksOf(call, body, blockBytes, ctx.signal)) {
      const md5 = (this.#binding?.contentMd5 ?? true) ? hash('md5', block, 'hex') : undefined;
      const sum = md5 === undefined ? {} : { transactionalContentMD5: Buffer.from(md5, 'hex') };
      const scope = this.#scope();
      if (isOneRequest) {
        const { etag } = await this.#send(ctx, 'write', key, (abortSignal) =>
          client.upload(block, block.length, { abortSignal, ...sum, ...scope, ...this.#visible() }),
        );
        return etag === undefined ? {} : { version: etag };
      }
      const name = blockNameOf(id, { number: names.length + 1, ...(md5 === undefined ? {} : { md5 }) });
      await this.#send(ctx, 'write', key, (abortSignal) =>
        client.stageBlock(name, block, block.length, { abortSignal, ...sum, ...scope }),
      );
      names.push(name);
    }
    const { etag } = await this.#send(ctx, 'write', key, (abortSignal) =>
      client.commitBlockList(names, { abortSignal, ...this.#scope(), ...this.#visible() }),
    );
    return etag === undefined ? {} : { version: etag };
  }

  #visible(): { blobHTTPHeaders: { blobContentType: string }; tier?: string } {
    const { accessTier: tier } = this.#spec;
    const blobHTTPHeaders = { blobContentType: CONTENT_TYPE };
    return tier === undefined ? { blobHTTPHeaders } : { blobHTTPHeaders, tier };
  }

  #scope(): { encryptionScope?: string } {
    const { encryptionScope } = this.#spec;
    return encryptionScope === undefined ? {} : { encryptionScope };
  }

  #blob(key: string): BlockBlobClient {
    return this.#parts.container.getBlockBlobClient(key);
  }

  async #listPage(
    ctx: CallContext,
    { prefix, delimiter, tellsTier }: ListQuery,
    { marker, start }: PageBegin,
  ): Promise<AzureListPage> {
    const { container, pageNamesMax } = this.#parts;
    const settings = {
      maxPageSize: pageNamesMax,
      ...(marker === undefined ? {} : { continuationToken: marker }),
    };
    const text = await this.#send(ctx, 'list', undefined, async (abortSignal) => {
      const options = { prefix, abortSignal, ...(start === undefined ? {} : { startFrom: start }) };
      const pages = delimiter
        ? container.listBlobsByHierarchy(delimiter, options).byPage(settings)
        : container.listBlobsFlat(options).byPage(settings);
      const { value } = (await pages.next()) as { value?: { _response?: { bodyAsText?: string } } };
      return value?._response?.bodyAsText ?? '';
    });
    // The library takes what is missing for nothing; the parser of the direct engine does not.
    return azureListingOf(this.#call('list'), Buffer.from(text), tellsTier);
  }

  #call(operation: string, key?: string): HttpCall {
    return callTo(this.#spec, this.#parts.secrets(), operation, key);
  }

  async #send<T>(
    ctx: CallContext,
    operation: string,
    key: string | undefined,
    call: (abortSignal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    ctx.signal.throwIfAborted();
    if (key !== undefined) checkAzureKey(this.name, operation, key);
    try {
      return await call(ctx.signal);
    } catch (error) {
      ctx.signal.throwIfAborted();
      throw errorOfAzureSdk(this.#call(operation, key), error, {
        access: this.#spec.access,
        forwarding: this.#forwarding,
      });
    }
  }
}

export interface AzureSdkOptions {
  /** As of the direct engine's driver. */
  readonly role?: 'source' | 'target';
  readonly onNotice?: ((sentence: string) => void) | undefined;
  /** For tests; default: Azure's own library. */
  readonly tokens?: TokenSource | undefined;
  readonly pageNamesMax?: number;
}

/** Asks first which order the account lists in. */
export async function openAzureSdkDriver(
  spec: DriverSpec & { readonly storage: AzureSpec },
  { tokens, role, onNotice = () => undefined, pageNamesMax = PAGE_NAMES_MAX }: AzureSdkOptions = {},
): Promise<AzureSdkDriver> {
  const { storage } = spec;
  const { access, endpoint } = storage;
  if (role !== undefined && access.type === 'sas')
    demandSas(storageName(storage), readSas(access.token), role, onNotice);
  const sdk = await import('@azure/storage-blob');
  const http = new AzureSdkHttp(storage, originOf(new URL(endpoint)));
  const seen: { token?: string } = {};
  const credential =
    access.type === 'shared-key'
      ? new sdk.StorageSharedKeyCredential(storage.accountName, access.accountKey)
      : access.type === 'sas'
        ? new sdk.AnonymousCredential()
        : tokenCredential(storage, tokens ?? entraTokens(storageName(storage), access), seen);
  const url = `${endpoint}/${encodeURIComponent(storage.container)}`;
  const container = new sdk.ContainerClient(
    access.type === 'sas' ? `${url}?${access.token}` : url,
    sdk.newPipeline(credential, { httpClient: http, retryOptions: { maxTries: 1 } }),
  );
  const secrets = (): readonly string[] => [
    ...secretsOf(access),
    ...(seen.token === undefined ? [] : [seen.token]),
  ];
  const namespace = await namespaceOf(container, (error) =>
    errorOfAzureSdk(callTo(storage, secrets(), 'look at'), error, { access }),
  );
  return new AzureSdkDriver(spec, { container, http, namespace, secrets, pageNamesMax });
}

/** The library asks again before a token ends. */
function tokenCredential({ endpoint }: AzureSpec, tokens: TokenSource, seen: { token?: string }) {
  if (!endpoint.startsWith('https:'))
    throw new ConfigError('The SDK engine gives tokens of Entra ID to https:// endpoints alone', {
      hint: 'Use an https:// endpoint, or leave --engine sdk out',
    });
  return {
    getToken: async () => {
      const { token, expiresAtMs } = await tokens();
      seen.token = token;
      return { token, expiresOnTimestamp: expiresAtMs ?? Date.now() };
    },
  };
}

async function namespaceOf(
  container: ContainerClient,
  errorOf: (error: unknown) => unknown,
): Promise<Namespace> {
  const abortSignal = AbortSignal.timeout(ACCOUNT_TIMEOUT_MS);
  try {
    const { isHierarchicalNamespaceEnabled } = await container.getAccountInfo({ abortSignal });
    return isHierarchicalNamespaceEnabled === true ? 'hierarchical' : 'flat';
  } catch (error) {
    const refusal = errorOf(error);
    // One that does not answer is asked again by whatever comes next; until then its listings are sorted here.
    if (abortSignal.aborted || refusal instanceof StorageError) return 'unknown';
    throw refusal;
  }
}

function callTo(spec: AzureSpec, secrets: readonly string[], operation: string, key?: string): HttpCall {
  return {
    backend: storageName(spec),
    operation,
    service: 'an Azure Blob Storage service',
    secrets,
    ...(key === undefined ? {} : { key }),
  };
}

interface SdkResponse {
  readonly status: number;
  readonly headers: { toJson(): Record<string, string> };
}

function responseOf({ status, headers }: SdkResponse): HttpResponse {
  const fields = new Map(
    Object.entries(headers.toJson()).map(([name, value]) => [name.toLowerCase(), value]),
  );
  return { status, headers: fields, body: Buffer.alloc(0), intoBytes: 0, isOverflow: false };
}
