/**
 * Names of blocks and of the marks of open uploads. A block's name says whose it is, which part, and the checksum that the
 * service compared its bytes with when it took them: the list of blocks has none of its own. All names have one length, as
 * Azure demands of the blocks of one blob.
 */
import { randomBytes } from 'node:crypto';
import type { AzureSpec } from '../spec.ts';

const ID_BYTES = 16;
const SUM_BYTES = 16;
/** Upload, number, kind of the checksum, checksum (a shorter one has zeros behind it): 37 of the 64 bytes that a name may have. */
const NAME_BYTES = ID_BYTES + 4 + 1 + SUM_BYTES;
const KINDS = { md5: 1, crc64: 2 } as const;
const CRC64_BYTES = 8;
const UPLOAD_ID = /^[0-9a-f]{32}$/;

export interface BlockName {
  readonly number: number;
  /** Lower-case hex, one of them at most. */
  readonly md5?: string;
  readonly crc64?: string;
}

/** In base64, as it stands in requests; `encodeURIComponent` is the query's matter. */
export function blockNameOf(uploadId: string, { number, md5, crc64 }: BlockName): string {
  const bytes = Buffer.alloc(NAME_BYTES);
  bytes.write(uploadId, 0, ID_BYTES, 'hex');
  bytes.writeUInt32BE(number, ID_BYTES);
  const sum = crc64 ?? md5;
  if (sum !== undefined) {
    bytes.writeUInt8(crc64 === undefined ? KINDS.md5 : KINDS.crc64, ID_BYTES + 4);
    bytes.write(sum, ID_BYTES + 5, SUM_BYTES, 'hex');
  }
  return bytes.toString('base64');
}

/** Undefined for a block that is none of this upload's. */
export function blockNameIn(uploadId: string, name: string): BlockName | undefined {
  const bytes = Buffer.from(name, 'base64');
  if (bytes.length !== NAME_BYTES || bytes.toString('hex', 0, ID_BYTES) !== uploadId) return undefined;
  const number = bytes.readUInt32BE(ID_BYTES);
  const kind = bytes.readUInt8(ID_BYTES + 4);
  const sum = (sumBytes: number): string => bytes.toString('hex', ID_BYTES + 5, ID_BYTES + 5 + sumBytes);
  if (kind === KINDS.md5) return { number, md5: sum(SUM_BYTES) };
  return kind === KINDS.crc64 ? { number, crc64: sum(CRC64_BYTES) } : { number };
}

export function newUploadId(): string {
  return randomBytes(ID_BYTES).toString('hex');
}

export function isUploadId(id: string): boolean {
  return UPLOAD_ID.test(id);
}

/** Blobs that each hold the key of an upload that is not complete: `<rootdirectory>/blobferry-uploads/<32 hex>`. */
export class UploadMarks {
  readonly prefix: string;

  constructor({ rootDirectory }: AzureSpec) {
    const root = rootDirectory.replace(/^\/+|\/+$/g, '');
    this.prefix = `${root === '' ? '' : `${root}/`}blobferry-uploads/`;
  }

  of(id: string): string {
    return this.prefix + id;
  }

  idIn(name: string): string | undefined {
    const id = name.slice(this.prefix.length);
    return name.startsWith(this.prefix) && isUploadId(id) ? id : undefined;
  }

  /** Marks are no content: no listing of the container shows them. */
  hides(name: string): boolean {
    return name.startsWith(this.prefix);
  }
}
