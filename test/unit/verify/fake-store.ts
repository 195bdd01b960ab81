/** A store whose answers a test can bend: order of listings, sizes, bytes, failures. Plus a layout small enough to see through. */
import { createHash } from 'node:crypto';
import { compareUtf8 } from '../../../src/core/byte-order.ts';
import { makeDigest } from '../../../src/core/digest.ts';
import { type ErrorKind, StorageError } from '../../../src/core/errors.ts';
import type {
  CallContext,
  ListPage,
  ListQuery,
  ObjectInfo,
  ReadOptions,
  ReadResult,
  StorageDriver,
  WriteResult,
} from '../../../src/drivers/driver.ts';
import type { Classified, Layout } from '../../../src/layout/layout.ts';

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function md5(bytes: Uint8Array | string): string {
  return createHash('md5').update(bytes).digest('hex');
}

interface StoreOptions {
  readonly prefix?: string;
  readonly listsMd5?: boolean;
  readonly md5MayBeOpaque?: boolean;
  readonly pageSize?: number;
  /** Its listings may lag behind. */
  readonly listsLate?: boolean;
}

export class FakeStore implements StorageDriver {
  readonly kind = 'memory';
  readonly name: string;
  readonly facts;
  readonly objects = new Map<string, Buffer>();
  /** Tests replace these to bend an answer. */
  onList: (infos: readonly ObjectInfo[], query: ListQuery) => readonly ObjectInfo[] = (infos) => infos;
  onPage: (pageNumber: number) => void = () => undefined;
  onRead: (key: string, into: Uint8Array, result: ReadResult, readNumber: number) => ReadResult = (
    _key,
    _into,
    result,
  ) => result;
  beforeRead: (key: string, options: ReadOptions, readNumber: number) => void | Promise<void> = () =>
    undefined;
  reads = 0;
  bytesRead = 0;
  pages = 0;
  readonly #options: StoreOptions;

  constructor(name: string, options: StoreOptions = {}) {
    this.name = `memory://${name}`;
    this.#options = options;
    this.facts = {
      listOrder: 'bytes' as const,
      md5MayBeOpaque: options.md5MayBeOpaque ?? false,
      writeBytesMax: Number.MAX_SAFE_INTEGER,
      keepsAttributes: false,
      ...(options.listsLate ? { listsLate: true } : {}),
      hasFolders: false,
    };
  }

  put(path: string, content: Uint8Array | string): void {
    this.objects.set((this.#options.prefix ?? '') + path, Buffer.from(content));
  }

  async *list(ctx: CallContext, query: ListQuery): AsyncGenerator<ListPage> {
    const infos = [...this.objects]
      .filter(([key]) => key.startsWith(query.prefix))
      .sort(([left], [right]) => compareUtf8(left, right))
      .map(([key, bytes]) => this.#info(key, bytes));
    const shown = this.onList(infos, query).filter(
      ({ key }) => query.after === undefined || compareUtf8(key, query.after) > 0,
    );
    const pageSize = this.#options.pageSize ?? 3;
    for (let at = 0; at < shown.length; at += pageSize) {
      ctx.signal.throwIfAborted();
      this.pages += 1;
      this.onPage(this.pages);
      yield { objects: shown.slice(at, at + pageSize), prefixes: [] };
    }
  }

  async stat(ctx: CallContext, key: string): Promise<ObjectInfo> {
    ctx.signal.throwIfAborted();
    return this.#info(key, this.#get(key, 'stat'));
  }

  async read(ctx: CallContext, key: string, into: Uint8Array, options: ReadOptions): Promise<ReadResult> {
    ctx.signal.throwIfAborted();
    this.reads += 1;
    const readNumber = this.reads;
    await this.beforeRead(key, options, readNumber);
    ctx.signal.throwIfAborted();
    const bytes = this.#get(key, 'read');
    const version = md5(bytes);
    if (options.version !== undefined && options.version !== version) {
      throw storageError(this, key, 'precondition');
    }
    const offset = options.offset ?? 0;
    const part = bytes.subarray(offset, offset + into.length);
    into.set(part);
    this.bytesRead += part.length;
    const result = { bytesRead: part.length, totalBytes: bytes.length, version };
    return this.onRead(key, into, result, readNumber);
  }

  write(): Promise<WriteResult> {
    return Promise.reject(new Error('Verification writes nothing'));
  }
  remove(): Promise<void> {
    return Promise.reject(new Error('Verification removes nothing'));
  }
  flush(): Promise<void> {
    return Promise.reject(new Error('Verification flushes nothing'));
  }
  async close(): Promise<void> {
    this.objects.clear();
  }

  #get(key: string, operation: string): Buffer {
    const bytes = this.objects.get(key);
    if (bytes === undefined) throw storageError(this, key, 'not-found', { operation });
    return bytes;
  }

  #info(key: string, bytes: Buffer): ObjectInfo {
    const listed = this.#options.listsMd5 ? { md5: md5(bytes) } : {};
    return { key, sizeBytes: bytes.length, version: md5(bytes), ...listed };
  }
}

export function storageError(
  store: { readonly name: string },
  key: string,
  kind: ErrorKind,
  more: { isTransient?: boolean; scope?: 'object' | 'backend'; operation?: string } = {},
): StorageError {
  const { isTransient = false, scope = 'object', operation = 'read' } = more;
  return new StorageError(`Cannot ${operation} "${key}" in ${store.name}: ${kind}`, {
    kind,
    backend: store.name,
    operation,
    key,
    isTransient,
    scope,
  });
}

const BLOB = /^blobs\/sha256\/[0-9a-f]{2}\/([0-9a-f]{64})\/data$/;
const LINK = /^repos\/[^/]+\/_layers\/sha256\/([0-9a-f]{64})\/link$/;
const TAG = /^repos\/[^/]+\/_tags\/[^/]+\/link$/;

export const TEST_LAYOUT: Layout = {
  name: 'distribution',
  blobPrefixes: ['blobs/'],
  classify(path): Classified {
    const contentDigest = makeDigest('sha256', BLOB.exec(path)?.[1] ?? '');
    if (contentDigest) return { objectClass: 'blob', isImmutable: true, contentDigest, isLink: false };
    const linkDigest = makeDigest('sha256', LINK.exec(path)?.[1] ?? '');
    if (linkDigest) return { objectClass: 'link', isImmutable: true, linkDigest, isLink: true };
    if (TAG.test(path)) return { objectClass: 'tag', isImmutable: false, isLink: true };
    return { objectClass: 'other', isImmutable: false, isLink: false };
  },
  leavesOut: (path) => path.includes('/_uploads/'),
  staysOutOf: () => false,
};

export function blobPath(content: Uint8Array | string): string {
  const hex = sha256(content);
  return `blobs/sha256/${hex.slice(0, 2)}/${hex}/data`;
}

export function layerLinkPath(repository: string, content: Uint8Array | string): string {
  return `repos/${repository}/_layers/sha256/${sha256(content)}/link`;
}
