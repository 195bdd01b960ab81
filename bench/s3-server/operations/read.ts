/** GetObject and HeadObject. */
import { httpDate } from '../http/http-date.ts';
import {
  bucketOf,
  checksumHeaders,
  type OperationRequest,
  type Response,
  xmlResponse,
} from '../s3/operation.ts';
import { S3Error } from '../s3/s3-error.ts';
import { find } from '../s3/sigv4.ts';
import { element, S3_NAMESPACE } from '../s3/xml.ts';
import { discarded } from '../store/content.ts';
import type { StoredObject } from '../store/store.ts';
import { checkReadConditions } from './conditions.ts';

export function objectOf(request: OperationRequest): StoredObject {
  const { key } = request.route;
  const object = bucketOf(request).objects.get(key);
  if (!object) {
    throw new S3Error('NoSuchKey', 'The specified key does not exist.', { fields: { Key: key } });
  }
  return object;
}

interface Extent {
  readonly start: number;
  readonly end: number;
  readonly isPartial: boolean;
  readonly headers: Response['headers'];
}

export function getObject(request: OperationRequest): Response {
  const object = objectOf(request);
  checkRestored(object);
  checkReadConditions(request.head, object);
  const extent = extentOf(request, object);
  if (!object.content.isKept) throw discarded();
  return {
    status: extent.isPartial ? 206 : 200,
    headers: [...objectHeaders(request, object, extent.isPartial), ...extent.headers],
    body: { content: object.content, start: extent.start, end: extent.end },
  };
}

export function headObject(request: OperationRequest): Response {
  const object = objectOf(request);
  checkReadConditions(request.head, object);
  const extent = extentOf(request, object);
  return {
    status: extent.isPartial ? 206 : 200,
    headers: [...objectHeaders(request, object, extent.isPartial), ...extent.headers],
    announcedBytes: extent.end - extent.start,
  };
}

/** Request parameters that replace fields of the answer, for presigned links. */
const OVERRIDES: ReadonlyMap<string, string> = new Map([
  ['response-cache-control', 'cache-control'],
  ['response-content-disposition', 'content-disposition'],
  ['response-content-encoding', 'content-encoding'],
  ['response-content-language', 'content-language'],
  ['response-content-type', 'content-type'],
  ['response-expires', 'expires'],
]);

function objectHeaders(
  request: OperationRequest,
  object: StoredObject,
  isPartial: boolean,
): Response['headers'] {
  const headers: (readonly [string, string])[] = [
    ['ETag', `"${object.etag}"`],
    ['Last-Modified', httpDate(object.modifiedMs)],
    ['Accept-Ranges', 'bytes'],
  ];
  const overrides = new Map<string, string>();
  for (const [name, value] of request.route.query) {
    const field = OVERRIDES.get(name);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a line break would begin a field of the caller's making.
    if (field !== undefined) overrides.set(field, value.replace(/[\x00-\x1f\x7f]/g, ' '));
  }
  let hasType = overrides.has('content-type');
  for (const [name, value] of object.attributes) {
    if (overrides.has(name)) continue;
    if (name === 'content-type') hasType = true;
    headers.push([name, value]);
  }
  headers.push(...overrides);
  if (!hasType) headers.push(['Content-Type', 'binary/octet-stream']);
  const wantsChecksum = request.head.headers.get('x-amz-checksum-mode')?.toUpperCase() === 'ENABLED';
  // A checksum of the whole says nothing about a range, and clients would compare them.
  if (wantsChecksum && !isPartial && request.settings.checksums)
    headers.push(...checksumHeaders(object.checksum));
  return headers;
}

function extentOf(request: OperationRequest, object: StoredObject): Extent {
  const size = object.content.sizeBytes;
  const partNumber = find(request.route.query, 'partNumber');
  if (partNumber !== undefined) return partExtent(partNumber, object);
  const range = parseRange(request.head.headers.get('range'), size);
  if (!range) return { start: 0, end: size, isPartial: false, headers: [] };
  return { ...range, isPartial: true, headers: [contentRange(range.start, range.end, size)] };
}

function contentRange(start: number, end: number, size: number): readonly [string, string] {
  return ['Content-Range', `bytes ${start}-${end - 1}/${size}`];
}

function partExtent(partNumber: string, object: StoredObject): Extent {
  const parts = object.partBytes ?? [object.content.sizeBytes];
  const index = /^\d{1,5}$/.test(partNumber) ? Number(partNumber) - 1 : -1;
  const bytes = parts[index];
  if (bytes === undefined) {
    throw new S3Error('InvalidRange', 'The requested partnumber is not satisfiable', {
      code: 'InvalidPartNumber',
      fields: { ActualPartCount: parts.length },
    });
  }
  const start = parts.slice(0, index).reduce((sum, one) => sum + one, 0);
  const count: readonly [string, string][] = object.partBytes
    ? [['x-amz-mp-parts-count', String(parts.length)]]
    : [];
  const range = bytes === 0 ? [] : [contentRange(start, start + bytes, object.content.sizeBytes)];
  return { start, end: start + bytes, isPartial: true, headers: [...range, ...count] };
}

/** A field that is not a single well-formed range is ignored, as RFC 9110 wants it. @returns end exclusive. */
function parseRange(
  field: string | undefined,
  size: number,
): { readonly start: number; readonly end: number } | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(field?.replaceAll(' ', '') ?? '');
  const [, first = '', last = ''] = match ?? [];
  if (
    !match ||
    (first === '' && last === '') ||
    (first !== '' && last !== '' && Number(first) > Number(last))
  ) {
    return undefined;
  }
  const isSuffix = first === '';
  const start = isSuffix ? Math.max(0, size - Number(last)) : Number(first);
  const end = isSuffix || last === '' ? size : Math.min(size, Number(last) + 1);
  if (start >= size || (isSuffix && Number(last) === 0)) {
    throw new S3Error('InvalidRange', 'The requested range is not satisfiable', {
      fields: { RangeRequested: field ?? '', ActualObjectSize: size },
      headers: [['Content-Range', `bytes */${size}`]],
    });
  }
  return { start, end };
}

export function getObjectAttributes(request: OperationRequest): Response {
  const object = objectOf(request);
  const wanted = new Set(
    (request.head.headers.get('x-amz-object-attributes') ?? '').split(',').map((name) => name.trim()),
  );
  if (wanted.has('')) {
    throw new S3Error('InvalidRequest', 'The x-amz-object-attributes header is missing or empty');
  }
  const { checksum } = object;
  const checksumXml = checksum
    ? `<Checksum><Checksum${checksum.algorithm.toUpperCase()}>${checksum.value}</Checksum${checksum.algorithm.toUpperCase()}>${element('ChecksumType', checksum.type)}</Checksum>`
    : '';
  const parts = object.partBytes
    ? `<ObjectParts>${element('PartsCount', object.partBytes.length)}</ObjectParts>`
    : '';
  return xmlResponse(
    `<GetObjectAttributesResponse${S3_NAMESPACE}>` +
      (wanted.has('ETag') ? element('ETag', object.etag) : '') +
      (wanted.has('Checksum') && request.settings.checksums ? checksumXml : '') +
      (wanted.has('ObjectParts') ? parts : '') +
      (wanted.has('StorageClass') ? element('StorageClass', storageClassOf(object)) : '') +
      (wanted.has('ObjectSize') ? element('ObjectSize', object.content.sizeBytes) : '') +
      '</GetObjectAttributesResponse>',
    [['Last-Modified', httpDate(object.modifiedMs)]],
  );
}

/** As AWS, for reads and copies alike. */
export function checkRestored(object: StoredObject): void {
  const storageClass = storageClassOf(object);
  if (storageClass !== 'GLACIER' && storageClass !== 'DEEP_ARCHIVE') return;
  if (restoreOf(object)?.isInProgress === false) return;
  throw new S3Error('InvalidObjectState', "The operation is not valid for the object's storage class", {
    fields: { StorageClass: storageClass },
  });
}

/** What `x-amz-restore` says of an object that was put with it, past the protocol. */
export function restoreOf(
  object: StoredObject,
): { readonly isInProgress: boolean; readonly expiry?: string } | undefined {
  const said = object.attributes.find(([name]) => name === 'x-amz-restore')?.[1];
  if (said === undefined) return undefined;
  const [, expiry] = /expiry-date="([^"]*)"/.exec(said) ?? [];
  const isInProgress = said.includes('ongoing-request="true"');
  return expiry === undefined ? { isInProgress } : { isInProgress, expiry };
}

export function storageClassOf(object: StoredObject): string {
  return object.attributes.find(([name]) => name === 'x-amz-storage-class')?.[1] ?? 'STANDARD';
}
