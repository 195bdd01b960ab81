/**
 * Uploads in parts: Put Block and Put Block List. Azure knows no upload, only blocks that wait at a blob's name until a
 * list of them makes it, or a week is over. See docs/decisions/0008-azure-uploads-have-marks.md for what an upload is.
 */
import { hash } from 'node:crypto';
import { type ErrorKind, isStorageError, StorageError } from '../../core/errors.ts';
import { encodePath } from '../../transport/sigv4.ts';
import type {
  CallContext,
  CompleteOptions,
  ListPage,
  ListQuery,
  MultipartFacet,
  PartInput,
  PartReceipt,
  Upload,
  WriteResult,
} from '../driver.ts';
import { malformed } from '../http/call.ts';
import type { Fields, ServiceClient } from '../http/service-client.ts';
import { checkDocument, eachElement, onlyTextOf, utf8Of } from '../http/xml.ts';
import type { AzureSpec } from '../spec.ts';
import { blockNameIn, blockNameOf, isUploadId, newUploadId, type UploadMarks } from './azure-block-ids.ts';
import { checkAzureKey } from './azure-keys.ts';
import {
  type AzureSum,
  encryptionFields,
  md5Field,
  sumFields,
  sumOf,
  visibleAttributes,
} from './azure-write.ts';

/** A list of 50,000 blocks is made into a blob in seconds, mostly. */
export const COMPLETE_TIMEOUT_MS = 10 * 60_000;
const KEY_BYTES_MAX = 4_096;

interface Container {
  /** Everything, marks included. */
  list(ctx: CallContext, query: ListQuery): AsyncIterable<ListPage>;
  readonly marks: UploadMarks;
  /** What blocks are bound by. */
  readonly sumName: keyof AzureSum | undefined;
}

export class AzureBlocks implements MultipartFacet {
  readonly partBytesMin = 1;
  readonly partBytesMax = 4_000 * 1024 ** 2;
  readonly partsMax = 50_000;
  readonly partChecksum = 'none';
  readonly #client: ServiceClient<unknown>;
  readonly #spec: AzureSpec;
  readonly #container: Container;
  /** Uploads that this driver began, or saw to be open. */
  readonly #open = new Map<string, string>();

  constructor(client: ServiceClient<unknown>, spec: AzureSpec, container: Container) {
    this.#client = client;
    this.#spec = spec;
    this.#container = container;
  }

  async begin(ctx: CallContext, key: string): Promise<Upload> {
    checkAzureKey(this.#client.name, 'begin the upload of', key);
    const id = newUploadId();
    const body = Buffer.from(key);
    await this.#client.send(ctx, {
      method: 'PUT',
      operation: 'begin the upload of',
      key,
      path: pathOf(this.#container.marks.of(id)),
      headers: [
        ['x-ms-blob-type', 'BlockBlob'],
        md5Field(hash('md5', body, 'hex')),
        ...encryptionFields(this.#spec),
      ],
      body,
      bodyBytes: body.length,
    });
    this.#open.set(id, key);
    return { key, id };
  }

  async putPart(ctx: CallContext, upload: Upload, part: PartInput): Promise<PartReceipt> {
    const operation = `write part ${part.number} of`;
    const { body, number } = part;
    if (this.#open.get(upload.id) !== upload.key) await this.#checkOpen(ctx, operation, upload);
    ctx.signal.throwIfAborted();
    const sum = await sumOf(ctx, body, this.#container.sumName);
    const name = blockNameOf(upload.id, { number, ...sum });
    await this.#client.send(ctx, {
      method: 'PUT',
      operation,
      key: upload.key,
      path: pathOf(upload.key),
      query: [
        ['comp', 'block'],
        ['blockid', name],
      ],
      headers: [...sumFields(sum), ...encryptionFields(this.#spec)],
      body: body.bytes ?? body.open(),
      bodyBytes: body.sizeBytes,
    });
    return { number, sizeBytes: body.sizeBytes, tag: name, ...sum };
  }

  async complete(
    ctx: CallContext,
    upload: Upload,
    parts: readonly PartReceipt[],
    { sizeBytes }: CompleteOptions,
  ): Promise<WriteResult> {
    const operation = 'complete the upload of';
    // Another process may have aborted it, and its blocks would still be there.
    await this.#checkOpen(ctx, operation, upload);
    this.#checkParts(operation, upload, parts, sizeBytes);
    const written = await this.commit(
      ctx,
      operation,
      upload.key,
      parts.map(({ tag }) => tag),
    );
    // The object stands, whatever becomes of its mark: one that stays is found by listing uploads.
    await this.#removeMark(ctx, upload).catch(() => undefined);
    return written;
  }

  /** Makes a blob of blocks that wait for it. */
  async commit(
    ctx: CallContext,
    operation: string,
    key: string,
    blocks: readonly string[],
  ): Promise<WriteResult> {
    const body = Buffer.from(blockList(blocks));
    const headers: Fields = [
      ...visibleAttributes(this.#spec),
      ...encryptionFields(this.#spec),
      ['content-type', 'application/xml'],
      md5Field(hash('md5', body, 'hex')),
    ];
    const response = await this.#client.send(ctx, {
      method: 'PUT',
      operation,
      key,
      path: pathOf(key),
      query: [['comp', 'blocklist']],
      headers,
      body,
      bodyBytes: body.length,
      headTimeoutMs: COMPLETE_TIMEOUT_MS,
    });
    const version = response.headers.get('etag');
    return version === undefined ? {} : { version };
  }

  async abort(ctx: CallContext, upload: Upload): Promise<void> {
    ctx.signal.throwIfAborted();
    if (isUploadId(upload.id)) await this.#removeMark(ctx, upload);
  }

  async listParts(ctx: CallContext, upload: Upload): Promise<readonly PartReceipt[]> {
    const operation = 'list parts of';
    await this.#checkOpen(ctx, operation, upload);
    const response = await this.#client.send(ctx, {
      method: 'GET',
      operation,
      key: upload.key,
      path: pathOf(upload.key),
      query: [
        ['comp', 'blocklist'],
        ['blocklisttype', 'uncommitted'],
      ],
      accepts: [404],
    });
    // There is no such blob before the first block.
    if (response.status === 404) return [];
    try {
      return partsIn(upload, utf8Of(response.body));
    } catch (error) {
      if (error instanceof RangeError)
        throw malformed(this.#client.call(operation, upload.key), error.message);
      throw error;
    }
  }

  async listUploads(
    ctx: CallContext,
    prefix: string,
    max = Number.POSITIVE_INFINITY,
  ): Promise<readonly Upload[]> {
    const { marks } = this.#container;
    const uploads: Upload[] = [];
    for await (const { objects } of this.#container.list(ctx, { prefix: marks.prefix })) {
      for (const { key: mark } of objects) {
        const id = marks.idIn(mark);
        const key = id === undefined ? undefined : await this.#keyOf(ctx, 'list uploads of', id);
        if (id === undefined || key === undefined || !key.startsWith(prefix)) continue;
        uploads.push({ key, id });
        if (uploads.length >= max) return uploads;
      }
    }
    return uploads;
  }

  async #checkOpen(ctx: CallContext, operation: string, upload: Upload): Promise<void> {
    ctx.signal.throwIfAborted();
    const key = isUploadId(upload.id) ? await this.#keyOf(ctx, operation, upload.id) : undefined;
    if (key === upload.key) {
      this.#open.set(upload.id, key);
      return;
    }
    this.#open.delete(upload.id);
    throw this.#refusal('not-found', operation, upload, 'there is no such upload');
  }

  /** A list of blocks makes the object of just these: nothing else would notice that one is missing. */
  #checkParts(operation: string, upload: Upload, parts: readonly PartReceipt[], sizeBytes: number): void {
    const sum = parts.reduce((bytes, part) => bytes + part.sizeBytes, 0);
    if (sum !== sizeBytes)
      throw this.#refusal('unexpected', operation, upload, `its parts have ${sum} bytes, not ${sizeBytes}`);
    for (const [index, { number, tag }] of parts.entries()) {
      if (number !== index + 1 || blockNameIn(upload.id, tag)?.number !== number)
        throw this.#refusal(
          'unexpected',
          operation,
          upload,
          `part ${index + 1} is missing, or of another upload`,
        );
    }
  }

  #refusal(kind: ErrorKind, operation: string, { key }: Upload, why: string): StorageError {
    const { name: backend } = this.#client;
    return new StorageError(`Cannot ${operation} "${key}" in ${backend}: ${why}`, {
      kind,
      backend,
      operation,
      key,
      isTransient: false,
      scope: 'object',
    });
  }

  /** The key that a mark holds; undefined where there is no such mark. */
  async #keyOf(ctx: CallContext, operation: string, id: string): Promise<string | undefined> {
    const into = new Uint8Array(KEY_BYTES_MAX);
    const mark = this.#container.marks.of(id);
    try {
      const { intoBytes } = await this.#client.send(ctx, {
        method: 'GET',
        operation,
        key: mark,
        path: pathOf(mark),
        into,
      });
      return Buffer.from(into.subarray(0, intoBytes)).toString('utf8');
    } catch (error) {
      if (isStorageError(error, 'not-found') && error.details.scope === 'object') return undefined;
      throw error;
    }
  }

  async #removeMark(ctx: CallContext, { id, key }: Upload): Promise<void> {
    this.#open.delete(id);
    await this.#client.send(ctx, {
      method: 'DELETE',
      operation: 'end the upload of',
      key,
      path: pathOf(this.#container.marks.of(id)),
      accepts: [404],
      expects: 202,
    });
  }
}

/** `Latest`: where the answer to a first attempt was lost, the blocks are those of the object already. */
function blockList(names: readonly string[]): string {
  const blocks = names.map((name) => `<Latest>${name}</Latest>`).join('');
  return `<?xml version="1.0" encoding="utf-8"?><BlockList>${blocks}</BlockList>`;
}

/** @throws RangeError */
function partsIn(upload: Upload, xml: string): readonly PartReceipt[] {
  checkDocument(xml, 'BlockList', 'the list of blocks');
  const parts = new Map<number, PartReceipt>();
  eachElement(xml, 'Block', (from, to) => {
    const block = xml.slice(from, to);
    const tag = onlyTextOf(block, 'Name') ?? '';
    const size = onlyTextOf(block, 'Size') ?? '';
    const name = blockNameIn(upload.id, tag);
    if (!/^\d+$/.test(size)) throw new RangeError('a block has no size');
    // A part that was sent twice has two blocks; each is whole, and says by its checksum what it holds.
    if (name) parts.set(name.number, { sizeBytes: Number(size), tag, ...name });
    return true;
  });
  return [...parts.values()].toSorted((left, right) => left.number - right.number);
}

function pathOf(name: string): string {
  return `/${encodePath(name)}`;
}
