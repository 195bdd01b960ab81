/** Azure Blob Storage over its REST interface and the direct engine (https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api). */
import { isStorageError, StorageError } from '../../core/errors.ts';
import type { HttpResponse } from '../../transport/http-types.ts';
import { encodePath } from '../../transport/sigv4.ts';
import type {
  AddressFacet,
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
import { isRange, lengthOf, totalOf, totalOfUnsatisfied } from '../http/object-answer.ts';
import { type Fields, ServiceClient } from '../http/service-client.ts';
import type { AzureSpec, DriverSpec } from '../spec.ts';
import { probeAzureBinding } from './azure-binding.ts';
import { UploadMarks } from './azure-block-ids.ts';
import { AzureBlocks } from './azure-blocks.ts';
import { checkAzureKey } from './azure-keys.ts';
import { AzureLister, PAGE_NAMES_MAX, type PageBegin } from './azure-lister.ts';
import { type AzureListPage, azureListingOf } from './azure-listing.ts';
import { azureFacts, identityOf, isRangeOfNothing, type Namespace } from './azure-object.ts';
import { AzureServerCopy } from './azure-server-copy.ts';
import { type AzureCredentials, AzureService, type AzureServiceOptions } from './azure-service.ts';
import { START_VERSION } from './azure-start.ts';
import {
  encryptionFields,
  sumFields,
  sumOf,
  sumOfBlobs,
  sumOfBlocks,
  visibleAttributes,
} from './azure-write.ts';

const ACCOUNT_TIMEOUT_MS = 15_000;

export interface AzureDriverOptions extends AzureServiceOptions {
  /** What the storage is to be used as: a signature that cannot do that is refused before anything is sent. */
  readonly role?: 'source' | 'target';
  readonly pageNamesMax?: number;
}

interface AzureDriverParts {
  readonly namespace: Namespace;
  readonly addresses: AddressFacet;
  readonly pageNamesMax?: number;
}

export class AzureDriver implements StorageDriver {
  readonly kind = 'azure';
  readonly name: string;
  readonly facts: DriverFacts;
  readonly multipart: MultipartFacet;
  readonly binding: BindingFacet;
  readonly serverCopy: ServerCopyFacet;
  readonly addresses: AddressFacet;
  readonly #client: ServiceClient<AzureCredentials>;
  readonly #lister: AzureLister;
  readonly #sumName: ReturnType<typeof sumOfBlobs>;
  /** Of every blob that is written whole. */
  readonly #blobFields: Fields;
  readonly #pageNamesMax: number;

  constructor(
    client: ServiceClient<AzureCredentials>,
    { storage, binding }: DriverSpec & { readonly storage: AzureSpec },
    { namespace, addresses, pageNamesMax }: AzureDriverParts,
  ) {
    this.#client = client;
    this.#sumName = sumOfBlobs(binding);
    this.#blobFields = [
      ...visibleAttributes(storage),
      ['x-ms-blob-type', 'BlockBlob'],
      ...encryptionFields(storage),
    ];
    this.#pageNamesMax = pageNamesMax ?? PAGE_NAMES_MAX;
    this.name = client.name;
    this.facts = azureFacts(namespace);
    const marks = new UploadMarks(storage);
    this.#lister = new AzureLister({
      call: client.call('list'),
      marks,
      listOrder: this.facts.listOrder,
      page: (ctx, query, from) => this.#listPage(ctx, query, from),
    });
    const blocks = new AzureBlocks(client, storage, {
      list: (ctx, query) => this.#lister.everything(ctx, query),
      marks,
      sumName: sumOfBlocks(binding),
    });
    this.multipart = blocks;
    this.serverCopy = new AzureServerCopy(client, storage, {
      blocks,
      stat: (ctx, key) => this.stat(ctx, key),
    });
    this.addresses = addresses;
    this.binding = { probe: (ctx, prefix) => probeAzureBinding(ctx, client, prefix) };
  }

  list(ctx: CallContext, query: ListQuery): AsyncIterable<ListPage> {
    return this.#lister.list(ctx, query);
  }

  async stat(ctx: CallContext, key: string): Promise<ObjectInfo> {
    checkAzureKey(this.name, 'stat', key);
    const response = await this.#client.send(ctx, {
      method: 'HEAD',
      operation: 'stat',
      key,
      path: pathOf(key),
    });
    this.#demandFile('stat', key, response);
    return { key, sizeBytes: lengthOf(this.#client.call('stat', key), response), ...identityOf(response) };
  }

  async read(ctx: CallContext, key: string, into: Uint8Array, options: ReadOptions): Promise<ReadResult> {
    checkAzureKey(this.name, 'read', key);
    const offset = options.offset ?? 0;
    const isWhole = options.isWhole === true || into.length === 0;
    const headers: [string, string][] = [];
    if (!isWhole) headers.push(['range', `bytes=${offset}-${offset + into.length - 1}`]);
    if (options.version !== undefined) headers.push(['if-match', options.version]);
    const response = await this.#client.send(ctx, {
      method: 'GET',
      operation: 'read',
      key,
      path: pathOf(key),
      headers,
      into,
      accepts: [416],
      ...(options.isFresh ? { isFresh: true } : {}),
    });
    const call = this.#client.call('read', key);
    this.#demandFile('read', key, response);
    if (response.status === 416 || isRangeOfNothing(response)) {
      const totalBytes = totalOfUnsatisfied(response) ?? (await this.stat(ctx, key)).sizeBytes;
      if (totalBytes > offset) throw malformed(call, 'a range inside the object was refused');
      return { bytesRead: 0, totalBytes };
    }
    if (!isRange(response, into.length === 0 ? 0 : offset))
      throw malformed(call, 'the answer does not say which range it is');
    // A page of whoever stands before the service has none, and its status may well be 200.
    if (!response.headers.has('x-ms-blob-type'))
      throw malformed(call, 'the answer does not say what kind of blob it is, and so is none');
    const { intoBytes: bytesRead } = response;
    const totalBytes = totalOf(response) ?? (await this.stat(ctx, key)).sizeBytes;
    const announced = Math.min(into.length, Math.max(0, totalBytes - offset));
    if (bytesRead < announced) throw malformed(call, `${bytesRead} bytes came instead of ${announced}`);
    return { bytesRead, totalBytes, ...identityOf(response) };
  }

  async write(ctx: CallContext, key: string, body: Body, _options: WriteOptions): Promise<WriteResult> {
    checkAzureKey(this.name, 'write', key);
    ctx.signal.throwIfAborted();
    const sum = sumOf(ctx, body, this.#sumName);
    const headers: Fields = [...this.#blobFields, ...sumFields(sum instanceof Promise ? await sum : sum)];
    const response = await this.#client.send(ctx, {
      method: 'PUT',
      operation: 'write',
      key,
      path: pathOf(key),
      headers,
      body: body.bytes ?? body.open(),
      bodyBytes: body.sizeBytes,
    });
    const version = response.headers.get('etag');
    return version === undefined ? {} : { version };
  }

  async remove(ctx: CallContext, key: string): Promise<void> {
    checkAzureKey(this.name, 'remove', key);
    try {
      await this.#client.send(ctx, {
        method: 'DELETE',
        operation: 'remove',
        key,
        path: pathOf(key),
        expects: 202,
      });
    } catch (error) {
      // A container that is missing is not that.
      if (isStorageError(error, 'not-found') && error.details.scope === 'object') return;
      // The name is a folder's: there is no object to remove.
      if (isStorageError(error) && error.details.backendCode === 'DirectoryIsNotEmpty') return;
      throw error;
    }
  }

  async flush(ctx: CallContext): Promise<void> {
    ctx.signal.throwIfAborted();
  }

  async close(): Promise<void> {
    this.#client.close();
  }

  /** A hierarchical account shows its folders as empty blobs. */
  #demandFile(operation: string, key: string, { headers }: HttpResponse): void {
    if (headers.get('x-ms-resource-type')?.toLowerCase() !== 'directory') return;
    const { name: backend } = this;
    const details = {
      kind: 'not-found',
      backend,
      operation,
      key,
      isTransient: false,
      scope: 'object',
    } as const;
    throw new StorageError(
      `Cannot ${operation} "${key}" in ${backend}: there is a folder of this name`,
      details,
    );
  }

  async #listPage(
    ctx: CallContext,
    { prefix, delimiter, tellsTier }: ListQuery,
    { marker, start }: PageBegin,
  ): Promise<AzureListPage> {
    const fields: Fields = [
      ['restype', 'container'],
      ['comp', 'list'],
      ['prefix', prefix],
      ['maxresults', String(this.#pageNamesMax)],
      ...(delimiter ? [['delimiter', delimiter] as const] : []),
      ...(marker === undefined ? [] : [['marker', marker] as const]),
      ...(start === undefined ? [] : [['startFrom', start] as const]),
    ];
    const { body } = await this.#client.send(ctx, {
      method: 'GET',
      operation: 'list',
      path: '',
      query: fields,
      ...(start === undefined ? {} : { headers: [['x-ms-version', START_VERSION]] }),
    });
    return azureListingOf(this.#client.call('list'), body, tellsTier);
  }
}

/** Asks first which order the account lists in. */
export async function openAzureDriver(
  spec: DriverSpec & { readonly storage: AzureSpec },
  { pageNamesMax, role, ...options }: AzureDriverOptions = {},
): Promise<AzureDriver> {
  const service = new AzureService(spec.storage, options);
  if (role !== undefined) service.checkSas(role);
  const client = new ServiceClient(service);
  const namespace = await namespaceOf(client);
  return new AzureDriver(client, spec, {
    namespace,
    addresses: service,
    ...(pageNamesMax === undefined ? {} : { pageNamesMax }),
  });
}

/**
 * https://learn.microsoft.com/rest/api/storageservices/get-account-information. A service that answers and says nothing
 * of hierarchies (an emulator) has none; one that does not answer is asked again by whatever comes next, and until then
 * its listings are sorted here.
 */
async function namespaceOf(client: ServiceClient<AzureCredentials>): Promise<Namespace> {
  try {
    const { headers } = await client.send(
      { signal: AbortSignal.timeout(ACCOUNT_TIMEOUT_MS) },
      {
        method: 'GET',
        operation: 'look at',
        path: '',
        query: [
          ['restype', 'account'],
          ['comp', 'properties'],
        ],
      },
    );
    return headers.get('x-ms-is-hns-enabled')?.toLowerCase() === 'true' ? 'hierarchical' : 'flat';
  } catch (error) {
    if (error instanceof StorageError || (error as Error).name === 'TimeoutError') return 'unknown';
    throw error;
  }
}

function pathOf(key: string): string {
  return `/${encodePath(key)}`;
}
