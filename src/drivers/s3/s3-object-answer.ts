/** Is the answer to a GET the object? */
import { type HttpCall, malformed } from '../http/call.ts';

/**
 * Every object has an ETag. A page or an error of whoever stands before the storage has none, and its status may well be
 * 200: copied, it would be an object with wrong bytes that nothing but a digest finds.
 * @throws StorageError of kind `corrupt`.
 */
export function demandObject(call: HttpCall, etag: string | undefined): void {
  if (etag === undefined) throw malformed(call, 'the answer has no ETag, and so is no object');
}
