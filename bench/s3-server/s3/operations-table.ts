/** Every operation, what its body is, and who carries it out. */
import {
  createBucket,
  deleteBucket,
  getAcl,
  getBucketLocation,
  getBucketVersioning,
  getMissingConfiguration,
  getTagging,
  headBucket,
  listBuckets,
} from '../operations/buckets.ts';
import { completeMultipartUpload } from '../operations/complete.ts';
import { listObjects, listObjectsV2 } from '../operations/list.ts';
import { listMultipartUploads, listParts } from '../operations/list-uploads.ts';
import {
  abortMultipartUpload,
  createMultipartUpload,
  preparePart,
  uploadPart,
  uploadPartCopy,
} from '../operations/multipart.ts';
import { getObject, getObjectAttributes, headObject } from '../operations/read.ts';
import { copyObject, deleteObject, deleteObjects, putObject } from '../operations/write.ts';
import type { ChecksumAlgorithm } from './checksum.ts';
import { bucketOf, type OperationRequest, type ReceivedBody, type Response } from './operation.ts';
import type { OperationName } from './route.ts';

interface XmlOperation {
  readonly kind: 'xml';
  /** Do `x-amz-checksum-…` fields speak of the body? */
  readonly hasChecksumFields: boolean;
  run(request: OperationRequest, xml: Buffer): Response;
}

interface ObjectOperation {
  readonly kind: 'object';
  readonly hasChecksumFields: true;
  /** Refuses before the body comes. @returns checksums to compute beside those the client sends. */
  prepare(request: OperationRequest): readonly ChecksumAlgorithm[];
  run(request: OperationRequest, body: ReceivedBody): Response;
}

export type Operation = XmlOperation | ObjectOperation;

function plain(run: XmlOperation['run']): XmlOperation {
  return { kind: 'xml', hasChecksumFields: false, run };
}

function preparePut(request: OperationRequest): readonly ChecksumAlgorithm[] {
  bucketOf(request);
  return [];
}

export const OPERATIONS: Readonly<Record<OperationName, Operation>> = {
  AbortMultipartUpload: plain(abortMultipartUpload),
  CompleteMultipartUpload: plain(completeMultipartUpload),
  CopyObject: plain(copyObject),
  CreateBucket: { kind: 'xml', hasChecksumFields: true, run: createBucket },
  CreateMultipartUpload: plain(createMultipartUpload),
  DeleteBucket: plain(deleteBucket),
  DeleteObject: plain(deleteObject),
  DeleteObjects: { kind: 'xml', hasChecksumFields: true, run: deleteObjects },
  GetAcl: plain(getAcl),
  GetBucketLocation: plain(getBucketLocation),
  GetBucketVersioning: plain(getBucketVersioning),
  GetMissingConfiguration: plain(getMissingConfiguration),
  GetObject: plain(getObject),
  GetObjectAttributes: plain(getObjectAttributes),
  GetTagging: plain(getTagging),
  HeadBucket: plain(headBucket),
  HeadObject: plain(headObject),
  ListBuckets: plain(listBuckets),
  ListMultipartUploads: plain(listMultipartUploads),
  ListObjects: plain(listObjects),
  ListObjectsV2: plain(listObjectsV2),
  ListParts: plain(listParts),
  PutObject: { kind: 'object', hasChecksumFields: true, prepare: preparePut, run: putObject },
  UploadPart: { kind: 'object', hasChecksumFields: true, prepare: preparePart, run: uploadPart },
  UploadPartCopy: plain(uploadPartCopy),
};
