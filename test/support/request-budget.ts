/** What the read-only window of a migration may ask of a storage; docs/decisions/0013. */
import assert from 'node:assert/strict';
import type { RequestRecord } from '../../bench/s3-server/request-log.ts';

export interface Budget {
  readonly objects: number;
  readonly changed: number;
  /** Whose listing says no MD5. */
  readonly mutableWithoutMd5: number;
  readonly shards: number;
}

function count(records: readonly RequestRecord[], ...operations: readonly string[]): number {
  return records.filter(({ operation }) => operations.includes(operation)).length;
}

/** @param name of the storage. */
export function assertBudget(
  name: string,
  records: readonly RequestRecord[],
  { objects, changed, mutableWithoutMd5, shards }: Budget,
): void {
  const puts = count(
    records,
    'PutObject',
    'UploadPart',
    'CompleteMultipartUpload',
    'CopyObject',
    'CreateMultipartUpload',
  );
  assert.ok(puts <= changed, `${name}: ${puts} PUT`);
  const probes = records.filter(({ key }) => key.startsWith('.blobferry-probe/'));
  assert.deepEqual(probes, [], `${name}: what the target refuses is known from the last pass`);
  const gets = count(records, 'GetObject', 'GetObjectAttributes');
  assert.ok(gets <= changed + mutableWithoutMd5, `${name}: ${gets} GET`);
  const heads = count(records, 'HeadObject', 'HeadBucket');
  assert.ok(heads <= changed, `${name}: ${heads} HEAD`);
  const lists = count(records, 'ListObjects', 'ListObjectsV2', 'ListMultipartUploads');
  const listsMax = 2 * (Math.ceil(objects / 1_000) + shards);
  assert.ok(lists <= listsMax, `${name}: ${lists} LIST, at most ${listsMax}`);
}
