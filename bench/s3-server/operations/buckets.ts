/** Buckets themselves, and the settings of theirs that clients ask for before they begin. */
import { bucketOf, type OperationRequest, type Response, xmlResponse } from '../s3/operation.ts';
import { S3Error } from '../s3/s3-error.ts';
import { element, S3_NAMESPACE } from '../s3/xml.ts';
import { objectOf } from './read.ts';
import { isoDate } from './write.ts';

const OWNER = `<Owner>${element('ID', 'owner')}${element('DisplayName', 'owner')}</Owner>`;

export function listBuckets(request: OperationRequest): Response {
  let buckets = '';
  for (const [name, bucket] of request.store.buckets.entriesFrom('')) {
    buckets += `<Bucket>${element('Name', name)}${element('CreationDate', isoDate(bucket.createdMs))}</Bucket>`;
  }
  return xmlResponse(
    `<ListAllMyBucketsResult${S3_NAMESPACE}>${OWNER}<Buckets>${buckets}</Buckets></ListAllMyBucketsResult>`,
  );
}

function isBucketName(name: string): boolean {
  return (
    /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) && !name.includes('..') && !/^\d+(\.\d+){3}$/.test(name)
  );
}

export function createBucket(request: OperationRequest): Response {
  const name = request.route.bucket;
  if (!isBucketName(name)) {
    throw new S3Error('InvalidBucketName', 'The specified bucket is not valid.', {
      fields: { BucketName: name },
    });
  }
  // One's own bucket once more is no error, as in AWS's first region and in Ceph.
  if (!request.store.buckets.get(name)) request.store.createBucket(name, request.nowMs);
  return { status: 200, headers: [['Location', `/${name}`]], body: '' };
}

export function headBucket(request: OperationRequest): Response {
  bucketOf(request);
  return { status: 200, headers: [['x-amz-bucket-region', regionOf(request)]], announcedBytes: 0 };
}

export function deleteBucket(request: OperationRequest): Response {
  const bucket = bucketOf(request);
  if (bucket.objects.size > 0) {
    throw new S3Error('BucketNotEmpty', 'The bucket you tried to delete is not empty', {
      fields: { BucketName: bucket.name },
    });
  }
  request.store.buckets.delete(bucket.name);
  return { status: 204, headers: [] };
}

function regionOf(request: OperationRequest): string {
  return request.settings.region ?? 'us-east-1';
}

export function getBucketLocation(request: OperationRequest): Response {
  bucketOf(request);
  const region = regionOf(request);
  // The oldest region has no name here.
  const constraint = region === 'us-east-1' ? '' : region;
  return xmlResponse(`<LocationConstraint${S3_NAMESPACE}>${constraint}</LocationConstraint>`);
}

export function getBucketVersioning(request: OperationRequest): Response {
  bucketOf(request);
  return xmlResponse(`<VersioningConfiguration${S3_NAMESPACE}></VersioningConfiguration>`);
}

export function getTagging(request: OperationRequest): Response {
  if (request.route.key === '') {
    bucketOf(request);
    throw missing('NoSuchTagSet', 'The TagSet does not exist');
  }
  objectOf(request);
  return xmlResponse(`<Tagging${S3_NAMESPACE}><TagSet></TagSet></Tagging>`);
}

export function getAcl(request: OperationRequest): Response {
  if (request.route.key === '') bucketOf(request);
  else objectOf(request);
  const grantee = `<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">${element('ID', 'owner')}${element('DisplayName', 'owner')}</Grantee>`;
  return xmlResponse(
    `<AccessControlPolicy${S3_NAMESPACE}>${OWNER}<AccessControlList><Grant>${grantee}${element('Permission', 'FULL_CONTROL')}</Grant></AccessControlList></AccessControlPolicy>`,
  );
}

const MISSING_CODES: Readonly<Record<string, string>> = {
  cors: 'NoSuchCORSConfiguration',
  encryption: 'ServerSideEncryptionConfigurationNotFoundError',
  lifecycle: 'NoSuchLifecycleConfiguration',
  'object-lock': 'ObjectLockConfigurationNotFoundError',
  ownershipControls: 'OwnershipControlsNotFoundError',
  policy: 'NoSuchBucketPolicy',
  publicAccessBlock: 'NoSuchPublicAccessBlockConfiguration',
  replication: 'ReplicationConfigurationNotFoundError',
};

export function getMissingConfiguration(request: OperationRequest): Response {
  bucketOf(request);
  const name = request.route.query.map(([one]) => one).find((one) => MISSING_CODES[one] !== undefined) ?? '';
  throw missing(MISSING_CODES[name] ?? 'NoSuchConfiguration', `The bucket has no configuration of ${name}`);
}

function missing(code: string, message: string): S3Error {
  return new S3Error('NoSuchKey', message, { code });
}
