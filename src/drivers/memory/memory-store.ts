/** What a backend in memory holds. Stores live as long as the thread and are shared by name within it. */
import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { compareUtf8 } from '../../core/byte-order.ts';
import type { FileAttributes, PartReceipt } from '../driver.ts';

export interface StoredObject {
  readonly bytes: Uint8Array;
  /** Lower-case hex. */
  readonly md5: string;
  readonly sha256: string;
  readonly crc32: string;
  /** A new one with every write. */
  readonly version: string;
  readonly attributes: FileAttributes | undefined;
}

export interface StoredPart {
  readonly bytes: Uint8Array;
  readonly receipt: PartReceipt;
}

export interface StoredUpload {
  readonly key: string;
  readonly parts: Map<number, StoredPart>;
}

export class MemoryStore {
  readonly uploads = new Map<string, StoredUpload>();
  readonly #objects = new Map<string, StoredObject>();
  /** Keys in byte order, until a key comes or goes. */
  #sorted: readonly string[] | undefined;
  #versions = 0;

  get(key: string): StoredObject | undefined {
    return this.#objects.get(key);
  }

  put(key: string, bytes: Uint8Array, attributes: FileAttributes | undefined): StoredObject {
    this.#versions += 1;
    const stored: StoredObject = {
      bytes,
      md5: hash('md5', bytes, 'hex'),
      sha256: hash('sha256', bytes, 'hex'),
      crc32: crc32(bytes).toString(16).padStart(8, '0'),
      version: `v${this.#versions}`,
      attributes,
    };
    if (!this.#objects.has(key)) this.#sorted = undefined;
    this.#objects.set(key, stored);
    return stored;
  }

  remove(key: string): void {
    if (this.#objects.delete(key)) this.#sorted = undefined;
  }

  newId(): string {
    this.#versions += 1;
    return `upload-${this.#versions}`;
  }

  /** All keys of this moment, in byte order. */
  keys(): readonly string[] {
    this.#sorted ??= [...this.#objects.keys()].sort(compareUtf8);
    return this.#sorted;
  }
}

const stores = new Map<string, MemoryStore>();

export function storeNamed(name: string): MemoryStore {
  let store = stores.get(name);
  if (store === undefined) {
    store = new MemoryStore();
    stores.set(name, store);
  }
  return store;
}

/** Lets go of a store and of everything in it. */
export function forgetStore(name: string): void {
  stores.delete(name);
}
