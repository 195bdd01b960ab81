/** Pages of a container's listing (https://docs.openstack.org/api-ref/object-store/#show-container-details-and-list-objects). */
import type { ListPage, ObjectInfo } from '../driver.ts';
import { type HttpCall, malformed } from '../http/call.ts';

/** The MD5 of nothing. */
const EMPTY_MD5 = 'd41d8cd98f00b204e9800998ecf8427e';
const MD5 = /^[0-9a-f]{32}$/;

export interface SwiftListPage extends ListPage {
  /** The last name, from which the next page goes on; undefined for an empty page, which is the last one. */
  readonly last?: string;
}

/** @throws StorageError of kind `corrupt` where the answer is no listing. */
export function listingOf(call: HttpCall, body: Buffer): SwiftListPage {
  let entries: unknown;
  try {
    entries = body.length === 0 ? [] : JSON.parse(body.toString('utf8'));
  } catch {
    throw malformed(call, 'the listing is no JSON');
  }
  if (!Array.isArray(entries)) throw malformed(call, 'the listing is no list');
  const objects: ObjectInfo[] = [];
  const prefixes: string[] = [];
  let last: string | undefined;
  for (const entry of entries as readonly unknown[]) {
    const { name, subdir } = fieldsOf(entry);
    last = textOf(call, subdir ?? name);
    if (subdir === undefined) objects.push(objectOf(call, last, entry));
    else prefixes.push(last);
  }
  return { objects, prefixes, ...(last === undefined ? {} : { last }) };
}

interface Fields {
  readonly name?: unknown;
  readonly subdir?: unknown;
  readonly bytes?: unknown;
  readonly hash?: unknown;
  readonly slo_etag?: unknown;
}

function fieldsOf(entry: unknown): Fields {
  return typeof entry === 'object' && entry !== null ? entry : {};
}

function textOf(call: HttpCall, name: unknown): string {
  if (typeof name === 'string' && name !== '') return name;
  throw malformed(call, 'the listing has an entry without a name');
}

/**
 * A dynamic large object is listed with the size and hash of its manifest, which is empty, and nothing tells it from an
 * object that is empty. A static one has its true size, and the hash of its manifest.
 */
function objectOf(call: HttpCall, key: string, entry: unknown): ObjectInfo {
  const { bytes, hash, slo_etag: isStatic } = fieldsOf(entry);
  if (typeof bytes !== 'number' || !Number.isSafeInteger(bytes) || bytes < 0)
    throw malformed(call, 'the listing has an entry without a size');
  if (bytes === 0) return { key, sizeBytes: 0, isSizeUnsure: true };
  if (isStatic !== undefined || typeof hash !== 'string') return { key, sizeBytes: bytes };
  const version = hash.toLowerCase();
  // Ceph lists objects that came in parts over S3 with an ETag that is no MD5.
  if (!MD5.test(version) || version === EMPTY_MD5) return { key, sizeBytes: bytes };
  return { key, sizeBytes: bytes, md5: version, version };
}
