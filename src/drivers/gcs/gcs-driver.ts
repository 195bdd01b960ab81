/** Google Cloud Storage over the direct engine: bytes by the XML API, listings by the JSON API. */
import { encodeUri } from '../../transport/sigv4.ts';
import type { TokenSource } from '../access-token.ts';
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
import { isRange, totalOf, totalOfUnsatisfied } from '../http/object-answer.ts';
import { type Fields, ServiceClient } from '../http/service-client.ts';
import { prefetchedPages } from '../paging.ts';
import type { DriverSpec, GcsSpec } from '../spec.ts';
import { tokenSourceFor } from './gcs-auth.ts';
import { probeGcsBinding } from './gcs-binding.ts';
import { hashesIn, hashesOf, hashHeader } from './gcs-hash.ts';
import { checkGcsKey } from './gcs-keys.ts';
import { gcsListingOf, listingQuery } from './gcs-listing.ts';
import { GcsMultipart } from './gcs-multipart.ts';
import { AS_STORED, generationIn, lookAt, pathOf, removeWrong, storedBytesIn } from './gcs-object.ts';
import { GcsService, GcsSession } from './gcs-service.ts';
import { demandSame, gcsObjectHeaders } from './gcs-write.ts';

/** https://cloud.google.com/storage/quotas#objects */
const OBJECT_BYTES_MAX = 5 * 1024 ** 4;
const PAGE_NAMES_MAX = 1_000;

export interface GcsDriverOptions {
  /** Default: Google's own library, as the settings say. */
  /** Default: Google's own library. */
  readonly tokens?: TokenSource | undefined;
  readonly pageNamesMax?: number;
}

export class GcsDriver implements StorageDriver {
  readonly kind = 'gcs';
  readonly name: string;
  readonly facts: DriverFacts = {
    listOrder: 'bytes',
    listsSideBySide: true,
    md5MayBeOpaque: false,
    writeBytesMax: OBJECT_BYTES_MAX,
    keepsAttributes: false,
    hasFolders: false,
  };
  readonly multipart: MultipartFacet;
  readonly binding: BindingFacet;
  /** The XML API. */
  readonly #client: ServiceClient<unknown>;
  /** The JSON API. */
  readonly #lister: ServiceClient<unknown>;
  readonly #objectHeaders: Fields;
  readonly #binding: Binding | undefined;
  readonly #pageNamesMax: number;

  constructor(spec: GcsSpec, binding: Binding | undefined, options: GcsDriverOptions = {}) {
    const session = new GcsSession(spec, options.tokens ?? tokenSourceFor(spec));
    const bucket = encodeUri(spec.bucket);
    this.#client = new ServiceClient(new GcsService(session, `/${bucket}`));
    this.#lister = new ServiceClient(new GcsService(session, `/storage/v1/b/${bucket}/o`));
    this.name = session.name;
    this.#objectHeaders = gcsObjectHeaders(spec);
    this.#binding = binding;
    this.#pageNamesMax = options.pageNamesMax ?? PAGE_NAMES_MAX;
    const multipart = new GcsMultipart(this.#client, spec, binding);
    this.multipart = multipart;
    this.binding = { probe: (ctx, prefix) => probeGcsBinding(ctx, this.#client, multipart, prefix) };
  }

  list(ctx: CallContext, query: ListQuery): AsyncIterable<ListPage> {
    return prefetchedPages(query, this.#lister.call('list'), async (token) => {
      const { body } = await this.#lister.send(ctx, {
        method: 'GET',
        operation: 'list',
        path: '',
        query: listingQuery(query, token, this.#pageNamesMax),
      });
      const { next, ...page } = gcsListingOf(this.#lister.call('list'), body, query.upTo);
      return next === undefined ? { page } : { page, next };
    });
  }

  async stat(ctx: CallContext, key: string): Promise<ObjectInfo> {
    checkGcsKey(this.name, 'stat', key);
    const { sizeBytes, version, md5 } = await lookAt(this.#client, ctx, key);
    return { key, sizeBytes, version, ...(md5 === undefined ? {} : { md5 }) };
  }

  async read(ctx: CallContext, key: string, into: Uint8Array, options: ReadOptions): Promise<ReadResult> {
    checkGcsKey(this.name, 'read', key);
    const offset = options.offset ?? 0;
    const isWhole = options.isWhole === true || into.length === 0;
    const headers: Fields[number][] = [AS_STORED];
    if (!isWhole) headers.push(['range', `bytes=${offset}-${offset + into.length - 1}`]);
    if (options.version !== undefined) headers.push(['x-goog-if-generation-match', options.version]);
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
    if (response.status === 416) {
      const totalBytes = totalOfUnsatisfied(response) ?? (await this.stat(ctx, key)).sizeBytes;
      if (totalBytes > offset) throw malformed(call, 'a range inside the object was refused');
      return { bytesRead: 0, totalBytes };
    }
    if (!isRange(response, into.length === 0 ? 0 : offset))
      throw malformed(call, 'the answer does not say which range it is');
    const version = generationIn(call, response);
    const stored = storedBytesIn(response);
    const { intoBytes: bytesRead } = response;
    const totalBytes = totalOf(response) ?? stored ?? (await this.stat(ctx, key)).sizeBytes;
    // Unpacked on the way, an object has another size than what is stored, and other bytes.
    if (stored !== undefined && stored !== totalBytes)
      throw malformed(call, `${totalBytes} bytes are offered of ${stored} that are stored`);
    const announced = Math.min(into.length, Math.max(0, totalBytes - offset));
    if (bytesRead < announced) throw malformed(call, `${bytesRead} bytes came instead of ${announced}`);
    const { md5, crc32c } = hashesIn(response.headers);
    const sum = crc32c?.toString(16).padStart(8, '0');
    return {
      bytesRead,
      totalBytes,
      version,
      ...(md5 === undefined ? {} : { md5 }),
      ...(isWhole && sum !== undefined ? { checksums: { crc32c: sum } } : {}),
    };
  }

  async write(ctx: CallContext, key: string, body: Body, _options: WriteOptions): Promise<WriteResult> {
    checkGcsKey(this.name, 'write', key);
    const sent = await hashesOf(ctx, body, this.#binding);
    const response = await this.#client.send(ctx, {
      method: 'PUT',
      operation: 'write',
      key,
      path: pathOf(key),
      headers: [...this.#objectHeaders, ...hashHeader(sent)],
      body: body.bytes ?? body.open(),
      bodyBytes: body.sizeBytes,
    });
    const call = this.#client.call('write', key);
    const version = generationIn(call, response);
    try {
      demandSame(call, sent, response);
    } catch (error) {
      await removeWrong(this.#client, key, version);
      throw error;
    }
    return { version };
  }

  async remove(ctx: CallContext, key: string): Promise<void> {
    checkGcsKey(this.name, 'remove', key);
    const request = { operation: 'remove', key, path: pathOf(key), accepts: [404], expects: 204 } as const;
    await this.#client.send(ctx, { ...request, method: 'DELETE' });
  }

  async flush(ctx: CallContext): Promise<void> {
    ctx.signal.throwIfAborted();
  }

  async close(): Promise<void> {
    this.#client.close();
  }
}

export function openGcsDriver(
  spec: DriverSpec & { readonly storage: GcsSpec },
  options?: GcsDriverOptions,
): GcsDriver {
  return new GcsDriver(spec.storage, spec.binding, options);
}
