/**
 * Multipart uploads of the XML API (https://cloud.google.com/storage/docs/multipart-uploads). Parts are bound one by
 * one; Complete takes no checksum and no precondition, so the object is looked at once it is there: its size, and the
 * CRC-32C that the service keeps of the whole, must be what the parts come to.
 */
import { combineCrc32c } from '../../core/crc32c.ts';
import { type ErrorKind, isStorageError, StorageError } from '../../core/errors.ts';
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
import type { Fields, ServiceClient } from '../http/service-client.ts';
import { allParts, allUploads, sensible, uploadIdIn } from '../http/upload-listing.ts';
import { checkDocument, escapeXml, textOf } from '../http/xml.ts';
import type { GcsSpec } from '../spec.ts';
import { errorOfGcs } from './gcs-errors.ts';
import { hashesOf, hashHeader } from './gcs-hash.ts';
import { checkGcsKey } from './gcs-keys.ts';
import { type GcsObject, lookAt, pathOf, removeWrong } from './gcs-object.ts';
import { demandSame, gcsObjectHeaders } from './gcs-write.ts';

/** Putting a large object together may take minutes. */
const COMPLETE_TIMEOUT_MS = 10 * 60_000;

export class GcsMultipart implements MultipartFacet {
  // https://cloud.google.com/storage/quotas#requests
  readonly partBytesMin = 5 * 1024 ** 2;
  readonly partBytesMax = 5 * 1024 ** 3;
  readonly partsMax = 10_000;
  /** https://cloud.google.com/storage/quotas#objects */
  readonly objectBytesMax = 5 * 1024 ** 4;
  /** The driver makes its own. */
  readonly partChecksum = 'none';
  readonly #client: ServiceClient<unknown>;
  readonly #headers: Fields;
  readonly #binding: Binding | undefined;

  constructor(client: ServiceClient<unknown>, spec: GcsSpec, binding: Binding | undefined) {
    this.#client = client;
    this.#headers = gcsObjectHeaders(spec);
    this.#binding = binding;
  }

  async begin(ctx: CallContext, key: string): Promise<Upload> {
    const operation = 'begin the upload of';
    checkGcsKey(this.#client.name, operation, key);
    const { body } = await this.#client.send(ctx, {
      method: 'POST',
      operation,
      key,
      path: pathOf(key),
      query: [['uploads', '']],
      headers: this.#headers,
    });
    return { key, id: uploadIdIn(this.#client.call(operation, key), body) };
  }

  async putPart(ctx: CallContext, upload: Upload, part: PartInput): Promise<PartReceipt> {
    const operation = `write part ${part.number} of`;
    this.#checkUpload(operation, upload);
    const { body, number } = part;
    const sent = await hashesOf(ctx, body, this.#binding);
    const response = await this.#client.send(ctx, {
      method: 'PUT',
      operation,
      key: upload.key,
      path: pathOf(upload.key),
      query: [
        ['partNumber', String(number)],
        ['uploadId', upload.id],
      ],
      headers: hashHeader(sent),
      body: body.bytes ?? body.open(),
      bodyBytes: body.sizeBytes,
    });
    const call = this.#client.call(operation, upload.key);
    const tag = response.headers.get('etag');
    if (tag === undefined) throw malformed(call, 'no ETag came');
    demandSame(call, sent, response);
    const sum = sent.crc32c === undefined ? {} : { crc32c: sent.crc32c };
    return { number, sizeBytes: body.sizeBytes, tag, ...sum };
  }

  async complete(
    ctx: CallContext,
    upload: Upload,
    parts: readonly PartReceipt[],
    { sizeBytes }: CompleteOptions,
  ): Promise<WriteResult> {
    const operation = 'complete the upload of';
    this.#checkUpload(operation, upload);
    const partsBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
    if (partsBytes !== sizeBytes) {
      const why = `its parts have ${partsBytes} bytes, the object ${sizeBytes}`;
      throw this.#refusal('unexpected', operation, upload, why);
    }
    const crc32c = crc32cOf(parts);
    const isIt = (found: GcsObject): boolean =>
      found.sizeBytes === sizeBytes && (crc32c === undefined || found.crc32c === crc32c);
    let made: string | undefined;
    try {
      made = await this.#complete(ctx, upload, parts);
    } catch (error) {
      // The answer may have been lost; asked again, the service knows of no such upload.
      if (!isStorageError(error, 'not-found') || crc32c === undefined) throw error;
      const found = await lookAt(this.#client, ctx, upload.key).catch(() => undefined);
      if (found && isIt(found)) return { version: found.version };
      throw error;
    }
    const found = await lookAt(this.#client, ctx, upload.key);
    if (isIt(found)) return { version: found.version };
    // Somebody else may have replaced it meanwhile, and has an ETag of their own.
    if (made !== undefined && made === found.etag) await removeWrong(this.#client, upload.key, found.version);
    throw malformed(
      this.#client.call(operation, upload.key),
      'what was put together is not what its parts are',
    );
  }

  /** @returns the ETag of what was put together. */
  async #complete(
    ctx: CallContext,
    upload: Upload,
    parts: readonly PartReceipt[],
  ): Promise<string | undefined> {
    const operation = 'complete the upload of';
    const body = Buffer.from(completeXml(parts));
    const response = await this.#client.send(ctx, {
      method: 'POST',
      operation,
      key: upload.key,
      path: pathOf(upload.key),
      query: [['uploadId', upload.id]],
      headers: [['content-type', 'application/xml']],
      body,
      bodyBytes: body.length,
      headTimeoutMs: COMPLETE_TIMEOUT_MS,
    });
    const call = this.#client.call(operation, upload.key);
    const xml = response.body.toString('utf8');
    // A 200 may have been sent before the work was done; the code in the body decides, not the status.
    if (/<Error[\s>]/.test(xml)) throw errorOfGcs(call, { ...response, status: 500 });
    sensible(call, () => checkDocument(xml, 'CompleteMultipartUploadResult', 'a result'));
    return textOf(xml, 'ETag');
  }

  async abort(ctx: CallContext, upload: Upload): Promise<void> {
    // Nothing was begun, and the request would be one to remove the object.
    if (upload.id === '') return;
    await this.#client.send(ctx, {
      method: 'DELETE',
      operation: 'abort the upload of',
      key: upload.key,
      path: pathOf(upload.key),
      query: [['uploadId', upload.id]],
      accepts: [404],
      expects: 204,
    });
  }

  async listParts(ctx: CallContext, upload: Upload): Promise<readonly PartReceipt[]> {
    const operation = 'list parts of';
    this.#checkUpload(operation, upload);
    const { key } = upload;
    return allParts(this.#client.call(operation, key), upload.id, async (query) => {
      const request = { method: 'GET', operation, key, path: pathOf(key), query } as const;
      return (await this.#client.send(ctx, request)).body;
    });
  }

  async listUploads(
    ctx: CallContext,
    prefix: string,
    max = Number.POSITIVE_INFINITY,
  ): Promise<readonly Upload[]> {
    const operation = 'list uploads in';
    return allUploads(this.#client.call(operation), { prefix, max }, async (query) => {
      const request = { method: 'GET', operation, path: '', query } as const;
      return (await this.#client.send(ctx, request)).body;
    });
  }

  /** A request with an empty upload id would be one on the object itself. */
  #checkUpload(operation: string, upload: Upload): void {
    if (upload.id === '') throw this.#refusal('not-found', operation, upload, 'the upload has no id');
  }

  #refusal(kind: ErrorKind, operation: string, { key }: Upload, why: string): StorageError {
    const { backend } = this.#client.call(operation, key);
    return new StorageError(`Cannot ${operation} ${subject({ backend, operation, key })}: ${why}`, {
      kind,
      backend,
      operation,
      key,
      isTransient: false,
      scope: 'object',
    });
  }
}

/** Of the whole; undefined where one of the parts was sent without. */
function crc32cOf(parts: readonly PartReceipt[]): number | undefined {
  let whole = 0;
  for (const { crc32c, sizeBytes } of parts) {
    if (crc32c === undefined) return undefined;
    whole = combineCrc32c(whole, crc32c, sizeBytes);
  }
  return whole;
}

function completeXml(parts: readonly PartReceipt[]): string {
  const lines = parts.map(
    ({ number, tag }) => `<Part><PartNumber>${number}</PartNumber><ETag>${escapeXml(tag)}</ETag></Part>`,
  );
  return `<CompleteMultipartUpload>${lines.join('')}</CompleteMultipartUpload>`;
}
