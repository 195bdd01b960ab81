/** What the rest of the program may ask of a layout. Paths are logical paths without their leading `/`. */
import type { Digest } from '../core/digest.ts';

export type LayoutName = 'distribution' | 'msr' | 'raw';

/** The `class` label of every count: blob bytes, links named by a digest, tag links, everything else. */
export type ObjectClass = 'blob' | 'link' | 'tag' | 'other';

export const OBJECT_CLASSES: readonly ObjectClass[] = ['blob', 'link', 'tag', 'other'];

export interface Classified {
  readonly objectClass: ObjectClass;
  /** Same path and size are enough to call it equal. */
  readonly isImmutable: boolean;
  /** sha256 or sha512 that the content must have, known from the path (blobs only), or from a backup of the metadata. */
  readonly contentDigest?: Digest;
  /** Where the digest is known from; absent: from the path. */
  readonly digestFrom?: 'backup';
  /** The digest that the content must spell out, known from the path (links only). */
  readonly linkDigest?: Digest;
  /** A link whose content must be some well-formed digest. */
  readonly isLink: boolean;
  /** Tags wait for everything else of the repository they belong to. */
  readonly repository?: string;
}

export interface Layout {
  readonly name: LayoutName;
  /** Where each phase's objects live: prefixes of phase `blobs`; everything else belongs to phase `names`. */
  readonly blobPrefixes: readonly string[];
  classify(path: string): Classified;
  /**
   * Is this path (or folder, ending in `/`) left out of copies and comparisons?
   * @param isPlaceholder as the listing says (see ObjectInfo).
   */
  leavesOut(path: string, sizeBytes: number | undefined, isPlaceholder?: boolean): boolean;
  /**
   * Is this folder, which is left out, not even opened? It counts as one then; of any other, each file counts, as each
   * object does in an object store.
   */
  staysOutOf(folder: string): boolean;
}
