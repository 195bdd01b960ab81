/** ListParts and ListMultipartUploads. */
import { bucketOf, type OperationRequest, type Response, xmlResponse } from '../s3/operation.ts';
import { S3Error } from '../s3/s3-error.ts';
import { find } from '../s3/sigv4.ts';
import { element, escapeXml, S3_NAMESPACE } from '../s3/xml.ts';
import type { OpenUpload } from '../store/store.ts';
import { afterPrefix, behind, countParameter, fromMarker, nameEncoder } from './list.ts';
import { partChecksumXml, uploadOf } from './multipart.ts';
import { isoDate } from './write.ts';

const OWNERS =
  '<Initiator><ID>owner</ID><DisplayName>owner</DisplayName></Initiator><Owner><ID>owner</ID><DisplayName>owner</DisplayName></Owner>';

function storageClass(upload: OpenUpload): string {
  const value = upload.attributes.find(([name]) => name === 'x-amz-storage-class')?.[1] ?? 'STANDARD';
  return element('StorageClass', value);
}

function checksumXml(upload: OpenUpload): string {
  const { checksum } = upload;
  if (!checksum) return '';
  return (
    element('ChecksumAlgorithm', checksum.algorithm.toUpperCase()) + element('ChecksumType', checksum.type)
  );
}

export function listParts(request: OperationRequest): Response {
  const upload = uploadOf(request);
  const { query } = request.route;
  const max = countParameter(query, 'max-parts');
  const marker = find(query, 'part-number-marker') ?? '0';
  if (!/^\d{0,9}$/.test(marker))
    throw new S3Error('InvalidArgument', 'Argument part-number-marker must be an integer');
  const behindMarker = [...upload.parts.values()]
    .filter((part) => part.number > Number(marker))
    .sort((a, b) => a.number - b.number);
  const parts = behindMarker.slice(0, max);
  const xml = parts.map(
    (part) =>
      `<Part>${element('PartNumber', part.number)}${element('LastModified', isoDate(part.modifiedMs))}${element('ETag', `"${part.etag}"`)}${element('Size', part.content.sizeBytes)}${partChecksumXml(part)}</Part>`,
  );
  const isTruncated = max > 0 && behindMarker.length > parts.length;
  return xmlResponse(
    `<ListPartsResult${S3_NAMESPACE}>${element('Bucket', request.route.bucket)}<Key>${nameEncoder(query)(upload.key)}</Key>${element('UploadId', upload.id)}` +
      `${OWNERS}${storageClass(upload)}${checksumXml(upload)}${element('PartNumberMarker', Number(marker))}` +
      `${isTruncated ? element('NextPartNumberMarker', parts.at(-1)?.number) : ''}${element('MaxParts', max)}` +
      `${element('IsTruncated', isTruncated)}${xml.join('')}</ListPartsResult>`,
  );
}

interface UploadsPage {
  readonly uploads: readonly OpenUpload[];
  readonly prefixes: readonly string[];
  readonly isTruncated: boolean;
  readonly nextKey: string;
  readonly nextId: string;
}

export function listMultipartUploads(request: OperationRequest): Response {
  const { query, bucket } = request.route;
  const encode = nameEncoder(query);
  const prefix = find(query, 'prefix') ?? '';
  const delimiter = find(query, 'delimiter') ?? '';
  const keyMarker = find(query, 'key-marker') ?? '';
  const idMarker = find(query, 'upload-id-marker') ?? '';
  const max = countParameter(query, 'max-uploads');
  const page = uploadsPage(request, { prefix, delimiter, keyMarker, idMarker, max });
  const uploads = page.uploads.map(
    (upload) =>
      `<Upload><Key>${encode(upload.key)}</Key>${element('UploadId', upload.id)}${OWNERS}${storageClass(upload)}${element('Initiated', isoDate(upload.initiatedMs))}${checksumXml(upload)}</Upload>`,
  );
  const prefixes = page.prefixes.map(
    (one) => `<CommonPrefixes><Prefix>${encode(one)}</Prefix></CommonPrefixes>`,
  );
  const next = page.isTruncated
    ? `<NextKeyMarker>${encode(page.nextKey)}</NextKeyMarker>${element('NextUploadIdMarker', page.nextId)}`
    : '';
  return xmlResponse(
    `<ListMultipartUploadsResult${S3_NAMESPACE}>${element('Bucket', bucket)}<KeyMarker>${encode(keyMarker)}</KeyMarker>` +
      `<UploadIdMarker>${escapeXml(idMarker)}</UploadIdMarker>${next}<Prefix>${encode(prefix)}</Prefix>` +
      `${delimiter === '' ? '' : `<Delimiter>${encode(delimiter)}</Delimiter>`}${find(query, 'encoding-type') === 'url' ? '<EncodingType>url</EncodingType>' : ''}` +
      `${element('MaxUploads', max)}${element('IsTruncated', page.isTruncated)}${uploads.join('')}${prefixes.join('')}</ListMultipartUploadsResult>`,
  );
}

interface UploadsQuery {
  readonly prefix: string;
  readonly delimiter: string;
  readonly keyMarker: string;
  readonly idMarker: string;
  readonly max: number;
}

type UploadEntry =
  | { readonly kind: 'upload'; readonly upload: OpenUpload }
  | { readonly kind: 'prefix'; readonly prefix: string };

function* uploadEntries(request: OperationRequest, query: UploadsQuery): Generator<UploadEntry> {
  const { prefix, delimiter, keyMarker, idMarker } = query;
  // With an upload id the marker's own key is not finished yet.
  const behindMarker = idMarker === '' ? fromMarker(keyMarker, prefix, delimiter) : keyMarker;
  const from = keyMarker === '' ? '' : behindMarker;
  const cursor = bucketOf(request).uploads.entriesFrom(from > prefix ? from : prefix);
  let step = cursor.next();
  while (!step.done && step.value[0].startsWith(prefix)) {
    const [key, ofKey] = step.value;
    const cut = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    if (cut < 0) {
      const uploads = idsBehind(ofKey, key === keyMarker ? idMarker : '');
      yield* uploads.map((upload) => ({ kind: 'upload', upload }) as const);
      step = cursor.next();
    } else {
      const common = key.slice(0, cut + delimiter.length);
      yield { kind: 'prefix', prefix: common };
      step = cursor.next(afterPrefix(common) ?? behind(common));
    }
  }
}

function uploadsPage(request: OperationRequest, query: UploadsQuery): UploadsPage {
  const uploads: OpenUpload[] = [];
  const prefixes: string[] = [];
  let last = { nextKey: '', nextId: '' };
  for (const entry of uploadEntries(request, query)) {
    if (uploads.length + prefixes.length >= query.max) {
      return { uploads, prefixes, isTruncated: query.max > 0, ...last };
    }
    if (entry.kind === 'upload') {
      uploads.push(entry.upload);
      last = { nextKey: entry.upload.key, nextId: entry.upload.id };
    } else {
      prefixes.push(entry.prefix);
      last = { nextKey: entry.prefix, nextId: '' };
    }
  }
  return { uploads, prefixes, isTruncated: false, nextKey: '', nextId: '' };
}

function idsBehind(ofKey: ReadonlyMap<string, OpenUpload>, idMarker: string): readonly OpenUpload[] {
  return [...ofKey.values()].filter((upload) => upload.id > idMarker).sort((a, b) => (a.id < b.id ? -1 : 1));
}
