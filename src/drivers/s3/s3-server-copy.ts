/**
 * Copies inside the service (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html, API_UploadPartCopy.html).
 * Both may answer 200 long before they are done, send white space meanwhile, and fail in the body after all.
 */
import type { HttpResponse } from '../../transport/http-types.ts';
import { encodePath } from '../../transport/sigv4.ts';
import type {
  Binding,
  CallContext,
  CompleteOptions,
  CopiedPart,
  CopyResult,
  CopySource,
  KeptObject,
  PartReceipt,
  ServerCopyFacet,
  Upload,
  WriteResult,
} from '../driver.ts';
import { type HttpCall, malformed } from '../http/call.ts';
import { md5OfETag } from '../http/etag.ts';
import { checkDocument, onlyTextOf, utf8Of } from '../http/xml.ts';
import type { S3Spec } from '../spec.ts';
import { COMPLETE_TIMEOUT_MS, type S3Client } from './s3-client.ts';
import { errorOfResponse } from './s3-errors.ts';
import { checkKey } from './s3-keys.ts';
import { S3Multipart } from './s3-multipart.ts';
import { objectHeaders } from './s3-write.ts';

/** AWS takes no more in one copy, be it an object or a part. */
const COPY_BYTES_MAX = 5 * 1024 ** 3;

type Headers = [string, string][];

export class S3ServerCopy implements ServerCopyFacet {
  readonly copiesFrom = 'bucket';
  readonly copyBytesMax = COPY_BYTES_MAX;
  readonly #client: S3Client;
  readonly #spec: S3Spec;
  readonly #computes: boolean;
  /** Copied parts bring no checksum along, so theirs are uploads without any. */
  readonly #plain: S3Multipart;

  constructor(client: S3Client, spec: S3Spec, binding: Binding) {
    this.#client = client;
    this.#spec = spec;
    this.#computes = binding.computesCopySha256 === true;
    this.#plain = new S3Multipart(client, spec, { ...binding, partCrc32: false, objectCrc32: false });
  }

  async look(ctx: CallContext, key: string): Promise<KeptObject> {
    const call = { backend: this.#client.name, operation: 'stat', key };
    checkKey(call.backend, call.operation, key);
    const asked: Headers = [['x-amz-checksum-mode', 'ENABLED']];
    const { headers } = await this.#client.send(ctx, { ...call, method: 'HEAD', headers: asked });
    const length = headers.get('content-length') ?? '';
    if (!/^\d{1,15}$/.test(length)) throw malformed(call, 'no size came');
    const version = headers.get('etag');
    const md5 = md5OfETag(version);
    const kept = headers.get('x-amz-checksum-sha256');
    const sha256 = wholeSha256(kept, headers.get('x-amz-checksum-type'));
    return {
      key,
      sizeBytes: Number(length),
      ...(version === undefined ? {} : { version }),
      ...(md5 === undefined ? {} : { md5 }),
      hasSha256: kept !== undefined,
      ...(sha256 === undefined ? {} : { sha256 }),
    };
  }

  async copy(ctx: CallContext, source: CopySource, key: string): Promise<CopyResult> {
    const call = { backend: this.#client.name, operation: 'copy within the service', key };
    checkKey(call.backend, call.operation, key);
    const headers: Headers = [
      ...(objectHeaders(this.#spec) as Headers),
      ...sourceHeaders(source),
      // Attributes come from the target's configuration; and to copy tags would take a permission of its own.
      ['x-amz-metadata-directive', 'REPLACE'],
      ['x-amz-tagging-directive', 'REPLACE'],
    ];
    if (this.#computes) headers.push(['x-amz-checksum-algorithm', 'SHA256']);
    const xml = await this.#send(ctx, call, headers, 'CopyObjectResult', []);
    const version = this.#parse(call, () => onlyTextOf(xml, 'ETag'));
    if (!version) throw malformed(call, 'no ETag came');
    const sha256 = this.#parse(call, () =>
      wholeSha256(onlyTextOf(xml, 'ChecksumSHA256'), onlyTextOf(xml, 'ChecksumType')),
    );
    return { version, ...(sha256 === undefined ? {} : { sha256 }) };
  }

  begin(ctx: CallContext, key: string): Promise<Upload> {
    return this.#plain.begin(ctx, key);
  }

  async copyPart(
    ctx: CallContext,
    upload: Upload,
    source: CopySource,
    { number, offset, sizeBytes }: CopiedPart,
  ): Promise<PartReceipt> {
    const operation = `copy part ${number} within the service of`;
    const call = { backend: this.#client.name, operation, key: upload.key };
    if (upload.id === '') throw new Error('An upload without an id takes no parts');
    const range: Headers = [['x-amz-copy-source-range', `bytes=${offset}-${offset + sizeBytes - 1}`]];
    const query: Headers = [
      ['partNumber', String(number)],
      ['uploadId', upload.id],
    ];
    const headers = [...sourceHeaders(source), ...range];
    const xml = await this.#send(ctx, call, headers, 'CopyPartResult', query);
    const tag = this.#parse(call, () => onlyTextOf(xml, 'ETag'));
    if (!tag) throw malformed(call, 'no ETag came');
    return { number, sizeBytes, tag };
  }

  complete(
    ctx: CallContext,
    upload: Upload,
    parts: readonly PartReceipt[],
    { sizeBytes }: CompleteOptions,
  ): Promise<WriteResult> {
    return this.#plain.complete(ctx, upload, parts, { sizeBytes });
  }

  async #send(
    ctx: CallContext,
    call: HttpCall & { readonly key: string },
    headers: Headers,
    root: string,
    query: Headers,
  ): Promise<string> {
    const { operation, key } = call;
    const response = await this.#client.send(ctx, {
      method: 'PUT',
      operation,
      key,
      query,
      headers,
      headTimeoutMs: COMPLETE_TIMEOUT_MS,
    });
    return this.#parse(call, () => this.#documentIn(response, call, root));
  }

  #documentIn(response: HttpResponse, call: HttpCall, root: string): string {
    const xml = utf8Of(response.body);
    // The code decides, as the status was sent before anything was done.
    if (/<Error[\s>]/.test(xml)) {
      throw errorOfResponse({ ...call, secrets: this.#client.secrets }, { ...response, status: 500 });
    }
    checkDocument(xml, root, 'a result');
    return xml;
  }

  #parse<T>(call: HttpCall, parse: () => T): T {
    try {
      return parse();
    } catch (error) {
      throw error instanceof RangeError ? malformed(call, error.message) : error;
    }
  }
}

function sourceHeaders(source: CopySource): Headers {
  if (!('bucket' in source)) throw new Error('S3 copies from its own buckets alone');
  return [
    ['x-amz-copy-source', `/${encodePath(source.bucket)}/${encodePath(source.key)}`],
    ['x-amz-copy-source-if-match', source.version],
  ];
}

/** Hex of the 32 bytes; one that was made of the checksums of parts is none of the object. */
function wholeSha256(base64: string | undefined, type: string | undefined): string | undefined {
  if (base64 === undefined || base64.includes('-') || (type ?? 'FULL_OBJECT') !== 'FULL_OBJECT') {
    return undefined;
  }
  const bytes = Buffer.from(base64, 'base64');
  return bytes.length === 32 ? bytes.toString('hex') : undefined;
}
