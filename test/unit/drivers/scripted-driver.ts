/** A driver in memory whose calls do what a test says, and which remembers them. */
import { StorageError, type StorageErrorDetails } from '../../../src/core/errors.ts';
import type {
  CallContext,
  DriverFacts,
  ListPage,
  ListQuery,
  MultipartFacet,
  ObjectInfo,
  StorageDriver,
} from '../../../src/drivers/driver.ts';

const FACTS: DriverFacts = {
  listOrder: 'bytes',
  md5MayBeOpaque: true,
  writeBytesMax: 1024 ** 3,
  keepsAttributes: false,
  hasFolders: false,
};

export function storageError(details: Partial<StorageErrorDetails> = {}): StorageError {
  return new StorageError('Cannot do it', {
    kind: 'unavailable',
    backend: 'test://x',
    operation: 'read',
    isTransient: true,
    scope: 'object',
    ...details,
  });
}

type CallName = keyof Pick<StorageDriver, 'stat' | 'read' | 'write' | 'remove' | 'flush'>;
type PartName = 'begin' | 'putPart' | 'complete' | 'abort' | 'listParts' | 'listUploads';

export class ScriptedDriver implements StorageDriver {
  readonly kind = 'scripted';
  readonly name = 'test://x';
  readonly facts: DriverFacts;
  readonly multipart: MultipartFacet;
  /** What was called, in order. */
  readonly calls: string[] = [];
  /** Thrown by the next calls, one each, whatever they are. */
  readonly failures: unknown[] = [];
  /** Happens in every call before it fails or succeeds. */
  onCall: (name: CallName | PartName) => unknown = () => undefined;
  pages: (query: ListQuery) => AsyncIterable<ListPage> = async function* () {
    yield { objects: [], prefixes: [] };
  };

  constructor(facts: Partial<DriverFacts> = {}) {
    this.facts = { ...FACTS, ...facts };
    this.multipart = {
      partBytesMin: 5,
      partBytesMax: 50,
      partsMax: 100,
      partChecksum: 'none',
      begin: (_ctx, key) => this.#call('begin', { key, id: 'id' }),
      putPart: (_ctx, _upload, part) =>
        this.#call('putPart', { number: part.number, sizeBytes: part.body.sizeBytes, tag: 't' }),
      complete: () => this.#call('complete', { version: 'v' }),
      abort: () => this.#call('abort', undefined),
      listParts: () => this.#call('listParts', []),
      listUploads: () => this.#call('listUploads', []),
    };
  }

  list(_ctx: CallContext, query: ListQuery): AsyncIterable<ListPage> {
    this.calls.push(`list ${query.after ?? ''}`.trim());
    return this.pages(query);
  }

  stat(_ctx: CallContext, key: string): Promise<ObjectInfo> {
    return this.#call('stat', { key, sizeBytes: 3 });
  }

  read(_ctx: CallContext, _key: string, into: Uint8Array) {
    return this.#call('read', { bytesRead: into.length, totalBytes: into.length });
  }

  write() {
    return this.#call('write', { version: 'v' });
  }

  remove(): Promise<void> {
    return this.#call('remove', undefined);
  }

  flush(): Promise<void> {
    return this.#call('flush', undefined);
  }

  async close(): Promise<void> {
    this.calls.push('close');
  }

  async #call<T>(name: CallName | PartName, result: T): Promise<T> {
    this.calls.push(name);
    await this.onCall(name);
    if (this.failures.length > 0) throw this.failures.shift();
    return result;
  }
}

/** Every method of a driver that asks the backend something, called once. */
export function everyCall(
  driver: StorageDriver,
  ctx: CallContext,
): Readonly<Record<CallName | PartName, () => Promise<unknown>>> {
  const { multipart } = driver;
  if (!multipart) throw new Error('The wrapper lost the multipart facet');
  const body = { sizeBytes: 7, bytes: Buffer.alloc(7), open: () => noPieces() };
  const upload = { key: 'k', id: 'i' };
  return {
    stat: () => driver.stat(ctx, 'k'),
    read: () => driver.read(ctx, 'k', Buffer.alloc(11), {}),
    write: () => driver.write(ctx, 'k', body, {}),
    remove: () => driver.remove(ctx, 'k'),
    flush: () => driver.flush(ctx),
    begin: () => multipart.begin(ctx, 'k'),
    putPart: () => multipart.putPart(ctx, upload, { number: 1, offset: 0, body }),
    complete: () => multipart.complete(ctx, upload, [], { sizeBytes: 7 }),
    abort: () => multipart.abort(ctx, upload),
    listParts: () => multipart.listParts(ctx, upload),
    listUploads: () => multipart.listUploads(ctx, ''),
  };
}

async function* noPieces(): AsyncGenerator<Uint8Array> {
  yield* [];
}

export function objectsNamed(...keys: readonly string[]): ListPage {
  return { objects: keys.map((key) => ({ key, sizeBytes: 1 })), prefixes: [] };
}

/** A store of sorted keys whose listing serves pages of a size and breaks where the test says. */
export function pagedKeys(
  keys: readonly string[],
  pageSize: number,
  breaksAt: (page: number) => boolean = () => false,
): (query: ListQuery) => AsyncGenerator<ListPage> {
  let page = 0;
  return async function* (query) {
    const left = keys.filter((key) => query.after === undefined || key > query.after);
    for (let at = 0; at < left.length || at === 0; at += pageSize) {
      page += 1;
      if (breaksAt(page)) throw storageError({ operation: 'list' });
      yield objectsNamed(...left.slice(at, at + pageSize));
    }
  };
}
