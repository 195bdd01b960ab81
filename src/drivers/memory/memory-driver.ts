/**
 * A backend in memory, for tests: every power of the port, and every check that a good server makes. Stores live as
 * long as the thread and are shared by name within it; threads do not see each other's.
 */
import { isStorageError } from '../../core/errors.ts';
import { bodyOfBytes } from '../body.ts';
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
  StreamUploadFacet,
  WriteOptions,
  WriteResult,
} from '../driver.ts';
import type { MemorySpec } from '../spec.ts';
import { storageName } from '../spec-name.ts';
import { enter, type MemoryCall, refused, takeBody } from './memory-call.ts';
import { listStore } from './memory-listing.ts';
import { MemoryMultipart } from './memory-multipart.ts';
import { type MemoryStore, type StoredObject, storeNamed } from './memory-store.ts';

export interface MemoryOptions {
  /** Objects and prefixes in one page of a listing; default 1,000. */
  readonly pageObjectsMax?: number;
}

export function openMemoryDriver(spec: MemorySpec, options: MemoryOptions = {}): StorageDriver {
  return new MemoryDriver(storageName(spec), storeNamed(spec.name), options.pageObjectsMax ?? 1_000);
}

class MemoryDriver implements StorageDriver {
  readonly kind = 'memory';
  readonly name: string;
  readonly facts: DriverFacts = {
    listOrder: 'bytes',
    md5MayBeOpaque: false,
    writeBytesMax: Number.MAX_SAFE_INTEGER,
    keepsAttributes: true,
    hasFolders: false,
  };
  readonly multipart: MultipartFacet;
  readonly streamUpload: StreamUploadFacet;
  readonly binding: BindingFacet;
  readonly #store: MemoryStore;
  readonly #pageObjectsMax: number;

  constructor(name: string, store: MemoryStore, pageObjectsMax: number) {
    this.name = name;
    this.#store = store;
    this.#pageObjectsMax = pageObjectsMax;
    this.multipart = new MemoryMultipart(name, store);
    this.streamUpload = { upload: (ctx, key, body, options) => this.write(ctx, key, body, options) };
    this.binding = { probe: (ctx, prefix) => probeBinding(ctx, this, this.multipart, prefix) };
  }

  list(ctx: CallContext, query: ListQuery): AsyncIterable<ListPage> {
    return listStore(this.#store, ctx, query, this.#pageObjectsMax);
  }

  async stat(ctx: CallContext, key: string): Promise<ObjectInfo> {
    const call = this.#call('stat', key);
    enter(ctx, call);
    const { bytes, md5, version } = this.#find(call);
    return { key, sizeBytes: bytes.byteLength, md5, version };
  }

  async read(ctx: CallContext, key: string, into: Uint8Array, options: ReadOptions): Promise<ReadResult> {
    const call = this.#call('read', key);
    enter(ctx, call);
    const stored = this.#find(call);
    if (options.version !== undefined && options.version !== stored.version) {
      throw refused(call, 'precondition', 'the object has another version');
    }
    const offset = options.offset ?? 0;
    const wanted = stored.bytes.subarray(offset, offset + into.byteLength);
    into.set(wanted);
    const { version, md5, sha256, crc32, attributes } = stored;
    return {
      bytesRead: wanted.byteLength,
      totalBytes: stored.bytes.byteLength,
      version,
      md5,
      ...(options.isWhole ? { checksums: { sha256, crc32 } } : {}),
      ...(attributes === undefined ? {} : { attributes }),
    };
  }

  async write(ctx: CallContext, key: string, body: Body, options: WriteOptions): Promise<WriteResult> {
    const call = this.#call('write', key);
    enter(ctx, call);
    const bytes = await takeBody(ctx, call, body, options.sha256);
    return { version: this.#store.put(key, bytes, options.attributes).version };
  }

  async remove(ctx: CallContext, key: string): Promise<void> {
    enter(ctx, this.#call('remove', key));
    this.#store.remove(key);
  }

  async flush(ctx: CallContext): Promise<void> {
    ctx.signal.throwIfAborted();
  }

  async close(): Promise<void> {
    // The store outlives its drivers, as a backend does.
  }

  #call(operation: string, key: string): MemoryCall {
    return { backend: this.name, operation, key };
  }

  #find(call: MemoryCall): StoredObject {
    const stored = this.#store.get(call.key);
    if (stored === undefined) throw refused(call, 'not-found', 'there is no such object');
    return stored;
  }
}

const PROBE = bodyOfBytes(Buffer.from('blobferry\n'));
const WRONG_SHA256 = '0'.repeat(64);

/** Sends what is wrong and sees what is refused, like every probe. */
async function probeBinding(
  ctx: CallContext,
  driver: StorageDriver,
  multipart: MultipartFacet,
  prefix: string,
): Promise<Binding> {
  const key = `${prefix}probe`;
  const payloadSha256 = await isRefused(driver.write(ctx, key, PROBE, { sha256: WRONG_SHA256 }));
  await driver.write(ctx, key, PROBE, {});
  const read = await driver.read(ctx, key, new Uint8Array(PROBE.sizeBytes), { isWhole: true });
  await driver.remove(ctx, key);

  const upload = await multipart.begin(ctx, key);
  const part = { number: 1, offset: 0, body: PROBE };
  const partCrc32 = await isRefused(multipart.putPart(ctx, upload, { ...part, crc32: 0 }));
  const receipt = await multipart.putPart(ctx, upload, part);
  const wrongWhole = { sizeBytes: PROBE.sizeBytes, crc32: 0 };
  const objectCrc32 = await isRefused(multipart.complete(ctx, upload, [receipt], wrongWhole));
  await multipart.abort(ctx, upload);
  await driver.remove(ctx, key);
  const storesSha256 = read.checksums?.sha256 !== undefined;
  return { payloadSha256, contentMd5: false, partCrc32, objectCrc32, storesSha256 };
}

async function isRefused(call: Promise<unknown>): Promise<boolean> {
  try {
    await call;
    return false;
  } catch (error) {
    if (isStorageError(error, 'corrupt')) return true;
    throw error;
  }
}
