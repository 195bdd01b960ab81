/** The objects of each workload: what they are called, how large they are and what is in them, all from the seed. */
import { createCipheriv, createHash, hash } from 'node:crypto';
import type { WorkloadName } from '../plan/cell.ts';
import type { Parameters } from '../plan/parameters.ts';

const ROOT = 'docker/registry/v2';
const PIECE_BYTES = 8 * 1024 ** 2;
const ZEROS = Buffer.alloc(PIECE_BYTES);

export interface BenchObject {
  /** Key and, below the root folder, path. */
  readonly path: string;
  readonly sizeBytes: number;
  /** Of every second object, or pair of objects: the workload that is half as large. */
  readonly isInHalf: boolean;
  /** The content; may be asked for again. A piece is valid until the next one is asked for. */
  pieces(): Iterable<Buffer>;
}

export function objectsOf(workload: WorkloadName, parameters: Parameters): Iterable<BenchObject> {
  const { seed } = parameters;
  switch (workload) {
    case 'small':
      return manifestsAndLinks(seed, parameters.small);
    case 'medium':
      return blobs(seed, repeated(parameters.mediumBytes, parameters.medium));
    case 'large':
      return blobs(seed, repeated(parameters.largeBytes, parameters.large));
    case 'mixed':
      return blobs(seed, mixedSizes(parameters));
    case 'listing':
      return manyKeys(seed, parameters.listing);
  }
}

/** What copiers are tried with: some small objects, and one that is uploaded in parts. */
export function* trialObjects(parameters: Parameters): Generator<BenchObject> {
  yield* manifestsAndLinks('trial', 16);
  yield* blobs('trial', [parameters.trialBytes]);
}

/** The sha256 that an object's content must have, from its path alone. */
export function expectedSha256(path: string): string {
  const hex = /\/sha256\/(?:[0-9a-f]{2}\/)?([0-9a-f]{64})\/(data|link)$/.exec(path);
  if (!hex?.[1]) throw new Error(`The path ${path} names no digest`);
  return hex[2] === 'data' ? hex[1] : hash('sha256', `sha256:${hex[1]}`, 'hex');
}

/**
 * Sizes at even steps of the distribution, so that every bench has the same bytes and luck has no part in it. They are
 * shuffled by a stride that meets all of them, as large layers do not come at the end of a registry either.
 */
export function mixedSizes(parameters: Parameters): readonly number[] {
  const { mixed: count, mixedMedianBytes, mixedSigma, mixedTail, mixedTailBytes } = parameters;
  const sizes = Array.from({ length: count }, (_, index) => {
    const deviations = normalQuantile((index + 0.5) / count);
    return Math.max(1, Math.round(mixedMedianBytes * Math.exp(mixedSigma * deviations)));
  });
  const all = [...sizes, ...repeated(mixedTailBytes, mixedTail)];
  const stride = strideFor(all.length);
  return all.map((_, index) => all[(index * stride) % all.length] ?? 0);
}

function strideFor(count: number): number {
  let stride = Math.max(1, Math.round(count * 0.618));
  while (commonDivisor(stride, count) !== 1) stride += 1;
  return stride;
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b);
}

/**
 * Which deviation a standard normal variable stays below with this probability: Hastings' approximation, number 26.2.23
 * of Abramowitz and Stegun's Handbook of Mathematical Functions, good to 4.5e-4.
 */
export function normalQuantile(probability: number): number {
  const tail = Math.min(probability, 1 - probability);
  const t = Math.sqrt(-2 * Math.log(tail));
  const deviation =
    t -
    (2.515517 + 0.802853 * t + 0.010328 * t ** 2) /
      (1 + 1.432788 * t + 0.189269 * t ** 2 + 0.001308 * t ** 3);
  return probability < 0.5 ? -deviation : deviation;
}

export function* manifestsAndLinks(seed: string, objects: number): Generator<BenchObject> {
  for (let index = 0; index < objects / 2; index += 1) {
    const manifest = seededBytes(seed, index, 1024 + ((index * 37) % 4096));
    const hex = hash('sha256', manifest, 'hex');
    const repository = `team${index % 7}/app${index % 50}`;
    const isInHalf = index % 2 === 0;
    yield inMemory(blobPath(hex), manifest, isInHalf);
    const link = `${ROOT}/repositories/${repository}/_manifests/revisions/sha256/${hex}/link`;
    yield inMemory(link, Buffer.from(`sha256:${hex}`), isInHalf);
  }
}

export function* blobs(seed: string, sizes: readonly number[]): Generator<BenchObject> {
  for (const [index, sizeBytes] of sizes.entries()) {
    const isInHalf = index % 2 === 0;
    if (sizeBytes <= PIECE_BYTES) {
      const bytes = seededBytes(seed, index, sizeBytes);
      yield inMemory(blobPath(hash('sha256', bytes, 'hex')), bytes, isInHalf);
      continue;
    }
    const pieces = (): Iterable<Buffer> => seededPieces(seed, index, sizeBytes);
    const digest = createHash('sha256');
    for (const piece of pieces()) digest.update(piece);
    yield { path: blobPath(digest.digest('hex')), sizeBytes, isInHalf, pieces };
  }
}

/** Nobody reads them, so their content may be plain. */
function* manyKeys(seed: string, count: number): Generator<BenchObject> {
  for (let index = 0; index < count; index += 1) {
    const bytes = Buffer.from(`${seed}/${index}`);
    yield inMemory(blobPath(hash('sha256', bytes, 'hex')), bytes, index % 2 === 0);
  }
}

function inMemory(path: string, bytes: Buffer, isInHalf: boolean): BenchObject {
  return { path, sizeBytes: bytes.length, isInHalf, pieces: () => [bytes] };
}

function blobPath(hex: string): string {
  return `${ROOT}/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`;
}

function seededBytes(seed: string, index: number, sizeBytes: number): Buffer {
  return Buffer.concat([...seededPieces(seed, index, sizeBytes)]);
}

function* seededPieces(seed: string, index: number, sizeBytes: number): Generator<Buffer> {
  const key = createHash('sha256').update(`${seed}/${index}`).digest();
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  for (let left = sizeBytes; left > 0; left -= PIECE_BYTES) {
    yield cipher.update(left < PIECE_BYTES ? ZEROS.subarray(0, left) : ZEROS);
  }
}

function repeated(value: number, count: number): readonly number[] {
  return Array.from({ length: count }, () => value);
}
