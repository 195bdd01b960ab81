/** Reads an object too large for one slab, range by range in order, through one slab at a time. */

import { isStorageError } from '../core/errors.ts';
import type { CallContext, ReadResult, StorageDriver } from '../drivers/driver.ts';
import { type CopyContext, ObjectChanged } from './context.ts';

export interface RangeRead {
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly read: ReadResult;
}

export interface RangeReader {
  readonly driver: StorageDriver;
  readonly key: string;
  readonly from: number;
  readonly to: number;
  readonly sizeBytes: number;
  readonly version?: string | undefined;
  readonly isFresh?: boolean;
}

/** Each piece is valid until the next one is asked for. @throws ObjectChanged when ranges of two versions would mix. */
export async function* readRanges(ctx: CopyContext, object: RangeReader): AsyncGenerator<RangeRead> {
  const stepBytes = Math.min(ctx.partBytes, ctx.slabs.slabBytesMax);
  let version = object.version;
  for (let offset = object.from; offset < object.to; offset += stepBytes) {
    const slab = await ctx.slabs.acquire(Math.min(stepBytes, object.to - offset), ctx.signal);
    try {
      const read = await readRange(ctx, object.driver, object.key, slab.bytes, {
        offset,
        version,
        sizeBytes: object.sizeBytes,
        ...(object.isFresh ? { isFresh: true } : {}),
      });
      version ??= read.version;
      yield { bytes: slab.bytes, offset, read };
    } finally {
      slab.release();
    }
  }
}

interface RangeOptions {
  readonly offset: number;
  readonly version: string | undefined;
  readonly sizeBytes: number;
  readonly isFresh?: boolean;
}

/** One range of one version of an object. */
export async function readRange(
  ctx: CallContext,
  driver: StorageDriver,
  key: string,
  into: Uint8Array,
  options: RangeOptions,
): Promise<ReadResult> {
  try {
    const read = await driver.read(ctx, key, into, {
      offset: options.offset,
      ...(options.version === undefined ? {} : { version: options.version }),
      ...(options.isFresh ? { isFresh: true } : {}),
    });
    if (read.totalBytes !== options.sizeBytes) throw new ObjectChanged(read.totalBytes);
    // There are servers that do not look at If-Match; what they send says which version it is.
    if (options.version !== undefined && (read.version ?? options.version) !== options.version)
      throw new ObjectChanged(undefined);
    if (read.bytesRead !== into.length) throw new ObjectChanged(undefined);
    return read;
  } catch (error) {
    if (isStorageError(error, 'precondition')) throw new ObjectChanged(undefined);
    throw error;
  }
}
