/** Decides whether two objects of one path are equal, and who is wrong when they are not. */
import { createHash } from 'node:crypto';
import type { Side } from '../core/counters.ts';
import { type Digest, type DigestAlgorithm, formatDigest, parseDigest } from '../core/digest.ts';
import { isStorageError, StorageError, toErrorRecord } from '../core/errors.ts';
import { plausibleMd5 } from '../core/listed-md5.ts';
import type { StorageDriver } from '../drivers/driver.ts';
import type { Classified } from '../layout/layout.ts';
import type { ListedObject } from './listing.ts';
import { hashObject, type ObjectHash, type ReaderOptions } from './read-object.ts';
import type { MatchGround, Problem, ProblemSide, VerifyException } from './summary.ts';

/** Mutable objects up to this size are read where no MD5 decides: a read costs no more than the request for it. */
const SMALL_MUTABLE_BYTES = 4096;

export interface PairToCheck {
  readonly path: string;
  readonly source: ListedObject;
  readonly target: ListedObject;
  readonly classified: Classified;
}

export type Verdict =
  | { readonly ground: MatchGround; readonly wasReadAgain: boolean }
  | { readonly exception: VerifyException };

export interface CheckOptions extends ReaderOptions {
  readonly source: StorageDriver;
  readonly target: StorageDriver;
  readonly isDeep: boolean;
}

/** What the listings alone decide, without a promise; undefined when bytes or sizes must be asked for. */
export function verdictFromListings(pair: PairToCheck, options: CheckOptions): Verdict | undefined {
  const { source, target, classified } = pair;
  if (options.isDeep || isUnsure(pair) || source.info.sizeBytes !== target.info.sizeBytes) return undefined;
  const md5 = { source: source.info.md5, target: target.info.md5 };
  const isComparable = md5.source !== undefined && md5.target !== undefined;
  if (isComparable && plausibleMd5(source.info) === md5.target) return match('md5');
  const mayBeOpaque = options.source.facts.md5MayBeOpaque || options.target.facts.md5MayBeOpaque;
  // True MD5s that differ are followed by a look at the bytes, which also tells who is wrong.
  if (isComparable && !mayBeOpaque) return undefined;
  if (!classified.isImmutable && source.info.sizeBytes <= SMALL_MUTABLE_BYTES) return undefined;
  return match('size');
}

/** A pair with its verdict; its sizes are the true ones, where they could be had. */
export interface Checked {
  readonly pair: PairToCheck;
  readonly verdict: Verdict;
}

/** Never rejects for this object's sake: only when the run is aborted or a backend refuses everything. */
export async function checkPair(listed: PairToCheck, options: CheckOptions): Promise<Checked> {
  let pair = listed;
  try {
    if (isUnsure(listed)) pair = await withTrueSizes(listed, options);
  } catch (error) {
    if (error instanceof SideError) return { pair, verdict: verdictOfFailure(pair, error) };
    throw error;
  }
  return { pair, verdict: verdictFromListings(pair, options) ?? (await verdictFromObjects(pair, options)) };
}

/** Are there listed sizes that need not be true? Swift lists large objects as empty. */
function isUnsure({ source, target }: PairToCheck): boolean {
  return source.info.isSizeUnsure === true || target.info.isSizeUnsure === true;
}

async function withTrueSizes(pair: PairToCheck, options: CheckOptions): Promise<PairToCheck> {
  const sized = async (side: Side): Promise<ListedObject> => {
    const { path, info } = pair[side];
    if (!info.isSizeUnsure) return pair[side];
    const { signal } = options;
    return { path, info: await onSide(side, signal, () => options[side].stat({ signal }, info.key)) };
  };
  const source = await sized('source');
  return { ...pair, source, target: await sized('target') };
}

async function verdictFromObjects(pair: PairToCheck, options: CheckOptions): Promise<Verdict> {
  try {
    if (!options.isDeep) {
      const verdict = await verdictFromSizes(pair, options);
      if (verdict !== undefined) return verdict;
    }
    const expected = expectedOf(pair.classified);
    return expected === undefined
      ? await compareContents(pair, options)
      : await compareWithExpected(pair, expected, options);
  } catch (error) {
    if (error instanceof SideError) return verdictOfFailure(pair, error);
    throw error;
  }
}

/** Listings that differ in size are settled by asking both objects; without `--deep` nothing large is read for it. */
async function verdictFromSizes(pair: PairToCheck, options: CheckOptions): Promise<Verdict | undefined> {
  if (pair.source.info.sizeBytes === pair.target.info.sizeBytes) return undefined;
  const source = await statSide('source', pair, options);
  const target = await statSide('target', pair, options);
  if (source !== target) return wrongSize(pair, source, target);
  return pair.classified.isImmutable ? match('size') : undefined;
}

interface Expected {
  readonly algorithm: DigestAlgorithm;
  readonly hex: string;
  /** As it is told, and by whom, for messages. */
  readonly name: string;
  readonly by: string;
}

function expectedOf({ contentDigest, linkDigest, digestFrom }: Classified): Expected | undefined {
  const by = digestFrom === 'backup' ? 'the metadata backup' : 'its path';
  if (contentDigest !== undefined) return { ...contentDigest, name: formatDigest(contentDigest), by };
  if (linkDigest === undefined) return undefined;
  const text = formatDigest(linkDigest);
  return { algorithm: 'sha256', hex: createHash('sha256').update(text).digest('hex'), name: `"${text}"`, by };
}

/** The path says what the bytes must be: the target is measured against it, the source is asked only to settle blame. */
async function compareWithExpected(
  pair: PairToCheck,
  expected: Expected,
  options: CheckOptions,
): Promise<Verdict> {
  const target = await readSide('target', pair, expected.algorithm, options);
  if (target.hex === expected.hex) return sourceSizeAgrees(pair, target, options, false);
  const again = await readSide('target', pair, expected.algorithm, options, true);
  if (again.hex === expected.hex) return sourceSizeAgrees(pair, again, options, true);
  if (again.hex !== target.hex) return unsteady(pair, 'target');
  return blame(pair, target, expected, options);
}

/** The target's bytes are wrong for certain; reading the source tells whether it is to blame as well. */
async function blame(
  pair: PairToCheck,
  target: ObjectHash,
  expected: Expected,
  options: CheckOptions,
): Promise<Verdict> {
  const found = `the target holds ${describe(target, expected)}, ${expected.by} says ${expected.name}`;
  const source = await readSide('source', pair, expected.algorithm, options).catch((error: unknown) => {
    if (error instanceof SideError) return error;
    throw error;
  });
  if (source instanceof SideError) {
    return wrong(pair, 'wrong-content', 'target', `${found}; the source cannot be read: ${source.message}`);
  }
  if (source.hex === target.hex) {
    return wrong(pair, 'damaged', 'both', `${found}; the source holds the same bytes`);
  }
  const problem = source.sizeBytes === target.sizeBytes ? 'wrong-content' : 'wrong-size';
  if (source.hex === expected.hex) return wrong(pair, problem, 'target', `${found}; the source is right`);
  return wrong(pair, problem, 'both', `${found}; the source is wrong too: ${describe(source, expected)}`);
}

/** The target's bytes are proved; a source of another size cannot hold them. Listings may lie about sizes, stat does not. */
async function sourceSizeAgrees(
  pair: PairToCheck,
  target: ObjectHash,
  options: CheckOptions,
  wasReadAgain: boolean,
): Promise<Verdict> {
  if (pair.source.info.sizeBytes === target.sizeBytes) return match('digest', wasReadAgain);
  const sourceBytes = await statSide('source', pair, options);
  if (sourceBytes === target.sizeBytes) return match('digest', wasReadAgain);
  const detail = `the source has ${sourceBytes} bytes; the target has ${target.sizeBytes} and is what its path says`;
  return wrong(pair, 'damaged', 'source', detail);
}

/** Nothing says what the bytes must be: both sides are read and must agree. */
async function compareContents(pair: PairToCheck, options: CheckOptions): Promise<Verdict> {
  if (pair.source.info.sizeBytes !== pair.target.info.sizeBytes) {
    const source = await statSide('source', pair, options);
    const target = await statSide('target', pair, options);
    if (source !== target) return wrongSize(pair, source, target);
  }
  const first = await readBoth(pair, options, false);
  if (first.source.hex === first.target.hex) return sameContents(pair, first.target, false);
  const second = await readBoth(pair, options, true);
  if (second.source.hex === second.target.hex) return sameContents(pair, second.target, true);
  if (first.source.hex !== second.source.hex) return unsteady(pair, 'source');
  if (first.target.hex !== second.target.hex) return unsteady(pair, 'target');
  const { source, target } = second;
  if (source.sizeBytes !== target.sizeBytes) return wrongSize(pair, source.sizeBytes, target.sizeBytes);
  return wrong(
    pair,
    'wrong-content',
    'target',
    `the source holds ${describe(source)}, the target ${describe(target)}`,
  );
}

/** Equal bytes are a match, unless they are a link that names nothing. */
function sameContents(pair: PairToCheck, hash: ObjectHash, wasReadAgain: boolean): Verdict {
  if (pair.classified.isLink && parseDigest(hash.content?.toString('latin1') ?? '') === undefined) {
    return wrong(
      pair,
      'damaged',
      'both',
      `this link should hold a digest and holds ${describe(hash)} on both sides`,
    );
  }
  return match('content', wasReadAgain);
}

async function readBoth(
  pair: PairToCheck,
  options: CheckOptions,
  isFresh: boolean,
): Promise<{ readonly source: ObjectHash; readonly target: ObjectHash }> {
  const source = await readSide('source', pair, 'sha256', options, isFresh);
  return { source, target: await readSide('target', pair, 'sha256', options, isFresh) };
}

function readSide(
  side: Side,
  pair: PairToCheck,
  algorithm: DigestAlgorithm,
  options: CheckOptions,
  isFresh = false,
): Promise<ObjectHash> {
  const { key, sizeBytes } = pair[side].info;
  const request = { driver: options[side], key, listedBytes: sizeBytes, algorithm, isFresh };
  return onSide(side, options.signal, () => hashObject(request, options));
}

function statSide(side: Side, pair: PairToCheck, options: CheckOptions): Promise<number> {
  const { signal } = options;
  return onSide(side, signal, async () => {
    const info = await options[side].stat({ signal }, pair[side].info.key);
    return info.sizeBytes;
  });
}

/** A failed read together with the side it happened on. */
export class SideError extends Error {
  readonly side: Side;
  readonly error: StorageError;
  constructor(side: Side, error: StorageError) {
    super(error.message, { cause: error });
    this.side = side;
    this.error = error;
  }
}

export async function onSide<T>(side: Side, signal: AbortSignal, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof StorageError && error.details.scope === 'object') throw new SideError(side, error);
    throw error;
  }
}

function verdictOfFailure(pair: PairToCheck, { side, error }: SideError): Verdict {
  if (side === 'target' && isStorageError(error, 'not-found')) {
    return wrong(pair, 'missing', 'target', 'it was listed in the target and is gone');
  }
  const record = toErrorRecord(error);
  return {
    exception: { problem: 'unreadable', side, path: pair.path, detail: error.message, error: record },
  };
}

function wrongSize(pair: PairToCheck, sourceBytes: number, targetBytes: number): Verdict {
  const detail = `the source has ${sourceBytes} bytes, the target ${targetBytes}`;
  return wrong(pair, 'wrong-size', 'target', detail);
}

function unsteady(pair: PairToCheck, side: Side): Verdict {
  const detail = `two reads of the ${side} gave different bytes: the object changed, or the connection or the disk is bad`;
  return wrong(pair, 'unreadable', side, detail);
}

function wrong(pair: PairToCheck, problem: Problem, side: ProblemSide, detail: string): Verdict {
  return { exception: { problem, side, path: pair.path, detail } };
}

function match(ground: MatchGround, wasReadAgain = false): Verdict {
  return { ground, wasReadAgain };
}

/** A digest as text when the content is short and printable, else size and hash. */
function describe(hash: ObjectHash, expected?: Expected): string {
  const text = hash.content?.toString('latin1');
  if (text !== undefined && /^[\x20-\x7e]+$/.test(text)) return JSON.stringify(text);
  const digest: Digest = { algorithm: expected?.algorithm ?? 'sha256', hex: hash.hex };
  return `${hash.sizeBytes} bytes with ${formatDigest(digest)}`;
}
