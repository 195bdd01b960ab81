/** Reads whole objects in ranges and hashes them: verification's own reader, sharing no code with the copy. */
import { createHash } from 'node:crypto';
import type { DigestAlgorithm } from '../core/digest.ts';
import { isStorageError, StorageError } from '../core/errors.ts';
import type { ReadResult, StorageDriver } from '../drivers/driver.ts';
import type { BufferPool } from './buffers.ts';

/** An object that changes more often than this while it is read is given up. */
const RESTARTS_MAX = 3;
/** Content up to this size is kept, so that a wrong link can be shown. A sha512 link has 135 bytes. */
const TEXT_BYTES_MAX = 256;

export interface ObjectHash {
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly hex: string;
  /** The content itself where it is at most 256 bytes. */
  readonly content?: Buffer;
}

export interface ReaderOptions {
  readonly buffers: BufferPool;
  readonly signal: AbortSignal;
  readonly onBytes: (count: number) => void;
}

/** What to read; the size is what the listing said and only decides how it is read. */
export interface ReadRequest {
  readonly driver: StorageDriver;
  readonly key: string;
  readonly listedBytes: number;
  readonly algorithm: DigestAlgorithm;
  /** A second opinion: not over a connection that was used before. */
  readonly isFresh?: boolean;
}

/** Hashes one version of the object from its first to its last byte; starts again when it changes in between. */
export async function hashObject(request: ReadRequest, options: ReaderOptions): Promise<ObjectHash> {
  const buffer = await options.buffers.take(request.listedBytes, options.signal);
  try {
    for (let restart = 0; restart <= RESTARTS_MAX; restart += 1) {
      const hash = await hashOneVersion(request, options, buffer);
      if (hash !== undefined) return hash;
    }
  } finally {
    options.buffers.giveBack(buffer);
  }
  throw keepsChanging(request);
}

/** Undefined when the object changed between two ranges. */
async function hashOneVersion(
  request: ReadRequest,
  options: ReaderOptions,
  buffer: Buffer,
): Promise<ObjectHash | undefined> {
  const hash = createHash(request.algorithm);
  const kept: Buffer[] = [];
  let first: ReadResult | undefined;
  let offset = 0;
  do {
    const into = rangeFor(buffer, (first?.totalBytes ?? request.listedBytes) - offset);
    const result = await readRange(request, options, into, offset, first?.version);
    if (result === undefined) return undefined;
    first ??= result;
    if (result.totalBytes !== first.totalBytes || result.version !== first.version) return undefined;
    if (result.bytesRead === 0 && offset < first.totalBytes)
      throw tooShort(request, offset, first.totalBytes);
    const range = into.subarray(0, result.bytesRead);
    hash.update(range);
    if (first.totalBytes <= TEXT_BYTES_MAX) kept.push(Buffer.from(range));
    offset += result.bytesRead;
  } while (offset < first.totalBytes);
  return {
    sizeBytes: first.totalBytes,
    hex: hash.digest('hex'),
    ...(first.totalBytes <= TEXT_BYTES_MAX ? { content: Buffer.concat(kept) } : {}),
  };
}

function rangeFor(buffer: Buffer, remainingBytes: number): Buffer {
  return buffer.subarray(0, Math.max(1, Math.min(buffer.length, remainingBytes)));
}

/** Undefined when the wanted version is no longer the object's. */
async function readRange(
  request: ReadRequest,
  options: ReaderOptions,
  into: Buffer,
  offset: number,
  version: string | undefined,
): Promise<ReadResult | undefined> {
  const { signal } = options;
  const isWhole = offset === 0 && into.length >= request.listedBytes;
  const isFresh = request.isFresh ?? false;
  const readOptions = { offset, isWhole, isFresh, ...(version === undefined ? {} : { version }) };
  try {
    const result = await request.driver.read({ signal }, request.key, into, readOptions);
    options.onBytes(result.bytesRead);
    return result;
  } catch (error) {
    if (isStorageError(error, 'precondition')) return undefined;
    // A range that now begins behind the end: the object became shorter.
    if (offset > 0 && isStorageError(error, 'range')) return undefined;
    throw error;
  }
}

function keepsChanging({ driver, key }: ReadRequest): StorageError {
  return new StorageError(
    `Cannot read "${key}" in ${driver.name}: it changed ${RESTARTS_MAX + 1} times while it was read`,
    {
      kind: 'precondition',
      backend: driver.name,
      operation: 'read',
      key,
      isTransient: false,
      scope: 'object',
    },
    { hint: 'Verify again when nothing writes to it any more' },
  );
}

function tooShort({ driver, key }: ReadRequest, offset: number, totalBytes: number): StorageError {
  return new StorageError(
    `Cannot read "${key}" in ${driver.name}: it ended after ${offset} of ${totalBytes} bytes`,
    { kind: 'corrupt', backend: driver.name, operation: 'read', key, isTransient: false, scope: 'object' },
  );
}
