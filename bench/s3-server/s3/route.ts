/** From a request to what it asks for: operation, bucket, key. */
import type { RequestHead } from '../http/request-head.ts';
import { isUtf8, percentDecode } from '../http/uri.ts';
import { S3Error } from './s3-error.ts';
import { find, type Query } from './sigv4.ts';

export type OperationName =
  | 'AbortMultipartUpload'
  | 'CompleteMultipartUpload'
  | 'CopyObject'
  | 'CreateBucket'
  | 'CreateMultipartUpload'
  | 'DeleteBucket'
  | 'DeleteObject'
  | 'DeleteObjects'
  | 'GetAcl'
  | 'GetBucketLocation'
  | 'GetBucketVersioning'
  | 'GetMissingConfiguration'
  | 'GetObject'
  | 'GetObjectAttributes'
  | 'GetTagging'
  | 'HeadBucket'
  | 'HeadObject'
  | 'ListBuckets'
  | 'ListMultipartUploads'
  | 'ListObjects'
  | 'ListObjectsV2'
  | 'ListParts'
  | 'PutObject'
  | 'UploadPart'
  | 'UploadPartCopy';

export interface Route {
  readonly operation: OperationName;
  /** Empty for ListBuckets. */
  readonly bucket: string;
  /** Binary string; empty for bucket operations. */
  readonly key: string;
  readonly query: Query;
}

const KEY_BYTES_MAX = 1024;

export function parseQuery(rawQuery: string): Query {
  if (rawQuery === '') return [];
  return rawQuery
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const equals = pair.indexOf('=');
      const name = equals < 0 ? pair : pair.slice(0, equals);
      const value = equals < 0 ? '' : pair.slice(equals + 1);
      return [percentDecode(name, true), percentDecode(value, true)] as const;
    });
}

/** `bucket.localhost:port` is virtual-host style; every other host is path style. */
function bucketOfHost(head: RequestHead): string | undefined {
  return /^(.+)\.localhost(?::\d+)?$/i.exec(head.headers.get('host') ?? '')?.[1];
}

export function splitPath(head: RequestHead): { readonly bucket: string; readonly key: string } {
  const path = percentDecode(head.rawPath, false).slice(1);
  const hosted = bucketOfHost(head);
  if (hosted !== undefined) return { bucket: hosted, key: path };
  const slash = path.indexOf('/');
  return slash < 0 ? { bucket: path, key: '' } : { bucket: path.slice(0, slash), key: path.slice(slash + 1) };
}

export function routeOf(head: RequestHead, query: Query): Route {
  const { bucket, key } = splitPath(head);
  if (key !== '') checkKey(key);
  const operation =
    bucket === ''
      ? serviceOperation(head.method)
      : key === ''
        ? bucketOperation(head.method, query)
        : objectOperation(head, query);
  if (operation === undefined) {
    throw new S3Error('MethodNotAllowed', 'The specified method is not allowed against this resource.', {
      fields: { Method: head.method },
    });
  }
  return { operation, bucket, key, query };
}

export function checkKey(key: string): void {
  if (key.length > KEY_BYTES_MAX) {
    throw new S3Error('KeyTooLongError', 'Your key is too long', {
      fields: { MaxSizeAllowed: KEY_BYTES_MAX, Size: key.length },
    });
  }
  if (!isUtf8(key)) throw new S3Error('InvalidObjectName', 'The key is not valid UTF-8');
}

/** Sub-resources that are read as if nothing had ever been configured. Writing them is not implemented. */
const UNSET_CONFIGURATIONS = [
  'cors',
  'encryption',
  'lifecycle',
  'object-lock',
  'policy',
  'replication',
  'publicAccessBlock',
  'ownershipControls',
];

/** Anything else that changes what a request means; it must never be taken for a plain read or write. */
const UNKNOWN_SUBRESOURCES = [
  ...UNSET_CONFIGURATIONS,
  'accelerate',
  'acl',
  'analytics',
  'inventory',
  'intelligent-tiering',
  'legal-hold',
  'logging',
  'metrics',
  'notification',
  'policyStatus',
  'renameObject',
  'requestPayment',
  'restore',
  'retention',
  'select',
  'session',
  'tagging',
  'torrent',
  'versioning',
  'versions',
  'versionId',
  'website',
];

function has(query: Query, name: string): boolean {
  return query.length > 0 && find(query, name) !== undefined;
}

function refuseUnknown(query: Query): void {
  for (const [name, value] of query) {
    // Clients that walk versions name the only one an unversioned bucket has.
    if (name === 'versionId' && value === 'null') continue;
    if (UNKNOWN_SUBRESOURCES.includes(name)) {
      throw new S3Error(
        'NotImplemented',
        `A header or query you provided implies functionality that is not implemented: ${name}`,
      );
    }
  }
}

function serviceOperation(method: string): OperationName | undefined {
  return method === 'GET' ? 'ListBuckets' : undefined;
}

function bucketOperation(method: string, query: Query): OperationName | undefined {
  if (method === 'GET') return bucketRead(query);
  if (method === 'POST' && has(query, 'delete')) return 'DeleteObjects';
  refuseUnknown(query);
  if (method === 'PUT') return 'CreateBucket';
  if (method === 'HEAD') return 'HeadBucket';
  return method === 'DELETE' ? 'DeleteBucket' : undefined;
}

function bucketRead(query: Query): OperationName {
  if (has(query, 'location')) return 'GetBucketLocation';
  if (has(query, 'uploads')) return 'ListMultipartUploads';
  if (has(query, 'versioning')) return 'GetBucketVersioning';
  if (has(query, 'acl')) return 'GetAcl';
  if (has(query, 'tagging')) return 'GetTagging';
  if (UNSET_CONFIGURATIONS.some((name) => has(query, name))) return 'GetMissingConfiguration';
  refuseUnknown(query);
  return find(query, 'list-type') === '2' ? 'ListObjectsV2' : 'ListObjects';
}

function objectOperation(head: RequestHead, query: Query): OperationName | undefined {
  const isCopy = head.headers.has('x-amz-copy-source');
  const hasUpload = has(query, 'uploadId');
  switch (head.method) {
    case 'GET':
      if (hasUpload) return 'ListParts';
      if (has(query, 'acl')) return 'GetAcl';
      if (has(query, 'tagging')) return 'GetTagging';
      if (has(query, 'attributes')) return 'GetObjectAttributes';
      refuseUnknown(query);
      return 'GetObject';
    case 'HEAD':
      refuseUnknown(query);
      return 'HeadObject';
    case 'PUT':
      refuseUnknown(query);
      if (hasUpload || has(query, 'partNumber')) return isCopy ? 'UploadPartCopy' : 'UploadPart';
      return isCopy ? 'CopyObject' : 'PutObject';
    case 'POST':
      if (has(query, 'uploads')) return 'CreateMultipartUpload';
      if (hasUpload) return 'CompleteMultipartUpload';
      refuseUnknown(query);
      return undefined;
    case 'DELETE':
      if (hasUpload) return 'AbortMultipartUpload';
      refuseUnknown(query);
      return 'DeleteObject';
    default:
      return undefined;
  }
}
