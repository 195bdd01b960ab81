/**
 * The layout of Mirantis Secure Registry (DTR) 2.6 and later 2.x releases.
 *
 *     docker/registry/v2/
 *       blobs/id/3f/3f9c…/data             phase `blobs`: the bytes, named by an id from the registry's database
 *       blobs/sha256/ab/ab12…/data         phase `blobs`: left from before the move to ids; digest in the path
 *       repositories/<name>/…              phase `names`: as distribution has it, where there is any
 *       anything else                      phase `names`
 *
 * An id is no digest: what such a blob must hash to is known to the metadata backup alone, so the path gives no
 * expected digest, and the copy of such a blob is unproved unless another digest source is at hand.
 */
import { isBlobId } from './digests/digest-record.ts';
import type { Classified, Layout } from './layout.ts';
import { holdsSnapshots, leftOutOfRegistry } from './left-out.ts';
import { BLOBS, classifyRegistryPath, OTHER } from './registry-paths.ts';

export const BLOBS_BY_ID = `${BLOBS}id/`;

const BY_ID = /^([^/]{2})\/(\1[^/]*)\/data$/;
const BLOB_BY_ID: Classified = { objectClass: 'blob', isImmutable: true, isLink: false };

export const msrLayout: Layout = {
  name: 'msr',
  blobPrefixes: [BLOBS],
  classify: classifyMsrPath,
  leavesOut: leftOutOfRegistry,
  staysOutOf: holdsSnapshots,
};

function classifyMsrPath(path: string): Classified {
  if (!path.startsWith(BLOBS_BY_ID)) return classifyRegistryPath(path);
  return BY_ID.test(path.slice(BLOBS_BY_ID.length)) ? BLOB_BY_ID : OTHER;
}

/** The id of a blob that is named by one, where it is one that a row could have; undefined for every other path. */
export function blobIdIn(path: string): string | undefined {
  if (!path.startsWith(BLOBS_BY_ID)) return undefined;
  const id = BY_ID.exec(path.slice(BLOBS_BY_ID.length))?.[2];
  return id !== undefined && isBlobId(id) ? id : undefined;
}

export function blobPathOf(id: string): string {
  return `${BLOBS_BY_ID}${id.slice(0, 2)}/${id}/data`;
}
