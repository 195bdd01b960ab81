/** The checksums of `x-amz-checksum-*`, and digesting a body under several of them at once. */
import { createHash, hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { Crc64Nvme, combineCrc, crc32c } from './crc.ts';

export const CHECKSUM_ALGORITHMS = ['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256'] as const;
export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number];
export type DigestName = ChecksumAlgorithm | 'md5';
export type ChecksumType = 'FULL_OBJECT' | 'COMPOSITE';

/** What is kept with an object or a part. */
export interface StoredChecksum {
  readonly algorithm: ChecksumAlgorithm;
  readonly type: ChecksumType;
  /** Base64, with `-N` behind it where it is a composite of N parts. */
  readonly value: string;
}

const DIGEST_BYTES: Readonly<Record<ChecksumAlgorithm, number>> = {
  crc32: 4,
  crc32c: 4,
  crc64nvme: 8,
  sha1: 20,
  sha256: 32,
};

/** @param name in any case, as headers and XML write it. */
export function parseChecksumAlgorithm(name: string): ChecksumAlgorithm | undefined {
  const lower = name.toLowerCase();
  return CHECKSUM_ALGORITHMS.find((algorithm) => algorithm === lower);
}

/** Is this the base64 of as many bytes as the algorithm gives, written the one canonical way? */
export function isChecksumValue(algorithm: ChecksumAlgorithm, value: string): boolean {
  const bytes = Buffer.from(value, 'base64');
  return bytes.length === DIGEST_BYTES[algorithm] && bytes.toString('base64') === value;
}

interface Running {
  update(piece: Uint8Array): void;
  digest(): Buffer;
}

function startDigest(name: DigestName): Running {
  if (name === 'crc64nvme') return new Crc64Nvme();
  if (name === 'crc32' || name === 'crc32c') {
    const step = name === 'crc32' ? crc32 : crc32c;
    let value = 0;
    return {
      update: (piece) => {
        value = step(piece, value);
      },
      digest: () => {
        const out = Buffer.alloc(4);
        out.writeUInt32BE(value);
        return out;
      },
    };
  }
  const running = createHash(name);
  return { update: (piece) => void running.update(piece), digest: () => running.digest() };
}

export function digestOf(name: DigestName, data: Uint8Array): Buffer {
  if (name === 'md5' || name === 'sha1' || name === 'sha256') return hash(name, data, 'buffer');
  const running = startDigest(name);
  running.update(data);
  return running.digest();
}

const NOTHING = Buffer.alloc(0);

/**
 * Several digests of one body. The first piece is held back: most bodies have only one, and a digest in one call costs
 * a third of one that is started, fed and finished.
 */
export class BodyDigests {
  readonly #names: readonly DigestName[];
  #first: Buffer | undefined;
  #running: readonly Running[] | undefined;
  #results: readonly Buffer[] | undefined;

  constructor(names: readonly DigestName[]) {
    this.#names = names;
  }

  update(piece: Buffer): void {
    if (this.#first === undefined) {
      this.#first = piece;
      return;
    }
    if (this.#running === undefined) {
      this.#running = this.#names.map(startDigest);
      for (const one of this.#running) one.update(this.#first);
    }
    for (const one of this.#running) one.update(piece);
  }

  /** May be asked any number of times once the body is complete. */
  get(name: DigestName): Buffer {
    const index = this.#names.indexOf(name);
    this.#results ??= this.#running
      ? this.#running.map((one) => one.digest())
      : this.#names.map((each) => digestOf(each, this.#first ?? NOTHING));
    const result = this.#results[index];
    if (result === undefined) throw new RangeError(`The digest ${name} was not asked for at the start`);
    return result;
  }
}

export interface PartChecksum {
  readonly bytes: number;
  /** Base64. */
  readonly value: string;
}

/** The checksum of the whole object, from those of its parts: only CRCs can be combined so. */
export function combineParts(
  algorithm: ChecksumAlgorithm,
  parts: readonly PartChecksum[],
): string | undefined {
  if (algorithm === 'sha1' || algorithm === 'sha256') return undefined;
  let whole: Buffer | undefined;
  for (const part of parts) {
    const value = Buffer.from(part.value, 'base64');
    whole = whole ? combineCrc(algorithm, whole, value, part.bytes) : value;
  }
  return whole?.toString('base64');
}

/** The checksum of the parts' checksums, and how many there are. */
export function compositeOf(algorithm: ChecksumAlgorithm, parts: readonly PartChecksum[]): string {
  const joined = Buffer.concat(parts.map((part) => Buffer.from(part.value, 'base64')));
  return `${digestOf(algorithm, joined).toString('base64')}-${parts.length}`;
}
