/** Answers to requests that remove something (https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html). */
import { type HttpCall, malformed } from '../http/call.ts';

/**
 * Whoever stands before the storage may say 200 to everything. S3 says 204 to a removal; services of its kind that say 200
 * show by their header that it is they who say it.
 * @throws StorageError of kind `corrupt`.
 */
export function demandRemoval(call: HttpCall, status: number | undefined, hasRequestId: boolean): void {
  if (status === 204 || status === 404 || (status === 200 && hasRequestId)) return;
  throw malformed(call, `status ${status} came, where an S3 service says 204`);
}
