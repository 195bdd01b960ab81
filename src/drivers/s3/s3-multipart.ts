/** Multipart uploads (https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html). */
import { hash } from 'node:crypto';
import { isStorageError, StorageError } from '../../core/errors.ts';
import { UNSIGNED_PAYLOAD } from '../../transport/sigv4.ts';
import type {
  Binding,
  CallContext,
  CompleteOptions,
  MultipartFacet,
  PartInput,
  PartReceipt,
  Upload,
  WriteResult,
} from '../driver.ts';
import { malformed, subject } from '../http/call.ts';
import { allParts, allUploads, sensible, uploadIdIn } from '../http/upload-listing.ts';
import { checkDocument, escapeXml, textOf } from '../http/xml.ts';
import type { S3Spec } from '../spec.ts';
import { COMPLETE_TIMEOUT_MS, type S3Client } from './s3-client.ts';
import { completedVersion, crc32Base64 } from './s3-completed.ts';
import { errorOfResponse } from './s3-errors.ts';
import { checkKey } from './s3-keys.ts';
import { demandRemoval } from './s3-removal.ts';
import { bodyHeaders, objectHeaders } from './s3-write.ts';

export class S3Multipart implements MultipartFacet {
  readonly partBytesMin = 5 * 1024 ** 2;
  readonly partBytesMax = 5 * 1024 ** 3;
  readonly partsMax = 10_000;
  readonly partChecksum: 'sha256' | 'crc32';
  readonly #client: S3Client;
  readonly #spec: S3Spec;
  readonly #binding: Binding;

  constructor(client: S3Client, spec: S3Spec, binding: Binding) {
    this.#client = client;
    this.#spec = spec;
    this.#binding = binding;
    this.partChecksum = binding.partCrc32 && binding.objectCrc32 ? 'crc32' : 'sha256';
  }

  async begin(ctx: CallContext, key: string): Promise<Upload> {
    checkKey(this.#client.name, 'begin the upload of', key);
    const checksum: [string, string][] =
      this.partChecksum === 'crc32'
        ? [
            ['x-amz-checksum-algorithm', 'CRC32'],
            ['x-amz-checksum-type', 'FULL_OBJECT'],
          ]
        : [];
    const response = await this.#client.send(ctx, {
      method: 'POST',
      operation: 'begin the upload of',
      key,
      query: [['uploads', '']],
      headers: [...objectHeaders(this.#spec), ...checksum],
    });
    const call = { backend: this.#client.name, operation: 'begin the upload of', key };
    return { key, id: uploadIdIn(call, response.body) };
  }

  async putPart(ctx: CallContext, upload: Upload, part: PartInput): Promise<PartReceipt> {
    this.#checkUpload(`write part ${part.number} of`, upload);
    ctx.signal.throwIfAborted();
    const { body } = part;
    const isCrc = this.partChecksum === 'crc32' && part.crc32 !== undefined;
    const sent = isCrc
      ? { payloadHash: UNSIGNED_PAYLOAD, headers: crc32Headers(part.crc32 ?? 0) }
      : await this.#signedHeaders(ctx, part);
    const response = await this.#client.send(ctx, {
      method: 'PUT',
      operation: `write part ${part.number} of`,
      key: upload.key,
      query: [
        ['partNumber', String(part.number)],
        ['uploadId', upload.id],
      ],
      headers: sent.headers,
      payloadHash: sent.payloadHash,
      body: body.bytes ?? body.open(),
      bodyBytes: body.sizeBytes,
    });
    const tag = response.headers.get('etag');
    const call = { backend: this.#client.name, operation: `write part ${part.number} of`, key: upload.key };
    if (tag === undefined) throw malformed(call, 'no ETag came');
    return {
      number: part.number,
      sizeBytes: body.sizeBytes,
      tag,
      ...(part.crc32 === undefined ? {} : { crc32: part.crc32 }),
    };
  }

  async complete(
    ctx: CallContext,
    upload: Upload,
    parts: readonly PartReceipt[],
    options: CompleteOptions,
  ): Promise<WriteResult> {
    this.#checkUpload('complete the upload of', upload);
    this.#checkCover(upload, parts, options.sizeBytes);
    try {
      return await this.#complete(ctx, upload, parts, options);
    } catch (error) {
      if (!isOfGoneUpload(error)) throw error;
      const expected = { ...options, key: upload.key, parts };
      const version = await completedVersion(this.#client, ctx, expected).catch(() => undefined);
      if (version !== undefined) return { version };
      throw isStorageError(error, 'not-found') ? error : await this.#whyGone(ctx, upload, error);
    }
  }

  /** Ceph tells of an upload that is gone by its list of parts only. */
  async #whyGone(ctx: CallContext, upload: Upload, error: unknown): Promise<unknown> {
    const listed = await this.listParts(ctx, upload).catch((reason: unknown) => reason);
    return isStorageError(listed, 'not-found') ? listed : error;
  }

  async #complete(
    ctx: CallContext,
    upload: Upload,
    parts: readonly PartReceipt[],
    options: CompleteOptions,
  ): Promise<WriteResult> {
    const isCrc = this.partChecksum === 'crc32' && options.crc32 !== undefined;
    const body = Buffer.from(completeXml(parts, isCrc));
    const headers: [string, string][] = [['content-type', 'application/xml']];
    if (isCrc) headers.push(...crc32Headers(options.crc32 ?? 0), ['x-amz-checksum-type', 'FULL_OBJECT']);
    const response = await this.#client.send(ctx, {
      method: 'POST',
      operation: 'complete the upload of',
      key: upload.key,
      query: [['uploadId', upload.id]],
      headers,
      payloadHash: hash('sha256', body, 'hex'),
      body,
      bodyBytes: body.length,
      headTimeoutMs: COMPLETE_TIMEOUT_MS,
    });
    const xml = response.body.toString('utf8');
    const call = { backend: this.#client.name, operation: 'complete the upload of', key: upload.key };
    // Complete answers 200 before it is done and may then still fail in the body. The code there decides, so the
    // status that a code usually comes with does not matter.
    if (/<Error[\s>]/.test(xml)) {
      const { secrets } = this.#client;
      throw errorOfResponse({ ...call, secrets }, { ...response, status: 500 });
    }
    sensible(call, () => checkDocument(xml, 'CompleteMultipartUploadResult', 'a result'));
    const version = textOf(xml, 'ETag');
    return version ? { version } : {};
  }

  async abort(ctx: CallContext, upload: Upload): Promise<void> {
    // Nothing was begun, and the request would be one to remove the object.
    if (upload.id === '') return;
    const operation = 'abort the upload of';
    const { status, headers } = await this.#client.send(ctx, {
      method: 'DELETE',
      operation,
      key: upload.key,
      query: [['uploadId', upload.id]],
      accepts: [404],
    });
    const call = { backend: this.#client.name, operation, key: upload.key };
    demandRemoval(call, status, headers.has('x-amz-request-id'));
  }

  async listParts(ctx: CallContext, upload: Upload): Promise<readonly PartReceipt[]> {
    const operation = 'list parts of';
    this.#checkUpload(operation, upload);
    const { key } = upload;
    return allParts({ backend: this.#client.name, operation, key }, upload.id, async (query) => {
      const { body } = await this.#client.send(ctx, { method: 'GET', operation, key, query });
      return body;
    });
  }

  async listUploads(
    ctx: CallContext,
    prefix: string,
    max = Number.POSITIVE_INFINITY,
  ): Promise<readonly Upload[]> {
    const operation = 'list uploads in';
    return allUploads({ backend: this.#client.name, operation }, { prefix, max }, async (query) => {
      const { body } = await this.#client.send(ctx, { method: 'GET', operation, query });
      return body;
    });
  }

  /** Servers take a request with an empty upload id for one on the object itself, which it then would replace. */
  #checkUpload(operation: string, upload: Upload): void {
    if (upload.id !== '') return;
    const call = { backend: this.#client.name, operation, key: upload.key };
    throw new StorageError(`Cannot ${operation} ${subject(call)}: the upload has no id`, {
      ...call,
      kind: 'not-found',
      isTransient: false,
      scope: 'object',
    });
  }

  /** Most services make an object of whatever parts are named, and forget the others. */
  #checkCover({ key }: Upload, parts: readonly PartReceipt[], sizeBytes: number): void {
    const sum = parts.reduce((bytes, part) => bytes + part.sizeBytes, 0);
    if (sum === sizeBytes && parts.every(({ number }, index) => number === index + 1)) return;
    const call = { backend: this.#client.name, operation: 'complete the upload of', key };
    const what = `its ${parts.length} parts have ${sum} bytes and do not cover its ${sizeBytes}`;
    throw new StorageError(`Cannot ${call.operation} ${subject(call)}: ${what}`, {
      ...call,
      kind: 'unexpected',
      isTransient: false,
      scope: 'object',
    });
  }

  async #signedHeaders(ctx: CallContext, part: PartInput) {
    const sent = await bodyHeaders(ctx, part.body, part.sha256, { ...this.#binding, storesSha256: false });
    return { payloadHash: sent.payloadHash, headers: [...sent.headers] };
  }
}

/** Ceph answers `InternalError`, and says it is being completed, long after it was. */
function isOfGoneUpload(error: unknown): boolean {
  if (isStorageError(error, 'not-found')) return true;
  return isStorageError(error) && error.details.backendCode === 'InternalError';
}

function crc32Headers(crc32: number): [string, string][] {
  // Ceph 20 looks at the checksum only when the algorithm is named as well.
  return [
    ['x-amz-checksum-crc32', crc32Base64(crc32)],
    ['x-amz-sdk-checksum-algorithm', 'CRC32'],
  ];
}

function completeXml(parts: readonly PartReceipt[], isCrc: boolean): string {
  const lines = parts.map((part) => {
    const crc32 =
      isCrc && part.crc32 !== undefined ? `<ChecksumCRC32>${crc32Base64(part.crc32)}</ChecksumCRC32>` : '';
    return `<Part><PartNumber>${part.number}</PartNumber><ETag>${escapeXml(part.tag)}</ETag>${crc32}</Part>`;
  });
  return `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${lines.join('')}</CompleteMultipartUpload>`;
}
