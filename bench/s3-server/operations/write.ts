/** PutObject, CopyObject and deletion. */
import { hash } from 'node:crypto';
import { flipBit } from '../faults/flip-bit.ts';
import { percentDecode } from '../http/uri.ts';
import { attributesOf, copiedAttributes, isKmsEncrypted } from '../s3/attributes.ts';
import {
  BodyDigests,
  type ChecksumAlgorithm,
  parseChecksumAlgorithm,
  type StoredChecksum,
} from '../s3/checksum.ts';
import {
  bucketOf,
  checksumHeaders,
  type OperationRequest,
  type ReceivedBody,
  type Response,
  xmlResponse,
} from '../s3/operation.ts';
import { checkKey } from '../s3/route.ts';
import { S3Error } from '../s3/s3-error.ts';
import {
  childrenOf,
  childText,
  element,
  escapeXml,
  malformedXml,
  parseXml,
  S3_NAMESPACE,
} from '../s3/xml.ts';
import { type Content, contentOf } from '../store/content.ts';
import type { StoredObject } from '../store/store.ts';
import { checkCopySourceConditions, checkWriteConditions } from './conditions.ts';
import { checkRestored } from './read.ts';

export function putObject(request: OperationRequest, body: ReceivedBody): Response {
  const bucket = bucketOf(request);
  const { key } = request.route;
  checkWriteConditions(request.head, bucket.objects.get(key));
  const attributes = attributesOf(request.head);
  const checksum: StoredChecksum | undefined = body.sent && { ...body.sent, type: 'FULL_OBJECT' };
  const etag = isKmsEncrypted(attributes) ? opaqueEtag(body.etag) : body.etag;
  bucket.objects.set(key, {
    content: body.content,
    etag,
    modifiedMs: request.nowMs,
    attributes,
    ...(checksum ? { checksum } : {}),
  });
  return { status: 200, headers: [['ETag', `"${etag}"`], ...checksumHeaders(checksum)], body: '' };
}

/** What SSE-KMS does to ETags: still 32 hex digits, but no MD5 of the content. */
export function opaqueEtag(etag: string): string {
  return hash('md5', `opaque ${etag}`, 'hex');
}

export interface CopySource {
  readonly bucket: string;
  readonly key: string;
  readonly object: StoredObject;
}

export function copySourceOf(request: OperationRequest): CopySource {
  const field = request.head.headers.get('x-amz-copy-source') ?? '';
  const [rawPath = '', version] = field.replace(/^\//, '').split('?versionId=');
  if (version !== undefined && version !== 'null') {
    throw new S3Error('NotImplemented', 'Copies of versions are not implemented');
  }
  const path = percentDecode(rawPath, false);
  const slash = path.indexOf('/');
  const bucketName = path.slice(0, Math.max(slash, 0));
  const key = path.slice(slash + 1);
  if (slash < 1 || key === '') {
    throw new S3Error(
      'InvalidArgument',
      'Copy Source must mention the source bucket and key: sourcebucket/sourcekey',
    );
  }
  checkKey(key);
  const bucket = request.store.buckets.get(bucketName);
  if (!bucket)
    throw new S3Error('NoSuchBucket', 'The specified bucket does not exist', {
      fields: { BucketName: bucketName },
    });
  const object = bucket.objects.get(key);
  if (!object) throw new S3Error('NoSuchKey', 'The specified key does not exist.', { fields: { Key: key } });
  checkCopySourceConditions(request.head, object);
  checkRestored(object);
  return { bucket: bucketName, key, object };
}

const COPY_BYTES_MAX = 5 * 1024 ** 3;

export function copyObject(request: OperationRequest): Response {
  const bucket = bucketOf(request);
  const source = copySourceOf(request);
  const directive = request.head.headers.get('x-amz-metadata-directive')?.toUpperCase() ?? 'COPY';
  const isSame = source.bucket === request.route.bucket && source.key === request.route.key;
  if (directive !== 'COPY' && directive !== 'REPLACE') {
    throw new S3Error('InvalidArgument', 'Unknown metadata directive.');
  }
  if (isSame && directive === 'COPY') {
    throw new S3Error(
      'InvalidRequest',
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata",
    );
  }
  if (source.object.content.sizeBytes > COPY_BYTES_MAX) {
    throw new S3Error(
      'InvalidRequest',
      'The specified copy source is larger than the maximum allowable size for a copy source',
    );
  }
  checkWriteConditions(request.head, bucket.objects.get(request.route.key));
  const attributes =
    directive === 'COPY'
      ? copiedAttributes(source.object.attributes, request.head)
      : attributesOf(request.head);
  const content = copiedContent(request, source.object.content);
  const checksum = copiedChecksum(request, source.object, content);
  const copied: StoredObject = {
    content,
    etag: isKmsEncrypted(attributes) ? opaqueEtag(source.object.etag) : source.object.etag,
    modifiedMs: request.nowMs,
    attributes,
    ...(checksum ? { checksum } : {}),
  };
  bucket.objects.set(request.route.key, copied);
  return xmlResponse(
    `<CopyObjectResult${S3_NAMESPACE}>${element('LastModified', isoDate(request.nowMs))}${element('ETag', `"${copied.etag}"`)}${checksumXml(checksum)}</CopyObjectResult>`,
  );
}

/** Computed anew when the request asks for an algorithm, else the source's goes along. */
function copiedChecksum(
  request: OperationRequest,
  source: StoredObject,
  content: Content,
): StoredChecksum | undefined {
  const { checksums, copyChecksums } = request.settings;
  if (!checksums || copyChecksums === 'none') return undefined;
  const asked = request.head.headers.get('x-amz-checksum-algorithm');
  if (asked === undefined || copyChecksums === 'copied') return source.checksum;
  const algorithm = parseChecksumAlgorithm(asked);
  if (!algorithm) throw new S3Error('InvalidRequest', 'Checksum algorithm provided is unsupported.');
  return {
    algorithm,
    type: 'FULL_OBJECT',
    value: checksumOfContent(content, algorithm).toString('base64'),
  };
}

/** As it comes out of a copy, which a fault may have changed. */
export function copiedContent({ copyFlip, store }: OperationRequest, source: Content): Content {
  if (!copyFlip || copyFlip.offset >= source.sizeBytes) return source;
  const bytes = Buffer.concat(source.read(0, source.sizeBytes));
  return contentOf(flipBit(bytes, copyFlip.offset, copyFlip.bit), store.contents);
}

const READ_BYTES = 1024 * 1024;

export function checksumOfContent(content: Content, algorithm: ChecksumAlgorithm | 'md5'): Buffer {
  const digests = new BodyDigests([algorithm]);
  for (let at = 0; at < content.sizeBytes; at += READ_BYTES) {
    for (const piece of content.read(at, Math.min(content.sizeBytes, at + READ_BYTES))) digests.update(piece);
  }
  return digests.get(algorithm);
}

export function checksumXml(checksum: StoredChecksum | undefined): string {
  if (!checksum) return '';
  const name = `Checksum${checksum.algorithm.toUpperCase()}`;
  return element(name, checksum.value) + element('ChecksumType', checksum.type);
}

export function isoDate(ms: number): string {
  return new Date(ms).toISOString();
}

export function deleteObject(request: OperationRequest): Response {
  const bucket = bucketOf(request);
  const existing = bucket.objects.get(request.route.key);
  if (request.head.headers.has('if-match')) checkWriteConditions(request.head, existing);
  bucket.objects.delete(request.route.key);
  return { status: 204, headers: [] };
}

const DELETE_KEYS_MAX = 1000;

export function deleteObjects(request: OperationRequest, xml: Buffer): Response {
  const bucket = bucketOf(request);
  const root = parseXml(xml);
  const keys = childrenOf(root, 'Object').map((object) => childText(object, 'Key') ?? '');
  if (root.name !== 'Delete' || keys.length === 0 || keys.length > DELETE_KEYS_MAX || keys.includes('')) {
    throw malformedXml('a Delete names 1 to 1000 keys');
  }
  const isQuiet = childText(root, 'Quiet')?.trim() === 'true';
  let answer = '';
  for (const key of keys) {
    bucket.objects.delete(key);
    if (!isQuiet) answer += `<Deleted><Key>${escapeXml(key)}</Key></Deleted>`;
  }
  return xmlResponse(`<DeleteResult${S3_NAMESPACE}>${answer}</DeleteResult>`);
}
