/** Are these bytes the right ones? Everything a source says about an object's content, in one place. */
import { createHash, type Hash, hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { crc32c } from '../core/crc32c.ts';
import { formatDigest } from '../core/digest.ts';
import type { ObjectInfo, ReadResult } from '../drivers/driver.ts';
import type { Classified } from '../layout/layout.ts';
import { checkLink } from '../layout/link.ts';

export type Verdict =
  | { readonly is: 'right'; readonly by: 'digest' | 'stored' }
  | { readonly is: 'wrong'; readonly reason: string }
  /** Nothing to compare with, or only something that may not be a checksum of the content. */
  | { readonly is: 'unknown'; readonly looksWrong: boolean };

/** What a source states about an object's content, and whether its MD5s can be taken at their word. */
export interface Stated extends Pick<ReadResult, 'checksums' | 'lacksParts'> {
  readonly md5?: string | undefined;
  readonly md5MayBeOpaque: boolean;
}

/** Judges an object that lies in memory whole. `sha256` is that of the bytes. */
export function judgeWhole(
  classified: Classified,
  bytes: Uint8Array,
  sha256: string,
  stated: Stated,
): Verdict {
  const { contentDigest } = classified;
  if (contentDigest) {
    const actual = contentDigest.algorithm === 'sha256' ? sha256 : hash('sha512', bytes, 'hex');
    return judgeDigest(classified, actual);
  }
  if (classified.isLink) {
    const link = checkLink(bytes, classified.linkDigest);
    if (!link.ok) return { is: 'wrong', reason: link.reason };
    // A tag's link names some digest; only one whose path says which can be proved by it.
    if (classified.linkDigest) return { is: 'right', by: 'digest' };
  }
  // As good as none for whoever pulls it, and no digest says that it should be empty.
  if (stated.lacksParts && classified.objectClass === 'blob')
    return { is: 'wrong', reason: 'it is made of parts, and none of its parts is there' };
  return judgeStored(stated, {
    sha256: () => sha256,
    crc32: () => (crc32(bytes) >>> 0).toString(16).padStart(8, '0'),
    crc32c: () => crc32c(bytes).toString(16).padStart(8, '0'),
    md5: () => hash('md5', bytes, 'hex'),
  });
}

function judgeDigest(classified: Classified, actualHex: string): Verdict {
  const expected = classified.contentDigest;
  if (!expected) return { is: 'unknown', looksWrong: false };
  if (expected.hex === actualHex) return { is: 'right', by: 'digest' };
  const actual = formatDigest({ ...expected, hex: actualHex });
  const who = classified.digestFrom === 'backup' ? 'the metadata backup' : 'its path';
  return {
    is: 'wrong',
    reason: `its bytes have the digest ${actual}, ${who} says ${formatDigest(expected)}`,
  };
}

interface Checksums {
  readonly sha256: () => string;
  readonly crc32: () => string;
  readonly crc32c: () => string;
  readonly md5: () => string;
}

/** Compares with what the source keeps: its own checksums, or an ETag that looks like an MD5. */
function judgeStored({ checksums, md5, md5MayBeOpaque }: Stated, actual: Checksums): Verdict {
  if (checksums?.sha256 !== undefined) {
    return checksums.sha256 === actual.sha256()
      ? { is: 'right', by: 'stored' }
      : { is: 'wrong', reason: 'its bytes do not have the sha256 that the source keeps for it' };
  }
  if (checksums?.crc32 !== undefined) {
    return checksums.crc32 === actual.crc32()
      ? { is: 'right', by: 'stored' }
      : { is: 'wrong', reason: 'its bytes do not have the CRC-32 that the source keeps for it' };
  }
  if (md5 !== undefined) return judgeMd5(md5, actual.md5(), md5MayBeOpaque);
  if (checksums?.crc32c === undefined) return { is: 'unknown', looksWrong: false };
  return checksums.crc32c === actual.crc32c()
    ? { is: 'right', by: 'stored' }
    : { is: 'wrong', reason: 'its bytes do not have the CRC-32C that the source keeps for it' };
}

/** With SSE-KMS an ETag has the form of an MD5 without being one, so there a difference proves nothing. */
function judgeMd5(stated: string, actual: string, mayBeOpaque: boolean): Verdict {
  if (stated === actual) return { is: 'right', by: 'stored' };
  if (mayBeOpaque) return { is: 'unknown', looksWrong: true };
  return { is: 'wrong', reason: 'its bytes do not have the MD5 that the source keeps for it' };
}

/** The MD5 of what was read; a listing's only where it speaks of the same version. */
export function statedMd5(listed: ObjectInfo, read: ReadResult | undefined): string | undefined {
  if (read?.md5 !== undefined) return read.md5;
  return read?.version !== undefined && read.version === listed.version ? listed.md5 : undefined;
}

/** Hashes a large object as its parts pass by, in order. */
export class ObjectHasher {
  readonly #classified: Classified;
  readonly #sha256: Hash = createHash('sha256');
  readonly #sha512: Hash | undefined;
  readonly #md5: Hash | undefined;

  /** @param hasMd5 does the source state an MD5? It is only looked at where no digest is known. */
  constructor(classified: Classified, hasMd5: boolean) {
    this.#classified = classified;
    const algorithm = classified.contentDigest?.algorithm;
    this.#sha512 = algorithm === 'sha512' ? createHash('sha512') : undefined;
    this.#md5 = algorithm === undefined && hasMd5 ? createHash('md5') : undefined;
  }

  update(bytes: Uint8Array): void {
    this.#sha256.update(bytes);
    this.#sha512?.update(bytes);
    this.#md5?.update(bytes);
  }

  /** @param stated of the version whose bytes went by. */
  finish(stated: Pick<Stated, 'md5' | 'md5MayBeOpaque'>): {
    readonly sha256: string;
    readonly verdict: Verdict;
  } {
    const sha256 = this.#sha256.digest('hex');
    return { sha256, verdict: this.#judge(sha256, stated) };
  }

  #judge(sha256: string, { md5, md5MayBeOpaque }: Pick<Stated, 'md5' | 'md5MayBeOpaque'>): Verdict {
    if (this.#classified.contentDigest) {
      return judgeDigest(this.#classified, this.#sha512?.digest('hex') ?? sha256);
    }
    if (this.#classified.isLink) return { is: 'wrong', reason: 'it is far too large for a link' };
    if (!this.#md5 || md5 === undefined) return { is: 'unknown', looksWrong: false };
    return judgeMd5(md5, this.#md5.digest('hex'), md5MayBeOpaque);
  }
}
