/** OpenStack Swift over its own API and the direct engine. */
import { createHash, hash } from 'node:crypto';
import { compareUtf8 } from '../../core/byte-order.ts';
import { isStorageError, StorageError } from '../../core/errors.ts';
import type { HttpResponse } from '../../transport/http-types.ts';
import { encodePath } from '../../transport/sigv4.ts';
import type {
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
  StorageDriver,
  WriteOptions,
  WriteResult,
} from '../driver.ts';
import { malformed } from '../http/call.ts';
import { demandObject, isRange, lengthOf, totalOf, totalOfUnsatisfied } from '../http/object-answer.ts';
import { type Fields, ServiceClient } from '../http/service-client.ts';
import { untilAborted } from '../or-aborted.ts';
import { prefetchedPages } from '../paging.ts';
import type { DriverSpec, SwiftSpec } from '../spec.ts';
import { probeSwiftBinding } from './swift-binding.ts';
import { whyInvalidSwiftKey } from './swift-keys.ts';
import { SwiftLargeObjects } from './swift-large-objects.ts';
import { listingOf } from './swift-listing.ts';
import { SwiftManifests } from './swift-manifests.ts';
import { SegmentNames } from './swift-segments.ts';
import { SwiftService } from './swift-service.ts';

/** As clusters come (`max_file_size`); larger objects are made of parts. */
const PUT_BYTES_MAX = 5 * 1024 ** 3;
/** Below the 10,000 that clusters allow (`container_listing_limit`): a page must not take many megabytes. */
const PAGE_NAMES_MAX = 2_000;
const MD5 = /^[0-9a-f]{32}$/;
/**
 * Copies of an object may lag behind each other, and whichever is asked first answers; with this all of them are asked
 * (https://docs.openstack.org/api-ref/object-store/, "X-Newest").
 */
const OF_ALL_COPIES: Fields[number] = ['x-newest', 'true'];

export interface SwiftDriverOptions {
  readonly pageNamesMax?: number;
}

export class SwiftDriver implements StorageDriver {
  readonly kind = 'swift';
  readonly name: string;
  readonly facts: DriverFacts = {
    listOrder: 'bytes',
    listsLate: true,
    md5MayBeOpaque: false,
    writeBytesMax: PUT_BYTES_MAX,
    keepsAttributes: false,
    hasFolders: false,
  };
  readonly multipart: MultipartFacet;
  readonly binding: BindingFacet;
  readonly #client: ServiceClient<unknown>;
  readonly #names: SegmentNames;
  readonly #large: SwiftLargeObjects;
  readonly #manifests: SwiftManifests;
  readonly #spec: SwiftSpec;
  /** Of other containers that hold parts of this one's objects. */
  readonly #others = new Map<string, ServiceClient<unknown>>();
  readonly #binding: Binding | undefined;
  readonly #pageNamesMax: number;

  constructor(spec: SwiftSpec, binding: Binding | undefined, options: SwiftDriverOptions = {}) {
    this.#spec = spec;
    this.#client = new ServiceClient(new SwiftService(spec));
    this.name = this.#client.name;
    this.#binding = binding;
    this.#pageNamesMax = options.pageNamesMax ?? PAGE_NAMES_MAX;
    this.#names = new SegmentNames(spec);
    this.#large = new SwiftLargeObjects(this.#client, this.#names, {
      list: (ctx, query) => this.#listEverything(ctx, query),
      checksMd5: () => this.#checksMd5,
    });
    this.#manifests = new SwiftManifests((ctx, container, query) =>
      this.#listEverything(ctx, query, this.#clientOf(container)),
    );
    this.multipart = this.#large;
    this.binding = { probe: (ctx, prefix) => probeSwiftBinding(ctx, this.#client, prefix) };
  }

  async *list(ctx: CallContext, query: ListQuery): AsyncGenerator<ListPage> {
    for await (const { objects, prefixes } of this.#listEverything(ctx, query)) {
      const page = {
        objects: objects.filter(({ key }) => !this.#names.hides(key)),
        prefixes: prefixes.filter((prefix) => !this.#names.hides(prefix)),
      };
      if (page.objects.length + page.prefixes.length > 0) yield page;
    }
  }

  #listEverything(
    ctx: CallContext,
    query: ListQuery,
    client: ServiceClient<unknown> = this.#client,
  ): AsyncIterable<ListPage> {
    return prefetchedPages(query, client.call('list'), (marker) =>
      this.#listPage(ctx, query, marker, client),
    );
  }

  #clientOf(container: string): ServiceClient<unknown> {
    if (container === this.#spec.container) return this.#client;
    let client = this.#others.get(container);
    if (!client) {
      client = new ServiceClient(new SwiftService({ ...this.#spec, container }));
      this.#others.set(container, client);
    }
    return client;
  }

  async stat(ctx: CallContext, key: string): Promise<ObjectInfo> {
    this.#checkKey('stat', key);
    const response = await this.#head(ctx, key).catch((error: unknown) => {
      if (isStorageError(error, 'not-found')) return this.#head(ctx, key, [OF_ALL_COPIES]);
      throw error;
    });
    const call = { ...this.#client.call('stat', key), key };
    // Of more parts than a page of its listing holds the service gives no sum.
    const isOpen = response.headers.has('x-object-manifest') && !response.headers.has('content-length');
    const said = isOpen ? undefined : lengthOf(call, response);
    const sizeBytes = (await this.#manifests.sizeOf(ctx, call, response, said)) ?? 0;
    return { key, sizeBytes, ...identity(response) };
  }

  async read(ctx: CallContext, key: string, into: Uint8Array, options: ReadOptions): Promise<ReadResult> {
    this.#checkKey('read', key);
    const offset = options.offset ?? 0;
    const isWhole = options.isWhole === true || into.length === 0;
    const headers: [string, string][] = [];
    if (!isWhole) headers.push(['range', `bytes=${offset}-${offset + into.length - 1}`]);
    if (options.version !== undefined) headers.push(['if-match', options.version]);
    const request = {
      method: 'GET',
      operation: 'read',
      key,
      path: pathOf(key),
      headers,
      into,
      accepts: [416],
      ...(options.isFresh ? { isFresh: true } : {}),
    } as const;
    const response = await this.#client.send(ctx, request).catch((error: unknown) => {
      if (isStorageError(error, 'not-found')) return this.#isGone(ctx, key, error);
      throw error;
    });
    const call = { ...this.#client.call('read', key), key };
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
    await this.#manifests.sizeOf(ctx, call, response, totalBytes);
    const lacksParts = totalBytes === 0 && response.headers.has('x-object-manifest');
    return { bytesRead, totalBytes, ...identity(response), ...(lacksParts ? { lacksParts } : {}) };
  }

  async write(ctx: CallContext, key: string, body: Body, _options: WriteOptions): Promise<WriteResult> {
    this.#checkKey('write', key);
    ctx.signal.throwIfAborted();
    const headers: [string, string][] = [['content-type', 'application/octet-stream']];
    if (this.#checksMd5) headers.push(['etag', await md5Of(ctx, body)]);
    const response = await this.#client.send(ctx, {
      method: 'PUT',
      operation: 'write',
      key,
      path: pathOf(key),
      headers,
      body: body.bytes ?? body.open(),
      bodyBytes: body.sizeBytes,
    });
    // https://docs.openstack.org/api-ref/object-store/ has no 202 here; the proxy says it where a newer object is there already.
    if (response.status === 202) throw this.#isOutrun(key);
    const version = response.headers.get('etag');
    // Whoever stands before the service may say 200 to everything; what it took is in no container.
    if (version === undefined) throw malformed(this.#client.call('write', key), 'no ETag came');
    return { version };
  }

  async remove(ctx: CallContext, key: string): Promise<void> {
    this.#checkKey('remove', key);
    await this.#large.remove(ctx, key);
  }

  async flush(ctx: CallContext): Promise<void> {
    ctx.signal.throwIfAborted();
  }

  async close(): Promise<void> {
    this.#client.close();
    for (const client of this.#others.values()) client.close();
  }

  #head(ctx: CallContext, key: string, headers: Fields = []): Promise<HttpResponse> {
    const request = { method: 'HEAD', operation: 'stat', key, path: pathOf(key), headers } as const;
    return this.#client.send(ctx, request);
  }

  /** @throws the refusal, or that the object is there all the same: then it is worth another try. */
  /** Whether that other object has the same bytes is not known. */
  #isOutrun(key: string): StorageError {
    return new StorageError(
      `Cannot write "${key}" in ${this.name}: somebody else wrote it at the same moment, and Swift kept theirs`,
      {
        kind: 'unavailable',
        backend: this.name,
        operation: 'write',
        key,
        status: 202,
        isTransient: true,
        scope: 'object',
      },
      { hint: 'Let nothing else write there while a copy runs' },
    );
  }

  async #isGone(ctx: CallContext, key: string, refusal: StorageError): Promise<never> {
    await this.#head(ctx, key, [OF_ALL_COPIES]).catch((error: unknown) => {
      throw isStorageError(error, 'not-found') ? refusal : error;
    });
    const { message, details } = refusal;
    throw new StorageError(
      `${message}; it is there, and one of its copies lags behind`,
      { ...details, kind: 'unavailable', isTransient: true },
      { hint: 'The cluster is behind with its copies: run again when it has caught up' },
    );
  }

  /** Swift compares the ETag of a PUT with the MD5 of what arrived; before a probe that is believed of it. */
  get #checksMd5(): boolean {
    return this.#binding?.contentMd5 ?? true;
  }

  async #listPage(
    ctx: CallContext,
    query: ListQuery,
    marker: string | undefined,
    client: ServiceClient<unknown>,
  ): Promise<{ page: ListPage; next?: string }> {
    const from = marker ?? query.after;
    const fields: Fields = [
      ['format', 'json'],
      ['limit', String(this.#pageNamesMax)],
      ['prefix', query.prefix],
      ...(query.delimiter ? [['delimiter', query.delimiter] as const] : []),
      ...(from === undefined ? [] : [['marker', from] as const]),
    ];
    const { body } = await client.send(ctx, {
      method: 'GET',
      operation: 'list',
      path: '',
      query: fields,
    });
    const { last, ...page } = listingOf(this.#client.call('list'), body);
    const isPast = last !== undefined && query.upTo !== undefined && compareUtf8(last, query.upTo) > 0;
    // A cluster may give shorter pages than it is asked for: only an empty one is surely the last.
    return last === undefined || isPast ? { page } : { page, next: last };
  }

  #checkKey(operation: string, key: string): void {
    const why = whyInvalidSwiftKey(key);
    if (why === undefined) return;
    throw new StorageError(`Cannot ${operation} an object in ${this.name}: ${why}`, {
      kind: 'invalid-name',
      backend: this.name,
      operation,
      key,
      isTransient: false,
      scope: 'object',
    });
  }
}

export function openSwiftDriver(
  spec: DriverSpec & { readonly storage: SwiftSpec },
  options: SwiftDriverOptions = {},
): SwiftDriver {
  return new SwiftDriver(spec.storage, spec.binding, options);
}

function pathOf(key: string): string {
  return `/${encodePath(key)}`;
}

/** Large objects have an ETag in quotes, made of the ETags of their parts. */
function identity({ headers }: HttpResponse): { version?: string; md5?: string } {
  const version = headers.get('etag');
  if (version === undefined) return {};
  const isLarge = headers.has('x-object-manifest') || headers.has('x-static-large-object');
  const md5 = version.toLowerCase();
  return !isLarge && MD5.test(md5) ? { version, md5 } : { version };
}

/** A body that stalls must not outlive the call, so each piece is waited for no longer than the signal lasts. */
async function md5Of(ctx: CallContext, body: Body): Promise<string> {
  if (body.bytes) return hash('md5', body.bytes, 'hex');
  const hasher = createHash('md5');
  for await (const piece of untilAborted(body.open(), ctx.signal)) hasher.update(piece);
  return hasher.digest('hex');
}
