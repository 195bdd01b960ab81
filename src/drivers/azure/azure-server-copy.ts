/**
 * Blobs that Azure fetches from an address by itself: in one request
 * (https://learn.microsoft.com/rest/api/storageservices/put-blob-from-url), or in blocks
 * (https://learn.microsoft.com/rest/api/storageservices/put-block-from-url). An answer comes when the bytes are there.
 */
import { isStorageError, StorageError } from '../../core/errors.ts';
import type { HttpResponse } from '../../transport/http-types.ts';
import { encodePath } from '../../transport/sigv4.ts';
import type {
  CallContext,
  CompleteOptions,
  CopiedPart,
  CopyAddress,
  CopyResult,
  CopySource,
  KeptObject,
  ObjectInfo,
  PartReceipt,
  ServerCopyFacet,
  Upload,
  WriteResult,
} from '../driver.ts';
import type { Fields, ServiceClient, ServiceRequest } from '../http/service-client.ts';
import type { AzureSpec } from '../spec.ts';
import { blockNameOf, newUploadId } from './azure-block-ids.ts';
import { type AzureBlocks, COMPLETE_TIMEOUT_MS } from './azure-blocks.ts';
import { checkAzureKey } from './azure-keys.ts';
import { encryptionFields, visibleAttributes } from './azure-write.ts';

/**
 * Azure takes 5,000 MiB in one request and blocks of 4,000 MiB, but a request that runs for minutes is one that a slow
 * source or a balancer cuts off; larger blobs come in blocks of this size, several at once.
 */
const COPY_BYTES_MAX = 256 * 1024 ** 2;

/** What of an address's query authorizes: of Azure and of S3. */
const SIGNED = ['sig', 'X-Amz-Signature', 'X-Amz-Security-Token', 'X-Amz-Credential'] as const;

type Fetch = Omit<ServiceRequest, 'secrets' | 'headTimeoutMs'> & { readonly headers: Fields };

export interface CopyParts {
  readonly blocks: AzureBlocks;
  readonly stat: (ctx: CallContext, key: string) => Promise<ObjectInfo>;
}

export class AzureServerCopy implements ServerCopyFacet {
  readonly copiesFrom = 'address';
  readonly copyBytesMax = COPY_BYTES_MAX;
  readonly #client: ServiceClient<unknown>;
  readonly #spec: AzureSpec;
  readonly #parts: CopyParts;
  /** Emulators know the blocks only. */
  #takesWholeBlobs = true;

  constructor(client: ServiceClient<unknown>, spec: AzureSpec, parts: CopyParts) {
    this.#client = client;
    this.#spec = spec;
    this.#parts = parts;
  }

  /** Azure keeps no sha256. */
  async look(ctx: CallContext, key: string): Promise<KeptObject> {
    return { ...(await this.#parts.stat(ctx, key)), hasSha256: false };
  }

  async copy(ctx: CallContext, source: CopySource, key: string): Promise<CopyResult> {
    const operation = 'copy from its address';
    checkAzureKey(this.#client.name, operation, key);
    if (!this.#takesWholeBlobs) return await this.#copyInOneBlock(ctx, source, key);
    const headers: Fields = [
      ['x-ms-blob-type', 'BlockBlob'],
      // Attributes come from the target's configuration.
      ['x-ms-copy-source-blob-properties', 'false'],
      ...visibleAttributes(this.#spec),
    ];
    try {
      const path = pathOf(key);
      const response = await this.#fetch(ctx, source, { method: 'PUT', operation, key, path, headers });
      const version = response.headers.get('etag');
      return version === undefined ? {} : { version };
    } catch (error) {
      if (!isStorageError(error) || error.details.status !== 501) throw error;
      this.#takesWholeBlobs = false;
      return await this.#copyInOneBlock(ctx, source, key);
    }
  }

  begin(ctx: CallContext, key: string): Promise<Upload> {
    return this.#parts.blocks.begin(ctx, key);
  }

  async copyPart(
    ctx: CallContext,
    upload: Upload,
    source: CopySource,
    part: CopiedPart,
  ): Promise<PartReceipt> {
    const { number, sizeBytes } = part;
    const tag = blockNameOf(upload.id, { number });
    await this.#fetchBlock(ctx, source, upload.key, { name: tag, ...part });
    return { number, sizeBytes, tag };
  }

  complete(
    ctx: CallContext,
    upload: Upload,
    parts: readonly PartReceipt[],
    options: CompleteOptions,
  ): Promise<WriteResult> {
    return this.#parts.blocks.complete(ctx, upload, parts, options);
  }

  async #copyInOneBlock(ctx: CallContext, source: CopySource, key: string): Promise<CopyResult> {
    const name = blockNameOf(newUploadId(), { number: 1 });
    await this.#fetchBlock(ctx, source, key, { name, number: 1, offset: 0, sizeBytes: source.sizeBytes });
    return await this.#parts.blocks.commit(ctx, 'copy from its address', key, [name]);
  }

  async #fetchBlock(
    ctx: CallContext,
    source: CopySource,
    key: string,
    { name, number, offset, sizeBytes }: CopiedPart & { readonly name: string },
  ): Promise<void> {
    await this.#fetch(ctx, source, {
      method: 'PUT',
      operation: `copy part ${number} from its address of`,
      key,
      path: pathOf(key),
      query: [
        ['comp', 'block'],
        ['blockid', name],
      ],
      headers: [['x-ms-source-range', `bytes=${offset}-${offset + sizeBytes - 1}`]],
    });
  }

  async #fetch(ctx: CallContext, source: CopySource, request: Fetch): Promise<HttpResponse> {
    if ('bucket' in source) throw new Error('Azure copies from addresses alone');
    const address = await source.addresses.addressOf(ctx, source.key);
    const { url, authorization } = address;
    try {
      return await this.#client.send(ctx, {
        ...request,
        headers: [
          ...request.headers,
          ['x-ms-copy-source', url],
          ['x-ms-source-if-match', source.version],
          ...(authorization === undefined
            ? []
            : [['x-ms-copy-source-authorization', authorization] as const]),
          ...encryptionFields(this.#spec),
        ],
        secrets: secretsIn(address),
        headTimeoutMs: COMPLETE_TIMEOUT_MS,
      });
    } catch (error) {
      throw asRefusalOfCopy(error);
    }
  }
}

/**
 * Whatever the service minds in a copy, it may mind in the source: what is wrong with the target itself shows when the
 * object is streamed, which is what follows.
 */
function asRefusalOfCopy(error: unknown): unknown {
  if (!isStorageError(error) || error.details.isTransient || error.kind === 'precondition') return error;
  const details = { ...error.details, kind: 'unsupported', scope: 'object' } as const;
  return new StorageError(error.message, details, { cause: error, hint: error.hint });
}

/** Whole and in parts, and not encoded: whoever refuses may repeat any of it. */
function secretsIn({ url, authorization = '' }: CopyAddress): readonly string[] {
  const { search, searchParams } = new URL(url);
  const values = SIGNED.map((name) => searchParams.get(name) ?? '');
  const token = authorization.slice(authorization.indexOf(' ') + 1);
  return [url, search.slice(1), ...values, token].filter((secret) => secret !== '');
}

function pathOf(key: string): string {
  return `/${encodePath(key)}`;
}
