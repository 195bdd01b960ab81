/** Uploads in parts of any size, in any order, with every check a server can make. */
import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type {
  CallContext,
  CompleteOptions,
  MultipartFacet,
  PartInput,
  PartReceipt,
  Upload,
  WriteResult,
} from '../driver.ts';
import { enter, type MemoryCall, refused, takeBody } from './memory-call.ts';
import type { MemoryStore, StoredPart, StoredUpload } from './memory-store.ts';

export class MemoryMultipart implements MultipartFacet {
  readonly partBytesMin = 1;
  readonly partBytesMax = Number.MAX_SAFE_INTEGER;
  readonly partsMax = 1_000_000;
  readonly partChecksum = 'none';
  readonly #backend: string;
  readonly #store: MemoryStore;

  constructor(backend: string, store: MemoryStore) {
    this.#backend = backend;
    this.#store = store;
  }

  async begin(ctx: CallContext, key: string): Promise<Upload> {
    enter(ctx, this.#call('begin', key));
    const id = this.#store.newId();
    this.#store.uploads.set(id, { key, parts: new Map() });
    return { key, id };
  }

  async putPart(ctx: CallContext, upload: Upload, part: PartInput): Promise<PartReceipt> {
    const call = this.#call('part', upload.key);
    enter(ctx, call);
    const open = this.#find(call, upload);
    const bytes = await takeBody(ctx, call, part.body, part.sha256);
    const sum = crc32(bytes);
    if (part.crc32 !== undefined && part.crc32 !== sum) {
      throw refused(call, 'corrupt', 'the part does not have the CRC-32 that was sent with it');
    }
    const md5 = hash('md5', bytes, 'hex');
    const receipt = { number: part.number, sizeBytes: bytes.byteLength, tag: md5, md5, crc32: sum };
    open.parts.set(part.number, { bytes, receipt });
    return receipt;
  }

  async complete(
    ctx: CallContext,
    upload: Upload,
    parts: readonly PartReceipt[],
    options: CompleteOptions,
  ): Promise<WriteResult> {
    const call = this.#call('complete', upload.key);
    enter(ctx, call);
    const open = this.#find(call, upload);
    const bytes = Buffer.concat(parts.map((receipt) => partOf(call, open, receipt).bytes));
    if (bytes.byteLength !== options.sizeBytes) {
      throw refused(call, 'corrupt', `the parts have ${bytes.byteLength} of ${options.sizeBytes} bytes`);
    }
    if (options.crc32 !== undefined && options.crc32 !== crc32(bytes)) {
      throw refused(call, 'corrupt', 'the object does not have the CRC-32 that was sent with it');
    }
    this.#store.uploads.delete(upload.id);
    return { version: this.#store.put(upload.key, bytes, options.attributes).version };
  }

  async abort(ctx: CallContext, upload: Upload): Promise<void> {
    enter(ctx, this.#call('abort', upload.key));
    this.#store.uploads.delete(upload.id);
  }

  async listParts(ctx: CallContext, upload: Upload): Promise<readonly PartReceipt[]> {
    const call = this.#call('list', upload.key);
    enter(ctx, call);
    const { parts } = this.#find(call, upload);
    return [...parts.values()].map((part) => part.receipt).sort((left, right) => left.number - right.number);
  }

  async listUploads(ctx: CallContext, prefix: string, max?: number): Promise<readonly Upload[]> {
    ctx.signal.throwIfAborted();
    return [...this.#store.uploads]
      .map(([id, upload]) => ({ id, key: upload.key }))
      .filter((upload) => upload.key.startsWith(prefix))
      .slice(0, max);
  }

  #call(operation: string, key: string): MemoryCall {
    return { backend: this.#backend, operation, key };
  }

  #find(call: MemoryCall, upload: Upload): StoredUpload {
    const open = this.#store.uploads.get(upload.id);
    if (open?.key === upload.key) return open;
    throw refused(call, 'not-found', 'there is no such upload; it was completed or aborted');
  }
}

function partOf(call: MemoryCall, open: StoredUpload, receipt: PartReceipt): StoredPart {
  const part = open.parts.get(receipt.number);
  if (part !== undefined && part.receipt.tag === receipt.tag) return part;
  throw refused(call, 'corrupt', `part ${receipt.number} was never received as its receipt says`);
}
