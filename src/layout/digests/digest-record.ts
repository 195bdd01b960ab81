/**
 * What the files of a digest index consist of: records of 96 bytes, the blob's id and its sha256.
 *
 *     bytes 0 to 63    the id, filled up with `/`
 *     bytes 64 to 95   the sha256
 *
 * The slash is what follows an id in the path of its blob (`…/id/<first two characters>/<id>/data`): so filled up, ids
 * compare as these paths do, also where one id is the beginning of another (`a-1` before `a` before `a1`).
 */

export const ID_BYTES = 64;
export const RECORD_BYTES = 96;

const FILL = 0x2f;
/** What is safe in a path and sorts by one byte a character. Two characters name the folder. */
const ID = /^[A-Za-z0-9._-]{2,64}$/;
const HEX = /^[0-9a-f]{64}$/;

export interface DigestRecord {
  readonly id: string;
  /** 64 lower-case hex digits. */
  readonly sha256: string;
}

/** Can it name a blob? Any other id would not fit, or would point out of its folder. */
export function isBlobId(id: string): boolean {
  return ID.test(id) && !id.startsWith('..') && id !== '.';
}

/** @throws RangeError for an id or sha256 that is none. */
export function writeRecord({ id, sha256 }: DigestRecord, into: Buffer, at: number): void {
  if (!isBlobId(id) || !HEX.test(sha256)) throw new RangeError('That is no record of a digest index');
  writeId(id, into, at);
  into.write(sha256, at + ID_BYTES, 32, 'hex');
}

/** @param id one that `isBlobId`. */
export function writeId(id: string, into: Buffer, at: number): void {
  into.fill(FILL, at, at + ID_BYTES);
  into.write(id, at, ID_BYTES, 'latin1');
}

export function readRecord(from: Buffer, at: number): DigestRecord {
  const end = from.indexOf(FILL, at);
  const idEnd = end < 0 || end > at + ID_BYTES ? at + ID_BYTES : end;
  return {
    id: from.toString('latin1', at, idEnd),
    sha256: from.toString('hex', at + ID_BYTES, at + RECORD_BYTES),
  };
}

/** By id only: negative, zero or positive. */
export function compareIds(one: Buffer, oneAt: number, other: Buffer, otherAt: number): number {
  return one.compare(other, otherAt, otherAt + ID_BYTES, oneAt, oneAt + ID_BYTES);
}
