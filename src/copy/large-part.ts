/** A part that no slab can hold: bounded memory is paid for with a second read. */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { crc64, crc64Hex } from '../core/crc64.ts';
import type { Body, ReadResult } from '../drivers/driver.ts';
import { type CopyContext, WrongBytes } from './context.ts';
import type { ObjectHasher } from './judge.ts';
import { type RangeReader, readRanges } from './read-ranges.ts';

export interface StreamedPart {
  readonly body: Body;
  readonly sha256: string;
  /** Both empty unless asked for. */
  readonly md5: string;
  readonly crc64: string;
  readonly crc32: number;
  readonly firstRead: ReadResult | undefined;
  /** For how long the body, when it was sent last, had nothing to send at a stretch. */
  readonly starvedMs: () => number;
}

/** Feeds the object's hasher, and gives a body that must turn out the same each time it is read. */
export async function streamedPart(
  ctx: CopyContext,
  range: RangeReader,
  hasher: ObjectHasher,
  { hasMd5, hasCrc64 }: { readonly hasMd5: boolean; readonly hasCrc64: boolean },
): Promise<StreamedPart> {
  const first = createHash('sha256');
  const md5 = hasMd5 ? createHash('md5') : undefined;
  let sum = 0;
  let sum64 = 0n;
  let firstRead: ReadResult | undefined;
  for await (const piece of readRanges(ctx, range)) {
    first.update(piece.bytes);
    md5?.update(piece.bytes);
    hasher.update(piece.bytes);
    sum = crc32(piece.bytes, sum);
    if (hasCrc64) sum64 = crc64(piece.bytes, sum64);
    firstRead ??= piece.read;
  }
  const version = range.version ?? firstRead?.version;
  const sha256 = first.digest('hex');
  const hunger = new Hunger();
  const body: Body = {
    sizeBytes: range.to - range.from,
    async *open() {
      const again = createHash('sha256');
      hunger.begin();
      for await (const piece of readRanges(ctx, { ...range, version })) {
        hunger.end();
        again.update(piece.bytes);
        const isLast = piece.offset + piece.bytes.length === range.to;
        // The end is held back until the whole part is known to be what was hashed.
        if (isLast && again.digest('hex') !== sha256) {
          throw new WrongBytes('two reads of it gave different bytes', false);
        }
        yield piece.bytes;
        hunger.wait();
      }
    },
  };
  return {
    body,
    starvedMs: () => hunger.longestMs(),
    sha256,
    md5: md5?.digest('hex') ?? '',
    crc64: hasCrc64 ? crc64Hex(sum64) : '',
    crc32: sum >>> 0,
    firstRead,
  };
}

/** How long a body waits for what it is to send. */
class Hunger {
  #sinceMs: number | undefined;
  #longestMs = 0;

  begin(): void {
    this.#longestMs = 0;
    this.wait();
  }

  wait(): void {
    this.#sinceMs = Date.now();
  }

  end(): void {
    this.#longestMs = this.longestMs();
    this.#sinceMs = undefined;
  }

  longestMs(): number {
    return Math.max(this.#longestMs, this.#sinceMs === undefined ? 0 : Date.now() - this.#sinceMs);
  }
}
