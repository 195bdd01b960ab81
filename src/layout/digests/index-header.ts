/** The first record's place in an index file: what it is, and how many records follow. */
import { RECORD_BYTES } from './digest-record.ts';

export const INDEX_HEADER_BYTES = RECORD_BYTES;
const MAGIC = 'blobferry digests 1\n';
const COUNT_AT = 32;
const WHOLE_AT = 40;

/** @param isWhole false while the records behind it are being written. */
export function indexHeader(records: number, isWhole: boolean): Buffer {
  const header = Buffer.alloc(INDEX_HEADER_BYTES);
  header.write(MAGIC, 'latin1');
  header.writeBigUInt64LE(BigInt(records), COUNT_AT);
  header[WHOLE_AT] = isWhole ? 1 : 0;
  return header;
}

/** Undefined where it is no header, or that of a file that is not whole. */
export function recordsIn(header: Buffer): number | undefined {
  if (header.length < INDEX_HEADER_BYTES || header.toString('latin1', 0, MAGIC.length) !== MAGIC)
    return undefined;
  return header[WHOLE_AT] === 1 ? Number(header.readBigUInt64LE(COUNT_AT)) : undefined;
}
