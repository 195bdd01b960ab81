/**
 * Open uploads and their parts in the XML that S3 and Cloud Storage have in common (https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html,
 * API_ListParts.html). Both throw RangeError, with what is wrong, where a page makes no sense or goes on where it began.
 */
import { compareUtf8 } from '../../core/byte-order.ts';
import type { PartReceipt, Upload } from '../driver.ts';
import { CircleWatch } from '../paging.ts';
import { type HttpCall, malformed } from './call.ts';
import { md5OfETag } from './etag.ts';
import { checkDocument, eachElement, isTruncated, onlyTextOf, utf8Of } from './xml.ts';

const DIGITS = /^\d{1,16}$/;
const PARTS_MAX = 10_000;
/** Each takes some hundred bytes until they are all known. */
const UPLOADS_MAX = 1_000_000;
const UPLOAD_ID_UNITS_MAX = 2048;

type Query = readonly (readonly [name: string, value: string])[];
type FetchPage = (query: Query) => Promise<Buffer>;

/** @throws StorageError of kind `corrupt` where a page makes no sense. */
export async function allParts(
  call: HttpCall,
  id: string,
  fetchPage: FetchPage,
): Promise<readonly PartReceipt[]> {
  const parts: PartReceipt[] = [];
  let marker = '';
  for (;;) {
    const query: [string, string][] = [['uploadId', id]];
    if (marker !== '') query.push(['part-number-marker', marker]);
    const body = await fetchPage(query);
    const page = sensible(call, () => parsePartsPage(utf8Of(body), marker));
    for (const part of page.parts) parts.push(part);
    if (page.next === undefined) return parts;
    marker = page.next;
  }
}

/** @param max ends the listing. @throws StorageError of kind `corrupt` where a page makes no sense or there is no end. */
export async function allUploads(
  call: HttpCall,
  { prefix, max }: { readonly prefix: string; readonly max: number },
  fetchPage: FetchPage,
): Promise<readonly Upload[]> {
  const uploads: Upload[] = [];
  let marker: Upload | undefined;
  const circle = new CircleWatch();
  for (;;) {
    const query: [string, string][] = [
      ['uploads', ''],
      ['prefix', prefix],
    ];
    if (marker) query.push(['key-marker', marker.key], ['upload-id-marker', marker.id]);
    const body = await fetchPage(query);
    const page = sensible(call, () => parseUploadsPage(utf8Of(body), marker));
    for (const upload of page.uploads) if (upload.key.startsWith(prefix)) uploads.push(upload);
    if (!page.next || uploads.length >= max) return uploads.slice(0, max);
    marker = page.next;
    if (circle.closes(JSON.stringify(marker))) throw malformed(call, 'the list of uploads goes in a circle');
    if (uploads.length > UPLOADS_MAX) throw malformed(call, `there are more than ${UPLOADS_MAX}`);
  }
}

/** The id in the answer to the request that begins an upload. @throws StorageError of kind `corrupt`. */
export function uploadIdIn(call: HttpCall, body: Buffer): string {
  return sensible(call, () => {
    const id = onlyTextOf(utf8Of(body), 'UploadId');
    if (!id) throw new RangeError('no upload id came');
    // It becomes part of a request's first line.
    if (id.length > UPLOAD_ID_UNITS_MAX) throw new RangeError(`the upload id has ${id.length} characters`);
    return id;
  });
}

/** What a reader of an answer finds wrong with it, as an error of the driver. */
export function sensible<T>(call: HttpCall, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw error instanceof RangeError ? malformed(call, error.message) : error;
  }
}

export function parsePartsPage(
  xml: string,
  marker: string,
): { readonly parts: readonly PartReceipt[]; readonly next?: string } {
  checkDocument(xml, 'ListPartsResult', 'a list of parts');
  const parts: PartReceipt[] = [];
  let past = Number(marker);
  eachElement(xml, 'Part', (from, to) => {
    const part = partOf(xml.slice(from, to));
    // Ascending numbers end by themselves, which bounds the list whatever the server says.
    if (!(part.number > past && part.number <= PARTS_MAX))
      throw new RangeError('the list has its parts out of order');
    past = part.number;
    return parts.push(part) > 0;
  });
  if (!isTruncated(xml)) return { parts };
  const next = onlyTextOf(xml, 'NextPartNumberMarker') ?? '';
  const goesOn = DIGITS.test(next) && Number(next) > Number(marker) && Number(next) >= past;
  if (!goesOn || Number(next) >= PARTS_MAX) throw new RangeError('the list of parts goes on where it began');
  return { parts, next };
}

export function parseUploadsPage(
  xml: string,
  marker: Upload | undefined,
): { readonly uploads: readonly Upload[]; readonly next?: Upload } {
  checkDocument(xml, 'ListMultipartUploadsResult', 'a list of uploads');
  const uploads: Upload[] = [];
  eachElement(xml, 'Upload', (from, to) => {
    const one = xml.slice(from, to);
    const key = onlyTextOf(one, 'Key');
    const id = onlyTextOf(one, 'UploadId');
    if (key === undefined || !id) throw new RangeError('the list has an upload without a key or an id');
    return uploads.push({ key, id }) > 0;
  });
  if (!isTruncated(xml)) return { uploads };
  const next = {
    key: onlyTextOf(xml, 'NextKeyMarker') ?? '',
    id: onlyTextOf(xml, 'NextUploadIdMarker') ?? '',
  };
  const step = marker === undefined ? 1 : compareUtf8(next.key, marker.key);
  if (next.key === '' || step < 0 || (step === 0 && next.id === marker?.id))
    throw new RangeError('the list of uploads goes on where it began');
  return { uploads, next };
}

function partOf(xml: string): PartReceipt {
  const number = onlyTextOf(xml, 'PartNumber') ?? '';
  const size = onlyTextOf(xml, 'Size') ?? '';
  const tag = onlyTextOf(xml, 'ETag') ?? '';
  const isSize = DIGITS.test(size) && Number.isSafeInteger(Number(size));
  if (!DIGITS.test(number) || !isSize || tag === '')
    throw new RangeError('the list has a part without a number, a size or an ETag');
  const md5 = md5OfETag(tag);
  const crc32 = Buffer.from(onlyTextOf(xml, 'ChecksumCRC32') ?? '', 'base64');
  return {
    number: Number(number),
    sizeBytes: Number(size),
    tag,
    ...(md5 === undefined ? {} : { md5 }),
    ...(crc32.length === 4 ? { crc32: crc32.readUInt32BE() } : {}),
  };
}
