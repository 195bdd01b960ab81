/** Azure Blob Storage over its REST interface and the direct engine (https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api). */
import { compareUtf8 } from '../../core/byte-order.ts';
import { isStorageError, StorageError } from '../../core/errors.ts';
import type { HttpResponse } from '../../transport/http-types.ts';
import { encodePath } from '../../transport/sigv4.ts';
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
import { isRange, lengthOf, totalOf, totalOfUnsatisfied } from '../http/object-answer.ts';
import { type Fields, ServiceClient } from '../http/service-client.ts';
import { prefetchedPages } from '../paging.ts';
import type { AzureSpec, DriverSpec } from '../spec.ts';
import { probeAzureBinding } from './azure-binding.ts';
import { UploadMarks } from './azure-block-ids.ts';
import { AzureBlocks } from './azure-blocks.ts';
import { checkAzureKey } from './azure-keys.ts';
import { azureListingOf, md5OfBase64, narrowedPrefix, versionOf } from './azure-listing.ts';
import { AzureServerCopy } from './azure-server-copy.ts';
import { type AzureCredentials, AzureService, type AzureServiceOptions } from './azure-service.ts';
import { pagesBehind } from './azure-walk.ts';
import { checksMd5, encryptionFields, md5Field, md5Of, visibleAttributes } from './azure-write.ts';
import { ByteOrder, isSurelyBehind } from './byte-order.ts';

/** Of one Put Blob, since version 2019-12-12. */
const PUT_BYTES_MAX = 5_000 * 1024 ** 2;
/** Below the 5,000 that Azure gives: a page must not take many megabytes. */
const PAGE_NAMES_MAX = 2_000;
const ACCOUNT_TIMEOUT_MS = 15_000;

export interface AzureDriverOptions extends AzureServiceOptions {
  readonly pageNamesMax?: number;
}

/** What is known of the account: `unknown` where these credentials may not ask. */
type Namespace = 'flat' | 'hierarchical' | 'unknown';

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
  readonly #spec: AzureSpec;
  readonly #marks: UploadMarks;
  readonly #binding: Binding | undefined;
  readonly #pageNamesMax: number;

  constructor(
    client: ServiceClient<AzureCredentials>,
    { storage, binding }: DriverSpec & { readonly storage: AzureSpec },
    { namespace, addresses, pageNamesMax }: AzureDriverParts,
  ) {
    this.#client = client;
    this.#spec = storage;
    this.#binding = binding;
    this.#marks = new UploadMarks(storage);
    this.#pageNamesMax = pageNamesMax ?? PAGE_NAMES_MAX;
    this.name = client.name;
    this.facts = {
      // A hierarchical account goes from folder to folder: `a/x` comes before `a-b`.
      listOrder: namespace === 'flat' ? 'bytes' : 'unsorted',
      // Whoever made a blob may have stored any MD5 with it.
      md5MayBeOpaque: true,
      writeBytesMax: PUT_BYTES_MAX,
      keepsAttributes: false,
      hasFolders: namespace === 'hierarchical',
    };
    const blocks = new AzureBlocks(client, storage, {
      list: (ctx, query) => this.#listEverything(ctx, query),
      marks: this.#marks,
      checksMd5: checksMd5(binding),
    });
    this.multipart = blocks;
    this.serverCopy = new AzureServerCopy(client, storage, {
      blocks,
      stat: (ctx, key) => this.stat(ctx, key),
    });
    this.addresses = addresses;
    this.binding = { probe: (ctx, prefix) => probeAzureBinding(ctx, client, prefix) };
  }

  async *list(ctx: CallContext, query: ListQuery): AsyncGenerator<ListPage> {
    const isWalked =
      this.facts.listOrder === 'bytes' && query.after !== undefined && query.delimiter === undefined;
    const pages = isWalked
      ? pagesBehind(
          {
            pages: (part) => this.#ordered(ctx, part),
            folder: (prefix, marker) => this.#listPage(ctx, { prefix, delimiter: '/' }, marker),
          },
          { ...query, prefix: narrowedPrefix(query) },
        )
      : this.#ordered(ctx, query);
    for await (const page of pages) {
      const shown = {
        objects: page.objects.filter(({ key }) => !this.#marks.hides(key)),
        prefixes: page.prefixes.filter((prefix) => !this.#marks.hides(prefix)),
      };
      if (shown.objects.length + shown.prefixes.length > 0) yield { ...page, ...shown };
    }
  }

  async *#ordered(ctx: CallContext, query: ListQuery): AsyncGenerator<ListPage> {
    const ofObjects = new ByteOrder<ObjectInfo>(({ key }) => key);
    const ofPrefixes = new ByteOrder<string>((prefix) => prefix);
    for await (const { objects, prefixes, ...page } of this.#listEverything(ctx, query)) {
      const isLast = page.isLast === true;
      yield {
        ...page,
        objects: ofObjects.take(objects, isLast),
        prefixes: ofPrefixes.take(prefixes, isLast),
      };
    }
  }

  #listEverything(ctx: CallContext, query: ListQuery): AsyncIterable<ListPage> {
    const call = { backend: this.name, operation: 'list' };
    return prefetchedPages(query, call, (marker) => this.#listPage(ctx, query, marker));
  }

  async stat(ctx: CallContext, key: string): Promise<ObjectInfo> {
    checkAzureKey(this.name, 'stat', key);
    const response = await this.#client.send(ctx, {
      method: 'HEAD',
      operation: 'stat',
      key,
      path: pathOf(key),
    });
    return { key, sizeBytes: lengthOf(this.#client.call('stat', key), response), ...identity(response) };
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
    return { bytesRead, totalBytes, ...identity(response) };
  }

  async write(ctx: CallContext, key: string, body: Body, _options: WriteOptions): Promise<WriteResult> {
    checkAzureKey(this.name, 'write', key);
    ctx.signal.throwIfAborted();
    const headers: Fields = [
      ['x-ms-blob-type', 'BlockBlob'],
      ...visibleAttributes(this.#spec),
      ...encryptionFields(this.#spec),
      ...(checksMd5(this.#binding) ? [md5Field(await md5Of(ctx, body))] : []),
    ];
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
      });
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
    this.#client.close();
  }

  async #listPage(
    ctx: CallContext,
    query: ListQuery,
    marker: string | undefined,
  ): Promise<{ page: ListPage; next?: string }> {
    const isSorted = this.facts.listOrder === 'bytes';
    const fields: Fields = [
      ['restype', 'container'],
      ['comp', 'list'],
      ['prefix', query.prefix],
      ['maxresults', String(this.#pageNamesMax)],
      ...(query.delimiter ? [['delimiter', query.delimiter] as const] : []),
      ...(marker === undefined ? [] : [['marker', marker] as const]),
    ];
    const { body } = await this.#client.send(ctx, {
      method: 'GET',
      operation: 'list',
      path: '',
      query: fields,
    });
    const { next, ...listed } = azureListingOf(this.#client.call('list'), body);
    const page = behind(listed, query.after);
    const last = listed.objects.at(-1)?.key;
    const { upTo } = query;
    const isPast = isSorted && last !== undefined && upTo !== undefined && isSurelyBehind(last, upTo);
    return next === undefined || isPast ? { page } : { page, next };
  }
}

/** Asks first which order the account lists in. */
export async function openAzureDriver(
  spec: DriverSpec & { readonly storage: AzureSpec },
  { pageNamesMax, ...options }: AzureDriverOptions = {},
): Promise<AzureDriver> {
  const service = new AzureService(spec.storage, options);
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

/** No request can say where a listing begins. A group that `after` is in may have more keys behind it. */
function behind(page: ListPage, after: string | undefined): ListPage {
  if (after === undefined) return page;
  return {
    objects: page.objects.filter(({ key }) => compareUtf8(key, after) > 0),
    prefixes: page.prefixes.filter((prefix) => after.startsWith(prefix) || compareUtf8(prefix, after) > 0),
  };
}

function pathOf(key: string): string {
  return `/${encodePath(key)}`;
}

/** So Azurite answers where one byte of an empty blob is asked for; the service itself says 416. */
function isRangeOfNothing({ status, headers }: HttpResponse): boolean {
  return status === 206 && headers.get('content-length') === '0';
}

/** Of a range, `content-md5` would be the range's; that of the blob is then in a header of its own. */
function identity({ status, headers }: HttpResponse): { version?: string; md5?: string } {
  const version = headers.get('etag');
  const stored =
    headers.get('x-ms-blob-content-md5') ?? (status === 206 ? undefined : headers.get('content-md5'));
  const md5 = headers.get('x-ms-blob-type') === 'BlockBlob' ? md5OfBase64(stored) : undefined;
  return {
    ...(version === undefined ? {} : { version: versionOf(version) }),
    ...(md5 === undefined ? {} : { md5 }),
  };
}
