/**
 * Objects that are made of parts: dynamic large objects, the only kind that the registry's driver writes, and whose
 * parts it removes with them (https://docs.openstack.org/swift/latest/overview_large_objects.html). A manifest names a
 * prefix, so an object is whatever a listing of that prefix holds: it is written only once the listing is seen to hold
 * exactly the parts that were sent.
 */
import { createHash, hash } from 'node:crypto';
import { type ErrorKind, isStorageError, StorageError } from '../../core/errors.ts';
import { pause } from '../../transport/pause.ts';
import { encodePath } from '../../transport/sigv4.ts';
import type {
  Body,
  CallContext,
  CompleteOptions,
  ListPage,
  ListQuery,
  MultipartFacet,
  ObjectInfo,
  PartInput,
  PartReceipt,
  Upload,
  WriteResult,
} from '../driver.ts';
import { malformed } from '../http/call.ts';
import type { ServiceClient } from '../http/service-client.ts';
import { untilAborted } from '../or-aborted.ts';
import { LISTING_LAG_MS_MAX } from './swift-manifests.ts';
import type { SegmentNames } from './swift-segments.ts';

const LAG_PAUSE_MS = 250;
const REMOVALS_AT_ONCE = 8;

interface Container {
  /** Everything, parts and marks included. */
  list(ctx: CallContext, query: ListQuery): AsyncIterable<ListPage>;
  checksMd5(): boolean;
}

export class SwiftLargeObjects implements MultipartFacet {
  readonly partBytesMin = 1;
  readonly partBytesMax = 5 * 1024 ** 3;
  /** Swift sets no limit; a listing of so many parts is a few pages. */
  readonly partsMax = 10_000;
  readonly partChecksum = 'none';
  readonly #client: ServiceClient<unknown>;
  readonly #names: SegmentNames;
  readonly #container: Container;

  /** Uploads that this driver began, or saw to be open. */
  readonly #open = new Map<string, string>();

  constructor(client: ServiceClient<unknown>, names: SegmentNames, container: Container) {
    this.#client = client;
    this.#names = names;
    this.#container = container;
  }

  async begin(ctx: CallContext, key: string): Promise<Upload> {
    const id = this.#names.newId(key);
    await this.#put(ctx, 'begin the upload of', this.#names.markerOf(id), Buffer.from(key), key);
    this.#open.set(id, key);
    return { key, id };
  }

  async putPart(ctx: CallContext, upload: Upload, part: PartInput): Promise<PartReceipt> {
    const operation = `write part ${part.number} of`;
    await this.#checkOpen(ctx, operation, upload);
    ctx.signal.throwIfAborted();
    const { body } = part;
    const headers: [string, string][] = [['content-type', 'application/octet-stream']];
    const md5 = this.#container.checksMd5() ? await md5Of(ctx, body) : undefined;
    if (md5 !== undefined) headers.push(['etag', md5]);
    const response = await this.#client.send(ctx, {
      method: 'PUT',
      operation,
      key: upload.key,
      path: pathOf(this.#names.partOf(upload.id, part.number)),
      headers,
      body: body.bytes ?? body.open(),
      bodyBytes: body.sizeBytes,
    });
    const tag = response.headers.get('etag');
    if (tag === undefined) throw malformed(this.#client.call(operation, upload.key), 'no ETag came');
    return { number: part.number, sizeBytes: body.sizeBytes, tag, md5: tag };
  }

  async complete(
    ctx: CallContext,
    upload: Upload,
    parts: readonly PartReceipt[],
    { sizeBytes }: CompleteOptions,
  ): Promise<WriteResult> {
    const operation = 'complete the upload of';
    await this.#checkOpen(ctx, operation, upload);
    const sum = parts.reduce((bytes, part) => bytes + part.sizeBytes, 0);
    if (sum !== sizeBytes)
      throw this.#refusal('unexpected', operation, upload, `its parts have ${sum} bytes, not ${sizeBytes}`);
    await this.#seesExactly(ctx, upload, parts);
    const replaced = await this.#partsOf(ctx, upload.key);
    const response = await this.#client.send(ctx, {
      method: 'PUT',
      operation,
      key: upload.key,
      path: pathOf(upload.key),
      headers: [
        ['content-type', 'application/octet-stream'],
        ['x-object-manifest', this.#names.manifestOf(upload.id)],
      ],
      body: new Uint8Array(0),
      bodyBytes: 0,
    });
    const version = await this.#stands(ctx, upload, sizeBytes);
    await this.#removeMarker(ctx, upload);
    if (replaced !== undefined && replaced !== this.#names.prefixOf(upload.id))
      await this.#removeAll(ctx, replaced);
    const etag = version ?? response.headers.get('etag');
    return etag === undefined ? {} : { version: etag };
  }

  async abort(ctx: CallContext, upload: Upload): Promise<void> {
    if (!this.#names.isId(upload.id)) return;
    // A run that died right behind its manifest left a marker of an upload that is complete.
    const isComplete = (await this.#partsOf(ctx, upload.key)) === this.#names.prefixOf(upload.id);
    if (!isComplete) await this.#removeAll(ctx, this.#names.prefixOf(upload.id));
    await this.#removeMarker(ctx, upload);
  }

  async listParts(ctx: CallContext, upload: Upload): Promise<readonly PartReceipt[]> {
    await this.#checkOpen(ctx, 'list parts of', upload);
    return this.#listed(ctx, upload);
  }

  async listUploads(
    ctx: CallContext,
    prefix: string,
    max = Number.POSITIVE_INFINITY,
  ): Promise<readonly Upload[]> {
    const uploads: Upload[] = [];
    for await (const { objects } of this.#container.list(ctx, { prefix: this.#names.markers })) {
      for (const { key: marker } of objects) {
        const id = this.#names.idOfMarker(marker);
        const key = id === undefined ? undefined : await this.#keyOf(ctx, marker);
        if (id === undefined || key === undefined || !key.startsWith(prefix)) continue;
        uploads.push({ key, id });
        if (uploads.length >= max) return uploads;
      }
    }
    return uploads;
  }

  /** An object and, where it is a large one whose parts lie in this container, its parts. */
  async remove(ctx: CallContext, key: string): Promise<void> {
    const parts = await this.#partsOf(ctx, key);
    await this.#delete(ctx, 'remove', key, key);
    if (parts !== undefined) await this.#removeAll(ctx, parts);
  }

  /** The parts as a listing has them, by number; names of others below the prefix are an error. */
  async #listed(ctx: CallContext, upload: Upload): Promise<readonly PartReceipt[]> {
    const prefix = this.#names.prefixOf(upload.id);
    const receipts: PartReceipt[] = [];
    for await (const { objects } of this.#container.list(ctx, { prefix })) {
      for (const object of objects) receipts.push(this.#receiptOf(upload, object));
    }
    return receipts;
  }

  #receiptOf(upload: Upload, { key: name, sizeBytes, md5 }: ObjectInfo): PartReceipt {
    const number = this.#names.numberIn(upload.id, name);
    if (number === undefined) {
      const call = this.#client.call('list parts of', upload.key);
      throw malformed(call, `there is "${name}" among its parts`);
    }
    return { number, sizeBytes, tag: md5 ?? '', ...(md5 === undefined ? {} : { md5 }) };
  }

  /** The object would be whatever is listed: nothing may be missing, and nothing more may be there. */
  async #seesExactly(ctx: CallContext, upload: Upload, parts: readonly PartReceipt[]): Promise<void> {
    const wanted = parts.map(describe).join();
    await this.#afterLag(
      ctx,
      async () => {
        const listed = await this.#listed(ctx, upload);
        if (listed.map(describe).join() === wanted) return true;
        return `the listing has ${listed.length} parts, or others than the ${parts.length} that were written`;
      },
      upload,
    );
  }

  /** @returns the version of the object that is there now. */
  async #stands(ctx: CallContext, upload: Upload, sizeBytes: number): Promise<string | undefined> {
    let version: string | undefined;
    await this.#afterLag(
      ctx,
      async () => {
        const { headers } = await this.#head(ctx, 'complete the upload of', upload.key);
        version = headers.get('etag');
        const bytes = headers.get('content-length');
        return bytes === String(sizeBytes) || `the object has ${bytes ?? 'no'} bytes instead of ${sizeBytes}`;
      },
      upload,
    );
    return version;
  }

  /** @param look true, or what is wrong as yet. */
  async #afterLag(ctx: CallContext, look: () => Promise<true | string>, upload: Upload): Promise<void> {
    const until = performance.now() + LISTING_LAG_MS_MAX;
    for (;;) {
      const seen = await look();
      if (seen === true) return;
      if (performance.now() >= until)
        throw malformed(this.#client.call('complete the upload of', upload.key), seen);
      await pause(LAG_PAUSE_MS, ctx.signal);
    }
  }

  /** Of a large object in this container: what the names of its parts begin with. */
  async #partsOf(ctx: CallContext, key: string): Promise<string | undefined> {
    try {
      const { headers } = await this.#head(ctx, 'stat', key);
      const manifest = headers.get('x-object-manifest');
      return manifest === undefined ? undefined : this.#names.partsIn(manifest);
    } catch (error) {
      if (isStorageError(error, 'not-found')) return undefined;
      throw error;
    }
  }

  /** Every part of an object that is being replaced or removed; a manifest that names everything removes nothing. */
  async #removeAll(ctx: CallContext, prefix: string): Promise<void> {
    if (!prefix.includes('segments/')) return;
    for await (const { objects } of this.#container.list(ctx, { prefix })) {
      const queue = objects.values();
      const removeQueue = async (): Promise<void> => {
        for (const { key } of queue) await this.#delete(ctx, 'remove a part from', key, key);
      };
      await Promise.all(Array.from({ length: REMOVALS_AT_ONCE }, removeQueue));
    }
  }

  async #checkOpen(ctx: CallContext, operation: string, upload: Upload): Promise<void> {
    if (this.#open.get(upload.id) === upload.key) return;
    if (this.#names.isId(upload.id)) {
      const key = await this.#keyOf(ctx, this.#names.markerOf(upload.id));
      if (key !== undefined) this.#open.set(upload.id, key);
      if (key === upload.key) return;
    }
    throw this.#refusal('not-found', operation, upload, 'there is no such upload');
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

  async #keyOf(ctx: CallContext, marker: string): Promise<string | undefined> {
    const into = new Uint8Array(1_100);
    try {
      const { intoBytes } = await this.#client.send(ctx, {
        method: 'GET',
        operation: 'read',
        key: marker,
        path: pathOf(marker),
        into,
      });
      return Buffer.from(into.subarray(0, intoBytes)).toString('utf8');
    } catch (error) {
      if (isStorageError(error, 'not-found')) return undefined;
      throw error;
    }
  }

  #removeMarker(ctx: CallContext, { id, key }: Upload): Promise<void> {
    this.#open.delete(id);
    return this.#delete(ctx, 'complete the upload of', this.#names.markerOf(id), key);
  }

  async #put(
    ctx: CallContext,
    operation: string,
    name: string,
    body: Uint8Array,
    key: string,
  ): Promise<void> {
    await this.#client.send(ctx, {
      method: 'PUT',
      operation,
      key,
      path: pathOf(name),
      headers: [['etag', hash('md5', body, 'hex')]],
      body,
      bodyBytes: body.length,
    });
  }

  #head(ctx: CallContext, operation: string, key: string) {
    return this.#client.send(ctx, { method: 'HEAD', operation, key, path: pathOf(key) });
  }

  async #delete(ctx: CallContext, operation: string, name: string, key: string): Promise<void> {
    await this.#client.send(ctx, {
      method: 'DELETE',
      operation,
      key,
      path: pathOf(name),
      accepts: [404],
      expects: 204,
    });
  }
}

function describe({ number, sizeBytes, md5, tag }: PartReceipt): string {
  return `${number} ${sizeBytes} ${md5 ?? tag}`;
}

function pathOf(name: string): string {
  return `/${encodePath(name)}`;
}

async function md5Of(ctx: CallContext, body: Body): Promise<string> {
  if (body.bytes) return hash('md5', body.bytes, 'hex');
  const hasher = createHash('md5');
  for await (const piece of untilAborted(body.open(), ctx.signal)) hasher.update(piece);
  return hasher.digest('hex');
}
