/** Buckets, objects and open uploads. Synchronous and owned by one thread, so every operation is atomic. */
import type { ChecksumAlgorithm, ChecksumType, StoredChecksum } from '../s3/checksum.ts';
import type { Content, ContentStore } from './content.ts';
import { SortedMap } from './sorted-map.ts';

/** What clients set and get back: `content-type`, `x-amz-meta-…`, `x-amz-storage-class`; names in lower case. */
export type Attributes = readonly (readonly [string, string])[];

export interface StoredObject {
  readonly content: Content;
  /** Without quotes. */
  readonly etag: string;
  readonly modifiedMs: number;
  readonly attributes: Attributes;
  readonly checksum?: StoredChecksum;
  /** Sizes of the parts it was uploaded in, if it was. */
  readonly partBytes?: readonly number[];
}

export interface StoredPart {
  readonly number: number;
  readonly content: Content;
  readonly etag: string;
  readonly modifiedMs: number;
  /** Base64, under the upload's algorithm if it has one. */
  readonly checksum?: { readonly algorithm: ChecksumAlgorithm; readonly value: string };
}

export interface OpenUpload {
  readonly key: string;
  readonly id: string;
  readonly initiatedMs: number;
  readonly attributes: Attributes;
  readonly checksum?: { readonly algorithm: ChecksumAlgorithm; readonly type: ChecksumType };
  readonly parts: Map<number, StoredPart>;
}

export interface Bucket {
  readonly name: string;
  readonly createdMs: number;
  readonly objects: SortedMap<StoredObject>;
  /** By key, then by upload id. */
  readonly uploads: SortedMap<Map<string, OpenUpload>>;
}

export class Store {
  readonly contents: ContentStore;
  readonly buckets = new SortedMap<Bucket>();
  #nextUpload = 1;

  constructor(contents: ContentStore) {
    this.contents = contents;
  }

  createBucket(name: string, nowMs: number): void {
    this.buckets.set(name, {
      name,
      createdMs: nowMs,
      objects: new SortedMap(),
      uploads: new SortedMap(),
    });
  }

  openUpload(bucket: Bucket, upload: Omit<OpenUpload, 'id' | 'parts'>): OpenUpload {
    // Ids ascend with time, so that listings of one key's uploads are in the order of their beginning.
    const id = `${upload.initiatedMs.toString(36).padStart(9, '0')}.${(this.#nextUpload++).toString(36).padStart(7, '0')}.${randomTail()}`;
    const opened: OpenUpload = { ...upload, id, parts: new Map() };
    const ofKey = bucket.uploads.get(upload.key) ?? new Map<string, OpenUpload>();
    ofKey.set(id, opened);
    bucket.uploads.set(upload.key, ofKey);
    return opened;
  }

  closeUpload(bucket: Bucket, upload: OpenUpload): void {
    const ofKey = bucket.uploads.get(upload.key);
    ofKey?.delete(upload.id);
    if (ofKey?.size === 0) bucket.uploads.delete(upload.key);
  }
}

function randomTail(): string {
  return Math.random().toString(36).slice(2, 10).padEnd(8, '0');
}
