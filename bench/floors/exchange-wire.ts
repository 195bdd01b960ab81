/** What goes over the wire of the exchange: about what S3 needs for a GET and a PUT, and nothing to be understood. */

/** A GET's head. */
export const ASK_BYTES = 450;
/** Head of the answer to it, before the bytes asked for. */
export const GIVE_BYTES = 250;
/** A PUT's head, before its body. */
export const HEAD_BYTES = 550;
/** The whole answer to it. */
export const DONE_BYTES = 180;

/** Each request begins with the size of what it asks for or brings. */
export function writeSize(request: Buffer, size: number): void {
  request.writeUInt32LE(size);
}

export function readSize(request: Buffer): number {
  return request.readUInt32LE();
}
