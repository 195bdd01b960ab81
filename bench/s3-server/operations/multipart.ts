/** Multipart uploads: create, part, part copy, abort. Completing and listing them have files of their own. */
import { attributesOf, isKmsEncrypted } from '../s3/attributes.ts';
import { type ChecksumAlgorithm, type ChecksumType, parseChecksumAlgorithm } from '../s3/checksum.ts';
import {
  bucketOf,
  type OperationRequest,
  type ReceivedBody,
  type Response,
  xmlResponse,
} from '../s3/operation.ts';
import { S3Error } from '../s3/s3-error.ts';
import { find } from '../s3/sigv4.ts';
import { element, escapeXml, S3_NAMESPACE } from '../s3/xml.ts';
import { type Content, SlicedContent } from '../store/content.ts';
import type { OpenUpload, StoredPart } from '../store/store.ts';
import { checksumOfContent, copiedContent, copySourceOf, isoDate, opaqueEtag } from './write.ts';

const PART_NUMBER_MAX = 10_000;

export function uploadOf(request: OperationRequest): OpenUpload {
  const id = find(request.route.query, 'uploadId') ?? '';
  const upload = bucketOf(request).uploads.get(request.route.key)?.get(id);
  if (!upload) {
    throw new S3Error(
      'NoSuchUpload',
      'The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.',
      { fields: { UploadId: id } },
    );
  }
  return upload;
}

function partNumberOf(request: OperationRequest): number {
  const text = find(request.route.query, 'partNumber') ?? '';
  const number = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > PART_NUMBER_MAX) {
    throw new S3Error(
      'InvalidArgument',
      `Part number must be an integer between 1 and ${PART_NUMBER_MAX}, inclusive`,
      {
        fields: { ArgumentName: 'partNumber', ArgumentValue: text },
      },
    );
  }
  return number;
}

export function createMultipartUpload(request: OperationRequest): Response {
  const bucket = bucketOf(request);
  const checksum = request.settings.checksums ? uploadChecksum(request) : undefined;
  const upload = request.store.openUpload(bucket, {
    key: request.route.key,
    initiatedMs: request.nowMs,
    attributes: attributesOf(request.head),
    ...(checksum ? { checksum } : {}),
  });
  return xmlResponse(
    `<InitiateMultipartUploadResult${S3_NAMESPACE}>${element('Bucket', bucket.name)}<Key>${escapeXml(upload.key)}</Key>${element('UploadId', upload.id)}</InitiateMultipartUploadResult>`,
    checksum
      ? [
          ['x-amz-checksum-algorithm', checksum.algorithm.toUpperCase()],
          ['x-amz-checksum-type', checksum.type],
        ]
      : [],
  );
}

function uploadChecksum(
  request: OperationRequest,
): { readonly algorithm: ChecksumAlgorithm; readonly type: ChecksumType } | undefined {
  const name = request.head.headers.get('x-amz-checksum-algorithm');
  const type = request.head.headers.get('x-amz-checksum-type')?.toUpperCase();
  if (name === undefined) {
    if (type === undefined) return undefined;
    throw new S3Error(
      'InvalidRequest',
      'The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.',
    );
  }
  const algorithm = parseChecksumAlgorithm(name);
  if (!algorithm) {
    throw new S3Error(
      'InvalidRequest',
      'Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]',
    );
  }
  if (type === undefined) return { algorithm, type: algorithm === 'crc64nvme' ? 'FULL_OBJECT' : 'COMPOSITE' };
  const isPossible =
    type === 'FULL_OBJECT' ? algorithm.startsWith('crc') : type === 'COMPOSITE' && algorithm !== 'crc64nvme';
  if (!isPossible) {
    throw new S3Error(
      'InvalidRequest',
      `The ${type} checksum type cannot be used with the ${algorithm} checksum algorithm.`,
    );
  }
  return { algorithm, type: type as ChecksumType };
}

/** Before a byte of the part arrives. @returns the checksums that must be computed whether they are sent or not. */
export function preparePart(request: OperationRequest): readonly ChecksumAlgorithm[] {
  partNumberOf(request);
  const { checksum } = uploadOf(request);
  return checksum ? [checksum.algorithm] : [];
}

export function uploadPart(request: OperationRequest, body: ReceivedBody): Response {
  const upload = uploadOf(request);
  const wanted = upload.checksum?.algorithm;
  if (wanted && body.sent && body.sent.algorithm !== wanted) {
    throw new S3Error(
      'InvalidRequest',
      `Checksum Type mismatch occurred, expected checksum Type: ${wanted}, actual checksum Type: ${body.sent.algorithm}`,
    );
  }
  const checksum = wanted ? { algorithm: wanted, value: body.checksum(wanted) } : body.sent;
  const part = keepPart(request, upload, body.content, body.etag, checksum);
  return {
    status: 200,
    headers: [
      ['ETag', `"${part.etag}"`],
      ...(checksum ? [[`x-amz-checksum-${checksum.algorithm}`, checksum.value] as const] : []),
    ],
    body: '',
  };
}

function keepPart(
  request: OperationRequest,
  upload: OpenUpload,
  content: Content,
  md5: string,
  checksum: StoredPart['checksum'],
): StoredPart {
  const part: StoredPart = {
    number: partNumberOf(request),
    content,
    etag: isKmsEncrypted(upload.attributes) ? opaqueEtag(md5) : md5,
    modifiedMs: request.nowMs,
    ...(checksum ? { checksum } : {}),
  };
  upload.parts.set(part.number, part);
  return part;
}

export function uploadPartCopy(request: OperationRequest): Response {
  const upload = uploadOf(request);
  partNumberOf(request);
  const { object } = copySourceOf(request);
  const content = copiedContent(request, copiedRange(request, object.content));
  const md5 = checksumOfContent(content, 'md5').toString('hex');
  const algorithm = upload.checksum?.algorithm;
  const checksum = algorithm && {
    algorithm,
    value: checksumOfContent(content, algorithm).toString('base64'),
  };
  const part = keepPart(request, upload, content, md5, checksum);
  return xmlResponse(
    `<CopyPartResult${S3_NAMESPACE}>${element('LastModified', isoDate(part.modifiedMs))}${element('ETag', `"${part.etag}"`)}${partChecksumXml(part)}</CopyPartResult>`,
  );
}

function copiedRange(request: OperationRequest, source: Content): Content {
  const field = request.head.headers.get('x-amz-copy-source-range');
  if (field === undefined) return source;
  const [, first, last] = /^bytes=(\d{1,15})-(\d{1,15})$/.exec(field) ?? [];
  if (first === undefined || last === undefined || Number(first) > Number(last)) {
    throw new S3Error(
      'InvalidArgument',
      'The x-amz-copy-source-range value must be of the form bytes=first-last',
    );
  }
  if (Number(last) >= source.sizeBytes) {
    throw new S3Error('InvalidRange', 'Range specified is not valid for source object', {
      fields: { ActualObjectSize: source.sizeBytes },
    });
  }
  return new SlicedContent(source, Number(first), Number(last) + 1);
}

export function partChecksumXml(part: StoredPart): string {
  return part.checksum
    ? element(`Checksum${part.checksum.algorithm.toUpperCase()}`, part.checksum.value)
    : '';
}

export function abortMultipartUpload(request: OperationRequest): Response {
  request.store.closeUpload(bucketOf(request), uploadOf(request));
  return { status: 204, headers: [] };
}
