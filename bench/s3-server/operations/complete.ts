/** CompleteMultipartUpload: where parts become an object, and the last place where a wrong one can be refused. */
import { hash } from 'node:crypto';
import {
  CHECKSUM_ALGORITHMS,
  type ChecksumAlgorithm,
  combineParts,
  compositeOf,
  type PartChecksum,
  type StoredChecksum,
} from '../s3/checksum.ts';
import {
  bucketOf,
  checksumHeaders,
  type OperationRequest,
  type Response,
  xmlResponse,
} from '../s3/operation.ts';
import { S3Error } from '../s3/s3-error.ts';
import { find } from '../s3/sigv4.ts';
import {
  childrenOf,
  childText,
  element,
  escapeXml,
  malformedXml,
  parseXml,
  S3_NAMESPACE,
} from '../s3/xml.ts';
import { JoinedContent } from '../store/content.ts';
import type { OpenUpload, StoredObject, StoredPart } from '../store/store.ts';
import { checkWriteConditions } from './conditions.ts';
import { uploadOf } from './multipart.ts';
import { checksumXml } from './write.ts';

const PART_BYTES_MIN = 5 * 1024 * 1024;
const PARTS_MAX = 10_000;
/** AWS's limit of one object since December 2025. */
const OBJECT_BYTES_MAX = 50 * 1024 ** 4;

interface NamedPart {
  readonly number: number;
  readonly etag: string;
  readonly checksums: ReadonlyMap<ChecksumAlgorithm, string>;
}

export function completeMultipartUpload(request: OperationRequest, xml: Buffer): Response {
  const bucket = bucketOf(request);
  const { key } = request.route;
  const named = readParts(xml);
  const repeated = previouslyCompleted(request, named);
  if (repeated) return completed(request, repeated);
  const upload = uploadOf(request);
  const parts = matchParts(request, upload, named);
  const sizeBytes = parts.reduce((sum, part) => sum + part.content.sizeBytes, 0);
  checkSize(request, sizeBytes);
  const checksum = checkChecksum(request, upload, named, parts);
  checkWriteConditions(request.head, bucket.objects.get(key));
  const [only] = parts;
  const object: StoredObject = {
    content: only && parts.length === 1 ? only.content : new JoinedContent(parts.map((part) => part.content)),
    etag: multipartEtag(parts),
    modifiedMs: request.nowMs,
    attributes: upload.attributes,
    partBytes: parts.map((part) => part.content.sizeBytes),
    ...(checksum ? { checksum } : {}),
  };
  bucket.objects.set(key, object);
  request.store.closeUpload(bucket, upload);
  return completed(request, object);
}

function completed(request: OperationRequest, object: StoredObject): Response {
  const { bucket, key } = request.route;
  return xmlResponse(
    `<CompleteMultipartUploadResult${S3_NAMESPACE}>${element('Location', `/${bucket}/${key}`)}${element('Bucket', bucket)}<Key>${escapeXml(key)}</Key>${element('ETag', `"${object.etag}"`)}${checksumXml(object.checksum)}</CompleteMultipartUploadResult>`,
    checksumHeaders(object.checksum),
  );
}

/** The MD5 of the parts' MD5s (or what stands for them), and how many there are. */
function multipartEtag(parts: readonly { readonly etag: string }[]): string {
  const joined = Buffer.from(parts.map((part) => part.etag.replace(/-.*/, '')).join(''), 'hex');
  return `${hash('md5', joined, 'hex')}-${parts.length}`;
}

function readParts(xml: Buffer): readonly NamedPart[] {
  const root = parseXml(xml);
  const elements = childrenOf(root, 'Part');
  if (root.name !== 'CompleteMultipartUpload' || elements.length === 0 || elements.length > PARTS_MAX) {
    throw malformedXml(`a CompleteMultipartUpload names 1 to ${PARTS_MAX} parts`);
  }
  return elements.map((part) => {
    const number = childText(part, 'PartNumber')?.trim() ?? '';
    const etag = childText(part, 'ETag')
      ?.trim()
      .replace(/^"(.*)"$/, '$1');
    if (!/^\d{1,5}$/.test(number) || !etag) throw malformedXml('a Part has a PartNumber and an ETag');
    const checksums = new Map<ChecksumAlgorithm, string>();
    for (const algorithm of CHECKSUM_ALGORITHMS) {
      const value = childText(part, `Checksum${algorithm.toUpperCase()}`)?.trim();
      if (value) checksums.set(algorithm, value);
    }
    return { number: Number(number), etag, checksums };
  });
}

/**
 * A client that lost the answer asks again, with an upload that is gone. As in Ceph, the object tells: if it has the ETag
 * that these parts make, they were completed.
 */
function previouslyCompleted(
  request: OperationRequest,
  named: readonly NamedPart[],
): StoredObject | undefined {
  const bucket = bucketOf(request);
  const id = find(request.route.query, 'uploadId') ?? '';
  if (bucket.uploads.get(request.route.key)?.has(id)) return undefined;
  const object = bucket.objects.get(request.route.key);
  return object?.etag === multipartEtag(named) ? object : undefined;
}

function matchParts(
  request: OperationRequest,
  upload: OpenUpload,
  named: readonly NamedPart[],
): readonly StoredPart[] {
  let previous = 0;
  const parts = named.map((one) => {
    if (one.number <= previous) {
      throw new S3Error(
        'InvalidPartOrder',
        'The list of parts was not in ascending order. Parts must be ordered by part number.',
        {
          fields: { UploadId: upload.id },
        },
      );
    }
    previous = one.number;
    const part = upload.parts.get(one.number);
    if (!part || part.etag !== one.etag || hasWrongChecksum(request, one, part))
      throw invalidPart(upload, one);
    return part;
  });
  // AWS drops parts that are not named; Ceph refuses, which a client that sends no stray parts never meets.
  if (upload.parts.size !== parts.length) throw invalidPart(upload, undefined);
  for (const part of parts.slice(0, -1)) {
    if (part.content.sizeBytes < PART_BYTES_MIN) {
      throw new S3Error('EntityTooSmall', 'Your proposed upload is smaller than the minimum allowed size', {
        fields: {
          ProposedSize: part.content.sizeBytes,
          MinSizeAllowed: PART_BYTES_MIN,
          PartNumber: part.number,
          ETag: part.etag,
        },
      });
    }
  }
  return parts;
}

function hasWrongChecksum(request: OperationRequest, named: NamedPart, part: StoredPart): boolean {
  if (!request.settings.checksums || request.settings.checksNothing) return false;
  for (const [algorithm, value] of named.checksums) {
    if (part.checksum?.algorithm !== algorithm || part.checksum.value !== value) return true;
  }
  return false;
}

function invalidPart(upload: OpenUpload, named: NamedPart | undefined): S3Error {
  return new S3Error(
    'InvalidPart',
    "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag or checksum may not match the part's.",
    { fields: { UploadId: upload.id, ...(named ? { PartNumber: named.number, ETag: named.etag } : {}) } },
  );
}

function checkSize(request: OperationRequest, sizeBytes: number): void {
  const announced = request.head.headers.get('x-amz-mp-object-size');
  if (announced !== undefined && announced !== String(sizeBytes)) {
    throw new S3Error(
      'InvalidRequest',
      'The provided x-amz-mp-object-size does not match the total size of the parts',
    );
  }
  if (sizeBytes > OBJECT_BYTES_MAX) {
    throw new S3Error('EntityTooLarge', 'Your proposed upload exceeds the maximum allowed size');
  }
}

/** @returns what is stored with the object, after comparing it with what the request says. */
function checkChecksum(
  request: OperationRequest,
  upload: OpenUpload,
  named: readonly NamedPart[],
  parts: readonly StoredPart[],
): StoredChecksum | undefined {
  if (!request.settings.checksums) return undefined;
  const { headers } = request.head;
  const sent = CHECKSUM_ALGORITHMS.filter((one) => headers.has(`x-amz-checksum-${one}`));
  if (!upload.checksum) {
    if (sent.length === 0) return undefined;
    throw new S3Error(
      'InvalidRequest',
      `Checksum Type mismatch occurred, expected checksum Type: null, actual checksum Type: ${sent[0]}`,
    );
  }
  const { algorithm, type } = upload.checksum;
  const wrong = sent.find((one) => one !== algorithm);
  if (wrong) {
    throw new S3Error(
      'InvalidRequest',
      `Checksum Type mismatch occurred, expected checksum Type: ${algorithm}, actual checksum Type: ${wrong}`,
    );
  }
  const sentType = headers.get('x-amz-checksum-type')?.toUpperCase();
  if (sentType !== undefined && sentType !== type) {
    throw new S3Error(
      'InvalidRequest',
      `The upload was created using the ${type} checksum mode. The complete request must use the same checksum mode.`,
    );
  }
  const lacking = named.find((part) => type === 'COMPOSITE' && !part.checksums.has(algorithm));
  if (lacking) {
    throw new S3Error(
      'InvalidRequest',
      `The upload was created using a ${algorithm} checksum. The complete request must include the checksum for each part. It was missing for part ${lacking.number} in the request.`,
    );
  }
  const values: PartChecksum[] = parts.map((part) => ({
    bytes: part.content.sizeBytes,
    value: part.checksum?.value ?? '',
  }));
  const value =
    (type === 'FULL_OBJECT' ? combineParts(algorithm, values) : undefined) ?? compositeOf(algorithm, values);
  compare(request, algorithm, value, headers.get(`x-amz-checksum-${algorithm}`));
  return { algorithm, type, value };
}

function compare(
  request: OperationRequest,
  algorithm: ChecksumAlgorithm,
  value: string,
  sent: string | undefined,
): void {
  // Clients may send a composite with or without the number of parts.
  if (sent === undefined || sent === value || sent === value.replace(/-\d+$/, '')) return;
  if (request.settings.checksNothing) return;
  throw new S3Error(
    'BadDigest',
    `The ${algorithm.toUpperCase()} you specified did not match the calculated checksum.`,
    {
      fields: { CalculatedDigest: value, ExpectedDigest: sent },
    },
  );
}
